"""The registry: what stands in it, and that nobody else asks for a task's name."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from studio import tasks
from studio.config.methods import LOSSES, Loss
from studio.config.reading import parse_config
from studio.errors import ConfigError
from studio.tasks.resolving import PRUNED

ROOT = Path(__file__).parents[2]
MODELS = {"dataset": "d", "teacher": "run:1/teacher", "student": "run:1/student"}


def test_a_task_is_named_in_its_own_module_and_nowhere_else_in_the_house():
    own = {file for file in (ROOT / "studio" / "tasks").glob("*.py") if "\nTASK = Task(" in file.read_text()}
    assert len(own) == len(tasks.TASKS)
    for file in [*(ROOT / "studio").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]:
        words = {node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)}
        found = words & set(tasks.TASKS)
        assert file in own or not found, f"{file.relative_to(ROOT)} asks for {found}"


def test_a_task_is_opened_without_torch():
    script = "import sys, studio.tasks; print(len({'torch', 'transformers', 'datasets'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "0"


def test_a_task_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigError, match="no task 'poetry'; there are text-classification, "):
        tasks.get("poetry")


@pytest.mark.parametrize(
    ("name", "loss"), [("text-classification", "soft_target"), ("regression", "logit_mse")], ids=str
)
def test_a_run_that_names_no_loss_takes_what_suits_its_task(name, loss):
    full = tasks.resolved(parse_config(MODELS), tasks.get(name), 2)
    assert [term.loss for term in full.terms] == [loss]
    assert full.task == name


def test_a_loss_between_classes_is_refused_where_a_label_is_a_number():
    with pytest.raises(ConfigError, match=r"soft_target compares classes.*Use logit_mse instead"):
        tasks.resolved(parse_config({**MODELS, "terms": "soft_target"}), tasks.get("regression"), 1)


def test_a_loss_that_says_nothing_of_its_labels_is_refused_where_a_row_can_have_several(monkeypatch):
    monkeypatch.setitem(LOSSES, "dkd", Loss("Any loss", "response", "Never.", "Nobody"))
    config = parse_config({**MODELS, "terms": "dkd"})
    tasks.resolved(config, tasks.get("text-classification"), 3)
    with pytest.raises(ConfigError, match="exactly one is right; in this data several can be"):
        tasks.resolved(config, tasks.get("text-classification", multi_label=True), 3)


def test_a_built_in_model_of_another_task_is_refused_with_those_that_fit():
    config = parse_config({**MODELS, "teacher": "builtin/cnn-large"})
    with pytest.raises(ConfigError, match=r"builtin/cnn-large is not made for text-classification.*transformer-base"):
        tasks.resolved(config, tasks.get("text-classification"), 2)


def test_a_change_that_a_task_does_not_know_is_refused_with_those_that_it_knows():
    with pytest.raises(ConfigError, match=r"flip does not change data for text-classification.*word_dropout"):
        tasks.resolved(parse_config({**MODELS, "augment": "flip"}), tasks.get("text-classification"), 2)


def test_what_a_built_in_student_has_nothing_of_is_not_pruned_and_no_run_is_made_for_it():
    texts, plan = tasks.get("text-classification"), {"plan": "prune:0.5, distill"}
    for student in ("builtin/fasttext-small", "teacher/same"):
        config = parse_config({**MODELS, **plan, "teacher": "builtin/fasttext-small", "student": student})
        with pytest.raises(ConfigError, match="builtin/fasttext-small has no units to prune") as error:
            tasks.resolved(config, texts, 2)
        assert "factorize" in error.value.cure
    heads = {"plan": [{"do": "prune", "ratio": 0.5, "units": ["heads"]}, {"do": "distill"}]}
    with pytest.raises(ConfigError, match="builtin/cnn-tiny has no heads to prune"):
        tasks.resolved(
            parse_config({**MODELS, **heads, "student": "builtin/cnn-tiny"}), tasks.get("image-classification"), 2
        )
    tasks.resolved(parse_config({**MODELS, **plan, "student": "builtin/transformer-small"}), texts, 2)


def test_what_pruning_finds_in_every_kind_of_built_in_model_is_what_is_said_of_it(home, saved, saved_digits):
    from studio.compress.structured import possible_units
    from studio.data.folder import load
    from studio.models.model import Problem
    from studio.models.opening import build
    from studio.tasks.language import TASK

    texts, digits = (load(home.dataset(row.id)) for row in (saved, saved_digits))
    problems = [Problem(data.task, data.labels, data.dict["train"], 16) for data in (texts, digits)]
    problems.append(Problem(TASK.name, [], TASK.unlabelled(["Once upon a time."]), 16))
    smallest = {name.partition("-")[0]: (name, problem) for problem in problems for name in problem.task.builtins}
    found = {kind: set(possible_units(build(*pair).network)) for kind, pair in smallest.items()}
    assert found == {kind: set(units) for kind, units in PRUNED.items()}
