"""A text in a language: looked up in the catalog `<language>.po` beside this file, which Babel reads.

A text that the catalog lacks stays English: a page says something in any case, and a test names what is missing.
"""

import functools
import gettext
import io
from pathlib import Path
from typing import TYPE_CHECKING

from studio.language.languages import LANGUAGES, SOURCE

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

FOLDER = Path(__file__).parent


@functools.cache
def read(language: str) -> "Catalog":
    """The catalog of a language, read once."""
    from babel.messages.pofile import read_po

    with (FOLDER / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


@functools.cache
def translations(language: str) -> gettext.NullTranslations:
    """The same for looking up."""
    if language == SOURCE:
        return gettext.NullTranslations()
    from babel.messages.mofile import write_mo

    compiled = io.BytesIO()
    write_mo(compiled, read(language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def read_all() -> None:
    """Reads every catalog beforehand."""
    for language in LANGUAGES:
        translations(language)


def messages(language: str, context: str) -> dict[str, str]:
    """What the catalog has under a context, by English text; what is not translated is left out."""
    return {
        str(message.id): str(message.string)
        for message in read(language)
        if message.context == context and message.id and message.string
    }


def translated(language: str, text: str, **values: object) -> str:
    """A text in a language, with `values` in the places that it names.

    >>> translated("en", "Run {run} is {status}.", run=3, status="queued")
    'Run 3 is queued.'
    """
    found = translations(language).gettext(text) if text else text
    return found.format(**values) if values else found


def counted(language: str, one: str, many: str, number: int, **values: object) -> str:
    """The one or the other of two texts, as the number asks for in that language; `{number}` is the number.

    >>> [counted("en", "{number} run", "{number} runs", number) for number in (1, 2)]
    ['1 run', '2 runs']
    """
    return translations(language).ngettext(one, many, number).format(number=number, **values)
