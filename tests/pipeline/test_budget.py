"""How long models learn, and at which rate, where nobody says."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from studio.config.reading import parse_config, parse_yaml
from studio.data.folder import load
from studio.distill.spec import FitSpec
from studio.models.model import Model, Problem, learning_rate
from studio.models.opening import build
from studio.pipeline.timetable import Counts, Stage, timetable
from tests.conftest import TINY
from tests.pipeline.test_timetable import of, said_by, specs  # noqa: F401  a fixture

OPEN = {"epochs": None, "teacher_epochs": None}
SHORT = OPEN | {"training_length": 0.01}


def learning(rows: Counts, known: bool = False, **changes) -> dict[str, Stage]:
    config = parse_config({"dataset": "d", **TINY, "batch_size": 32, **OPEN, **changes})
    return {stage.phase: stage for stage in timetable(config, rows, [known])}


def counts(rows: int, labelled: int | None = None) -> Counts:
    return Counts(training=rows, labelled=rows if labelled is None else labelled, validation=100, test=100)


def test_few_labels_are_seen_often_enough_to_be_learned_and_many_rows_are_not_seen_for_ever():
    few, some, many = (learning(counts(rows)) for rows in (700, 9_000, 1_000_000))
    assert few["teach"].steps == few["distill"].steps == 2_000
    assert some["distill"].epochs == 10
    assert many["distill"].epochs == 3
    assert learning(counts(19_565, labelled=800))["teach"].steps == 2_000
    assert learning(counts(60))["distill"].epochs == 100


def test_pretrained_weights_need_fewer_steps():
    found = learning(counts(9_000), teacher="folder:/models/one", student="teacher/2-layers")
    assert found["teach"].epochs == found["distill"].epochs == 4
    assert learning(counts(700), teacher="folder:/models/one", student="teacher/same")["distill"].steps == 600
    assert learning(counts(700), student="teacher/same")["distill"].steps == 2_000


def test_epochs_that_are_set_are_obeyed_to_the_letter():
    found = learning(counts(1_000), epochs=3, teacher_epochs=1, training_length=5.0)
    assert (found["distill"].steps, found["teach"].steps) == (3 * 32, 32)


def test_training_length_lengthens_what_was_chosen():
    assert learning(counts(500), training_length=2.0)["distill"].steps == 2 * learning(counts(500))["distill"].steps


@pytest.mark.parametrize("plan", ["distill", "prune:0.5, distill, sparsify:0.5, distill"])
def test_the_control_gets_the_students_steps_where_nobody_says_how_many(plan):
    found = learning(counts(700, labelled=90), plan=plan, hard_epochs=1)
    student, control = (
        sum(stage.steps for stage in found.values() if stage.role == role and stage.kind == "follow")
        for role in ("student", "control")
    )
    assert control == student > 2_000


def test_the_control_gets_the_students_rate_schedule_and_looks(home, saved, specs: dict[str, FitSpec]):  # noqa: F811
    said_by(home, saved, of(saved, **SHORT))
    mine, theirs = specs["distill"], specs["control"]
    for asked in ("steps", "learning_rate", "batch_size", "weight_decay", "seed", "validate_every"):
        assert getattr(mine, asked) == getattr(theirs, asked), asked
    assert mine.steps == 6


def test_what_was_chosen_is_chosen_again_from_the_settings_of_the_run(home, saved):
    first = of(saved, **SHORT)
    again = parse_yaml(first.to_yaml())
    assert again.epochs is None
    weights = []
    for run_id, config in ((1, first), (2, again)):
        said_by(home, saved, config, run_id)
        weights.append(load_file(home.model(run_id, "student") / "model.safetensors"))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_an_untrained_models_rate_follows_its_kind_and_its_width(home, saved, saved_digits):
    config = parse_config({"dataset": "d", **TINY})
    found = {}
    for dataset in (saved, saved_digits):
        data = load(home.dataset(dataset.id))
        problem = Problem(data.task, data.labels, data.dict["train"], 16)
        names = ("fasttext-large", "fasttext-small", "transformer-base", "transformer-tiny")
        for name in names if dataset is saved else ("cnn-large", "cnn-tiny", "mlp-800"):
            found[name] = learning_rate(config, build(name, problem), "student")
    assert found["fasttext-large"] < found["fasttext-small"]
    assert found["transformer-base"] < found["transformer-tiny"] < found["fasttext-large"]
    assert found["cnn-large"] < found["cnn-tiny"]
    assert found["transformer-base"] == pytest.approx(0.006 / 16, rel=0.05)
    set_one = parse_config({"dataset": "d", **TINY, "learning_rate": 0.5})
    assert learning_rate(set_one, build("fasttext-tiny", problem_of(home, saved)), "student") == 0.5


def problem_of(home, saved) -> Problem:
    data = load(home.dataset(saved.id))
    return Problem(data.task, data.labels, data.dict["train"], 16)


def test_few_rows_are_not_looked_at_after_every_step(home, saved, specs: dict[str, FitSpec]):  # noqa: F811
    said_by(home, saved, of(saved, epochs=300, teacher_epochs=1))
    spec = specs["distill"]
    assert spec.steps // spec.validate_every <= 100 < spec.steps / spec.steps_per_epoch


@pytest.mark.parametrize(
    ("shape", "rates"),
    [
        ({"hidden_size": 768}, (5e-5, 1e-4)),
        ({"hidden_size": 384}, (1e-4, 2e-4)),
        ({"hidden_size": 64}, (2e-4, 4e-4)),
        ({"hidden_size": 1024}, (5e-5, 1e-4)),
        ({"hidden_sizes": [256, 2048]}, (5e-5, 1e-4)),
        ({}, (5e-5, 1e-4)),
    ],
)
def test_narrow_pretrained_models_learn_at_higher_rates(shape, rates):
    model = Model(SimpleNamespace(config=SimpleNamespace(**shape)), None, pretrained=True)
    config = parse_config({"dataset": "d", "teacher": "builtin/gpt-base", "student": "builtin/gpt-tiny"})
    assert (learning_rate(config, model, "teacher"), learning_rate(config, model, "student")) == rates
