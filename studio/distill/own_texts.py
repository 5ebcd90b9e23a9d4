"""On-policy distillation: a share of what the student learns from is what it writes itself, answered by its teacher
(GKD, Agarwal et al., 2024). It meets its own mistakes, which texts of others never hold.

A round is a few batches: rows drawn from the data, some of them written on by the student as it is then. What was
written is kept while the fit lasts, so that one that is taken up goes on with it. Its own texts are no labels: of them
the student learns what the teacher says, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from studio import files
from studio.config.run import UNLABELLED
from studio.distill import top_answers
from studio.distill.top_answers import How, TopAnswers
from studio.distill.transfer_set import View
from studio.machine.devices import Device
from studio.models import features
from studio.models.model import Model
from studio.models.writing import write
from studio.tasks import encoded_tokens
from studio.tasks.encoded_tokens import EncodedTokens
from studio.tasks.positions import PositionLogits

BATCHES = 16
"""Batches of a round: what the student wrote at its beginning is then no longer its own."""

OPENING = 8
"""Tokens of a text that are given; the rest is written."""

WRITTEN_AT_ONCE = 64

COPIES = 3
"""Rounds of answers that are there at once: that which was learned last, the parts of the next one, and itself."""

ROUND = 100
"""What tells tokens that are drawn of a round's answers from those of a part of the data."""


class Writing(NamedTuple):
    """Rows that are written on together: `given` tokens of each, and up to `most` after them."""

    rows: Tensor
    given: int
    most: int


@dataclass(frozen=True)
class OwnTexts:
    """What an epoch of such a fit sees: `rows` rows, of which `share` are written by the student.

    `how` says how answers are kept; None: whole. `folder` holds what was written, round by round.
    """

    plain: View
    student: Model
    teacher: Model
    share: float
    rows: int
    seed: int
    device: Device
    how: How | None
    folder: Path | None = None

    def view(self, number: int) -> View:
        """The round of that number. Other rows each time; the same seed draws the same."""
        inputs, answers = self.plain.inputs, self.plain.logits
        assert isinstance(inputs, EncodedTokens)
        assert isinstance(answers, PositionLogits | TopAnswers)
        own, others = self.drawn(number)
        taken = answers.select(others), inputs.select(others)
        if not len(own):
            return View(taken[1], taken[0])
        written = self._written(own, number)
        return View(written.join(taken[1]), self.answers(written, number).join(taken[0]))  # type: ignore[arg-type]

    def drawn(self, number: int) -> tuple[EncodedTokens, Tensor]:
        """(the rows that the student writes on in the round of that number, the numbers of the others)."""
        inputs = self.plain.inputs
        assert isinstance(inputs, EncodedTokens)
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % 2**31)
        chosen = torch.randint(len(inputs), (self.rows,), generator=generator)
        count = round(self.share * self.rows)
        return inputs.select(chosen[:count]), chosen[count:]

    def _written(self, rows: EncodedTokens, number: int) -> EncodedTokens:
        """These rows as the student goes on with them, from the file where they were written before."""
        file = None if self.folder is None else self.folder / f"round-{number}.safetensors"
        if file is not None and file.is_file():
            known = load_file(file)
            return _told(known["tokens"].split(known["lengths"].tolist()), known["given"].tolist(), rows)
        texts, given = self._write(rows, number)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            lengths = torch.tensor([len(text) for text in texts])
            with files.whole_file(file) as part:
                save_file({"tokens": torch.cat(texts), "given": torch.tensor(given), "lengths": lengths}, part)
        return _told(texts, given, rows)

    def _write(self, rows: EncodedTokens, number: int) -> tuple[list[Tensor], list[int]]:
        """The tokens of each row, and how many of them were given."""
        given = [0] * len(rows)
        texts: list[Tensor] = [torch.empty(0)] * len(rows)
        end = self.student.processor.eos_token_id
        for part, length, most in self.parts(rows):
            start = torch.stack([_tokens(rows, int(row))[:length] for row in part]).to(self.device.torch_device)
            seed = (self.seed + 7919 * number + int(part[0])) % 2**31
            with self.device.autocast():
                found = write(self.student.network, start, most, seed=seed, end=end).cpu()
            for row, text in zip(part.tolist(), found, strict=True):
                given[row], texts[row] = length, _until(text, length, end)
        return texts, given

    def parts(self, rows: EncodedTokens) -> list[Writing]:
        """These rows in parts: those of which as many tokens are given are written on together."""
        given = torch.tensor([_given(rows, row) for row in range(len(rows))])
        return [
            Writing(part, int(length), max(1, int(rows.lengths[part].max()) - int(length)))
            for length in given.unique()
            for part in torch.nonzero(given == length).flatten().split(WRITTEN_AT_ONCE)
        ]

    def answers(self, written: EncodedTokens, number: int) -> PositionLogits | TopAnswers:
        """What the teacher says at every position that the student wrote."""
        how = None if self.how is None else self.how.part(number, ROUND)
        network = self.teacher.network.to(self.device.torch_device).eval()
        moved = written.to(self.device.torch_device)
        parts = []
        with torch.inference_mode(), self.device.autocast():
            for rows in torch.arange(len(written), device=self.device.torch_device).split(top_answers.BATCH):
                raw = network(**features.asked(network, moved, rows)).logits
                logits = moved.positions(raw, rows).logits.float().cpu()
                first = int(written.offsets[int(rows[0])])
                parts.append(logits if how is None else top_answers.keep(logits, *how, first=first))
        if self.how is None:
            return PositionLogits(torch.cat([part for part in parts if isinstance(part, Tensor)]), written.offsets)
        return top_answers.of_parts([part for part in parts if isinstance(part, tuple)], written.offsets)


def _tokens(rows: EncodedTokens, row: int) -> Tensor:
    start = int(rows.starts[row])
    return rows.tokens[start : start + int(rows.lengths[row])]


def _given(rows: EncodedTokens, row: int) -> int:
    """The tokens of a prompt; of a text, where everything counts, its opening."""
    first = int(rows.places[rows.offsets[row]]) + 1 if rows.offsets[row] < rows.offsets[row + 1] else 1
    length = int(rows.lengths[row])
    return min(max(first, OPENING) if first <= 1 else first, max(1, length - 1))


def _until(text: Tensor, given: int, end: int | None) -> Tensor:
    """A text up to the first sign that ends it, which belongs to it."""
    ends = torch.nonzero(text[given:] == end).flatten() if end is not None else torch.empty(0)
    return text if not len(ends) else text[: given + int(ends[0]) + 1]


def _told(texts: Sequence[Tensor], given: Sequence[int], like: EncodedTokens) -> EncodedTokens:
    """Texts as rows in which what was written counts, and is no label."""
    found = encoded_tokens.of_tokens(texts, given, like.padding)
    return replace(found, labels=torch.full_like(found.labels, UNLABELLED))
