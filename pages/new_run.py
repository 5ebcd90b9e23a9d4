"""Three decisions: the data, what the small model should be, Start. Everything else is folded away."""

import contextlib
import uuid
from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages import _address as address
from pages import _asked as asked
from pages import _pictures as pictures
from pages._changed import MODELS, changes, show_changes
from pages._cost import SHORTER, cost
from pages._how_small import choose_models, waits_for_count
from pages._language import _, counted, retell
from pages._models import learned_before, models_of_runs, show_model, why_refused
from pages._parameters import expert_names, parameter
from pages._plan import choose_plan, show_preview
from pages._studio import errors_shown, get_acts, get_store, go_to, run_in_address, show_error
from pages._ways import choose_augmentation, choose_method, choose_more_teachers, choose_replay
from pages._words import data_name, escape, method, model, split_rows, teachers
from studio import tasks
from studio.config.plan import RECIPES, title
from studio.config.reading import PRESET_HELP, PRESETS, parse_config, parse_yaml, with_values
from studio.config.run import RunConfig
from studio.errors import ConfigError, StoreError
from studio.store.rows import DatasetRow, RunRow

TRAINING = ("epochs", "teacher_epochs", "batch_size")
INT8 = "int8"
PASTED = "pasted-yaml"
MOST_BYTES = 1024**2  # more of a file is not looked at: settings have fewer letters
DRAFT, VISIT = "draft", "visit"

acts, store = get_acts(), get_store()


def begin_visit() -> None:
    """Who comes to this page begins a new draft, and with what the address says: of a form that was left nothing is
    remembered but what stands in its address. A draft makes two clicks one run; a click on Start has it still."""
    if "dataset" not in st.session_state and not st.session_state.get("start"):
        st.session_state[DRAFT], st.session_state[VISIT] = uuid.uuid4().hex, {}


def started_again() -> tuple[RunRow | None, RunConfig | None]:
    """The run in the address, and its settings, to be changed and started again; with what its verdict proposes, where
    the address asks for that."""
    try:
        run = run_in_address("from")
        if run is None:
            return None, None
        step = run.next_step if "next" in st.query_params else None
        start = with_values(run.config, **step.changes) if step else run.config
        follow_step(run, start)
        return run, start
    except (StoreError, ConfigError) as error:
        show_error(error)
        return None, None


def follow_step(run: RunRow, start: RunConfig) -> None:
    """Where the way back in the browser has brought a next step or taken it away, its models and settings show that."""
    seen, said = st.session_state[VISIT], st.query_params.get("next", "")
    if seen.setdefault("next", said) != said and run.next_step is not None:
        for name in run.next_step.changes:
            st.session_state.pop(f"setting-{name}", None)
            if name in MODELS:
                show_model(name, getattr(start, name), start.task)
    seen["next"] = said


# --- the data


def choose_data(start: RunConfig | None) -> DatasetRow | None:
    rows = store.datasets()
    if not rows:
        st.html(pictures.empty(_("There is no data yet"), _("A table with a text and a label in each row, or a ZIP of "
                               "images, is all that a run needs.")))  # fmt: skip
        if st.button(_("Add data"), type="primary", icon=":material/upload_file:", key="add-data"):
            go_to("data.py")
        return None
    known = {str(row.id): row for row in rows}
    again = next((name for name, row in known.items() if start and row.name == start.dataset), str(rows[0].id))
    address.follow("dataset")
    address.one("dataset", list(known), first=again)
    row = known[st.selectbox(_("Data set"), list(known), list(known).index(st.session_state["dataset"]), key="dataset",
                             format_func=lambda name: data_name(known[name].name), label_visibility="collapsed",
                             on_change=address.write, args=("dataset",))]  # fmt: skip
    task = tasks.get(row.task, row.multi_label)
    facts = [_(task.title)]
    if task.kind != "number" and row.labels:
        facts.append(counted("{number} label", "{number} labels", len(row.labels)))
    facts.append(_("{parts} rows", parts=split_rows(row.splits)))
    st.caption(" · ".join(facts))
    return row


# --- everything else


def first_values(start: RunConfig | None, task: tasks.Task) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that the widgets show at first, and where each comes from: a preset with what suits the task, the run
    that is started again, or the studio's own."""
    first = None if start else "Balanced"
    preset = st.segmented_control(_("How long"), list(PRESETS), default=first, key="preset",
                                  format_func=lambda name: _(name), label_visibility="collapsed") or first  # fmt: skip
    plain = {name: field.default for name, field in RunConfig.model_fields.items()}
    values = start.model_dump() if start else plain
    copied = _("as in run {run}", run=st.query_params.get("from", "")) if start else _("default")
    origins = dict.fromkeys(values, copied)
    if preset is None:
        st.caption(_("Settings copied from run {run}.", run=st.query_params["from"]))
        return values, origins
    st.caption(_(PRESET_HELP[preset]))
    chosen = PRESETS[preset] | dict(task.usual)
    origins |= dict.fromkeys(PRESETS[preset], _(preset)) | dict.fromkeys(task.usual, _("suits the task"))
    keep_shown(preset, chosen, plain, task)
    return values | chosen, origins


