"""Which task an upload is for, and which column is the input, which the label: guessed, so that a person only has to
look."""

import ast
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from studio import tasks
from studio.data import joining, label_columns, splits
from studio.data.label_columns import ID_NAMES
from studio.data.uploads import Upload
from studio.tasks.classes import are_sentences

SEPARATORS = ("|", ";", ",")
SAMPLE, LETTERS = 2_000, 10_000
MOST_LISTED = 20_000
"""Letters of a list as Python writes it: to read one of megabytes takes seconds, and a thousand times its memory."""

_TEXT_NAMES = ("text", "content", "document", "body", "story", "article")


@dataclass(frozen=True)
class Columns:
    """Which column is the input, which the label (None: there is none), which names the split (None: likewise), and
    which is the second text of a pair.

    `input` and `pair` may be several columns that are read as one text, such as `title + body`. `separator` stands
    between the labels of one cell, where a row can have several.
    """

    input: str
    label: str | None
    split: str | None = None
    separator: str | None = None
    pair: str | None = None

    def as_dict(self) -> dict[str, str]:
        """What was chosen, by its role; what was not is left out."""
        named = {
            "input": self.input,
            "pair": self.pair,
            "label": self.label,
            "split": self.split,
            "separator": self.separator,
        }
        return {role: column for role, column in named.items() if column is not None}

    def taken(self, there: Iterable[str]) -> set[str]:
        """The columns of a table that have a role."""
        known = list(there)
        return {part for name in self.as_dict().values() for part in joining.parts(name, known)}


def fitting(upload: Upload) -> list[str]:
    """The tasks that could read this upload, the one that it looks like first."""
    there = [name for name, task in tasks.TASKS.items() if task.inputs.guess(upload.kind, upload.table) is not None]
    best = next((name for name in reversed(there) if _looks_like(upload, name)), there[0])
    if best == there[0]:
        best = _without_labels(upload, there) or best
    return [best, *(name for name in there if name != best)]


def _without_labels(upload: Upload, there: Sequence[str]) -> str | None:
    """The task for texts alone, where there are columns of texts and none that could be a label."""
    names = {str(name).strip().lower() for name in upload.table.columns}
    plain = next((name for name in there if tasks.get(name).targets.column is None), None)
    are_texts = len(names) == 1 or not names.isdisjoint(_TEXT_NAMES)
    is_plain = are_texts and guess_columns(upload, there[0]).label is None
    return plain if is_plain or _two_texts(upload) else None


def _two_texts(upload: Upload) -> tuple[str, str] | None:
    """A prompt and its answer, whatever they are called: the only two columns beside numbers of rows and splits, both
    of texts that hardly ever come again, so that neither is a label."""
    names = [str(name) for name in upload.table.columns]
    plain = {name.strip().lower() for name in names}
    left = [name for name in names if name.strip().lower() not in (*ID_NAMES, *splits.COLUMNS)]
    if upload.kind != "table" or len(left) != 2 or not plain.isdisjoint(_TEXT_NAMES):
        return None
    read = (task.inputs.guess(upload.kind, upload.table) or {} for task in tasks.TASKS.values())
    if any(joining.PLUS in roles.get("input", "") for roles in read):
        return None
    cells = [[str(cell)[:LETTERS] for cell in upload.table[name].head(SAMPLE)] for name in left]
    are_texts = all(are_sentences(each) and guess_separator(each) is None for each in cells)
    return (left[0], left[1]) if are_texts else None


def guess_task(upload: Upload) -> str:
    return fitting(upload)[0]


def guess_columns(upload: Upload, task: str | None = None) -> Columns:
    """By name first; else the longest texts are the input, and the column with few different values the label."""
    task = guess_task(upload) if task is None else task
    inputs = tasks.get(task).inputs
    roles = inputs.guess(upload.kind, upload.table) or {}
    names = {str(name).strip().lower(): str(name) for name in upload.table.columns}
    split = roles.get("split") or next(
        (names[name] for name in splits.COLUMNS if _says_split(upload, names, name)), None
    )
    left = [str(name) for name in upload.table.columns if str(name) != split]
    if not left:  # the one column that there is holds what is to be read, whatever it is called
        left, split = [str(split)], None
    label = roles.get("label") or label_columns.by_name(
        upload.table, [name for name in left if name != roles.get("input")]
    )
    if not roles and tasks.get(task).targets.column is None and (two := _two_texts(upload)):
        roles = {"input": two[0], "pair": two[1]}
    text = roles.get("input") or _longest(upload, [name for name in left if name != label] or left)
    pair = roles.get("pair")
    if pair is None and any(column.role == "pair" and column.required for column in inputs.columns):
        others = [name for name in left if name not in (text, label)]
        pair = _longest(upload, others) if others else None
    if tasks.get(task).targets.column is None:
        label = None
    elif label is None:
        others = [name for name in left if name not in (text, pair)]
        label = label_columns.by_values(upload.table, others) or _numbers(upload, others, task)
    if label is not None and "label" not in roles and tasks.get(task).kind == "class":
        label = label_columns.spelled_out(upload.table, label)
    several = label is not None and tasks.get(task).multi_label_targets is not None
    are_several = several and are_lists(upload.table[label].head(SAMPLE))
    return Columns(text, label, split, pair=pair, separator=SEPARATORS[0] if are_several else None)


