"""The words of the field, each explained once, with the numbers of the run at hand."""

from collections.abc import Sequence

from pages._language import _, counted
from pages._pictures import in_points
from pages._scores import Scored, by_role, small
from pages._words import changes, escape, low_and_high, measured
from studio.events import Comparison
from studio.tasks import Measure


def words_of_results(
    models: Sequence[Scored],
    measures: Sequence[Measure],
    others: dict[tuple[str, str], float],
    effect: Comparison | None,
    training: Comparison | None = None,
) -> dict[str, str]:
    """Word and explanation, for the words that a results page of these models uses. `others`: further measures, by
    role and name; `effect`: the student against its control, `training`: against itself before it learned."""
    first, known = measures[0], by_role(models)
    explained: dict[str, str] = {}
    if "student" in known:
        explained[small(_(first.title))] = _measure(first, known["student"])
    if "control" in known:
        explained[_("control")] = _control(known, first, effect)
    if "untouched" in known:
        explained[_("before training")] = _untouched(known, first, training)
    if "student" in known and known["student"].low < known["student"].high:
        explained[_("interval")] = _interval(known["student"], first, effect)
    if first.unit == "share" and effect is not None:
        explained[_("points")] = _points(effect, first)
    for measure in measures[1:]:
        if ("student", measure.name) in others:
            value = measured(others["student", measure.name], measure)
            explained[small(_(measure.title))] = _students(measure, value)
    if "baseline" in known:
        explained[_("baseline")] = _baseline(known, first)
    return explained


def _students(measure: Measure, value: str) -> str:
    return _("{help} The student’s is **{value}**.", help=escape(_(measure.help)), value=value)


def _measure(measure: Measure, student: Scored) -> str:
    value = measured(student.value, measure)
    if measure.name == "accuracy":
        return _(
            "The share of test rows whose label the model got right. The student was right for **{right} of {rows}**: "
            "{value}.",
            right=f"{round(student.value * student.rows):,}",
            rows=f"{student.rows:,}",
            value=value,
        )
    return _students(measure, value)


def _control(known: dict[str, Scored], measure: Measure, effect: Comparison | None) -> str:
    text = _(
        "The same small model on the same rows, trained for as many steps, but **without the teacher**. It shows what "
        "the student would have learned alone: {control}; with the teacher it is {student}.",
        control=measured(known["control"].value, measure),
        student=measured(known["student"].value, measure),
    )
    if effect is None:
        return text
    gain = in_points(effect.difference, measure)
    return _("{told} The difference, **{gain}**, is what the teacher brought.", told=text, gain=gain)


def _untouched(known: dict[str, Scored], measure: Measure, training: Comparison | None) -> str:
    text = _(
        "The small model with the weights that it began with, **before it learned anything** of this data. It shows "
        "whether training was worth it at all: {untouched}; after it {student}.",
        untouched=measured(known["untouched"].value, measure),
        student=measured(known["student"].value, measure),
    )
    if training is None:
        return text
    gain, ends = in_points(training.difference, measure), changes(training.low, training.high, measure)
    return _("{told} The difference is **{gain}**, its 95 % interval {low} to {high}.", told=text, gain=gain, **ends)


def _interval(student: Scored, measure: Measure, effect: Comparison | None) -> str:
    text = _(
        "With other test rows a number would come out a little differently. A 95 % interval says how far: the "
        "student’s {value}, measured on {rows} rows, may just as well be **{low} to {high}**. More test rows make it "
        "narrower.",
        value=measured(student.value, measure),
        rows=f"{student.rows:,}",
        **low_and_high(student.low, student.high, measure),
    )
    if effect is None:
        return text
    ends = changes(effect.low, effect.high, measure)
    if effect.low <= 0 <= effect.high:
        return _(
            "{told} That of the difference from the control, {low} to {high}, holds 0, so the teacher may have brought "
            "nothing.",
            told=text,
            **ends,
        )
    return _("{told} That of the difference from the control, {low} to {high}, does not hold 0.", told=text, **ends)


def _points(effect: Comparison, measure: Measure) -> str:
    rows = abs(round(effect.difference * effect.n))
    return counted(
        "A point is one per cent of the test rows. **{gain}** of {all} rows are {rows} row.",
        "A point is one per cent of the test rows. **{gain}** of {all} rows are {rows} rows.",
        rows,
        gain=in_points(effect.difference, measure),
        all=f"{effect.n:,}",
        rows=f"{rows:,}",
    )


def _baseline(known: dict[str, Scored], measure: Measure) -> str:
    return _(
        "A simple method of long ago that takes seconds to train, such as counting words. A model that is no better is "
        "not worth its size. It reaches **{baseline}**, the student {student}.",
        baseline=measured(known["baseline"].value, measure),
        student=measured(known["student"].value, measure),
    )
