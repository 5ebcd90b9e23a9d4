"""Three decisions: the data, how small, Start. Everything else is folded away."""

import contextlib
import uuid
from typing import Any

import streamlit as st

from pages import _asked as asked
from pages import _pictures as pictures
from pages._goals import Goal, goals, good_for
from pages._models import choose_model, learned_before, models_of_runs
from pages._parameters import expert_names, parameter
from pages._plan import choose_plan, show_preview
from pages._studio import errors_shown, get_acts, get_store, run_in_address, show_error
from pages._ways import choose_augmentation, choose_method, choose_more_teachers, choose_replay
from pages._words import count, duration, escape, method, model, size, teachers
from studio import tasks
from studio.config.plan import title
from studio.config.reading import PRESET_HELP, PRESETS, parse_config, parse_yaml, with_values
from studio.config.run import RunConfig
from studio.errors import ConfigError, StoreError, StudioError
from studio.store.rows import DatasetRow

TRAINING = ("epochs", "teacher_epochs", "batch_size")
OWN = "as chosen below"
PASTED = "pasted-yaml"

acts, store = get_acts(), get_store()


def draft_key() -> str:
    """What makes two clicks or two tabs one run: it is made once and stays in the address."""
    if "draft" not in st.query_params:
        st.query_params["draft"] = uuid.uuid4().hex
    return st.query_params["draft"]


def started_again() -> RunConfig | None:
    """The settings of the run in the address, to be changed and started again; with what its verdict proposes, where
    the address asks for that."""
    try:
        run = run_in_address("from")
        if run is None:
            return None
        step = run.next_step if "next" in st.query_params else None
        return with_values(run.config, **step.changes) if step else run.config
    except (StoreError, ConfigError) as error:
        show_error(error)
        return None


def proposed(role: str, start: RunConfig | None) -> str:
    """The model that is chosen at first: the one in the address, or that of the run that is started again."""
    again = "" if start is None else start.teacher if role == "teacher" else start.student
    return st.query_params.get(role, again)


# --- the data


def choose_data(start: RunConfig | None) -> DatasetRow | None:
    rows = store.datasets()
    if not rows:
        st.info("There is no data yet.", icon=":material/inbox:")
        st.page_link("data.py", label="Add data", icon=":material/upload_file:")
        return None
    wanted = st.query_params.get("dataset", "")
    again = start.dataset if start else None
    index = next((number for number, row in enumerate(rows) if str(row.id) == wanted or row.name == again), 0)
    row = st.selectbox("Data set", rows, index=index, format_func=lambda row: row.name, key="dataset",
                       label_visibility="collapsed")  # fmt: skip
    parts = ", ".join(f"{number:,} {split}" for split, number in row.splits.items())
    task = tasks.get(row.task, row.multi_label)
    labels = "" if task.kind == "number" or not row.labels else f"{len(row.labels)} labels · "
    st.caption(f"{task.title} · {labels}{parts} rows")
    return row


# --- how small


@st.fragment(run_every="1s")
def until_counted(dataset: DatasetRow, builtin: str) -> None:
    """Nothing to see but that it is worked on; then the page with the numbers."""
    if asked.sizes(dataset, builtin).done():
        st.rerun()
    st.caption("Counting how large each model is for this data …")


def counted(dataset: DatasetRow, task: tasks.Task) -> dict[str, int]:
    """Parameters of the built-in models for this data, {} while that is being counted."""
    answer = asked.sizes(dataset, task.builtins[0])
    if not answer.done():
        until_counted(dataset, task.builtins[0])
        return {}
    try:
        return dict(answer.result().parameters)
    except StudioError as error:
        st.caption(f"How large the models are could not be found out: {escape(error.message)}")
        return {}


def choose_models(dataset: DatasetRow, task: tasks.Task, start: RunConfig | None) -> tuple[str | None, str | None]:
    """The teacher, and a student by how small it is; None while one is not complete."""
    goal_place, cards = st.container(), st.container()
    with st.expander("Another teacher or student", key="fold-models"):
        st.markdown("**Teacher**: the large model to imitate")
        teacher = choose_model("teacher", task, proposed("teacher", start))
        st.markdown("**Student**: the small model you want, where none of the sizes above is taken")
        own = choose_model("student", task, proposed("student", start))
    with goal_place:
        parameters = counted(dataset, task)
        student = choose_student(own, teacher, goals(teacher, task, parameters), start)
    with cards:
        show_models(teacher, student, parameters)
    return teacher, student


def choose_student(own: str | None, teacher: str | None, known: list[Goal], start: RunConfig | None) -> str | None:
    """A goal stands for a student; without one it is the student that was chosen by name."""
    by_words = {goal.words: goal.student for goal in known}
    if not known:
        return own
    first = next((goal.words for goal in known if goal.student == own), OWN)
    picked = st.pills("How small", [*by_words, OWN], default=first, key=f"goal-{teacher}-{own}-{len(known)}",
                      label_visibility="collapsed") or first  # fmt: skip
    st.caption("By the number of parameters. A larger student usually keeps more, a smaller one is faster.")
    return by_words.get(picked, own)


