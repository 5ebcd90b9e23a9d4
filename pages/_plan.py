"""How the student gets small: the wizard's part on the steps of the plan, and what pruning alone would cost."""

import uuid
from functools import partial
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo

from pages import _charts as charts
from pages import _pictures as pictures
from pages._language import _, counted, retell
from pages._studio import errors_shown, get_home, get_store
from pages._words import measured
from studio import tasks
from studio.config.plan import KINDS, RECIPES, USUAL_UNITS, title
from studio.config.run import RunConfig
from studio.service import questions

OWN = "own"
STEPS = "plan-steps"
LEAST_SHARE, MOST_SHARE, SHARE_STEP = 0.05, 0.95, 0.05


def choose_plan(task: tasks.Task, prune_ratio: float, start: RunConfig | None) -> dict[str, Any]:
    """A plan by its name, or step by step."""
    names = [
        name
        for name, recipe in RECIPES.items()
        if task.modality in recipe.modality and (prune_ratio or not recipe.needs_ratio)
    ]
    first = OWN if start and start.plan else names[0]
    picked = st.selectbox(
        _("Plan"),
        [*names, OWN],
        index=[*names, OWN].index(first),
        format_func=lambda name: _("Custom steps") if name == OWN else _(RECIPES[name].title),
        key=f"plan-{task.name}",
        help=_(RunConfig.model_fields["plan"].description or ""),
    )
    if picked != OWN:
        st.caption(_(RECIPES[picked].when))
        return {"plan": RECIPES[picked].plan(task.quantized_form, prune_ratio)}
    return {"plan": own_steps(task, start), "prune_ratio": 0.0}


def own_steps(task: tasks.Task, start: RunConfig | None) -> list[dict[str, Any]]:
    """Steps that are added, moved and removed one by one."""
    if STEPS not in st.session_state:
        known = [step.model_dump() for step in start.steps] if start and start.plan else [{"do": "distill"}]
        st.session_state[STEPS] = [(uuid.uuid4().hex, step) for step in known]
    st.caption(_("The student goes through these steps from top to bottom. The prune ratio above is ignored here."))
    steps: list[tuple[str, dict[str, Any]]] = st.session_state[STEPS]
    written = [show_step(number, key, step, task) for number, (key, step) in enumerate(steps)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(_("Add a step"), list(KINDS), format_func=lambda name: _(KINDS[name].word), key="step-kind")
        st.button(_("Add"), icon=":material/add:", on_click=add, args=(task,), key="step-add")
    return written


def add(task: tasks.Task) -> None:
    """A new step of the kind that is chosen now, which the page may not have been drawn with yet: before the last one
    where that must stay the last."""
    steps, kind = st.session_state[STEPS], st.session_state["step-kind"]
    stays_last = bool(steps) and KINDS[steps[-1][1]["do"]].is_last and not KINDS[kind].is_last
    steps.insert(len(steps) - 1 if stays_last else len(steps), (uuid.uuid4().hex, first_step(kind, task)))


def first_step(kind: str, task: tasks.Task) -> dict[str, Any]:
    """A step as it is added: its own first values, with the units and the form of int8 that suit the task."""
    usual = [unit for unit in USUAL_UNITS if unit in task.units][:1]
    of_task = {"units": usual, "form": task.quantized_form}
    fields = KINDS[kind].model_fields
    return {"do": kind, **KINDS[kind].first, **{name: value for name, value in of_task.items() if name in fields}}


def move_up(number: int) -> None:
    steps = st.session_state[STEPS]
    steps[number - 1], steps[number] = steps[number], steps[number - 1]


def remove(number: int) -> None:
    del st.session_state[STEPS][number]


def show_step(number: int, key: str, step: dict[str, Any], task: tasks.Task) -> dict[str, Any]:
    """The widgets of a step, made from the fields of its class; what they say now."""
    kind = KINDS[step["do"]]
    values = kind.model_validate(step).model_dump()
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{number + 1} · {_(kind.word)}**", width="stretch")
            st.button("", icon=":material/arrow_upward:", key=f"up-{key}", on_click=move_up, args=(number,),
                      disabled=number == 0, help=_("Move up"), type="tertiary")  # fmt: skip
            st.button("", icon=":material/close:", key=f"away-{key}", on_click=remove, args=(number,),
                      help=_("Remove this step"), type="tertiary")  # fmt: skip
        if kind.note:
            st.caption(_(kind.note))
        shown = [name for name, field in kind.model_fields.items() if field.title]
        shown = [name for name in shown if name not in kind.either or values[name] is not None]
        expert = [name for name in shown if _extra(kind.model_fields[name]).get("expert")]
        ask = partial(settings, kind, values, key, task)
        ask([name for name in shown if name not in expert])
        if expert:
            with st.expander(_("More options")):
                ask(expert)
    return values


def settings(kind: type[Any], values: dict[str, Any], key: str, task: tasks.Task, names: list[str]) -> None:
    """Put what the widgets of these fields say into the values of a step."""
    for name in names:
        field = kind.model_fields[name]
        values[name] = setting(field, values[name], f"{name}-{key}", options_for(name, field, task))


def options_for(name: str, field: FieldInfo, task: tasks.Task) -> dict[str, str]:
    """The values that a setting can take, with their words; of units those that the task's models have."""
    options: dict[str, str] = _extra(field).get("options", {})
    return {unit: options[unit] for unit in task.units} if name == "units" else options


def setting(field: FieldInfo, value: Any, key: str, options: dict[str, str]) -> Any:
    """The widget of one field of a step, as its type asks for."""
    words: dict[str, Any] = {"label": _(field.title or ""), "help": _(field.description or ""), "key": key}
    kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind is not type(None)]
    if get_origin(field.annotation) is tuple:
        known = [option for option in value if option in options]
        return st.pills(
            **words,
            options=list(options),
            selection_mode="multi",
            default=known,
            format_func=lambda name: _(options[name]),
        )
    if get_origin(field.annotation) is Literal:
        names = list(options)
        return st.selectbox(**words, options=names, index=names.index(value), format_func=lambda name: _(options[name]))
    if bool in kinds:
        return st.toggle(**words, value=value)
    low, high = _bounds(field)
    if int in kinds:
        return st.number_input(
            **words,
            min_value=int(low),
            max_value=int(high),
            value=value,
            placeholder=_(_extra(field).get("empty", "")) or None,
            step=1,
        )
    if high > 1:
        return st.number_input(**words, min_value=float(low), value=value, format="%g")
    return st.slider(
        **words, min_value=min(LEAST_SHARE, value), max_value=max(MOST_SHARE, value), value=value, step=SHARE_STEP
    )


