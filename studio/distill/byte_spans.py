"""Models that cut a text into different tokens, compared over the shortest spans of bytes that both cut alike.

The likelihood of a span is the product of its tokens', each given all before it: the chain rule holds for any cut. So
what a teacher thinks of a span can be compared with what its student does, token for token or not (ALM, Minixhofer,
Vulić & Ponti, 2025). Cuts are compared by the bytes of the tokens themselves, never by letters: a token may hold half
of one.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers.convert_slow_tokenizer import bytes_to_unicode

from studio.errors import ModelError
from studio.models.model import Model
from studio.tasks.encoded_tokens import EncodedTokens, start
from studio.tasks.positions import places_of

NONE = -1
"""The span of a token that lies in none."""

SIGN = b"\xff"
"""What a sign begins with in place of bytes; no text holds it."""

END = SIGN + b"end"


@dataclass(frozen=True)
class Likelihoods:
    """What a teacher says of the tokens that stand in the training rows: log-probabilities (p,) in nats, as `teacher`
    reads them."""

    values: Tensor
    teacher: Model

    def to(self, device: torch.device) -> "Likelihoods":
        return replace(self, values=self.values.to(device))


class OfRows(NamedTuple):
    """The spans of some rows: `log_p` (s,) is the teacher's log-likelihood of each, `span` (p,) tells for each position
    of the student in which it lies, `NONE` in none."""

    log_p: Tensor
    span: Tensor


@dataclass(frozen=True)
class SpanAnswers:
    """The spans of all rows as a student reads them; row r has the positions offsets[r] to offsets[r + 1]."""

    log_p: Tensor
    span: Tensor
    offsets: Tensor

    def of(self, rows: Tensor) -> OfRows:
        """The spans of these rows, numbered from 0."""
        span = self.span[places_of(rows.to(self.offsets.device), self.offsets)]
        there = span != NONE
        found, numbers = torch.unique(span[there], return_inverse=True)
        return OfRows(self.log_p[found], torch.full_like(span, NONE).masked_scatter(there, numbers))

    def to(self, device: torch.device) -> "SpanAnswers":
        return replace(self, **{name: getattr(self, name).to(device) for name in ("log_p", "span", "offsets")})

    @property
    def share(self) -> float:
        """Of the student's positions, those that lie in a span."""
        return float((self.span != NONE).float().mean()) if len(self.span) else 0.0


def answers(likelihoods: Likelihoods, theirs: EncodedTokens, mine: EncodedTokens, student: Model) -> SpanAnswers:
    """What a teacher says of the spans of a student's rows, both of the same rows of the data."""
    teacher_spans, spans, count = aligned(theirs, mine, likelihoods.teacher.processor, student.processor)
    there = teacher_spans != NONE
    log_p = torch.zeros(count).index_add_(0, teacher_spans[there], likelihoods.values.cpu()[there])
    return SpanAnswers(log_p, spans, mine.offsets.cpu())


def aligned(theirs: EncodedTokens, mine: EncodedTokens, teacher: Any, student: Any) -> tuple[Tensor, Tensor, int]:
    """In which span each position of both lies (p,) and (p',), and how many spans there are.

    A span that a student's block cuts through is none: its likelihood would take two passes.
    """
    readers = [_Reader(inputs, processor) for inputs, processor in ((theirs, teacher), (mine, student))]
    found = [np.full(len(reader.labels), NONE) for reader in readers]
    count = 0
    for row in range(len(mine.size)):
        cuts = [reader.cuts(row) for reader in readers]
        spans = _common(*cuts)
        if spans is None:
            continue
        spans[1][_cut_through(spans[1], readers[1].block[readers[1].places(row)])] = NONE
        kept = np.unique(spans[1][spans[1] != NONE])
        for reader, numbers, whole in zip(readers, spans, found, strict=True):
            there = np.isin(numbers, kept)
            whole[reader.places(row)] = np.where(there, count + np.searchsorted(kept, numbers), NONE)
        count += len(kept)
    return torch.from_numpy(found[0]), torch.from_numpy(found[1]), count


class _Cuts(NamedTuple):
    """The bytes of a row that a model tells, from `begin` on: before it they are given; where each token `ends`, and
    how long it is."""

    text: bytes
    begin: int
    ends: np.ndarray
    lengths: np.ndarray


