"""The live view of one run."""

import time
from functools import partial

import streamlit as st

from pages import _charts as charts
from pages import _pictures as pictures
from pages._live_chart import live_chart
from pages._studio import errors_shown, get_acts, get_home, get_store, run_in_address, set_title, show_error, task_of
from pages._watched import watched
from pages._words import (
    badge,
    duration,
    escape,
    method,
    model,
    size,
    teachers,
)
from studio.config import plan
from studio.errors import StudioError
from studio.machine.identity import is_here
from studio.pipeline.timetable import Whole, help_of, title
from studio.service.progress import whole
from studio.service.runs import disk_bytes
from studio.store.rows import RunRow, Status

LOG_LINES = 200

acts, home, store = get_acts(), get_home(), get_store()


def one_run(run: RunRow) -> None:
    st.page_link("all_runs.py", label="All runs", icon=":material/arrow_back:")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.title(f"Run {run.id}", anchor=False, width="content")
        buttons(run)
    teach = "teach" if run.config.more_teachers else "teaches"
    through = "".join(f" via {model(assistant)}" for assistant in run.config.assistants)
    st.markdown(
        f"{escape(run.config.dataset)}: **{escape(teachers(run.config))}** {teach} "
        f"**{escape(model(run.config.student))}**{escape(through)} "
        f"· T = {run.config.temperature:g} · alpha = {run.config.alpha:g} · {escape(method(run.config))}"
        + (f" · {run.config.devices} devices" if run.config.devices > 1 else "")
    )
    if len(run.config.steps) > 1:
        st.caption(f"Plan: {escape(' → '.join(plan.title(step) for step in run.config.steps))}")
    if run.made_by:
        st.caption(f"Started by {escape(run.made_by)}.")
    choice = store.choice(run.id)
    if choice is not None:
        st.caption(
            f"Tuned automatically: T = {choice.temperature:g}, alpha = {choice.alpha:g}. {escape(choice.reason)}"
        )
    live(run)


@st.fragment
def _still(run_id: int, shown: Status) -> None:
    body(run_id, shown)


@st.fragment(run_every="1s")
def _moving(run_id: int, shown: Status) -> None:
    body(run_id, shown)


def live(run: RunRow) -> None:
    """Redraw each second while the run goes on; once when it is over."""
    (_still if run.is_over else _moving)(run.id, run.status)


def body(run_id: int, shown: Status) -> None:
    """`shown` is the status that the rest of the page was drawn with: when it changes, so do the buttons."""
    run = store.run(run_id)
    if run.status != shown:
        st.rerun()
    status(run)
    curves(run)
    below(run)


def curves(run: RunRow) -> None:
    """The deciding measure first; losses, whose sizes cannot be compared between models, behind a click."""
    held = watched(run)
    points = held.points()
    measure = task_of(run).measures[0]
    losses = [point for point in points if point.name.endswith("loss")]
    measures = [point for point in points if point.name == measure.name]
    first, second = measure.title, "Loss"
    shown = st.segmented_control("Curves", [first, second], default=first, key=f"curves-{run.id}",
                                 label_visibility="collapsed") or first  # fmt: skip
    if shown == first:
        st.caption(
            f"{measure.title} on validation data: how good each model is after every look at it. Higher is better."
        )
        if measures:
            figure = held.figure("measure", measures, partial(charts.measure_curves, measure=measure))
            live_chart(figure, alt=f"{measure.title} on validation data", key=f"measure-{run.id}")
        else:
            st.info("The first point appears after the first validation.", icon=":material/hourglass_empty:")
        return
    st.caption(
        "What training makes small. Compare a curve with itself: teacher, student and control have other losses."
    )
    if losses:
        figure = held.figure("loss", losses, charts.loss_curves)
        live_chart(figure, alt="Loss of teacher, student and control", key=f"loss-{run.id}")
    else:
        st.info("The first point appears after the first step.", icon=":material/hourglass_empty:")


