"""What a user takes away opens in a fresh process that knows nothing of the studio."""

import subprocess
import sys
import zipfile

import pytest

from studio import export, runner
from studio.config import parse_config
from studio.errors import ExportError
from tests.conftest import TINY


def finished(store, home, **changes):
    run = store.submit(parse_config({"dataset": "reviews", **TINY, **changes}), key="k", owner=runner.new_owner())
    list(runner.carry(store, home, run))
    assert store.run(run.id).status == "finished", store.run(run.id).message
    return run


@pytest.mark.parametrize("student", ["builtin/transformer-tiny", "builtin/fasttext-tiny"])
def test_the_snippet_of_the_model_card_runs_as_it_stands_in_a_fresh_process(store, home, saved, tmp_path, student):
    run = finished(store, home, student=student)
    with zipfile.ZipFile(export.student_zip(home, store, run.id, tmp_path / "student.zip")) as archive:
        archive.extractall(tmp_path / "student")
    card = (tmp_path / "student" / "README.md").read_text()
    snippet = card.split("```python\n")[1].split("```")[0] + "print(model.config.id2label)"
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=tmp_path / "student", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "good" in done.stdout
    assert parse_config_of(tmp_path) == store.run(run.id).config


def parse_config_of(folder):
    from studio.config import parse_yaml

    return parse_yaml((folder / "student" / "config.yaml").read_text())


def test_a_run_without_a_student_is_refused_and_nothing_is_overwritten(store, home, saved, tmp_path):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k")
    with pytest.raises(ExportError, match="has no student yet; it is queued"):
        export.student_zip(home, store, run.id, tmp_path / "student.zip")
    home.model(run.id, "student").mkdir(parents=True)
    (tmp_path / "mine.zip").write_text("mine")
    with pytest.raises(ExportError, match="nothing is overwritten"):
        export.student_zip(home, store, run.id, tmp_path / "mine.zip")
    assert (tmp_path / "mine.zip").read_text() == "mine"
