"""Images that stand as files in a column of a table, as the `datasets` library and the Hugging Face Hub keep them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from studio.data.cells import Found
from studio.data.refused import Refused
from studio.tasks import image_files

LABELS = ("label", "labels", "fine_label", "class", "category", "target")
"""What the column of the classes is called, the likeliest first."""


def of_cells(files: Sequence[Any], others: pd.DataFrame, label: str | None, before: int) -> Found:
    """Rows with the columns image, label, split and file, and the others as they are; those whose image cannot be
    read are left out. `before` them come so many rows."""
    data = [file["bytes"] if isinstance(file, dict) else None for file in files]
    good = np.array([isinstance(each, bytes) and image_files.is_image(each) for each in data], dtype=bool)
    names = [str(file.get("path") or "") if isinstance(file, dict) else "" for file in files]
    cells = np.empty(len(data), dtype=object)
    cells[:] = data
    said = others.pop(label) if label is not None else ""
    table = others.assign(image=cells, file=names, label=said)
    table = table if "split" in table else table.assign(split="")
    lines = before + 1 + np.flatnonzero(~good)
    refused = (Refused.of(image_files.NO_IMAGE, lines, np.array(names, dtype=object)[~good]),) if len(lines) else ()
    return Found(table[good].reset_index(drop=True), refused=refused)


def label_column(columns: Sequence[str], classes: Sequence[str]) -> str | None:
    """The column of the labels by its name, else the first one of `classes`, whose cells name classes.

    >>> label_column(["image", "coarse_label", "fine_label"], []), label_column(["image", "digit"], ["digit"])
    ('fine_label', 'digit')
    """
    there = {name.lower(): name for name in columns}
    return next((there[name] for name in LABELS if name in there), next(iter(classes), None))


def note(image: str, label: str | None) -> str:
    """Which columns were taken."""
    return f"The images are those of the column {image!r}, " + (
        "without labels." if label is None else f"the labels those of {label!r}."
    )
