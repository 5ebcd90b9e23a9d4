"""Every text is there in every language, and is looked up as it should be."""

import re
import unicodedata

import pytest

from studio.language import catalog
from studio.language.catalog import counted, translated
from studio.language.languages import LANGUAGES, SOURCE
from tests import catalog as written
from tests.catalog import Key


@pytest.fixture
def german(tmp_path, monkeypatch):
    """A language with three texts, one of which nobody has translated."""
    (tmp_path / "de.po").write_text(
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
        'msgid "{number} row of {data}"\nmsgid_plural "{number} rows of {data}"\n'
        'msgstr[0] "{number} Zeile von {data}"\nmsgstr[1] "{number} Zeilen von {data}"\n\n'
        'msgid "Run {run} is {status}."\nmsgstr "{status}: Lauf {run}."\n\nmsgid "Home"\nmsgstr ""\n',
        encoding="utf-8",
    )
    monkeypatch.setattr(catalog, "FOLDER", tmp_path)
    catalog.translations.cache_clear()
    yield "de"
    catalog.translations.cache_clear()


def test_values_take_their_places_after_the_translation(german):
    assert translated(german, "Run {run} is {status}.", run=3, status="{run}") == "{run}: Lauf 3."


def test_a_text_without_a_translation_stays_english(german):
    assert [translated(german, text) for text in ("Home", "Nowhere", "")] == ["Home", "Nowhere", ""]


def test_a_number_decides_the_form(german):
    rows = ("{number} row of {data}", "{number} rows of {data}")
    assert counted(german, *rows, 1, data="d") == "1 Zeile von d"
    assert counted(german, *rows, 7, data="d") == "7 Zeilen von d"


@pytest.mark.parametrize("language", written.OTHERS)
def test_every_text_is_translated_and_no_translation_is_left_over(language):
    known, shown = written.read(language), written.keys()
    missing = {key.english: place for key, place in shown.items() if not known.get(key)}
    assert not missing, "python -m tests.catalog brings them into the catalog"
    assert not [key.english for key in known if key not in shown]


@pytest.mark.parametrize("language", written.OTHERS)
def test_every_translation_has_the_places_of_its_text(language):
    for key, text in written.read(language).items():
        if key.context is None:
            assert written.places(text) == written.places(key.english), text
        else:  # a language may need fewer, as of the ends of words
            assert written.places(text) <= written.places(key.english), text


def test_a_text_that_no_catalog_knows_is_found(tmp_path, monkeypatch):
    page = tmp_path / "pages" / "page.py"
    page.parent.mkdir()
    page.write_text('st.write(_("One {place}" " text", place=1), counted("{number} row", "{number} rows", 2))')
    verdict = tmp_path / "studio" / "evaluate" / "verdict.py"
    verdict.parent.mkdir(parents=True)
    verdict.write_text("'Docstring.'\nx = f'It has {len(found.rows):,} row{\"\" if one else \"s\"} of {found.rows}.'")
    monkeypatch.setattr(written, "ROOT", tmp_path)
    found = {key: place for key, place in written.keys().items() if place != "a registry"}
    forms = ("It has {rows} row of {rows_2}.", "It has {rows} rows of {rows_2}.")
    assert found == {
        Key("One {place} text"): "pages/page.py",
        Key("{number} row", "{number} rows"): "pages/page.py",
        **{Key(form, context="engine"): "studio/evaluate/verdict.py" for form in forms},
    }


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != SOURCE])
def test_no_bold_word_ends_with_a_sign_right_before_a_letter(language):
    """Markdown shows the asterisks then; where English has a blank, Chinese has none."""
    texts = [str(one.string) for one in catalog.read(language)]
    bold = [found for text in texts for found in re.finditer(r"\*\*(?:[^*]+?)([^*])\*\*(.?)", text)]
    assert bold and not [one[0] for one in bold if unicodedata.category(one[1]).startswith("P") and one[2].isalnum()
                         and one[1] != "}"]  # fmt: skip


def test_chinese_has_one_word_for_the_rows_of_each_split():
    others = {f"{split}{rows}" for split in ("训练", "验证", "测试") for rows in ("行", "集")}
    assert not [text for text in written.read("zh").values() if any(word in text for word in others)]
