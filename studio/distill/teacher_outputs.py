"""The teacher's outputs: computed once over the transfer set, kept on disk, read by every later run."""

import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from studio import files
from studio.distill import top_answers
from studio.distill.top_answers import How, TopAnswers
from studio.events import Log, Progress
from studio.machine import memory
from studio.machine.devices import Device
from studio.models import features
from studio.models.model import Model
from studio.tasks import Encoded
from studio.tasks.positions import PositionLogits, Positions, is_one_per_row, places_of

BATCH = 256
"""Rows a forward pass without gradients takes at once; long texts are sorted, so that padding stays small."""

NOT_ARCHITECTURE = ("_name_or_path", "architectures", "dtype", "transformers_version")
"""What a config says of where and how it was saved."""


def fingerprint(model: Model, inputs: Encoded, dtype: torch.dtype = torch.float32) -> str:
    """What the outputs depend on: weights, architecture, number format, and the rows as the model reads them, in
    their order."""
    digest = hashlib.sha256(str(dtype).encode())
    config = {key: value for key, value in model.network.config.to_dict().items() if key not in NOT_ARCHITECTURE}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    for name, tensor in sorted((model.network.state_dict() | read_tensors(inputs)).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:32]


def read_tensors(inputs: object) -> dict[str, Tensor]:
    """Every tensor of encoded rows by its name, those of what they are made of among them; labels are not read."""
    return dict(_read_tensors(inputs, ""))