def status(run: RunRow) -> None:
    """Where the run is, in one sentence, one bar and one time; what to do when it is over."""
    if run.unreadable and not run.is_over:
        st.warning(escape(run.unreadable), icon=":material/warning:")
    if run.status == "queued":
        queue = store.queue()
        before = queue.index(run.id) if run.id in queue else 0
        ahead = before + sum(other.status == "running" for other in store.runs())
        waits = f"{ahead} run{'s' if ahead != 1 else ''} ahead of this one." if ahead else "It starts in a moment."
        st.markdown(f"{badge(run)} {waits}")
    elif run.status == "running":
        done, phase = whole(store, run), run.phase or ""
        note = run.detail or help_of(phase)
        st.markdown(f"{badge(run)} **{title(phase)}**: {escape(note)}")
        st.progress(done.share, text=f"{100 * done.share:.0f} % of the run {remaining(done)}")
        if run.stop_requested:
            doing = "Pausing" if run.paused else "Stopping"
            st.caption(f"{doing}: saving what the student has learned so far.")
    else:
        ended(run)
    timeline(run)


def ended(run: RunRow) -> None:
    """What came of it, and one button."""
    if run.status == "failed":
        show_error(StudioError(run.message or "The run failed.", run.cure or ""))
    else:
        st.markdown(f"{badge(run)} {escape(run.verdict or 'It can be resumed from where it was.')}")
    with st.container(horizontal=True, vertical_alignment="center"):
        if run.verdict or home.model(run.id, "student").is_dir():
            label = "See the results" if run.verdict else "Download the student so far"
            if st.button(label, key="results", icon=":material/arrow_forward:",
                         type="primary" if run.verdict else "secondary"):  # fmt: skip
                st.switch_page("results.py", query_params={"run": str(run.id)})
        if acts.person.has("member"):
            st.page_link("new_run.py", label="Change and start again", query_params={"from": str(run.id)},
                         icon=":material/replay:", width="content")  # fmt: skip


def timeline(run: RunRow) -> None:
    """The stages: done, now, to come. Runs of earlier versions show what they have been through."""
    begun = {row.name: row.seconds for row in store.phases(run.id)}
    planned = [stage.phase for stage in store.timetable(run.id)]
    names = planned if set(begun) <= set(planned) else list(begun)
    shown = [(name, title(name)) for name in names if name in begun or not run.is_over]
    if shown:
        st.html(pictures.stages(shown, begun, run.phase if run.status == "running" else None))


def remaining(done: Whole) -> str:
    """How long the whole run still takes, as far as that can be told."""
    left = done.seconds_left
    return "" if left is None or left < 1 else f"· about {duration(left)} left"


@st.dialog("Stop this run?")
def confirm_stop(run_id: int) -> None:
    st.write("The student keeps what it has learned so far. A stopped run has no verdict; you can resume it later.")
    if st.button("Stop the run", type="primary"):
        with errors_shown():
            acts.stop(run_id)
            st.rerun()


@st.dialog("Take this run back?")
def confirm_take_back(run_id: int) -> None:
    st.write("Its process is on another machine, or in another container. The run goes on here from its last "
             "checkpoint; if that process is alive after all, it ends.")  # fmt: skip
    if st.button("Take this run back", type="primary", key="take back now"):
        with errors_shown():
            acts.take_back(run_id)
            st.rerun()


@st.dialog("Delete this run?")
def confirm_delete(run_id: int) -> None:
    users = store.users_of(run_id)
    if users:
        st.write(
            f"Run {', '.join(map(str, users))} uses models of this run, so it cannot be deleted. Archive it instead."
        )
        return
    st.write(f"This deletes its models, curves and results and frees {size(disk_bytes(home, run_id))}.")
    if st.button("Delete permanently", type="primary"):
        with errors_shown():
            acts.delete_run(run_id)
            st.switch_page("all_runs.py")


