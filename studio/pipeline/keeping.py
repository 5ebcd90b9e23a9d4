"""Keeps what the models of a run say of every row once it is known: nobody has to ask them again to explain it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from studio.config.run import RunConfig
from studio.distill import transfer_set
from studio.events import KeptAnswers, Role
from studio.home import Home
from studio.kept import answers
from studio.tasks import Encoded, Task
from studio.tasks.encoded_tokens import EncodedTokens
from studio.tasks.positions import PositionLogits


@dataclass
class Keeping:
    """Writes answers below `home.kept(run_id)`, one role and split after the other. `exported`: which of several seeds
    is kept. The teacher's answers are remembered until the student's come: together they are the ensemble; not where of
    each answer a few numbers alone are there, as of a model that writes."""

    home: Home
    run_id: int
    task: Task
    config: RunConfig
    exported: int = 0
    _teacher: dict[str, PositionLogits] = field(default_factory=dict)

    def __call__(self, role: Role, split: str, logits: PositionLogits, rows: Encoded) -> Iterator[KeptAnswers]:
        """Write the answers of a role to the rows of a split."""
        of_seeds = role in ("student", "control", "smoothed") and self.config.seeds > 1
        seed = self.config.seed + self.exported if of_seeds else None
        size = answers.write(self.home, self.run_id, role, split, said(self.task, logits, rows), seed)
        yield KeptAnswers(role=role, split=split, rows=len(rows), bytes=size, seed=seed)
        if role == "teacher" and self.task.kind != "token":
            self._teacher[split] = logits
        elif role == "student" and split in self._teacher:
            both = transfer_set.fuse([self._teacher.pop(split), logits], "average", self.task)
            answers.write(self.home, self.run_id, answers.ENSEMBLE, split, said(self.task, both, rows), seed)


def said(task: Task, logits: PositionLogits, rows: Encoded) -> answers.Answers:
    """The answers to rows as they are kept."""
    targets = task.targets
    if isinstance(rows, EncodedTokens):
        rows = rows.to(torch.device("cpu")).whole_rows()
        logits = logits._replace(offsets=rows.offsets)
    logits = PositionLogits(logits.values.float().cpu(), logits.offsets.cpu(), logits.one_per_row)
    labelled = torch.full((len(rows),), task.kind == "token")  # there a row is its own label
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
