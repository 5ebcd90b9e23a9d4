"""The verdict on one run; its models side by side; export."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

import streamlit as st

from pages import _charts as charts
from pages._studio import errors_shown, get_home, get_store, run_in_address, set_title, show_error, task_of
from pages._words import change, count, escape, measured, model, percent, size, status_word, teachers
from studio import tasks
from studio.errors import StudioError
from studio.events import OLD_TEST, Confusion, Evaluation
from studio.pipeline.answers import Conversion, read_conversion
from studio.service.questions import convert
from studio.store.rows import RunRow

ROLES = {
    "teacher": "the large model",
    "student": "trained by the teacher",
    "control": "the same student, trained on the labels alone",
}
OUTCOMES = {
    "better": ("The teacher helped", ":material/thumb_up:"),
    "no_difference": ("No clear benefit from the teacher", ":material/balance:"),
    "worse": ("Better without the teacher", ":material/thumb_down:"),
    "no_control": ("Not compared with a control", ":material/help:"),
}

Found = dict[tuple[str, str], Evaluation]  # by role and metric

home, store = get_home(), get_store()


def choose() -> RunRow | None:
    """The run in the address, or the newest one with results."""
    done = [run for run in store.runs() if has_results(run)]
    wanted = run_in_address("run")
    if wanted is not None and not has_results(wanted):
        st.info(f"Run {wanted.id} is {status_word(wanted)}: it has no results.", icon=":material/info:")
        st.page_link("run.py", label="Open the run", query_params={"run": str(wanted.id)}, icon=":material/timeline:")
        return None
    if wanted is not None and wanted.id not in [run.id for run in done]:
        done.append(wanted)  # an archived one
    if not done:
        st.info("No run has finished yet.", icon=":material/inbox:")
        st.page_link("home.py", label="Try a demo", icon=":material/play_arrow:")
        return None
    shown = next((number for number, run in enumerate(done) if wanted is not None and run.id == wanted.id), 0)
    run = st.selectbox(
        "Run",
        done,
        index=shown,
        format_func=lambda run: f"Run {run.id} · {run.config.dataset} · {model(run.config.student)}",
        key=f"run-{wanted.id if wanted else ''}",
    )
    if str(run.id) != st.query_params.get("run"):
        st.query_params["run"] = str(run.id)
    return run


def has_results(run: RunRow) -> bool:
    """Whether there is a verdict, or at least a student to download."""
    return run.verdict is not None or (run.is_over and home.model(run.id, "student").is_dir())


def headline(run: RunRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        teach = "teach" if run.config.more_teachers else "teaches"
        st.markdown(f"**{escape(teachers(run.config))}** {teach} **{escape(model(run.config.student))}** on "
                    f"{escape(run.config.dataset)}", width="content")  # fmt: skip
        st.page_link("run.py", label="Open the run", query_params={"run": str(run.id)}, icon=":material/timeline:")
    if run.verdict is None:
        st.warning("This run ended before it was evaluated. The student so far can be downloaded.")
        return
    words, icon = OUTCOMES[run.outcome or "no_control"]
    st.header(f"{icon} {words}", anchor=False)
    st.subheader(escape(run.verdict), anchor=False)


def side_by_side(found: Found, task: tasks.Task) -> None:
    first, *others = task.measures
    roles = [role for role in ROLES if (role, first.name) in found]
    for column, role in zip(st.columns(max(1, len(roles))), roles, strict=False):
        with column, st.container(border=True):
            st.subheader(role.capitalize(), anchor=False)
            st.caption(ROLES[role])
            evaluation = found[role, first.name]
            shown = measured(evaluation.value, first)
            st.metric(first.title, shown, against(found, role, first), delta_color="off", delta_arrow="off",
                      help=first.help)  # fmt: skip
            st.caption(f"95 % interval {interval(evaluation, first)}, {evaluation.n or 0:,} test rows")
            columns = st.columns(2)
            for number, (title, value, help_text) in enumerate(numbers(found, role, others)):
                columns[number % 2].metric(title, value, help=help_text)


def numbers(found: Found, role: str, measures: Sequence[tasks.Measure]) -> list[tuple[str, str, str | None]]:
    """What else was measured of a model: title, value, help."""
    also = [
        (measure.title, measured(found[role, measure.name].value, measure), measure.help)
        for measure in measures
        if (role, measure.name) in found
    ]
    costs = [
        ("Parameters", "parameters", count, None),
        ("Size on disk", "size_bytes", size, None),
        ("Latency", "latency_ms", lambda value: f"{value:.2f} ms", latency_help(found, role)),
    ]
    return also + [
        (title, words(found[role, metric].value), help_text)
        for title, metric, words, help_text in costs
        if (role, metric) in found
    ]


def latency_help(found: Found, role: str) -> str:
    """What the one number leaves out; older runs did not measure it."""
    slow, many = found.get((role, "latency_p95_ms")), found.get((role, "latency_32_ms"))
    plain = "One row at a time, median, in the form in which it is saved."
    if slow is None or many is None:
        return plain
    return f"{plain} 95 % of passes took less than {slow.value:.2f} ms. A batch of 32 rows: {many.value:.2f} ms."


def against(found: Found, role: str, measure: tasks.Measure) -> str:
    """The share of the teacher's value; of a measure that is no share, the difference."""
    teacher = found.get(("teacher", measure.name))
    if role == "teacher" or teacher is None:
        return "baseline"
    value = found[role, measure.name].value
    if measure.unit == "share" and teacher.value > 0:
        return f"{percent(value / teacher.value)} of the teacher"
    return f"{change(value - teacher.value, measure.unit)} compared with the teacher"


