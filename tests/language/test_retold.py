"""Sentences of the engine in another language, recognized by their form."""

import pytest

from studio.language import catalog, retold
from studio.language.retold import retold as told

FORMS = {
    "{where} the teacher helped: {size} better ({interval}).": "{where} half der Lehrer: {interval}, {size}.",
    "In this run": "In diesem Lauf",
    "{number} points": "{number} Punkte",
    "It is {size} smaller.": "Er ist {size} kleiner.",
    "Labels differ: {names}. They stay apart.": "Verschieden sind {names}.",
    "{who} were improving.": "{who} wurden besser.",
    "the {role}": "der {role}",
    "teacher": "Lehrer",
    "student": "Schüler",
    "Take {what}.": "Nimm {what}.",
    "Take another one (more rows). so: true goes on.": "Nimm einen anderen.",
}


@pytest.fixture(autouse=True)
def forms(tmp_path, monkeypatch):
    entries = "".join(f'msgctxt "engine"\nmsgid "{text}"\nmsgstr "{other}"\n\n' for text, other in FORMS.items())
    lists = {"{others} and {last}": "{others} und {last}", "{named} and {number} more": "{named} und noch {number}"}
    others = "".join(f'msgid "{text}"\nmsgstr "{other}"\n\n' for text, other in lists.items())
    head = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
    (tmp_path / "de.po").write_text(head + entries + others, encoding="utf-8")
    monkeypatch.setattr(catalog, "FOLDER", tmp_path)
    for cached in (catalog.read, catalog.translations, retold.forms, told):
        cached.cache_clear()
    yield
    for cached in (catalog.read, catalog.translations, retold.forms, told):
        cached.cache_clear()


def test_a_sentence_of_a_known_form_is_told_with_its_values_and_words_in_their_places():
    sentence = "In this run the teacher helped: 4.2 points better (0.3 to 8.1)."
    assert told("de", sentence) == "In diesem Lauf half der Lehrer: 0.3 to 8.1, 4.2 Punkte."


def test_several_sentences_are_told_one_by_one_and_one_of_no_form_stays():
    assert told("de", "It is a. b smaller. Who knows. It is 3 smaller.") == (
        "Er ist a. b kleiner. Who knows. Er ist 3 kleiner."
    )


def test_a_form_of_two_sentences_is_one():
    assert told("de", "Labels differ: 'A', 'a'. They stay apart. It is 2 smaller.") == (
        "Verschieden sind 'A', 'a'. Er ist 2 kleiner."
    )


def test_sentences_that_are_known_as_a_whole_are_not_taken_apart():
    assert told("de", "Take another one (more rows). so: true goes on. Take it.") == "Nimm einen anderen. Nimm it."


def test_two_things_in_one_place_are_told_one_by_one():
    assert told("de", "the teacher and the student were improving.") == "der Lehrer und der Schüler wurden besser."


def test_a_list_that_breaks_off_says_how_many_more_there_are():
    sentence = "Labels differ: 'A', 'the teacher' and 1,200 more. They stay apart."
    assert told("de", sentence) == "Verschieden sind 'A', 'the teacher' und noch 1,200."


def test_words_of_a_user_stay_as_they_are():
    assert told("de", "It is {x} and \\d+ smaller.") == "Er ist {x} and \\d+ kleiner."
    assert told("de", "rock and roll") == "rock and roll"


def test_english_stays_english():
    assert told("en", "It is 3 smaller.") == "It is 3 smaller."


def test_a_text_that_holds_what_is_fixed_in_forms_a_thousand_times_is_looked_through_once():
    """As a regular expression such a form would try every way to share the text among its places."""
    form = retold.Form(("", " refuses with ", "", " at ", "."), ("host", "status", "told", "place"), "")
    assert form.values("b" + " refuses with b" * 500 + " at c" * 500) is None
    found = {"host": "a", "status": "", "told": "b refuses with c", "place": "d at e"}
    assert form.values("a refuses with b refuses with c at d at e.") == found


def test_a_text_that_is_longer_or_deeper_than_the_engines_own_stays_as_it_is():
    long, deep = "x" * (retold.MOST_LETTERS + 1), "the " * 500 + "teacher"
    assert told("de", long) == long
    assert told("de", deep) == "der " * (retold.MOST_DEEP + 1) + deep.removeprefix("the " * (retold.MOST_DEEP + 1))
