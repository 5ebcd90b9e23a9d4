"""Pages in the language of the person who reads them."""

from starlette.requests import HTTPConnection

from pages._language import CHOSEN, reader_of
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
