"""The verdict on one run; its models side by side; export."""

from pathlib import Path
from tempfile import mkdtemp

import streamlit as st

from pages import _charts as charts
from pages._studio import errors_shown, get_home, get_store, show_error
from pages._words import count, escape, model, percent, size
from studio.errors import StudioError
from studio.events import OLD_TEST, Confusion, Evaluation
from studio.pipeline.answers import Conversion, read_conversion
from studio.service.questions import convert
from studio.store.rows import RunRow

ROLES = ("teacher", "student", "control")
OUTCOMES = {
    "better": ("Distillation was worth it", ":material/thumb_up:"),
    "no_difference": ("No certain gain from the teacher", ":material/balance:"),
    "worse": ("Better without the teacher", ":material/thumb_down:"),
    "no_control": ("Not compared with a control", ":material/help:"),
}

home, store = get_home(), get_store()


def choose() -> RunRow | None:
    """The run in the address, or the newest one with results."""
    done = [run for run in store.runs() if run.status in ("finished", "stopped")]
    wanted = st.query_params.get("run", "")
    if wanted.isdecimal() and all(run.id != int(wanted) for run in done):
        run = store.run(int(wanted))
        st.info(f"Run {run.id} is {run.status}: it has no results.", icon=":material/info:")
        st.page_link("runs.py", label="Watch it", query_params={"run": str(run.id)}, icon=":material/timeline:")
        return None
    if not done:
        st.info("No run has finished yet.", icon=":material/inbox:")
        st.page_link("home.py", label="Try a demo", icon=":material/play_arrow:")
        return None
    index = next((number for number, run in enumerate(done) if str(run.id) == wanted), 0)
    run = st.selectbox(
        "Run",
        done,
        index=index,
        format_func=lambda run: f"Run {run.id} · {run.config.dataset} · {model(run.config.student)}",
        key=f"run-{wanted}",
    )
    if str(run.id) != wanted:
        st.query_params["run"] = str(run.id)
    return run


def headline(run: RunRow) -> None:
    if run.verdict is None:
        st.warning("This run was stopped before it was measured. The student so far can be downloaded.")
        return
    words, icon = OUTCOMES[run.outcome or "no_control"]
    st.header(f"{icon} {words}", anchor=False)
    st.subheader(escape(run.verdict), anchor=False)


def side_by_side(found: dict[tuple[str, str], Evaluation]) -> None:
    roles = [role for role in ROLES if (role, "accuracy") in found]
    for column, role in zip(st.columns(len(roles)), roles, strict=True):
        with column, st.container(border=True):
            st.subheader(role.capitalize(), anchor=False)
            st.caption({"teacher": "the large model", "student": "taught by the teacher",
                        "control": "the same student, taught by the labels alone"}[role])  # fmt: skip
            accuracy = found[role, "accuracy"]
            st.metric(
                "Accuracy",
                percent(accuracy.value),
                against(found, role, "accuracy"),
                delta_color="off",
                delta_arrow="off",
            )
            st.caption(f"95 % interval {interval(accuracy)}, {accuracy.n:,} test rows")
            first, second = st.columns(2)
            first.metric("Macro F1", percent(found[role, "f1_macro"].value), help="All classes count the same.")
            second.metric("Parameters", count(found[role, "parameters"].value))
            first.metric("Size on disk", size(found[role, "size_bytes"].value))
            second.metric("Latency", f"{found[role, 'latency_ms'].value:.2f} ms", help=latency_help(found, role))


def latency_help(found: dict[tuple[str, str], Evaluation], role: str) -> str:
    """What the one number leaves out; older runs did not measure it."""
    slow, many = found.get((role, "latency_p95_ms")), found.get((role, "latency_32_ms"))
    told = "One row at a time, median, in the form in which it is saved."
    if slow is None or many is None:
        return told
    return f"{told} 95 of 100 passes took less than {slow.value:.2f} ms. 32 rows together: {many.value:.2f} ms."


def against(found: dict[tuple[str, str], Evaluation], role: str, metric: str) -> str:
    """The share of the teacher's value."""
    if role == "teacher" or ("teacher", metric) not in found:
        return "the mark to reach"
    return f"{percent(found[role, metric].value / found['teacher', metric].value)} of the teacher"


def interval(one: Evaluation) -> str:
    return f"{percent(one.low)} to {percent(one.high)}" if one.low is not None and one.high is not None else "not known"


def old_and_new(run: RunRow, evaluations: list[Evaluation]) -> None:
    """Where a student went on with new data: what it knows of each."""
    if not any(one.split == OLD_TEST for one in evaluations):
        return
    st.subheader("New and old data", anchor=False)
    st.caption(f"The student went on with **{escape(run.config.dataset)}** and repeated "
               f"**{escape(run.config.replay)}** so as not to forget it.")  # fmt: skip
    table = []
    for words, split in (("New", "test"), ("Old", OLD_TEST)):
        found = {one.role: one for one in evaluations if one.split == split and one.metric == "accuracy"}
        shares = {role.capitalize(): f"{percent(one.value)} ({interval(one)})" for role, one in found.items()}
        table.append({"Data": words, "Test rows": next(iter(found.values())).n, **shares})
    st.dataframe(table, hide_index=True)


