"""More data from the data: changed copies of texts and images. The teacher answers them anew."""

import contextlib
import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from studio.errors import ModelError

DROPPED, REPLACED = 0.1, 0.15
"""Shares of a text's words that are left out, and that are replaced."""

NEIGHBOURS = 10
SHIFT = 12
"""An image moves by at most its side divided by this: 2 pixels of 28, as in Hinton, Vinyals & Dean (2015)."""

MIXED = 0.5
"""Share of the rows that are mixed with another one."""

AT_ONCE = 2**24
"""Pixels that are changed at a time."""

FILLED_AT_ONCE = 64

Replace = Callable[[list[list[str]], list[list[int]], random.Random], list[list[str]]]
"""(words of each text, places to replace in each, generator) -> the new words at those places."""


@dataclass(frozen=True)
class Changes:
    """Which changes are made, and where replaced words come from: neighbours of the teacher, a masked model."""

    names: tuple[str, ...]
    neighbours: Replace | None = None
    masked: Replace | None = None
    _texts: dict[int, list[str]] = field(default_factory=dict, repr=False, compare=False)

    def without_mixing(self) -> "Changes":
        """For a control: what is mixed has no label, and nobody to tell it one."""
        kept = tuple(name for name in self.names if name not in ("mixup", "cutmix"))
        return Changes(kept, self.neighbours, self.masked, self._texts)

    def texts(self, texts: Sequence[str], seed: int) -> list[str]:
        """`change_texts`, made once for a seed: a language model takes its time."""
        if seed not in self._texts:
            self._texts[seed] = change_texts(texts, self, seed)
        return self._texts[seed]


NO_CHANGES = Changes(())


def change_texts(texts: Sequence[str], changes: Changes, seed: int) -> list[str]:
    """Every text changed; the same seed gives the same texts. A text always keeps at least one word."""
    generator = random.Random(seed)  # noqa: S311  it changes words, it keeps no secret
    words = [text.split() for text in texts]
    for name, replace in (("word_replacement", changes.neighbours), ("masked_word", changes.masked)):
        if name in changes.names:
            assert replace is not None, f"{name} needs a source of words"
            words = _replaced(words, replace, generator)
    if "word_dropout" in changes.names:
        words = [_thinned(text, generator) for text in words]
    return [" ".join(kept) or text for kept, text in zip(words, texts, strict=True)]


def join_texts(texts: Sequence[str], seed: int) -> tuple[list[str], Tensor]:
    """The texts, about half of them as the beginning of one with the end of another, and (rows,) which those are.

    As CutMix does with images (Yun et al., 2019); of a text without spaces a part is some of its signs.
    """
    generator = random.Random(seed)  # noqa: S311  it mixes texts, it keeps no secret
    is_mixed = [generator.random() < MIXED for _ in texts]
    found = [
        _joined(text, generator.choice(texts), generator) or text if mixed else text
        for text, mixed in zip(texts, is_mixed, strict=True)
    ]
    return found, torch.tensor(is_mixed)


def _joined(first: str, second: str, generator: random.Random) -> str:
    """The beginning of a text and the end of another, cut between words; without spaces, between signs."""
    space = " " if " " in first.strip() else ""
    beginning, end = (text.split() if space else list(text) for text in (first, second))
    kept = beginning[: generator.randrange(len(beginning) + 1)], end[generator.randrange(len(end) + 1) :]
    return space.join(kept[0] + kept[1])


