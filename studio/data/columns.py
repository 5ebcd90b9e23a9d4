"""Which column is the input, which the label: guessed, so that a person only has to look."""

from dataclasses import dataclass

from studio.config.run import TaskName
from studio.data.uploads import Upload

SEPARATORS = ("|", ";", ",")
_INPUT_NAMES = ("text", "sentence", "message", "review", "content", "question", "utterance", "body", "text_a", "title")
_LABEL_NAMES = ("label", "labels", "class", "category", "intent", "target", "sentiment", "y", "tag", "topic")


@dataclass(frozen=True)
class Columns:
    """Which column is the input, which the label (None: there is none), which names the split (None: likewise).

    `separator` stands between the labels of one cell, where a row can have several.
    """

    input: str
    label: str | None
    split: str | None = None
    separator: str | None = None

    def as_dict(self) -> dict[str, str]:
        """What was chosen, by its role; what was not is left out."""
        named = {"input": self.input, "label": self.label, "split": self.split, "separator": self.separator}
        return {role: column for role, column in named.items() if column is not None}


def guess_task(upload: Upload) -> TaskName:
    return "image-classification" if upload.kind == "images" else "text-classification"


def guess_columns(upload: Upload) -> Columns:
    """By name first; else the longest texts are the input, and the column with few different values the label."""
    if upload.kind == "images":
        return Columns("image", "label", "split")
    table = upload.table
    names = {str(name).strip().lower(): str(name) for name in table.columns}
    split = next((names[name] for name in ("split", "subset", "partition") if name in names), None)
    left = [str(name) for name in table.columns if str(name) != split]
    sample = table.head(2_000)
    label = next((names[name] for name in _LABEL_NAMES if name in names), None)
    text = next((names[name] for name in _INPUT_NAMES if name in names and names[name] != label), None)
    if text is None:
        others = [name for name in left if name != label] or left
        text = max(others, key=lambda name: sample[name].astype(str).str.len().mean())
    if label is None:
        others = [name for name in left if name != text]
        few = [name for name in others if 1 < sample[name].nunique() <= max(2, min(200, len(sample) // 2))]
        label = min(few, key=lambda name: sample[name].nunique(), default=others[0] if others else None)
    return Columns(text, label, split)


def guess_separator(upload: Upload, label: str | None) -> str | None:
    """What stands between several labels of one cell: splitting there must leave few labels that come again."""
    if label is None or label not in upload.table.columns:
        return None
    cells = [str(cell) for cell in upload.table[label].head(2_000) if str(cell).strip()]
    for separator in SEPARATORS:
        parts = [part.strip() for cell in cells for part in cell.split(separator)]
        split = len(parts) - len(cells)
        if split >= len(cells) / 20 and len(set(parts)) < min(len(set(cells)), len(parts) / 5):
            return separator
    return None
