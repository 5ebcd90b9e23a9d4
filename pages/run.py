"""The live view of one run."""

import time
from functools import partial

import streamlit as st

from pages import _address as address
from pages import _charts as charts
from pages import _learned as learned
from pages import _pictures as pictures
from pages._language import _, retell
from pages._live_chart import live_chart
from pages._markup import element
from pages._run_rows import name_of, state_badge
from pages._scores import scored, three
from pages._studio import (
    errors_shown,
    get_acts,
    get_home,
    get_store,
    go_to,
    run_in_address,
    set_title,
    show_error,
    task_of,
)
from pages._watched import watched
from pages._words import (
    about,
    commas,
    data_name,
    effect_of,
    escape,
    listed,
    made,
    method,
    model,
    per_cent,
    size,
    stage_help,
    stage_title,
    teachers,
)
from studio.config import plan
from studio.config.reading import with_values
from studio.errors import StudioError
from studio.language.escaping import in_terminal
from studio.machine.identity import is_here
from studio.pipeline.timetable import Whole
from studio.service.progress import whole
from studio.service.runs import disk_bytes
from studio.store.rows import RunRow, Status
from studio.tasks import Measure

LOG_LINES, ALLOWED = 200, "allow_weak_teacher"

acts, home, store = get_acts(), get_home(), get_store()


