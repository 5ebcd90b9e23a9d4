"""How the student gets small: the wizard's part on the steps of the plan, and what pruning alone would cost."""

import uuid
from typing import Any

import streamlit as st

from pages import _charts as charts
from pages._studio import errors_shown, get_home, get_store
from pages._words import percent
from studio.config.plan import FORMS, IMPORTANCES, KINDS, RECIPES, UNITS, title
from studio.config.run import RunConfig
from studio.service import questions

OWN = "own"
STEPS = "plan-steps"
NAMES = {
    "prune": "Prune",
    "sparsify": "Set small weights to zero",
    "factorize": "Low rank",
    "distill": "Distil",
    "quantize": "Quantize",
}
FIRST: dict[str, dict[str, Any]] = {
    "prune": {"ratio": 0.5},
    "sparsify": {"ratio": 0.8},
    "factorize": {"rank": 0.33},
    "distill": {},
    "quantize": {"form": "int8"},
}
"""What a step says when it is added."""


def choose_plan(task: str, prune_ratio: float, start: RunConfig | None) -> dict[str, Any]:
    """A plan by its name, or step by step."""
    names = [name for name, one in RECIPES.items() if task in one.tasks and (prune_ratio or not one.needs_ratio)]
    first = OWN if start and start.plan else names[0]
    picked = st.selectbox(
        "Plan",
        [*names, OWN],
        index=[*names, OWN].index(first),
        format_func=lambda name: "Your own steps" if name == OWN else RECIPES[name].title,
        key=f"plan-{task}",
        help=RunConfig.model_fields["plan"].description,
    )
    if picked != OWN:
        st.caption(RECIPES[picked].when)
        return {"plan": RECIPES[picked].plan(task, prune_ratio)}
    return {"plan": own_steps(task, start), "prune_ratio": 0.0}


