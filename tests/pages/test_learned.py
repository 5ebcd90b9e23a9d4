"""What the titles above the curves say of a run."""

from pages._learned import Course, busy, loss_left, quality_told, reached
from studio import tasks
from studio.events import PlannedStage
from studio.store.rows import Point

ACCURACY = tasks.Measure("accuracy", "Accuracy", "")


def course(*stages: str, is_over: bool = False) -> Course:
    """Stages as `phase role`."""
    told = (stage.split() for stage in stages)
    return Course([PlannedStage(phase=phase, role=role, seconds=1) for phase, role in told], is_over)


def looks(**values: float) -> list[Point]:
    return [Point(phase.replace("_", "-"), 9, "accuracy", value) for phase, value in values.items()]


def losses(**ends: tuple[float, float]) -> list[Point]:
    return [Point(phase.replace("_", "-"), step, "loss", value) for phase, both in ends.items()
            for step, value in enumerate(both)]  # fmt: skip


TWICE = ("distill student", "prune student", "distill-2 student", "control control", "control-2 control")


def test_what_the_student_reached_before_it_was_pruned_is_not_what_it_reaches():
    points = looks(distill=0.95, distill_2=0.8, control=0.94, control_2=0.7)
    told = reached(points, ACCURACY, course(*TWICE))
    assert told == "On validation rows the student reaches 80.0 %, without a teacher 70.0 %"


def test_the_title_tells_the_first_of_several_seeds_and_says_so():
    seeds = ("distill student", "control control", "distill-2 student-2", "control-2 control-2")
    points = looks(distill=0.9, control=0.8, distill_2=0.95, control_2=0.7)
    told = reached(points, ACCURACY, course(*seeds))
    assert told == "On validation rows the student reaches 90.0 %, without a teacher 80.0 %"
    assert "Of several seeds the title tells the first." in quality_told(points, ACCURACY, course(*seeds))
    assert "seeds" not in quality_told(points, ACCURACY, course(*TWICE))


def test_hard_labels_go_on_from_the_best_weights_so_far():
    points = looks(distill=0.9, harden=0.8)
    assert "reaches 90.0 %" in reached(points, ACCURACY, course("distill student", "harden student"))


def test_the_loss_of_the_last_learning_is_told_and_one_that_rose_did_not_fall():
    points = losses(teach=(2, 0.1), distill=(1, 0.5), distill_2=(1, 1.3))
    told = loss_left(points, course("teach teacher", *TWICE))
    assert told == "The student stands at 130 % of its first loss, its teacher at 5 %"


def test_the_student_learns_next_only_where_it_does():
    only, two = course("teach teacher", "distill student"), course("teach teacher", "assist assistant-1", *TWICE)
    told = "On validation rows the teacher has reached 90.0 % so far; the student learns next"
    assert reached(looks(teach=0.9), ACCURACY, only) == told
    assert loss_left(losses(teach=(2, 1)), only).endswith("; the student learns next")
    ready = course("record teacher", "distill student")
    assert reached(looks(record=0.9), ACCURACY, ready) == (
        "On validation rows the teacher reaches 90.0 %; the student learns next"
    )
    for other in (two, Course(only.stages, is_over=True), Course()):
        assert reached(looks(teach=0.9), ACCURACY, other) == "On validation rows the teacher reaches 90.0 %"
        assert loss_left(losses(teach=(2, 1)), other) == "The teacher stands at 50 % of its first loss"


def test_of_a_run_that_is_over_nothing_is_to_come():
    assert reached([], ACCURACY, Course()) == loss_left([], Course()) == "Nothing has been measured yet"
    assert reached([], ACCURACY, Course(is_over=True)) == loss_left([], Course(is_over=True)) == "Nothing was measured"


def test_how_busy_a_machine_was_is_told_in_cores():
    use = [Point("device", 0, "cpu_percent", 90.0), Point("device", 2, "cpu_percent", 150.0)]
    assert busy(use) == "On average 1.2 processor cores were busy, at most 1.5"


def test_an_old_run_without_a_timetable_has_its_phases_in_the_order_they_began():
    points = looks(distill=0.9, distill_2=0.8)
    assert "reaches 90.0 %" in reached(points, ACCURACY, Course(begun=("distill-2", "distill")))
    assert "reaches 80.0 %" in reached(points, ACCURACY, Course(begun=("distill", "distill-2")))
