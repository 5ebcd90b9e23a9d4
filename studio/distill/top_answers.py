"""A teacher's answers as its likeliest tokens and the mass of all others: at each position as many as hold nearly all.
Or as tokens drawn from them, of which the counts are kept (`studio.distill.sampled_answers`).

A vocabulary has tens of thousands of tokens, of which a few are likely anywhere. Kept are log-probabilities in float16,
token numbers, and the log of the mass left out, row after row, memory-mapped: what a position takes follows from how
sure the teacher is of it.
"""

import itertools
import json
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from studio import files
from studio.distill import sampled_answers
from studio.events import Progress
from studio.machine.devices import Device
from studio.models import features
from studio.models.model import Model
from studio.tasks import Encoded
from studio.tasks.positions import places_of, sum_of_rows

MASS = 0.999
"""The share of an answer that is kept where nobody says how many tokens."""

MOST = 512
"""Where a teacher is so unsure that more are needed, the rest is left to the tail."""

BATCH = 32
"""Rows of a forward pass."""

AT_ONCE = 2**23
"""Logits that are sorted at a time."""

ABOUT, FILES = "answers.json", {"values": "float16", "index": "uint32", "counts": "uint16", "tail": "float32"}
SMALL = 2**16
"""Vocabularies up to this size have token numbers of two bytes."""


LEAST_TAIL = -60.0
"""Where nothing is left out."""


class How(NamedTuple):
    """At which temperature answers are kept, and how many tokens of each; None: as many as hold `MASS`. The likeliest;
    with a seed, drawn ones."""

    temperature: float
    tokens: int | None
    seed: int | None = None

    @property
    def draws(self) -> int | None:
        """How many tokens are drawn of each answer; None where the likeliest are kept."""
        return None if self.seed is None else self.tokens

    @property
    def key(self) -> str:
        """What tells answers that are kept so from others."""
        drawn = "" if self.seed is None else f"-drawn-{self.seed}"
        return f"{self.temperature:g}-{self.tokens or 'most'}{drawn}"

    def part(self, group: int, number: int) -> "How":
        """The same for one of several parts of the data: other numbers decide there what is drawn."""
        if self.seed is None:
            return self
        return self._replace(seed=self.seed * 1_000_003 + group * 101 + number)


class Kept(NamedTuple):
    """The answers at some positions, one after the other: `values` (n,) log-probabilities, at each position the
    likeliest first; `tokens` (n,) their numbers; position p has the entries ends[p] to ends[p + 1]; `tail` (p,) log of
    the mass of all others."""

    values: Tensor
    tokens: Tensor
    ends: Tensor
    tail: Tensor


@dataclass(frozen=True)
class TopAnswers:
    """The answers to all rows. `values` and `index` (n,) are flat; position p has the entries ends[p] to ends[p + 1];
    row r the positions offsets[r] to offsets[r + 1]. `size_bytes` is what all takes on disk. `draws`: `values` are how
    often each token came in so many draws."""

    values: Tensor
    index: Tensor
    tail: Tensor
    ends: Tensor
    offsets: Tensor
    size_bytes: int = 0
    draws: int | None = None

    one_per_row = False

    def of(self, rows: Tensor) -> Kept:
        """The answers at the positions of these rows, in their order, each made to add up to 1 again."""
        some = self.select(rows.to(self.offsets.device))
        values, tail = some.values.float(), some.tail.float()
        whole = (sum_of_rows(values.exp(), some.ends) + tail.exp()).log()  # all are shares of 1: no sum is too large
        each = whole.repeat_interleave(some.ends.diff(), output_size=len(values))
        return Kept(values - each, some.index.long(), some.ends, tail - whole)

    def to(self, device: torch.device) -> "TopAnswers":
        names = ("values", "index", "tail", "ends", "offsets")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def select(self, rows: Tensor) -> "TopAnswers":
        """These rows, in this order, in memory."""
        places = places_of(rows, self.offsets)
        entries = places_of(places, self.ends)
        counts, kept = self.offsets[rows + 1] - self.offsets[rows], self.ends[places + 1] - self.ends[places]
        first, values = counts.new_zeros(1), self.values[entries]
        return TopAnswers(
            values=values if self.draws is None else (values.float() / self.draws).log(),
            index=self.index[entries],
            tail=self.tail[places],
            ends=torch.cat([first, kept.cumsum(0)]),
            offsets=torch.cat([first, counts.cumsum(0)]),
        )

    def join(self, other: "TopAnswers") -> "TopAnswers":
        """These rows, then those of `other`."""
        assert self.draws == other.draws, "both count draws, or none does"
        return TopAnswers(
            values=torch.cat([self.values, other.values.to(self.values.dtype)]),
            index=torch.cat([self.index.long(), other.index.long()]),
            tail=torch.cat([self.tail, other.tail]),
            ends=torch.cat([self.ends, other.ends[1:] + self.ends[-1]]),
            offsets=torch.cat([self.offsets, other.offsets[1:] + self.offsets[-1]]),
            size_bytes=self.size_bytes + other.size_bytes,
            draws=self.draws,
        )

    @property
    def bytes_per_position(self) -> float:
        return self.size_bytes / max(1, len(self.tail))


