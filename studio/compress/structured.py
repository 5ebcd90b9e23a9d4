"""Structured pruning: whole heads, neurons, channels and layers go, and the matrices that remain are really smaller."""

import copy
import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from studio.compress.sample import Sample
from studio.config.plan import Prune, Unit
from studio.errors import ModelError
from studio.models import compact
from studio.models.features import PROJECTIONS, head_size
from studio.models.layers import evenly_spread, keep_layers, layer_stack
from studio.models.model import Model
from studio.models.saving import rebuilt

NEURON_WIDTHS = ("intermediate_size", "hidden_dim", "ffn_dim")
"""What configs call the width of a transformer's feed-forward layers."""


@dataclass(frozen=True)
class Group:
    """Units that go together through some layers, such as the heads of one layer.

    `slices` are the weights that belong to them, with the dimension along which the units lie. `heard` is the layer
    that reads what the units say. `remove` takes the numbers of units away.
    """

    kind: Unit
    units: int
    slices: tuple[tuple[Tensor, int], ...]
    heard: nn.Module | None
    remove: Callable[[list[int]], None]


def prune(model: Model, step: Prune, sample: Sample) -> Model:
    """A smaller copy of `model`; where its config can tell the new widths it is an ordinary model of its kind.

    Raises `ModelError` where there are no such units, where a layer would lose all of them, or where the share is not a
    whole number of heads or layers; it names the nearest share that works.
    """
    network: Any = copy.deepcopy(model.network).cpu()
    small = replace(model, network=network, folder=None)
    units = step.units or default_units(network)
    if "layers" in units:
        small = _without_layers(small, step, sample)
        network = small.network
    groups = [group for kind in units if kind != "layers" for group in find(network, kind, sample)]
    if groups:
        _judge_and_remove(network, groups, step, sample)
        _describe(network)
        network = rebuilt(network)
    return replace(small, network=network)


def default_units(network: Any) -> tuple[Unit, ...]:
    return ("neurons",) if _neuron_width(network.config) else ("channels",)


def possible_units(network: Any) -> tuple[Unit, ...]:
    """What this network has to take away."""
    attends, kind = bool(_attentions(network)), network.config.model_type
    stack = layer_stack(network, getattr(network.config, "num_hidden_layers", None))
    convolves = any(isinstance(module, nn.Conv2d) for module in network.modules()) and not attends
    has_heads = attends or getattr(network.config, "num_attention_heads", None) is not None
    there: dict[Unit, bool] = {
        "heads": attends,
        "neurons": _neuron_width(network.config) is not None,
        "layers": not convolves and has_heads and (stack is not None or kind == "albert"),
        "channels": convolves or kind == "studio-mlp",
    }
    return tuple(unit for unit, found in there.items() if found)


def find(network: Any, kind: Unit, sample: Sample) -> list[Group]:
    """All groups of one kind. Raises `ModelError` where there are none."""
    if kind not in possible_units(network):
        there = ", ".join(possible_units(network)) or "nothing that the studio knows"
        raise ModelError(f"A {network.config.model_type} has no {kind} to prune.", f"It has {there}.")
    if kind == "heads":
        return _heads(network)
    return _neurons(network) if kind == "neurons" else _channels(network, sample)


# --- where units are


Attention = tuple[list[nn.Linear], nn.Linear]
"""Query, key and value, and the linear layer that reads their heads."""


def _every_attention(network: nn.Module) -> list[Attention]:
    linears = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    return [
        ([layer for _, layer in linears[number : number + 3]], linears[number + 3][1])
        for number, (name, _) in enumerate(linears)
        if name.rpartition(".")[2] in PROJECTIONS["query"] and number + 3 < len(linears)
    ]


def _attentions(network: nn.Module) -> list[Attention]:
    """Those whose heads can go: where several share keys and values (Ainslie et al., 2023), none can go alone."""
    return [
        (three, reader)
        for three, reader in _every_attention(network)
        if reader.in_features == three[0].out_features == three[2].out_features
    ]


