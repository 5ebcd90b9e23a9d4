"""Why the numbers of a verdict may say less than they seem to: one function a caution, each with its cure."""

import math
from collections.abc import Callable

from scipy import stats

from studio.evaluate.measured import NOISY, Measured, is_at_floor, is_clear, timing_noise
from studio.evaluate.next_step import closer_to_teacher, lower_rate, more_seeds
from studio.events import Caution, Comparison, Outcome

POWER = 0.8
FEW_ROWS = 100
"""With fewer test rows the interval of an accuracy is some 10 points wide to either side."""

WITHIN_REACH = 20
"""A gain that only 20 times the rows would show is as good as none: more rows are not what is missing."""

SAME_GAIN = 0.05
"""What is looked for where no gain was found: 5 points."""

CURES_OF_DISTANCE = {
    "more_test_rows": "Bring more test rows.",
    "more_training_rows": "Bring more training rows; those that the teacher answers need no label.",
    "compress_less": "Compress the student less, or choose a larger one.",
    "larger_student": "Choose a larger student.",
}
"""What helps a student that is far from its teacher, by the code of the next step."""

MEMORIZED = "there are too few rows to learn from"
ALIKE = "more rows would hardly help, it may be too small"
"""Why a student is far: it imitates rows that it knows much better than new ones; or both alike."""


def all_of(found: Measured, outcome: Outcome) -> tuple[Caution, ...]:
    """Every caution that applies, the gravest first."""
    return tuple(caution for look in LOOKS if (caution := look(found, outcome)) is not None)


def rows_needed(comparison: Comparison) -> int:
    """How many test rows would show a gain of this size four times in five (80 % power, two-sided 5 %).

    Of a share of right rows: n = ((z₁ √d + z₂ √(d − g²)) / g)², the sample size of McNemar's test (Connor, 1987), with
    d the share of rows on which exactly one model is right, g the gain, z₁ = 1.96, z₂ = 0.84. Of any other measure:
    n = rows · ((z₁ + z₂) · e / g)², with e the standard error, a 3.92th of the interval's width. 0 where the difference
    is no number.

    >>> pair = Comparison(first="student", second="control", split="test", difference=4 / 12, low=0.01, high=0.56,
    ...                   p_value=0.125, n=12, gained=4, lost=0)
    >>> rows_needed(pair)
    22
    """
    confident, powerful = stats.norm.ppf(0.975), stats.norm.ppf(POWER)
    gain = abs(comparison.difference) or SAME_GAIN
    if not math.isfinite(gain + comparison.low + comparison.high):  # a correlation of answers that are all the same
        return 0
    if comparison.gained is not None and comparison.lost is not None:
        apart = max((comparison.gained + comparison.lost) / comparison.n, gain)
        return math.ceil(((confident * math.sqrt(apart) + powerful * math.sqrt(apart - gain**2)) / gain) ** 2)
    error = (comparison.high - comparison.low) / (2 * confident)
    return math.ceil(comparison.n * ((confident + powerful) * error / gain) ** 2)


def _worse_than_untouched(found: Measured, outcome: Outcome) -> Caution | None:
    """Training did harm; what a plan took from the student is the price of its size."""
    against = found.against_untouched
    if against is None or found.is_made_smaller or not is_clear(against, -1):
        return None
    sentence = f"Training made the student worse than it was before it learned anything: {_now_and_before(found)}."
    cure = "Use the small model as it was, or train it at a lower learning rate."
    return Caution(code="worse_than_untouched", sentence=sentence, cure=cure, next_step=lower_rate(found, "student"))


def _no_better_than_untouched(found: Measured, outcome: Outcome) -> Caution | None:
    against = found.against_untouched
    if against is None or found.is_made_smaller or is_clear(against, -1) or is_clear(against, 1):
        return None
    sentence = f"The student is not clearly better than before it learned anything: {_now_and_before(found)}."
    cure = "Use the small model as it was, or train it longer, or on more rows."
    return Caution(code="no_better_than_untouched", sentence=sentence, cure=cure)


def _now_and_before(found: Measured) -> str:
    now, before = (found.lead.written(found.value(role)) for role in ("student", "untouched"))
    return f"{now} against {before} ({found.lead.title})"


