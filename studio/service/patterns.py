"""Patterns that somebody writes, looked for in texts that somebody else does: a search comes to an end, and others go
on meanwhile."""

import re

import regex

from studio.errors import ConfigError

SECONDS = 1.0
"""Of one text. Python's own search has no end, and lets nothing else in its process go on."""


def checked(pattern: str) -> str:
    """The same. Raises `ConfigError` where it is no pattern."""
    try:
        re.compile(pattern)
        regex.compile(pattern)
    except (re.error, regex.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"{pattern!r:.80} is no pattern: {error}.", "Write a regular expression.") from error
    return pattern


def is_in(pattern: str, text: str) -> bool:
    """Whether the text holds the pattern. Raises `ConfigError` where that takes too long.

    >>> is_in("[0-9]+ days", "It took 12 days.")
    True
    """
    try:
        return regex.search(pattern, text, timeout=SECONDS, concurrent=True) is not None
    except TimeoutError as error:
        raise ConfigError(
            f"The pattern {pattern!r:.80} takes longer than {SECONDS:g} seconds for one text.", "Write a simpler one."
        ) from error
