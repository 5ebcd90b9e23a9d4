"""The registry: what stands in it, and that nobody else asks for a task's name."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from studio import tasks
from studio.config.reading import parse_config
from studio.errors import ConfigError

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


def test_a_built_in_model_of_another_task_is_refused_with_those_that_fit():
    config = parse_config({**MODELS, "teacher": "builtin/cnn-large"})
    with pytest.raises(ConfigError, match=r"builtin/cnn-large is not made for text-classification.*transformer-base"):
        tasks.resolved(config, tasks.get("text-classification"), 2)


def test_a_change_that_a_task_does_not_know_is_refused_with_those_that_it_knows():
    with pytest.raises(ConfigError, match=r"flip does not change data for text-classification.*word_dropout"):
        tasks.resolved(parse_config({**MODELS, "augment": "flip"}), tasks.get("text-classification"), 2)
