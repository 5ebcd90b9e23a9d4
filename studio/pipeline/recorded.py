"""Recorded answers of a teacher: in which form they are kept, and whether they are what it says now."""

import math
from collections.abc import Generator, Iterator

import torch
from torch import Tensor

from studio.config.methods import LOSSES
from studio.config.run import MOST_TOKENS, RunConfig
from studio.distill import sampled_answers, top_answers
from studio.distill.byte_spans import Likelihoods
from studio.distill.sampled_answers import Distance
from studio.distill.top_answers import How, Kept, TopAnswers
from studio.distill.transfer_set import TeacherOutputs, TransferSet
from studio.errors import ModelError
from studio.events import Log
from studio.models import features
from studio.models.model import Model
from studio.pipeline.prepare import RunContext
from studio.tasks import Encoded, Task
from studio.tasks.encoded_tokens import EncodedTokens
from studio.tasks.positions import PositionLogits

SAMPLE_ROWS = 4
DRAWN_ROWS = 16
"""Of drawn tokens: the more rows, the smaller a difference is told from chance."""

WHOLE = 0.95
"""The share of rows that is to be read whole."""

MOST_APART = 0.02
"""Half the sum of |p − q|, mean over the positions: rounding to bfloat16 moves about a tenth of it."""


def how(config: RunConfig, task: Task) -> How | None:
    """Which tokens of an answer are kept; None where whole answers are: of a few classes, for losses that need them,
    and where the temperature changes on the way."""
    changes = config.temperature_schedule != "constant" or config.temperature_per_sample or config.auto
    if task.kind != "token" or changes or any(LOSSES[term.loss].needs_all for term in config.terms):
        return None
    if config.kept_as == "samples":
        return How(config.temperature, config.kept_answers or sampled_answers.DRAWN, config.seed)
    return How(config.temperature, config.kept_answers)


def by_spans(config: RunConfig) -> bool:
    """Whether likelihoods of spans of bytes are compared in place of answers."""
    return any(term.loss == "byte_spans" for term in config.terms)


def shared(outputs: TeacherOutputs, rows: TransferSet, teacher: Model, student: Model) -> Iterator[Log]:
    """How much of the data both models cut alike."""
    said = outputs.logits[0]
    assert isinstance(said, Likelihoods)
    found = outputs.spans(said, rows, student, 0)
    tokens = len(found.span) / max(1, len(found.log_p))
    yield Log(
        message=f"{len(found.log_p):,} spans of bytes are compared, {tokens:.1f} tokens of the student each; they hold "
        f"{100 * found.share:.0f} % of its tokens. From the others it learns as labels alone."
    )


def describe(inputs: Encoded, limit: int) -> Iterator[Log]:
    """How many tokens there are to learn, and how many were left out because a row is too long."""
    assert isinstance(inputs, EncodedTokens)
    yield Log(message=f"{len(inputs.labels):,} tokens to learn, in {len(inputs):,} blocks of at most {limit} tokens.")
    for sentence in shortened(inputs, limit):
        yield Log(level="warning", message=sentence)


def shortened(inputs: EncodedTokens, limit: int) -> Iterator[str]:
    """That rows are longer than the `limit` that was asked for, or than what the model can read, and what to do."""
    rows, lost = int((inputs.cut > 0).sum()), int(inputs.cut.sum())
    if not rows:
        return
    most = int(inputs.lengths.max())
    yield (
        f"{rows:,} of {len(inputs.cut):,} rows are longer than {most} tokens and lose the beginning of what is asked, "
        f"or the end of a long answer: {lost:,} tokens are left out."
    )
    whole = whole_length(inputs, limit)
    if whole is not None:
        yield f"19 of 20 rows are whole with max_length {whole}."
    elif most < limit:
        yield "This model reads no more at once."


def whole_length(inputs: EncodedTokens, limit: int) -> int | None:
    """The max_length with which 19 of 20 rows are whole; None where none is cut, or a larger one would not do."""
    if not bool((inputs.cut > 0).any()) or int(inputs.lengths.max()) < limit:
        return None
    found = math.ceil((inputs.whole_rows().lengths + inputs.cut).float().quantile(WHOLE))
    return found if limit < found <= MOST_TOKENS else None


