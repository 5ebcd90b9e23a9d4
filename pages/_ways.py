"""How the student learns: the wizard's part on methods, teachers, intermediate models and data augmentation."""

import sys
from typing import Any

import streamlit as st

from pages._language import N_, _
from pages._parameters import parameter
from pages._words import data_name, method_of, model, parsed, signed
from studio import tasks
from studio.config.methods import GAINS, LOSSES, MEASURED_ON, METHODS
from studio.config.run import RunConfig
from studio.store.rows import DatasetRow

OWN = "own"
ANOTHER = N_("Pick a model, or write hub:ORG/NAME or folder:PATH")
MIXING = ("mixup", "cutmix")
"""Changes that leave an image without a label that a teacher could learn."""


def choose_method(task: tasks.Task, dataset: DatasetRow, start: RunConfig | None) -> dict[str, Any]:
    """The losses, by the name of a method or one by one."""
    names = [name for name, known in METHODS.items() if task.modality in known.modality and fits(name, task, dataset)]
    usual = next((name for name in names if losses_of(name) == list(task.terms)), names[0])
    named = method_of(start) if start else usual
    first = named if named in names else OWN
    picked = st.selectbox(
        _("Method"),
        [*names, OWN],
        index=[*names, OWN].index(first),
        format_func=lambda name: _("Custom mix of losses") if name == OWN else _(METHODS[name].title),
        key=f"method-{task.name}",
        help=_("What the student imitates of its teacher."),
    )
    if picked != OWN:
        st.caption(f"{_(METHODS[picked].when)} {gain(picked, task)}")
        return dict(METHODS[picked].values)
    return {"terms": own_mix(task, dataset, start)}


def losses_of(name: str) -> list[str]:
    """The losses of a method."""
    return [term["loss"] for term in METHODS[name].values["terms"]]


def gain(name: str, task: tasks.Task) -> str:
    """What the method brought where it was measured, as the table of the documentation has it."""
    if task.kind != "class" or name not in GAINS.get(task.modality, {}):
        return ""
    points, spread = GAINS[task.modality][name]
    known = {"data": _(MEASURED_ON[task.modality]), "points": signed(f"{points:+.1f}"), "spread": f"{spread:.1f}"}
    if points == 0:
        return _("In our measurements ({data}): as good as training without a teacher, ± {spread} points from seed to "
                 "seed.", **known)  # fmt: skip
    return _("In our measurements ({data}): {points} points compared with training without a teacher, ± {spread} from "
             "seed to seed.", **known)  # fmt: skip


def fits(name: str, task: tasks.Task, dataset: DatasetRow) -> bool:
    """Whether the losses of a method mean something for the labels of this data."""
    return all(loss in fitting_losses(task, dataset) for loss in losses_of(name))


def fitting_losses(task: tasks.Task, dataset: DatasetRow) -> list[str]:
    classes = len(dataset.labels) if task.kind == "class" else sys.maxsize
    return [name for name, loss in LOSSES.items() if task.kind in loss.kinds and loss.classes <= classes]


def own_mix(task: tasks.Task, dataset: DatasetRow, start: RunConfig | None) -> list[dict[str, Any]]:
    """A weight for each loss that is picked."""
    weights = {term.loss: term.share for term in start.terms} if start else dict.fromkeys(task.terms, 1.0)
    options = list(dict.fromkeys([*fitting_losses(task, dataset), *weights]))
    picked = st.multiselect(
        _("Losses"), options, default=list(weights), format_func=lambda name: _(LOSSES[name].title), key="losses"
    )
    for name in picked:
        loss = LOSSES[name]
        st.caption(_("**{loss}** ({paper}). {when}", loss=_(loss.title), paper=loss.paper, when=_(loss.when)))
    columns = st.columns(max(1, min(3, len(picked))))
    terms = []
    for number, name in enumerate(picked):
        with columns[number % len(columns)]:
            weight = st.number_input(
                _("Weight of {loss}", loss=_(LOSSES[name].title)),
                min_value=0.001,
                max_value=1e6,
                value=weights.get(name, LOSSES[name].weight),
                format="%g",
                key=f"weight-{name}",
            )
        terms.append({"loss": name, "weight": None if weight == LOSSES[name].weight else weight})
    return terms


