"""Texts as tokens that are each told from those before it; and the built-in architectures that read them so.

A row of the data set becomes blocks: a text as many as it takes, each token told once; a prompt with its answer, or a
chat, one, cut where it is too long. A position is a token that counts: of a prompt none does, the sign that ends a text
does, whatever else it stands for (Karpathy's nanoGPT and TRL read texts alike).
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from jinja2 import TemplateError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import LlamaConfig, PreTrainedTokenizerFast

from studio.tasks import chats
from studio.tasks.positions import Positions, places_of

START, END = "<s>", "</s>"
BYTES = 256
VOCABULARY = 4_096
MUCH_TEXT = 4_000_000
"""Characters from which on a built-in model reads pieces of words in place of bytes: with less, pieces are too rare."""

LONGEST = 1_024
"""Tokens that a built-in model can read at once, whatever it learned from."""

ENCODE_AT_ONCE = 1_000
AT_ONCE = 2_048
"""Positions that are judged at a time: what it takes beside the logits does not grow with the length of a text."""

_SIZES: dict[str, dict[str, Any]] = {
    "gpt-base": {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4},
    "gpt-small": {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4},
    "gpt-tiny": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
}

Piece = tuple[str, bool]
"""A stretch of text, and whether its tokens count."""

TOLD = ("log_probability", "first", "entropy")
"""What is kept of a model's answer at a position: log p of the token that stands there, the number of the likeliest
token, the entropy; in nats."""


@dataclass(frozen=True)
class EncodedTokens:
    """Blocks of tokens. `tokens` is flat, block b begins at `starts[b]` and has `lengths[b]`.

    `labels` (p,) are the tokens that count, block by block; `places` (p,) is where in its block the token before it
    stands; `offsets` (blocks + 1,) say which positions a block has. `row` (blocks,) is the row of the data set that a
    block is cut from, `size` (rows,) how many bytes its counted text has, `cut` (rows,) how many of its tokens were
    left out.
    """

    tokens: Tensor
    starts: Tensor
    lengths: Tensor
    labels: Tensor
    places: Tensor
    offsets: Tensor
    row: Tensor
    size: Tensor
    cut: Tensor
    padding: int

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """input_ids and attention_mask, both (batch, longest)."""
        lengths = self.lengths[rows].unsqueeze(1)
        columns = torch.arange(int(lengths.max()), device=rows.device).unsqueeze(0)
        mask = columns < lengths
        places = (self.starts[rows].unsqueeze(1) + columns).clamp(max=len(self.tokens) - 1)
        return {"input_ids": torch.where(mask, self.tokens[places], self.padding), "attention_mask": mask.long()}

    def counted(self, rows: Tensor) -> Tensor:
        """(batch, longest): at which places of a batch an answer is compared."""
        numbers, counts = places_of(rows, self.offsets), self.offsets[rows + 1] - self.offsets[rows]
        row = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), counts, output_size=len(numbers))
        mask = torch.zeros(len(rows), int(self.lengths[rows].max()), dtype=torch.bool, device=rows.device)
        mask[row, self.places[numbers]] = True
        return mask

    def positions(self, logits: Tensor, rows: Tensor) -> Positions:
        """`logits` (batch, longest, vocabulary), or (positions, vocabulary) where `counted(rows)` says -> the answers
        that are compared with the next token, where it counts."""
        numbers = places_of(rows, self.offsets)
        counts = self.offsets[rows + 1] - self.offsets[rows]
        row = torch.repeat_interleave(torch.arange(len(rows), device=logits.device), counts, output_size=len(numbers))
        if logits.ndim == 3:
            logits = logits.flatten(0, 1)[row * logits.shape[1] + self.places[numbers]]
        return Positions(logits, self.labels[numbers], row)

    def told(self, positions: Positions) -> Tensor:
        """(p, 3): `TOLD` of each position, all that is measured; logits of a whole split would fill the memory."""
        return torch.cat([_told(*part) for part in _parts(positions)]) if len(positions.logits) else torch.empty(0, 3)

    def select(self, rows: Tensor) -> "EncodedTokens":
        """These blocks, in this order, each as a row of its own."""
        numbers = places_of(rows, self.offsets)
        counts = self.offsets[rows + 1] - self.offsets[rows]
        return replace(
            self,
            starts=self.starts[rows],
            lengths=self.lengths[rows],
            labels=self.labels[numbers],
            places=self.places[numbers],
            offsets=torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
            row=torch.arange(len(rows)),
            size=self.size[self.row[rows]],
            cut=self.cut[self.row[rows]],
        )

    def whole_rows(self) -> "EncodedTokens":
        """The same positions by the rows of the data set in place of blocks: to be measured, not to be read."""
        rows = torch.arange(len(self.size))
        blocks = torch.bincount(self.row, minlength=len(rows))
        first = blocks.cumsum(0) - blocks
        positions = torch.zeros_like(rows).index_add(0, self.row, self.offsets[1:] - self.offsets[:-1])
        return replace(
            self,
            starts=self.starts[first],
            lengths=torch.zeros_like(rows).index_add(0, self.row, self.lengths),
            offsets=torch.cat([self.offsets[:1], positions.cumsum(0)]),
            row=rows,
        )

    def to(self, device: torch.device) -> "EncodedTokens":
        names = ("tokens", "starts", "lengths", "labels", "places", "offsets", "row", "size", "cut")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def join(self, other: "EncodedTokens") -> "EncodedTokens":
        both = {name: torch.cat([getattr(self, name), getattr(other, name)])
                for name in ("tokens", "lengths", "labels", "places", "size", "cut")}  # fmt: skip
        return EncodedTokens(
            starts=torch.cat([self.starts, other.starts + len(self.tokens)]),
            offsets=torch.cat([self.offsets, other.offsets[1:] + self.offsets[-1]]),
            row=torch.cat([self.row, other.row + len(self.size)]),
            padding=self.padding,
            **both,
        )


def _parts(positions: Positions) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(positions.logits.split(AT_ONCE), positions.labels.split(AT_ONCE), strict=True)


def _told(logits: Tensor, labels: Tensor) -> Tensor:
    log_p = logits.float().log_softmax(-1)
    entropy = -(log_p.exp() * log_p.clamp(min=-1e4)).sum(-1)
    return torch.stack([log_p.gather(-1, labels.unsqueeze(-1)).squeeze(-1), log_p.argmax(-1).float(), entropy], dim=1)


def encode(rows: Dataset, processor: Any, model_config: Any, max_length: int) -> EncodedTokens:
    """The rows of a split as blocks of at most `max_length` tokens, or of what the model can read."""
    limit = min(max_length, getattr(model_config, "max_position_embeddings", None) or max_length)
    found = _Blocks(limit, end(processor))
    for begin in range(0, len(rows), ENCODE_AT_ONCE):
        part = rows[begin : begin + ENCODE_AT_ONCE]
        read = list(zip(part["prompt"], part["text"], part["form"], strict=True))
        stretches = [pieces(*row, processor) for row in read]
        tokens = _tokens([text for row in stretches for text, _ in row], processor)
        for number, ((_, _, form), row) in enumerate(zip(read, stretches, strict=True), start=begin):
            found.add(number, [(*piece, next(tokens)) for piece in row], form == TEXT)
    return found.encoded(processor)


def _tokens(texts: Sequence[str], processor: Any) -> Iterator[list[int]]:
    """The numbers of the tokens of each stretch; a sign is one token, however the tokenizer begins a text."""
    signs = {start(processor): processor.bos_token_id, end(processor): processor.eos_token_id}
    known = {text: [processor.eos_token_id if number is None else number] for text, number in signs.items() if text}
    plain = [text for text in texts if text and text not in known]
    how = {"add_special_tokens": False, "return_attention_mask": False, "verbose": False}
    found = iter(processor(plain, **how)["input_ids"] if plain else [])
    for text in texts:
        yield known[text] if text in known else next(found) if text else []


TEXT, ANSWER, CHAT = "text", "answer", "chat"
"""What a row is: a text to be written on, a prompt with its answer, messages in turn."""


def pieces(prompt: str, text: str, form: str, processor: Any) -> list[Piece]:
    """The stretches of a row: what the model is given, and what it is to write, with its end.

    A tokenizer with a chat template writes prompts and chats as its model knows them; else a prompt ends with a line.
    Of a chat `prompt` is the tools that may be called, as JSON. Where a template knows none they are texts.
    """
    if form == TEXT:
        return [(start(processor), False), (text, True), (end(processor), True)]
    if form == ANSWER and not processor.chat_template:
        return [(start(processor), False), (f"{prompt}\n", False), (text, True), (end(processor), True)]
    messages = json.loads(text) if form == CHAT else [_said("user", prompt), _said("assistant", text)]
    tools = prompt if form == CHAT else ""
    if processor.chat_template:
        return list(_by_template(messages, processor, tools))
    return [(start(processor), False), *_by_names(chats.as_texts(messages, tools), processor)]


def tried(processor: Any) -> Any:
    """A tokenizer whose template has written an answer once: what that takes is bounded while a folder is opened. What
    else is wrong with a template is told when a chat is to be written by it; texts need none."""
    if processor.chat_template:
        with contextlib.suppress(TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
            pieces("Hi", "Hello", ANSWER, processor)
    return processor


def opening(prompt: str, text: str, form: str, processor: Any) -> list[int]:
    """The tokens after which a model is to write: of a text all of it, of a prompt or a chat what stands before the
    answer, or before the last one."""
    if form == CHAT:
        messages = json.loads(text)
        text = json.dumps(
            [*(messages[:-1] if messages[-1]["role"] == "assistant" else messages), _said("assistant", "")]
        )
    parts = pieces(prompt, text if form != ANSWER else "", form, processor)
    counted = [number for number, (_, is_counted) in enumerate(parts) if is_counted]
    last = len(parts) if not counted else counted[-1] if form == TEXT else _begins(parts, counted[-1])
    return [number for tokens in _tokens([piece for piece, _ in parts[:last]], processor) for number in tokens]


def _begins(parts: Sequence[Piece], last: int) -> int:
    """Where the stretch of counted pieces begins that ends with the last one."""
    while last and parts[last - 1][1]:
        last -= 1
    return last


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _by_template(messages: Sequence[dict[str, str]], processor: Any, tools: str = "") -> Iterator[Piece]:
    """The text of the template, cut where an assistant begins and ends to speak."""
    template = str(processor.chat_template)
    knows_tools = not tools or "tools" in template
    how = {"tools": json.loads(tools)} if tools and knows_tools else {}
    if chats.CALLS not in template or not knows_tools:
        messages = chats.as_texts(messages, "" if knows_tools else tools)
    messages = chats.for_template(messages)

    def written(some: Sequence[dict[str, Any]], opens: bool) -> str:
        return str(processor.apply_chat_template(some, tokenize=False, add_generation_prompt=opens, **how))

    before = ""
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        opened, whole = written(messages[:number], True), written(messages[: number + 1], False)
        if not whole.startswith(opened):  # a template that opens an answer otherwise than it writes one
            is_told = message["content"] in whole and chats.CALLS not in message
            opened = whole[: whole.rfind(message["content"])] if is_told else before
        yield opened[len(before) :], False
        yield whole[len(opened) :], True
        before = whole


def _by_names(messages: Sequence[dict[str, str]], processor: Any) -> Iterator[Piece]:
    """Of a model without a template: who speaks, and what is said, a line each."""
    for message in messages:
        is_answer = message["role"] == "assistant"
        yield f"{message['role'].capitalize()}: ", False
        yield message["content"], is_answer
        yield (end(processor), True) if is_answer else ("\n", False)


def start(processor: Any) -> str:
    """The sign before a text: the tokenizer's own, else the one that ends one; "" where it has neither."""
    return processor.bos_token or processor.eos_token or ""


