"""What a user takes away opens in a fresh process that knows nothing of the studio."""

import subprocess
import sys
import zipfile
from types import SimpleNamespace

import pytest
from PIL import Image

from studio import tasks
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.errors import ExportError
from studio.events import Evaluation
from studio.files import damage, inside
from studio.models.saving import require_undamaged
from studio.pipeline.convert import convert
from studio.pipeline.job import Job
from studio.service import export, library
from studio.service.runs import carry
from studio.service.runtime import new_owner
from tests.conftest import TINY, here, reviews


def finished(store, home, **changes):
    run = store.submit(parse_config({"dataset": "reviews", **TINY, **changes}), key="k", owner=new_owner())
    list(carry(store, home, run, here))
    assert store.run(run.id).status == "finished", store.run(run.id).message
    return run


def run_the_card(folder, number=1):
    """What the lines of Python in the model card print in a fresh process."""
    snippet = (folder / "README.md").read_text().split("```python\n")[number].split("```")[0]
    done = subprocess.run([sys.executable, "-c", snippet], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("student", ["builtin/transformer-tiny", "builtin/fasttext-tiny"])
def test_the_snippet_of_the_model_card_runs_as_it_stands_in_a_fresh_process(store, home, saved, tmp_path, student):
    run = finished(store, home, student=student)
    with zipfile.ZipFile(export.student_zip(home, store, run.id, tmp_path / "student.zip")) as archive:
        archive.extractall(tmp_path / "student")
    assert run_the_card(tmp_path / "student").split()[0] in ("good", "bad")
    assert parse_config_of(tmp_path) == store.run(run.id).config
    card = (tmp_path / "student" / "README.md").read_text()
    assert "truncation=True, max_length=16," in card  # as the run read them
    assert "`pip install torch==" in card and " transformers==" in card
    assert "| student | all cores | 1 | PyTorch |" in card
    assert "| teacher | one thread | 1 | PyTorch |" in card


@pytest.mark.parametrize(
    ("student", "plan"),
    [
        ("builtin/transformer-tiny", [{"do": "prune", "ratio": 0.5, "units": ["heads"]}, "distill"]),
        ("builtin/fasttext-tiny", ["distill", "quantize:weights_int4"]),
    ],
)
def test_a_student_that_transformers_cannot_open_brings_the_file_that_can(store, home, saved, tmp_path, student, plan):
    run = finished(store, home, student=student, plan=plan)
    with zipfile.ZipFile(export.student_zip(home, store, run.id, tmp_path / "student.zip")) as archive:
        archive.extractall(tmp_path / "student")
    assert (tmp_path / "student" / "studio_compact.py").is_file()
    assert run_the_card(tmp_path / "student").split()[0] in ("good", "bad")
    card = (tmp_path / "student" / "README.md").read_text()
    assert "| Distil |" in card
    assert "validation rows that chose the weights, too: the values are a little too good" in card


@pytest.mark.parametrize("student", ["builtin/transformer-tiny", "builtin/fasttext-tiny"])
def test_an_onnx_file_in_the_zip_comes_with_lines_that_ask_it_and_every_file_with_its_checksum(
    store, home, saved, tmp_path, student
):
    run = finished(store, home, student=student, control=False)
    convert(Job(run_id=run.id, config=run.config, dataset=home.dataset(saved.id), home=home))
    with zipfile.ZipFile(export.student_zip(home, store, run.id, tmp_path / "student.zip")) as archive:
        archive.extractall(tmp_path / "student")
    assert run_the_card(tmp_path / "student", number=2).strip() in ("good", "bad")
    files = {file.relative_to(tmp_path / "student").as_posix() for file in inside(tmp_path / "student")}
    sums = (tmp_path / "student" / "SHA256SUMS").read_text().splitlines()
    assert {line.partition("  ")[2] for line in sums} == files - {"SHA256SUMS"} >= {"README.md", "onnx/model.onnx"}
    assert damage(tmp_path / "student") is None
    (tmp_path / "student" / "README.md").write_text("mine")
    require_undamaged(tmp_path / "student")  # who opens the weights does not mind


def test_a_zip_without_an_onnx_file_says_how_to_get_one(store, home, saved, tmp_path):
    run = finished(store, home, control=False)
    with zipfile.ZipFile(export.student_zip(home, store, run.id, tmp_path / "student.zip")) as archive:
        card = archive.read("README.md").decode()
    assert f"no ONNX file. `python -m studio export {run.id}` puts one into it" in card


def test_a_student_in_int8_brings_its_file_and_lines_that_ask_it(store, home, saved, tmp_path):
    run = finished(store, home, plan="distill, quantize:int8")
    with zipfile.ZipFile(export.student_zip(home, store, run.id, tmp_path / "student.zip")) as archive:
        archive.extractall(tmp_path / "student")
    assert run_the_card(tmp_path / "student").split()[0] in ("good", "bad")
    assert run_the_card(tmp_path / "student", number=2).strip() in ("good", "bad")


@pytest.mark.parametrize("student", ["builtin/cnn-tiny", "builtin/mlp-16"])
def test_the_snippet_of_an_image_model_names_what_is_in_a_picture(store, home, saved_digits, tmp_path, student):
    settings = {"teacher": "builtin/mlp-64", "student": student, "epochs": 1, "teacher_epochs": 1, "control": False}
    config = parse_config({"dataset": "digits", "allow_weak_teacher": True, **settings})
    run = store.submit(config, key="k", owner=new_owner())
    list(carry(store, home, run, here))
    with zipfile.ZipFile(export.student_zip(home, store, run.id, tmp_path / "student.zip")) as archive:
        archive.extractall(tmp_path / "student")
    Image.new("RGB", (20, 30), "white").save(tmp_path / "student" / "image.png")
    assert run_the_card(tmp_path / "student").split()[0] in set("0123456789")
    assert " pillow==" in (tmp_path / "student" / "README.md").read_text()


@pytest.mark.parametrize("form", ["torch", "int8", "onnx"])
def test_the_lines_of_the_card_turn_a_photo_as_the_run_did(tmp_path, monkeypatch, form):
    about = Image.Exif()
    about[0x0112] = 6  # the camera was held upright and noted it
    Image.new("L", (16, 8)).save(tmp_path / "image.png", exif=about)
    monkeypatch.chdir(tmp_path)
    lines = tasks.get("image-classification").usage(form, 16)
    reading = [line for line in lines if line.startswith(("from PIL", "image = "))]
    known = {"config": {"num_channels": 1}, "model": SimpleNamespace(config=SimpleNamespace(num_channels=1))}
    exec("\n".join(reading), known)
    assert known["image"].size == (8, 16)


def test_times_on_the_card_say_on_what_with_how_many_threads_in_which_runtime_and_how_exact_they_are():
    where = {"split": "", "threads": 2, "device": "Some Processor", "runtime": "PyTorch"}
    timed = [
        Evaluation(role="student", metric="latency_ms", value=1.5, **where),
        Evaluation(role="teacher", metric="latency_ms", value=6.0, **where),
        Evaluation(role="teacher", metric="latency_ratio", value=4.0, low=3.5, high=4.6, **where),
    ]
    told = "\n".join(export._speed_lines(timed))
    assert "Medians on Some Processor, all models in turn" in told
    assert "| teacher | all cores | 2 | PyTorch | 6.00 |  | 4.00 (3.50 to 4.60) |" in told


def parse_config_of(folder):
    from studio.config.reading import parse_yaml

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


def test_what_went_wrong_leaves_no_half_zip(store, home, saved, tmp_path):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k")
    home.model(run.id, "student").mkdir(parents=True)  # without a config.json
    with pytest.raises(FileNotFoundError):
        export.student_zip(home, store, run.id, tmp_path / "out" / "student.zip")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(store, home, saved, tmp_path):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k")
    home.model(run.id, "student").mkdir(parents=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExportError, match="cannot be written"):
        export.student_zip(home, store, run.id, tmp_path / "file" / "student.zip")


def test_names_in_the_model_card_mean_nothing_to_markdown(store, home, tmp_path):
    columns = Columns("text", "label")
    upload = reviews(20)
    upload.table["label"] = upload.table["label"].replace({"good": "<script>\n# good"})
    rows = clean(upload, columns, "text-classification")
    library.save(store, home, "my `best` <b>", rows, columns)
    run = store.submit(parse_config({"dataset": "my `best` <b>", **TINY}), key="k")
    card = export.model_card(store, store.run(run.id), limit=16)
    assert r"my \`best\` \<b\>" in card
    assert "\n# good" not in card
