"""What is written for people is true: parts made from code are up to date, examples run, links lead somewhere."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from typer.testing import CliRunner

from studio import events, tasks
from studio.cli import app
from studio.config import methods
from studio.config.reading import parse_config, parse_yaml
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.distill import losses, objective
from studio.evaluate.measured import Facts
from studio.evaluate.verdict import verdict
from studio.models.features import Outputs
from studio.pipeline.distill import distill
from studio.pipeline.job import Job
from studio.service import library
from tests import docs
from tests.conftest import TINY
from tests.distill import test_response_losses

ROOT = docs.ROOT
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
MEASURED = (ROOT / "docs" / "measured.md").read_text()
WAYS = (ROOT / "docs" / "ways.md").read_text()


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next one of its kind."""
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def added(code: str, module: ModuleType) -> dict[str, Callable]:
    """The functions that the code defines where it is put at the end of a module."""
    names = dict(vars(module))
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    return {name: value for name, value in names.items() if name not in vars(module)}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("file", docs.files(), ids=lambda file: file.name)
def test_what_is_made_from_code_is_up_to_date(file):
    assert docs.filled(file.read_text()) == file.read_text(), "make docs"


@pytest.mark.parametrize("name", docs.REGIONS)
def test_every_part_that_can_be_made_from_code_has_its_place(name):
    assert any(f"<!-- generated: {name} -->" in file.read_text() for file in docs.files())


def test_the_readme_can_be_read_in_five_minutes():
    assert len(README.splitlines()) <= 160


def test_every_package_and_top_module_is_on_the_map_with_what_it_is_for():
    there = {f"studio/{path.parent.name}/" for path in (ROOT / "studio").glob("*/__init__.py")}
    there |= {f"studio/{path.name}" for path in (ROOT / "studio").glob("*.py") if not path.stem.startswith("__")}
    told = dict(line.split(maxsplit=1) for line in section(README, "The map").split("```")[1].strip().splitlines())
    assert there | {"app.py", "pages/", "tests/", "docs/"} <= set(told)
    for place, text in told.items():
        assert (ROOT / place).exists(), place
        assert len(text) > 10, place


@pytest.mark.parametrize(
    "file", [*(ROOT / "studio").rglob("*.py"), *(ROOT / "pages").glob("*.py")], ids=lambda p: p.stem
)
def test_every_module_says_in_its_first_line_what_it_is(file):
    assert docs.summary(file)


def test_every_dependency_has_its_reason():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    without = [line for line in lines if not line.partition("  # ")[2].strip()]
    assert not without


def test_every_command_that_is_shown_exists():
    for file in docs.files():
        shown = re.findall(r"python -m studio ([a-z]+(?: (?:add|list|show|rename|delete)\b)?)", file.read_text())
        for words in shown:
            assert CliRunner().invoke(app, [*words.split(), "--help"]).exit_code == 0, words


def test_every_module_that_is_shown_as_a_command_is_there():
    for file in docs.files():
        for name in re.findall(r"python -m (tests\.[\w.]+\w)", file.read_text()):
            assert importlib.util.find_spec(name), name


@pytest.mark.parametrize("file", docs.files(), ids=lambda file: file.name)
def test_every_link_and_picture_leads_somewhere(file):
    for address in re.findall(r"\]\((?!https?://)([^)\s]+)\)", file.read_text()):
        path, _, heading = address.partition("#")
        target = file.parent / path if path else file
        assert target.is_file(), address
        headings = [re.sub(r"[^\w -]", "", line.lstrip("# ")) for line in target.read_text().splitlines()
                    if line.startswith("#")] if heading else []  # fmt: skip
        assert not heading or heading in [text.lower().replace(" ", "-") for text in headings], address


@pytest.mark.parametrize("file", docs.files(), ids=lambda file: file.name)
def test_every_file_of_the_code_that_is_named_is_there(file):
    for name in re.findall(r"`((?:studio|pages|tests|docs|assets)/[\w./]+|[a-z]+/\w+\.py)`", file.read_text()):
        places = (ROOT / name, ROOT / "studio" / name)
        assert name == "pages/name.py" or any(place.exists() for place in places), name


def test_the_sentence_that_the_readme_shows_is_what_a_verdict_says():
    def found(role: str, metric: str, value: float) -> events.Evaluation:
        return events.Evaluation(role=role, split="test", metric=metric, value=value)

    sizes = [found(role, metric, value) for role, value in (("teacher", 8.0), ("student", 1.0))
             for metric in ("size_bytes", "latency_ms")]  # fmt: skip
    quality = [found("teacher", "accuracy", 0.9), found("student", "accuracy", 0.8)]
    gained = events.Comparison(
        split="test",
        first="student",
        second="control",
        metric="accuracy",
        difference=0.02,
        low=0.01,
        high=0.03,
        p_value=0.01,
        n=100,
    )
    config = parse_config({"dataset": "d", "teacher": "builtin/fasttext-large", "student": "builtin/fasttext-small"})
    facts = Facts(reference=tasks.Reference({"accuracy": 0.5}, {"accuracy": 0.5}), config=config)
    said = verdict([*quality, *sizes], [gained], tasks.get("text-classification").measures, facts).sentence
    shown = " ".join(line.lstrip("> ") for line in README.splitlines() if line.startswith(">"))
    assert shown == re.sub(r"[\d.]*\d", "…", said.replace("95 % interval", "NINETY")).replace("NINETY", "95 % interval")