def keep_shown(preset: str, chosen: dict[str, Any], plain: dict[str, Any], task: tasks.Task) -> None:
    """Another preset or task sets its widgets anew; what suited another task alone goes back to the studio's own. Rows
    that somebody had read whole stay whole."""
    shown = (preset, task.name if task.usual else "")
    before = st.session_state.get("preset-shown", (None, ""))
    if before == shown:
        return
    if before[1] and not task.usual:
        chosen = chosen | {name: plain[name] for name in tasks.get(before[1]).usual if name not in chosen}
    st.session_state["preset-shown"] = shown
    whole = {"max_length"} if SHORTER in st.session_state else set()
    for name, value in chosen.items():
        if name not in whole:
            st.session_state[f"setting-{name}"] = 0 if value is None else value


def now(name: str, defaults: dict[str, Any]) -> Any:
    """What a widget says, before it is drawn."""
    return st.session_state.get(f"setting-{name}", defaults[name])


def three_knobs(defaults: dict[str, Any], origins: dict[str, str]) -> dict[str, Any]:
    """Temperature, alpha, prune ratio, each with a picture of what it does."""
    temperature, alpha, ratio = (now(name, defaults) for name in ("temperature", "alpha", "prune_ratio"))
    gone = _("{share} % of the neurons go", share=f"{100 * ratio:.0f}") if ratio else _("nothing is pruned")
    said = _(
        "**Temperature, alpha, pruning** · T = {temperature}, alpha = {alpha}, {gone}",
        temperature=f"{temperature:.3g}", alpha=f"{alpha:.3g}", gone=gone,
    )  # fmt: skip
    values = {}
    with st.expander(said, key="fold-knobs"):
        drawn = (
            ("temperature", pictures.softened(temperature)),
            ("alpha", pictures.shared(alpha)),
            ("prune_ratio", pictures.thinner(ratio)),
        )
        for column, (name, picture) in zip(st.columns(3, gap="medium"), drawn, strict=True):
            with column:
                values[name] = parameter(name, defaults[name], origins[name])
                st.html(picture)
        values["auto"] = parameter("auto", defaults["auto"], origins["auto"])
    return values


def training(defaults: dict[str, Any], origins: dict[str, str]) -> dict[str, Any]:
    """How long, with which comparison, under how many seeds."""
    values = {}
    for column, name in zip(st.columns(3), TRAINING, strict=True):
        with column:
            values[name] = parameter(name, defaults[name], origins[name])
    for name in ("control", "seeds"):
        values[name] = parameter(name, defaults[name], origins[name])
    return values


def expert(defaults: dict[str, Any], origins: dict[str, str]) -> dict[str, Any]:
    values, columns = {}, st.columns(2)
    for number, name in enumerate(expert_names()):
        with columns[number % 2]:
            values[name] = parameter(name, defaults[name], origins[name])
    return values


def more_settings(
    task: tasks.Task, dataset: DatasetRow, start: RunConfig | None, defaults: dict[str, Any], origins: dict[str, str]
) -> tuple[dict[str, Any], Any]:
    """What few need, a tab a subject; the place for the steps of the plan, which come last."""
    epochs, taught = (now(name, defaults) or _("automatic") for name in ("epochs", "teacher_epochs"))
    said = _("**More settings** · epochs: {epochs}, of the teacher: {taught}", epochs=epochs, taught=taught)
    with st.expander(said, key="fold-more"):
        learning, way, more, changed, steps, others = st.tabs(
            [_("Training"), _("Method"), _("More teachers"), _("Augmentation"), _("Steps"), _("Expert")]
        )
        with learning:
            values = training(defaults, origins)
        with way:
            values |= choose_method(task, dataset, start)
        with more:
            values |= choose_more_teachers(task, models_of_runs(task), start)
        with changed:
            values |= choose_augmentation(task, start)
        with others:
            values |= expert(defaults, origins)
    return values, steps


def choose_int8(task: tasks.Task) -> None:
    """Whole numbers in place of fractions, as a switch: it chooses the plan that has them."""
    plan, key = f"plan-{task.name}", f"whole-numbers-{task.name}"
    if not task.quantized_form or task.modality not in RECIPES[INT8].modality:
        return
    st.session_state[key] = st.session_state.get(plan) == INT8

    def choose() -> None:
        st.session_state[plan] = INT8 if st.session_state[key] else next(iter(RECIPES))

    st.toggle(_("Store whole numbers (int8): about a quarter of the size"), key=key, on_change=choose,
              help=_(RECIPES[INT8].when))  # fmt: skip


