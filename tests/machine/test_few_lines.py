"""Whoever knocks without end does not fill the log."""

import logging
from pathlib import Path

import pytest

from studio.machine import few_lines
from studio.machine.few_lines import FewLines


@pytest.fixture
def log():
    """A logger of few lines, what it has written, and the time by its clock."""
    now, written = [0.0], []
    logger = logging.Logger("heard")
    handler = logging.Handler()
    handler.emit = lambda record: written.append(record.getMessage())
    logger.addHandler(handler)
    logger.addFilter(FewLines(lambda: now[0]))
    return logger, written, now


def test_so_many_lines_are_written_in_a_minute_and_the_next_one_counts_those_left_out(log):
    logger, written, now = log
    for number in range(few_lines.MOST_LINES + 70):
        logger.warning("knock %d", number)
    assert written == [f"knock {number}" for number in range(few_lines.MOST_LINES)]
    now[0] = few_lines.SECONDS
    logger.warning("again")
    logger.warning("and again")
    assert written[-2:] == ["again (70 lines before this one were left out.)", "and again"]


def test_a_line_has_a_length(log):
    logger, written, _ = log
    logger.error("login failed: %s", "A" * 100_000)
    assert len(written[0]) < 2 * few_lines.LONGEST
    assert written[0].startswith("login failed: AAA")


def test_few_lines_are_written_of_what_strangers_ask_the_server():
    """The names of Streamlit's and uvicorn's loggers are their own affair: they are looked up where they write."""
    from streamlit.web.server.starlette import starlette_auth_routes
    from uvicorn.protocols.http import h11_impl

    import app

    heard = {starlette_auth_routes._LOGGER.name, "uvicorn.error"}
    assert heard == set(app.HEARD)
    assert 'getLogger("uvicorn.error")' in Path(h11_impl.__file__).read_text(encoding="utf-8")
    assert all(any(isinstance(one, FewLines) for one in logging.getLogger(name).filters) for name in heard)
