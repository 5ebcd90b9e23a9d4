"""What a network says to a batch: its logits, and, where a loss asks for it, what it computed on the way."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

PROJECTIONS = {
    "query": ("query", "q_lin", "q_proj", "q"),
    "key": ("key", "k_lin", "k_proj", "k"),
    "value": ("value", "v_lin", "v_proj", "v"),
}
"""What transformers call the three projections of an attention layer."""


@dataclass(frozen=True)
class Outputs:
    """What a network gives for one batch.

    `logits` are the network's own, (batch, classes) or (batch, length, classes), until its task has made positions of
    them, (positions, classes); `seen` (positions,) then tells which of them are numbers, None: all. `hidden`, one a
    layer: (batch, length, width), (batch, channels, height, width) or (batch, width). `attention` (batch, heads,
    length, length) and `values` (batch, heads, length, width of a head) are those of the last layer, None where there
    is no attention. `mask` (batch, length) is 1 where there is a token.

    `index`, `ends` and `tail`: of recorded answers of which the likeliest alone were kept, which those are, where those
    of each position end, and the log of the mass of all others; `logits` are then their log-probabilities, one position
    after the other (`studio.distill.top_answers`). `spans`: of answers of
    a teacher that cuts texts otherwise, in which span of bytes each position of the student lies; `logits` are then the
    log-likelihoods of the spans (`studio.distill.byte_spans`).
    """

    logits: Tensor
    hidden: tuple[Tensor, ...] = ()
    mask: Tensor | None = None
    projections: dict[str, Tensor] | None = None
    heads: int = 1
    seen: Tensor | None = None
    index: Tensor | None = None
    ends: Tensor | None = None
    tail: Tensor | None = None
    spans: Tensor | None = None

    @property
    def embedding(self) -> Tensor:
        """One vector an example (batch, width): the mean of the last layer over tokens or places."""
        return pooled(self.hidden[-1], self.mask)

    @property
    def attention(self) -> Tensor:
        """softmax(Q·Kᵀ / √width) of the last layer, as the layer computes it without dropout."""
        query, key = self._by_head("query", self.heads), self._by_head("key", self.heads)
        products = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        if self.mask is not None:
            products = products.masked_fill(self.mask[:, None, None, :] == 0, float("-inf"))
        return products.softmax(-1)

    def values(self, heads: int) -> Tensor:
        """The values of the last layer (batch, heads, length, width of a head), cut into as many heads as asked for."""
        return self._by_head("value", heads)

    def _by_head(self, name: str, heads: int) -> Tensor:
        assert self.projections is not None
        batch, length, width = self.projections[name].shape
        return self.projections[name].view(batch, length, heads, width // heads).transpose(1, 2)


def asked(network: Any, inputs: Any, rows: Tensor) -> dict[str, Tensor]:
    """A batch as a network is given it; where both know of it with the places of which alone logits are wanted: none
    are computed for a prompt."""
    batch: dict[str, Tensor] = inputs.batch(rows)
    forward = getattr(type(network), "forward", None)
    if forward is None or not hasattr(inputs, "counted") or not _takes_places(forward):
        return batch
    return batch | {"logits_to_keep": inputs.counted(rows)}


@functools.cache
def _takes_places(forward: Callable[..., Any]) -> bool:
    return "logits_to_keep" in inspect.signature(forward).parameters


def pooled(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """(batch, width): the mean over tokens or places; a vector stays as it is."""
    if hidden.ndim == 4:
        return hidden.mean((2, 3))
    if hidden.ndim == 2:
        return hidden
    if mask is None or mask.shape[1] != hidden.shape[1]:
        return hidden.mean(1)
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


def read(network: Any, batch: dict[str, Tensor], deep: bool) -> Outputs:
    """One forward pass; `deep` also gives hidden states and the projections of the last attention layer.

    Everything is float32, whatever precision the pass ran in.
    """
    if not deep:
        return Outputs(network(**batch).logits.float())
    with _listening(network) as heard:
        outputs = network(**batch, output_hidden_states=True)
    hidden = tuple(layer.float() for layer in outputs.hidden_states)
    return Outputs(
        logits=outputs.logits.float(),
        hidden=hidden[1:] if len(hidden) > 1 else hidden,
        mask=batch.get("attention_mask"),
        projections={name: output.float() for name, output in heard.items()}
        if len(heard) == len(PROJECTIONS)
        else None,
        heads=heard["query"].shape[-1] // head_size(network.config) if "query" in heard else 1,
    )


def head_size(config: Any) -> int:
    """The width of one attention head; it stays when heads are pruned."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


@contextlib.contextmanager
def _listening(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """What the projections of the last attention layer give during a pass."""
    heard: dict[str, Tensor] = {}
    handles = []
    for role, names in PROJECTIONS.items():
        layers = [layer for name, layer in network.named_modules() if name.rpartition(".")[2] in names]
        if layers:
            handles.append(
                layers[-1].register_forward_hook(lambda _, __, output, role=role: heard.__setitem__(role, output))
            )
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()
