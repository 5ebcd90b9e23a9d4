"""What a run measured of its models, and the three numbers that are said of it: kept, smaller, faster."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pages import _words
from pages._language import N_, _, held
from pages._words import change, measured, per_cent, signed, size
from studio.evaluate.measured import NOISY, kept_percent, timing_noise
from studio.events import Comparison, Evaluation
from studio.tasks import Measure

ROLES = {
    "teacher": N_("the large model"),
    "student": N_("the small model that learned from it"),
    "control": N_("the same small model, trained without the teacher"),
    "smoothed": N_("the same small model, trained on labels as soft as the teacher’s answers"),
    "untouched": N_("the small model before it learned anything; it is not timed again"),
    "baseline": N_("a simple method to compare with"),
}
PEOPLE = ("Spearman", "Pearson")
LEAST_CHANGE = 1.05
"""A ratio nearer to one than this is no difference."""


@dataclass(frozen=True)
class Scored:
    """One model of a run: the deciding measure with its interval, and what the model takes. Not `is_timed_apart`: the
    interval of its time against the student's, made wider by noise, holds 1. Not `is_timed_exactly`: the times of one
    network were apart by more than they may."""

    role: str
    value: float
    low: float
    high: float
    rows: int
    size_bytes: float | None = None
    parameters: float | None = None
    latency_ms: float | None = None
    runtime: str = ""
    is_timed_apart: bool = True
    is_timed_exactly: bool = True
    times_at_least: float = 1.0
    """How many times as long as the student it takes at the very least."""

    @property
    def name(self) -> str:
        return _words.role(self.role)


@dataclass(frozen=True)
class Number:
    """One of the three large numbers: the number, its unit, what it is, what it is made of; what it is in a word."""

    value: str
    unit: str
    words: str
    detail: str
    short: str


Found = dict[tuple[str, str], Evaluation]
"""What was measured, by role and metric."""


def on_test(evaluations: Sequence[Evaluation]) -> Found:
    """What was measured on the test rows, or on no rows at all."""
    return {
        (evaluation.role, evaluation.metric): evaluation
        for evaluation in evaluations
        if evaluation.split in ("", "test")
    }


def scored(evaluations: Sequence[Evaluation], measure: Measure) -> list[Scored]:
    """The models of a run, teacher first, as the test rows saw them."""
    found = on_test(evaluations)
    models, noise = [], timing_noise(found)
    noise = noise if noise >= NOISY else 1.0
    for role in ROLES:
        evaluation = found.get((role, measure.name))
        if evaluation is None:
            continue
        costs = {
            name: found[role, name].value
            for name in ("size_bytes", "parameters", "latency_ms")
            if (role, name) in found
        }
        low, high = (evaluation.value if end is None else end for end in (evaluation.low, evaluation.high))
        timed, ratio = (found.get((role, name)) for name in ("latency_ms", "latency_ratio"))
        models.append(
            Scored(
                role,
                evaluation.value,
                low,
                high,
                evaluation.n or 0,
                **costs,
                runtime=timed.runtime if timed else "",
                is_timed_apart=not _holds_one(ratio, noise),
                is_timed_exactly=noise == 1,
                times_at_least=((ratio and ratio.low) or 0) / noise,
            )
        )
    return models


def _holds_one(ratio: Evaluation | None, noise: float) -> bool:
    """Whether the interval of a ratio, made wider by a factor, holds 1, so that nobody can say which of the two is
    more."""
    return ratio is not None and (ratio.low or 0) / noise <= 1 <= (ratio.high or 0) * noise


def comparison_of(comparisons: Sequence[Comparison], second: str, measure: Measure) -> Comparison | None:
    """The student against another model of its run, on the test rows, in a measure."""
    wanted = ("student", second, measure.name, "test")
    return next((pair for pair in comparisons if (pair.first, pair.second, pair.metric, pair.split) == wanted), None)


def by_role(models: Sequence[Scored]) -> dict[str, Scored]:
    return {model.role: model for model in models}


def three(models: Sequence[Scored], measure: Measure, outcome: str | None = None) -> list[Number]:
    """Kept, smaller, faster, as far as they were measured; of a run that learned nothing how good the student is, since
    there was nothing to keep."""
    known = by_role(models)
    if "teacher" not in known or "student" not in known:
        return []
    teacher, student = known["teacher"], known["student"]
    numbers = [(_reached if outcome in NOTHING_LEARNED else _kept)(teacher, student, measure)]
    if teacher.size_bytes and student.size_bytes:
        detail = _("{student} against {teacher}", student=size(student.size_bytes), teacher=size(teacher.size_bytes))
        words = (_("smaller on disk"), _("smaller")), (_("larger on disk"), _("larger")), _("no smaller on disk")
        numbers.append(_times(teacher.size_bytes, student.size_bytes, words, detail))
    if teacher.latency_ms and student.latency_ms and teacher.runtime == student.runtime:
        numbers.append(_faster(teacher, teacher.latency_ms, student.latency_ms))
    return numbers


def _faster(of: Scored, teacher: float, student: float) -> Number:
    """`of`: the teacher, which knows how it was timed."""
    times = {"student": milliseconds(student), "teacher": milliseconds(teacher)}
    if of.runtime:
        detail = _("{student} against {teacher}, one row at a time in {runtime}", **times, runtime=of.runtime)
    else:
        detail = _("{student} against {teacher}, one row at a time", **times)
    if not of.is_timed_apart:
        return Number("1", "×", _("not clearly faster or slower"), detail, _("faster"))
    if not of.is_timed_exactly and of.times_at_least >= 2:
        said = f"≥\N{NARROW NO-BREAK SPACE}{times_below(of.times_at_least)}"
        detail = _("{times}; not measured exactly", times=detail)
        return Number(said, "×", _("faster at least"), detail, _("faster"))
    if not of.is_timed_exactly:
        said = _("Faster") if teacher > student else _("Slower")
        return Number(said, "", _("not measured exactly"), detail, _("not exact"))
    words = (_("faster"), _("faster")), (_("slower"), _("slower")), _("no faster")
    return _times(teacher, student, words, detail)


def _kept(teacher: Scored, student: Scored, measure: Measure) -> Number:
    title = small(_(measure.title))
    detail = _(
        "{student} against {teacher}",
        student=measured(student.value, measure),
        teacher=measured(teacher.value, measure),
    )
    if measure.unit == "share" and teacher.value > 0:
        share = kept_percent(student.value / teacher.value)
        if float(share) > 100:
            words = _("of the teacher’s {measure} reached", measure=title)
            return Number(share, "%", words, detail, _("reached"))
        return Number(share, "%", _("of the teacher’s {measure} kept", measure=title), detail, _("kept"))
    if measure.lower:
        return _apart(student.value - teacher.value, title, detail)
    words = _("in {measure}, against the teacher", measure=title)
    apart = change(measure.shown(student.value - teacher.value), measure.unit)
    return Number(apart, "", words, detail, _("against the teacher"))


def _reached(teacher: Scored, student: Scored, measure: Measure) -> Number:
    number, _blank, unit = measure.written(student.value).partition(" ")
    title = small(_(measure.title))
    detail = _("its teacher has {teacher}", teacher=measured(teacher.value, measure))
    return Number(signed(number), unit, _("{measure} of the student", measure=title), detail, title)


def _apart(better: float, title: str, detail: str) -> Number:
    """How far a student is from its teacher in a measure that is better the lower it is, where a sign would say
    nothing."""
    number = f"{abs(better):.3f}"
    if round(better, 3) == 0:
        return Number(number, "", _("as good as the teacher in {measure}", measure=title), detail, _("as good"))
    if better > 0:
        return Number(number, "", _("better than the teacher in {measure}", measure=title), detail, _("better"))
    return Number(number, "", _("worse than the teacher in {measure}", measure=title), detail, _("worse"))


Words = tuple[tuple[str, str], tuple[str, str], str]
"""What is said of a student that takes less, of one that takes more, each also in a word; of one that takes as much."""


def _times(teacher: float, student: float, words: Words, detail: str) -> Number:
    less, more, same = words
    ratio = teacher / student
    if 1 / LEAST_CHANGE < ratio < LEAST_CHANGE:
        return Number("1", "×", same, detail, less[1])
    (said, short), shown = (less, ratio) if ratio > 1 else (more, 1 / ratio)
    return Number(times(shown), "×", said, detail, short)


def times(ratio: float) -> str:
    """A ratio in few characters.

    >>> times(47.14), times(3.9), times(9.97)
    ('47', '3.9', '10')
    """
    return f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}"


def times_below(ratio: float) -> str:
    """The same, never above what it is.

    >>> times_below(13.98), times_below(9.97)
    ('13', '9.9')
    """
    return times(math.floor(ratio) if ratio >= 10 else math.floor(10 * ratio) / 10)


def milliseconds(value: float) -> str:
    """A short time; two digits that mean something.

    >>> milliseconds(0.0704), milliseconds(1.234), milliseconds(15.2)
    ('0.07\\xa0ms', '1.2\\xa0ms', '15\\xa0ms')
    """
    return held(f"{value:.2f} ms" if value < 1 else f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms")


def levels(low: float, high: float, measure: Measure) -> Iterator[tuple[float, str]]:
    """A few round values of a measure between two, as an axis has them, with as many decimals each; a share is at most
    1.

    >>> [words for _value, words in levels(0.72, 1.03, Measure("accuracy", "Accuracy", ""))]
    ['80\\xa0%', '90\\xa0%', '100\\xa0%']
    >>> [words for _value, words in levels(0.27, 0.35, Measure("r", "R", "", unit="number"))]
    ['0.28', '0.30', '0.32', '0.34']
    """
    step = 10 ** math.floor(math.log10((high - low) / 2))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 5)
    value = math.ceil(low / step) * step
    unit, ending = (100, per_cent()) if measure.unit == "share" else (measure.shown(1), "")
    decimals = max(0, -math.floor(math.log10(step * abs(unit)) + 1e-9))
    while value <= (min(1.0, high) if measure.unit == "share" else high):
        value = round(value, 10)
        yield value, f"{signed(f'{unit * value:.{decimals}f}')}{ending}"
        value += step


def small(title: str) -> str:
    """A title within a sentence; people keep their capitals.

    >>> small("Macro F1"), small("Accuracy"), small("Pearson correlation")
    ('macro F1', 'accuracy', 'Pearson correlation')
    """
    return title if title.startswith(PEOPLE) else title[0].lower() + title[1:]


NOTHING_LEARNED = ("not_learned", "weak_teacher")
"""Outcomes under which nothing was kept, however alike two numbers are."""


def headline(models: Sequence[Scored], measure: Measure, outcome: str | None = None) -> str:
    """The finding as a title, for which everybody would read on; of a run that learned nothing the plain numbers."""
    known = by_role(models)
    if "teacher" not in known or "student" not in known:
        return _("Results")
    student, teacher, title = known["student"], known["teacher"], small(_(measure.title))
    if measure.unit == "share" and teacher.value > 0 and outcome not in NOTHING_LEARNED:
        kept = kept_percent(student.value / teacher.value)
        if float(kept) > 100:
            first = _(
                "As good as its teacher in {measure} ({student} against {teacher})",
                student=measured(student.value, measure),
                teacher=measured(teacher.value, measure),
                measure=title,
            )
        else:
            first = _("Keeps {kept} % of the teacher’s {measure}", kept=kept, measure=title)
    else:
        first = _(
            "{measure}: {student} (teacher\N{NO-BREAK SPACE}{teacher})",
            student=measured(student.value, measure),
            teacher=measured(teacher.value, measure),
            measure=_(measure.title),
        )
    if outcome in NOTHING_LEARNED:
        return signed(_("{finding}.", finding=first))
    return signed(_with_size(first, (teacher.size_bytes or 1) / (student.size_bytes or teacher.size_bytes or 1)))


def _with_size(first: str, ratio: float) -> str:
    """A finding, and how many times smaller or larger the student is; `ratio` 1 where that is not known."""
    if 1 / LEAST_CHANGE < ratio < LEAST_CHANGE:
        return _("{finding}.", finding=first)
    if ratio > 1:
        return _("{finding}, {ratio} times smaller.", finding=first, ratio=times(ratio))
    return _("{finding}, {ratio} times larger.", finding=first, ratio=times(1 / ratio))