def keep(
    logits: Tensor, temperature: float, count: int | None, seed: int | None = None, first: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What is kept of logits (p, c) at this temperature: flat log-probabilities and token numbers, how many of them
    each position has, the log of the mass left out (p,).

    `count` of each; None: as many as hold `MASS`. With a seed so many are drawn; `first` is then the number of the
    first position.
    """
    rows = max(1, AT_ONCE // logits.shape[-1])
    if seed is None:
        parts = [_keep(part, temperature, count) for part in logits.split(rows)]
    else:
        parts = [_draw(part, How(temperature, count, seed), first + place * rows)
                 for place, part in enumerate(logits.split(rows))]  # fmt: skip
    values, index, counts, tail = (torch.cat(arrays) for arrays in zip(*parts, strict=True))
    return values, index, counts, tail


def _draw(logits: Tensor, how: How, first: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    assert how.tokens is not None and how.seed is not None
    values, index, counts = sampled_answers.draw(logits, how.temperature, how.tokens, how.seed, first)
    return values, index, counts, values.new_full((len(counts),), LEAST_TAIL)


def _keep(logits: Tensor, temperature: float, count: int | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    log_p = (logits.float() / temperature).log_softmax(-1)
    values, index = log_p.topk(min(log_p.shape[-1], MOST if count is None else count))
    if count is None:
        before = values.exp().cumsum(-1) - values.exp()
        mask = before < MASS
    else:
        mask = torch.ones_like(values, dtype=torch.bool)
    is_all = values.shape[-1] == log_p.shape[-1]
    rest = None if is_all else log_p.scatter(-1, index, -torch.inf).logsumexp(-1)
    cut = values.masked_fill(mask, -torch.inf).logsumexp(-1)
    tail = cut if rest is None else torch.logaddexp(cut, rest)
    return values[mask], index[mask], mask.sum(-1), tail.clamp(min=LEAST_TAIL)


def of_parts(parts: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]], offsets: Tensor) -> TopAnswers:
    """What `keep` gave of some positions after the other, in memory."""
    values, index, counts, tail = (torch.cat(arrays) for arrays in zip(*parts, strict=True))
    ends = torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)])
    return TopAnswers(values, index, tail, ends, offsets)


def compute(
    model: Model, inputs: Encoded, device: Device, folder: Path, how: How,
    tell: Callable[[int], Progress],
) -> Generator[Progress, None, None]:  # fmt: skip
    """Write the answers to all rows into `folder`, whole or not at all, a few rows at a time: memory does not grow with
    the data. `how`: the temperature, and which tokens are kept. Of drawn ones it is how often each came."""
    network = model.network.to(device.torch_device)
    was_training = network.training
    network.eval()
    entries, positions = 0, 0
    kinds = _kinds(network.config.vocab_size, how.draws)
    with files.sealed(folder) as part:
        opened = {name: (part / f"{name}.bin").open("wb") for name in kinds}
        try:
            for rows in torch.arange(len(inputs)).split(max(1, BATCH // device.parts)):
                found = dict(zip(FILES, _answers(network, inputs, rows, device, how, positions), strict=True))
                if how.draws is not None:
                    found["values"] = sampled_answers.times(found["values"].cpu(), how.draws)
                for name, file in opened.items():
                    file.write(found[name].cpu().numpy().astype(kinds[name]).tobytes())
                entries, positions = entries + len(found["values"]), positions + len(found["tail"])
                yield tell(int(rows[-1]) + 1)
        finally:
            for file in opened.values():
                file.close()
        kept = {name: value for name, value in how._asdict().items() if name != "seed" or value is not None}
        about = {"entries": entries, "positions": positions, "kinds": kinds, **kept}
        (part / ABOUT).write_text(json.dumps(about))
    network.train(was_training)


def _answers(
    network: Any, inputs: Encoded, rows: Tensor, device: Device, how: How, first: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    here = rows.to(device.torch_device)
    with torch.inference_mode(), device.autocast():
        raw = network(**features.asked(network, inputs, here)).logits
        return keep(inputs.positions(raw, here).logits, *how, first=first)


def _kinds(vocabulary: int, draws: int | None = None) -> dict[str, str]:
    """In which form each file holds its numbers. Of drawn tokens nothing is left out, and counts are small."""
    kinds = FILES | ({"index": "uint16"} if vocabulary <= SMALL else {})
    if draws is None:
        return kinds
    small = "uint8" if draws < 2**8 else "uint16"
    return {"values": small, "index": kinds["index"], "counts": small}


def damage(folder: Path, positions: int) -> str | None:
    """Why what is on disk cannot be the answers at so many positions; None where it can."""
    broken = files.damage(folder)
    if broken is not None:
        return broken
    try:
        about = json.loads((folder / ABOUT).read_text())
        kinds = {name: np.dtype(about["kinds"][name]).itemsize for name in _files(about)}
        sizes = {name: (folder / f"{name}.bin").stat().st_size // width for name, width in kinds.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{ABOUT} cannot be read ({error})"
    wanted = {"values": about["entries"], "index": about["entries"], "counts": positions, "tail": positions}
    wrong = next((name for name in sizes if sizes[name] != wanted[name]), None)
    return None if wrong is None else f"{wrong} holds {sizes[wrong]} numbers in place of {wanted[wrong]}"


def _files(about: dict[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in FILES if name != "tail" or "seed" not in about)


def read(folder: Path, offsets: Tensor) -> TopAnswers:
    """What `compute` wrote; `values` and `index` stay on disk."""
    about = json.loads((folder / ABOUT).read_text())
    arrays = {name: _mapped(folder / f"{name}.bin", about["kinds"][name]) for name in _files(about)}
    is_drawn = "tail" not in arrays
    counts = torch.from_numpy(np.asarray(arrays["counts"]).astype(np.int64))
    return TopAnswers(
        values=torch.from_numpy(arrays["values"]),
        index=torch.from_numpy(arrays["index"]),
        tail=torch.tensor([LEAST_TAIL]).expand(len(counts)) if is_drawn else torch.from_numpy(arrays["tail"]),
        ends=torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)]),
        offsets=offsets.cpu(),
        size_bytes=sum((folder / f"{name}.bin").stat().st_size for name in arrays),
        draws=about["tokens"] if is_drawn else None,
    )


def _mapped(file: Path, kind: str) -> np.ndarray:
    """A file of numbers; an empty one cannot be mapped."""
    return np.memmap(file, dtype=kind, mode="c") if file.stat().st_size else np.zeros(0, dtype=kind)


def mean_difference(first: Kept, second: Kept) -> float:
    """Half the sum of |p − q|, mean over the positions; a token that one has not kept counts as 0 there.

    >>> tail, ends = torch.tensor([0.1]).log(), torch.tensor([0, 2])
    >>> one = Kept(torch.tensor([0.5, 0.4]).log(), torch.tensor([3, 7]), ends, tail)
    >>> other = one._replace(tokens=torch.tensor([7, 3]))
    >>> mean_difference(one, one), round(mean_difference(one, other), 3)
    (0.0, 0.1)
    """
    apart = [_apart(*pair) for pair in zip(_rows(first), _rows(second), strict=True)]
    return sum(apart) / max(1, len(apart))


def _rows(kept: Kept) -> Iterator[dict[int, float]]:
    """Each position as {token: share}; -1 stands for all others."""
    shares, tokens, rest = kept.values.exp().tolist(), kept.tokens.tolist(), kept.tail.exp().tolist()
    for (first, last), tail in zip(itertools.pairwise(kept.ends.tolist()), rest, strict=True):
        yield dict(zip(tokens[first:last], shares[first:last], strict=True)) | {-1: tail}


def _apart(first: dict[int, float], second: dict[int, float]) -> float:
    return sum(abs(first.get(token, 0.0) - second.get(token, 0.0)) for token in first.keys() | second.keys()) / 2
