"""Teacher and student of the wizard: built in, from the hub, a folder or an earlier run, or made from the teacher."""

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from pages._goals import Sized, good_for
from pages._language import N_, _
from pages._scores import milliseconds
from pages._studio import get_home, get_person, get_store
from pages._words import count, model, parsed
from studio import tasks
from studio.config.references import ModelReference
from studio.errors import StoreError
from studio.service.people import may_open, model_folders

SAME = "same"
SOURCES = {
    "builtin": N_("Built in"), "hub": N_("Hugging Face"), "folder": N_("Folder"), "run": N_("Earlier run"),
    "teacher": N_("Cut from teacher"), SAME: N_("Same as teacher"),
}  # fmt: skip
USUAL_LAYERS, MOST_LAYERS, MOST_FOLDERS = 2, 12, 100


def choose_model(role: str, task: tasks.Task, proposed: str, known: Mapping[str, Sized]) -> str | None:
    """A model reference, or None while it is not complete; `proposed` is shown until the user changes it. `known`: what
    is known of models, by reference."""
    first = parsed(proposed) or ModelReference("builtin", "")
    options = [source for source in SOURCES if source not in ("teacher", SAME) or role == "student"]
    shown = SAME if first.is_same else first.source
    source = st.segmented_control(
        _("Source"), options, default=shown, key=f"{role}-source", label_visibility="collapsed", wrap=True,
        format_func=lambda source: _(SOURCES[source]),
    )  # fmt: skip
    name = first.name if source == shown else ""
    match source:
        case "same":
            st.caption(_("Born again: the same model learns anew from the first one. It often ends up better."))
            return "teacher/same"
        case "teacher":
            return choose_layers(name)
        case "hub":
            written = st.text_input(_("Model id"), name, placeholder="google-bert/bert-base-uncased", key=f"{role}-hub")
            st.caption(
                _("Downloaded once. Only safetensors weights are opened, and no code that comes with them is run.")
            )
            return f"hub:{written.strip()}" if written.strip() else None
        case "folder":
            there = list(dict.fromkeys([*([name] if name else []), *map(str, found_folders())]))
            picked = st.selectbox(
                _("Path of a Hugging Face folder"), there, index=0 if name else None, key=f"{role}-folder",
                accept_new_options=True, placeholder="/models/my-teacher",
            )  # fmt: skip
            return folder((picked or "").strip())
        case "run":
            return choose_from_runs(role, task, proposed)
    return choose_builtin(role, task, name, known)


def found_folders() -> list[Path]:
    """The folders with a model below those of `STUDIO_MODEL_FOLDERS`."""
    found = [place for one in model_folders() for place in (one, *one.glob("*"))]
    return sorted(place for place in found if (place / "config.json").is_file())[:MOST_FOLDERS]


def folder(path: str) -> str | None:
    """A reference to a folder of this machine, where this person may have it opened."""
    if not path:
        return None
    reference = ModelReference("folder", path)
    if not get_person().has("admin") and not may_open(reference.path):
        st.error(
            _("Only an admin can open this folder: it is in none of STUDIO_MODEL_FOLDERS."), icon=":material/lock:"
        )
        return None
    return str(reference)


def choose_builtin(role: str, task: tasks.Task, name: str, known: Mapping[str, Sized]) -> str:
    """One of the models that the studio builds, each with its size, its speed and what it is good for."""
    usual = 0 if role == "teacher" else min(2, len(task.builtins) - 1)
    picked = st.radio(
        _("Built-in models"), task.builtins, key=f"{role}-builtin-{task.name}",
        index=task.builtins.index(name) if name in task.builtins else usual,
        captions=[about(f"builtin/{one}", known, number == usual) for number, one in enumerate(task.builtins)],
    )  # fmt: skip
    st.caption(_("They start untrained, and so are weaker than a downloaded model."))
    return f"builtin/{picked}"


def about(reference: str, known: Mapping[str, Sized], is_usual: bool) -> str:
    """A model in a line: whether it is the usual choice, its size, its speed, what it is good for."""
    told = [_("**usual choice**")] if is_usual else []
    one = known.get(reference)
    if one is not None:
        told.append(_("{number} parameters", number=count(one.parameters)))
        if one.milliseconds is not None:
            told.append(_("{time} a row", time=milliseconds(one.milliseconds)))
    return " · ".join([*told, good_for(reference)])


def choose_layers(name: str) -> str:
    kept = int(name or USUAL_LAYERS)
    layers = st.slider(
        _("Layers to keep"), 1, max(MOST_LAYERS, kept), kept, key="student-layers",
        help=_("Fewer layers: smaller, faster."),
    )  # fmt: skip
    st.caption(_("Starts from the teacher's own weights. For transformers; must be fewer than the teacher has."))
    return str(ModelReference.cut(layers))


def models_of_runs(task: tasks.Task) -> list[str]:
    """References of what earlier runs have trained."""
    home, runs = get_home(), get_store().runs()
    of_task = [run.id for run in runs if run.config.task == task.name]
    return [str(ModelReference.of_run(run, role)) for run in of_task for role in home.roles(run)]


def choose_from_runs(role: str, task: tasks.Task, proposed: str) -> str | None:
    there = models_of_runs(task)
    if not there:
        st.caption(_("No earlier run on this kind of data has a model yet."))
        return None
    index = there.index(proposed) if proposed in there else 0
    return st.selectbox(_("Model"), there, index=index, format_func=model, key=f"{role}-run")


def learned_before(student: str | None) -> str | None:
    """The name of the data that an earlier run taught this student."""
    reference = parsed(student)
    if reference is None or reference.run is None:
        return None
    try:
        return get_store().run(reference.run).config.dataset
    except StoreError:
        return None
