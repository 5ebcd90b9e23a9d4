"""The student as ONNX files: they answer as the model does, open anywhere, and what does not agree is left out."""

import io
import json
import zipfile

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from datasets import Dataset
from onnx import TensorProto, helper, save
from PIL import Image

from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.folder import load
from studio.data.uploads import Upload
from studio.errors import ExportError
from studio.models import onnx, saving
from studio.models.model import Problem
from studio.models.opening import build
from studio.pipeline import convert as convert_module
from studio.pipeline import distill as trainer
from studio.pipeline.convert import convert as convert_here
from studio.pipeline.job import Job
from studio.service import export, library
from studio.service.questions import convert
from studio.service.runs import job_of
from studio.service.runtime import new_owner
from studio.store.rows import DatasetRow
from studio.tasks import Encoded
from tests.conftest import TINY

TEXT_MODELS = ("transformer-small", "fasttext-small")
IMAGE_MODELS = ("cnn-small", "mlp-64")


@pytest.fixture
def texts(home, saved) -> Problem:
    rows = load(home.dataset(saved.id)).dict["train"]
    return Problem("text-classification", ["bad", "good"], rows, 16)


@pytest.fixture
def images(home, saved_digits) -> Problem:
    dataset = load(home.dataset(saved_digits.id))
    return Problem("image-classification", dataset.labels, dataset.dict["train"], 16)


def built(name: str, problem: Problem):
    torch.manual_seed(0)
    model = build(name, problem)
    return model, problem.task.encode(problem.rows, model.processor, model.network.config, 16)


def check(name: str, problem: Problem, folder) -> None:
    model, inputs = built(name, problem)
    onnx.write(model, inputs, folder / "model.onnx")
    found = onnx.compare(model, folder / "model.onnx", inputs, problem.task)
    assert found.rows == len(inputs)
    assert found.same == 1.0
    assert found.largest < 1e-4
    onnx.write_int8(folder / "model.onnx", folder / "int8.onnx", inputs, onnx.best_form(model.network))
    found = onnx.compare(model, folder / "int8.onnx", inputs, problem.task)
    assert found.largest < 0.2
    assert (folder / "int8.onnx").stat().st_size < (folder / "model.onnx").stat().st_size


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_a_text_model_answers_alike_in_float32_and_nearly_alike_in_int8(name, texts, tmp_path):
    check(name, texts, tmp_path)


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_a_model_of_pairs_answers_about_pairs_of_any_length(name, tmp_path):
    texts = ["so " * length for length in range(1, 9)]
    rows = Dataset.from_dict({"text": texts, "text_pair": ["it is"] * 8, "label": [1.0, 2.0] * 4})
    check(name, Problem("regression", ["score"], rows, 16), tmp_path)


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_an_image_model_answers_alike_in_float32_and_nearly_alike_in_int8(name, images, tmp_path):
    check(name, images, tmp_path)


def test_any_number_of_rows_and_any_length_fit_the_file(texts, tmp_path):
    model, inputs = built("transformer-small", texts)
    onnx.write(model, inputs, tmp_path / "model.onnx")
    session = onnx.open_file(tmp_path / "model.onnx")
    for rows, length in ((1, 3), (5, 16)):
        batch = {
            "input_ids": torch.full((rows, length), 7),
            "attention_mask": torch.ones(rows, length, dtype=torch.long),
        }
        assert onnx.run(session, batch).shape == (rows, 2)


def test_a_file_of_another_model_is_told_apart(texts, tmp_path):
    model, inputs = built("transformer-small", texts)
    onnx.write(model, inputs, tmp_path / "model.onnx")
    every = inputs.batch(torch.arange(len(inputs)))
    with torch.no_grad():
        before = model.network.eval()(**every).logits
        model.network.classifier.bias += torch.tensor([0.0, before[:, 0].median() - before[:, 1].median()])
        after = model.network(**every).logits
    found = onnx.compare(model, tmp_path / "model.onnx", inputs, texts.task)
    assert found.same == pytest.approx(float((before.argmax(-1) == after.argmax(-1)).float().mean()))
    assert found.same < 1
    assert found.largest == pytest.approx(float((before - after).abs().max()), abs=1e-4)


@pytest.fixture
def finished(store, home, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="a", owner=new_owner())
    for event in trainer.distill(Job(run_id=run.id, config=run.config, dataset=home.dataset(saved.id), home=home)):
        store.record(run.id, [event])
    store.finish(run.id)
    return run


def test_a_runs_student_is_converted_once_checked_and_packed_with_its_card(home, store, finished, tmp_path):
    conversion = convert(home, store, finished.id)
    assert [one.name for one in conversion.forms] == ["torch", "float32", "int8"]
    assert all(one.latency_ms > 0 for one in conversion.forms)
    assert conversion.forms[1].same == 1.0
    assert convert(home, store, finished.id) == conversion
    written = export.student_zip(home, store, finished.id, tmp_path / "student.zip")
    with zipfile.ZipFile(written) as archive:
        assert "onnx/model.onnx" in archive.namelist()
        card = archive.read("README.md").decode()
        session = onnxruntime.InferenceSession(archive.read("onnx/model.onnx"))
    assert f"on {conversion.device}, {conversion.threads} threads, torch in PyTorch, the other" in card.replace(
        "\\", ""
    )
    feed = {"input_ids": np.full((1, 4), 7), "attention_mask": np.ones((1, 4), dtype=np.int64)}
    assert session.run(["logits"], feed)[0].shape == (1, 2)


