"""Stand-in for `studio.tasks` until it is there; nothing else may import it under another name than `tasks`."""

from dataclasses import dataclass
from typing import Any

from studio.config.references import BUILTIN_IMAGE, BUILTIN_TEXT
from studio.config.run import CHANGES


@dataclass(frozen=True)
class Column:
    role: str
    title: str
    help: str
    required: bool


@dataclass(frozen=True)
class Measure:
    name: str
    title: str
    unit: str
    help: str


@dataclass(frozen=True)
class Task:
    name: str
    title: str
    modality: str
    kind: str
    columns: tuple[Column, ...]
    builtins: tuple[str, ...]
    units: tuple[str, ...]
    quantized_form: str
    changes: dict[str, str]
    measures: tuple[Measure, ...]
    terms: tuple[str, ...] = ("soft_target",)

    @property
    def can_be_multi_label(self) -> bool:
        return True


SPLIT = Column("split", "Split column", "A column that says train, validation or test.", False)
LABEL = Column("label", "Label column", "The column with the right answers.", True)
MEASURES = (
    Measure("accuracy", "Accuracy", "share", "The share of rows that are right."),
    Measure("f1_macro", "Macro F1", "share", "All classes count the same."),
)


def get(name: str, multi_label: bool = False) -> Task:
    kind = "multi_label" if multi_label else "class"
    if name == "image-classification":
        changes: Any = CHANGES["image-classification"]
        image = Column("input", "Image", "", True)
        return Task(name, "Image classification", "image", kind, (image, LABEL, SPLIT), BUILTIN_IMAGE,
                    ("channels", "heads", "neurons", "layers"), "int8_static", changes, MEASURES)  # fmt: skip
    text = Column("input", "Text column", "The column with the texts.", True)
    changes = CHANGES["text-classification"]
    return Task(name, "Text classification", "text", kind, (text, LABEL, SPLIT), BUILTIN_TEXT,
                ("heads", "neurons", "layers"), "int8", changes, MEASURES)  # fmt: skip


TASKS = {name: get(name) for name in ("text-classification", "image-classification")}


def fitting(upload: Any) -> list[str]:
    from studio.data.columns import guess_task

    return [guess_task(upload)]


def guess_columns(upload: Any, task: str) -> Any:
    from studio.data import columns

    return columns.guess_columns(upload)
