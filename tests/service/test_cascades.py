"""A cascade to take away: both models and the rule in one zip."""

import json
import zipfile

import pytest

from studio.config.reading import parse_config
from studio.errors import ExportError
from studio.service import cascades, export
from tests.conftest import TINY

TOLD = {"measure": "accuracy", "value": 0.9, "asked": 0.2, "rows": 100}


@pytest.fixture
def run(store, home, saved, monkeypatch):
    """A run whose student is packed as a file of its own."""
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="one", owner="me")
    teacher = home.model(run.id, "teacher")
    teacher.mkdir(parents=True)
    (teacher / "model.safetensors").write_text("teacher")

    def packed(home, store, run_id, target, role="student"):
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("model.safetensors", "student")
        return target

    monkeypatch.setattr(export, "student_zip", packed)
    return run


def test_the_zip_holds_both_models_and_the_rule(home, store, run, tmp_path):
    other = tmp_path / "cascade.student.zip"
    other.write_text("mine")
    file = cascades.write(home, store, run.id, 0.83, TOLD, tmp_path / "cascade.zip")
    with zipfile.ZipFile(file) as archive:
        assert archive.read("student/model.safetensors") == b"student"
        assert archive.read("teacher/model.safetensors") == b"teacher"
        assert json.loads(archive.read("rule.json"))["threshold"] == 0.83
        assert "at least 83.0 % sure" in archive.read("README.md").decode()
    assert {one.name for one in tmp_path.glob("cascade*")} == {"cascade.zip", "cascade.student.zip"}
    assert other.read_text() == "mine"


def test_nothing_that_is_there_is_overwritten(home, store, run, tmp_path):
    target = tmp_path / "cascade.zip"
    target.write_text("mine")
    with pytest.raises(ExportError, match="is there already"):
        cascades.write(home, store, run.id, 0.83, TOLD, target)
    assert target.read_text() == "mine"