def _read_tensors(inputs: object, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in vars(inputs).items():
        if name == "labels":
            continue
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif hasattr(value, "batch"):
            yield from _read_tensors(value, f"{prefix}{name}.")


def logits(
    model: Model, inputs: Encoded, device: Device, tell: Callable[[int], Progress]
) -> Generator[Progress, None, PositionLogits]:
    """All rows through the model in evaluation mode; returns what is told of all positions in float32 on the CPU: their
    logits, or, where those are too many, what the measures read of them (`Encoded.told`).

    Yields what `tell` makes of the number of rows done. Where several processes train together each takes its share
    of the batches, and all get all answers.

    The order of the result is the order of `inputs`, whatever order they were batched in. The model is left in the
    mode that it came in.
    """
    return (yield from _over_rows(model, inputs, device, tell, inputs.told))


Read = Callable[[Positions], Tensor]


def whole_logits(positions: Positions) -> Tensor:
    """All that a network says at these positions."""
    return positions.logits


def _over_rows(
    model: Model, inputs: Encoded, device: Device, tell: Callable[[int], Progress], read: Read
) -> Generator[Progress, None, PositionLogits]:
    network = model.network.to(device.torch_device)
    was_training = network.training
    network.eval()
    order = torch.argsort(inputs.lengths.cpu(), stable=True)
    batch = max(1, BATCH // device.parts)
    offsets = inputs.offsets.cpu()
    one_per_row, group = is_one_per_row(offsets), device.group
    result: Tensor | None = None
    for start in range(group.rank * batch, len(order), group.size * batch):
        rows = order[start : start + batch]
        found = _answered_in_parts(network, inputs, rows, device, read)
        result = torch.zeros(int(offsets[-1]), found.shape[-1]) if result is None else result
        result[rows if one_per_row else places_of(rows, offsets)] = found
        yield tell(start + len(rows))
    if result is None:  # other processes have taken all batches: how wide an answer is one row tells
        result = torch.zeros(int(offsets[-1]), _answered(network, inputs, order[:1], device, read).shape[-1])
    group.add_up([result])
    network.train(was_training)
    return PositionLogits(result, offsets, one_per_row)


def _answered_in_parts(network: Any, inputs: Encoded, rows: Tensor, device: Device, read: Read) -> Tensor:
    """As `_answered`, in as many parts as memory asks for."""
    try:
        return _answered(network, inputs, rows, device, read)
    except (RuntimeError, MemoryError) as error:
        if not memory.ran_out(error) or len(rows) == 1:
            raise
    return torch.cat([_answered_in_parts(network, inputs, half, device, read) for half in rows.tensor_split(2)])


def _answered(network: Any, inputs: Encoded, rows: Tensor, device: Device, read: Read) -> Tensor:
    """What is read of all positions of these rows, NaN where the network did not see one, in float32 on the CPU.

    Where that can be NaN says nothing else: an answer that is not a number becomes infinite.
    """
    here = rows.to(device.torch_device)
    with torch.inference_mode(), device.autocast():
        raw = network(**features.asked(network, inputs, here)).logits.float()
        positions = inputs.positions(raw, here)
        if positions.weight is None:
            return read(positions).cpu()
        found = read(positions).nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
        return found.masked_fill(positions.weight.unsqueeze(-1) == 0, torch.nan).cpu()


def are_numbers(logits: PositionLogits) -> bool:
    """Whether every answer is finite; NaN where a position was not seen is none.

    >>> words = PositionLogits(torch.tensor([[1.0], [torch.nan], [2.0]]), torch.tensor([0, 2, 3]))
    >>> are_numbers(words), are_numbers(PositionLogits.per_row(words.values))
    (True, False)
    """
    if logits.one_per_row:
        return bool(logits.values.isfinite().all())
    return not bool(logits.values.isinf().any())


def record(
    model: Model, inputs: Encoded, device: Device, folder: Path, tell: Callable[[int], Progress], found: str
) -> Generator[Progress | Log, None, PositionLogits]:
    """The teacher's logits over the transfer set, from `folder` when they are there, else computed and put there.

    `folder` is named after `fingerprint`; `found` is said where they are read from it. What is damaged is computed
    anew. The values (positions, classes) are memory-mapped.
    """
    config = model.network.config
    widths = config.num_labels, getattr(config, "vocab_size", None)
    return (yield from _record(model, inputs, device, folder, tell, found, (whole_logits, widths)))


def record_told(
    model: Model, inputs: Encoded, device: Device, folder: Path, tell: Callable[[int], Progress], found: str, width: int
) -> Generator[Progress | Log, None, PositionLogits]:
    """As `record`, of each answer what the measures read of it: so many numbers."""
    return (yield from _record(model, inputs, device, folder, tell, found, (inputs.told, (width,))))


def _record(
    model: Model, inputs: Encoded, device: Device, folder: Path, tell: Callable[[int], Progress], found: str,
    what: tuple[Read, Sequence[int | None]],
) -> Generator[Progress | Log, None, PositionLogits]:  # fmt: skip
    """`what`: how an answer is read, and how many numbers that can be."""
    read, widths = what
    damage = _damage(folder, inputs, widths) if _are_kept(folder) else None

    def compute(is_kept: bool) -> Generator[Progress | Log, None, None]:
        computed = yield from _over_rows(model, inputs.to(device.torch_device), device, tell, read)
        if is_kept:
            _write(folder, computed)

    yield from _from_disk_or(compute, folder, damage, device, found)
    yield tell(len(inputs))
    values = np.load(folder / LOGITS, mmap_mode="c", allow_pickle=False)
    return PositionLogits.arranged(torch.from_numpy(values), inputs.offsets.cpu())


def record_top(
    model: Model, inputs: Encoded, device: Device, folder: Path, how: How, tell: Callable[[int], Progress], found: str
) -> Generator[Progress | Log, None, TopAnswers]:
    """As `record`, of each answer some tokens alone, as `how` says."""
    damage = top_answers.damage(folder, int(inputs.offsets[-1])) if _are_kept(folder) else None

    def compute(is_kept: bool) -> Generator[Progress | Log, None, None]:
        if is_kept:
            yield from top_answers.compute(model, inputs.to(device.torch_device), device, folder, how, tell)

    yield from _from_disk_or(compute, folder, damage, device, found)
    yield tell(len(inputs))
    return top_answers.read(folder, inputs.offsets)


def _are_kept(folder: Path) -> bool:
    """Whether there are answers; they count as read from now on, so that nobody tidies them away meanwhile."""
    try:
        os.utime(folder)
    except FileNotFoundError:
        return False
    return True


def _from_disk_or(
    compute: Callable[[bool], Generator[Progress | Log, None, None]],
    folder: Path,
    damage: str | None,
    device: Device,
    found: str,
) -> Generator[Progress | Log, None, None]:
    """Say `found` where every process has whole answers in `folder`; else `compute`, which is told whether to write."""
    is_there = folder.exists() and damage is None
    if damage is not None:
        yield Log(level="warning", message=f"The teacher's answers on disk are damaged: {damage}. They are made anew.")
    if device.group.all_agree(is_there):
        yield Log(message=found)
        os.utime(folder)  # what is read stays longest
    else:
        yield from compute(device.group.writes and not is_there)
        device.group.wait()


LOGITS = "logits.npy"


def _damage(folder: Path, inputs: Encoded, widths: Sequence[int | None]) -> str | None:
    """Why what is on disk cannot be these outputs; None where it can."""
    damage = files.damage(folder)
    if damage is not None:
        return damage
    try:
        shape = np.load(folder / LOGITS, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError, EOFError) as error:
        return f"{LOGITS} cannot be read ({error})"
    positions = int(inputs.offsets[-1])
    if len(shape) == 2 and shape[0] == positions and shape[1] in widths:
        return None
    return f"{LOGITS} holds {shape} numbers in place of {(positions, widths[0])}"


def _write(folder: Path, outputs: PositionLogits) -> None:
    """Whole or not at all: another run that needs the same outputs sees all of them or none."""
    with files.sealed(folder) as part:
        np.save(part / LOGITS, outputs.values.numpy())
        if not outputs.one_per_row:
            np.save(part / "offsets.npy", outputs.offsets.numpy())
