"""What the questions about a run answer, as plain records: pages read them without torch."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from studio.config.plan import Prune


class Estimate(BaseModel):
    """Sizes are exact; time and memory are extrapolated from a few timed steps."""

    model_config = ConfigDict(frozen=True)

    teacher_parameters: int | None = None
    student_parameters: int | None = None
    teacher_is_taught: bool = False
    seconds: float | None = None
    memory_bytes: int | None = None
    device: str = ""
    notes: list[str] = []


class Sizes(BaseModel):
    """Parameters of the built-in models as they are for a data set: its classes and its words decide with."""

    model_config = ConfigDict(frozen=True)

    parameters: dict[str, int]


class Preview(BaseModel):
    """`ratios` that this student allows, and the share of `rows` validation rows that is right at each; 0 is
    unpruned."""

    model_config = ConfigDict(frozen=True)

    ratios: list[float]
    accuracy: list[float]
    rows: int
    step: Prune


class Form(BaseModel):
    """One form of the student. `same` is the share of checked rows with the same choice as in torch, `largest` the
    largest difference of a logit, `latency_ms` the median of one row at a time."""

    model_config = ConfigDict(frozen=True)

    name: str
    file: str = ""
    size_bytes: int
    rows: int
    same: float
    largest: float
    latency_ms: float
    left_out: str = ""


class Conversion(BaseModel):
    """All forms, torch first, timed in turns in one session with so many threads."""

    model_config = ConfigDict(frozen=True)

    forms: list[Form]
    threads: int


def read_conversion(folder: Path) -> Conversion | None:
    """What an earlier conversion left in the folder."""
    file = folder / "forms.json"
    return Conversion.model_validate(json.loads(file.read_text())) if file.is_file() else None
