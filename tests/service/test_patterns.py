"""A pattern that somebody writes comes to an end, whatever text it is looked for in."""

import pytest

from studio.errors import ConfigError
from studio.service import patterns
from studio.service.answering import Rules
from studio.service.endpoint import Said
from studio.service.new_prompts import Growth, Prompts

ENDLESS, TEXT = "(a|aa)+$", "a" * 200 + "b"


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(patterns, "SECONDS", 0.05)


def test_a_pattern_that_takes_an_answer_without_end_is_told():
    with pytest.raises(ConfigError, match="takes longer than"):
        Rules(without=ENDLESS).why_not("Why?", Said(TEXT, 1, 1))


def test_a_pattern_that_takes_a_new_prompt_without_end_is_told():
    growth = Growth(Prompts([TEXT, "b" + TEXT]), 2, without=ENDLESS)
    with pytest.raises(ConfigError, match="takes longer than"):
        growth._why_not(f"c {TEXT}", ["c", TEXT])


@pytest.mark.parametrize("pattern", ["(", "(" * 5_000 + ")" * 5_000, "a{99999999999999}"])
def test_what_is_no_pattern_is_told_however_it_is_wrong(pattern):
    with pytest.raises(ConfigError, match="is no pattern"):
        patterns.checked(pattern)
