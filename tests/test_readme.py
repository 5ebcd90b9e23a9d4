import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from studio import tasks
from studio.cli import app
from studio.config import methods
from studio.config.reading import parse_config, parse_yaml
from studio.distill import losses, objective
from studio.models.features import Outputs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MAP = README.split("## The map")[1].split("```")[1]


def test_every_line_of_the_map_names_what_is_there():
    for line in MAP.strip().splitlines():
        assert (ROOT / line.split()[0]).exists(), line


def test_every_module_and_page_is_on_the_map():
    found = {str(path.relative_to(ROOT)) for folder in ("studio", "pages") for path in (ROOT / folder).rglob("*.py")}
    listed = set(re.findall(r"\S+\.py", MAP))
    missing = {path for path in found - listed if not path.endswith(("__init__.py", "__main__.py"))}
    assert not missing


def test_every_dependency_has_its_reason():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    required = {line.split("==")[0] for line in lines if line and not line.startswith("#")}
    table = README.split("## What it stands on")[1]
    assert required == set(re.findall(r"^\| ([\w-]+) \| (?!for)", table, re.MULTILINE)) - {"package", "---"}


def test_every_command_in_the_readme_exists():
    for words in re.findall(r"python -m studio ([a-z]+(?: (?:add|list))?)", README):
        assert CliRunner().invoke(app, [*words.split(), "--help"]).exit_code == 0, words


def test_every_picture_in_the_readme_is_there():
    for name in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / name).is_file(), name


def test_every_loss_is_in_the_readme_with_its_hint_and_paper():
    for name, loss in methods.LOSSES.items():
        assert f"| `{name}` | {loss.when} | {loss.paper} |" in README, name


def test_the_gains_that_the_wizard_tells_are_those_of_the_readmes_table():
    table = README.split("## Which method?")[1].split("\n## ")[0]
    rows = {
        cells[1].strip(): cells for line in table.splitlines() if (cells := line.split("|"))[0] == "" and len(cells) > 4
    }
    for task, column in ((methods.TEXT, 3), (methods.IMAGES, 5)):
        for name, points in methods.GAINS[task].items():
            assert rows[methods.METHODS[name].title][column].strip() == f"{points:+.1f}".replace("-", "−"), name


def test_the_settings_that_the_readme_shows_are_a_valid_config():
    shown = README.split("## Ways to distil")[1].split("```yaml")[1].split("```")[0].replace("chain: shrinking", "")
    config = parse_yaml(shown, ["dataset=d", "teacher=builtin/cnn-large", "student=builtin/cnn-tiny"])
    assert [term.loss for term in config.terms] == ["soft_target", "hint", "rkd_angle"]


def test_the_loss_that_contributing_adds_in_ten_lines_can_be_trained_with(monkeypatch):
    """The example is run as it stands: function, entry, test, and then the objective with it."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    code = text.split("## Add a loss")[1].split("```python")[1].split("```")[0]
    monkeypatch.setattr(methods, "LOSSES", dict(methods.LOSSES))
    monkeypatch.setattr(objective, "LOSSES", methods.LOSSES)
    names = {"Tensor": torch.Tensor, "F": torch.nn.functional, "LOSSES": methods.LOSSES, "Loss": methods.Loss,
             "losses": losses, "pytest": pytest}  # fmt: skip
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    monkeypatch.setattr(losses, "logit_cosine_loss", names["logit_cosine_loss"], raising=False)
    logits = torch.randn(2, 8, 5)
    names["test_the_scale_of_logits_makes_no_difference_to_their_cosine"](logits)
    config = parse_config(
        {"dataset": "d", "teacher": "builtin/mlp-64", "student": "builtin/mlp-16", "terms": "logit_cosine"}
    )
    objective_of_it = objective.Distillation(config, tasks.get("text-classification"))
    terms = objective_of_it(Outputs(logits[0]), Outputs(logits[1]), torch.zeros(8, dtype=torch.long))
    assert terms.parts["logit_cosine_loss"] > 0
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 10


def test_the_rows_in_contributing_name_every_module():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for path in (ROOT / "studio").glob("*.py"):
        if not path.stem.startswith("__"):
            assert f"`{path.stem}`" in text or f"`studio.{path.stem}`" in text, path.stem