def _extra(field: FieldInfo) -> dict[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _bounds(field: FieldInfo) -> tuple[float, float]:
    """The lowest and the highest value of a field."""
    low, high = 0.0, float("inf")
    for rule in field.metadata:
        low = getattr(rule, "ge", getattr(rule, "gt", low))
        high = getattr(rule, "le", getattr(rule, "lt", high))
    return low, high


@st.cache_data(show_spinner=False, max_entries=50, ttl=3600)
def preview(config: RunConfig, rows: str) -> Any:
    """`rows`: which ones the name of the data stands for."""
    return questions.preview(get_home(), get_store(), config)


def show_preview(config: RunConfig, task: tasks.Task, rows: str) -> None:
    """The deciding measure without any training, against the ratio; `rows` as in `preview`."""
    help_text = _("Pruning costs a student that knows your labels some quality; this shows how much, in seconds.")
    if not st.toggle(_("Show the cost of pruning alone"), key="wants-preview", help=help_text):
        return
    with errors_shown():
        with st.spinner(_("Pruning by several ratios …")):
            found = preview(config, rows)
        measure = task.measures[0]
        half = min(range(len(found.ratios)), key=lambda place: abs(found.ratios[place] - 0.5))
        st.html(pictures.titled(
            _("With {share} % pruned and nothing trained: {value}, where it was {before}",
              share=f"{100 * found.ratios[half]:.0f}", value=measured(found.accuracy[half], measure),
              before=measured(found.accuracy[0], measure)),
            counted("{step}: {measure} on {number} validation row. Training then recovers part of the loss.",
                    "{step}: {measure} on {number} validation rows. Training then recovers part of the loss.",
                    found.rows, step=retell(title(found.step.model_copy(update={"ratio": None}))),
                    measure=_(measure.title)),
        ))  # fmt: skip
        figure = charts.pruning(found.ratios, found.accuracy, measure)
        st.plotly_chart(figure, key="pruning", config={"displayModeBar": False})
