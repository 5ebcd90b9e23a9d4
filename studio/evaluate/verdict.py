"""What the numbers of a run mean, in one sentence."""

from collections.abc import Sequence
from typing import Literal

from studio.events import Comparison, Evaluation, Verdict
from studio.tasks import Measure

Outcome = Literal["better", "no_difference", "worse", "no_control"]


def verdict(evaluations: Sequence[Evaluation], comparison: Comparison | None, measure: Measure) -> Verdict:
    """How much was kept, how much smaller and faster, what the teacher brought. `measure` is the one that decides."""
    found = {(result.role, result.metric): result.value for result in evaluations}
    teacher, student = found["teacher", measure.name], found["student", measure.name]
    kept = f": {student / teacher:.0%} kept".replace("%", " %") if teacher > 0 else ""
    smaller = _times(found["teacher", "size_bytes"], found["student", "size_bytes"], "smaller", "larger")
    faster = _times(found["teacher", "latency_ms"], found["student", "latency_ms"], "faster", "slower")
    outcome, effect = _effect(comparison, measure)
    good = f"The student {measure.said(student)} (teacher {measure.written(teacher)}){kept}"
    return Verdict(outcome=outcome, sentence=f"{good}. It is {smaller} and {faster}. {effect}")


def _times(teacher: float, student: float, better: str, worse: str) -> str:
    ratio = teacher / student
    if 0.95 < ratio < 1.05:
        return f"no {better}"
    return f"{ratio:.1f} times {better}" if ratio > 1 else f"{1 / ratio:.1f} times {worse}"


def _effect(comparison: Comparison | None, measure: Measure) -> tuple[Outcome, str]:
    if comparison is None:
        return "no_control", "Without a control nobody can tell what the teacher brought."
    size = measure.difference(abs(comparison.difference))
    interval = f"95 % interval {measure.bound(comparison.low)} to {measure.bound(comparison.high)}"
    if comparison.low > 0:
        return "better", f"Learning from the teacher was worth it: {size} better than without a teacher ({interval})."
    if comparison.high < 0:
        return "worse", f"Learning from the teacher did harm: {size} worse than without a teacher ({interval})."
    if comparison.difference == 0:
        return "no_difference", f"No clear benefit from the teacher: without it the result is the same ({interval})."
    direction = "better" if comparison.difference > 0 else "worse"
    return "no_difference", f"No clear benefit from the teacher: {size} {direction} than without one ({interval})."
