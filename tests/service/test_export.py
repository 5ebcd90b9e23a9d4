"""What a user takes away opens in a process that knows nothing of the studio."""

import contextlib
import functools
import json
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import pandas as pd
import pytest
from PIL import Image

from studio import tasks
from studio.config.reading import parse_config, parse_yaml
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.uploads import Upload
from studio.errors import ExportError
from studio.events import Evaluation, Verdict
from studio.files import damage, inside
from studio.home import Home
from studio.language.escaping import in_markdown
from studio.models.saving import require_undamaged
from studio.pipeline.convert import convert
from studio.pipeline.job import Job
from studio.service import export, library
from studio.service.runs import carry
from studio.service.runtime import new_owner
from studio.store.store import Store
from tests.conftest import TINY, digits, here, reviews
from tests.fresh import Fresh

PICTURES = {"dataset": "digits", "teacher": "builtin/mlp-64", "epochs": 1, "teacher_epochs": 1, "control": False,
            "allow_weak_teacher": True, "onnx_times": False}  # fmt: skip
STUDENTS = {
    "transformer": TINY,
    "fasttext": {**TINY, "student": "builtin/fasttext-tiny"},
    "pruned": {**TINY, "plan": [{"do": "prune", "ratio": 0.5, "units": ["heads"]}, "distill"]},
    "four bits": {**TINY, "student": "builtin/fasttext-tiny", "plan": ["distill", "quantize:weights_int4"]},
    "int8": {**TINY, "plan": "distill, quantize:int8"},
    "cnn": {**PICTURES, "student": "builtin/cnn-tiny"},
    "mlp": {**PICTURES, "student": "builtin/mlp-16"},
}
"""Settings of the runs whose students are taken away."""


class Trained:
    """A home with a run for each of the students, which learns when it is first asked for."""

    def __init__(self, folder):
        self.folder, self.home = folder, Home(folder / "home")
        self.store = Store(self.home.database)
        for name, task, upload, columns in (
            ("reviews", "text-classification", reviews(), Columns("text", "label")),
            ("digits", "image-classification", digits(), Columns("image", "label", "split")),
        ):
            library.save(self.store, self.home, name, clean(upload, columns, task), columns)

    @functools.cache  # noqa: B019  it lives as long as the module's tests
    def run(self, student):
        config = parse_config({"dataset": "reviews", **STUDENTS[student]})
        run = self.store.submit(config, key=student, owner=new_owner())
        list(carry(self.store, self.home, run, here))
        assert self.store.run(run.id).status == "finished", self.store.run(run.id).message
        return run

    @functools.cache  # noqa: B019
    def student(self, student):
        """The ZIP of one that nothing was converted for."""
        run = self.run(student)
        return export.student_zip(self.home, self.store, run.id, self.folder / f"{student}.zip")

    @functools.cache  # noqa: B019
    def converted(self, student):
        """The ZIP once more, after its ONNX files were made."""
        self.student(student)
        run = self.run(student)
        data = self.home.dataset(run.dataset_id)
        convert(Job(run_id=run.id, config=run.config, dataset=data, home=self.home))
        return export.student_zip(self.home, self.store, run.id, self.folder / f"{student} in ONNX.zip")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return Trained(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def fresh():
    """Asks for processes that have opened libraries and nothing of the studio."""
    with contextlib.closing(Fresh()) as asked:
        yield asked


def unpacked(file, folder):
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "student")
    return folder / "student"


def lines_of_the_card(folder, number=1):
    """The lines of Python in the model card."""
    return (folder / "README.md").read_text().split("```python\n")[number].split("```")[0]


