"""What the curves of a run say: the title of each picture, and what it shows in which unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from pages import _charts as charts
from pages import _pictures as pictures
from pages._charts import ROLE_OF_STAGE
from pages._language import _
from pages._markup import Html
from pages._words import measured, sentences, size
from studio.events import PlannedStage, stage
from studio.store.rows import Point, RunRow
from studio.store.store import Store
from studio.tasks import Measure


@dataclass(frozen=True)
class Course:
    """What is known of a run beside its points: its stages in their order, none where it did not tell them, whether it
    is over, and its phases in the order they began."""

    stages: Sequence[PlannedStage] = ()
    is_over: bool = False
    begun: Sequence[str] = ()

    def last(self, points: Sequence[Point], role: str) -> list[str]:
        """The phases of a role's last training that has points, in the first seed: what it learned before is no more,
        but for hard labels, which go on from the best weights of the learning before them."""
        there = {point.phase: stage(point.phase) for point in points}
        phases = [planned.phase for planned in self.stages if planned.role == role] or self.begun or list(there)
        learned = [phase for phase in phases if phase in there and ROLE_OF_STAGE.get(there[phase]) == role]
        return learned[-2 if "harden" in there.values() else -1 :]

    def student_is_next(self, points: Sequence[Point]) -> bool:
        """Whether the student learns as soon as those have learned who do by now."""
        there = {point.phase for point in points}
        waiting = [
            planned for planned in self.stages if stage(planned.phase) in ROLE_OF_STAGE and planned.phase not in there
        ]
        return not self.is_over and bool(waiting) and waiting[0].role == "student"

    def of_seeds(self) -> str:
        """Whose numbers stand in a title, where a run learns under several seeds."""
        has_several = any(planned.role == "student-2" for planned in self.stages)
        return _("Of several seeds the title tells the first.") if has_several else ""

    def nothing(self) -> str:
        return _("Nothing was measured") if self.is_over else _("Nothing has been measured yet")


def course_of(store: Store, run: RunRow) -> Course:
    """The course of a stored run."""
    return Course(store.timetable(run.id), run.is_over, [phase.name for phase in store.phases(run.id)])


def quality_told(points: Sequence[Point], measure: Measure, course: Course) -> Html:
    """What stands above the curves of the deciding measure."""
    better = _("Lower is better.") if measure.lower else _("Higher is better.")
    sub = _("{measure} on validation rows, which are set aside to choose the best state by.", measure=_(measure.title))
    note = sentences(sub, better, _who_is_control(points), course.of_seeds())
    return pictures.titled(reached(points, measure, course), note)


def losses_told(points: Sequence[Point], course: Course) -> Html:
    """What stands above the curves of the losses."""
    sub = _("Training loss in per cent of where the curve began. Lower is better; a flat line no longer learns.")
    return pictures.titled(loss_left(points, course), sentences(sub, _who_is_control(points), course.of_seeds()))


def _who_is_control(points: Sequence[Point]) -> str:
    is_drawn = any(stage(point.phase) == "control" for point in points)
    return _("Control: the same small model, trained without the teacher.") if is_drawn else ""


def reached(points: Sequence[Point], measure: Measure, course: Course) -> str:
    """How far the models have come, in a sentence.

    >>> accuracy = Measure("accuracy", "Accuracy", "")
    >>> points = [Point("distill", 9, "accuracy", 0.9), Point("distill-2", 9, "accuracy", 0.8)]
    >>> reached(points, accuracy, Course())
    'On validation rows the student reaches 80.0\\xa0%'
    """
    looks = [point for point in points if point.name == measure.name]
    best: dict[str, float] = {}
    for role in ("student", "control"):
        phases = course.last(looks, role)
        best |= {role: max(point.value for point in looks if point.phase in phases)} if phases else {}
    teacher = charts.teacher_level(looks, measure)
    best |= {} if teacher is None else {"teacher": teacher}
    values = {role: measured(value, measure) for role, value in best.items()}
    if "student" in values and "teacher" in values:
        return _("On validation rows the student reaches {student}, its teacher {teacher}", **values)
    if "student" in values and "control" in values:
        return _("On validation rows the student reaches {student}, without a teacher {control}", **values)
    if "student" in values:
        return _("On validation rows the student reaches {student}", **values)
    if "teacher" in values and course.student_is_next(looks):
        if not any(stage(point.phase) == "teach" for point in looks):
            return _("On validation rows the teacher reaches {teacher}; the student learns next", **values)
        return _("On validation rows the teacher has reached {teacher} so far; the student learns next", **values)
    if "teacher" in values:
        return _("On validation rows the teacher reaches {teacher}", **values)
    return course.nothing()


def loss_left(points: Sequence[Point], course: Course) -> str:
    """Where the loss of each of the two models stands, against the one with which its last training began.

    >>> curve = [Point(phase, 0, "loss", 2.0) for phase in ("teach", "distill")]
    >>> loss_left([*curve, Point("teach", 9, "loss", 0.1), Point("distill", 9, "loss", 0.5)], Course())
    'The student stands at 25\\xa0% of its first loss, its teacher at 5\\xa0%'
    """
    losses = [point for point in points if point.name == "loss"]
    left: dict[str, str] = {}
    for role in ("teacher", "student"):
        phases = course.last(losses, role)
        values = [point.value for point in losses if phases and point.phase == phases[-1]]
        left |= {role: f"{100 * values[-1] / values[0]:.0f}"} if values and values[0] > 0 else {}
    if "student" in left and "teacher" in left:
        return _("The student stands at {student} % of its first loss, its teacher at {teacher} %", **left)
    if "student" in left:
        return _("The student stands at {student} % of its first loss", **left)
    if "teacher" in left and course.student_is_next(losses):
        return _("The teacher stands at {teacher} % of its first loss; the student learns next", **left)
    if "teacher" in left:
        return _("The teacher stands at {teacher} % of its first loss", **left)
    return course.nothing()


def busy(points: Sequence[Point]) -> str:
    """How busy a run kept the machine, in a sentence; the GPU where it had one.

    >>> busy([Point("device", 0, "cpu_percent", 90.0), Point("device", 2, "cpu_percent", 150.0)])
    'On average 1.2 processor cores were busy, at most 1.5'
    """
    values = {name: [point.value for point in points if point.name == name] for name in ("gpu_percent", "cpu_percent")}
    loads = {name: (fmean(of), max(of)) for name, of in values.items() if of}
    if "gpu_percent" in loads:
        mean, most = (f"{value:.0f}" for value in loads["gpu_percent"])
        return _("The GPU was {mean} % busy on average, {most} % at most", mean=mean, most=most)
    if "cpu_percent" in loads:
        mean, most = (f"{value / 100:.1f}" for value in loads["cpu_percent"])
        return _("On average {mean} processor cores were busy, at most {most}", mean=mean, most=most)
    return _("Nothing has been measured yet")


def held(points: Sequence[Point]) -> str:
    """How much memory a run needed, in a sentence.

    >>> held([Point("device", 0, "memory_bytes", 5e8), Point("device", 2, "memory_bytes", 1.2e9)])
    'The run held at most 1.2\\xa0GB of memory'
    """
    values = [point.value for point in points if point.name == "memory_bytes"]
    return (
        _("The run held at most {size} of memory", size=size(max(values)))
        if values
        else _("Nothing has been measured yet")
    )
