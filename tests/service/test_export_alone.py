"""What a user takes away, in an environment that has just what its model card names: as accurate as in the run.

Environments take minutes and a package index: `pytest -n 0 -m packages tests/service/test_export_alone.py` asks for it.
"""

import json
import re
import subprocess
import venv
import zipfile
from pathlib import Path

import pytest

from studio.config.reading import parse_config
from studio.data.folder import load
from studio.pipeline.convert import convert
from studio.pipeline.job import Job
from studio.service import export
from studio.service.runs import carry
from studio.service.runtime import new_owner
from tests.conftest import TINY, here

pytestmark = pytest.mark.packages

IMAGES = {"teacher": "builtin/mlp-64", "student": "builtin/mlp-16", "epochs": 4, "teacher_epochs": 4, "batch_size": 16,
          "allow_weak_teacher": True, "onnx_times": False}  # fmt: skip
KINDS = {
    "text": ("saved", TINY, 1),
    "image": ("saved_digits", IMAGES, 1),
    "onnx": ("saved", TINY, 2),
    "int8": ("saved", TINY | {"plan": "distill, quantize:int8"}, 2),
    "compact": ("saved", TINY | {"plan": "distill, quantize:weights_int4"}, 1),
}
"""The data, the settings, and which lines of Python of the card are tried."""

ASK = """
import contextlib, io, json, pathlib
lines, rows, right = pathlib.Path("lines.py").read_text(), json.loads(pathlib.Path("rows.json").read_text()), 0
for given, label in rows:
    if given["file"]:
        pathlib.Path("image.png").write_bytes(pathlib.Path(given["file"]).read_bytes())
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(lines.replace('"Write a text here."', repr(given["text"])), {})
    right += said.getvalue().split()[0] == label
print(right / len(rows))
"""


@pytest.fixture(autouse=True)
def _asked_for(request) -> None:
    if "packages" not in request.config.option.markexpr:
        pytest.skip("installs packages, which takes minutes: it is asked for with -m packages")


@pytest.fixture(scope="module")
def environments(tmp_path_factory):
    """The Python of an environment in which nothing is but what a line `pip install …` brings; made once for a line."""
    made: dict[str, Path] = {}

    def python_after(line: str) -> Path:
        if line not in made:
            folder = tmp_path_factory.mktemp("environment")
            venv.create(folder, with_pip=True)
            python = folder / "bin" / "python"
            command = [str(python), "-m", *line.split()]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode and re.search(r"No matching distribution|Connection|Temporary failure", done.stderr):
                pytest.skip(f"no package index has what the card names: {done.stderr.strip().splitlines()[-1]}")
            assert done.returncode == 0, done.stderr
            made[line] = python
        return made[line]

    return python_after


@pytest.mark.parametrize("kind", KINDS)
def test_the_lines_of_the_card_are_as_accurate_as_the_run_found_with_just_the_packages_it_names(
    kind, store, home, request, environments, tmp_path
):
    data, settings, number = KINDS[kind]
    dataset = request.getfixturevalue(data)
    run = store.submit(parse_config({"dataset": dataset.name, **settings}), key="k", owner=new_owner())
    list(carry(store, home, run, here))
    if kind == "onnx":
        convert(Job(run_id=run.id, config=run.config, dataset=home.dataset(dataset.id), home=home))
    folder = tmp_path / "student"
    with zipfile.ZipFile(export.student_zip(home, store, run.id, tmp_path / "student.zip")) as archive:
        archive.extractall(folder)
    card = (folder / "README.md").read_text()
    before, lines, *_ = card.split("```python\n")[number - 1 : number + 1]
    (folder / "lines.py").write_text(lines.split("```")[0])
    (folder / "rows.json").write_text(json.dumps(rows_for_testing(home.dataset(dataset.id), tmp_path)))
    python = environments(re.findall(r"`(pip install [^`]+)`", before)[-1])
    done = subprocess.run([str(python), "-c", ASK], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = next(
        one.value
        for one in store.evaluations(run.id)
        if (one.role, one.split, one.metric) == ("student", "test", "accuracy")
    )
    assert float(done.stdout) == pytest.approx(found)


def rows_for_testing(folder: Path, place: Path) -> list[tuple[dict[str, str], str]]:
    """The test rows: a text or the file of a picture, and the label."""
    saved, found = load(folder), []
    for number, row in enumerate(saved.dict["test"]):
        file = place / f"{number}.png"
        if "image" in row:
            row["image"].save(file)
        given = {"text": row.get("text", ""), "file": str(file) if "image" in row else ""}
        found.append((given, saved.labels[row["label"]]))
    return found
