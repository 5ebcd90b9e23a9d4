"""What pruning alone would cost, measured in a process of its own."""

import pytest

from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.folder import load
from studio.errors import ModelError
from studio.events import result_of
from studio.home import Home
from studio.models.model import Problem
from studio.models.opening import open_folder
from studio.service import library
from studio.service.questions import estimate, preview
from studio.service.runs import carry
from studio.service.runtime import new_owner
from studio.store.store import Store
from tests.conftest import TINY, here, reviews
from tests.distill.test_training import CPU


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A home and its store; the student of run 1 there knows the labels."""
    home, columns = Home(tmp_path_factory.mktemp("learned") / "home"), Columns("text", "label")
    store = Store(home.database)
    library.save(store, home, "reviews", clean(reviews(), columns, "text-classification"), columns)
    config = parse_config({"dataset": "reviews", **TINY, "epochs": 8, "control": False})
    list(carry(store, home, store.submit(config, key="k", owner=new_owner()), here))
    return home, store


def test_the_curve_begins_with_the_student_as_it_is_and_goes_through_the_ratios(learned):
    from studio.distill import teacher_outputs as teacher

    home, store = learned
    config = parse_config({"dataset": "reviews", "teacher": "run:1/teacher", "student": "run:1/student"})
    found = preview(home, store, config)
    dataset = load(home.dataset(1))
    problem = Problem("text-classification", dataset.labels, dataset.dict["train"], 128)
    student = open_folder(home.model(1, "student"), problem)
    held = problem.task.encode(dataset.dict["validation"], student.processor, student.network.config, 128)
    right = result_of(teacher.logits(student, held, CPU, lambda done: None)).values.argmax(-1) == held.labels
    assert found.accuracy[0] == pytest.approx(float(right.float().mean()))
    assert found.ratios == sorted(found.ratios)
    assert found.ratios[0] == 0 and found.ratios[-1] == 0.9
    assert found.rows == len(held)


def test_ratios_that_are_no_whole_number_of_heads_are_left_out(learned, answered_here):
    home, store = learned
    plan = [{"do": "prune", "ratio": 0.5, "units": ["heads"]}, "distill"]
    config = parse_config({"dataset": "reviews", "teacher": "run:1/teacher", "student": "run:1/student", "plan": plan})
    found = preview(home, store, config)
    heads = open_folder(home.model(1, "student"), _fit(home)).network.config.num_attention_heads
    assert found.ratios[0] == 0
    assert all(abs(ratio * heads - round(ratio * heads)) <= 0.01 * heads for ratio in found.ratios)
    assert found.step.units == ("heads",)


def _fit(home):
    dataset = load(home.dataset(1))
    return Problem("text-classification", dataset.labels, dataset.dict["train"], 128)


def test_a_student_that_has_yet_to_learn_has_no_curve(store, home, saved, answered_here):
    with pytest.raises(ModelError, match="this one has yet to learn them"):
        preview(home, store, parse_config({"dataset": "reviews", **TINY}))


def test_an_estimate_of_a_plan_tells_the_size_that_the_student_will_have(store, home, saved_digits, answered_here):
    settings = {"dataset": "digits", "teacher": "builtin/mlp-64", "student": "builtin/mlp-64", "onnx_times": False}
    plan = "prune:0.5, distill, factorize:0.2, quantize:int8"
    whole = estimate(home, store, parse_config(settings))
    small = estimate(home, store, parse_config({**settings, "plan": plan}))
    assert small.student_parameters < 0.7 * whole.student_parameters
    assert small.seconds > 0