def own_steps(task: str, start: RunConfig | None) -> list[dict[str, Any]]:
    """Steps that are added, moved and taken away one by one."""
    if STEPS not in st.session_state:
        known = [one.model_dump() for one in start.plan] if start and start.plan else [{"do": "distill"}]
        st.session_state[STEPS] = [(uuid.uuid4().hex, step) for step in known]
    st.caption("The student goes through these steps from top to bottom. The prune ratio above does not count here.")
    steps: list[tuple[str, dict[str, Any]]] = st.session_state[STEPS]
    written = [one_step(number, key, step, task) for number, (key, step) in enumerate(steps)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.selectbox("Another step", list(KINDS), format_func=NAMES.__getitem__, key="step-kind")
        st.button("Add", icon=":material/add:", on_click=add, args=(kind,), key="step-add")
    return written


def add(kind: str) -> None:
    """A new step: before the last one where that must stay the last."""
    steps = st.session_state[STEPS]
    place = len(steps) - 1 if steps and steps[-1][1]["do"] == "quantize" and kind != "quantize" else len(steps)
    steps.insert(place, (uuid.uuid4().hex, {"do": kind, **FIRST[kind]}))


def move_up(number: int) -> None:
    steps = st.session_state[STEPS]
    steps[number - 1], steps[number] = steps[number], steps[number - 1]


def take_away(number: int) -> None:
    del st.session_state[STEPS][number]


def one_step(number: int, key: str, step: dict[str, Any], task: str) -> dict[str, Any]:
    """The widgets of a step; what they say now."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{number + 1} · {NAMES[step['do']]}**", width="stretch")
            st.button("", icon=":material/arrow_upward:", key=f"up-{key}", on_click=move_up, args=(number,),
                      disabled=number == 0, help="Earlier", type="tertiary")  # fmt: skip
            st.button("", icon=":material/close:", key=f"away-{key}", on_click=take_away, args=(number,),
                      help="Take this step away", type="tertiary")  # fmt: skip
        said = {"prune": prune, "sparsify": sparsify, "factorize": factorize, "distill": distill, "quantize": quantize}
        return {"do": step["do"], **said[step["do"]](key, step, task)}


def prune(key: str, step: dict[str, Any], task: str) -> dict[str, Any]:
    kinds = ["channels", "heads", "neurons", "layers"] if task == "image-classification" else [*UNITS][:3]
    usual = kinds[:1] if task == "image-classification" else ["neurons"]
    ratio = st.slider("Share", 0.05, 0.95, float(step.get("ratio") or 0.5), 0.05, key=f"ratio-{key}")
    units = st.pills("Units", kinds, selection_mode="multi", default=list(step.get("units") or usual),
                     format_func=UNITS.__getitem__, key=f"units-{key}")  # fmt: skip
    importances = list(IMPORTANCES)
    with st.expander("What goes, and when"):
        how = st.selectbox("Importance", importances, index=importances.index(step.get("importance", "magnitude")),
                           format_func=lambda name: f"{name.capitalize()}: {IMPORTANCES[name].lower()}",
                           key=f"importance-{key}")  # fmt: skip
        scope = st.segmented_control(
            "Compared within", ["local", "global"], default=step.get("scope", "local"), key=f"scope-{key}",
            format_func=lambda name: "each layer" if name == "local" else "the whole model",
        )  # fmt: skip
        rounds = st.number_input("Rounds", 1, 20, int(step.get("rounds", 1)), key=f"rounds-{key}",
                                 help="The student learns for an epoch after each round but the last.")  # fmt: skip
    return {"ratio": ratio, "units": units or usual, "importance": how, "scope": scope or "local", "rounds": rounds}


def sparsify(key: str, step: dict[str, Any], task: str) -> dict[str, Any]:
    ratio = st.slider("Share of the weights", 0.05, 0.95, float(step.get("ratio") or 0.8), 0.05, key=f"zero-{key}")
    st.caption("Smaller on disk, not faster: the matrices keep their size when the student works.")
    return {"ratio": ratio}


def factorize(key: str, step: dict[str, Any], task: str) -> dict[str, Any]:
    rank = st.slider("Share of the rank", 0.05, 0.95, float(step.get("rank") or 0.33), 0.05, key=f"rank-{key}")
    words = {"embeddings": "Word table", "layers": "Linear layers"}
    known = [name for name in words if step.get(name, True)]
    picked = st.pills("Of", list(words), selection_mode="multi", default=known, format_func=words.__getitem__,
                      key=f"of-{key}")  # fmt: skip
    return {"rank": rank, **{name: name in (picked or words) for name in words}}


def distill(key: str, step: dict[str, Any], task: str) -> dict[str, Any]:
    epochs = st.number_input("Epochs", 0, 1000, int(step.get("epochs") or 0), key=f"epochs-{key}",
                             help="0: as many as set above.")  # fmt: skip
    return {"epochs": epochs or None}


def quantize(key: str, step: dict[str, Any], task: str) -> dict[str, Any]:
    forms = list(FORMS)
    usual = "int8_static" if task == "image-classification" else "int8"
    form = st.selectbox("Form", forms, index=forms.index(step.get("form", usual)), format_func=FORMS.__getitem__,
                        key=f"form-{key}")  # fmt: skip
    epochs = st.number_input("Epochs with rounded numbers before", 0, 1000, int(step.get("epochs") or 0),
                             key=f"aware-{key}", help="Quantization-aware distillation.")  # fmt: skip
    return {"form": form, "epochs": epochs}


@st.cache_data(show_spinner="Pruning by several ratios …", max_entries=50, ttl=3600)
def preview(config: RunConfig) -> Any:
    return questions.preview(get_home(), get_store(), config)


def show_preview(config: RunConfig) -> None:
    """Accuracy without any learning against the ratio."""
    told = "A student that knows your labels loses some of it when it is pruned; this shows how much, in seconds."
    if not st.toggle("Show what pruning alone would cost", key="wants-preview", help=told):
        return
    with errors_shown():
        found = preview(config)
        st.plotly_chart(charts.pruning(found.ratios, found.accuracy), key="pruning", config={"displayModeBar": False})
        st.caption(
            f"{title(found.step.model_copy(update={'ratio': None}))}: right on {found.rows} validation rows, "
            f"{percent(found.accuracy[0])} before. What learning brings back comes on top."
        )
