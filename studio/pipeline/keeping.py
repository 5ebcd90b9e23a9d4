"""Keeps what the models of a run say of every row once it is known: nobody has to ask them again to explain it."""

import numpy as np
import torch

from studio.distill import transfer_set
from studio.events import KeptAnswers, Role
from studio.home import Home
from studio.kept import answers
from studio.tasks import Encoded, Task
from studio.tasks.encoded_tokens import EncodedTokens
from studio.tasks.positions import PositionLogits


def keep(
    home: Home, run_id: int, task: Task, seed: int | None, role: Role, split: str, logits: PositionLogits, rows: Encoded
) -> KeptAnswers:
    """Write the answers of a role to the rows of a split. `seed`: of which of several it is."""
    found = said(task, logits, rows)
    size = answers.write(home, run_id, role, split, found, seed)
    return KeptAnswers(role=role, split=split, rows=len(rows), bytes=size, seed=seed)


def said(task: Task, logits: PositionLogits, rows: Encoded) -> answers.Answers:
    """The answers to rows as they are kept."""
    targets = task.targets
    if isinstance(rows, EncodedTokens):
        rows = rows.to(torch.device("cpu")).whole_rows()
        logits = logits._replace(offsets=rows.offsets)
    logits = PositionLogits(logits.values.float().cpu(), logits.offsets.cpu(), logits.one_per_row)
    labelled = torch.zeros(len(rows), dtype=torch.bool)
    labelled[transfer_set.labelled(rows, task)] = True
    statistics = targets.statistics(logits, rows)
    return answers.Answers(
        answer=targets.as_labels(logits),
        confidence=targets.confidence(logits).numpy(),
        loss=targets.losses(logits, rows).float().numpy(),
        labelled=labelled.numpy(),
        right=targets.solved(statistics) if len(statistics) else np.zeros(0, dtype=bool),
        statistics=statistics,
        logits=logits.values.numpy(),
        offsets=None if logits.one_per_row else logits.offsets.numpy(),
    )