def choose_more_teachers(task: tasks.Task, known: list[str], start: RunConfig | None) -> dict[str, Any]:
    """Further teachers, and models between teacher and student."""
    teachers = references("more_teachers", task, known, start)
    values: dict[str, Any] = {"more_teachers": teachers}
    if teachers:
        values["fusion"] = parameter("fusion", start.fusion if start else "average")
    cuts = [f"teacher/{count}-layer{'s' if count > 1 else ''}" for count in range(11, 0, -1)]
    values["assistants"] = references("assistants", task, [*known, *cuts, "teacher/same"], start)
    st.caption(
        _(
            "Intermediate models help where the student is much smaller than the teacher. For a student that is "
            "the *same as the teacher*, each one adds a generation (born again)."
        )
    )
    if values["assistants"]:
        values["chain"] = parameter("chain", start.chain if start else "assistants")
    return values


def references(name: str, task: tasks.Task, known: list[str], start: RunConfig | None) -> list[str]:
    """Several model references: built in, of earlier runs, or written by hand."""
    field = RunConfig.model_fields[name]
    first = list(getattr(start, name)) if start else []
    return st.multiselect(
        _(field.title or name),
        list(dict.fromkeys([*(f"builtin/{builtin}" for builtin in task.builtins), *known, *first])),
        default=first,
        format_func=model,
        help=_(field.description or ""),
        accept_new_options=True,
        placeholder=_(ANOTHER),
        key=f"references-{name}-{task.name}",
    )


def choose_augmentation(task: tasks.Task, start: RunConfig | None) -> dict[str, Any]:
    """Changed copies of the training rows."""
    if not task.changes:
        st.caption(_("There is nothing that could be changed in rows of this kind."))
        return {}
    values: dict[str, Any] = {"augment": changes("augment", task, start)}
    if values["augment"]:
        values["views"] = parameter("views", start.views if start else RunConfig.model_fields["views"].default)
    values["teacher_augment"] = changes("teacher_augment", task, start)
    if "masked_word" in values["augment"] + values["teacher_augment"]:
        help_text = _(RunConfig.model_fields["masked_model"].description or "")
        first = (start.masked_model if start else None) or "hub:google-bert/bert-base-uncased"
        named = st.text_input(_("Masked language model"), value=first, help=help_text, key="masked-model")
        values["masked_model"] = named.strip() or None
    return values


def changes(name: str, task: tasks.Task, start: RunConfig | None) -> list[str]:
    field = RunConfig.model_fields[name]
    words = {key: text for key, text in task.changes.items() if name == "augment" or key not in MIXING}
    return st.pills(
        _(field.title or name),
        list(words),
        selection_mode="multi",
        default=[change for change in getattr(start, name) if change in words] if start else None,
        format_func=lambda key: _(words[key]),
        help=_(field.description or ""),
        key=f"{name}-{task.name}",
    )


def choose_replay(student: str | None, dataset: DatasetRow, rows: list[DatasetRow], learned: str | None) -> str | None:
    """For a student of an earlier run: the data that it learned there, so that it does not forget it."""
    reference = parsed(student)
    if reference is None or reference.source != "run":
        return None
    others = [
        row.name for row in rows if row.id != dataset.id and row.labels == dataset.labels and row.task == dataset.task
    ]
    if not others:
        return None
    nothing = _("None: it may forget what it learned before")
    options = [nothing, *others]
    index = options.index(learned) if learned in others else 0
    field = RunConfig.model_fields["replay"]
    picked = st.selectbox(
        _(field.title or "replay"),
        options,
        index=index,
        key="replay",
        help=_(field.description or ""),
        format_func=data_name,
    )
    return None if picked == nothing else picked
