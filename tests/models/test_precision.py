"""Teachers in fewer bits: they answer nearly as in full, and nothing is cut from them or saved so."""

from dataclasses import replace

import pytest
import torch

from studio import tasks
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.folder import divide
from studio.distill import teacher_outputs
from studio.errors import ExportError, ModelError
from studio.evaluate import latency
from studio.models import onnx, opening, precision
from studio.models.model import Problem, parameters
from studio.models.saving import save
from tests.conftest import digits, reviews

WRITES = tasks.get("language-model")
ROWS = WRITES.unlabelled(["Once upon a time there was a cat. It was happy."] * 2)
FEWER = ("bfloat16", "8bit", "4bit")


def saved(problem, name, folder):
    return save(opening.build(name, problem), folder).folder


def of_texts(tmp_path):
    problem = Problem(WRITES.name, [], ROWS, 32)
    return saved(problem, "gpt-tiny", tmp_path / "model"), problem


def of_images(tmp_path):
    rows = clean(digits(), Columns("image", "label", "split"), "image-classification")
    problem = Problem("image-classification", rows.labels, divide(rows).whole()["train"], 16)
    return saved(problem, "cnn-tiny", tmp_path / "model"), problem


def of_labels(tmp_path):
    rows = clean(reviews(), Columns("text", "label"), "text-classification")
    problem = Problem("text-classification", rows.labels, divide(rows).whole()["train"], 16)
    return saved(problem, "transformer-tiny", tmp_path / "model"), problem


def answers(model, problem):
    rows = problem.rows.select(range(2))
    inputs = problem.task.encode(rows, model.processor, model.network.config, problem.max_length)
    with torch.inference_mode():
        return model.network.eval()(**inputs.batch(torch.arange(2))).logits.float().softmax(-1)


def opened(held, folder, problem):
    if held in ("8bit", "4bit"):
        pytest.importorskip("bitsandbytes")
    return opening.open_folder(folder, problem, held)


@pytest.mark.parametrize("held", FEWER)
@pytest.mark.parametrize("kind", [of_texts, of_labels])
def test_a_teacher_in_fewer_bits_takes_less_memory_and_answers_nearly_as_in_full(kind, held, tmp_path):
    folder, problem = kind(tmp_path)
    whole, fewer = opening.open_folder(folder, problem), opened(held, folder, problem)
    assert (whole.precision, fewer.precision) == ("float32", held)
    assert (answers(whole, problem) - answers(fewer, problem)).abs().sum(-1).mean() < 0.1
    assert not torch.equal(answers(whole, problem), answers(fewer, problem))
    assert parameters(fewer.network) == parameters(whole.network), "the same numbers, in fewer bits"
    taken = [sum(weight.nbytes for weight in model.network.parameters()) for model in (whole, fewer)]
    assert taken[1] <= taken[0] / 2
    assert fewer.knows_labels


def test_pictures_are_read_in_the_format_of_the_weights(tmp_path):
    folder, problem = of_images(tmp_path)
    fewer = opening.open_folder(folder, problem, "bfloat16")
    torch.testing.assert_close(answers(fewer, problem), answers(opening.open_folder(folder, problem), problem),
                               atol=0.02, rtol=0)  # fmt: skip


@pytest.mark.parametrize("held", FEWER)
def test_what_is_cut_from_a_teacher_in_fewer_bits_has_its_weights_in_full(held, tmp_path):
    folder, problem = of_texts(tmp_path)
    fewer = opened(held, folder, problem)
    whole = opening.in_full(fewer, problem)
    assert (whole.precision, whole.processor) == ("float32", fewer.processor)
    wanted = opening.open_folder(folder, problem).network.state_dict()
    assert all(torch.equal(wanted[name], weight) for name, weight in whole.network.state_dict().items())
    assert opening.in_full(whole, problem) is whole


@pytest.mark.parametrize("held", FEWER)
def test_answers_are_known_by_the_precision_of_who_gave_them(held, tmp_path):
    folder, problem = of_texts(tmp_path)
    models = opening.open_folder(folder, problem), opened(held, folder, problem), opened(held, folder, problem)
    inputs = WRITES.encode(ROWS, models[0].processor, models[0].network.config, 32)
    answers(models[1], problem)  # a model that was asked already is known by the same name
    whole, asked, fresh = (teacher_outputs.fingerprint(model, inputs) for model in models)
    assert asked == fresh != whole


def test_a_teacher_in_fewer_bits_is_never_saved_nor_timed_as_a_file_nor_compared_in_speed(tmp_path):
    folder, problem = of_texts(tmp_path)
    fewer = opening.open_folder(folder, problem, "bfloat16")
    with pytest.raises(AssertionError, match="answers, and is not saved"):
        save(fewer, tmp_path / "other")
    with pytest.raises(ExportError, match="in bfloat16, a file in float32"):
        onnx.in_onnx_runtime(fewer, None, tmp_path)
    assert latency.runtime(fewer) == "PyTorch, bfloat16"
    assert latency.runtime(replace(fewer, precision="float32")) == "PyTorch"


def test_a_teacher_that_is_still_to_learn_its_labels_comes_in_full(tmp_path):
    folder, problem = of_labels(tmp_path)
    other = replace(problem, labels=["x", "y", "z"])
    found = opening.open_folder(folder, other, "bfloat16")
    assert (found.precision, found.knows_labels, found.network.dtype) == ("float32", False, torch.float32)


def test_without_bitsandbytes_a_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    """Also to who asks the teacher of a run that was carried out elsewhere."""
    folder, problem = of_texts(tmp_path)
    monkeypatch.setattr(precision, "is_bitsandbytes_available", lambda: False)
    for held in ("8bit", "4bit"):
        for asks in (
            lambda held=held: precision.require(held),
            lambda held=held: opening.open_folder(folder, problem, held),
        ):
            with pytest.raises(ModelError, match=f"in {held} needs bitsandbytes.*pip install bitsandbytes"):
                asks()
    precision.require("bfloat16")


def test_a_network_without_linear_layers_is_not_said_to_be_in_8_bits(tmp_path):
    folder, problem = of_images(tmp_path)
    with pytest.raises(ModelError, match="no linear layers"):
        opened("8bit", folder, problem)


def test_a_model_that_a_plan_has_compressed_is_refused_before_it_learns_labels(tmp_path, monkeypatch):
    folder, problem = of_labels(tmp_path)
    monkeypatch.setattr(opening.compact, "is_compact", lambda folder: True)
    with pytest.raises(ModelError, match="compressed by a plan, and such a model is not held in bfloat16"):
        opening.open_folder(folder, replace(problem, labels=["x", "y", "z"]), "bfloat16")
