"""What the language models of a run write after the same openings, in a process of its own: it opens torch."""

import math
import re
import signal
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from studio.errors import DataError, StudioError
from studio.events import NetworkRole
from studio.pipeline.answers import Written, WrittenBy
from studio.pipeline.job import Job, respond

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from datasets import Dataset
    from torch import Tensor

    from studio.pipeline.predict import Predictor, Writing

MOST_ROWS = 100
KEPT = 12
"""Texts that are kept to be read."""

RULE_SECONDS = 5
"""So long a pattern may look through one answer: there are some that never end."""

BLOCKS_AT_ONCE, POSITIONS_AT_ONCE = 8, 2_048
"""Blocks that are read together, and positions whose whole answers are held in float32."""


@dataclass(frozen=True)
class _Asked:
    """Test rows as they are in the data, `opened` where models go on; the answer that the data `expected`, None where a
    text has none; a pattern that finds in an answer what is compared."""

    rows: "Dataset"
    opened: "Dataset"
    expected: list[str | None]
    rule: re.Pattern[str] | None


def examine(job: Job) -> Written:
    """Every model of the run goes on from the same test rows, with drawn tokens, which the teacher reads; and
    where the data has answers, with the likeliest tokens, which are compared with them. At every token of the rows
    themselves it is compared with the teacher.

    Nothing is chosen by it. Raises `ModelError` where a model cannot be opened, `DataError` where the models of the
    task do not write, or the job's `rule` finds nothing in the answers of the data.
    """
    from studio import tasks
    from studio.data.folder import drawn, load
    from studio.evaluate import written
    from studio.pipeline import predict
    from studio.tasks import language

    dataset = load(job.dataset)
    task = tasks.get(dataset.task, dataset.multi_label)
    if task.kind != "token":
        raise DataError(f"Models for {task.title.lower()} do not write.", "Look at the other tabs.")
    rows = drawn(dataset.dict["test"], MOST_ROWS, job.config.seed)
    given = [language.asked(row) for row in rows]
    expected = [answer if form != "text" else None for (_, _, answer), form in zip(given, rows["form"], strict=True)]
    opened = task.unlabelled([value for value, _, _ in given])
    asked = _Asked(rows, opened, expected, _checked(job.rule, expected))
    models: dict[NetworkRole, Predictor] = dict(predict.open_roles(job, dataset))
    found: dict[NetworkRole, np.ndarray] = {}
    by, left_out = [], ""
    try:
        models |= predict.open_untouched(job, dataset)
    except StudioError as error:
        left_out = error.message
    if job.most_tokens is not None:
        models = {role: replace(model, most_tokens=job.most_tokens) for role, model in models.items()}
    for role, (texts, speed) in in_turn(models, opened).items():
        found[role], summary = _written(role, models, asked, texts, speed)
        by.append(summary)
    return Written(
        rows=len(rows), most=job.most_tokens or predict.WRITTEN, given=[shown for _, shown, _ in given][:KEPT],
        expected=[there for _, _, there in given][:KEPT], by=by, rule=job.rule, left_out=left_out,
        against=[comparison for role in found if role != "student"
                 for comparison in written.compare(("student", role), found["student"], found[role])],
    )  # fmt: skip


def in_turn(
    models: "Mapping[NetworkRole, Predictor]", opened: "Dataset"
) -> "dict[NetworkRole, tuple[list[Writing], float]]":
    """What each model writes, and how many tokens a second: some texts of every model in turn, so that all see the same
    machine. A first token of each, which warms up, does not count."""
    for model in models.values():
        model.writings(opened.select([0]), most=1)
    going = {role: model.batches(opened) for role, model in models.items()}
    found: dict[NetworkRole, dict[int, Writing]] = {role: {} for role in models}
    seconds = dict.fromkeys(models, 0.0)
    while going:
        for role in list(going):
            begun = time.perf_counter()
            part = next(going[role], None)
            seconds[role] += time.perf_counter() - begun
            if part is None:
                del going[role]
            else:
                found[role] |= part
    texts = {role: [part[number] for number in range(len(opened))] for role, part in found.items()}
    return {role: (said, sum(len(text.tokens) for text in said) / seconds[role]) for role, said in texts.items()}