def buttons(run: RunRow) -> None:
    """What can be done with the run as it stands, by whom it belongs to."""
    if not acts.may_change(run):
        return
    if run.status == "queued":
        queue_buttons(run)
    if run.status == "running":
        st.button("Pause", icon=":material/pause_circle:", key="pause", help="Resume it later from where it is.",
                  disabled=run.stop_requested, on_click=acts.stop, args=(run.id, True))  # fmt: skip
    if not run.is_over and st.button("Stop", icon=":material/stop_circle:", disabled=run.stop_requested, key="stop"):
        confirm_stop(run.id)
    if (
        run.status == "running"
        and not is_here(run.owner)
        and st.button("Take this run back", icon=":material/settings_backup_restore:", key="take back")
    ):
        confirm_take_back(run.id)
    help_text = "From where it was; nothing is repeated."
    if run.can_resume and st.button("Resume", icon=":material/play_circle:", type="primary", key="resume",
                                    help=help_text):  # fmt: skip
        with errors_shown():
            acts.resume(run.id)
            st.rerun()
    if run.is_over:
        word, icon = ("Unarchive", "unarchive") if run.archived else ("Archive", "archive")
        st.button(word, icon=f":material/{icon}:", key="archive", help="Hidden from the list; nothing is lost.",
                  on_click=acts.archive, args=(run.id, not run.archived))  # fmt: skip
        if st.button("Delete", icon=":material/delete:", key="delete"):
            confirm_delete(run.id)


def queue_buttons(run: RunRow) -> None:
    """Move a waiting run to another place in the queue."""
    queue = store.queue()
    place = queue.index(run.id) if run.id in queue else 0
    is_first, is_last = place == 0, place >= len(queue) - 1
    st.button("To the front", icon=":material/vertical_align_top:", key="front", help="Run it next.",
              disabled=is_first, on_click=acts.move, args=(run.id, 0))  # fmt: skip
    st.button("Move up", icon=":material/arrow_upward:", key="earlier", help="One place forward.",
              disabled=is_first, on_click=acts.move, args=(run.id, place - 1))  # fmt: skip
    st.button("Move down", icon=":material/arrow_downward:", key="later", help="One place back.",
              disabled=is_last, on_click=acts.move, args=(run.id, place + 1))  # fmt: skip


def below(run: RunRow) -> None:
    """Log and machine, folded away; they are only read when they are open."""
    log = st.expander("Log", expanded=run.status == "failed", on_change="rerun", key=f"log-{run.id}-{run.status}")
    if log.open:
        with log:
            lines = store.logs(run.id)[-LOG_LINES:]
            written = [f"{time.strftime('%H:%M:%S', time.localtime(line.time))}  {line.message}" for line in lines]
            st.code("\n".join(written) or "Nothing yet.", language=None, wrap_lines=True)
    machine = st.expander("Machine", on_change="rerun", key=f"machine-{run.id}")
    if machine.open:
        with machine:
            show_machine(run)


def show_machine(run: RunRow) -> None:
    """What the run uses of the machine, and used so far."""
    use = store.device_use(run.id)
    if not use:
        st.caption("Measured every two seconds while the run is active.")
        return
    latest = {point.name: point.value for point in use}
    with st.container(horizontal=True):
        st.metric("Processor, % of one core", f"{latest.get('cpu_percent', 0):.0f}", border=True)
        st.metric("Memory", size(latest.get("memory_bytes", 0)), border=True)
        if "gpu_percent" in latest:
            st.metric("GPU busy", f"{latest['gpu_percent']:.0f} %", border=True)
        if "gpu_memory_bytes" in latest:
            st.metric("GPU memory", size(latest["gpu_memory_bytes"]), border=True)
    held, (left, right) = watched(run), st.columns(2)
    with left:
        figure = held.figure("device", use, charts.device_curves)
        live_chart(figure, alt="How busy processor and GPUs are", key=f"device-{run.id}")
    with right:
        figure = held.figure("memory", use, charts.memory_curves)
        live_chart(figure, alt="Memory in use", key=f"memory-{run.id}")


try:
    wanted = run_in_address("run")
    if wanted is None:
        st.switch_page("all_runs.py")
    set_title(f"Run {wanted.id}")
    one_run(wanted)
except StudioError as error:
    show_error(error)
    st.page_link("all_runs.py", label="All runs", icon=":material/arrow_back:")