def one_run(run: RunRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link("all_runs.py", label=_("All runs"), icon=":material/arrow_back:", width="content")
        st.caption(_("Run {run} · {made}", run=run.id, made=made(run)), width="content")
    with st.container(horizontal=True, vertical_alignment="center", key="run-title"):
        st.title(escape(name_of(run)), anchor=False, width="stretch")
        buttons(run)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(pictures.pair(teachers(run.config), model(run.config.student)), width="content")
        st.caption(escape(" · ".join(settings(run))), width="content", help=_(
            "T, the temperature: how soft the teacher’s answers are made before the student learns from them. Alpha: "
            "how much the student listens to the teacher (1) rather than to the labels (0)."))  # fmt: skip
    if run.note:
        st.html(element("p", run.note, kind="ds-remark"))
    live(run)


def settings(run: RunRow) -> list[str]:
    """What a run was told, in a few words each; temperature and alpha as they were tuned."""
    config, choice = run.config, store.choice(run.id)
    temperature, alpha = (config.temperature, config.alpha) if choice is None else (choice.temperature, choice.alpha)
    facts = [data_name(config.dataset)] if run.name else []
    facts += [method(config), f"T = {temperature:.3g}", f"alpha = {alpha:.3g}"]
    if choice is not None:
        facts.append(_("tuned automatically: {reason}", reason=retell(choice.reason)))
    if config.assistants:
        facts.append(_("via {models}", models=listed([model(assistant) for assistant in config.assistants])))
    if len(config.steps) > 1:
        facts.append(_("Plan: {steps}", steps=" → ".join(retell(plan.title(step)) for step in config.steps)))
    if config.devices > 1:
        facts.append(_("{number} devices", number=config.devices))
    return facts


@st.fragment
@errors_shown()
def _still(run_id: int, shown: Status) -> None:
    body(run_id, shown)


@st.fragment(run_every="1s")
@errors_shown()
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
    with st.container(border=True, key="card-status"):
        status(run)
    curves(run)
    below(run)


def curves(run: RunRow) -> None:
    """The deciding measure first; losses behind a click. The tab that is open stands in the address. A run that
    waits, or ended before its first point, has none."""
    if run.status == "queued" or (run.is_over and not watched(run).points()):
        return
    measure = task_of(run).measures[0]
    found = address.tabs("curves", {"quality": _(measure.title), "loss": _("Loss")})
    with found["quality"]:
        if found["quality"].open:
            quality(run, measure)
    with found["loss"]:
        if found["loss"].open:
            losses(run)


def quality(run: RunRow, measure: Measure) -> None:
    """How good each model is on validation rows; the finding is the title."""
    held, course = watched(run), learned.course_of(store, run)
    points = [point for point in held.points() if point.name == measure.name]
    figure = held.figure("measure", points, partial(charts.measure_curves, measure=measure)) if points else None
    st.html(learned.quality_told(points, measure, course))  # after the figure, which takes longer: they come together
    if figure is not None:
        alt = _("{measure} on validation data", measure=_(measure.title))
        live_chart(figure, alt=f"{alt}: {learned.reached(points, measure, course)}", key=f"measure-{run.id}")
    else:
        no_point(run, _("The first point appears after the first validation."))


def no_point(run: RunRow, words: str) -> None:
    """What stands where a curve will be; of a run that is over, that there will be none."""
    if run.is_over:
        st.caption(_("The run ended before that."))
    else:
        st.info(words, icon=":material/hourglass_empty:")


def losses(run: RunRow) -> None:
    """What training makes small, each curve against its own start: so they can be compared."""
    held, course = watched(run), learned.course_of(store, run)
    points = [point for point in held.points() if point.name.endswith("loss")]
    figure = held.figure("loss", points, charts.loss_curves) if points else None
    st.html(learned.losses_told(points, course))
    if figure is not None:
        live_chart(figure, alt=learned.loss_left(points, course), key=f"loss-{run.id}")
    else:
        no_point(run, _("The first point appears after the first step."))


def status(run: RunRow) -> None:
    """Where the run is, in one sentence, one bar and one time; what to do when it is over."""
    if run.unreadable and not run.is_over:
        st.warning(escape(run.unreadable), icon=":material/warning:")
    if run.status == "queued":
        told(run, waits(run))
    elif run.status == "running":
        done, phase = whole(store, run), run.phase or ""
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            doing = escape(retell(run.detail) or stage_help(phase))
            told(run, _("**{stage}**: {doing}", stage=stage_title(phase), doing=doing))
            far = f"**{_('{number} %', number=f'{min(99, 100 * done.share):.0f}')}**"
            st.markdown(" · ".join(filter(None, [far, remaining(done)])), width="content")
        st.html(pictures.bar(done.share))
        if run.stop_requested:
            st.caption(
                _("Pausing: saving what the student has learned so far.")
                if run.paused
                else _("Stopping: saving what the student has learned so far.")
            )
    else:
        ended(run)
    timeline(run)


def told(run: RunRow, words: str) -> None:
    """The state as a badge, and a sentence beside it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="state"):
        st.html(state_badge(run), width="content")
        st.markdown(words)


def waits(run: RunRow) -> str:
    """How many runs come before one that waits."""
    queue = store.queue()
    before = queue.index(run.id) if run.id in queue else 0
    ahead = before + sum(other.status == "running" for other in store.runs())
    if not ahead:
        return _("It starts in a moment.")
    return _("1 run ahead of this one.") if ahead == 1 else _("{number} runs ahead of this one.", number=ahead)


def ended(run: RunRow) -> None:
    """What came of it, in three numbers and a sentence, and one button."""
    if run.status == "failed":
        st.html(state_badge(run), width="content")
        show_error(StudioError(run.message or _("The run failed."), run.cure or ""))
    else:
        measure = task_of(run).measures[0]
        numbers = three(scored(store.evaluations(run.id), measure), measure, run.outcome) if run.verdict else []
        sentence = (effect_of(run.verdict) if numbers else retell(run.verdict)) if run.verdict else ""
        told(run, escape(sentence or _("It can be resumed from where it was.")))
        if numbers:
            st.html(pictures.numbers(numbers, few=True))
    with st.container(horizontal=True, vertical_alignment="center"):
        if run.verdict or home.model(run.id, "student").is_dir():
            label = _("See the results") if run.verdict else _("Download the student so far")
            if st.button(label, key="results", icon=":material/arrow_forward:",
                         type="primary" if run.verdict else "secondary"):  # fmt: skip
                go_to("results.py", {"run": str(run.id)})
        if acts.person.has("member"):
            start_again(run)
            go_on(run)


def start_again(run: RunRow) -> None:
    """The way to the same run with other settings: the first thing to do where this one failed."""
    label, query, icon = _("Change and start again"), {"from": str(run.id)}, ":material/replay:"
    if run.status != "failed":
        st.page_link("new_run.py", label=label, query_params=query, icon=icon, width="content")
    elif st.button(label, key="start-again", icon=icon, type="primary"):
        go_to("new_run.py", query)


def go_on(run: RunRow) -> None:
    """Where a run ended because its teacher is weak: the same run, which is not ended by that. The same click starts it
    once."""
    if run.status != "failed" or run.config.allow_weak_teacher or ALLOWED not in (run.cure or ""):
        return
    help_text = _("Starts this run again; the student then learns from this teacher, however weak it is.")
    if st.button(_("Go on with this teacher"), key="go-on", help=help_text):
        with errors_shown():
            same = acts.start(with_values(run.config, **{ALLOWED: True}), key=f"{ALLOWED}-{run.id}")
            go_to("run.py", {"run": str(same.id)})


def timeline(run: RunRow) -> None:
    """The stages: done, now, to come. Runs of earlier versions show what they have been through."""
    begun = {row.name: row.seconds for row in store.phases(run.id)}
    planned = [stage.phase for stage in store.timetable(run.id)]
    names = planned if set(begun) <= set(planned) else list(begun)
    shown = [(name, stage_title(name)) for name in names if name in begun or not run.is_over]
    if shown:
        st.html(pictures.stages(shown, begun, run.phase if run.status == "running" else None))


def remaining(done: Whole) -> str:
    """How long the whole run still takes, as far as that can be told."""
    left = done.seconds_left
    return "" if left is None or left < 1 else _("{time} left", time=about(left))


@st.dialog(_("Stop this run?"))
def confirm_stop(run_id: int) -> None:
    st.write(_(
        "The student keeps what it has learned so far. A stopped run has no verdict; you can resume it later."
    ))  # fmt: skip
    if st.button(_("Stop the run"), type="primary"):
        with errors_shown():
            acts.stop(run_id)
            st.rerun()


@st.dialog(_("Take this run back?"))
def confirm_take_back(run_id: int) -> None:
    st.write(_(
        "Its process is on another machine, or in another container. The run goes on here from its last checkpoint; "
        "if that process is alive after all, it ends."
    ))  # fmt: skip
    if st.button(_("Take this run back"), type="primary", key="take back now"):
        with errors_shown():
            acts.take_back(run_id)
            st.rerun()


@st.dialog(_("Delete this run?"))
def confirm_delete(run_id: int) -> None:
    users = store.users_of(run_id)
    if users:
        st.write(_(
            "It cannot be deleted: its models are used by run {runs}. Archive it instead.",
            runs=commas(map(str, users)),
        ))  # fmt: skip
        return
    st.write(_("This deletes its models, curves and results and frees {size}.", size=size(disk_bytes(home, run_id))))
    if st.button(_("Delete permanently"), type="primary"):
        with errors_shown():
            acts.delete_run(run_id)
            go_to("all_runs.py")


def buttons(run: RunRow) -> None:
    """What can be done with the run as it stands, by whom it belongs to."""
    if not acts.may_change(run):
        return
    if run.status == "queued":
        queue_buttons(run)
    if run.status == "running":
        st.button(_("Pause"), icon=":material/pause_circle:", key="pause", help=_("Resume it later from where it is."),
                  disabled=run.stop_requested, on_click=acts.stop, args=(run.id, True))  # fmt: skip
    if not run.is_over and st.button(_("Stop"), icon=":material/stop_circle:", disabled=run.stop_requested, key="stop"):
        confirm_stop(run.id)
    if (
        run.status == "running"
        and not is_here(run.owner)
        and st.button(_("Take this run back"), icon=":material/settings_backup_restore:", key="take back")
    ):
        confirm_take_back(run.id)
    if run.can_resume and st.button(_("Resume"), icon=":material/play_circle:", key="resume",
                                    type="secondary" if run.status == "failed" else "primary",
                                    help=_("From where it was; nothing is repeated.")):  # fmt: skip
        with errors_shown():
            acts.resume(run.id)
            st.rerun()
    if run.is_over:
        put_away(run)


def put_away(run: RunRow) -> None:
    """Archive and delete: seldom wanted, and so behind one quiet button."""
    with st.popover(_("More"), icon=":material/more_horiz:", type="tertiary", key="put-away"):
        word, icon = (_("Unarchive"), "unarchive") if run.archived else (_("Archive"), "archive")
        st.button(word, icon=f":material/{icon}:", key="archive", help=_("Hidden from the list; nothing is lost."),
                  on_click=acts.archive, args=(run.id, not run.archived), width="stretch")  # fmt: skip
        if st.button(_("Delete"), icon=":material/delete:", key="delete", width="stretch"):
            confirm_delete(run.id)


def queue_buttons(run: RunRow) -> None:
    """Move a waiting run to another place in the queue, where others wait, too."""
    queue = store.queue()
    if len(queue) < 2:
        return
    place = queue.index(run.id) if run.id in queue else 0
    is_first, is_last = place == 0, place >= len(queue) - 1
    st.button(_("To the front"), icon=":material/vertical_align_top:", key="front", help=_("Run it next."),
              disabled=is_first, on_click=acts.move, args=(run.id, 0))  # fmt: skip
    st.button(_("Move up"), icon=":material/arrow_upward:", key="earlier", help=_("One place forward."),
              disabled=is_first, on_click=acts.move, args=(run.id, place - 1))  # fmt: skip
    st.button(_("Move down"), icon=":material/arrow_downward:", key="later", help=_("One place back."),
              disabled=is_last, on_click=acts.move, args=(run.id, place + 1))  # fmt: skip


def below(run: RunRow) -> None:
    """Log and machine, folded away; they are only read when they are open."""
    log = st.expander(_("Log"), expanded=run.status == "failed", on_change="rerun", key=f"log-{run.id}-{run.status}")
    if log.open:
        with log:
            lines = store.logs(run.id)[-LOG_LINES:]
            written = [
                f"{time.strftime('%H:%M:%S', time.localtime(line.time))}  {retell(line.message)}" for line in lines
            ]
            st.code(in_terminal("\n".join(written)) or _("Nothing yet."), language=None, wrap_lines=True)
    machine = st.expander(_("Machine"), on_change="rerun", key=f"machine-{run.id}")
    if machine.open:
        with machine:
            show_machine(run)


def show_machine(run: RunRow) -> None:
    """What the run uses of the machine, and used so far."""
    use = store.device_use(run.id)
    if not use:
        st.caption(_("Measured every two seconds while the run is active."))
        return
    latest = {point.name: point.value for point in use}
    with st.container(horizontal=True):
        st.metric(_("Processor, % of one core"), f"{latest.get('cpu_percent', 0):.0f}", border=True)
        st.metric(_("Memory"), size(latest.get("memory_bytes", 0)), border=True)
        if "gpu_percent" in latest:
            st.metric(_("GPU busy"), f"{latest['gpu_percent']:.0f}{per_cent()}", border=True)
        if "gpu_memory_bytes" in latest:
            st.metric(_("GPU memory"), size(latest["gpu_memory_bytes"]), border=True)
    held, (left, right) = watched(run), st.columns(2)
    with left:
        figure = held.figure("device", use, charts.device_curves)
        st.html(pictures.titled(learned.busy(use), _("100 % is one core, or a whole GPU.")))
        live_chart(figure, alt=learned.busy(use), key=f"device-{run.id}")
    with right:
        figure = held.figure("memory", use, charts.memory_curves)
        st.html(pictures.titled(learned.held(use), _("Memory of all processes of the run, in gigabytes.")))
        live_chart(figure, alt=learned.held(use), key=f"memory-{run.id}")


def no_such_run(error: StudioError) -> None:
    """What is wrong with the address, and the way on."""
    st.title(_("No such run"), anchor=False)
    show_error(error)
    st.page_link("all_runs.py", label=_("All runs"), icon=":material/arrow_back:")


try:
    wanted = run_in_address("run")
    if wanted is None:
        go_to("all_runs.py")
    set_title(_("Run {run}: {dataset}", run=wanted.id, dataset=data_name(wanted.config.dataset)))
except StudioError as error:
    no_such_run(error)
else:
    with errors_shown():
        one_run(wanted)