def show_models(teacher: str | None, student: str | None, parameters: dict[str, int]) -> None:
    """Both models as cards."""
    left, right = st.columns(2, gap="small")
    for column, role, over, reference in (
        (left, "teacher", "Teacher", teacher),
        (right, "student", "Student", student),
    ):
        name = (reference or "").removeprefix("builtin/")
        facts = {"Size": f"{count(parameters[name])} parameters"} if name in parameters else {}
        facts["Starts"] = "untrained" if (reference or "").startswith("builtin/") else "with what it knows"
        shown = model(reference) if reference else "not chosen yet"
        with column:
            st.html(pictures.model_card(role, over, shown, facts if reference else {}, good_for(reference)))


# --- everything else


def first_values(start: RunConfig | None, task: tasks.Task) -> dict[str, Any]:
    """The values that the widgets show at first: a preset's with what suits the task, or those of the run that is
    started again."""
    first = None if start else "Balanced"
    preset = st.segmented_control("How long", list(PRESETS), default=first, key="preset",
                                  label_visibility="collapsed") or first  # fmt: skip
    if preset is None:
        st.caption(f"Settings copied from run {st.query_params['from']}.")
        return start.model_dump() if start else {}
    st.caption(PRESET_HELP[preset])
    plain = {name: field.default for name, field in RunConfig.model_fields.items()}
    values = PRESETS[preset] | dict(task.usual)
    shown = (preset, task.name if task.usual else "")
    if st.session_state.get("preset-shown", (None, "")) != shown:
        before = st.session_state.get("preset-shown", (None, ""))
        if before[1] and not task.usual:  # what suited another task alone
            values |= {name: plain[name] for name in tasks.get(before[1]).usual if name not in values}
        st.session_state["preset-shown"] = shown
        for name, value in values.items():
            st.session_state[f"setting-{name}"] = 0 if value is None else value
    return (start.model_dump() if start else plain) | values


def now(name: str, defaults: dict[str, Any]) -> Any:
    """What a widget says, before it is drawn."""
    return st.session_state.get(f"setting-{name}", defaults[name])


def three_knobs(defaults: dict[str, Any]) -> dict[str, Any]:
    """Temperature, alpha, prune ratio, each with a picture of what it does."""
    temperature, alpha, ratio = (now(name, defaults) for name in ("temperature", "alpha", "prune_ratio"))
    gone = f"{100 * ratio:.0f} % of the neurons go" if ratio else "nothing is pruned"
    values = {}
    with st.expander(
        f"**Temperature, alpha, pruning** · T = {temperature:g}, alpha = {alpha:g}, {gone}", key="fold-knobs"
    ):
        drawn = (
            ("temperature", pictures.softened(temperature)),
            ("alpha", pictures.shared(alpha)),
            ("prune_ratio", pictures.thinner(ratio)),
        )
        for column, (name, picture) in zip(st.columns(3, gap="medium"), drawn, strict=True):
            with column:
                values[name] = parameter(name, defaults[name])
                st.html(picture)
        values["auto"] = parameter("auto", defaults["auto"])
    return values


def training(defaults: dict[str, Any]) -> dict[str, Any]:
    values = {}
    epochs, taught = (now(name, defaults) or "automatic" for name in ("epochs", "teacher_epochs"))
    with st.expander(f"**Training** · epochs: {epochs}, of the teacher: {taught}", key="fold-training"):
        for column, name in zip(st.columns(3), TRAINING, strict=True):
            with column:
                values[name] = parameter(name, defaults[name])
        values["control"] = parameter("control", defaults["control"])
        values["seeds"] = parameter("seeds", defaults["seeds"])
    with st.expander("**Expert settings** · learning rates, schedules, seed, devices", key="fold-expert"):
        columns = st.columns(2)
        for number, name in enumerate(expert_names()):
            with columns[number % 2]:
                values[name] = parameter(name, defaults[name])
    return values


