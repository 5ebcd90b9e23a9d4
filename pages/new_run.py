"""Three decisions: the data, what the small model should be, Start. Everything else is folded away."""

import contextlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages import _address as address
from pages import _asked as asked
from pages import _pictures as pictures
from pages._goals import GOALS, MOST_MILLISECONDS, OWN, USUAL, Sized, good_for, sizes_in, student_for, students
from pages._language import _, counted
from pages._models import choose_model, learned_before, models_of_runs
from pages._parameters import expert_names, parameter
from pages._plan import choose_plan, show_preview
from pages._recommended import recommend
from pages._scores import milliseconds, times
from pages._studio import errors_shown, get_acts, get_store, go_to, run_in_address, show_error
from pages._ways import choose_augmentation, choose_method, choose_more_teachers, choose_replay
from pages._words import count, duration, escape, measured, method, model, size, split_rows, teachers
from studio import tasks
from studio.config.plan import RECIPES, title
from studio.config.reading import PRESET_HELP, PRESETS, parse_config, parse_yaml, with_values
from studio.config.run import RunConfig
from studio.errors import ConfigError, StoreError, StudioError
from studio.pipeline.answers import Checked, Estimate
from studio.store.rows import DatasetRow

TRAINING = ("epochs", "teacher_epochs", "batch_size")
INT8 = "int8"
PASTED = "pasted-yaml"
LEAST_LIMIT, LONGEST_LIMIT = 0.01, 10_000.0

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
        st.info(_("There is no data yet."), icon=":material/inbox:")
        st.page_link("data.py", label=_("Add data"), icon=":material/upload_file:")
        return None
    wanted = st.query_params.get("dataset", "")
    again = start.dataset if start else None
    index = next((number for number, row in enumerate(rows) if str(row.id) == wanted or row.name == again), 0)
    row = st.selectbox(_("Data set"), rows, index=index, format_func=lambda row: row.name, key="dataset",
                       label_visibility="collapsed")  # fmt: skip
    task = tasks.get(row.task, row.multi_label)
    told = [_(task.title)]
    if task.kind != "number" and row.labels:
        told.append(counted("{number} label", "{number} labels", len(row.labels)))
    told.append(_("{parts} rows", parts=split_rows(row.splits)))
    st.caption(" · ".join(told))
    return row


# --- how small


def known_of(dataset: DatasetRow, task: tasks.Task, teacher: str) -> dict[str, Sized] | None:
    """The models with their sizes and times for this data, by reference; None while they are being counted."""
    if not task.builtins:
        return {}
    answer = asked.sizes(dataset, teacher)
    if not answer.done():
        return None
    try:
        found = answer.result()
    except StudioError as error:
        told = _("How large the models are could not be found out: {message}", message=escape(error.message))
        st.caption(told)
        return {}
    return sizes_in(task, found.parameters, found.milliseconds)


@st.fragment(run_every="1s")
def until_counted(dataset: DatasetRow, teacher: str) -> None:
    """Nothing to see but that it is worked on; then the page with the numbers."""
    if asked.sizes(dataset, teacher).done():
        st.rerun()
    st.caption(_("Counting and timing the models for this data …"))


def choose_models(dataset: DatasetRow, task: tasks.Task, start: RunConfig | None) -> tuple[str | None, str | None]:
    """The teacher, and a student by what it should be; None while one is not known."""
    goal_place, cards = st.container(), st.container()
    usual = f"builtin/{task.builtins[0]}" if task.builtins else ""
    built_in = known_of(dataset, task, usual)
    with st.expander(_("Choose the models yourself"), key="fold-models"):
        left, right = st.columns(2, gap="large")
        with left:
            st.markdown(_("**Teacher**: the large model to imitate"))
            teacher = choose_model("teacher", task, proposed("teacher", start), built_in or {})
        with right:
            st.markdown(_("**Student**: the small model, where no goal chooses it"))
            own = choose_model("student", task, proposed("student", start), built_in or {})
    known = built_in
    if teacher is not None and not teacher.startswith("builtin/") and built_in is not None:
        known = known_of(dataset, task, teacher)
    with goal_place:
        goal = choose_goal(own, task, start)
        student = own if goal == OWN or teacher is None or known == {} else None
        if student is None and teacher is not None:
            student = by_goal(goal, teacher, known, dataset, own)
    with cards:
        show_models(teacher, student, known or {})
        recommend(dataset, task, teacher, start is not None)
    return teacher, student


def choose_goal(own: str | None, task: tasks.Task, start: RunConfig | None) -> str:
    """What the student should be; the choice by name where the address or an earlier run has made it, and as soon as
    somebody chooses a student below."""
    first = OWN if start or "student" in st.query_params else USUAL
    key, seen = f"goal-{first}", f"own-student-{task.name}"
    if st.session_state.setdefault(seen, own) != own:
        st.session_state[key] = OWN
    st.session_state[seen] = own
    return st.pills(_("Goal"), list(GOALS), default=None if key in st.session_state else first, key=key,
                    label_visibility="collapsed", format_func=lambda goal: _(GOALS[goal])) or first  # fmt: skip