class _Reader:
    """Encoded rows as the bytes of their tokens."""

    def __init__(self, inputs: EncodedTokens, processor: Any) -> None:
        self.labels, self.tokens = inputs.labels.cpu().numpy(), inputs.tokens.cpu().numpy()
        self.first, self.place = inputs.starts.cpu().numpy(), inputs.places.cpu().numpy()
        self.table, self.has_start = token_bytes(processor), bool(start(processor))
        offsets, row = inputs.offsets.cpu().numpy(), inputs.row.cpu().numpy()
        self.block = np.repeat(np.arange(len(row)), np.diff(offsets))
        ends = np.searchsorted(row, np.arange(len(inputs.size)), side="right")
        self.ends = [0, *offsets[ends].tolist()]

    def places(self, row: int) -> slice:
        """The positions of a row of the data."""
        return slice(self.ends[row], self.ends[row + 1])

    def cuts(self, row: int) -> _Cuts:
        here = self.places(row)
        pieces = [self.table[token] for token in self.labels[here]]
        given = b""
        if pieces and not self.has_start and self.place[here.start] == 0:
            given = self.table[self.tokens[self.first[self.block[here.start]]]]  # nothing before it: it is not told
        lengths = np.array(list(map(len, pieces)), dtype=np.int64)
        return _Cuts(given + b"".join(pieces), len(given), len(given) + lengths.cumsum(), lengths)


def _common(theirs: _Cuts, mine: _Cuts) -> tuple[np.ndarray, np.ndarray] | None:
    """The number of the span in which each token lies; None where there is none. Texts are compared as far as they are
    the same: one may be cut off, or end with another sign."""
    theirs, mine = _without_blank(theirs, mine), _without_blank(mine, theirs)
    pairs = zip(theirs.text, mine.text, strict=False)
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    bounds = np.intersect1d(np.append(theirs.ends, theirs.begin), np.append(mine.ends, mine.begin))
    bounds = bounds[bounds <= same]
    if len(bounds) < 2:
        return None
    return _numbered(theirs, bounds), _numbered(mine, bounds)


def _without_blank(cuts: _Cuts, other: _Cuts) -> _Cuts:
    """Without the blank that some tokenizers put before a text."""
    if not cuts.text.startswith(b" ") or other.text.startswith(b" ") or not other.text:
        return cuts
    ends = np.maximum(cuts.ends - 1, 0)
    begin = max(cuts.begin - 1, 0)
    return _Cuts(cuts.text[1:], begin, ends, np.diff(ends, prepend=begin))


def _numbered(cuts: _Cuts, bounds: np.ndarray) -> np.ndarray:
    """Span k ends at bounds[k + 1]; a token that is nothing but that blank belongs to what follows."""
    numbers = np.searchsorted(bounds, cuts.ends) - 1
    numbers[(cuts.ends == bounds[0]) & (cuts.lengths == 0)] = 0
    return np.where(cuts.ends <= bounds[-1], numbers, NONE)


def _cut_through(spans: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Whether a token's span lies in two blocks."""
    crossing = [mine for (mine, here), (next_one, there) in itertools.pairwise(zip(spans, blocks, strict=True))
                if mine == next_one and here != there]  # fmt: skip
    return np.isin(spans, crossing)


def token_bytes(processor: Any) -> list[bytes]:
    """The bytes of every token of a vocabulary, by number; a sign is no text.

    Raises `ModelError` for a tokenizer that does not say which bytes its tokens stand for.
    """
    kinds = _decoders(processor)
    if not kinds & {"ByteLevel", "ByteFallback", "Metaspace"}:
        raise ModelError(
            "A tokenizer of these models does not say which bytes its tokens stand for.",
            "Take a student with the teacher's tokenizer; or let the student learn the teacher's texts: `data answer`, "
            "then `alpha: 0`.",
        )
    letters = {letter: byte for byte, letter in bytes_to_unicode().items()}
    signs, added = set(processor.all_special_ids), set(processor.get_added_vocab().values())
    found = []
    for number, token in enumerate(processor.convert_ids_to_tokens(range(len(processor)))):
        if number == processor.eos_token_id:
            found.append(END)
        elif number in signs:
            found.append(SIGN + str(token).encode())
        elif number in added or token is None:
            found.append(str(token or "").encode())
        elif "ByteLevel" in kinds:
            found.append(bytes(letters[letter] for letter in token if letter in letters))
        elif len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            found.append(bytes([int(token[3:5], 16)]))
        else:
            found.append(token.replace("\u2581", " ").encode())
    return found


def _decoders(processor: Any) -> set[str]:
    """The kinds of decoders that make a text of tokens again."""
    backend = getattr(processor, "backend_tokenizer", None)
    decoder = json.loads(backend.to_str())["decoder"] if backend is not None else None
    parts: Sequence[Any] = (decoder or {}).get("decoders", [decoder])
    return {part["type"] for part in parts if part}
