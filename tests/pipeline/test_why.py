"""What in an input speaks for an answer: of words and of pictures, by models whose weights are set by hand."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from studio import tasks
from studio.config.reading import parse_config
from studio.errors import ModelError
from studio.machine.devices import Device
from studio.models.model import Model, Problem
from studio.pipeline.predict import Predictor
from studio.pipeline.why import explained
from tests.conftest import GOOD, TINY, reviews

LABELS = ["bad", "good"]


def predictor(kind: str, builtin: str, rows=None) -> Predictor:
    """An untrained model."""
    torch.manual_seed(0)
    task = tasks.get(kind)
    rows = task.unlabelled(reviews().table["text"].tolist()) if rows is None else rows
    config = parse_config({"dataset": "reviews", "task": kind, **TINY})
    model_config, processor = task.builtin(builtin, rows, LABELS, 32)
    from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

    auto = AutoModelForImageClassification if task.modality == "image" else AutoModelForSequenceClassification
    network = auto.from_config(model_config).eval()
    device = Device(torch.device("cpu"), torch.float32)
    return Predictor(config, Problem(kind, LABELS, rows, 32), device, (Model(network, processor),))


def test_words_add_up_to_what_sets_the_text_apart_from_nothing():
    for builtin in ("transformer-tiny", "fasttext-tiny"):
        found = explained(predictor("text-classification", builtin), "student", f"the {GOOD[0]} thing, so warm", 1)
        assert [part.text for part in found.parts] == ["the", "lovely", "thing,", "so", "warm"]
        assert sum(part.value for part in found.parts) == pytest.approx(found.score - found.start, abs=2e-3)


def test_the_word_that_decides_is_found():
    model = predictor("text-classification", "fasttext-tiny")
    network, tokenizer = model.models[0].network, model.models[0].processor
    with torch.no_grad():
        network.embeddings.weight.zero_()
        network.classifier.weight.zero_()
        network.classifier.weight[1, 0] = 1.0
        for number in tokenizer(" lovely", add_special_tokens=False)["input_ids"]:
            network.embeddings.weight[number, 0] = 5.0
    found = explained(model, "student", "a lovely day", 1)
    values = {part.text: part.value for part in found.parts}
    assert values["lovely"] > 0.3
    assert values["a"] == values["day"] == 0


def test_of_two_texts_each_keeps_its_own_words():
    name = next(name for name, task in tasks.TASKS.items() if task.kind == "class" and "pair" in
                {column.role for column in task.inputs.columns if column.required})  # fmt: skip
    rows = tasks.get(name).unlabelled([("the cat sat", "a cat sat down")] * 20)
    found = explained(predictor(name, "transformer-tiny", rows), "student", ("the cat", "sat down"), 0)
    assert [(part.of, part.text) for part in found.parts] == [(0, "the"), (0, "cat"), (1, "sat"), (1, "down")]


def test_chinese_is_explained_letter_by_letter():
    found = explained(predictor("text-classification", "fasttext-tiny"), "student", "很好 ok", 0)
    assert [part.text for part in found.parts] == ["很", "好", "ok"]


def test_the_places_of_a_picture_add_up_and_the_empty_ones_say_nothing():
    pixels = np.zeros((60, 60), dtype=np.uint8)
    pixels[20:30, 20:30] = 250
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    rows = tasks.get("image-classification").unlabelled([file.getvalue()] * 4)
    found = explained(predictor("image-classification", "mlp-16", rows), "student", file.getvalue(), 0)
    heat = np.array(found.heat)
    assert heat.sum() == pytest.approx(found.score - found.start, rel=0.02)
    assert max(heat.shape) <= 56 and heat.shape == np.array(found.picture).shape
    assert heat[0].tolist() == [0.0] * heat.shape[1]
    assert abs(heat).max() > 0


def test_a_file_without_gradients_is_refused_in_words():
    text = predictor("text-classification", "transformer-tiny")
    int8 = Predictor(text.config, text.problem, text.device, (Model(object(), text.models[0].processor),))
    with pytest.raises(ModelError, match="no gradients"):
        explained(int8, "student", "a text", 0)