def end(processor: Any) -> str:
    """The sign after a text; it counts, also where it is the sign of padding."""
    return processor.eos_token or ""


class _Blocks:
    """Blocks that are added up row by row."""

    def __init__(self, limit: int, end: str) -> None:
        self.limit, self.end = max(2, limit), end
        self.tokens: list[np.ndarray] = []
        self.labels: list[np.ndarray] = []
        self.places: list[np.ndarray] = []
        self.rows: list[int] = []
        self.sizes: list[int] = []
        self.cut: list[int] = []

    def add(self, row: int, read: Sequence[tuple[str, bool, list[int]]], may_go_on: bool) -> None:
        """A row; the next block of a text begins with the last token of the one before, which it has told already.

        Bytes are those of the text that counts; a sign that ends one is none.
        """
        numbers = np.array([number for _, _, tokens in read for number in tokens], dtype=np.int64)
        counts = np.repeat([is_counted for _, is_counted, _ in read], [len(tokens) for _, _, tokens in read])
        texts = [text for text, is_counted, _ in read if is_counted and text != self.end]
        size = sum(len(text.encode("utf-8", "replace")) for text in texts)
        kept = np.arange(len(numbers)) if may_go_on else self._kept(counts)
        for begin in range(0, max(1, len(kept) - 1), self.limit - 1):
            block = kept[begin : begin + self.limit]
            self._block(row, numbers[block], counts[block])
        counted = int(counts.sum())
        self.sizes.append(round(size * int(counts[kept].sum()) / counted) if counted else 0)
        self.cut.append(len(numbers) - len(kept))

    def _kept(self, counts: np.ndarray) -> np.ndarray:
        """Which tokens of prompts with answers are read, where they are too many: the sign before them, and the last
        ones, for the answer is what is learned. An answer that is too long by itself loses its end, and leaves a
        quarter to what was asked."""
        if len(counts) <= self.limit:
            return np.arange(len(counts))
        before = np.flatnonzero(~counts[: np.flatnonzero(counts).max(initial=0)])
        answer = int(before.max(initial=-1)) + 1
        begin = max(0, min(len(counts) - self.limit, answer - self.limit // 4))
        return np.r_[0, begin + 1 : begin + self.limit]

    def _block(self, row: int, numbers: np.ndarray, counts: np.ndarray) -> None:
        places = np.flatnonzero(counts[1:])
        self.tokens.append(numbers)
        self.labels.append(numbers[places + 1])
        self.places.append(places)
        self.rows.append(row)

    def encoded(self, processor: Any) -> EncodedTokens:
        lengths, counts = (_long([list(map(len, arrays))]) for arrays in (self.tokens, self.labels))
        return EncodedTokens(
            tokens=_long(self.tokens),
            starts=lengths.cumsum(0) - lengths,
            lengths=lengths,
            labels=_long(self.labels),
            places=_long(self.places),
            offsets=torch.cat([_long([[0]]), counts.cumsum(0)]),
            row=_long([self.rows]),
            size=_long([self.sizes]),
            cut=_long([self.cut]),
            padding=processor.pad_token_id or 0,
        )


def of_tokens(texts: Sequence[Tensor], given: Sequence[int], padding: int) -> EncodedTokens:
    """Texts that are tokens already, a block each, of which those after the first `given` count."""
    lengths = torch.tensor([len(text) for text in texts])
    counts = lengths - torch.tensor(given)
    nothing = torch.zeros(len(texts), dtype=torch.long)
    return EncodedTokens(
        tokens=torch.cat(list(texts)).long(),
        starts=lengths.cumsum(0) - lengths,
        lengths=lengths,
        labels=torch.cat([text[count:] for text, count in zip(texts, given, strict=True)]).long(),
        places=torch.cat([torch.arange(count - 1, len(text) - 1) for text, count in zip(texts, given, strict=True)]),
        offsets=torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)]),
        row=torch.arange(len(texts)),
        size=nothing,
        cut=nothing,
        padding=padding,
    )


def _long(arrays: Sequence[Any]) -> Tensor:
    return torch.from_numpy(np.concatenate([np.asarray(part, dtype=np.int64) for part in arrays]) if arrays else _NONE)


_NONE = np.zeros(0, dtype=np.int64)


def builtin(name: str, rows: Dataset, head: dict[str, Any], max_length: int) -> tuple[Any, Any]:
    """A small Llama of the named size, and a tokenizer of bytes, or, where there is much text, of pieces of words."""
    tokenizer = _learn_tokenizer(rows, max_length)
    size = _SIZES[name]
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        intermediate_size=round(size["hidden_size"] * 8 / 3 / 32) * 32,
        max_position_embeddings=max(max_length, LONGEST),
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **size,
        **head,
    )
    return config, tokenizer


def _learn_tokenizer(rows: Dataset, max_length: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE; without merges, where there is little text, it is bytes."""
    texts = [text for name in ("prompt", "text") for text in rows[name][:]]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [START, END]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY if sum(map(len, texts)) >= MUCH_TEXT else BYTES + len(special),
        min_frequency=2,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max(max_length, LONGEST),
        bos_token=START,
        eos_token=END,
        pad_token=END,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )
