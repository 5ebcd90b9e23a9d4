"""Models are opened from their folders."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.folder import divide
from studio.errors import ModelError
from studio.models import opening
from studio.models.model import Problem
from studio.models.saving import save
from tests.conftest import reviews

OPEN = """
import sys
from pathlib import Path
from studio.models.model import Problem
from studio.models.opening import open_folder
folder, task, *labels = sys.argv[1:]
print(open_folder(Path(folder), Problem(task, labels, None, 16)).knows_labels)
"""


def built(name, tmp_path):
    rows = clean(reviews(), Columns("text", "label"), "text-classification")
    problem = Problem("text-classification", rows.labels, divide(rows).whole()["train"], 16)
    return save(opening.build(name, problem), tmp_path / "model").folder, problem


@pytest.mark.parametrize("name", ["fasttext-tiny", "transformer-tiny"])
def test_a_process_that_has_built_no_model_opens_a_built_in_one(name, tmp_path):
    folder, problem = built(name, tmp_path)
    command = [sys.executable, "-c", OPEN, str(folder), problem.name, *problem.labels]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "True", done.stderr


def test_a_folder_that_takes_too_long_or_too_much_is_given_up(tmp_path, monkeypatch):
    folder, problem = built("fasttext-tiny", tmp_path)
    monkeypatch.setattr(opening, "SECONDS", 0.05)
    monkeypatch.setattr(opening.AutoConfig, "from_pretrained", lambda *_, **__: time.sleep(5))
    with pytest.raises(ModelError, match=r"longer than 0\.05 seconds"):
        opening.open_folder(folder, problem)
    monkeypatch.undo()
    monkeypatch.setattr(opening, "SECONDS", 0.5)
    monkeypatch.setattr(opening, "_open_network", lambda *_: time.sleep(5))
    with pytest.raises(ModelError, match=r"longer than 0\.5 seconds"):
        opening.open_folder(folder, problem)
    monkeypatch.setattr(opening, "SECONDS", 60)
    monkeypatch.setattr(opening, "SPARE_BYTES", 100 * 1024**2)
    monkeypatch.setattr(opening.AutoConfig, "from_pretrained", lambda *_, **__: bytearray(1024**3))
    with pytest.raises(ModelError, match="more memory than a model of its sizes does"):
        opening.open_folder(folder, problem)