def _written(
    role: NetworkRole, models: "Mapping[NetworkRole, Predictor]", asked: _Asked, drawn: "list[Writing]", speed: float
) -> "tuple[np.ndarray, WrittenBy]":
    """(`studio.evaluate.written.measure`'s statistics of each text, what is told of them)."""
    import numpy as np

    from studio.evaluate import written

    model, teacher = models[role], models["teacher"]
    has_answers = any(answer is not None for answer in asked.expected)
    likeliest = model.writings(asked.opened, temperature=0.0) if has_answers else drawn
    texts = zip(drawn, likeliest, asked.expected, asked.opened, strict=True)
    statistics = np.array([
        (*_against(greedy.text, answer), *_for_the_teacher(teacher, sampled, row), written.distinct_2(sampled.text),
         _by_rule(asked.rule, greedy.text, answer))
        for sampled, greedy, answer, row in texts
    ])  # fmt: skip
    statistics = np.column_stack([statistics, _apart(teacher, model, asked.rows)])
    summary = WrittenBy(
        role=role, values=written.with_intervals(statistics), texts=[greedy.text for greedy in likeliest[:KEPT]],
        cut=[greedy.is_cut for greedy in likeliest[:KEPT]],
        cut_share=sum(greedy.is_cut for greedy in likeliest) / len(likeliest),
        tokens_per_second=speed,
    )  # fmt: skip
    return statistics, summary


def _against(text: str, answer: str | None) -> tuple[float, float]:
    """Whether it is the answer in the data, and its ROUGE-L."""
    from studio.evaluate import written

    return (math.nan, math.nan) if answer is None else (float(written.is_exact(text, answer)),
                                                        written.rouge_l(text, answer))  # fmt: skip


def _for_the_teacher(teacher: "Predictor", writing: "Writing", row: dict[str, str]) -> tuple[float, float]:
    """(nats that the teacher needs for it, its bytes)."""
    return -sum(teacher.likelihoods(teacher.reads(writing, row))), float(len(writing.text.encode()))


def _checked(rule: str, expected: list[str | None]) -> re.Pattern[str] | None:
    """The pattern; None where there is none. Raises `DataError` for one that finds nothing in any answer."""
    if not rule:
        return None
    found = re.compile(rule)
    if not any(answer is not None and _found(found, answer) is not None for answer in expected):
        raise DataError(f"{rule!r} finds nothing in the answers of {len(expected):,} test rows.",
                        "Write one that finds what is compared: #### *(.+) finds what stands behind ####.")  # fmt: skip
    return found


def _by_rule(rule: re.Pattern[str] | None, text: str, answer: str | None) -> float:
    """Whether the pattern finds the same in both; NaN where there is nothing to find."""
    wanted = None if rule is None or answer is None else _found(rule, answer)
    return math.nan if rule is None or wanted is None else float(_found(rule, text) == wanted)


def _found(rule: re.Pattern[str], text: str) -> str | None:
    """What the pattern finds in a text, within `RULE_SECONDS`."""
    from studio.evaluate import written

    def too_long(*_: object) -> None:
        raise DataError(f"{rule.pattern!r} takes longer than {RULE_SECONDS} s on one answer.", "Write a simpler one.")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(RULE_SECONDS)
    try:
        return written.found_by(rule, text)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _apart(teacher: "Predictor", model: "Predictor", rows: "Dataset") -> "np.ndarray":
    """(rows, 2): KL(teacher || model) in nats over the tokens of each row, and how many these are; NaN where both cut
    texts into different tokens."""
    import numpy as np
    import torch

    from studio.distill import transfer_set
    from studio.models import features

    theirs, mine = (predictor.read(rows) for predictor in (teacher, model))
    if not transfer_set.same_reading(theirs, mine):
        return np.full((len(rows), 2), math.nan)
    networks = [predictor.models[0].network for predictor in (teacher, model)]
    found = torch.zeros(len(rows), 2, dtype=torch.double)
    for blocks in torch.arange(len(mine)).split(BLOCKS_AT_ONCE):
        here = blocks.to(model.device.torch_device)
        with torch.inference_mode():
            said = [mine.positions(network(**features.asked(network, mine, here)).logits, here) for network in networks]
        apart = _divergence(said[0].logits, said[1].logits).double().cpu()
        row = mine.row.cpu()[blocks][said[0].row.cpu()]
        found.index_add_(0, row, torch.stack([apart, torch.ones_like(apart)], 1))
    return found.numpy()


def _divergence(first: "Tensor", second: "Tensor") -> "Tensor":
    """(p,): KL(first || second) of logits, over the tokens that both have, some positions at a time."""
    import torch
    from torch.nn import functional as F

    width = min(first.shape[-1], second.shape[-1])
    parts = zip(first[:, :width].split(POSITIONS_AT_ONCE), second[:, :width].split(POSITIONS_AT_ONCE), strict=True)
    each = [F.kl_div(mine.float().log_softmax(-1), theirs.float().log_softmax(-1), reduction="none",
                     log_target=True).sum(-1) for theirs, mine in parts]  # fmt: skip
    return torch.cat(each) if each else torch.zeros(0)


if __name__ == "__main__":
    sys.exit(respond(examine))