def choose_all(
    dataset: DatasetRow, start: RunConfig | None, proposed: Sequence[str]
) -> tuple[str | None, str | None, dict[str, Any]]:
    """Teacher, student and settings; a model is None while it is not complete. `proposed`: settings that the next step
    of an earlier run asks for."""
    task = tasks.get(dataset.task, dataset.multi_label)
    st.header(_("2 · What should the small model be?"), anchor=False)
    teacher, student = choose_models(dataset, task, start, st.session_state[VISIT])
    choose_int8(task)
    learned = start.replay if start else learned_before(student)
    values: dict[str, Any] = {"replay": choose_replay(student, dataset, store.datasets(), learned)}
    st.header(_("3 · How long may it learn?"), anchor=False)
    defaults, origins = first_values(start, task)
    origins |= dict.fromkeys(proposed, _("proposed"))
    values |= three_knobs(defaults, origins)
    others, steps = more_settings(task, dataset, start, defaults, origins)
    values |= others
    with steps:
        values |= choose_plan(task, values["prune_ratio"], start)
        values |= {"dataset": dataset.name, "task": dataset.task, "teacher": teacher, "student": student}
        if teacher is not None and student is not None:
            with contextlib.suppress(ConfigError):  # the review tells what is wrong
                config = parse_config(values)
                with errors_shown():
                    acts.require_models(config)
                    show_preview(config, task, asked.rows_of(config))
    return teacher, student, values


# --- start


def review(config: RunConfig) -> None:
    """What will be done, what it costs, Start."""
    acts.require_models(config)  # before anybody looks into a folder
    st.html(pictures.pair(teachers(config), model(config.student)))
    st.caption(f"{escape(method(config))} · {escape(' → '.join(retell(title(step)) for step in config.steps))}")
    if st.button(_("Start"), type="primary", icon=":material/play_arrow:", width="stretch", key="start"):
        with errors_shown():
            if len(config.steps) > 1:
                with st.spinner(_("Checking the steps …")):
                    asked.estimate(config).result()  # a plan that this student cannot follow is refused here
            run = acts.start(config, key=st.session_state[DRAFT])
            st.session_state.pop(PASTED, None)
            go_to("run.py", {"run": str(run.id)})
    cost(config)
    st.caption(_("Test rows are read once, at the very end."))
    with st.popover(_("Copy the settings"), icon=":material/code:", type="tertiary"):
        st.caption(_("The same run from a file: `python -m studio train --config run.yaml`."))
        st.code(config.to_yaml(), language="yaml")


def paste() -> None:
    """Settings from somewhere else: pasted, or a file."""
    with st.popover(_("Paste settings"), icon=":material/content_paste:", type="tertiary"):
        text = st.text_area(
            _("Settings as YAML"), key="yaml", height=220, placeholder="dataset: …\nteacher: …\nstudent: …"
        )
        file = st.file_uploader(_("Or a file"), type=["yaml", "yml"], key="yaml-file", max_upload_size=1)
        if st.button(_("Use these settings"), key="use-yaml", disabled=not (text.strip() or file)):
            with errors_shown():
                text = file.getvalue()[:MOST_BYTES].decode("utf-8", errors="replace") if file else text
                parse_yaml(text)
                st.session_state[PASTED] = text
                st.rerun()


def from_yaml(text: str) -> None:
    """A run as it was pasted: nothing else to decide."""
    with st.container(border=True, key="ready"):
        st.header(_("Settings from YAML"), anchor=False)
        with errors_shown():
            review(parse_yaml(text))
        if st.button(_("Back to the form"), key="drop-yaml"):
            del st.session_state[PASTED]
            st.rerun()


def changed_from(earlier: RunRow, values: dict[str, Any]) -> None:
    """What is other than in the earlier run; a model that is not chosen yet is taken for that of the earlier one."""
    missing = {role: getattr(earlier.config, role) for role in MODELS if values[role] is None}
    with contextlib.suppress(ConfigError):  # the review tells what is wrong
        show_changes(earlier.id, earlier.config, parse_config(values | missing))


def ask_for(role: str, words: str) -> None:
    """That a model is missing, and why the folder that was chosen for it is none."""
    if refused := why_refused(role):
        st.error(refused, icon=":material/lock:")
    st.caption(words)


def form() -> None:
    earlier, start = started_again()
    left, right = st.columns([5, 3], gap="large")
    with left:
        changed = st.container()
        st.header(_("1 · Your data"), anchor=False)
        dataset = choose_data(start)
        if dataset is not None:
            proposed = list(changes(earlier.config, start)) if earlier and start else []
            teacher, student, values = choose_all(dataset, start, proposed)
            if earlier is not None:
                with changed:
                    changed_from(earlier, values)
    with right, st.container(border=True, key="ready"):
        st.header(_("Ready?"), anchor=False)
        if dataset is None:
            st.caption(_("Add data first."))
        elif teacher is None:
            ask_for("teacher", _("Choose a teacher to continue."))
        elif student is None:
            st.button(
                _("Start"), type="primary", icon=":material/play_arrow:", width="stretch", key="waits", disabled=True
            )
            if waits_for_count(dataset, tasks.get(dataset.task, dataset.multi_label), teacher):
                st.caption(_("The student is chosen once the models are counted; or choose one yourself."))
            else:
                ask_for("student", _("Choose a student to continue."))
        else:
            with errors_shown():
                review(parse_config(values))
        paste()


st.title(_("New run"), anchor=False)
begin_visit()
if not acts.person.has("member"):
    st.info(_("You see runs and results. To start runs, ask an admin."), icon=":material/visibility:")
elif PASTED in st.session_state:
    from_yaml(st.session_state[PASTED])
else:
    form()
