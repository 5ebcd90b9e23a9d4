"""Tokens on Settings: shown once, revoked with a button."""

import time

from studio.service import tokens
from tests.pages.conftest import opened, words


def test_a_token_is_shown_once_and_works_until_it_is_revoked(app, store):
    app = opened(app, "settings.py", part="programs")
    app.text_input(key="token-name").set_value("website *x*")
    app.button(key="token-make").click().run()
    secret = next(code.value for code in app.code if code.value.startswith(tokens.BEGINNING))
    assert tokens.person(store, secret).role == "viewer"
    assert "website \\*x\\*" in words(app)
    app.run()
    assert not any(code.value.startswith(tokens.BEGINNING) for code in app.code)
    app.button(key="revoke-1").click().run()
    assert not store.tokens()[0].works(time.time())
    assert "website" not in words(app)


def test_a_token_without_a_name_is_refused_in_words(app, store):
    app = opened(app, "settings.py", part="programs")
    app.button(key="token-make").click().run()
    assert "1 to 80 letters" in words(app)
    assert store.tokens() == []
