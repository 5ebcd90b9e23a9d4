"""NVIDIA's GPUs of this machine, as their driver describes them: the pages' process never opens torch."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pynvml
from pydantic import BaseModel, ConfigDict


class Gpu(BaseModel):
    """Memory in bytes; `percent` of the last moments in which it worked. None is what the driver does not report, as of
    a GPU that is cut into parts."""

    model_config = ConfigDict(frozen=True)

    name: str
    memory_bytes: int | None
    used_bytes: int | None
    percent: float | None


@functools.cache
def names() -> tuple[str, ...]:
    """Of all of them, in the driver's order; none where there is no driver."""
    with _handles() as handles:
        return tuple(_asked(pynvml.nvmlDeviceGetName, handle) or "GPU" for handle in handles)


def found() -> list[Gpu]:
    """What each does at this moment."""
    with _handles() as handles:
        return [_read(handle) for handle in handles]


@contextlib.contextmanager
def _handles() -> Iterator[list[Any]]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield []
        return
    try:
        yield [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()


def _read(handle: Any) -> Gpu:
    memory = _asked(pynvml.nvmlDeviceGetMemoryInfo, handle)
    rates = _asked(pynvml.nvmlDeviceGetUtilizationRates, handle)
    return Gpu(
        name=_asked(pynvml.nvmlDeviceGetName, handle) or "GPU",
        memory_bytes=None if memory is None else int(memory.total),
        used_bytes=None if memory is None else int(memory.used),
        percent=None if rates is None else float(rates.gpu),
    )


def _asked(question: Callable[[Any], Any], handle: Any) -> Any:
    """The driver's answer, None where it gives none."""
    try:
        return question(handle)
    except pynvml.NVMLError:
        return None
