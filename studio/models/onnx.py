"""A model as ONNX files, in float32 and in int8, each compared with the model that it was made from."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime import quantization
from onnxscript import optimizer
from torch import Tensor, nn

from studio import files
from studio.config.plan import Form
from studio.errors import ExportError, ModelError
from studio.models import constraints
from studio.models.model import Model
from studio.models.onnx_graphs import Graphs
from studio.tasks import Encoded, Task

CALIBRATION_ROWS = 200
"""Training rows, drawn by chance, that show how large activations become, for models of convolutions."""

LEAST_AGREEMENT = 0.99
TOLERANCE = 1e-3
"""The largest difference of a logit that float32 may show: other kernels add in another order."""


@dataclass(frozen=True)
class Agreement:
    """How a file answers beside the model: the share of rows with the same choice, and the largest difference of a
    logit."""

    rows: int
    same: float
    largest: float


class _Logits(nn.Module):
    """A network that takes its inputs by position and gives its logits alone."""

    def __init__(self, network: Any, names: list[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, *inputs: Tensor) -> Tensor:
        logits: Tensor = self.network(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


_graphs = Graphs()


def keep_graphs(folder: Path) -> None:
    """From now on the graphs of architectures are kept there, and those that are there are used."""
    _graphs.folder = folder


def write(model: Model, inputs: Encoded, file: Path) -> None:
    """float32, for any number of rows and, of texts, any length. Raises `ExportError` where an operator has no
    counterpart."""
    batch = inputs.batch(torch.arange(2))
    network = _Logits(model.network.cpu().eval(), list(batch))
    known = _graphs.filled(network, _described(batch))
    if known is not None:
        _save(known, file)
        if _answers_as(network, batch, file):
            return
    graph = _traced(network, batch)
    _graphs.keep(network, _described(batch), graph)
    _save(graph, file)


def _free(batch: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The axes of each input that a graph leaves open: the rows and, of texts, the length."""
    return {name: (0, 1) if name in ("input_ids", "attention_mask", "token_type_ids") else (0,) for name in batch}


def _described(batch: dict[str, Tensor]) -> list[str]:
    """The inputs that a graph is for: name, type, and the sizes that it holds fast, such as those of an image.

    >>> _described({"input_ids": torch.ones(2, 9, dtype=int), "pixel_values": torch.ones(2, 3, 28, 28)})
    ['input_ids torch.int64 * *', 'pixel_values torch.float32 * 3 28 28']
    """
    free = _free(batch)
    sizes = {
        name: ["*" if axis in free[name] else str(size) for axis, size in enumerate(values.shape)]
        for name, values in batch.items()
    }
    return [" ".join([name, str(values.dtype), *sizes[name]]) for name, values in batch.items()]


def _answers_as(network: _Logits, batch: dict[str, Tensor], file: Path) -> bool:
    with torch.inference_mode():
        expected = network(*batch.values())
    found = torch.from_numpy(run(open_file(file, threads=1), batch))
    return bool(torch.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE))


def _traced(network: _Logits, batch: dict[str, Tensor]) -> onnx.ModelProto:
    free = {name: dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for name, axes in _free(batch).items()}
    try:
        with _quietly():
            program = torch.onnx.export(
                network,
                tuple(batch.values()),
                input_names=list(batch),
                output_names=["logits"],
                dynamic_shapes=(tuple(free.values()),),
                dynamo=True,
                verbose=False,
                optimize=False,
            )
    except torch.onnx.OnnxExporterError as error:
        kind = network.network.config.model_type
        raise ExportError(
            f"A {kind} cannot be written as ONNX: {str(error).strip().splitlines()[0]}",
            "Take the Hugging Face folder.",
        ) from error
    assert program is not None
    return program.model_proto


def _save(graph: onnx.ModelProto, file: Path) -> None:
    """Optimized, and without what the exporter notes for its makers: of small models it is most of the file."""
    with _quietly():
        model = optimizer.optimize(graph)
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.graph.metadata_props[:], model.metadata_props[:]
    onnx.save(model, file)


def best_form(network: nn.Module) -> Form:
    """Static for convolutions, whose kernels are slow with activations as they come; dynamic for everything else."""
    return "int8_static" if any(isinstance(module, nn.Conv2d) for module in network.modules()) else "int8"


