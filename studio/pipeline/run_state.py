"""Where a run stands between two stages: its models, and what teachers have said."""

from dataclasses import dataclass, field, replace

from studio.distill.byte_spans import Likelihoods
from studio.distill.spec import BestWeights
from studio.distill.top_answers import TopAnswers
from studio.distill.transfer_set import TeacherOutputs, TransferSet
from studio.models.model import Model
from studio.pipeline.prepare import Models, RunContext
from studio.tasks.positions import PositionLogits


@dataclass(frozen=True)
class RunState:
    """Where a run stands between two stages.

    `models` holds, by role, those that have begun; `origin` is the model that the next one of the line is cut from.
    `transfer` and `outputs` are there once teachers have answered. `best` are the weights that the last learning kept.
    """

    context: RunContext
    opened: Models
    origin: Model
    models: dict[str, Model]
    transfer: TransferSet | None = None
    outputs: TeacherOutputs | None = None
    best: BestWeights = field(default_factory=BestWeights)

    @property
    def teachers(self) -> tuple[Model, ...]:
        return tuple(model for role, model in self.models.items() if role.startswith("teacher"))

    def having(self, role: str, model: Model) -> "RunState":
        return replace(self, models=self.models | {role: model})

    @property
    def answered(self) -> TransferSet:
        """The rows that teachers have answered."""
        assert self.transfer is not None, "no stage before this one has recorded answers"
        return self.transfer

    @property
    def answers(self) -> TeacherOutputs:
        """What they said."""
        assert self.outputs is not None, "no stage before this one has recorded answers"
        return self.outputs


def whole(answers: PositionLogits | TopAnswers | Likelihoods) -> PositionLogits:
    """Answers of which all is there: what makes models smaller, or labels soft, is not made for a vocabulary."""
    assert isinstance(answers, PositionLogits), "a part of each alone was kept"
    return answers