def _not_learned(found: Measured, outcome: Outcome) -> Caution | None:
    if not found.not_learned:
        return _seeds_not_learned(found) if found.failed_seeds else None
    value, floor = found.value("student"), found.facts.reference.floor(found.lead.name)
    sentence = f"{_compared(found, 'student', value, floor)}: the student learned nothing that shows."
    return Caution(code="not_learned", sentence=sentence, cure="Train it longer, or with a lower learning rate.")


def _seeds_not_learned(found: Measured) -> Caution:
    """Some of several students learned nothing: the mean describes none of them."""
    failed = found.failed_seeds
    seeds = f"seed{'' if len(failed) == 1 else 's'} {', '.join(map(str, failed))}"
    sentence = f"{len(failed)} of {found.seeds} students learned nothing that shows ({seeds}): the mean describes none."
    return Caution(code="not_learned", sentence=sentence, cure="Train longer, or with a lower learning rate.")


def _weak_teacher(found: Measured, outcome: Outcome) -> Caution | None:
    value, floor = found.value("teacher"), found.facts.reference.floor(found.lead.name)
    cure = _cure_of_teacher(found)
    if is_at_floor(found.of("teacher"), found.facts.reference):
        sentence = f"{_compared(found, 'teacher', value, floor)}: there is nothing to learn from it."
    elif found.teacher_taught_nothing:
        sentence = "The teacher did not get better on validation rows than it was before it was trained."
    elif found.teacher_is_below_baseline:
        written, better = found.lead.written(value), found.lead.written(found.value("baseline"))
        sentence = f"The teacher ({written}) is below the linear baseline ({better}), which takes seconds to train."
    else:
        return None
    return Caution(code="weak_teacher", sentence=sentence, cure=cure)


def _cure_of_teacher(found: Measured) -> str:
    """Longer training helps only who was still getting better."""
    if not found.teacher_is_taught:
        return "Choose a larger, pretrained teacher."
    if "teacher" in found.facts.improving:
        return "Train the teacher longer, or choose a larger, pretrained one."
    return "Train the teacher at another learning rate, or choose a larger, pretrained one."


def _compared(found: Measured, role: str, value: float, floor: float) -> str:
    written, name = found.lead.written, found.lead.title
    return f"The {role} has {written(value)} ({name}), and the most common answer alone, or guesses, {written(floor)}"


def _undertrained(found: Measured, outcome: Outcome) -> Caution | None:
    roles = [role for role in ("teacher", "student", "control") if role in found.facts.improving]
    if not roles:
        return None
    who = " and ".join(f"the {role}" for role in roles)
    sentence = f"On validation rows {who} {'was' if len(roles) == 1 else 'were'} still improving when training ended."
    return Caution(code="undertrained", sentence=sentence, cure="Train longer: about twice as many epochs.")


def _far_from_teacher(found: Measured, outcome: Outcome) -> Caution | None:
    """Why much was lost: by chance, for want of rows to learn from, or because the student cannot hold more."""
    if not found.is_far_from_teacher:
        return None
    kept, after = f"{100 * (found.kept or 0):.0f} %", closer_to_teacher(found)
    sentence, imitated = f"The student keeps only {kept} of what its teacher has.", found.facts.imitated
    if after.code == "more_test_rows":
        on = f"on {found.rows:,} test rows that may be chance"
        sentence = f"The student keeps only {kept} of what its teacher has, and {on}."
    elif imitated is not None:
        training, test = (f"{100 * share:.0f} %" for share in (imitated.training, imitated.test))
        why = MEMORIZED if imitated.is_memorized else ALIKE
        sentence += (
            f" It agrees with the teacher on {training} of the training rows and {test} of the test rows: {why}."
        )
    return Caution(code="far_from_teacher", sentence=sentence, cure=CURES_OF_DISTANCE[after.code])


def _few_test_rows(found: Measured, outcome: Outcome) -> Caution | None:
    effect, rows = found.effect, found.rows
    is_open = effect is not None and outcome == "no_difference" and not found.unfinished and found.seeds == 1
    needed = rows_needed(effect) if effect is not None and is_open else 0
    is_within_reach = rows < needed <= WITHIN_REACH * rows
    if rows >= FEW_ROWS and not is_within_reach:
        return None
    sentence = f"There are only {rows:,} test rows." if rows != 1 else "There is only one test row."
    cure = f"Bring at least {FEW_ROWS} test rows."
    if effect is not None and is_within_reach:
        gain = found.lead.difference(abs(effect.difference) or SAME_GAIN)
        sentence += f" To see a difference of {gain}, about {needed:,} would be needed."
        cure = f"Bring about {max(needed, FEW_ROWS):,} test rows."
    return Caution(code="few_test_rows", sentence=sentence, cure=cure)


