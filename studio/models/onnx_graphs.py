"""Graphs that were exported, so that the next model of the same architecture needs only its weights put into one.

To trace a network takes seconds, and a student, its control and the rehearsal of a plan have the same architecture; so
have the models of the next run. In a folder graphs outlive the process.
"""

import contextlib
import hashlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import onnxscript
import torch
import transformers
from onnx import numpy_helper
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from studio import files

MOST_GRAPHS = 16
MOST_BYTES = 256 << 20
"""Of the weights of a network whose graph is kept: they are copied once meanwhile, and to write a larger one takes long
anyway."""

_DIGEST_BYTES = hashlib.sha256().digest_size

WRITTEN = ("architectures", "dtype", "transformers_version", "_name_or_path")


class Graphs:
    """The latest few, by architecture and inputs, without weights. Graphs must come as they were traced: an optimizer
    folds weights into each other. `folder`: where they are kept for other processes, too; in memory alone without it.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self._known: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, network: nn.Module, inputs: list[str], graph: onnx.ModelProto) -> None:
        """Keep a graph, if each parameter of the network stands in it under one of its names and as it is. That of a
        large network is not kept."""
        if sum(value.nbytes for value in network.state_dict().values()) > MOST_BYTES:
            return
        values, found = network.state_dict(), {tensor.name: tensor for tensor in graph.graph.initializer}
        seen = {values[name].data_ptr() for name in values.keys() & found if _is(found[name], values[name])}
        if any(parameter.data_ptr() not in seen for parameter in network.parameters()):
            return
        bare = onnx.ModelProto()
        bare.CopyFrom(graph)
        for tensor in bare.graph.initializer:
            if tensor.name in values:
                tensor.ClearField("raw_data")
        self._keep(_architecture(network, inputs), bare.SerializeToString())

    def filled(self, network: nn.Module, inputs: list[str]) -> onnx.ModelProto | None:
        """The graph of this architecture with the weights of this network; None where none is kept."""
        architecture = _architecture(network, inputs)
        kept = self._known.get(architecture) or self._on_disk(architecture)
        if kept is None:
            return None
        graph, values = onnx.ModelProto.FromString(kept), network.state_dict()
        for tensor in graph.graph.initializer:
            if tensor.name in values:
                tensor.raw_data = values[tensor.name].contiguous().numpy().tobytes()
        return graph

    def _keep(self, architecture: str, graph: bytes) -> None:
        self._known[architecture] = graph
        if len(self._known) > MOST_GRAPHS:
            self._known.popitem(last=False)
        if self.folder is None or not self.folder.parent.is_dir():  # a home that is gone stays so
            return
        with contextlib.suppress(OSError):  # a full disk: the next one is traced again
            with files.whole_file(self.folder / _name(architecture)) as part:
                part.write_bytes(hashlib.sha256(graph).digest() + graph)
            for old in sorted(self.folder.glob("*.graph"), key=lambda path: -path.stat().st_mtime)[MOST_GRAPHS:]:
                old.unlink()

    def _on_disk(self, architecture: str) -> bytes | None:
        """What a process kept before; None where there is nothing, or where it is not what was written."""
        if self.folder is None:
            return None
        try:
            written = (self.folder / _name(architecture)).read_bytes()
        except OSError:
            return None
        digest, graph = written[:_DIGEST_BYTES], written[_DIGEST_BYTES:]
        return graph if hashlib.sha256(graph).digest() == digest else None


def _name(architecture: str) -> str:
    """The file of an architecture, as these versions of the exporter and of the networks write it."""
    versions = (torch.__version__, transformers.__version__, onnxscript.__version__, onnx.__version__)
    return hashlib.sha256(repr((versions, architecture)).encode()).hexdigest()[:32] + ".graph"


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