def change_images(pixels: Tensor, changes: Changes, seed: int) -> tuple[Tensor, Tensor]:
    """(rows, channels, height, width) bytes, changed, and (rows,) whether a row was mixed with another one."""
    devices: list[int] = []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        steps = _image_steps(changes, pixels.shape)
        mixers = _mixers(changes)
        parts, mixed = [], []
        for part in pixels.split(max(2, AT_ONCE // pixels[0].numel())):
            shares = part.float() / 255
            for step in steps:
                shares = step(shares)
            is_mixed = torch.zeros(len(part), dtype=torch.bool)
            for mix in mixers:
                chosen = torch.rand(len(part)) < MIXED / len(mixers)
                if int(chosen.sum()) > 1:
                    shares[chosen] = mix(shares[chosen])
                    is_mixed |= chosen
            parts.append((shares * 255).round().clamp(0, 255).to(torch.uint8))
            mixed.append(is_mixed)
    return torch.cat(parts), torch.cat(mixed)


def _image_steps(changes: Changes, shape: torch.Size) -> list[Callable[[Tensor], Tensor]]:
    from kornia import augmentation

    _, channels, height, width = shape
    known: dict[str, list[Any]] = {
        "flip": [augmentation.RandomHorizontalFlip()],
        "crop": [augmentation.RandomCrop((height, width), padding=max(1, round(max(height, width) / SHIFT)))],
        "jitter": [augmentation.ColorJiggle(0.2, 0.2, 0.2, 0.05)]
        if channels == 3
        else [augmentation.RandomBrightness((0.8, 1.2)), augmentation.RandomContrast((0.8, 1.2))],
    }
    return [step for name in changes.names for step in known.get(name, ())]


def _mixers(changes: Changes) -> list[Callable[[Tensor], Tensor]]:
    from kornia import augmentation

    known: dict[str, Any] = {
        "mixup": functools.partial(augmentation.RandomMixUpV2, p=1.0),
        "cutmix": functools.partial(augmentation.RandomCutMixV2, p=1.0, use_correct_lambda=True),
    }
    return [known[name]() for name in changes.names if name in known]


def embedding_layer(network: nn.Module) -> nn.Module:
    """The layer that makes vectors of tokens; raises `ModelError` where there is none."""
    with contextlib.suppress(NotImplementedError, AttributeError):
        found = network.get_input_embeddings()  # type: ignore[operator]
        if isinstance(found, nn.Module):
            return found
    layers = [module for module in network.modules() if isinstance(module, nn.Embedding)]
    if not layers:
        raise ModelError("This model has no layer of embeddings.", "Ask another model.")
    return layers[0]


def neighbours(network: Any, tokenizer: Any) -> Replace:
    """Replaces a word by one of the nearest in the model's input embeddings, by cosine."""
    whole = _whole_words(tokenizer)
    ids = torch.tensor(sorted(whole))
    with torch.no_grad():  # asked, not read: of a compressed teacher it is a product of two
        vectors = embedding_layer(network)(ids.to(network.device))
    table = torch.nn.functional.normalize(vectors.float().cpu(), dim=-1)
    numbers = {whole[int(token)]: row for row, token in enumerate(ids)}

    @functools.cache
    def near(word: str) -> list[str]:
        row = numbers.get(word.lower())
        if row is None:
            return []
        best = (table @ table[row]).topk(min(NEIGHBOURS + 1, len(ids))).indices.tolist()
        return [whole[int(ids[place])] for place in best if place != row][:NEIGHBOURS]

    def replace(texts: list[list[str]], places: list[list[int]], generator: random.Random) -> list[list[str]]:
        return [
            [generator.choice(near(words[place]) or [words[place]]) for place in chosen]
            for words, chosen in zip(texts, places, strict=True)
        ]

    return replace


def masked(network: Any, tokenizer: Any) -> Replace:
    """Replaces a word by one of the likeliest that a masked language model puts in its place (Devlin et al., 2019)."""
    device = next(network.parameters()).device
    network.eval()

    def replace(texts: list[list[str]], places: list[list[int]], generator: random.Random) -> list[list[str]]:
        filled: list[list[str]] = []
        for start in range(0, len(texts), FILLED_AT_ONCE):
            part = texts[start : start + FILLED_AT_ONCE]
            chosen = places[start : start + FILLED_AT_ONCE]
            hidden = [
                " ".join(tokenizer.mask_token if place in where else word for place, word in enumerate(words))
                for words, where in zip(part, map(set, chosen), strict=True)
            ]
            limit = getattr(network.config, "max_position_embeddings", 512)
            batch = tokenizer(hidden, return_tensors="pt", padding=True, truncation=True, max_length=limit).to(device)
            with torch.inference_mode():
                likely = network(**batch).logits.topk(NEIGHBOURS, dim=-1).indices.cpu()
            masks = (batch["input_ids"] == tokenizer.mask_token_id).cpu()
            for row, (words, where) in enumerate(zip(part, chosen, strict=True)):
                guesses = [_words_of(tokenizer, ids) for ids in likely[row][masks[row]]]
                filled.append(
                    [
                        generator.choice(guesses[number] or [words[place]]) if number < len(guesses) else words[place]
                        for number, place in enumerate(where)
                    ]
                )
        return filled

    return replace


def _words_of(tokenizer: Any, ids: Tensor) -> list[str]:
    """Those of some tokens that are whole words."""
    tokens = tokenizer.convert_ids_to_tokens(ids.tolist())
    plain = [token.lstrip("Ġ▁") for token in tokens if not token.startswith("##")]
    return [token for token in plain if token.isalpha()]


def _whole_words(tokenizer: Any) -> dict[int, str]:
    """The tokens of a vocabulary that are whole words, however it marks the beginning of a word."""
    vocabulary = tokenizer.get_vocab()
    marks = tuple(mark for mark in "Ġ▁" if any(token.startswith(mark) for token in vocabulary))
    found = {}
    for token, number in vocabulary.items():
        word = token.lstrip("Ġ▁")
        begins = token.startswith(marks) if marks else not token.startswith("##")
        if begins and word.isalpha():
            found[number] = word
    return found


def _replaced(words: list[list[str]], replace: Replace, generator: random.Random) -> list[list[str]]:
    places = [[place for place in range(len(text)) if generator.random() < REPLACED] for text in words]
    new = replace(words, places, generator)
    result = []
    for text, chosen, instead in zip(words, places, new, strict=True):
        swapped = dict(zip(chosen, instead, strict=True))
        result.append([swapped.get(place, word) for place, word in enumerate(text)])
    return result


def _thinned(words: list[str], generator: random.Random) -> list[str]:
    kept = [word for word in words if generator.random() >= DROPPED]
    return kept or words[:1]