def by_goal(
    goal: str, teacher: str, known: Mapping[str, Sized] | None, dataset: DatasetRow, own: str | None
) -> str | None:
    """The student that comes nearest to the goal, said with its numbers; None while the models are being counted."""
    if known is None:
        until_counted(dataset, teacher)
        return None
    smaller, whole = students(teacher, known), known.get(teacher)
    limit = milliseconds_allowed() if goal == "fast" else MOST_MILLISECONDS
    found = student_for(goal, teacher, smaller, whole, limit) if whole is not None else None
    if found is None or whole is None:
        st.caption(no_student(limit, smaller))
        return own
    told = [_("{ratio} times smaller than its teacher", ratio=times(whole.parameters / found.parameters))]
    if found.milliseconds is not None:
        told.append(_("{time} a row on this machine", time=milliseconds(found.milliseconds)))
    st.caption(_(
        "Nearest to that: **{student}**, {numbers}. How accurate it gets, the run will tell.",
        student=escape(model(found.reference)), numbers=", ".join(told),
    ))  # fmt: skip
    return found.reference


def milliseconds_allowed() -> float:
    """How long one row may take; it stands in the address, as every number that somebody may want to hand on."""
    address.text("ms")
    said = st.session_state["ms"]
    if isinstance(said, str):  # as the address gives it
        is_number = said.replace(".", "", 1).isdecimal() and LEAST_LIMIT <= float(said) <= LONGEST_LIMIT
        st.session_state["ms"] = float(said) if is_number else MOST_MILLISECONDS
    return st.number_input(
        _("At most so many milliseconds for one row"), LEAST_LIMIT, LONGEST_LIMIT, step=1.0, format="%g", key="ms",
        width=280, on_change=address.write, args=("ms", MOST_MILLISECONDS),
    )  # fmt: skip


def no_student(limit: float, smaller: Sequence[Sized]) -> str:
    """Why there is none, with the nearest one."""
    timed = [one for one in smaller if one.milliseconds is not None]
    if not smaller:
        return _("No smaller model is known for this teacher yet: choose one below.")
    if not timed:
        return _("None of the students was timed here: choose one below.")
    fastest = min(timed, key=lambda one: one.milliseconds or 0.0)
    return _(
        "No student answers in under {limit} here. The fastest, {student}, takes {time}: allow more, or choose below.",
        limit=milliseconds(limit), student=escape(model(fastest.reference)),
        time=milliseconds(fastest.milliseconds or 0.0),
    )  # fmt: skip


def show_models(teacher: str | None, student: str | None, known: Mapping[str, Sized]) -> None:
    """Both models as cards: size, speed, what they start from, what they are good for."""
    left, right = st.columns(2, gap="small")
    for column, role, over, reference in (
        (left, "teacher", _("Teacher"), teacher),
        (right, "student", _("Student"), student),
    ):
        one, facts = known.get(reference or ""), {}
        if one is not None:
            facts[_("Size")] = _("{number} parameters", number=count(one.parameters))
            if one.milliseconds is not None:
                facts[_("One row here")] = milliseconds(one.milliseconds)
        if reference:
            is_new = reference.startswith("builtin/")
            facts[_("Starts")] = _("untrained") if is_new else _("with what it knows")
        shown = model(reference) if reference else _("not chosen yet")
        with column:
            st.html(pictures.model_card(role, over, shown, facts, good_for(reference)))


# --- everything else


def first_values(start: RunConfig | None, task: tasks.Task) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that the widgets show at first, and where each comes from: a preset with what suits the task, the run
    that is started again, or the studio's own."""
    first = None if start else "Balanced"
    preset = st.segmented_control(_("How long"), list(PRESETS), default=first, key="preset",
                                  format_func=lambda one: _(one), label_visibility="collapsed") or first  # fmt: skip
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
    """Another preset or task sets its widgets anew; what suited another task alone goes back to the studio's own."""
    shown = (preset, task.name if task.usual else "")
    before = st.session_state.get("preset-shown", (None, ""))
    if before == shown:
        return
    if before[1] and not task.usual:
        chosen = chosen | {name: plain[name] for name in tasks.get(before[1]).usual if name not in chosen}
    st.session_state["preset-shown"] = shown
    for name, value in chosen.items():
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
        temperature=f"{temperature:g}", alpha=f"{alpha:g}", gone=gone,
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


