"""How the student learns: the wizard's part on methods, teachers, steps in between and more data."""

from typing import Any

import streamlit as st

from pages._parameters import parameter
from pages._words import method, model
from studio import tasks
from studio.config.methods import GAINS, LOSSES, MEASURED_ON, METHODS
from studio.config.run import RunConfig
from studio.store.rows import DatasetRow

OWN = "own"
ANOTHER = "Pick a model, or write hub:ORG/NAME or folder:PATH"


def choose_method(dataset: DatasetRow, start: RunConfig | None) -> dict[str, Any]:
    """The losses, by the name of a method or one by one."""
    names = [
        name
        for name, one in METHODS.items()
        if tasks.get(dataset.task).modality in one.modality and fits(name, dataset)
    ]
    titles = {METHODS[name].title: name for name in names}
    first = titles.get(method(start), OWN) if start else names[0]
    picked = st.selectbox(
        "Method",
        [*names, OWN],
        index=[*names, OWN].index(first),
        format_func=lambda name: "Your own mix of losses" if name == OWN else METHODS[name].title,
        key=f"method-{dataset.task}",
        help="What the student imitates of its teacher.",
    )
    if picked != OWN:
        st.caption(f"{METHODS[picked].when} {measured(picked, dataset.task)}")
        return dict(METHODS[picked].values)
    return {"terms": own_mix(start)}


def measured(name: str, task: str) -> str:
    """What the method brought where it was measured, as the README's table has it."""
    modality = tasks.get(task).modality
    if name not in GAINS.get(modality, {}):
        return ""
    points = f"{GAINS[modality][name]:+.1f} points"
    return f"Where we measured it ({MEASURED_ON[modality]}) it brought {points} against the same student alone."


def fits(name: str, dataset: DatasetRow) -> bool:
    """Whether the losses of a method mean something for the labels of this data."""
    kind = tasks.get(dataset.task, dataset.multi_label).kind
    losses = [LOSSES[term["loss"]] for term in METHODS[name].values["terms"]]
    return all(kind in loss.kinds and (kind != "class" or len(dataset.labels) >= loss.classes) for loss in losses)


def own_mix(start: RunConfig | None) -> list[dict[str, Any]]:
    """A weight for each loss that is picked."""
    weights = {term.loss: term.share for term in start.terms} if start else {"soft_target": 1.0}
    picked = st.multiselect(
        "Losses", list(LOSSES), default=list(weights), format_func=lambda name: LOSSES[name].title, key="losses"
    )
    for name in picked:
        loss = LOSSES[name]
        st.caption(f"**{loss.title}** ({loss.paper}). {loss.when}")
    columns = st.columns(max(1, min(3, len(picked))))
    terms = []
    for number, name in enumerate(picked):
        with columns[number % len(columns)]:
            weight = st.number_input(
                f"Weight of {LOSSES[name].title}",
                min_value=0.001,
                max_value=1e6,
                value=weights.get(name, LOSSES[name].weight),
                format="%g",
                key=f"weight-{name}",
            )
        terms.append({"loss": name, "weight": None if weight == LOSSES[name].weight else weight})
    return terms


def choose_more_teachers(task: str, known: list[str], start: RunConfig | None) -> dict[str, Any]:
    """Further teachers, and models between teacher and student."""
    with st.expander("More teachers, steps in between"):
        teachers = references("more_teachers", task, known, start)
        values: dict[str, Any] = {"more_teachers": teachers}
        if teachers:
            values["fusion"] = parameter("fusion", start.fusion if start else "average")
        st.divider()
        cuts = [f"teacher/{count}-layer{'s' if count > 1 else ''}" for count in range(11, 0, -1)]
        values["assistants"] = references("assistants", task, [*known, *cuts, "teacher/same"], start)
        st.caption(
            "Useful where the student is much smaller than the teacher. With a student that is the *same as teacher* "
            "a step that is the same, too, makes one more generation (born again)."
        )
        if values["assistants"]:
            values["chain"] = parameter("chain", start.chain if start else "assistants")
    return values


def references(name: str, task: str, known: list[str], start: RunConfig | None) -> list[str]:
    """Several model references: built in, of earlier runs, or written by hand."""
    field = RunConfig.model_fields[name]
    builtin = tasks.get(task).builtins
    first = list(getattr(start, name)) if start else []
    return st.multiselect(
        field.title or name,
        list(dict.fromkeys([*(f"builtin/{one}" for one in builtin), *known, *first])),
        default=first,
        format_func=model,
        help=field.description,
        accept_new_options=True,
        placeholder=ANOTHER,
        key=f"references-{name}-{task}",
    )


def choose_more_data(task: str, start: RunConfig | None) -> dict[str, Any]:
    """Changed copies of the training rows."""
    with st.expander("More data from your data"):
        values: dict[str, Any] = {"augment": changes("augment", task, start)}
        if values["augment"]:
            values["views"] = parameter("views", start.views if start else RunConfig.model_fields["views"].default)
        values["teacher_augment"] = changes("teacher_augment", task, start)
        if "masked_word" in values["augment"] + values["teacher_augment"]:
            help_text = RunConfig.model_fields["masked_model"].description
            first = (start.masked_model if start else None) or "hub:google-bert/bert-base-uncased"
            named = st.text_input("Masked language model", value=first, help=help_text, key="masked-model")
            values["masked_model"] = named.strip() or None
    return values


def changes(name: str, task: str, start: RunConfig | None) -> list[str]:
    field = RunConfig.model_fields[name]
    mixing = () if name == "augment" else ("mixup", "cutmix")  # a mixed image has no label that a teacher could learn
    words = {str(key): text for key, text in tasks.get(task).changes.items() if key not in mixing}
    return st.pills(
        field.title or name,
        list(words),
        selection_mode="multi",
        default=[one for one in getattr(start, name) if one in words] if start else None,
        format_func=lambda key: words[key],
        help=field.description,
        key=f"{name}-{task}",
    )


def choose_replay(student: str | None, dataset: DatasetRow, rows: list[DatasetRow], learned: str | None) -> str | None:
    """For a student of an earlier run: the data that it learned there, so that it does not forget it."""
    if student is None or not student.startswith("run:"):
        return None
    others = [
        row.name for row in rows if row.id != dataset.id and row.labels == dataset.labels and row.task == dataset.task
    ]
    if not others:
        return None
    nothing = "Nothing: it may forget what it knew"
    options = [nothing, *others]
    index = options.index(learned) if learned in others else 0
    picked = st.selectbox(
        "Data it knows already", options, index=index, key="replay", help=RunConfig.model_fields["replay"].description
    )
    return None if picked == nothing else picked
