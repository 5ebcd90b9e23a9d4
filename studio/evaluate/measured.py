"""The numbers of a run on its test rows as a verdict reads them, and what it knows besides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from studio.config.run import RunConfig
from studio.evaluate.multiple import SIGNIFICANT
from studio.events import Comparison, Evaluation
from studio.tasks import Measure, Reference

NOISY = 1.15
"""Student and control are one network: the interval of the ratio of their times may reach to this factor."""

CLOSE = 0.05
"""A model that made less than this share of the way from the floor to perfect, and whose interval holds the floor,
cannot be told from one that learned nothing."""


@dataclass(frozen=True)
class Rare:
    """The class with the fewest test rows, how many of them each role finds, and its training rows; `even_share` is
    what every class would have if all had the same."""

    label: str
    rows: int
    found: dict[str, int]
    training: int = 0
    even_share: int = 0


KEPT = 0.95
"""A student that has less than this share of what its teacher has is far from it."""


@dataclass(frozen=True)
class Imitated:
    """How often the student says what its teacher says, as shares: on training rows, and on test rows."""

    training: float
    test: float

    @property
    def is_memorized(self) -> bool:
        """Less than half of what it says otherwise on test rows it says otherwise on training rows, too.

        >>> Imitated(training=0.99, test=0.88).is_memorized, Imitated(training=0.85, test=0.83).is_memorized
        (True, False)
        """
        return 1 - self.training < (1 - self.test) / 2


@dataclass(frozen=True)
class Facts:
    """What a run knows besides its measured numbers; all of the test rows.

    `improving`: roles whose validation value still rose when their training ended. `teacher_start`: the teacher's
    validation value before it learned, and its best. `leaked`: test rows that are training rows, too. `unseen`: labels
    that only test rows have. `changed`: models from elsewhere whose files changed while the run went on. `rare`: the
    class with the fewest rows. `rates`: at which learning rates teacher and student began. `epochs`: for how many of
    them each learned, a part of one where its steps ended there. `imitated`: how often the student says what its
    teacher says, where it is far from it.
    """

    reference: Reference
    config: RunConfig
    improving: tuple[str, ...] = ()
    teacher_start: tuple[float, float] | None = None
    leaked: int = 0
    unseen: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    rare: Rare | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    epochs: Mapping[str, float] = field(default_factory=dict)
    imitated: Imitated | None = None


@dataclass(frozen=True)
class Measured:
    """The numbers of a run on its test rows, found by role and measure, and its comparisons by both roles. `lead` is
    the measure that is told first: the one that decides, or the next one where that misleads. Over several seeds they
    are means; `of_seeds` are those of each seed."""

    lead: Measure
    facts: Facts
    evaluations: dict[tuple[str, str], Evaluation] = field(repr=False)
    comparisons: dict[tuple[str, str], Comparison] = field(repr=False)
    of_seeds: tuple[Evaluation, ...] = field(default=(), repr=False)

    @classmethod
    def of_run(
        cls,
        evaluations: Sequence[Evaluation],
        comparisons: Sequence[Comparison],
        measures: Sequence[Measure],
        facts: Facts,
    ) -> "Measured":
        """`measures` are those of the task; the first one decides, the second one where the first misleads."""
        lead = leading(measures, facts.reference)
        pairs = [pair for pair in comparisons if pair.metric == lead.name and pair.seed is None]
        return cls(
            lead=lead,
            facts=facts,
            evaluations={(result.role, result.metric): result for result in evaluations if result.seed is None},
            comparisons={(pair.first, pair.second): pair for pair in pairs},
            of_seeds=tuple(result for result in evaluations if result.seed is not None and result.metric == lead.name),
        )

    def value(self, role: str) -> float:
        return self.evaluations[role, self.lead.name].value

    def has(self, role: str) -> bool:
        return (role, self.lead.name) in self.evaluations

    def of(self, role: str) -> Evaluation:
        return self.evaluations[role, self.lead.name]

    @property
    def rows(self) -> int:
        return self.of("student").n or 0

    @property
    def seeds(self) -> int:
        return self.facts.config.seeds

    @property
    def failed_seeds(self) -> tuple[int, ...]:
        """Of several, the seeds under which the student learned nothing."""
        students = [result for result in self.of_seeds if result.role == "student"]
        return tuple(result.seed or 0 for result in students if is_at_floor(result, self.facts.reference))

    @property
    def not_learned(self) -> bool:
        return is_at_floor(self.of("student"), self.facts.reference)

    @property
    def teacher_taught_nothing(self) -> bool:
        """At the floor, or no better than before it learned; where accuracy misleads it may stay while the rare classes
        are learned."""
        start, reference = self.facts.teacher_start, self.facts.reference
        stayed = start is not None and start[1] <= start[0] and not reference.misleads
        return is_at_floor(self.of("teacher"), reference) or stayed

    @property
    def teacher_is_taught(self) -> bool:
        """Whether this run trained it."""
        return self.facts.teacher_start is not None

    @property
    def teacher_is_below_baseline(self) -> bool:
        """By more than chance: the two are compared on the same rows, as student and control are."""
        against = self.comparisons.get(("teacher", "baseline"))
        return against is not None and is_clear(against, -1)

    @property
    def kept(self) -> float | None:
        """What the student has of the teacher's value, as a share; none of a value that can be below 0."""
        teacher = self.value("teacher")
        return self.value("student") / teacher if teacher > 0 else None

    @property
    def is_far_from_teacher(self) -> bool:
        """A student that learned until it stopped, from a teacher that can teach, and has lost more than it should."""
        is_open = self.not_learned or self.teacher_taught_nothing or "student" in self.facts.improving
        return self.kept is not None and self.kept < KEPT and not is_open

    @property
    def effect(self) -> Comparison | None:
        """The student against the control."""
        return self.comparisons.get(("student", "control"))

    @property
    def against_untouched(self) -> Comparison | None:
        """The student against itself before it learned."""
        return self.comparisons.get(("student", "untouched"))

    @property
    def is_made_smaller(self) -> bool:
        """Whether the plan does more than teach: what the student lost may then be the price of its size."""
        return any(step.do != "distill" for step in self.facts.config.steps)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Who of student and control would have learned more."""
        return tuple(role for role in ("student", "control") if role in self.facts.improving)

    @property
    def baseline_suffices(self) -> bool:
        """The student is not clearly better than a linear model."""
        against = self.comparisons.get(("student", "baseline"))
        return against is not None and not is_clear(against, 1)


def leading(measures: Sequence[Measure], reference: Reference) -> Measure:
    """The measure that is told first."""
    return measures[1] if reference.misleads and len(measures) > 1 else measures[0]


def is_at_floor(result: Evaluation, reference: Reference) -> bool:
    """Whether a model cannot be told from one that learned nothing.

    >>> reference = Reference({"accuracy": 1 / 150}, {"accuracy": 30 / 4500})
    >>> weak = Evaluation(role="teacher", split="test", metric="accuracy", value=31 / 4500, low=0.005, high=0.01)
    >>> is_at_floor(weak, reference), is_at_floor(weak.model_copy(update={"value": 0.75, "low": 0.73}), reference)
    (True, False)
    """
    floor = reference.floor(result.metric)
    if not result.value > floor:  # also a value that is no number
        return True
    is_close = result.value - floor < CLOSE * (1 - floor)
    return is_close and (result.low is None or result.low <= floor)


def is_clear(comparison: Comparison, sign: int) -> bool:
    """Whether the first model is better (1) or worse (-1): its interval is without 0, and so says the exact test."""
    end = comparison.low if sign > 0 else -comparison.high
    return end > 0 and comparison.p_value < SIGNIFICANT


def kept_percent(share: float) -> str:
    """How much of its teacher a student kept, in whole per cent; less than all is not written as all.

    >>> kept_percent(0.874), kept_percent(0.997), kept_percent(1.0)
    ('87', '99.7', '100')
    """
    return f"{100 * share:.1f}" if 0.995 <= share < 0.9995 else f"{100 * share:.0f}"


def timing_noise(evaluations: Mapping[tuple[str, str], Evaluation], kind: str = "") -> float:
    """By how much times of one network may differ: the far end of the interval of the ratio of student and control,
    which should be 1; without an interval the ratio itself. 1 where a plan has pruned them into different shapes.

    `evaluations`: by role and metric; `kind`: what stands before `latency_ms`, such as "one_thread_".
    """
    sizes = [evaluations.get((role, "parameters")) for role in ("student", "control")]
    if sizes[0] is None or sizes[1] is None or sizes[0].value != sizes[1].value:
        return 1.0
    ratio = evaluations.get(("control", f"{kind}latency_ratio"))
    if ratio is not None and ratio.low and ratio.high:
        return max(ratio.high, 1 / ratio.low)
    student, control = (evaluations.get((role, f"{kind}latency_ms")) for role in ("student", "control"))
    if student is None or control is None:
        return 1.0
    return max(control.value / student.value, student.value / control.value)
