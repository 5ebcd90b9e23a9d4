"""Texts that are cut into words already, as tensors: a position is a word, answered where its first piece is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, device

from studio.config.run import UNLABELLED
from studio.errors import DataError
from studio.tasks import encoded_text
from studio.tasks.positions import Positions, places_of

ENCODE_AT_ONCE = 1_000


@dataclass(frozen=True)
class EncodedWords:
    """Texts by words: `piece` (words,) is the place in its row where a word's first piece stands, -1 where the row was
    cut before it.

    `labels` (words,) and `offsets` (rows + 1,) count words of the data, seen or not. `tags` names the classes.
    """

    text: Any
    piece: Tensor
    labels: Tensor
    offsets: Tensor
    tags: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.text)

    @property
    def lengths(self) -> Tensor:
        return self.text.lengths

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """input_ids and attention_mask, both (batch, longest)."""
        return self.text.batch(rows)

    def positions(self, logits: Tensor, rows: Tensor) -> Positions:
        """`logits` (batch, longest, classes) -> all words of these rows; weight 0 where a row was cut before a word."""
        words = places_of(rows, self.offsets)
        counts = self.offsets[rows + 1] - self.offsets[rows]
        row = torch.repeat_interleave(torch.arange(len(rows), device=logits.device), counts, output_size=len(words))
        weight = (self.piece[words] >= 0).to(logits.dtype)
        found = logits[row, self.piece[words].clamp(min=0)] * weight.unsqueeze(-1)
        return Positions(found, self.labels[words], row, weight)

    def told(self, positions: Positions) -> Tensor:
        """The logits themselves."""
        return positions.logits

    def to(self, device: device) -> EncodedWords:
        moved = {name: getattr(self, name).to(device) for name in ("text", "piece", "labels", "offsets")}
        return replace(self, **moved)

    def join(self, other: EncodedWords) -> EncodedWords:
        return EncodedWords(
            text=self.text.join(other.text),
            piece=torch.cat([self.piece, other.piece]),
            labels=torch.cat([self.labels, other.labels]),
            offsets=torch.cat([self.offsets, other.offsets[1:] + self.offsets[-1]]),
            tags=self.tags,
        )


def encode(rows: Any, processor: Any, model_config: Any, max_length: int, labels: Tensor) -> EncodedWords:
    """Rows of words as a model reads them. Raises `DataError` where the tokenizer does not tell words apart."""
    if not processor.is_fast:
        raise DataError(
            f"The tokenizer {type(processor).__name__} does not tell which word a piece belongs to.",
            "Choose a model with a fast tokenizer (tokenizer.json).",
        )
    texts = rows["words"][:]
    ids: list[list[int]] = []
    pieces: list[int] = []
    limit = min(max_length, getattr(model_config, "max_position_embeddings", max_length))
    for start in range(0, len(texts), ENCODE_AT_ONCE):
        part = [words or [""] for words in texts[start : start + ENCODE_AT_ONCE]]
        read = processor(part, is_split_into_words=True, truncation=True, max_length=limit)
        ids += read["input_ids"]
        for row, words in enumerate(texts[start : start + ENCODE_AT_ONCE]):
            pieces += _first_pieces(read.word_ids(row), len(words))
    counts = torch.tensor([len(words) for words in texts])
    return EncodedWords(
        text=encoded_text.of_ids(ids, torch.zeros(len(ids), dtype=torch.long), processor),
        piece=torch.tensor(pieces, dtype=torch.long),
        labels=_one_a_word(labels, rows["label"][:], counts),
        offsets=torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)]),
        tags=tuple(model_config.id2label[number] for number in range(model_config.num_labels)),
    )


def _first_pieces(word_ids: Sequence[int | None], words: int) -> list[int]:
    """For each word the place where it begins, -1 where the row was cut before it.

    >>> _first_pieces([None, 0, 0, 1, None], 3)
    [1, 3, -1]
    """
    found = [-1] * words
    for place, word in reversed(list(enumerate(word_ids))):
        if word is not None and word < words:
            found[word] = place
    return found


def _one_a_word(labels: Tensor, rows: Sequence[Sequence[int]], counts: Tensor) -> Tensor:
    """(words,): the tags that there are, `UNLABELLED` for each word of a row without any."""
    if len(labels) == int(counts.sum()):
        return labels
    tags = [list(row) or [UNLABELLED] * int(count) for row, count in zip(rows, counts, strict=True)]
    return torch.tensor([number for row in tags for number in row], dtype=torch.long)
