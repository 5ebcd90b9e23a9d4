"""Models are opened from their folders."""

import subprocess
import sys
from pathlib import Path

import pytest

from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.folder import divide
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


@pytest.mark.parametrize("name", ["fasttext-tiny", "transformer-tiny"])
def test_a_process_that_has_built_no_model_opens_a_built_in_one(name, tmp_path):
    rows = clean(reviews(), Columns("text", "label"), "text-classification")
    problem = Problem("text-classification", rows.labels, divide(rows).whole()["train"], 16)
    saved = save(opening.build(name, problem), tmp_path / "model")
    command = [sys.executable, "-c", OPEN, str(saved.folder), problem.name, *rows.labels]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "True", done.stderr
