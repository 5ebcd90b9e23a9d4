"""What can be read in the studio, and the catalogs of its other languages: `python -m tests.catalog`.

It writes every text that is not yet in `studio/language/*.po` into it, without a translation, removes what nobody
shows any more, and prints what is left to translate. `python -m tests.catalog FILE` puts translations in before: JSON,
English to translated. `tests/language` holds that nothing is left.
"""

import json
import re
import string
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from studio.language.languages import LANGUAGES, SOURCE

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "studio" / "language"
KEYWORDS = {"_": None, "N_": None, "counted": (1, 2), "translated": (2,), "count_in": (2, 3)}
"""Functions whose arguments are texts: which of them, the first one if not said."""

Key = str | tuple[str, str]
"""A text; one and many where a number decides."""

OTHERS = sorted(set(LANGUAGES) - {SOURCE})


def files() -> list[Path]:
    return sorted([*(ROOT / "pages").glob("*.py"), *(ROOT / "studio").rglob("*.py")])


def written(file: Path) -> Iterator[Key]:
    """The texts that a file gives to one of the functions of `KEYWORDS`."""
    for _, message, *_ in extract_from_file("python", str(file), keywords=KEYWORDS):
        if message:
            yield message if isinstance(message, str) else (message[0], message[1])


def keys() -> dict[Key, str]:
    """Every text that can be shown, with where it stands."""
    found: dict[Key, str] = {}
    for file in files():
        for key in written(file):
            found.setdefault(key, str(file.relative_to(ROOT)))
    return found


def catalog(language: str) -> Catalog:
    with (FOLDER / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


def translations(language: str) -> dict[Key, str]:
    """By text its translation, "" where it has none; of several forms the first (Chinese has no other)."""
    found: dict[Key, str] = {}
    for message in catalog(language):
        if message.id:
            key = message.id if isinstance(message.id, str) else (message.id[0], message.id[1])
            found[key] = message.string if isinstance(message.string, str) else message.string[0]
    return found


def places(text: str) -> set[str]:
    """The names in braces.

    >>> sorted(places("{low} to {high:.1f}")), places("50 % of {}")
    (['high', 'low'], {''})
    """
    return {name for _, name, *_ in string.Formatter().parse(text) if name is not None}


def english(key: Key) -> str:
    return key if isinstance(key, str) else key[1]


def write(language: str, told: dict[Key, str]) -> None:
    """The catalog, its texts in the order of the alphabet."""
    new = Catalog(locale=language, fuzzy=False, header_comment="# The texts of the studio; tests/catalog.py keeps it.")
    for key in sorted(told, key=lambda key: (english(key).casefold(), english(key))):
        new.add(key, told[key] if isinstance(key, str) else (told[key],))
    with (FOLDER / f"{language}.po").open("wb") as file:
        write_po(file, new, width=120, omit_header=False, no_location=True)
    file_text = (FOLDER / f"{language}.po").read_text(encoding="utf-8")
    kept = re.sub(r'"(POT-Creation-Date|PO-Revision-Date|Project-Id-Version|Report-Msgid-Bugs-To|Last-Translator|'
                  r'Language-Team|Generated-By): .*\n', "", file_text)  # fmt: skip
    (FOLDER / f"{language}.po").write_text(kept, encoding="utf-8")


def main(arguments: list[str]) -> None:
    brought: dict[str, str] = {}
    for file in arguments:
        brought |= json.loads(Path(file).read_text(encoding="utf-8"))
    for language in OTHERS:
        known, shown = translations(language), keys()
        told = {key: brought.get(english(key)) or known.get(key, "") for key in shown}
        write(language, told)
        missing = [key for key, text in told.items() if not text]
        for key in missing:
            print(json.dumps(english(key), ensure_ascii=False), shown[key])
        print(f"{language}: {len(told)} texts, {len(missing)} without a translation, {len(set(known) - set(shown))} "
              "removed")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
