"""How long a model learns where the settings leave it open: in steps, from the number of rows and what it knows."""

import math
from dataclasses import dataclass

from studio import tasks
from studio.config.references import ModelReference
from studio.config.run import RunConfig

USUAL_BATCH = 32
"""The batch size that the steps below are counted in."""


@dataclass(frozen=True)
class Budget:
    """So many `epochs`, but at least so many steps where rows are few, and above `enough` steps only as many as
    `least_epochs` ask for. No row is seen more than `most_epochs` times.

    What makes a model good is how often it is corrected: few rows are therefore seen more often (Mosbach et al., 2021;
    Beyer et al., 2022), and the weights that do best on validation rows are the ones that are kept.
    """

    epochs: int
    least: int
    enough: int
    least_epochs: int
    most_epochs: int = 100

    def steps(self, rows: int, batch_size: int) -> int:
        """How many corrections of weights for so many rows.

        >>> budget = Budget(epochs=10, least=2_000, enough=6_000, least_epochs=3)
        >>> [budget.steps(rows, batch_size=32) for rows in (0, 60, 900, 9_000, 32_000, 320_000)]
        [0, 200, 2000, 2820, 6000, 30000]
        """
        an_epoch = math.ceil(rows / batch_size)
        larger = min(1.0, math.sqrt(USUAL_BATCH / batch_size))  # a step of a large batch does more
        steps = max(self.least * larger, min(self.epochs * an_epoch, self.enough * larger))
        return min(max(round(steps), self.least_epochs * an_epoch), self.most_epochs * an_epoch)


UNTRAINED = Budget(epochs=10, least=2_000, enough=6_000, least_epochs=3)
PRETRAINED = Budget(epochs=4, least=600, enough=6_000, least_epochs=2)
UNTRAINED_WRITER = Budget(epochs=2, least=1_500, enough=50_000, least_epochs=1, most_epochs=20)
PRETRAINED_WRITER = Budget(epochs=1, least=400, enough=50_000, least_epochs=1, most_epochs=10)
"""A row of text has a label at every token: few epochs are many labels."""


def length(config: RunConfig, epochs: int | None, rows: int, reference: str) -> tuple[int, int]:
    """Steps and epochs of a model's learning: `epochs` to the letter, where they are set."""
    an_epoch = math.ceil(rows / config.batch_size)
    if epochs is not None:
        return epochs * an_epoch, epochs
    is_untrained = _is_untrained(config, reference)
    if config.task is not None and tasks.get(config.task).kind == "token":
        budget = UNTRAINED_WRITER if is_untrained else PRETRAINED_WRITER
    else:
        budget = UNTRAINED if is_untrained else PRETRAINED
    steps = round(budget.steps(rows, config.batch_size) * config.training_length)
    return (max(1, steps), math.ceil(max(1, steps) / an_epoch)) if rows else (0, 0)


def _is_untrained(config: RunConfig, reference: str) -> bool:
    """Whether a model begins with random weights."""
    wanted = ModelReference.parse(reference)
    return (ModelReference.parse(config.teacher) if wanted.is_same else wanted).source == "builtin"
