"""NVIDIA's GPUs of this machine, as their driver tells of them: the pages' process never opens torch."""

import pynvml
from pydantic import BaseModel, ConfigDict


class Gpu(BaseModel):
    """Memory in bytes; `percent` of the last moments in which it worked, None where the driver does not tell."""

    model_config = ConfigDict(frozen=True)

    name: str
    memory_bytes: int
    used_bytes: int
    percent: float | None


def found() -> list[Gpu]:
    """All of them, in the driver's order; none where there is no driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_read(pynvml.nvmlDeviceGetHandleByIndex(number)) for number in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()


def _read(handle: object) -> Gpu:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    try:
        percent = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    except pynvml.NVMLError_NotSupported:
        percent = None  # as with a GPU that is cut into parts
    name = pynvml.nvmlDeviceGetName(handle)
    return Gpu(name=name, memory_bytes=int(memory.total), used_bytes=int(memory.used), percent=percent)
