"""Tables beside images that say of each file which class it is of."""

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from studio.data import splits
from studio.data.heads import LABEL_NAMES
from studio.errors import DataError

FILES = ("file", "filename", "file_name", "image", "image_id", "path", "id")
LABELS = ("label", "class", "category", "target")
ROWS_A_CLASS = 4
CURE = "Write the columns file, label and, if you like, split."


def labels(name: str, table: pd.DataFrame, known: Collection[str]) -> dict[str, tuple[str, str]]:
    """{file: (split, label)}. `known` are the names under which a table may list the images: the column that holds most
    of them is that of the files, the first one whose values come again and again that of the labels, where no name
    tells.

    Raises `DataError` where there are too few columns.
    """
    named = {str(column).strip().lower(): str(column) for column in table.columns}
    split, label = named.get("split"), _first(named, (*LABELS, *LABEL_NAMES))
    file = _first(named, FILES) or _of_files(table, [one for one in named.values() if one not in (split, label)], known)
    left = [one for one in named.values() if one not in (file, split)]
    if file is None or not left:
        raise DataError(
            f"The table {name!r} in the archive has {len(table.columns)} columns; it needs file and label.", CURE
        )
    label = label or next((one for one in left if _are_classes(table[one])), left[0])
    if split is not None:
        splits.require_known({cell for cell in table[split] if cell.strip()}, "A split of the table")
    marked = [splits.of(cell) or "" for cell in table[split]] if split is not None else [""] * len(table)
    cells = zip(table[file], marked, table[label], strict=True)
    return {path.strip(): (where, said.strip()) for path, where, said in cells}


def _first(named: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    return next((named[name] for name in wanted if name in named), None)


def _of_files(table: pd.DataFrame, names: list[str], known: Collection[str]) -> str | None:
    """The column whose cells are names of images; the first one where none has any."""
    return max(names, key=lambda one: sum(cell.strip() in known for cell in table[one]), default=None)


def _are_classes(cells: pd.Series) -> bool:
    return 1 < cells.nunique() <= max(2, len(cells) // ROWS_A_CLASS)
