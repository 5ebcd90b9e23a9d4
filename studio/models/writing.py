"""A language model writes on: tokens drawn from its answers, one after the other."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.generation.streamers import BaseStreamer

Tell = Callable[[int], None]
"""Hears each token of one text as soon as it is written."""

_OWN: dict[str, Any] = {
    "num_beams": 1, "num_return_sequences": 1, "return_dict_in_generate": False, "max_time": None,
    "dola_layers": None, "penalty_alpha": None, "constraints": None, "force_words_ids": None,
    "prompt_lookup_num_tokens": None, "stop_strings": None, "cache_implementation": None, "compile_config": None,
}  # fmt: skip
"""What the generation_config.json of a folder may not decide: how many texts are written at once, which takes memory,
and ways to write that need more than the network."""


def write(
    network: Any, start: Tensor, most: int, *, seed: int, temperature: float = 1.0, end: int | None = None,
    mask: Tensor | None = None, tell: Tell | None = None,
) -> Tensor:  # fmt: skip
    """`start` (batch, length) and up to `most` tokens after it: (batch, length + written). Where texts are shorter than
    others they are filled up at their beginning; `mask` (batch, length) is 0 there.

    Each token is drawn from the whole answer at this temperature; at 0 it is the likeliest. After `end` a text is
    filled up with it. The same seed draws the same tokens, and leaves torch's own generator as it was. A folder's
    generation_config.json cannot have it search with beams, or write otherwise.
    """
    was_training = network.training
    network.eval()
    devices = [start.device] if start.device.type == "cuda" else []
    how = {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False}
    ends = {} if end is None else {"eos_token_id": end}
    with torch.inference_mode(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        found: Tensor = network.generate(
            input_ids=start, attention_mask=torch.ones_like(start) if mask is None else mask, max_new_tokens=most,
            pad_token_id=end or 0,
            top_k=0, top_p=1.0, repetition_penalty=1.0, use_cache=True,
            streamer=None if tell is None else _Listener(tell), **_OWN, **how, **ends,
        )  # fmt: skip
    network.train(was_training)
    return found.clone()


class _Listener(BaseStreamer):
    """Passes on what `generate` puts; the first that it puts is what it was given."""

    def __init__(self, tell: Tell) -> None:
        self.tell, self.is_given = tell, True

    def put(self, value: Tensor) -> None:
        if self.is_given:
            self.is_given = False
            return
        self.tell(int(value.flatten()[0]))

    def end(self) -> None:
        """Nothing is left to say."""