def _looks_like(upload: Upload, name: str) -> bool:
    """Whether every column that the task needs was found by its name or its kind, and the labels look like its own."""
    task = tasks.get(name)
    found = task.inputs.guess(upload.kind, upload.table) or {}
    if any(column.required and column.role not in (*found, "input") for column in task.inputs.columns):
        return False
    if task.targets.column is None:
        return "input" in found
    label = guess_columns(upload, name).label
    if label is None:
        return False
    cells = [str(cell) for cell in upload.table[label].head(SAMPLE)]
    are_pairs = any(column.role == "pair" and column.required for column in task.inputs.columns)
    return task.targets.fits(cells) and not (are_pairs and guess_separator(cells))


def _says_split(upload: Upload, names: dict[str, str], name: str) -> bool:
    """Whether there is a column of that name, and one of its first cells names a split."""
    return name in names and any(splits.of(str(cell)) for cell in upload.table[names[name]].head(SAMPLE))


def _longest(upload: Upload, names: Sequence[str]) -> str:
    """The column with the most letters: a text may be shorter than a price or an address."""
    sample = upload.table.head(SAMPLE // 10)
    begun = {name: sample[name].astype(str).str[:LETTERS] for name in names}
    return max(names, key=lambda name: begun[name].str.count(r"[^\W\d_]").mean())


def _numbers(upload: Upload, names: Sequence[str], task: str) -> str | None:
    """The first column of numbers for a task that learns numbers, though none of them may come again."""
    targets, sample = tasks.get(task).targets, upload.table.head(SAMPLE)
    fitting = (name for name in names if targets.kind == "number" and name.strip().lower() not in ID_NAMES)
    return next((name for name in fitting if targets.fits([str(cell) for cell in sample[name]])), None)


def are_lists(cells: Iterable[object]) -> bool:
    """Whether cells are lists of labels, as JSON, Parquet and Python hold them: there can be several. Lists of one
    length that hold 0 and 1 alone are no labels: each says of every label whether it is there.

    >>> are_lists(['["a", "b"]', "[]", ""]), are_lists(["[a]", "b"]), are_lists(["", "[]"])
    (True, False, False)
    >>> are_lists(["[3]", "[0, 12]"]), are_lists(["[0, 1, 0]", "[1, 0, 0]"])
    (True, False)
    """
    said = [str(cell).strip() for cell in cells]
    lists = [listed(cell) for cell in said if cell]
    if not any(lists) or any(found is None for found in lists):
        return False
    widths = {len(found or ()) for found in lists}
    return widths == {1} or len(widths) > 1 or not {label for found in lists for label in found or ()} <= {"0", "1"}


def guess_separator(column: Iterable[object]) -> str | None:
    """What stands between several labels of one cell: splitting there must leave few labels that come again."""
    cells = [str(cell) for cell in column if str(cell).strip()]
    if are_lists(cells):
        return SEPARATORS[0]
    for separator in SEPARATORS:
        parts = [part.strip() for cell in cells for part in cell.split(separator)]
        split = len(parts) - len(cells)
        if split >= len(cells) / 20 and len(set(parts)) < min(len(set(cells)), len(parts) / 5):
            return separator
    return None


def listed(cell: str) -> list[str] | None:
    """The texts or whole numbers that a cell holds as a list in JSON, or as Python writes one; None where it is none.

    >>> listed('["a", "b"]'), listed("['a', 'b']"), listed("[]"), listed("[1, 2]"), listed("[0.5]"), listed("[a]")
    (['a', 'b'], ['a', 'b'], [], ['1', '2'], None, None)
    """
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    is_json = "'" not in cell[:2]
    if not is_json and len(cell) > MOST_LISTED:
        return None
    try:
        found = json.loads(cell) if is_json else ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(found, list) or not all(type(value) in (str, int) for value in found):
        return None
    return [str(value) for value in found]