def _imbalance(found: Measured, outcome: Outcome) -> Caution | None:
    reference, rare = found.facts.reference, found.facts.rare
    if not reference.misleads:
        return None
    share = next(iter(reference.majority.values()))
    sentence = f"One answer alone is right for {100 * share:.1f} % of the test rows: accuracy says little here."
    if rare is None:
        return Caution(code="imbalance", sentence=sentence, cure="Label more rows with the rare answers.")
    sentence += f" The rarest class, {rare.label!r}, has {rare.rows} test row{'' if rare.rows == 1 else 's'}."
    return Caution(
        code="imbalance", sentence=sentence, cure=f"Label more rows of {rare.label!r}, for training and test."
    )


def _leak(found: Measured, outcome: Outcome) -> Caution | None:
    leaked = found.facts.leaked
    if not leaked:
        return None
    sentence = f"{leaked:,} of {found.rows:,} test rows are training rows, too: the results look better than they are."
    cure = "Save the data again without them, as is usual (no `--keep-leaked`)."
    return Caution(code="leak", sentence=sentence, cure=cure)


def _test_only_labels(found: Measured, outcome: Outcome) -> Caution | None:
    unseen = found.facts.unseen
    if not unseen:
        return None
    named = ", ".join(map(repr, unseen[:5])) + (f" and {len(unseen) - 5} more" if len(unseen) > 5 else "")
    sentence = f"No training row has the label {named}: no model can get those test rows right."
    cure = "Write labels alike in all files, or bring training rows for them."
    return Caution(code="test_only_labels", sentence=sentence, cure=cure)


def _changed_inputs(found: Measured, outcome: Outcome) -> Caution | None:
    changed = found.facts.changed
    if not changed:
        return None
    sentence = (
        f"The files of {' and '.join(map(repr, changed))} changed while this run went on: what was learned and "
        "measured is the model as it was at the start, and its size on disk may be that of another."
    )
    return Caution(code="changed_inputs", sentence=sentence, cure="Start the run again with the files as they are now.")


def _one_seed(found: Measured, outcome: Outcome) -> Caution | None:
    if found.effect is None or outcome not in ("better", "worse", "no_difference") or found.seeds > 1:
        return None
    sentence = (
        "This is one run with one seed: with another seed student and control end a little elsewhere, and the interval "
        "does not count that."
    )
    after = more_seeds(found.facts.config)
    cure = f"{after.label} and see whether it holds."
    return Caution(code="one_seed", sentence=sentence, cure=cure, next_step=after)


def _noisy_timing(found: Measured, outcome: Outcome) -> Caution | None:
    kinds = ("", "one_thread_", "onnx_", "onnx_one_thread_")
    factor = max(timing_noise(found.evaluations, kind) for kind in kinds)
    if factor < NOISY:
        return None
    sentence = (
        f"Student and control are the same network, and yet their times may be apart by a factor of {factor:.2f}."
    )
    cure = "Do not rely on smaller differences in speed; measure again while the machine does nothing else."
    return Caution(code="noisy_timing", sentence=sentence, cure=cure)


def _fewer_bits(found: Measured, outcome: Outcome) -> Caution | None:
    held = found.facts.config.teacher_precision
    if held == "float32":
        return None
    sentence = (
        f"The teacher answered with its weights in {held}: its quality and its times are those of that form, and are "
        "not compared in speed; its size on disk is that of its file."
    )
    cure = "Where there is memory for it, teacher_precision float32 has the teacher answer in full."
    return Caution(code="fewer_bits", sentence=sentence, cure=cure)


LOOKS: tuple[Callable[[Measured, Outcome], Caution | None], ...] = (
    _leak,
    _test_only_labels,
    _changed_inputs,
    _worse_than_untouched,
    _not_learned,
    _weak_teacher,
    _no_better_than_untouched,
    _undertrained,
    _imbalance,
    _far_from_teacher,
    _few_test_rows,
    _fewer_bits,
    _noisy_timing,
    _one_seed,
)
