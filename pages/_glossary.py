"""The words of the field, each explained once, with the numbers of the run at hand."""

from collections.abc import Sequence

from pages._pictures import in_points
from pages._scores import Scored, by_role, small
from pages._words import change, escape, measured
from studio.events import Comparison
from studio.tasks import Measure


def words_of_results(
    models: Sequence[Scored],
    measures: Sequence[Measure],
    others: dict[tuple[str, str], float],
    effect: Comparison | None,
) -> dict[str, str]:
    """Word and explanation, for the words that a results page of these models uses. `others`: further measures, by
    role and name."""
    first, known = measures[0], by_role(models)
    explained: dict[str, str] = {}
    if "student" in known:
        explained[small(first.title)] = _measure(first, known["student"])
    if "control" in known:
        explained["control"] = _control(known, first, effect)
    if "student" in known and known["student"].low < known["student"].high:
        explained["interval"] = _interval(known["student"], first, effect)
    if first.unit == "share" and effect is not None:
        explained["points"] = _points(effect, first)
    for measure in measures[1:]:
        if ("student", measure.name) in others:
            value = measured(others["student", measure.name], measure)
            explained[small(measure.title)] = f"{escape(measure.help)} The student’s is **{value}**."
    if "baseline" in known:
        explained["baseline"] = _baseline(known, first)
    return explained


def _measure(measure: Measure, student: Scored) -> str:
    if measure.name == "accuracy":
        right = round(student.value * student.rows)
        return (
            f"The share of test rows whose label the model got right. The student was right for **{right:,} of "
            f"{student.rows:,}**: {measured(student.value, measure)}."
        )
    return f"{escape(measure.help)} The student’s is **{measured(student.value, measure)}**."


def _control(known: dict[str, Scored], measure: Measure, effect: Comparison | None) -> str:
    control, student = known["control"], known["student"]
    told = (
        "The same small model on the same rows, trained for as many steps, but **without the teacher**. It shows what "
        f"the student would have learned alone: {measured(control.value, measure)}; with the teacher it is "
        f"{measured(student.value, measure)}."
    )
    if effect is None:
        return told
    return f"{told} The difference, **{in_points(effect.difference, measure)}**, is what the teacher brought."


def _interval(student: Scored, measure: Measure, effect: Comparison | None) -> str:
    low, high = measured(student.low, measure), measured(student.high, measure)
    told = (
        f"With other test rows a number would come out a little differently. A 95 % interval says how far: the "
        f"student’s {measured(student.value, measure)}, measured on {student.rows:,} rows, may just as well be "
        f"**{low} to {high}**. More test rows make it narrower."
    )
    if effect is None:
        return told
    holds = effect.low <= 0 <= effect.high
    ends = f"{change(effect.low, measure.unit)} to {change(effect.high, measure.unit)}"
    doubt = "holds 0, so the teacher may have brought nothing" if holds else "does not hold 0"
    return f"{told} That of the difference from the control, {ends}, {doubt}."


def _points(effect: Comparison, measure: Measure) -> str:
    rows = abs(round(effect.difference * effect.n))
    return (
        f"A point is one per cent of the test rows. **{in_points(effect.difference, measure)}** of {effect.n:,} rows "
        f"are {rows:,} rows."
    )


def _baseline(known: dict[str, Scored], measure: Measure) -> str:
    baseline, student = known["baseline"], known["student"]
    return (
        "A simple method of long ago that takes seconds to train, such as counting words. A model that is no better is "
        f"not worth its size. It reaches **{measured(baseline.value, measure)}**, the student "
        f"{measured(student.value, measure)}."
    )
