"""Models measured and compared, and the verdict on a run that went well but for what a test says."""

from studio import tasks
from studio.config.reading import parse_config
from studio.evaluate import intervals
from studio.evaluate.measured import Facts
from studio.evaluate.verdict import verdict
from studio.events import Comparison, Evaluation, Verdict
from studio.tasks import Reference

MEASURES = tasks.get("text-classification").measures
CONFIG = parse_config({"dataset": "d", "teacher": "builtin/transformer-base", "student": "builtin/transformer-tiny"})
RATES = {"teacher": 5e-4, "student": 5e-4}
EPOCHS = {"teacher": 6.0, "student": 4.5}
HALF = Reference({"accuracy": 0.5, "f1_macro": 0.5}, {"accuracy": 0.5, "f1_macro": 0.33})


def measured(role: str, value: float, rows: int = 1000, metric: str = "accuracy", **costs: float) -> list[Evaluation]:
    """A model's value with its interval, its size and its time."""
    low, high = intervals.accuracy_interval(round(value * rows), rows)
    quality = Evaluation(role=role, split="test", metric=metric, value=value, low=low, high=high, n=rows)
    values = {"size_bytes": 1_000.0, "latency_ms": 2.0, "parameters": 250.0} | costs
    return [quality, *(Evaluation(role=role, split="", metric=name, value=cost) for name, cost in values.items())]


def against(
    second: str, gained: int, lost: int, rows: int = 1000, metric: str = "accuracy", first: str = "student"
) -> Comparison:
    """The first, which alone is right on `gained` rows, and the other on `lost`."""
    low, high = intervals.paired_difference(rows, gained, lost)
    return Comparison(
        first=first, second=second, split="test", metric=metric, difference=(gained - lost) / rows, low=low,
        high=high, p_value=intervals.mcnemar(gained, lost), n=rows, gained=gained, lost=lost,
    )  # fmt: skip


def told(
    teacher: float = 0.9,
    student: float = 0.88,
    control: float | None = 0.85,
    pairs: tuple[Comparison, ...] = (against("control", 40, 10),),
    rows: int = 1000,
    baseline: float | None = None,
    untouched: float | None = None,
    config=CONFIG,
    reference: Reference = HALF,
    **facts,
) -> Verdict:
    """The verdict on a run that went well, but for what a test says."""
    found = measured("teacher", teacher, rows, size_bytes=10_000, latency_ms=4) + measured("student", student, rows)
    found += [] if control is None else measured("control", control, rows)
    found += [] if baseline is None else measured("baseline", baseline, rows)
    found += [] if untouched is None else measured("untouched", untouched, rows)
    facts = {"rates": RATES, "epochs": EPOCHS} | facts
    return verdict(found, pairs, MEASURES, Facts(reference=reference, config=config, **facts))


def codes(said: Verdict) -> list[str]:
    return [caution.code for caution in said.cautions]


def majority(share: float, misleads: bool) -> Reference:
    return Reference({"accuracy": 0.5, "f1_macro": 0.4}, {"accuracy": share, "f1_macro": share / (1 + share)}, misleads)
