"""What the numbers of a run mean: one sentence, the cautions that stand beside it, and what to do next."""

from collections.abc import Sequence

from studio.config.references import ModelReference
from studio.evaluate import cautions
from studio.evaluate.measured import Facts, Measured, is_at_floor, is_clear, kept_percent
from studio.evaluate.multiple import SIGNIFICANT
from studio.evaluate.next_step import next_step
from studio.events import Comparison, Evaluation, Outcome, Verdict
from studio.tasks import Measure

SIZES = ("no smaller", "{} times smaller", "{} times larger")
SPEEDS = ("no faster", "{} times faster", "{} times slower")
"""Of a ratio: what is said where it is one, above, and below."""


def verdict(
    evaluations: Sequence[Evaluation], comparisons: Sequence[Comparison], measures: Sequence[Measure], facts: Facts
) -> Verdict:
    """How much was kept, how much smaller and faster, what the teacher brought, and how far that can be trusted.

    `measures` are those of the task; the first one decides, the second one where the first misleads.
    """
    found = Measured.of_run(evaluations, comparisons, measures, facts)
    outcome, effect = _effect(found)
    caveats = cautions.all_of(found, outcome)
    codes = [caution.code for caution in caveats]
    told = (_untouched(found), effect) if "worse_than_untouched" in codes else (effect, _untouched(found))
    parts = (_kept(found), _alike(found), _rare(found), _costs(found), *told, _tuned(found, outcome), _smoothed(found),
             _baseline(found))  # fmt: skip
    return Verdict(
        outcome=outcome,
        sentence=" ".join(filter(None, parts)),
        cautions=caveats,
        next_step=next_step(found, outcome, codes),
    )


def _kept(found: Measured) -> str:
    teacher, student, measure = found.value("teacher"), found.value("student"), found.lead
    spread, beside = found.of("student").spread, f"teacher {measure.written(teacher)}"
    if spread is not None:
        beside = f"teacher {measure.written(teacher)}; mean of {found.seeds} seeds, ± {measure.difference(spread)}"
    if found.kept is None or found.not_learned or found.teacher_taught_nothing:  # nothing was there to keep
        return f"The student {measure.said(student)} ({beside})."
    return f"The student {measure.said(student)} ({beside}): {kept_percent(found.kept)} % kept."


def _alike(found: Measured) -> str:
    """Of a model that writes: how often it would write on as the teacher does."""
    agreement = found.evaluations.get(("student", "agreement"))
    if agreement is None:
        return ""
    perplexity = -found.evaluations["student", "perplexity"].value
    share = f"{100 * agreement.value:.0f} %"
    return f"It writes the teacher's next token {share} of the time (perplexity {perplexity:.2f})."


def _rare(found: Measured) -> str:
    """Where accuracy misleads, how many rows of the rarest class are found."""
    rare = found.facts.rare
    if rare is None or not found.facts.reference.misleads:
        return ""
    return f"It finds {rare.found['student']} of {rare.rows} rows of {rare.label!r} (teacher {rare.found['teacher']})."


def _costs(found: Measured) -> str:
    """How much smaller it is, and how much faster than its teacher where both were timed in the same runtime: another
    one alone makes the same model several times faster or slower."""
    sizes = [found.evaluations[role, "size_bytes"].value for role in ("teacher", "student")]
    smaller = _times(sizes[0] / sizes[1], SIZES)
    teacher, student = (found.evaluations[role, "latency_ms"] for role in ("teacher", "student"))
    if teacher.runtime != student.runtime:
        return f"It is {smaller}."
    faster = _times(teacher.value / student.value, SPEEDS)
    ratio = found.evaluations.get(("teacher", "latency_ratio"))
    if ratio is None or ratio.low is None or ratio.high is None:
        return f"It is {smaller} and {faster}."
    if ratio.low <= 1 <= ratio.high:
        return f"It is {smaller}, and not clearly faster or slower ({ratio.low:.1f} to {ratio.high:.1f} times)."
    low, high = (ratio.low, ratio.high) if ratio.value > 1 else (1 / ratio.high, 1 / ratio.low)
    return f"It is {smaller} and {faster} ({low:.1f} to {high:.1f}; {_place(ratio)}, one row at a time)."


def _place(timed: Evaluation) -> str:
    """In what a model was timed."""
    if timed.threads is None:
        return timed.runtime
    return f"{timed.runtime}, {timed.threads} thread{'' if timed.threads == 1 else 's'}"


def _times(ratio: float, words: tuple[str, str, str]) -> str:
    same, better, worse = words
    if 0.95 < ratio < 1.05:
        return same
    return better.format(f"{ratio:.1f}") if ratio > 1 else worse.format(f"{1 / ratio:.1f}")


def _effect(found: Measured) -> tuple[Outcome, str]:
    """What the teacher brought, or what stands in the way of saying so."""
    measure, floor = found.lead, found.facts.reference.floor(found.lead.name)
    floor_words = f"{found.facts.reference.words} ({measure.written(floor)})"
    if found.not_learned:
        return "not_learned", f"The student did not learn: it is not clearly better than {floor_words}."
    if found.teacher_taught_nothing:
        if is_at_floor(found.of("teacher"), found.facts.reference):
            why = f"it is not clearly better than {floor_words}"
        else:
            why = "training did not make it better than it was at its start"
        return "weak_teacher", f"The teacher is too weak to learn from: {why}."
    if found.effect is None:
        return "no_control", "Without a control nobody can tell what the teacher brought."
    return _compared(found, found.effect)