def compared(config: RunConfig, teacher: Model, student: Model) -> Iterator[Log]:
    """What a person should know of how answers will be compared: vocabularies that are filled up to different sizes, a
    loss that leaves out what was not kept."""
    theirs, mine = (model.network.config.vocab_size for model in (teacher, student))
    if theirs != mine:
        yield Log(
            message=f"The vocabularies of one tokenizer are filled up to {theirs:,} and {mine:,} tokens: the first "
            f"{min(theirs, mine):,} are compared."
        )
    if any(term.loss == "renormalized_top_k" for term in config.terms):
        yield Log(
            level="warning",
            message="renormalized_top_k leaves out what was not kept of an answer: the student becomes surer than its "
            "teacher. soft_target compares the rest, too.",
        )


def check(
    context: RunContext, teacher: Model, inputs: Encoded, answers: PositionLogits | TopAnswers, kept: How
) -> Generator[Log, None, None]:
    """Say what answers take, and compare some with what the teacher says now; raises `ModelError` where they differ by
    more than rounding, and than chance where tokens were drawn: another tokenizer, padding or number format is between
    them."""
    if not isinstance(answers, TopAnswers):
        return
    generator = torch.Generator().manual_seed(context.config.seed)
    rows = torch.randperm(len(inputs), generator=generator)
    counts = (answers.ends[-1] / max(1, len(answers.tail))).item()
    if kept.draws is not None:
        found = _distance(context, teacher, inputs, answers, rows[:DRAWN_ROWS], kept, kept.draws)
        apart, limit = found.furthest(MOST_APART)
        yield Log(
            message=f"Of each answer {kept.draws} tokens are drawn, {counts:.1f} different ones on average, "
            f"{answers.bytes_per_position:.0f} bytes a position. Some of them differ from what the teacher says now by "
            f"{apart:.4f}; chance and rounding make at most {limit:.4f}."
        )
        if apart > limit:
            raise ModelError(
                "What the teacher says now differs from what was recorded of it: the tokens that were drawn are "
                f"{apart:.3f} of its answers away, where chance and rounding make at most {limit:.3f}.",
                _CURE,
            )
        return
    apart = top_answers.mean_difference(
        answers.of(rows[:SAMPLE_ROWS]), _live(context, teacher, inputs, rows[:SAMPLE_ROWS], kept)
    )
    yield Log(
        message=f"Of each answer {counts:.1f} tokens are kept on average, {answers.bytes_per_position:.0f} bytes a "
        f"position. A sample differs from what the teacher says now by {apart:.4f}."
    )
    if apart > MOST_APART:
        raise ModelError(
            f"What the teacher says now differs from what was recorded of it: {apart:.3f} of its answers stand in "
            f"another place, where rounding moves at most {MOST_APART}.",
            _CURE,
        )


_CURE = "Check that nothing changes the model between runs; delete the recorded answers to make them anew."


def _live(context: RunContext, teacher: Model, inputs: Encoded, rows: Tensor, kept: How) -> Kept:
    logits = _said(context, teacher, inputs, rows).cpu()
    whole = top_answers.of_parts([top_answers.keep(logits, *kept)], torch.tensor([0, len(logits)]))
    return whole.of(torch.zeros(1, dtype=torch.long))


def _distance(
    context: RunContext, teacher: Model, inputs: Encoded, answers: TopAnswers, rows: Tensor, kept: How, draws: int
) -> Distance:
    """From drawn tokens to what the teacher says now, row by row: whole answers of many rows are large."""
    found = Distance()
    for row in rows.split(1):
        drawn, logits = answers.of(row), _said(context, teacher, inputs, row).cpu()
        log_p = (logits.float() / kept.temperature).log_softmax(-1)
        found += sampled_answers.distance(drawn.values, drawn.tokens, drawn.ends, draws, log_p)
    return found


def _said(context: RunContext, teacher: Model, inputs: Encoded, rows: Tensor) -> Tensor:
    """(positions, tokens): what the teacher says now of all positions of these rows."""
    device = context.device
    here = rows.to(device.torch_device)
    moved = inputs.to(device.torch_device)
    network = teacher.network.to(device.torch_device).eval()
    with torch.inference_mode(), device.autocast():
        return moved.positions(network(**features.asked(network, moved, here)).logits, here).logits