def choose_all(dataset: DatasetRow, start: RunConfig | None) -> tuple[str | None, str | None, dict[str, Any]]:
    """Teacher, student and settings; a model is None while it is not complete."""
    task = tasks.get(dataset.task, dataset.multi_label)
    st.subheader("2 · How small should it be?", anchor=False)
    teacher, student = choose_models(dataset, task, start)
    learned = start.replay if start else learned_before(student)
    values: dict[str, Any] = {"replay": choose_replay(student, dataset, store.datasets(), learned)}
    st.subheader("3 · How long may it learn?", anchor=False)
    defaults = first_values(start, task)
    values |= three_knobs(defaults) | training(defaults)
    with st.expander("**Method** · what the student imitates", key="fold-method"):
        values |= choose_method(task, dataset, start)
    values |= choose_more_teachers(task, models_of_runs(task), start)
    values |= choose_augmentation(task, start)
    with st.expander("**Steps that make it small** · prune, factorize, quantize", key="fold-plan"):
        values |= choose_plan(task, values["prune_ratio"], start)
        values |= {"dataset": dataset.name, "task": dataset.task, "teacher": teacher, "student": student}
        if teacher is not None and student is not None:
            with contextlib.suppress(ConfigError):  # the review tells what is wrong
                config = parse_config(values)
                with errors_shown():
                    acts.require_models(config)
                    show_preview(config, task)
    return teacher, student, values


# --- start


def cost(config: RunConfig) -> None:
    """Time, memory and sizes, measured beside the page. The answer takes its place alone: nothing else is drawn anew,
    so that a list that is open stays open."""
    again = None if asked.estimate(config).done() else "1s"
    st.fragment(show_cost, run_every=again)(config)


def show_cost(config: RunConfig) -> None:
    answer = asked.estimate(config)
    if not answer.done():
        st.html(pictures.facts({"Time": "being worked out …", "Memory": "…"}))
        return
    with errors_shown():
        found = answer.result()
        known = {}
        if found.seconds is not None:
            known["Time"] = f"about {duration(found.seconds)}"
        if found.memory_bytes is not None:
            known["Memory"] = f"at least {size(found.memory_bytes)}"
        if found.teacher_parameters and found.student_parameters:
            known["Teacher"] = f"{count(found.teacher_parameters)} parameters"
            share = found.teacher_parameters / found.student_parameters
            known["Student"] = f"{count(found.student_parameters)}, {share:.1f} times smaller"
        if known:
            st.html(pictures.facts(known))
        for note in found.notes:
            st.caption(escape(note))
        if found.teacher_is_taught:
            st.caption("The teacher does not know these labels yet: it is trained on them first.")


def review(config: RunConfig) -> None:
    """What will be done, what it costs, Start."""
    acts.require_models(config)  # before anybody looks into a folder
    st.markdown(
        f"**{escape(teachers(config))}** teaches **{escape(model(config.student))}** on {escape(config.dataset)}."
    )
    st.caption(f"{escape(method(config))} · {escape(' → '.join(title(step) for step in config.steps))}")
    if st.button("Start", type="primary", icon=":material/play_arrow:", width="stretch", key="start"):
        with errors_shown():
            if len(config.steps) > 1:
                with st.spinner("Checking the steps …"):
                    asked.estimate(config).result()  # a plan that this student cannot follow is refused here
            run = acts.start(config, key=draft_key())
            st.session_state.pop(PASTED, None)
            st.switch_page("run.py", query_params={"run": str(run.id)})
    cost(config)
    st.caption("Test rows are read once, at the very end.")
    with st.popover("As YAML", icon=":material/code:", type="tertiary"):
        st.caption("The same run from a file: `python -m studio train --config run.yaml`.")
        st.code(config.to_yaml(), language="yaml")


def paste() -> None:
    """Settings from somewhere else."""
    with st.popover("Paste YAML", icon=":material/content_paste:", type="tertiary"):
        text = st.text_area(
            "Settings as YAML", key="yaml", height=220, placeholder="dataset: …\nteacher: …\nstudent: …"
        )
        if st.button("Use these settings", key="use-yaml", disabled=not text.strip()):
            with errors_shown():
                parse_yaml(text)
                st.session_state[PASTED] = text
                st.rerun()


def from_yaml(text: str) -> None:
    """A run as it was pasted: nothing else to decide."""
    with st.container(border=True, key="ready"):
        st.subheader("Settings from YAML", anchor=False)
        with errors_shown():
            review(parse_yaml(text))
        if st.button("Back to the form", key="drop-yaml"):
            del st.session_state[PASTED]
            st.rerun()


def form() -> None:
    start = started_again()
    left, right = st.columns([5, 3], gap="large")
    with left:
        st.subheader("1 · Your data", anchor=False)
        dataset = choose_data(start)
        if dataset is not None:
            teacher, student, values = choose_all(dataset, start)
    with right, st.container(border=True, key="ready"):
        st.subheader("Ready?", anchor=False)
        if dataset is None:
            st.caption("Add data first.")
        elif teacher is None or student is None:
            st.caption(f"Choose a {'teacher' if teacher is None else 'student'} to continue.")
        else:
            with errors_shown():
                review(parse_config(values))
        paste()


st.title("New run", anchor=False)
draft_key()
if not acts.person.has("member"):
    st.info("You see runs and results. To start runs, ask an admin.", icon=":material/visibility:")
elif PASTED in st.session_state:
    from_yaml(st.session_state[PASTED])
else:
    form()
