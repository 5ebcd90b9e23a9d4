"""Rows without what the data check found wrong, where somebody asks for that: what goes is counted and named."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from studio.data.cleaning import Rows, as_refused, firsts, grouped
from studio.data.findings import FEW_ROWS
from studio.data.near_labels import near_labels, spelling
from studio.errors import DataError


def mended(rows: Rows, wanted: Iterable[str]) -> Rows:
    """The rows after these mendings, in the order of `MENDINGS`; of labels that are near each one that is named, as
    `label_near:delievery`, goes to its partner. Raises `DataError` where nothing would be left."""
    names = set(wanted)
    if "label_spelling" in names:
        rows = _one_spelling(rows)
    rows = _joined(rows, {name.removeprefix(NEAR) for name in names if name.startswith(NEAR)})
    for name in (name for name in MENDINGS if name in names and name != "label_spelling"):
        rows = MENDINGS[name](rows)
    return rows


NEAR = "label_near:"
OTHER_LABELS, REPEATED = "the same input has other labels", "it repeats the input of an earlier row"
FEW = f"its label has fewer than {FEW_ROWS} rows"
REASONS = {"conflicts": OTHER_LABELS, "copies": REPEATED, "rare": FEW}
"""By the kind of a mending why rows that it takes away are left out."""


def _joined(rows: Rows, rare: set[str]) -> Rows:
    """With the rows of these labels under those that they are near to. A label can be near to one that others have
    just been joined to, and is joined after those."""
    counts = Counter(rows.table["label"][rows.table["label"] != ""]) if rare else Counter()
    names = {pair.rare: pair.usual for pair in near_labels(counts) if pair.rare in rare}
    if not names:
        return rows
    label = rows.table["label"].astype(object).map(lambda cell: names.get(cell, cell)).astype("category")
    return _joined(_with_table(rows, rows.table.assign(label=label)), rare)


def _without(rows: Rows, gone: np.ndarray, reason: str) -> Rows:
    """All but the rows of a mask (rows,); they are kept among those that were not taken, with the reason."""
    if not gone.any():
        return rows
    if gone.all():
        raise DataError("No row would be left.", "Take that mending back.")
    table = rows.table[~gone].reset_index(drop=True)
    table["label"] = table["label"].cat.remove_unused_categories()
    return _with_table(replace(rows, refused=(*rows.refused, as_refused(reason, rows.table[gone]))), table)


def _with_table(rows: Rows, table: pd.DataFrame) -> Rows:
    labels = rows.learns.targets.names(list(table["label"].cat.categories), None)
    return replace(rows, table=table, labels=labels)


def _one_spelling(rows: Rows) -> Rows:
    """Labels that look alike, as the most frequent of them is written."""
    counts = Counter(rows.table["label"][rows.table["label"] != ""])
    written: dict[str, str] = {}
    for label, _ in counts.most_common():
        written.setdefault(spelling(label), label)
    names = {label: written[spelling(label)] for label in counts}
    label = rows.table["label"].astype(object).map(lambda cell: names.get(cell, cell)).astype("category")
    return _with_table(rows, rows.table.assign(label=label))


def _no_conflicts(rows: Rows) -> Rows:
    """Without inputs that have several labels."""
    labelled = (rows.table["label"] != "").to_numpy()
    pairs = pd.DataFrame({"group": rows.groups, "label": rows.table["label"].cat.codes.to_numpy()})
    several = pairs[labelled].groupby("group")["label"].nunique()
    return _without(rows, np.isin(rows.groups, several.index[several > 1]), OTHER_LABELS)


def _no_copies(rows: Rows) -> Rows:
    """The first of rows with the same input in the same split."""
    keys = np.stack([rows.groups, rows.table["split"].astype("category").cat.codes.to_numpy()], axis=1)
    unique = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    return _without(rows, ~firsts(grouped(unique)), REPEATED)


def _no_rare(rows: Rows) -> Rows:
    """Without the labels that have few rows."""
    counts = rows.table["label"].value_counts()
    rare = rows.table["label"].isin([label for label, count in counts.items() if label != "" and count < FEW_ROWS])
    return _without(rows, rare.to_numpy(), FEW)


MENDINGS: dict[str, Callable[[Rows], Rows]] = {
    "label_spelling": _one_spelling,
    "conflicts": _no_conflicts,
    "copies": _no_copies,
    "rare": _no_rare,
}
"""By the kind of the finding that each takes away."""