@pytest.mark.parametrize(("modality", "number", "column"), [(methods.IMAGE, 0, 3), (methods.TEXT, 1, 3)])
def test_the_gains_that_the_wizard_tells_are_those_of_the_table(modality, number, column):
    table = section(MEASURED, "Methods").split("| way |")[1 + number]
    rows = {cells(line)[0]: cells(line) for line in table.splitlines() if line.startswith("|")}
    for name, (points, spread) in methods.GAINS[modality].items():
        told = f"{points:+.1f} ± {spread:.1f}".replace("-", "−")
        assert rows[methods.METHODS[name].title][column] == told, name


@pytest.mark.parametrize("number", [0, 1])
def test_a_star_marks_what_no_other_line_beats(number):
    table = section(MEASURED, "Compression").split("| student |")[1 + number]
    lines = [cells(line) for line in table.splitlines() if line.startswith("| ") and "×" in line]
    values = {line[0]: tuple(float(re.match(r"[\d.]+", line[column])[0]) for column in (1, 3, 4)) for line in lines}
    for name, mine in values.items():
        others = [other for other in values.values() if other != mine]
        is_beaten = any(all(a >= b for a, b in zip(other, mine, strict=True)) for other in others)
        assert name.endswith("*") != is_beaten, name


def test_the_settings_that_are_shown_are_a_valid_config():
    shown = blocks(section(WAYS, "Ways to distil"), "yaml")[0].replace("chain: shrinking", "")
    models = ["dataset=d", "teacher=builtin/cnn-large", "student=builtin/cnn-tiny"]
    assert [term.loss for term in parse_yaml(shown, models).terms] == ["soft_target", "hint", "rkd_angle"]
    short, _, long = blocks(section(WAYS, "How it gets small"), "yaml")[0].partition("plan:\n")
    for plan in (short, f"plan:\n{long}"):
        assert [step.do for step in parse_yaml(plan, models).steps] == ["prune", "distill", "quantize"]


def test_the_run_that_the_readme_writes_down_is_a_valid_config():
    assert parse_yaml(blocks(README, "yaml")[0]).student == "teacher/2-layers"


def test_the_loss_that_contributing_adds_can_be_trained_with(monkeypatch):
    """The example is run as it stands: function, entry, test, and then the objective with it."""
    code = blocks(section(CONTRIBUTING, "Add a loss"), "python")[0]
    function, entry, test = re.split(r"^# .*\n", code, flags=re.MULTILINE)[1:]
    for name, body in added(function, losses).items():
        monkeypatch.setattr(losses, name, body, raising=False)
    for name, loss in eval(f"{{{entry}}}", dict(vars(methods))).items():
        monkeypatch.setitem(methods.LOSSES, name, loss)
    for body in added(test, test_response_losses).values():
        body()
    config = parse_config(
        {"dataset": "d", "teacher": "builtin/mlp-64", "student": "builtin/mlp-16", "terms": "logit_cosine"}
    )
    logits = torch.randn(2, 8, 5)
    objective_of_it = objective.Distillation(config, tasks.get("text-classification"))
    terms = objective_of_it(Outputs(logits[0]), Outputs(logits[1]), torch.zeros(8, dtype=torch.long))
    assert terms.parts["logit_cosine_loss"] > 0
    assert len([line for line in code.splitlines() if line.strip() and line[0] != "#"]) <= 12


@pytest.fixture
def grades(monkeypatch):
    """The task that CONTRIBUTING adds, registered, and the names of its tests."""
    module_text, test_text = blocks(section(CONTRIBUTING, "Add a task"), "python")
    spec = importlib.util.spec_from_loader("studio.tasks.grades", loader=None)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "studio.tasks.grades", module)
    exec(compile(module_text, "CONTRIBUTING.md", "exec"), module.__dict__)
    monkeypatch.setitem(tasks.TASKS, module.TASK.name, module.TASK)
    names: dict = {}
    exec(compile(test_text, "CONTRIBUTING.md", "exec"), names)
    return names


def test_the_tests_of_the_task_that_contributing_adds_pass(grades):
    tests = [body for name, body in grades.items() if name.startswith("test_")]
    assert len(tests) == 4
    for test in tests:
        test()


def test_the_task_that_contributing_adds_reaches_a_verdict(grades, store, home):
    columns = Columns("text", "label")
    saved = library.save(store, home, "essays", clean(grades["essays"](*("ABCDEF" * 20)), columns, "grades"), columns)
    settings = {**TINY, "teacher": "builtin/fasttext-small", "student": "builtin/fasttext-tiny", "epochs": 1}
    config = tasks.resolved(parse_config({"dataset": "essays", **settings}), tasks.get("grades"), len(saved.labels))
    said = list(distill(Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home)))
    measured = {event.metric for event in said if isinstance(event, events.Evaluation) and event.role == "student"}
    assert {"accuracy", "within_one"} <= measured
    assert any(isinstance(event, events.Verdict) for event in said)


def test_an_environment_is_no_part_of_the_repository_be_it_a_folder_or_a_link(tmp_path):
    """Git would put a link that stands in a commit in the place of the folder, and delete what is in it."""
    git = ["git", "-C", str(ROOT)]
    if subprocess.run([*git, "rev-parse"], capture_output=True).returncode:
        pytest.skip("this copy is no repository")
    assert subprocess.run([*git, "ls-files", ".venv"], capture_output=True, text=True, check=True).stdout == ""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    (tmp_path / ".venv").symlink_to(tmp_path)
    listed = ["git", "-C", str(tmp_path), "status", "--porcelain", "--untracked-files=all"]
    assert ".venv" not in subprocess.run(listed, capture_output=True, text=True, check=True).stdout
