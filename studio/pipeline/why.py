"""What in an input speaks for an answer, in the eyes of a model: of words, or of places in a picture."""

import bisect
import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio.errors import ModelError
from studio.evaluate.attributions import integrated_gradients, log_odds
from studio.events import TrainedRole
from studio.models.model import Model
from studio.pipeline.answers import Attributed, Part
from studio.pipeline.predict import Predictor
from studio.tasks.augment import embedding_layer

LARGEST_HEAT = 56
"""Places across a picture: more says nothing to the eye."""

_WORDS = re.compile(r"[぀-ヿ㐀-鿿가-힯]|[^\s぀-ヿ㐀-鿿가-힯]+")
"""What is written without blanks between words is taken letter by letter."""


def explained(predictor: Predictor, role: TrainedRole, value: Any, label: int) -> Attributed:
    """What in the value speaks for the label of this number.

    Raises `ModelError` where the answer is none about the whole input, or the model is a file without gradients.
    """
    task, model = predictor.problem.task, predictor.models[0]
    if not isinstance(model.network, nn.Module):
        raise ModelError("An int8 file has no gradients.", "Ask the student in torch.")
    rows = task.unlabelled([value])
    encoded = task.encode(rows, model.processor, model.network.config, predictor.config.max_length)
    batch = encoded.to(predictor.device.torch_device).batch(torch.zeros(1, dtype=torch.long))
    if "pixel_values" in batch:
        return _of_picture(predictor, model, role, batch["pixel_values"][0], label)
    if task.kind == "token" or "words" in rows.column_names:
        raise ModelError("Only answers about a whole text or picture are explained.", "Look at single words instead.")
    texts = [rows[name][0] for name in ("text", "text_pair") if name in rows.column_names]
    return _of_text(predictor, model, role, batch, texts, label)


def _score(predictor: Predictor, logits: Tensor, label: int) -> Tensor:
    """(n,): of one class the log-odds, of one label of several its logit, of a number the number."""
    return log_odds(logits, label) if predictor.problem.task.kind == "class" else logits[:, label]


def _of_text(
    predictor: Predictor, model: Model, role: TrainedRole, batch: dict[str, Tensor], texts: Sequence[str], label: int
) -> Attributed:
    """From a text whose words are all nothing, an embedding of zeros; marks of the tokenizer stay as they are."""
    network, ids = model.network, batch["input_ids"][0]
    layer = embedding_layer(network)
    with torch.no_grad(), _replaced(layer, None) as heard:
        network(**batch)
    point = heard[0][0].float()
    marks = torch.tensor(model.processor.all_special_ids, device=ids.device)
    start = torch.where(torch.isin(ids, marks).unsqueeze(1), point, torch.zeros_like(point))

    def score(points: Tensor) -> Tensor:
        many = {name: column.expand(len(points), *column.shape[1:]) for name, column in batch.items()}
        with _replaced(layer, points):
            return _score(predictor, network(**many).logits.float(), label)

    values = integrated_gradients(score, point, start).sum(-1).cpu().numpy()
    with torch.no_grad():
        ends = score(torch.stack([point, start])).cpu()
    return Attributed(role=role, parts=list(_words(model.processor, texts, values)), score=ends[0], start=ends[1])


@contextlib.contextmanager
def _replaced(layer: nn.Module, by: Tensor | None) -> Iterator[list[Tensor]]:
    """What the layer gives within the block; something else in its place, where that is said."""
    heard: list[Tensor] = []

    def hear(_layer: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        heard.append(output)
        return output if by is None else by.to(output.dtype)

    handle = layer.register_forward_hook(hear)
    try:
        yield heard
    finally:
        handle.remove()


def _words(processor: Any, texts: Sequence[str], values: np.ndarray) -> Iterator[Part]:
    """The values of tokens (length,) as those of words."""
    read = processor(*texts, truncation=True, max_length=len(values), return_offsets_mapping=True)
    words = [list(_WORDS.finditer(text)) for text in texts]
    found = [np.zeros(len(of_text)) for of_text in words]
    for value, of, (begin, end) in zip(values, read.sequence_ids(), read["offset_mapping"], strict=True):
        if of is not None and end > begin and words[of]:
            ends = [word.end() for word in words[of]]
            found[of][min(bisect.bisect_left(ends, end), len(ends) - 1)] += value  # a blank belongs to what follows
    for of, of_text in enumerate(words):
        yield from (
            Part(text=word.group(), of=of, value=float(value)) for word, value in zip(of_text, found[of], strict=True)
        )


def _of_picture(predictor: Predictor, model: Model, role: TrainedRole, point: Tensor, label: int) -> Attributed:
    """From a plain picture of the median colour of this one."""
    start = point.flatten(1).median(1).values.view(-1, 1, 1).expand_as(point)

    def score(points: Tensor) -> Tensor:
        return _score(predictor, model.network(pixel_values=points).logits.float(), label)

    heat = integrated_gradients(score, point, start).sum(0)
    with torch.no_grad():
        ends = score(torch.stack([point, start])).cpu()
    grey = point.mean(0)
    grey = (grey - grey.min()) / (grey.max() - grey.min()).clamp(min=1e-6)
    coarse = [_coarser(heat, is_sum=True), _coarser(grey, is_sum=False)]
    return Attributed(role=role, heat=coarse[0], picture=coarse[1], score=ends[0], start=ends[1])


def _coarser(values: Tensor, is_sum: bool) -> list[list[float]]:
    """(height, width) in at most `LARGEST_HEAT` places each way; the sum of a place, or its mean."""
    step = -(-max(values.shape) // LARGEST_HEAT)
    height, width = (-(-side // step) for side in values.shape)
    room = F.pad(values, (0, width * step - values.shape[1], 0, height * step - values.shape[0]))
    found = F.avg_pool2d(room[None], step)[0] * (step**2 if is_sum else 1)
    return [[round(value, 5) for value in row] for row in found.cpu().tolist()]
