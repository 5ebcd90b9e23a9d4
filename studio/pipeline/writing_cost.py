"""What the rounds of an on-policy run take: a few tokens are written at the width of a real round, and added up."""

import time
from typing import NamedTuple

import torch
from torch import Tensor

from studio.config.run import RunConfig
from studio.distill import own_texts, top_answers
from studio.distill.own_texts import OwnTexts, Writing
from studio.distill.top_answers import TopAnswers
from studio.distill.transfer_set import View
from studio.machine.devices import Device
from studio.models.model import Model
from studio.models.writing import write
from studio.pipeline import recorded
from studio.tasks import Task
from studio.tasks.encoded_tokens import EncodedTokens
from studio.tasks.positions import PositionLogits

TIMED_TOKENS = 8
"""Written beyond the first one; what is read before counts apart."""


class Round(NamedTuple):
    """Of a round: `seconds` to write and to answer it; bytes that are there while it is written and put together,
    `making`, and while it is learned, `learning`."""

    seconds: float = 0.0
    making: int = 0
    learning: int = 0


class Pace(NamedTuple):
    """Seconds of a call that writes: for what it reads and its first token, and for each other token."""

    first: float
    token: float


def measured(
    config: RunConfig, task: Task, student: Model, teacher: Model, inputs: EncodedTokens, device: Device
) -> Round:
    """`inputs` are some rows as the student reads them; all its rounds are taken to be as the first one would be."""
    how = recorded.how(config, task)
    rows = own_texts.BATCHES * config.batch_size
    rounds = OwnTexts(View(inputs), student, teacher, config.own_texts, rows, config.seed, device, how)
    begun, _ = rounds.drawn(0)
    if not len(begun):
        return Round()
    parts = rounds.parts(begun)
    student.network.to(device.torch_device)
    write(student.network, _tokens(parts[0], 1).to(device.torch_device), 1, seed=0)  # warms up
    seconds = _seconds(parts, student, device)
    few = begun.select(torch.arange(min(len(begun), top_answers.BATCH)))
    start = time.perf_counter()
    answered = rounds.answers(few, 0)
    seconds += (time.perf_counter() - start) * len(begun) / len(few)
    answers = _bytes(answered) * rows // len(few)
    longest = max(len(part.rows) * (part.given + part.most) for part in parts)
    cache = int(longest * _cache_bytes(student, device))
    return Round(seconds, max(cache + 2 * answers, own_texts.COPIES * answers), answers)


def _seconds(parts: list[Writing], student: Model, device: Device) -> float:
    """To write all parts. Timed are one of the widest and one of the narrowest; between them time grows evenly."""
    by_width = {len(part.rows): part for part in parts}
    narrow, wide = min(by_width), max(by_width)
    paces = {width: _pace(by_width[width], student, device) for width in {narrow, wide}}
    total = 0.0
    for part in parts:
        share = (len(part.rows) - narrow) / max(1, wide - narrow)
        first, token = (low + share * (high - low) for low, high in zip(paces[narrow], paces[wide], strict=True))
        total += first + token * (part.most - 1)
    return total


def _pace(part: Writing, student: Model, device: Device) -> Pace:
    """From the middle of a text on: what a token takes grows with what stands before it."""
    start = _tokens(part, part.given + part.most // 2).to(device.torch_device)
    begun = time.perf_counter()
    with device.autocast():
        write(student.network, start, 1, seed=0)
        first = time.perf_counter() - begun
        write(student.network, start, 1 + TIMED_TOKENS, seed=0)
    return Pace(first, max(0.0, time.perf_counter() - begun - 2 * first) / TIMED_TOKENS)


def _tokens(part: Writing, length: int) -> Tensor:
    """(rows, length): any tokens will do."""
    return torch.ones(len(part.rows), length, dtype=torch.long)


def _cache_bytes(student: Model, device: Device) -> float:
    """What a token takes among keys and values while a text is written on."""
    ids = torch.ones(1, TIMED_TOKENS, dtype=torch.long, device=device.torch_device)
    with torch.inference_mode(), device.autocast():
        cache = student.network.eval()(input_ids=ids, use_cache=True).past_key_values
    held = [value for layer in cache or () for value in layer if isinstance(value, Tensor)]
    return sum(value.nbytes for value in held) / ids.numel()


def _bytes(answers: PositionLogits | TopAnswers) -> int:
    kept = vars(answers).values() if isinstance(answers, TopAnswers) else answers
    return sum(value.nbytes for value in kept if isinstance(value, Tensor))
