"""A log to which strangers can add lines: so many in a minute, each of some length, and no more."""

import logging
import threading
import time
from collections.abc import Callable

MOST_LINES, SECONDS, LONGEST = 30, 60.0, 500


class FewLines(logging.Filter):
    """Lets `MOST_LINES` messages through in `SECONDS`, with their tracebacks; the first one after that says how many
    were left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock, self._counting = clock, threading.Lock()
        self._begun, self._written, self._left_out = clock(), 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        with self._counting:
            if self._clock() - self._begun >= SECONDS:
                self._begun, self._written = self._clock(), 0
            self._written += 1
            if self._written > MOST_LINES:
                self._left_out += 1
                return False
            before, self._left_out = self._left_out, 0
        record.msg, record.args = _shortened(record.getMessage(), before), ()
        return True


def _shortened(message: str, left_out: int) -> str:
    """The message, and how many came before it that nobody reads."""
    shown = message if len(message) <= LONGEST else f"{message[:LONGEST]} …"
    return f"{shown} ({left_out:,} lines before this one were left out.)" if left_out else shown


def keep_short(*names: str) -> None:
    """Let these loggers write few lines each."""
    for name in names:
        logging.getLogger(name).addFilter(FewLines())
