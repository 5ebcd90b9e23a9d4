"""What all pages share: they open, on whatever store, and behind a login."""

import ast
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import SHELL, opened, words

PAGES = (
    "home.py",
    "guide.py",
    "data.py",
    "new_run.py",
    "all_runs.py",
    "compare.py",
    "sweep.py",
    "run.py",
    "results.py",
    "playground.py",
    "settings.py",
)


@pytest.mark.parametrize("page_file", PAGES)
def test_every_page_opens_on_an_empty_store(app, page_file):
    opened(app, page_file)


@pytest.mark.parametrize("page_file", PAGES)
def test_every_page_opens_on_a_filled_store(app, filled, page_file):
    opened(app, page_file)


def test_a_database_that_cannot_be_opened_is_told_in_words(home):
    home.database.parent.mkdir(parents=True)
    home.database.write_bytes(b"nonsense" * 200)
    app = AppTest.from_file(SHELL, default_timeout=60).run()
    assert "cannot be opened" in app.error[0].value
    assert not app.exception


def test_a_server_open_to_a_network_shows_nothing_without_a_login(app, monkeypatch):
    import streamlit as st

    real = st.get_option
    monkeypatch.setattr(st, "get_option", lambda name: "0.0.0.0" if name == "server.address" else real(name))
    app.run()
    assert not app.exception
    assert not [button for button in app.button if (button.key or "").startswith("demo-")]
    assert words(app) == "Sign in first."


@pytest.mark.parametrize("page_file", PAGES)
def test_no_text_stands_alone_in_a_page_since_streamlit_would_show_it(page_file):
    _, *statements = ast.parse((Path(SHELL).parent / page_file).read_text()).body
    assert not [statement for statement in statements if isinstance(getattr(statement, "value", None), ast.Constant)
                and isinstance(statement, ast.Expr)]  # fmt: skip
