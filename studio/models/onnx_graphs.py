"""Graphs that were exported, so that the next model of the same architecture needs only its weights put into one.

To trace a network takes seconds, and a student, its control and the rehearsal of a plan have the same architecture.
"""

from collections import OrderedDict

import numpy as np
import onnx
from onnx import numpy_helper
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

MOST_GRAPHS = 16
MOST_BYTES = 256 << 20
"""Of the weights of a network whose graph is kept: they are copied once meanwhile, and to write a larger one takes long
anyway."""

WRITTEN = ("architectures", "dtype", "transformers_version", "_name_or_path")


class Graphs:
    """The latest few, by architecture and without weights. Graphs must come as they were traced: an optimizer folds
    weights into each other."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, network: nn.Module, inputs: list[str], graph: onnx.ModelProto) -> None:
        """Keep a graph, if each parameter of the network stands in it under one of its names and as it is. That of a
        large network is not kept."""
        if sum(value.nbytes for value in network.state_dict().values()) > MOST_BYTES:
            return
        values, found = network.state_dict(), {one.name: one for one in graph.graph.initializer}
        seen = {values[name].data_ptr() for name in values.keys() & found if _is(found[name], values[name])}
        if any(parameter.data_ptr() not in seen for parameter in network.parameters()):
            return
        bare = onnx.ModelProto()
        bare.CopyFrom(graph)
        for one in bare.graph.initializer:
            if one.name in values:
                one.ClearField("raw_data")
        self._known[_architecture(network, inputs)] = bare.SerializeToString()
        if len(self._known) > MOST_GRAPHS:
            self._known.popitem(last=False)

    def filled(self, network: nn.Module, inputs: list[str]) -> onnx.ModelProto | None:
        """The graph of this architecture with the weights of this network; None where none is kept."""
        kept = self._known.get(_architecture(network, inputs))
        if kept is None:
            return None
        graph, values = onnx.ModelProto.FromString(kept), network.state_dict()
        for one in graph.graph.initializer:
            if one.name in values:
                one.raw_data = values[one.name].contiguous().numpy().tobytes()
        return graph


def _architecture(network: nn.Module, inputs: list[str]) -> str:
    """What networks share whose graphs differ in weights alone."""
    weights = [(name, tuple(value.shape), str(value.dtype)) for name, value in network.state_dict().items()]
    modules = [(name, type(module).__qualname__, module.extra_repr()) for name, module in network.named_modules()]
    configs = {_shape(module.config) for module in network.modules() if isinstance(module, PreTrainedModel)}
    return repr((weights, modules, sorted(configs), inputs))


def _shape(config: PreTrainedConfig) -> str:
    """What a config says of a network, without what is written into it when a model is saved and opened."""
    return repr(sorted((name, repr(value)) for name, value in config.to_dict().items() if name not in WRITTEN))


def _is(initializer: onnx.TensorProto, weight: Tensor) -> bool:
    found = numpy_helper.to_array(initializer)
    return bool(initializer.raw_data) and np.array_equal(found, weight.numpy(), equal_nan=found.dtype.kind == "f")