def choose_all(dataset: DatasetRow, start: RunConfig | None) -> tuple[str | None, str | None, dict[str, Any]]:
    """Teacher, student and settings; a model is None while it is not complete."""
    task = tasks.get(dataset.task, dataset.multi_label)
    st.header(_("2 · What should the small model be?"), anchor=False)
    teacher, student = choose_models(dataset, task, start)
    choose_int8(task)
    learned = start.replay if start else learned_before(student)
    values: dict[str, Any] = {"replay": choose_replay(student, dataset, store.datasets(), learned)}
    st.header(_("3 · How long may it learn?"), anchor=False)
    defaults, origins = first_values(start, task)
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
        st.html(pictures.facts({_("Time"): _("being worked out …"), _("Memory"): "…", _("Teacher check"): "…"}))
        return
    with errors_shown():
        found = answer.result()
        known = costs(found)
        if known:
            st.html(pictures.facts(known))
        for note in found.notes:
            st.caption(escape(note))
        if found.teacher is not None:
            show_check(found.teacher, config)
        elif found.teacher_is_taught:
            st.caption(_(
                "The teacher does not know these labels yet: it is trained on them first, and checked before the "
                "student begins."
            ))  # fmt: skip


def costs(found: Estimate) -> dict[str, str]:
    """Time, memory and sizes, as far as they are known."""
    known = {}
    if found.seconds is not None:
        known[_("Time")] = _("about {time}", time=duration(found.seconds))
    if found.memory_bytes is not None:
        known[_("Memory")] = _("at least {size}", size=size(found.memory_bytes))
    if found.teacher_parameters and found.student_parameters:
        known[_("Teacher")] = _("{number} parameters", number=count(found.teacher_parameters))
        share = found.teacher_parameters / found.student_parameters
        known[_("Student")] = _(
            "{number}, {ratio} times smaller", number=count(found.student_parameters), ratio=f"{share:.1f}"
        )
    return known


def show_check(teacher: Checked, config: RunConfig) -> None:
    """How good a teacher is that knows the labels, and what that means."""
    task = tasks.get(config.task or next(iter(tasks.TASKS)))
    said = {
        "value": measured(teacher.value, task.measures[0]),
        "constant": measured(teacher.constant, task.measures[0]),
    }
    if teacher.is_weak:
        st.warning(_(
            "The teacher reaches {value} on {rows} validation rows, the same answer for every row {constant}: it has "
            "nothing to teach yet. Choose another one, or let it learn your labels.", rows=teacher.rows, **said,
        ))  # fmt: skip
    else:
        st.caption(_(
            "✓ Teacher checked: {value} on {rows} validation rows; the same answer for every row reaches {constant}.",
            rows=teacher.rows, **said,
        ))  # fmt: skip


def review(config: RunConfig) -> None:
    """What will be done, what it costs, Start."""
    acts.require_models(config)  # before anybody looks into a folder
    st.html(pictures.pair(teachers(config), model(config.student)))
    st.caption(f"{escape(method(config))} · {escape(' → '.join(title(step) for step in config.steps))}")
    if st.button(_("Start"), type="primary", icon=":material/play_arrow:", width="stretch", key="start"):
        with errors_shown():
            if len(config.steps) > 1:
                with st.spinner(_("Checking the steps …")):
                    asked.estimate(config).result()  # a plan that this student cannot follow is refused here
            run = acts.start(config, key=draft_key())
            st.session_state.pop(PASTED, None)
            go_to("run.py", {"run": str(run.id)})
    cost(config)
    st.caption(_("Test rows are read once, at the very end."))
    with st.popover(_("As YAML"), icon=":material/code:", type="tertiary"):
        st.caption(_("The same run from a file: `python -m studio train --config run.yaml`."))
        st.code(config.to_yaml(), language="yaml")


def paste() -> None:
    """Settings from somewhere else: pasted, or a file."""
    with st.popover(_("Use YAML"), icon=":material/content_paste:", type="tertiary"):
        text = st.text_area(
            _("Settings as YAML"), key="yaml", height=220, placeholder="dataset: …\nteacher: …\nstudent: …"
        )
        file = st.file_uploader(_("Or a file"), type=["yaml", "yml"], key="yaml-file", max_upload_size=1)
        if st.button(_("Use these settings"), key="use-yaml", disabled=not (text.strip() or file)):
            with errors_shown():
                text = file.getvalue().decode("utf-8", errors="replace") if file else text
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


def form() -> None:
    start = started_again()
    left, right = st.columns([5, 3], gap="large")
    with left:
        st.header(_("1 · Your data"), anchor=False)
        dataset = choose_data(start)
        if dataset is not None:
            teacher, student, values = choose_all(dataset, start)
    with right, st.container(border=True, key="ready"):
        st.header(_("Ready?"), anchor=False)
        if dataset is None:
            st.caption(_("Add data first."))
        elif teacher is None:
            st.caption(_("Choose a teacher to continue."))
        elif student is None:
            st.caption(_("Choose a student to continue, or wait until the models are counted."))
        else:
            with errors_shown():
                review(parse_config(values))
        paste()


st.title(_("New run"), anchor=False)
draft_key()
if not acts.person.has("member"):
    st.info(_("You see runs and results. To start runs, ask an admin."), icon=":material/visibility:")
elif PASTED in st.session_state:
    from_yaml(st.session_state[PASTED])
else:
    form()
