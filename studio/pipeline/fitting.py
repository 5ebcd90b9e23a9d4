"""What a stage asks of `fit`: here, and nowhere else, it is decided who meets a teacher."""

from collections.abc import Callable

import torch
from torch import Tensor

from studio.distill import objective, own_texts, smoothing, transfer_set
from studio.distill.objective import Objective
from studio.distill.own_texts import OwnTexts
from studio.distill.spec import FitSpec
from studio.distill.transfer_set import View
from studio.errors import DataError
from studio.models.model import Model, learning_rate
from studio.pipeline import prepare, recorded
from studio.pipeline.run_state import RunState, whole
from studio.pipeline.timetable import Stage
from studio.tasks import Encoded
from studio.tasks.positions import PositionLogits


def spec(state: RunState, stage: Stage) -> FitSpec:
    """A stage as `fit` takes it."""
    context, config, model = state.context, state.context.config, _adapted(state, stage)
    rows, view = _rows(state, stage, model)
    number = int(stage.phase.partition("-")[2] or 1)
    return FitSpec(
        phase=stage.phase,
        model=model,
        task=context.problem.task,
        rows=rows,
        view=view,
        validation=context.validation(model),
        objective=_objective(state, stage, model),
        steps=stage.steps,
        batch_size=config.batch_size,
        learning_rate=learning_rate(config, model, "teacher" if stage.kind == "teach" else "student"),
        weight_decay=config.weight_decay,
        seed=config.seed + (number - 1 if stage.kind == "teach" else stage.seed),  # several teachers differ
        live=state.answers.live if stage.objective == "distillation" else None,
        rate_is_chosen=(config.teacher_learning_rate if stage.kind == "teach" else config.learning_rate) is None,
        recompute=config.recompute_layers,
        optimizer=config.optimizer,
        checkpoint=context.home.checkpoints(context.run_id) / f"{stage.phase}.pt",
    )


def _adapted(state: RunState, stage: Stage) -> Model:
    """The model of a stage as it learns: where the settings say so, through adapters."""
    config, model = state.context.config, state.models[stage.role]
    if config.lora_rank is None or stage.kind != "follow":
        return model
    from studio.models import lora

    return lora.adapted(model, config.lora_rank, config.seed + stage.seed)


def _objective(state: RunState, stage: Stage, model: Model) -> Objective:
    match stage.objective:
        case "distillation" if not state.answers.logits:
            return objective.labels_only(state.context.problem.task)
        case "distillation" | "smoothed labels":
            config = state.context.config
            config = config.model_copy(update={"seed": config.seed + stage.seed})
            return prepare.distillation(config, model, state.answers.live, state.answered)
        case "hard labels":
            return objective.hard_labels(state.context.problem.task)
    return objective.labels_only(state.context.problem.task)


def _rows(state: RunState, stage: Stage, model: Model) -> tuple[Tensor, Callable[[int], View]]:
    """The numbers of the rows, and how an epoch sees them: all with answers, or those that have a label, unmixed."""
    context = state.context
    if stage.rows == "recorded":
        transfer, outputs, views = state.answered, state.answers, stage.views or 1
        if context.config.own_texts and stage.objective == "distillation":
            rounds = _own_texts(state, stage, model)
            return torch.arange(rounds.rows), rounds.view
        every = torch.arange(len(transfer.whole(model)))
        if not outputs.logits:  # of a teacher that reads otherwise nothing was recorded
            return every, lambda epoch: View(transfer.whole(model))
        return every, lambda epoch: outputs.view(transfer, model, epoch % views)
    own = stage.kind == "teach"  # a teacher has changes of its own
    rows = context.transfer(context.changes(context.config.teacher_augment, model), 1) if own else state.answered
    changes = rows.changes.without_mixing()

    softness = _softness(state, model) if stage.objective == "smoothed labels" else None

    def view(epoch: int) -> View:
        inputs = rows.whole(model, epoch + 1 if stage.views is None else epoch % stage.views, changes)
        return View(inputs, softness(inputs) if softness else None)

    labelled = transfer_set.labelled(rows.whole(model), rows.task)
    if not len(labelled):
        raise DataError(
            f"No training row holds anything to learn, as this model reads at most {context.config.max_length} tokens.",
            "Take a larger max_length, or other rows.",
        )
    return labelled, view


def _own_texts(state: RunState, stage: Stage, model: Model) -> OwnTexts:
    """What a student learns from where it writes a share of it itself."""
    context, config = state.context, state.context.config
    return OwnTexts(
        plain=state.answers.view(state.answered, model, 0),
        student=model,
        teacher=state.teachers[0],
        share=config.own_texts,
        rows=own_texts.BATCHES * config.batch_size,
        seed=config.seed + stage.seed,
        device=context.device,
        how=recorded.how(config, context.problem.task),
        folder=context.home.checkpoints(context.run_id) / f"{stage.phase}-own-texts",
    )


def _softness(state: RunState, model: Model) -> Callable[[Encoded], PositionLogits]:
    """What makes labels as soft as the teachers' answers are: one number is all that is known of them."""
    problem, temperature = state.context.problem, state.context.config.temperature
    answers = whole(state.answers.logits[0])
    right = smoothing.strength(answers, state.answered.whole(model), problem.task, temperature)
    return lambda inputs: smoothing.smoothed(inputs, problem.task, len(problem.labels), right, temperature)
