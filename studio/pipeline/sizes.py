"""How large and how fast models are for a data set, in a process of its own: nothing is trained."""

import math
import sys
import time
from collections.abc import Iterator

import torch

from studio import tasks
from studio.config.references import ModelReference
from studio.config.run import RunConfig
from studio.data.folder import DataSet, drawn, load
from studio.errors import ModelError
from studio.events import result_of
from studio.machine import devices
from studio.machine.devices import Device
from studio.models import hub, opening
from studio.models.layers import cut_layers
from studio.models.model import Model, Problem, parameters, quiet
from studio.pipeline.answers import Sizes
from studio.pipeline.job import Job, respond

SAMPLE_ROWS = 2_000
"""The same rows as the estimate's, from which tokenizers are learned."""
PASSES, TIMING_SECONDS = 12, 0.5
"""So many rows are timed one by one, or fewer where they take longer than this."""


def measure(job: Job) -> Sizes:
    """Build every model that the task brings, open the teacher that is asked for, count and time them."""
    quiet()
    dataset = load(job.dataset)
    config = tasks.resolved(job.config, tasks.get(dataset.task, dataset.multi_label), len(dataset.labels))
    device = devices.pick(config)
    sample = drawn(dataset.dict["train"], SAMPLE_ROWS)
    problem = Problem(dataset.task, dataset.labels, sample, config.max_length, dataset.multi_label)
    counts, times = {}, {}
    for name, model in _models(job, config, problem):
        counts[name], times[name] = parameters(model.network), _milliseconds(model, problem, dataset, device)
    return Sizes(parameters=counts, milliseconds=times)


def _models(job: Job, config: RunConfig, problem: Problem) -> Iterator[tuple[str, Model]]:
    """The built-in models by name; a teacher that is there by its reference, and what can be cut from it."""
    for name in problem.task.builtins:
        yield name, opening.build(name, problem)
    wanted = ModelReference.parse(config.teacher)
    if wanted.source == "builtin" or (wanted.source == "hub" and not hub.is_here(wanted.name)):
        return
    teacher = result_of(opening.load(config.teacher, problem, job.home))
    yield config.teacher, teacher
    layers = getattr(teacher.network.config, "num_hidden_layers", None) or 0
    for kept in sorted({2 * layers // 3, layers // 2, layers // 3, 1} - {0, layers}, reverse=True):
        try:
            yield str(ModelReference.cut(kept)), cut_layers(teacher, kept)
        except ModelError:
            return  # a network that is no stack of layers: it is no choice


def _milliseconds(model: Model, problem: Problem, dataset: DataSet, device: Device) -> float:
    """What one row takes: the fastest of some passes, since other work on the machine only makes them slower."""
    few = drawn(dataset.dict["train"], PASSES)
    inputs = problem.task.encode(few, model.processor, model.network.config, problem.max_length)
    inputs, network = inputs.to(device.torch_device), model.network.to(device.torch_device).eval()
    fastest, begun = math.inf, time.perf_counter()
    for turn in range(PASSES):
        row = inputs.batch(torch.tensor([turn % len(inputs)], device=device.torch_device))
        start = time.perf_counter()
        with torch.inference_mode(), device.autocast():
            network(**row).logits.flatten()[0].item()  # reading a number waits for the device
        fastest = min(fastest, time.perf_counter() - start)
        if time.perf_counter() - begun > TIMING_SECONDS and turn:
            break
    return 1000 * fastest


if __name__ == "__main__":
    sys.exit(respond(measure))
