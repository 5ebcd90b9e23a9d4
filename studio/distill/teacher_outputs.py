"""The teacher's outputs: computed once over the transfer set, kept on disk, read by every later run."""

import hashlib
import json
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from torch import Tensor

from studio.events import Progress
from studio.machine.devices import Device
from studio.models.model import Model
from studio.tasks import Encoded
from studio.tasks.positions import PositionLogits

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
    tensors = {name: value for name, value in vars(inputs).items() if isinstance(value, Tensor) and name != "labels"}
    for name, tensor in sorted((model.network.state_dict() | tensors).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
    return digest.hexdigest()[:32]


def logits(
    model: Model, inputs: Encoded, device: Device, tell: Callable[[int], Progress]
) -> Generator[Progress, None, PositionLogits]:
    """All rows through the model in evaluation mode; returns (rows, classes) in float32 on the CPU.

    Yields what `tell` makes of the number of rows done. Where several processes train together each takes its share
    of the batches, and all get all answers.

    The order of the result is the order of `inputs`, whatever order they were batched in. The model is left in the
    mode that it came in.
    """
    network = model.network
    was_training = network.training
    network.eval()
    order = torch.argsort(inputs.lengths.cpu(), stable=True)
    group = device.group
    result = torch.zeros(len(inputs), model.network.config.num_labels)
    for start in range(group.rank * BATCH, len(order), group.size * BATCH):
        rows = order[start : start + BATCH]
        with torch.inference_mode(), device.autocast():
            result[rows] = network(**inputs.batch(rows.to(device.torch_device))).logits.float().cpu()
        yield tell(start + len(rows))
    group.add_up([result])
    network.train(was_training)
    return PositionLogits.per_row(result)


def record(
    model: Model, inputs: Encoded, device: Device, folder: Path, tell: Callable[[int], Progress]
) -> Generator[Progress, None, Tensor]:
    """The teacher's logits over the transfer set, from `folder` when they are there, else computed and put there.

    `folder` is named after `fingerprint`. Returns a memory-mapped tensor (rows, classes).
    """
    file = folder / "logits.npy"
    if not device.group.all_agree(file.exists()):
        computed = yield from logits(model, inputs.to(device.torch_device), device, tell)
        if device.group.writes and not file.exists():
            _write(folder, computed.values)
        device.group.wait()
    yield tell(len(inputs))
    return torch.from_numpy(np.load(file, mmap_mode="c", allow_pickle=False))


def _write(folder: Path, outputs: Tensor) -> None:
    """In one move: another run that needs the same outputs sees all of them or none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(mkdtemp(prefix="part-", dir=folder.parent))
    np.save(part / "logits.npy", outputs.numpy())
    try:
        part.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(part)  # another run was first, with the same numbers
