"""How fast a model is: forward passes on the clock, all roles in turn."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from studio.events import Evaluation, Role, TrainedRole
from studio.machine.devices import Device
from studio.models.model import Model
from studio.tasks import Encoded

WARM_UP, PASSES, FEWEST_PASSES = 5, 45, 5
BOOTSTRAP = 2_000
TORCH = "PyTorch"
CALL_SECONDS = 1.0
TIMING_SECONDS = 2.5
"""How long the clock runs for one batch size, all models together."""


ROWS: tuple[tuple[int, str], ...] = ((1, "latency"), (32, "latency_32"))


def latencies(roles: dict[TrainedRole, list[tuple[Model, Encoded]]], device: Device) -> list[Evaluation]:
    """Milliseconds of a forward pass through all models of a role: median and 95th percentile, one row at a time
    (`latency_ms`, `latency_p95_ms`) and 32 together (`latency_32_ms`, `latency_32_p95_ms`); and how many times as long
    as the student each other role takes, where both run in the same runtime (`latency_ratio`, `latency_32_ratio`).
    On a processor with several cores then all of it on one thread (`one_thread_latency_ms` …).

    The roles take turns, so that all see the same machine; the first passes do not count. What is slow is timed less
    often, at least 5 times.
    """
    found = _all_rows(roles, device)
    if has_more_threads(device):
        with one_thread([model for pairs in roles.values() for model, _ in pairs]):
            found += [on_one_thread(result) for result in _all_rows(roles, device)]
    return found


def has_more_threads(device: Device) -> bool:
    return device.torch_device.type == "cpu" and torch.get_num_threads() > 1


@contextlib.contextmanager
def one_thread(models: Sequence[Model] = ()) -> Iterator[None]:
    """One thread of the processor for torch, these models in ONNX Runtime and scikit-learn; then as before."""
    before = torch.get_num_threads()
    with threadpool_limits(1):
        _set_threads(models, 1)
        try:
            yield
        finally:
            _set_threads(models, before)


def _set_threads(models: Sequence[Model], count: int) -> None:
    torch.set_num_threads(count)
    for model in models:
        if hasattr(model.network, "set_threads"):
            model.network.set_threads(count)


def in_onnx_runtime(result: Evaluation) -> Evaluation:
    return result.model_copy(update={"metric": f"onnx_{result.metric}"})


def on_one_thread(result: Evaluation) -> Evaluation:
    return result.model_copy(update={"metric": f"one_thread_{result.metric}"})


def _all_rows(roles: dict[TrainedRole, list[tuple[Model, Encoded]]], device: Device) -> list[Evaluation]:
    """With as many threads as there are now."""
    found = []
    runtimes = {role: " and ".join(sorted({runtime(model) for model, _ in pairs})) for role, pairs in roles.items()}
    for rows, name in ROWS:
        seconds = _in_turns(roles, rows, device)
        for role, taken in seconds.items():
            found += _told(role, name, taken, runtimes[role])
            if role != "student" and runtimes[role] == runtimes.get("student"):
                found.append(_ratio(role, name, taken, seconds["student"], runtimes[role]))
    where = {"threads": torch.get_num_threads() if device.torch_device.type == "cpu" else None}
    return [result.model_copy(update=where | {"device": device.hardware}) for result in found]


def runtime(model: Model) -> str:
    """What carries out its forward pass; with weights of fewer bits it is another one."""
    name = str(getattr(model.network, "runtime", TORCH))
    return name if model.precision == "float32" else f"{name}, {model.precision}"


def _ratio(role: Role, name: str, taken: Sequence[float], student: Sequence[float], runtime: str) -> Evaluation:
    """The ratio of two medians, with the 95 % interval of a bootstrap that draws whole turns anew (Efron, 1979)."""
    turns = np.array([taken, student])
    drawn = np.random.default_rng(0).integers(0, turns.shape[1], (BOOTSTRAP, turns.shape[1]))
    medians = np.median(turns[:, drawn], axis=2)
    low, high = np.quantile(medians[0] / medians[1], [0.025, 0.975])
    value = float(np.median(turns[0]) / np.median(turns[1]))
    return Evaluation(
        role=role,
        split="",
        metric=f"{name}_ratio",
        value=value,
        low=float(low),
        high=float(high),
        n=turns.shape[1],
        runtime=runtime,
    )


def of_calls(role: Role, answer: Callable[[Sequence[int]], object], rows: int) -> list[Evaluation]:
    """The same of something that is no network: `answer` gets the numbers of the rows, of which there are `rows`."""
    found = []
    for count, name in ROWS:
        seconds: list[float] = []
        begun = time.perf_counter()
        while len(seconds) < PASSES and (len(seconds) <= FEWEST_PASSES or time.perf_counter() - begun < CALL_SECONDS):
            numbers = [(len(seconds) * count + place) % rows for place in range(count)]
            start = time.perf_counter()
            answer(numbers)
            seconds.append(time.perf_counter() - start)
        found += _told(role, name, _warm(seconds), "scikit-learn")
    return [result.model_copy(update={"threads": torch.get_num_threads()}) for result in found]


def _told(role: Role, name: str, seconds: Sequence[float], runtime: str) -> list[Evaluation]:
    """Median and 95th percentile of some passes."""
    n, found = len(seconds), []
    for metric, share in ((f"{name}_ms", 0.5), (f"{name}_p95_ms", 0.95)):
        value = 1000 * float(np.quantile(seconds, share))
        found.append(Evaluation(role=role, split="", metric=metric, value=value, n=n, runtime=runtime))
    return found


def latency(members: Sequence[tuple[Model, Encoded]], device: Device) -> float:
    """Milliseconds of one row through all models: the median of some passes. For numbers that are compared closely take
    `latencies`, which measures in turns."""
    return 1000 * float(np.median(_in_turns({"student": list(members)}, 1, device)["student"]))


def _in_turns(
    roles: dict[TrainedRole, list[tuple[Model, Encoded]]], rows: int, device: Device
) -> dict[TrainedRole, list[float]]:
    """The seconds of each pass with so many rows."""
    seconds: dict[TrainedRole, list[float]] = {role: [] for role in roles}
    begun = time.perf_counter()
    for turn in range(PASSES):
        for role, members in roles.items():
            numbers = torch.arange(turn * rows, (turn + 1) * rows, device=device.torch_device) % len(members[0][1])
            seconds[role].append(sum(_one_pass(model, inputs, numbers, device) for model, inputs in members))
        if turn >= FEWEST_PASSES and time.perf_counter() - begun > TIMING_SECONDS:
            break
    return {role: _warm(taken) for role, taken in seconds.items()}


def _warm(seconds: list[float]) -> list[float]:
    """The passes after the first ones, which also fill caches and choose kernels."""
    return seconds[min(WARM_UP, len(seconds) - FEWEST_PASSES) :]


def _one_pass(model: Model, inputs: Encoded, rows: torch.Tensor, device: Device) -> float:
    batch = inputs.batch(rows)
    model.network.eval()
    with torch.inference_mode(), device.autocast():
        start = time.perf_counter()
        model.network(**batch)
        if device.torch_device.type == "cuda":
            torch.cuda.synchronize(device.torch_device)
        return time.perf_counter() - start
