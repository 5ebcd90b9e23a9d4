"""The processes that train one model together, each on a device of its own and with its share of every batch.

The sum over their shares is what one process would compute from the whole batch, except for losses that weigh tokens
rather than rows, or compare examples with each other: those see one share at a time.

What starts them sets the environment as `torchrun` does (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT);
accelerate reads it, joins the process group and chooses its backend: NCCL between GPUs, gloo between processors.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn

from studio.errors import WorkerError
from studio.home import SHARED_HOME

CPU = torch.device("cpu")
MEETING = "STUDIO_MEETING"
"""The variable with the descriptor of the socket at which the first of the processes of a machine awaits the others."""

PATIENCE = timedelta(hours=1)
"""How long processes wait for each other: the first one does some things alone."""


@dataclass(frozen=True)
class ProcessGroup:
    """The place of this process among `size`; where it is alone nothing is exchanged.

    `rank` counts over all machines; `device` is what it exchanges tensors on. `writes`: it keeps the models that come
    about; of processes that share a home the first one does.
    """

    size: int = 1
    rank: int = 0
    writes: bool = True
    device: torch.device = CPU

    @property
    def is_first(self) -> bool:
        """The first process speaks for all: its events are heard, and its checkpoints are read."""
        return self.rank == 0

    def share(self, rows: Tensor) -> tuple[Tensor, float]:
        """This process's part of a batch (rows,), and what share of the batch it is.

        Where there are fewer rows than processes some get a row that counts nothing: all need gradients to exchange.

        >>> ProcessGroup(size=2, rank=1).share(torch.arange(5))
        (tensor([3, 4]), 0.4)
        >>> ProcessGroup(size=2, rank=1).share(torch.arange(1))
        (tensor([0]), 0.0)
        """
        mine = rows.tensor_split(self.size)[self.rank]
        return (mine, len(mine) / len(rows)) if len(mine) else (rows[:1], 0.0)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all processes in the place of each tensor; they are the same everywhere afterwards."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.detach().reshape(-1).to(self.device, torch.float32) for tensor in tensors])
        torch.distributed.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.detach().copy_(total.view_as(tensor))

    def all_agree(self, yes: bool) -> bool:
        """Whether every process says yes."""
        votes = torch.tensor(float(yes))
        self.add_up([votes])
        return int(votes) == self.size

    def start_alike(self, modules: Iterable[nn.Module]) -> None:
        """Give every process the weights of the first one. Raises `WorkerError` where the models differ in size."""
        if self.size == 1:
            return
        tensors = [tensor for module in modules for tensor in module.state_dict().values()]
        count = torch.tensor(float(sum(tensor.numel() for tensor in tensors)))
        total = count.clone()
        self.add_up([total])
        if total != count * self.size:
            raise WorkerError(
                f"The processes of this run hold models of different sizes; this one has {int(count):,} numbers.",
                "Use the same files and library versions on every machine, or one device.",
            )
        for tensor in tensors:
            here = tensor.detach().to(self.device)
            torch.distributed.broadcast(here, 0)
            tensor.detach().copy_(here)

    def seed(self, seed: int, step: int) -> None:
        """Where there are several: chance of its own for each process and step, the same when the step is repeated."""
        if self.size > 1:
            torch.manual_seed(((seed * 1_000_003 + step) * 1_009 + self.rank) % 2**63)

    def wait(self) -> None:
        """Until every process is here."""
        self.all_agree(True)

    def disband(self) -> None:
        """The others have done their part: from here on the first process goes on alone."""
        if self.size > 1:
            self.wait()
            torch.distributed.destroy_process_group()


ALONE = ProcessGroup()


def _met() -> dict[str, Any]:
    """By what the processes find each other that were started on one machine, without a port that a network reaches;
    nothing where others have started them, or they have met."""
    if MEETING not in os.environ or torch.distributed.is_initialized():
        return {}
    size, rank = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
    socket = int(os.environ[MEETING]) if rank == 0 else None
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = torch.distributed.TCPStore(host, port, size, rank == 0, PATIENCE, master_listen_fd=socket)
    return {"store": store, "rank": rank, "world_size": size}


def joined(on_cpu: bool) -> ProcessGroup:
    """The group that this process was started in; `ALONE` where it was started by itself."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    from accelerate import PartialState  # only for runs on several devices

    state = PartialState(cpu=on_cpu, timeout=PATIENCE, **_met())
    if state.num_processes != int(os.environ["WORLD_SIZE"]):
        raise WorkerError(
            f"The {os.environ['WORLD_SIZE']} processes of this run did not find each other.", "Run it on one device."
        )
    writes = state.is_main_process or SHARED_HOME not in os.environ
    return ProcessGroup(state.num_processes, state.process_index, writes, state.device)