def write_int8(source: Path, target: Path, inputs: Encoded, form: Form) -> None:
    """The same in int8. `int8`: weights rounded, activations as they come (dynamic). `int8_static`: both, with ranges
    that are measured on rows of `inputs`, drawn by chance."""
    graph = onnx.load(source)
    del graph.graph.value_info[:]  # shapes as the exporter noted them stop the quantizer
    with _quietly():
        if form == "int8_static":
            prepared = target.with_suffix(".prepared")
            onnx.save(graph, prepared)
            reader = _Rows(inputs)
            quantization.quantize_static(
                prepared, target, reader, quant_format=quantization.QuantFormat.QDQ, per_channel=True
            )
            prepared.unlink()
        else:
            quantization.quantize_dynamic(graph, target, weight_type=quantization.QuantType.QInt8)


def compare(model: Model, file: Path, inputs: Encoded, task: Task) -> Agreement:
    """The file's answers beside the model's at all positions of `inputs`, a few rows at a time."""
    session = open_file(file)
    network = model.network.cpu().eval()
    ours, theirs = [], []
    for rows in torch.arange(len(inputs)).split(8):
        batch = inputs.batch(rows)
        with torch.inference_mode():
            ours.append(inputs.positions(network(**batch).logits, rows).logits)
        theirs.append(inputs.positions(torch.from_numpy(run(session, batch)), rows).logits)
    expected, found = torch.cat(ours), torch.cat(theirs)
    same = task.agree(found, expected)
    return Agreement(len(inputs), float(same.float().mean()), float((found - expected).abs().max()))


def open_file(file: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    """A session on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # else whatever is timed beside it is slowed
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, batch: dict[str, Tensor]) -> np.ndarray:
    """The logits (rows, classes) for a model's own batch."""
    found: np.ndarray = session.run(["logits"], {name: tensor.numpy() for name, tensor in batch.items()})[0]
    return found


class OnnxNetwork(nn.Module):
    """An ONNX file that answers as the network it was made from, which lies inside and gives its parameters and
    config."""

    runtime = "ONNX Runtime"

    def __init__(self, file: Path, source: Any) -> None:
        super().__init__()
        self.source = source
        self.config = source.config
        self._file, self._session = file, open_file(file)

    def set_threads(self, count: int) -> None:
        """From now on so many threads carry it out."""
        self._session = open_file(self._file, count)

    def forward(self, **batch: Tensor) -> SimpleNamespace:
        logits = run(self._session, {name: tensor.cpu() for name, tensor in batch.items()})
        return SimpleNamespace(logits=torch.from_numpy(logits).to(next(iter(batch.values())).device))


def in_onnx_runtime(model: Model, inputs: Encoded, folder: Path) -> Model:
    """The same model in float32 as a file in this folder; one that is a file already stays as it is.

    Raises `ExportError` where an operator has no counterpart, or its weights are held in fewer bits.
    """
    if isinstance(model.network, OnnxNetwork):
        return model
    if model.precision != "float32":
        raise ExportError(f"The teacher holds its weights in {model.precision}, a file in float32.", "")
    plain = replace(model, network=constraints.without_rules(model.network))
    write(plain, inputs, folder / "model.onnx")
    return replace(plain, network=OnnxNetwork(folder / "model.onnx", plain.network))


def quantized(model: Model, form: Form, inputs: Encoded, folder: Path) -> Model:
    """The model in int8 as an ONNX file, in a folder with its config and its tokenizer or image processor.

    `inputs` are training rows. Raises `ModelError` where the form does not suit the model.
    """
    if form != best_form(model.network) and form == "int8":
        raise ModelError(
            "int8 with activations as they come is slow for convolutions.",
            "Take the form int8_static for this student.",
        )
    plain = replace(model, network=constraints.without_rules(model.network))
    with files.sealed(folder, ".onnx") as part:
        try:
            write(plain, inputs, part / "float32.onnx")
        except ExportError as error:
            raise ExportError(error.message, "Take the form weights_int8, which needs no ONNX.") from error
        write_int8(part / "float32.onnx", part / "model.onnx", inputs, form)
        (part / "float32.onnx").unlink()
        plain.network.config.save_pretrained(part)
        plain.processor.save_pretrained(part)
    return replace(plain, network=OnnxNetwork(folder / "model.onnx", plain.network), folder=folder)


class _Rows(quantization.CalibrationDataReader):
    """Rows of the data, one batch after the other, as the quantizer asks for them."""

    def __init__(self, inputs: Encoded) -> None:
        generator = torch.Generator().manual_seed(0)
        numbers = torch.randperm(len(inputs), generator=generator)[:CALIBRATION_ROWS]
        self._batches = iter([inputs.batch(rows) for rows in numbers.split(8)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {name: tensor.numpy() for name, tensor in batch.items()}


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter's remarks on optional packages out of the log."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