def steps_taken(run: RunRow) -> None:
    """What each step of the plan cost and brought."""
    told = store.milestones(run.id)
    if not told:
        return
    st.subheader("Step by step", anchor=False)
    st.caption("Each step of the plan as it left the student, on validation rows; the test rows are read once, above.")
    table = []
    for number, one in enumerate(told):
        before = told[number - 1] if number > 1 else None
        change = f"{100 * (one.value - before.value):+.1f}" if before else ""
        table.append({
            "Step": one.title,
            "Right": f"{percent(one.value)} ({percent(one.low)} to {percent(one.high)})",
            "Change": change.replace("-", "−"),
            "Parameters": count(one.parameters),
            "Size": size(one.size_bytes),
            "One row": f"{one.latency_ms:.2f} ms",
        })  # fmt: skip
    st.dataframe(table, hide_index=True, column_config={"Change": st.column_config.TextColumn(help="Points")})
    st.plotly_chart(charts.milestones(told), key="milestones", config={"displayModeBar": False})


def what_was_chosen(run: RunRow) -> None:
    """Temperature and alpha that the run found by trying, and all that it tried."""
    choice = store.choice(run.id)
    if choice is None:
        return
    st.subheader("Temperature and alpha", anchor=False)
    st.markdown(f"T = **{choice.temperature:g}**, alpha = **{choice.alpha:g}**. {escape(choice.reason)}")
    with st.expander("All short trials"):
        tried = [{"Temperature": t, "Alpha": a, "Right on validation rows": share} for t, a, share in choice.tried]
        shares = st.column_config.ProgressColumn(min_value=0, max_value=1, format="percent")
        st.dataframe(tried, hide_index=True, column_config={"Right on validation rows": shares})


def per_class(confusions: list[Confusion]) -> None:
    """Share of each class that each model gets right."""
    table = []
    for number, label in enumerate(confusions[0].labels):
        rows = sum(confusions[0].counts[number])
        right = {one.role.capitalize(): one.counts[number][number] / rows if rows else None for one in confusions}
        table.append({"Class": label, "Test rows": rows, **right})
    share = st.column_config.ProgressColumn(min_value=0, max_value=1, format="percent")
    st.dataframe(table, hide_index=True, column_config={one.role.capitalize(): share for one in confusions})


def matrices(confusions: list[Confusion]) -> None:
    names = [one.role for one in confusions]
    role = st.segmented_control("Model", names, default="student" if "student" in names else names[0], key="matrix")
    shown = next((one for one in confusions if one.role == role), confusions[0])
    st.plotly_chart(charts.confusion(shown), key=f"confusion-{shown.role}")


def curves(run: RunRow) -> None:
    points = store.curve(run.id)
    left, right = st.columns(2)
    left.markdown("**Loss**")
    right.markdown("**Accuracy on validation data**")
    left.plotly_chart(charts.loss_curves(points), key="loss")
    right.plotly_chart(charts.accuracy_curves(points), key="accuracy")


def show_forms(conversion: Conversion) -> None:
    """The student in torch and as ONNX side by side."""
    table = [
        {
            "Form": one.name,
            "Size": size(one.size_bytes),
            "One row": f"{one.latency_ms:.2f} ms",
            "Same choice as in torch": percent(one.same),
        }
        for one in conversion.forms
    ]
    st.dataframe(table, hide_index=True)
    for one in conversion.forms:
        if one.left_out:
            st.warning(f"The {one.name} file is left out. {escape(one.left_out)}", icon=":material/warning:")
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
            st.caption("First sign in on the studio's machine with `hf auth login`, or set HF_TOKEN.")
            return
        name = st.text_input("New repository", placeholder="my-name/my-student", key="push-name")
        public = st.toggle("Everybody may see it", key="push-public")
        if st.button("Push", icon=":material/cloud_upload:", key="push", disabled=not name.strip()):
            with errors_shown(), st.spinner("Pushing …"):
                address = export.push(home, store, run.id, name.strip(), private=not public)
                st.success(f"Pushed to {escape(address)}.", icon=":material/check_circle:")


def download(run: RunRow) -> None:
    from studio.service import export

    st.subheader("Take it with you", anchor=False)
    if not home.model(run.id, "student").is_dir():
        st.caption("This run saved no student.")
        return
    st.caption("A Hugging Face folder with a model card and the settings that made it, and the same as ONNX files.")
    if st.button("Prepare the student", icon=":material/inventory_2:", key="prepare"):
        with errors_shown(), st.spinner("Converting to ONNX, checking it on validation rows …"):
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
        label="Go on with new data",
        query_params={"student": f"run:{run.id}/student", "teacher": teacher_of(run)},
        icon=":material/update:",
    )
    with st.expander("Settings of this run as YAML"):
        st.code(run.config.to_yaml(), language="yaml")


st.title("Results", anchor=False)
try:
    chosen = choose()
    if chosen is not None:
        headline(chosen)
        evaluations = store.evaluations(chosen.id)
        matrix = [one for one in store.confusions(chosen.id) if one.split == "test"]
        if chosen.verdict and evaluations:
            side_by_side({(one.role, one.metric): one for one in evaluations if one.split in ("", "test")})
            st.plotly_chart(charts.accuracies(evaluations), key="accuracies", config={"displayModeBar": False})
            steps_taken(chosen)
            old_and_new(chosen, evaluations)
            what_was_chosen(chosen)
        if evaluations and not matrix:
            st.caption("A row counts as right when all its labels are, and none too many. Macro F1 is over the labels.")
            curves(chosen)
        if matrix:
            by_class, confusion, learning = st.tabs(["By class", "Confusion", "Curves"])
            with by_class:
                per_class(matrix)
            with confusion:
                matrices(matrix)
            with learning:
                curves(chosen)
        download(chosen)
except StudioError as error:
    show_error(error)
