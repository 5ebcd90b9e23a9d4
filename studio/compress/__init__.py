"""What makes a model smaller: one module a kind of step, and what it takes to carry out any of them."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio.compress.low_rank import factorize
from studio.compress.quantized import quantize_weights, round_while_learning
from studio.compress.sample import ROWS, Sample, draw
from studio.compress.sparse import sparsify
from studio.compress.structured import prune
from studio.config.plan import ONNX_FORMS, Distill, Factorize, Prune, Quantize, RoundWhileLearning, Sparsify
from studio.home import PASSING
from studio.models import onnx
from studio.models.model import Model

__all__ = ["ROWS", "Sample", "carry_out", "draw", "prune", "rehearse"]


def carry_out(step: Any, model: Model, sample: Sample, folder: Path) -> Model:
    """A smaller copy of `model`; what becomes an ONNX file is written to `folder`.

    Raises `ModelError` or `ExportError` where the step cannot work on this model, with the nearest value that can.
    """
    match step:
        case Prune():
            return prune(model, step, sample)
        case Sparsify():
            return sparsify(model, step)
        case Factorize():
            return factorize(model, step, sample)
        case RoundWhileLearning():
            return round_while_learning(model, step.form)
        case Quantize() if step.form in ONNX_FORMS:
            return onnx.quantized(model, step.form, sample.inputs, folder)
        case Quantize():
            return quantize_weights(model, step.form)
    raise ValueError(f"{step!r} does not make a model smaller")


def rehearse(steps: Sequence[Any], model: Model, sample: Sample) -> Model:
    """The model after all steps, without learning anything: what cannot work is told before a run begins."""
    with tempfile.TemporaryDirectory(prefix=PASSING) as folder:
        for step in steps:
            if not isinstance(step, Distill):
                model = carry_out(step, model, sample, Path(folder) / "rehearsal")
    return model