def interval(found: Evaluation, measure: tasks.Measure) -> str:
    if found.low is None or found.high is None:
        return "unknown"
    return f"{measured(found.low, measure)} to {measured(found.high, measure)}"


def old_and_new(run: RunRow, evaluations: list[Evaluation], measure: tasks.Measure) -> None:
    """Where a student continued with new data: what it knows of each."""
    if not any(found.split == OLD_TEST for found in evaluations):
        return
    st.subheader("New and old data", anchor=False)
    st.caption(f"The student continued with **{escape(run.config.dataset)}** and repeated "
               f"**{escape(run.config.replay)}** so as not to forget it. {measure.title} on each:")  # fmt: skip
    table = []
    for words, split in (("New", "test"), ("Old", OLD_TEST)):
        by_role = {found.role: found for found in evaluations if found.split == split and found.metric == measure.name}
        values = {
            role.capitalize(): f"{measured(found.value, measure)} ({interval(found, measure)})"
            for role, found in by_role.items()
        }
        table.append({"Data": words, "Test rows": next(iter(by_role.values())).n, **values})
    st.dataframe(table, hide_index=True)


def steps_taken(run: RunRow, task: tasks.Task) -> None:
    """What each step of the plan cost and brought."""
    results = store.milestones(run.id)
    if not results:
        return
    measure = next((known for known in task.measures if known.name == results[0].metric), task.measures[0])
    st.subheader("Step by step", anchor=False)
    st.caption("The student after each step of the plan, on validation rows; the test rows are read once, above.")
    table = []
    for number, result in enumerate(results):
        before = results[number - 1] if number > 1 else None
        low, high = measured(result.low, measure), measured(result.high, measure)
        table.append({
            "Step": result.title,
            measure.title: f"{measured(result.value, measure)} ({low} to {high})",
            "Change": change(result.value - before.value, measure.unit) if before else "",
            "Parameters": count(result.parameters),
            "Size": size(result.size_bytes),
            "Latency": f"{result.latency_ms:.2f} ms",
        })  # fmt: skip
    points = "In percentage points" if measure.unit == "share" else None
    st.dataframe(table, hide_index=True, column_config={"Change": st.column_config.TextColumn(help=points)})
    st.plotly_chart(charts.stage_results(results, measure), key="stage-results", config={"displayModeBar": False})


def what_was_chosen(run: RunRow, measure: tasks.Measure) -> None:
    """Temperature and alpha that the run found by trying, and all that it tried."""
    choice = store.choice(run.id)
    if choice is None:
        return
    st.subheader("Temperature and alpha", anchor=False)
    st.markdown(f"T = **{choice.temperature:g}**, alpha = **{choice.alpha:g}**. {escape(choice.reason)}")
    with st.expander("All trials"):
        title = f"{measure.title} on validation rows"
        st.dataframe(
            [
                {"Temperature": temperature, "Alpha": alpha, title: measured(value, measure)}
                for temperature, alpha, value in choice.tried
            ],
            hide_index=True,
        )


def per_class(confusions: list[Confusion]) -> None:
    """The share of each class that each model gets right."""
    table = []
    for number, label in enumerate(confusions[0].labels):
        rows = sum(confusions[0].counts[number])
        right = {
            matrix.role.capitalize(): 100 * matrix.counts[number][number] / rows if rows else None
            for matrix in confusions
        }
        table.append({"Class": label, "Test rows": rows, **right})
    share = st.column_config.ProgressColumn(min_value=0, max_value=100, format="%.1f %%")
    st.dataframe(table, hide_index=True, column_config={matrix.role.capitalize(): share for matrix in confusions})
    st.caption("The share of each class that a model gets right (recall).")


def matrices(confusions: list[Confusion]) -> None:
    roles = [matrix.role for matrix in confusions]
    role = st.segmented_control("Model", roles, default="student" if "student" in roles else roles[0], key="matrix",
                                format_func=str.capitalize)  # fmt: skip
    shown = next((matrix for matrix in confusions if matrix.role == role), confusions[0])
    st.plotly_chart(charts.confusion(shown), key=f"confusion-{shown.role}")