def test_an_int8_file_that_does_not_agree_is_left_out_and_it_is_said_why(home, store, finished, monkeypatch):
    real = onnx.compare

    def compare(model, file, inputs, task):
        found = real(model, file, inputs, task)
        return onnx.Agreement(found.rows, 0.9, found.largest) if "int8" in file.name else found

    monkeypatch.setattr(onnx, "compare", compare)
    conversion = convert_here(job_of(store, home, finished.config, finished.dataset_id, finished.id))
    assert "90 %" in conversion.forms[2].left_out
    assert not (home.onnx(finished.id) / "model-int8.onnx").exists()
    assert (home.onnx(finished.id) / "model.onnx").exists()
    assert json.loads((home.onnx(finished.id) / "forms.json").read_text())["forms"][2]["file"] == ""


def test_a_float32_file_that_does_not_agree_is_an_error_and_leaves_nothing(home, store, finished, monkeypatch):
    monkeypatch.setattr(onnx, "compare", lambda model, file, inputs, multi_label: onnx.Agreement(10, 0.5, 3.0))
    job = job_of(store, home, finished.config, finished.dataset_id, finished.id)
    with pytest.raises(ExportError, match="does not answer as the student"):
        convert_here(job)
    assert not home.onnx(finished.id).exists()


def in_the_order_of_classes(home, store) -> tuple[DatasetRow, Dataset]:
    """A data set whose dark images come first, all of one class."""
    generator, rows = np.random.default_rng(0), []
    for split, count in (("train", 250), ("validation", 600), ("test", 4)):
        for label, brightness in (("dark", 8), ("light", 255)):
            for _ in range(count):
                file = io.BytesIO()
                Image.fromarray(generator.integers(0, brightness, (8, 8), dtype=np.uint8)).save(file, "PNG")
                rows.append((file.getvalue(), label, split))
    upload = Upload("images", pd.DataFrame(rows, columns=["image", "label", "split"], dtype=object))
    columns = Columns("image", "label", "split")
    saved = library.save(store, home, "shades", clean(upload, columns, "image-classification"), columns)
    return saved, load(home.dataset(saved.id)).dict["train"]


def test_where_classes_come_one_after_the_other_int8_is_measured_on_all_of_them(home, store, tmp_path, monkeypatch):
    _, rows = in_the_order_of_classes(home, store)
    _, inputs = built("cnn-tiny", Problem("image-classification", ["dark", "light"], rows, 16))
    assert set(inputs.labels[: onnx.CALIBRATION_ROWS].tolist()) == {0}
    same = helper.make_node("Identity", ["pixel_values"], ["logits"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("pixel_values", "logits")]
    save(helper.make_model(helper.make_graph([same], "same", ends[:1], ends[1:])), tmp_path / "model.onnx")
    seen = []

    def quantize(source, target, reader, **settings):
        seen.extend(image for batch in iter(reader.get_next, None) for image in batch["pixel_values"])

    monkeypatch.setattr(onnx.quantization, "quantize_static", quantize)
    onnx.write_int8(tmp_path / "model.onnx", tmp_path / "int8.onnx", inputs, "int8_static")
    light = np.mean([image.max() > inputs.batch(torch.arange(8))["pixel_values"].max() for image in seen])
    assert len(seen) == onnx.CALIBRATION_ROWS
    assert 0.3 < light < 0.7


def test_where_classes_come_one_after_the_other_an_export_is_checked_on_rows_of_all(home, store, monkeypatch):
    saved, rows = in_the_order_of_classes(home, store)
    names = {"teacher": "builtin/cnn-tiny", "student": "builtin/cnn-tiny"}
    model, _ = built("cnn-tiny", Problem("image-classification", ["dark", "light"], rows, 16))
    saving.save(model, home.model(1, "student"))
    looked: dict[str, Encoded] = {}

    def compare(model, file, inputs, task):
        looked["checked"] = inputs
        return onnx.Agreement(len(inputs), 1.0, 0.0)

    def write_int8(source, target, inputs, form):
        looked["measured"] = inputs
        target.touch()

    monkeypatch.setattr(onnx, "write", lambda model, inputs, file: file.touch())
    monkeypatch.setattr(onnx, "write_int8", write_int8)
    monkeypatch.setattr(onnx, "compare", compare)
    monkeypatch.setattr(convert_module, "_times", lambda *asked: dict.fromkeys(("torch", *convert_module.FILES), 1.0))
    config = parse_config({"dataset": "shades", **names})
    conversion = convert_here(Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home))
    assert conversion.forms[1].rows == 500
    for inputs in looked.values():
        assert 0.3 < float(inputs.labels.float().mean()) < 0.7
