"""Whether there is room for what a run is about to do: asked before, since a machine that runs out kills processes."""

import sys

import psutil
import torch

from studio.config.run import Optimizer
from studio.errors import DeviceError
from studio.machine import cgroups

COPIES = 2
"""Beside its weights a model that learns has gradients, and its best state so far."""

MOMENTS = 2
"""Of AdamW, for each weight."""

BYTES = 4
"""Of a number in float32, in which weights are kept whatever the precision of the forward pass."""


def of_learning(parameters: int, optimizer: Optimizer = "adamw") -> int:
    """Bytes that a model of so many parameters takes while it learns, beside its weights.

    >>> of_learning(1_000_000), of_learning(1_000_000, "adamw_8bit")
    (16000000, 10000000)
    """
    return (COPIES * BYTES + MOMENTS * (1 if optimizer == "adamw_8bit" else BYTES)) * parameters


def held_bytes() -> int:
    """Resident memory of this process."""
    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """The most that this process has held so far; where the system does not tell, what it holds now."""
    if sys.platform == "win32":
        return held_bytes()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_bytes(device: torch.device) -> int:
    """What a process can still take: of the GPU, or of the machine and of the container that it may be in."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min([psutil.virtual_memory().available, *cgroups.left()])


def ran_out(error: BaseException) -> bool:
    """Whether it says that memory ran out: torch has a class of its own for a GPU's, and only words for the
    machine's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)


_NO_MEMORY = ("can't allocate memory", "not enough memory")


def require(needed: int, device: torch.device, what: str, held: int = 0) -> None:
    """Raise `DeviceError` where there is less than `needed` bytes for `what`, a sentence's beginning.

    `held` will be free again by then.
    """
    free = free_bytes(device) + held
    if needed > free:
        kind = "GPU has" if device.type == "cuda" else "machine has"
        raise DeviceError(
            f"{what} takes at least {needed / 1e9:.1f} GB of memory, and the {kind} {free / 1e9:.1f} GB left.",
            "Choose smaller models, a smaller batch size, maximum length or data set, or end what else runs there.",
        )