def curves(run: RunRow, measure: tasks.Measure) -> None:
    points = store.curve(run.id)
    left, right = st.columns(2)
    left.markdown(f"**{measure.title} on validation data**")
    right.markdown("**Loss**")
    left.plotly_chart(charts.measure_curves(points, measure), key="measure")
    right.plotly_chart(charts.loss_curves(points), key="loss")


def show_forms(conversion: Conversion) -> None:
    """The student in torch and as ONNX side by side."""
    table = [
        {
            "Format": form.name,
            "Size": size(form.size_bytes),
            "Latency": f"{form.latency_ms:.2f} ms",
            "Same answer as in torch": percent(form.same),
        }
        for form in conversion.forms
    ]
    st.dataframe(table, hide_index=True)
    for form in conversion.forms:
        if form.left_out:
            st.warning(f"The {form.name} file is left out. {escape(form.left_out)}", icon=":material/warning:")
    st.caption(f"Compared on {conversion.forms[0].rows} validation rows, timed in turns, {conversion.threads} threads.")


def teacher_of(run: RunRow) -> str:
    """The teacher as this run left it: fine-tuned, where it was fine-tuned here."""
    return f"run:{run.id}/teacher" if home.model(run.id, "teacher").is_dir() else run.config.teacher


def push(run: RunRow) -> None:
    """To the Hugging Face Hub, where this machine is signed in there."""
    from studio.models import hub
    from studio.service import export

    with st.expander("Push to the Hugging Face Hub"):
        if not hub.has_token():
            st.caption("Sign in on the studio's machine first, with `hf auth login`, or set HF_TOKEN.")
            return
        name = st.text_input("New repository", placeholder="my-name/my-student", key="push-name")
        public = st.toggle("Public", key="push-public", help="Anybody can see and download it.")
        if st.button("Push", icon=":material/cloud_upload:", key="push", disabled=not name.strip()):
            with errors_shown(), st.spinner("Pushing …"):
                address = export.push(home, store, run.id, name.strip(), private=not public)
                st.success(f"Pushed to {escape(address)}.", icon=":material/check_circle:")


def download(run: RunRow) -> None:
    from studio.service import export

    st.subheader("Export", anchor=False)
    if not home.model(run.id, "student").is_dir():
        st.caption("This run saved no student.")
        return
    st.caption("A Hugging Face folder with a model card and the settings that produced it, plus ONNX files.")
    if st.button("Build download", icon=":material/inventory_2:", key="prepare"):
        with errors_shown(), st.spinner("Converting to ONNX and checking it on validation rows …"):
            convert(home, store, run.id)
        with errors_shown(), st.spinner("Packing …"):
            target = Path(mkdtemp(prefix="student-")) / f"student-{run.id}.zip"
            st.session_state["packed"] = (run.id, export.student_zip(home, store, run.id, target))
    forms = read_conversion(home.onnx(run.id))
    if forms is not None:
        show_forms(forms)
    packed = st.session_state.get("packed")
    if packed and packed[0] == run.id and packed[1].exists():
        with packed[1].open("rb") as file:
            st.download_button("Download the student", file, file_name=packed[1].name, mime="application/zip",
                               type="primary", icon=":material/download:")  # fmt: skip
    push(run)
    st.page_link(
        "new_run.py",
        label="Continue with new data",
        query_params={"student": f"run:{run.id}/student", "teacher": teacher_of(run)},
        icon=":material/update:",
    )
    with st.expander("Settings of this run as YAML"):
        st.code(run.config.to_yaml(), language="yaml")


def tabs(run: RunRow, measure: tasks.Measure) -> None:
    """By class and confusion where each row has one class; the curves of every run."""
    matrix = [found for found in store.confusions(run.id) if found.split == "test"]
    by_class, confusion, learning = st.tabs(["By class", "Confusion", "Curves"]) if matrix else (None, None, None)
    if by_class and confusion:
        with by_class:
            per_class(matrix)
        with confusion:
            matrices(matrix)
    with learning or st.container():
        curves(run, measure)


def show(run: RunRow) -> None:
    set_title(f"Results of run {run.id}")
    task = task_of(run)
    measure = task.measures[0]
    headline(run)
    evaluations = store.evaluations(run.id)
    if run.verdict and evaluations:
        on_test = (found for found in evaluations if found.split in ("", "test"))
        side_by_side({(found.role, found.metric): found for found in on_test}, task)
        figure = charts.measures(evaluations, measure)
        st.plotly_chart(figure, key="measures", config={"displayModeBar": False})
        steps_taken(run, task)
        old_and_new(run, evaluations, measure)
        what_was_chosen(run, measure)
    if evaluations:
        tabs(run, measure)
    download(run)


st.title("Results", anchor=False)
try:
    chosen = choose()
    if chosen is not None:
        show(chosen)
except StudioError as error:
    show_error(error)
    st.page_link("all_runs.py", label="All runs", icon=":material/arrow_back:")
