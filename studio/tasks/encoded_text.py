"""Texts as tensors: tokenized once, padded batch by batch; and the built-in architectures for them."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import AutoTokenizer, BertConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from studio.config.run import UNLABELLED
from studio.tasks import augment
from studio.tasks.architectures import FastTextConfig
from studio.tasks.positions import OnePositionPerRow

VOCABULARY = 8_000
FASTTEXT_VOCABULARY = 1_000
"""Short pieces stand in for character n-grams: they help where there are few texts."""

ENCODE_AT_ONCE = 1_000

_SIZES: dict[str, dict[str, Any]] = {
    "transformer-base": {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 8},
    "transformer-small": {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
    "transformer-mini": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
    "transformer-tiny": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2},
}

_FASTTEXT: dict[str, dict[str, Any]] = {
    "fasttext-large": {"hidden_size": 192, "dropout": 0.5},
    "fasttext-small": {"hidden_size": 16},
    "fasttext-tiny": {"hidden_size": 4},
}


@dataclass(frozen=True)
class EncodedText(OnePositionPerRow):
    """Token ids of all texts in one flat tensor; a batch is as wide as its longest text.

    `types` are the token types of pairs of texts (0 the first one, 1 the second one), where the tokenizer tells them.
    """

    tokens: Tensor
    starts: Tensor
    lengths: Tensor
    labels: Tensor
    padding: int
    types: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """input_ids and attention_mask, for pairs token_type_ids, too; all (batch, longest)."""
        lengths = self.lengths[rows].unsqueeze(1)
        columns = torch.arange(int(lengths.max()), device=rows.device).unsqueeze(0)
        mask = columns < lengths
        places = (self.starts[rows].unsqueeze(1) + columns).clamp(max=len(self.tokens) - 1)
        ids = torch.where(mask, self.tokens[places], self.padding)
        types = {} if self.types is None else {"token_type_ids": torch.where(mask, self.types[places], 0)}
        return {"input_ids": ids, "attention_mask": mask.long(), **types}

    def to(self, device: torch.device) -> "EncodedText":
        moved = {name: getattr(self, name).to(device) for name in ("tokens", "starts", "lengths", "labels")}
        return replace(self, types=None if self.types is None else self.types.to(device), **moved)

    def join(self, other: "EncodedText") -> "EncodedText":
        return EncodedText(
            tokens=torch.cat([self.tokens, other.tokens]),
            starts=torch.cat([self.starts, other.starts + len(self.tokens)]),
            lengths=torch.cat([self.lengths, other.lengths]),
            labels=torch.cat([self.labels, other.labels]),
            padding=self.padding,
            types=None if self.types is None or other.types is None else torch.cat([self.types, other.types]),
        )


def load_processor(folder: str) -> Any:
    """The tokenizer of a folder. Raises `ValueError` for anything else that its settings name, such as a pair of
    tokenizers from the folders in it, which nobody has looked into."""
    found = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if not isinstance(found, PreTrainedTokenizerBase):
        raise ValueError(f"{type(found).__name__} is no tokenizer")
    return found


def builtin(name: str, rows: Dataset, head: dict[str, Any], max_length: int) -> tuple[Any, Any]:
    """A BERT or a fastText model of the named size, and a tokenizer learned from the training texts."""
    if name in _FASTTEXT:
        tokenizer = _learn_tokenizer(rows, max_length, FASTTEXT_VOCABULARY)
        return FastTextConfig(vocab_size=len(tokenizer), **_FASTTEXT[name], **head), tokenizer
    tokenizer = _learn_tokenizer(rows, max_length, VOCABULARY)
    size = _SIZES[name]
    config = BertConfig(
        vocab_size=len(tokenizer),
        intermediate_size=4 * size["hidden_size"],
        max_position_embeddings=max_length,
        pad_token_id=tokenizer.pad_token_id,
        **size,
        **head,
    )
    return config, tokenizer


def encode(rows: Dataset, processor: Any, model_config: Any, max_length: int, labels: Tensor) -> EncodedText:
    """Tokenize every text, or pair of texts, once, cut to `max_length` or to what the model can read."""
    pairs = rows["text_pair"][:] if "text_pair" in rows.column_names else None
    return _encode(rows["text"][:], pairs, labels, processor, model_config, max_length)


def changed(
    rows: Dataset, plain: EncodedText, model: Any, max_length: int, changes: augment.Changes, seed: int
) -> EncodedText:
    """The texts with other words, read as `plain` was; of a pair the first one is changed. One that was joined with
    another has no label."""
    pairs = rows["text_pair"][:] if "text_pair" in rows.column_names else None
    texts, labels = changes.texts(rows["text"][:], seed), plain.labels
    if "cutmix" in changes.names:
        texts, mixed = augment.join_texts(texts, seed)
        labels = labels.clone()
        labels[mixed] = math.nan if labels.ndim == 1 and labels.is_floating_point() else UNLABELLED
    return _encode(texts, pairs, labels, model.processor, model.network.config, max_length)


def _encode(
    texts: list[str], pairs: list[str] | None, labels: Tensor, processor: Any, model_config: Any, max_length: int
) -> EncodedText:
    limit = min(max_length, getattr(model_config, "max_position_embeddings", max_length))
    ids: list[list[int]] = []
    types: list[list[int]] = []
    for start in range(0, len(texts), ENCODE_AT_ONCE):
        part = slice(start, start + ENCODE_AT_ONCE)
        seconds = () if pairs is None else (pairs[part],)
        read = processor(texts[part], *seconds, truncation=True, max_length=limit, return_attention_mask=False)
        ids += read["input_ids"]
        types += read.get("token_type_ids", []) if pairs is not None else []
    return of_ids(ids, labels, processor, types)


def of_ids(
    ids: list[list[int]], labels: Tensor, processor: Any, types: list[list[int]] | tuple[()] = ()
) -> EncodedText:
    """The token ids, and token types if there are any, of each row."""
    lengths = torch.tensor([len(row) for row in ids], dtype=torch.long)
    return EncodedText(
        tokens=_flat(ids),
        starts=lengths.cumsum(0) - lengths,
        lengths=lengths,
        labels=labels,
        padding=processor.pad_token_id or 0,
        types=_flat(types) if types else None,
    )


def _flat(rows: list[list[int]] | tuple[()]) -> Tensor:
    return torch.tensor([number for row in rows for number in row], dtype=torch.long)


def _learn_tokenizer(rows: Dataset, max_length: int, vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE: any language, no unknown word, and, unlike WordPiece's trainer, the same in every process."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    columns = [name for name in ("text", "text_pair") if name in rows.column_names]
    tokenizer.train_from_iterator((text for name in columns for text in rows[name][:]), trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", *(["token_type_ids"] if len(columns) > 1 else []), "attention_mask"],
    )