def test_the_snippet_of_the_model_card_runs_as_it_stands_in_a_process_that_has_opened_nothing(trained, tmp_path):
    folder = unpacked(trained.student("transformer"), tmp_path)
    command = [sys.executable, "-c", lines_of_the_card(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] in ("good", "bad")


@pytest.mark.parametrize("student", ["transformer", "fasttext"])
def test_the_model_card_has_lines_that_run_how_texts_were_read_what_to_install_and_how_long_models_take(
    trained, tmp_path, fresh, student
):
    folder = unpacked(trained.student(student), tmp_path)
    assert fresh.run(lines_of_the_card(folder), folder).split()[0] in ("good", "bad")
    assert parse_yaml((folder / "config.yaml").read_text()) == trained.store.run(trained.run(student).id).config
    card = (folder / "README.md").read_text()
    assert "truncation=True, max_length=16," in card  # as the run read them
    assert "`pip install torch==" in card and " transformers==" in card
    assert "| student | all cores | 1 | PyTorch |" in card
    assert "| teacher | one thread | 1 | PyTorch |" in card


@pytest.mark.parametrize("student", ["pruned", "four bits"])
def test_a_student_that_transformers_cannot_open_brings_the_file_that_can(trained, tmp_path, fresh, student):
    folder = unpacked(trained.student(student), tmp_path)
    assert (folder / "studio_compact.py").is_file()
    assert fresh.run(lines_of_the_card(folder), folder).split()[0] in ("good", "bad")
    card = (folder / "README.md").read_text()
    assert "| Distil |" in card
    assert "validation rows that chose the weights, too: the values are a little too good" in card


@pytest.mark.parametrize("student", ["transformer", "fasttext"])
def test_an_onnx_file_in_the_zip_comes_with_lines_that_ask_it_and_every_file_with_its_checksum(
    trained, tmp_path, fresh, student
):
    folder = unpacked(trained.converted(student), tmp_path)
    assert fresh.run(lines_of_the_card(folder, 2), folder).strip() in ("good", "bad")
    files = {file.relative_to(folder).as_posix() for file in inside(folder)}
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    assert {line.partition("  ")[2] for line in sums} == files - {"SHA256SUMS"} >= {"README.md", "onnx/model.onnx"}
    assert damage(folder) is None
    (folder / "README.md").write_text("mine")
    require_undamaged(folder)  # who opens the weights does not mind


def test_a_zip_without_an_onnx_file_says_how_to_get_one(trained, tmp_path):
    card = (unpacked(trained.student("transformer"), tmp_path) / "README.md").read_text()
    assert f"no ONNX file. `python -m studio export {trained.run('transformer').id}` puts one into it" in card


def test_a_student_in_int8_brings_its_file_and_lines_that_ask_it(trained, tmp_path, fresh):
    folder = unpacked(trained.student("int8"), tmp_path)
    assert fresh.run(lines_of_the_card(folder), folder).split()[0] in ("good", "bad")
    assert fresh.run(lines_of_the_card(folder, 2), folder).strip() in ("good", "bad")


@pytest.mark.parametrize("student", ["cnn", "mlp"])
def test_the_snippet_of_an_image_model_names_what_is_in_a_picture(trained, tmp_path, fresh, student):
    folder = unpacked(trained.student(student), tmp_path)
    Image.new("RGB", (20, 30), "white").save(folder / "image.png")
    assert fresh.run(lines_of_the_card(folder), folder).split()[0] in set("0123456789")
    assert " pillow==" in (folder / "README.md").read_text()


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


def test_a_label_that_the_verdict_names_is_no_link_in_the_model_card(store, home):
    label = "[won](https://b.example)<img src=x>"
    columns, upload = Columns("text", "label"), reviews(20)
    upload.table["label"] = upload.table["label"].replace({"good": label})
    library.save(store, home, "some", clean(upload, columns, "text-classification"), columns)
    run = store.submit(parse_config({"dataset": "some", **TINY}), key="k", owner="me")
    told = "It finds 0 of 7 rows of {} (teacher 1)."
    store.record(run.id, [Verdict(outcome="worse", sentence=told.format(repr(label)))])
    card = export.model_card(store, store.run(run.id), limit=16)
    assert label not in card
    assert told.format(in_markdown(repr(label))) in card


@pytest.mark.parametrize(("columns", "form", "templated"), [
    (Columns("text", None), "text", "text"),
    (Columns("text", None, pair="answer"), "answer", "template"),
    (Columns("chat", None), "chat", "template"),
])  # fmt: skip
def test_a_card_of_a_model_that_writes_opens_texts_as_it_learned_them(store, home, tmp_path, columns, form, templated):
    said = [
        [{"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": "Yes."}] for number in range(40)
    ]
    rows = {"text": [f"text {number}" for number in range(40)], "answer": ["Yes."] * 40, "chat": map(json.dumps, said)}
    upload = Upload("table", pd.DataFrame(rows, dtype=object))
    saved = library.save(store, home, "tales", clean(upload, columns, "language-model"), columns)
    run = SimpleNamespace(dataset_id=saved.id)
    assert export._opening(home, store, run, tmp_path) == form
    (tmp_path / "chat_template.jinja").touch()
    assert export._opening(home, store, run, tmp_path) == templated
    assert templated == "text" or "-cnv --jinja" in " ".join(export._gguf_lines("model.gguf", templated))
    usage = export._use(tasks.get("language-model"), 24, False, templated)
    assert ("apply_chat_template" in " ".join(usage)) == (templated == "template")