def _compared(found: Measured, effect: Comparison) -> tuple[Outcome, str]:
    measure, against = found.lead, _control_words(found)
    size, interval = measure.difference(abs(effect.difference)), _interval(found, effect)
    where = "In this run" if effect.spread is None else f"Over {found.seeds} seeds"
    clear = 1 if is_clear(effect, 1) else -1 if is_clear(effect, -1) else 0
    if not clear and (effect.low > 0 or effect.high < 0):
        interval = f"{interval}, but p = {effect.p_value:.2g} in the paired test: below {SIGNIFICANT} it would be clear"
    apart = f"{size} better" if effect.difference > 0 else f"{size} worse"
    if clear and found.unfinished and measure.lower:
        where = f"{where}, with as many steps for both,"  # who tells what comes next is never done learning
    elif clear and found.unfinished:
        who = " and ".join(found.unfinished)
        reason = f"the {who} would have gone on improving, so the two cannot be compared yet"
        return "no_difference", f"What the teacher brought cannot be told: {reason} ({apart}, {interval})."
    if clear > 0:
        return (
            "better",
            f"{where} learning from the teacher was worth it: {size} better than {against} ({interval}).",
        )
    if clear < 0:
        return "worse", f"{where} learning from the teacher did harm: {size} worse than {against} ({interval})."
    if size == measure.difference(0):
        return "no_difference", f"No clear benefit from the teacher: {against} the score is the same ({interval})."
    return "no_difference", f"No clear benefit from the teacher: {apart} than {against} ({interval})."


def _interval(found: Measured, pair: Comparison) -> str:
    """How sure a difference is, and over several seeds how much they are apart."""
    measure = found.lead
    low, high = measure.bounds(pair.low, pair.high)
    interval = f"95 % interval {low} to {high}"
    if measure.lower:  # the sign of the interval says less than the numbers themselves
        first, second = (measure.written(found.value(role)) for role in (pair.first, pair.second))
        interval = f"{first} against {second}, {interval}"
    if pair.spread is not None:
        interval = f"± {measure.difference(pair.spread)} over {found.seeds} seeds, {interval}"
    return interval


def _control_words(found: Measured) -> str:
    """What the control is. A student that is cut from its teacher shares the layers with its control: only what the
    teacher answers sets the two apart, unless the control has them as they were before the teacher learned."""
    config = found.facts.config
    if ModelReference.parse(config.student).layers is None:
        return "without a teacher"
    if config.control_start == "pretrained" and found.teacher_is_taught:
        return "with the layers that the teacher had before it was trained, and labels alone"
    return "with the same layers of the teacher and labels alone"


def _tuned(found: Measured, outcome: Outcome) -> str:
    """What the student had beside a teacher, where that was praised."""
    if outcome != "better" or not found.facts.config.auto:
        return ""
    return (
        "Its temperature and alpha were chosen in trials on validation rows that took as many steps again; the "
        "control, which has neither, had none."
    )


def _smoothed(found: Measured) -> str:
    """Whether the teacher's knowledge helped, or that its answers are soft: a control with labels as soft tells."""
    against = found.comparisons.get(("student", "smoothed"))
    if against is None or found.not_learned:
        return ""
    value, control = (
        found.lead.written(found.value("smoothed")),
        "A control with labels as soft as the teacher's answers",
    )
    if is_clear(against, 1):
        size = found.lead.difference(abs(against.difference))
        return f"{control} is clearly worse ({value}): {size} of the student come from what the teacher knows."
    if is_clear(against, -1):
        return f"{control} is clearly better ({value})."
    return f"{control} is about as good ({value}): what helps, if anything does, is smoothing rather than knowledge."


def _untouched(found: Measured) -> str:
    """What all of the training was worth; of a student that was made smaller, too, what all steps of its plan did."""
    pair = found.against_untouched
    if pair is None:
        return ""
    size, interval = found.lead.difference(abs(pair.difference)), _interval(found, pair)
    is_better = pair.difference > 0
    if found.is_made_smaller and is_better:
        return f"After all steps of its plan the student is {size} better than the small model was before ({interval})."
    if found.is_made_smaller:
        return f"After all steps of its plan the student is {size} worse than the small model was before ({interval})."
    if is_clear(pair, 1):
        return f"Training made the student {size} better than it was before it learned anything ({interval})."
    if is_clear(pair, -1):
        return f"Training made the student {size} worse than it was before it learned anything ({interval})."
    if size == found.lead.difference(0):
        return (
            f"No clear benefit from training: the score is as it was before the student learned anything ({interval})."
        )
    if is_better:
        return f"No clear benefit from training: {size} better than before the student learned anything ({interval})."
    return f"No clear benefit from training: {size} worse than before the student learned anything ({interval})."


def _baseline(found: Measured) -> str:
    """What a linear model does that costs seconds; nothing where it did not learn either."""
    if not found.has("baseline") or is_at_floor(found.of("baseline"), found.facts.reference):
        return ""
    value = found.lead.written(found.value("baseline"))
    against = found.comparisons.get(("student", "baseline"))
    if against is not None and is_clear(against, -1):
        return f"A linear baseline is better ({value}): this task may not need a network."
    if found.baseline_suffices:
        return f"A linear baseline is about as good ({value}): this task may not need a network."
    return ""
