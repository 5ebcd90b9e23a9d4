"""Pages in the language of the person who reads them."""

import re

import pytest
from starlette.requests import HTTPConnection

from pages import _language
from pages._language import CHOSEN, counted, in_language, reader_of, retell
from pages._language import _ as said
from pages._scores import milliseconds
from pages._words import count, duration, percent, size
from tests.pages.conftest import opened


def test_a_page_speaks_the_language_of_the_browser(app):
    app.context = {"locale": "zh-CN"}
    assert opened(app, "settings.py").title[0].value == "设置"


def test_what_was_chosen_counts_more_than_the_browser(app):
    app.context = {"locale": "zh-CN"}
    app.session_state[CHOSEN] = "en"
    assert opened(app, "settings.py").title[0].value == "Settings"


def test_a_language_that_the_studio_does_not_speak_is_english(app):
    app.context = {"locale": "pt-BR"}
    assert opened(app, "settings.py").title[0].value == "Settings"


def test_outside_a_page_the_cookie_counts_more_than_what_the_browser_accepts():
    def asked(**headers: str) -> str:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        return reader_of(HTTPConnection({"type": "http", "headers": raw}))

    accepts = {"accept-language": "fr, zh-CN;q=0.9, en;q=0.1"}
    assert asked(**accepts) == "zh"
    assert asked(**accepts, cookie=f"{CHOSEN}=en") == "en"
    assert asked() == "en"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_line_ends_between_a_number_and_its_unit(monkeypatch, language):
    monkeypatch.setattr(_language, "GAP", "~")
    with in_language(language):
        told = [percent(0.5), size(5e6), count(5e6), milliseconds(3), duration(95), said("95 % interval"),
                retell("It kept 97 % of it."), counted("{number} s", "{number} s", 2)]  # fmt: skip
    assert not [one for one in told if re.search(r"\d \S*(%|[a-zA-Z]|万|秒|分)", one.replace("95~% interval", ""))]
    assert {"5~MB", "3.0~ms", "2~s", "It kept 97~% of it."} <= set(told)