def _heads(network: Any) -> list[Group]:
    size = head_size(network.config)
    groups = []
    for three, reader in _attentions(network):
        biases = [(layer.bias, 0) for layer in three if layer.bias is not None]
        slices = (*((layer.weight, 0) for layer in three), *biases, (reader.weight, 1))
        groups.append(Group("heads", reader.in_features // size, slices, reader, _remover(three, reader, size)))
    return groups


def _neuron_width(config: Any) -> str | None:
    return next((name for name in NEURON_WIDTHS if isinstance(getattr(config, name, None), int)), None)


def _neurons(network: Any) -> list[Group]:
    """Linear layers that widen and narrow again; two beside each other that widen are the halves of a gate
    (Shazeer, 2020)."""
    attended = {id(layer) for three, reader in _every_attention(network) for layer in (*three, reader)}
    linears = [layer for layer in network.modules() if isinstance(layer, nn.Linear) and id(layer) not in attended]
    groups = []
    writers: list[nn.Linear] = []
    for layer in linears:
        if not writers or (writers[0].in_features, writers[0].out_features) != (layer.out_features, layer.in_features):
            is_gate = len(writers) == 1 and _widens(layer) and layer.weight.shape == writers[0].weight.shape
            writers = [*writers, layer] if is_gate else [layer]
            continue
        biases = [(writer.bias, 0) for writer in writers if writer.bias is not None]
        slices = (*((writer.weight, 0) for writer in writers), *biases, (layer.weight, 1))
        groups.append(Group("neurons", layer.in_features, slices, layer, _remover(writers, layer, 1)))
        writers = []  # a layer is half of one pair only
    return groups


def _widens(layer: nn.Linear) -> bool:
    return layer.out_features != layer.in_features


def _remover(writers: Sequence[nn.Linear], reader: nn.Linear, size: int) -> Callable[[list[int]], None]:
    """Takes units of `size` rows out of the writers, and the columns that read them."""

    def remove(units: list[int]) -> None:
        gone = set(units)
        kept = torch.tensor([row for row in range(reader.in_features) if row // size not in gone])
        for writer in writers:
            writer.weight = nn.Parameter(writer.weight.detach()[kept])
            writer.bias = None if writer.bias is None else nn.Parameter(writer.bias.detach()[kept])
            compact.describe(writer)
        reader.weight = nn.Parameter(reader.weight.detach()[:, kept])
        compact.describe(reader)

    return remove


def _channels(network: Any, sample: Sample) -> list[Group]:
    """Channels that must go together, as torch-pruning's dependency graph finds them (Fang et al., 2023)."""
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of parameters it leaves alone
        graph = tp.DependencyGraph().build_dependency(network, example_inputs=sample.example, forward_fn=_logits)
        found = list(graph.get_all_groups(ignored_layers=[last], root_module_types=[nn.Conv2d, nn.Linear]))
    groups = []
    for group in found:
        root, prune_root = group[0].dep.target.module, group[0].dep.handler
        if not graph.is_out_channel_pruning_fn(prune_root):
            continue
        slices = tuple(_slices(group, graph))
        units = len(group[0].idxs)

        def remove(units: list[int], root: Any = root, how: Any = prune_root) -> None:
            graph.get_pruning_group(root, how, idxs=units).prune()

        groups.append(Group("channels", units, slices, root, remove))
    return groups


def _slices(group: Any, graph: Any) -> list[tuple[Tensor, int]]:
    """The weights of a channel group that have one entry, or a whole number of entries, a channel, in order."""
    found: list[tuple[Tensor, int]] = []
    for dependency, _ in group:
        module, out = dependency.target.module, graph.is_out_channel_pruning_fn(dependency.handler)
        if isinstance(module, nn.Conv2d | nn.Linear):
            depthwise = isinstance(module, nn.Conv2d) and module.groups > 1
            found.append((module.weight, 0 if out or depthwise else 1))
            if out and module.bias is not None:
                found.append((module.bias, 0))
        elif isinstance(module, nn.BatchNorm2d | nn.LayerNorm) and module.weight is not None:
            found.append((module.weight, 0))
    return found


def _logits(network: nn.Module, example: dict[str, Tensor]) -> Tensor:
    logits: Tensor = network(**example).logits
    return logits


# --- which units matter


def importance(network: Any, groups: Sequence[Group], how: str, sample: Sample) -> list[Tensor]:
    """A score (units,) for each group, positive; the least important units have the lowest.

    magnitude: L2 norm of a unit's weights (Li et al., 2017). taylor: |sum of weight · gradient|, the change of the loss
    to first order (Molchanov et al., 2019). activation: root mean square of what a unit says to the rows of `sample`,
    times the weights that read it (Sun et al., 2024, Wanda). random: uniform, from the seed.
    """
    if how == "random":
        generator = torch.Generator().manual_seed(sample.seed)
        return [torch.rand(group.units, generator=generator) + 0.01 for group in groups]
    if how == "activation":
        return _answering(network, groups, sample)
    if how == "taylor":
        _accumulate_gradients(network, sample)
        scores = [_summed(group, _first_order).abs() + 1e-12 for group in groups]
        network.zero_grad(set_to_none=True)
        return scores
    return [_summed(group, torch.square).sqrt() for group in groups]


def _first_order(weight: Tensor) -> Tensor:
    """weight · gradient: what the loss would lose with it, to first order."""
    return torch.zeros_like(weight) if weight.grad is None else weight * weight.grad


def _summed(group: Group, worth: Callable[[Tensor], Tensor]) -> Tensor:
    """(units,): the sum of what all weights of a unit are worth."""
    parts = [_by_unit(worth(weight), dim, group.units) for weight, dim in group.slices]
    return torch.stack(parts).sum(0)


def _by_unit(values: Tensor, dim: int, units: int) -> Tensor:
    """(units,): the sum over everything that belongs to a unit."""
    return values.detach().movedim(dim, 0).reshape(units, -1).sum(1)


def _accumulate_gradients(network: Any, sample: Sample) -> None:
    network.eval()
    network.zero_grad(set_to_none=True)
    for loss in sample.losses(network):
        loss.backward()


def _answering(network: Any, groups: Sequence[Group], sample: Sample) -> list[Tensor]:
    """What each unit says, squared and averaged over rows and places."""
    sums: dict[int, Tensor] = {}
    handles = []
    for number, group in enumerate(groups):

        def hear(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor, number: int = number) -> None:
            said = output if groups[number].kind == "channels" else inputs[0]
            channels = said.movedim(1, -1) if isinstance(module, nn.Conv2d) else said
            mean = channels.detach().float().pow(2).flatten(0, -2).mean(0)
            sums[number] = sums.get(number, torch.zeros_like(mean)) + mean

        assert group.heard is not None
        handles.append(group.heard.register_forward_hook(hear))
    try:
        with torch.no_grad():
            for batch in sample.batches():
                network.eval()(**batch)
    finally:
        for handle in handles:
            handle.remove()
    scores = []
    for number, group in enumerate(groups):
        weight: Any = group.heard.weight  # type: ignore[union-attr]
        read = torch.ones_like(sums[number]) if group.kind == "channels" else weight.detach().pow(2).sum(0)
        scores.append((sums[number] * read).reshape(group.units, -1).sum(1).sqrt() + 1e-12)
    return scores


# --- what goes


def _judge_and_remove(network: Any, groups: list[Group], step: Prune, sample: Sample) -> None:
    ratio = step.ratio or 0.0
    for group in groups:
        check_share(group.kind, group.units, ratio)
    scores = importance(network, groups, step.importance, sample)
    for kind in dict.fromkeys(group.kind for group in groups):
        numbers = [number for number, group in enumerate(groups) if group.kind == kind]
        weakest = _weakest([scores[number] for number in numbers], ratio, step.scope)
        for number, units in zip(numbers, weakest, strict=True):
            if units:
                groups[number].remove(units)


def _weakest(scores: list[Tensor], ratio: float, scope: str) -> list[list[int]]:
    """The units that go, group by group. `global`: all groups compete, each by its own mean; the best unit of each
    stays.

    >>> _weakest([torch.tensor([1.0, 2.0, 9.0, 9.0]), torch.tensor([1.0, 1.0, 1.0, 1.1])], 0.5, "local")
    [[0, 1], [0, 1]]
    >>> _weakest([torch.tensor([1.0, 2.0, 1.0, 90.0]), torch.tensor([1.0, 1.0, 1.0, 1.1])], 0.375, "global")
    [[0, 2, 1], []]
    """
    if scope == "local":
        return [score.argsort(stable=True)[: round(len(score) * ratio)].tolist() for score in scores]
    ranked = sorted(
        (float(score / group.mean()), number, unit)
        for number, group in enumerate(scores)
        for unit, score in enumerate(group)
        if unit != int(group.argmax())
    )
    gone: list[list[int]] = [[] for _ in scores]
    for _, number, unit in ranked[: round(sum(map(len, scores)) * ratio)]:
        gone[number].append(unit)
    return gone


def check_share(kind: Unit, units: int, ratio: float) -> None:
    """Raise `ModelError` where a layer would lose all units, or where the share is no whole number of heads or layers.

    The message names the nearest shares that work.
    """
    lost = units * ratio
    if round(lost) >= units:
        most = (units - 1) / units
        raise ModelError(
            f"A ratio of {ratio:.3g} would remove all {units} {kind} of a layer.",
            f"Take at most {math.floor(1000 * most) / 1000:g}." if units > 1 else f"Leave {kind} out.",
        )
    if kind in ("heads", "layers") and abs(lost - round(lost)) > 0.01 * units:
        below, above = math.floor(lost), math.ceil(lost)
        fits = [count for count in (below, above) if 0 < count < units]
        raise ModelError(
            f"A ratio of {ratio:.3g} is {lost:.3g} of {units} {kind}, not a whole number.",
            f"Take {' or '.join(f'{count / units:.3g} ({count} of {units})' for count in fits)}.",
        )


def _without_layers(model: Model, step: Prune, sample: Sample) -> Model:
    """Fewer layers of a transformer's stack."""
    network = model.network
    total = getattr(network.config, "num_hidden_layers", None)
    if "layers" not in possible_units(network) or total is None:
        raise ModelError(f"A {network.config.model_type} has no layers to prune.", "Prune other units of it.")
    check_share("layers", total, step.ratio or 0.0)
    keep = total - round(total * (step.ratio or 0.0))
    if keep == total:
        return model
    scores = _layer_scores(network, step.importance, sample, total)
    kept = evenly_spread(keep, total) if scores is None else sorted(scores.argsort(descending=True)[:keep].tolist())
    return keep_layers(model, kept)


def _layer_scores(network: Any, how: str, sample: Sample, total: int) -> Tensor | None:
    """(layers,). magnitude: None, which stands for evenly spread, since norms of whole layers say little. activation:
    how much a layer turns its input, 1 - cosine (Men et al., 2024, ShortGPT)."""
    name = layer_stack(network, total)
    if how == "magnitude" or name is None:
        return None
    if how == "random":
        return torch.rand(total, generator=torch.Generator().manual_seed(sample.seed))
    layers: Any = network.get_submodule(name)
    if how == "taylor":
        _accumulate_gradients(network, sample)
        scores = [
            sum(float(_first_order(weight).detach().sum().abs()) for weight in layer.parameters()) for layer in layers
        ]
        network.zero_grad(set_to_none=True)
        return torch.tensor(scores)
    with torch.no_grad():
        batch = next(sample.batches())
        states = network.eval()(**batch, output_hidden_states=True).hidden_states
    alike = [
        nn.functional.cosine_similarity(state, other, dim=-1).mean() for state, other in itertools.pairwise(states)
    ]
    return 1 - torch.stack(alike)


def _describe(network: Any) -> None:
    """Write the widths that are left into the config, as far as it can tell them."""
    config = network.config
    width = _neuron_width(config)
    widths = {group.units for group in _neurons(network)} if width else set()
    if width and len(widths) == 1:
        setattr(config, width, widths.pop())
    if config.model_type in ("vit", "llama") and _attentions(network):
        heads = {reader.in_features // head_size(config) for _, reader in _attentions(network)}
        if len(heads) == 1:
            config.head_dim, config.num_attention_heads = head_size(config), heads.pop()
            if hasattr(config, "num_key_value_heads"):
                config.num_key_value_heads = config.num_attention_heads
    if config.model_type == "resnet":
        config.embedding_size = network.resnet.embedder.embedder.convolution.out_channels
        config.hidden_sizes = [_last_convolution(stage) for stage in network.resnet.encoder.stages]
    elif config.model_type == "convnext":
        config.hidden_sizes = [stage.layers[-1].dwconv.out_channels for stage in network.convnext.encoder.stages]
    elif config.model_type == "studio-mlp":
        config.hidden_sizes = [layer.out_features for layer in network.hidden]


def _last_convolution(stage: nn.Module) -> int:
    return next(module for module in reversed(list(stage.modules())) if isinstance(module, nn.Conv2d)).out_channels
