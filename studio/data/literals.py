"""Cells that hold bytes as Python writes them, such as b'caf\\xc3\\xa9': what stands in them."""

import ast
import re

import pandas as pd

from studio.data.cells import clean_text

LOOKED_AT = 2_000
_BYTES = re.compile(r"b'[^']*'|b\"[^\"]*\"|b'(?:[^'\\]|\\.)*'", re.DOTALL)


class Literals:
    """Changes the tables of a file, one block after the other; the first one tells whether there are such columns."""

    def __init__(self, table: pd.DataFrame) -> None:
        some = table.head(LOOKED_AT)
        self.columns = [str(name) for name in some.columns if _are_bytes(some[name])]

    def changed(self, table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(**{name: [_text(cell) for cell in table[name]] for name in self.columns})

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(f"The cells of {name!r} are bytes as Python writes them; the text in them is read."
                     for name in self.columns)  # fmt: skip


def _are_bytes(cells: pd.Series) -> bool:
    said = [cell for cell in cells if cell]
    return bool(said) and all(isinstance(cell, str) and _BYTES.fullmatch(cell) for cell in said)


def _text(cell: str) -> str:
    """
    >>> _text("b'caf\\\\xc3\\\\xa9'"), _text("b'open"), _text("plain")
    ('café', "b'open", 'plain')
    """
    if not isinstance(cell, str) or not _BYTES.fullmatch(cell):
        return cell
    try:
        found = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return cell
    return clean_text(found.decode("utf-8", "replace")) if isinstance(found, bytes) else cell
