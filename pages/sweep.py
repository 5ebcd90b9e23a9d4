"""A search for settings: what is varied and what the student must keep to; then its trials, the best so far, and which
setting decided."""

import math
import uuid

import streamlit as st

from pages import _pictures as pictures
from pages import _run_pictures as run_pictures
from pages import _tried
from pages._language import _, counted, retell
from pages._markup import element
from pages._scores import milliseconds, scored, small
from pages._studio import errors_shown, get_acts, get_home, get_store, go_to, task_of
from pages._words import ago, data_name, escape, listed, measured, model, percent, run_name, sentences, size
from studio.config.reading import bounds
from studio.config.run import RunConfig
from studio.config.sweep import MOST_TRIALS, parse_sweep, parse_sweep_yaml
from studio.service import sweeps
from studio.service.sweeps import Tried
from studio.store.rows import RunRow
from studio.store.run_list import LONGEST_NAME, Wanted
from studio.store.sweeps import SweepRow
from studio.tasks import Measure

FIRST = {
    "temperature": "1..10",
    "alpha": "0.1..0.95",
    "learning_rate": "1e-5..1e-2:log",
    "epochs": "2..20",
    "batch_size": "8..64",
    "weight_decay": "0..0.1",
    "prune_ratio": "0..0.8",
}  # what is searched in, before somebody says otherwise

MOST_COMPARED, LONGEST_NUMBER, LOOK_AGAIN = 8, 18, "2s"
OVER = ("finished", "failed")

acts, home, store = get_acts(), get_home(), get_store()


def number_in_address(name: str) -> int | None:
    said = st.query_params.get(name, "")
    return int(said) if said.isdecimal() and len(said) <= LONGEST_NUMBER else None


# --- a new one


def new() -> None:
    """Ask for a search and begin it."""
    st.title(_("Search for better settings"), anchor=False)
    st.markdown(
        _(
            "Many short runs with different settings; each is measured on validation rows. The best one is then "
            "trained once more with a control, and only that run reads the test rows."
        )
    )
    if not acts.person.has("member"):
        st.info(_("To start a search, ask an admin."), icon=":material/visibility:")
        return
    runs = [listed.run for listed in store.find_runs(Wanted(states=("finished",)), 100)]
    if not runs:
        st.info(_("A search begins with a run that has finished: its settings are the ones that are varied."))
        return
    simple, written = st.tabs([_("Choose"), _("As YAML")])
    with simple:
        chosen(runs)
    with written:
        text = st.text_area(_("A search"), height=260, key="yaml", placeholder="base: …\nsearch:\n  alpha: 0.1..0.9")
        if st.button(_("Start the search"), key="start-yaml", disabled=not text.strip()):
            with errors_shown():
                begin(acts.search(parse_sweep_yaml(text), key=f"page-{uuid.uuid4()}"))


def chosen(runs: list[RunRow]) -> None:
    """The run whose settings are varied, which of them, and the limits."""
    by_id = {run.id: run for run in runs}
    asked = number_in_address("from")
    base = st.selectbox(_("Start from"), list(by_id), list(by_id).index(asked) if asked in by_id else 0, key="base",
                        format_func=lambda run_id: _run_words(by_id[run_id]))  # fmt: skip
    titles = {name: RunConfig.model_fields[name].title or name for name in FIRST}
    names = st.multiselect(_("Settings to vary"), list(FIRST), ["temperature", "alpha"], key="varied",
                           format_func=lambda name: _(titles[name]))  # fmt: skip
    search = {}
    if names:
        st.caption(_("What is tried: a range such as 1..10, or values with commas, such as 1, 2, 4."))
    columns = [column for _row in range(0, len(names), 3) for column in st.columns(3)]
    for column, name in zip(columns, names, strict=False):
        low, high = bounds(name)
        search[name] = column.text_input(
            _(titles[name]), FIRST[name], key=f"range-{name}",
            help=sentences(
                _(RunConfig.model_fields[name].description or ""),
                _("A range such as {example}, or values with commas. Between {low} and {high}.", example=FIRST[name],
                  low="−∞" if low is None else f"{low:g}", high="∞" if high is None else f"{high:g}"),
            ),
        )  # fmt: skip
    left, middle, right = st.columns(3)
    trials = left.number_input(_("Trials"), 2, MOST_TRIALS, 20, key="trials")
    time = middle.number_input(_("Longest time for one row, ms"), 0.0, value=None, key="ms", placeholder=_("any"))
    megabytes = right.number_input(_("Largest size, MB"), 0.0, value=None, key="mb", placeholder=_("any"))
    limits = [f"{time:g} ms"] if time else []
    limits += [f"{megabytes:g} MB"] if megabytes else []
    target = f"best under {' and '.join(limits)}" if limits else "best"
    if st.button(_("Start the search"), type="primary", key="begin", icon=":material/play_arrow:", disabled=not names):
        with errors_shown():
            values = {"base": by_id[base].config, "search": search, "trials": int(trials), "target": target}
            begin(acts.search(parse_sweep(values), key=f"page-{uuid.uuid4()}"))


def begin(sweep: SweepRow) -> None:
    go_to("sweep.py", {"id": str(sweep.id)})


def _run_words(run: RunRow) -> str:
    name = run_name(run.name) or data_name(run.config.dataset)
    return _("{name} · {student} · run {run}", name=name, student=model(run.config.student), run=run.id)


# --- one of them


def goes_on(sweep: SweepRow) -> bool:
    """Whether there is more to come: a trial, or the winner's own run."""
    return sweep.status == "running" or (sweep.winner is not None and not store.run(sweep.winner).is_over)


def one(sweep: SweepRow) -> None:
    """How far a search is, and what it has found: looked at again while it goes on."""
    moves = goes_on(sweep)
    st.fragment(_body, run_every=LOOK_AGAIN if moves else None)(sweep.id, moves)


@errors_shown()
def _body(sweep_id: int, moves: bool) -> None:
    sweep = store.sweep(sweep_id)
    if moves and not goes_on(sweep):
        st.rerun()
    found, measure = sweeps.tried(store, sweep), sweeps.measure(store, sweep)
    best = sweeps.best(found, sweep.config)
    st.title(escape(headline(sweep, found, best, measure)), anchor=False)
    over = sum(tried.is_over for tried in found)
    st.markdown(
        escape(
            _("Search {number} on {data} · {done} of {all} trials · {limits} · {when}", number=sweep.id,
              data=data_name(sweep.config.base.dataset), done=over, all=sweep.config.trials,
              limits=limits(sweep.config.target), when=ago(sweep.created_at))
        )
    )  # fmt: skip
    if sweep.winner is None:
        st.html(pictures.bar(over / sweep.config.trials))
    else:
        won(store.run(sweep.winner))
    under_way(found)
    if sweep.message:
        st.warning(escape(retell(sweep.message)), icon=":material/info:")
    against_before(sweep, best, measure)
    actions(sweep, found, best)
    matters(sweep, found)
    drawn = _tried.pictures(sweep.config, found, best, measure)
    if drawn and best is not None:
        st.header(_tried.since(found, best), anchor=False)
        st.caption(_("Each dot is a trial, the best one filled. {measure} on validation rows upwards.",
                     measure=_(measure.title)))  # fmt: skip
        st.html(drawn)
    if found:
        st.header(_("Trials"), anchor=False)
        note = _("{measure} on validation rows, the best first. A trial is a run of its own without a control.",
                 measure=_(measure.title))  # fmt: skip
        st.caption(sentences(note, chance(sweep, best, measure)))
        st.html(pictures.table([_row(sweep, tried, tried is best, measure) for tried in ordered(found)]))


def against_before(sweep: SweepRow, best: Tried | None, measure: Measure) -> None:
    """Whether the search has found better settings than those it began from, and the way to what the test rows say."""
    if best is None or best.value is None:
        return
    before = sweeps.began_from(store, sweep)
    if before is None:
        st.markdown(
            _("No finished run has the settings that this search began from: whether the best trial is better, a run "
              "with them would tell.")
        )  # fmt: skip
        return
    st.markdown(_compared(sweep, best, before, sweeps.value_before(store, before, best, measure.name), measure))
    if sweep.winner is not None and store.run(sweep.winner).verdict is not None:
        label = _("Compare the winner with run {run} on the test rows", run=before.id)
        both = {"runs": f"{before.id},{sweep.winner}"}
        st.page_link("compare.py", label=label, query_params=both, icon=":material/compare_arrows:")


def _compared(sweep: SweepRow, best: Tried, before: RunRow, value: float | None, measure: Measure) -> str:
    """The best trial beside the run before the search, with both numbers where they are of the same rows."""
    if value is None or best.value is None:
        return _("Run {run}, from which it began, has no value on these validation rows: whether the best trial is "
                 "better, Compare tells once both have read the test rows.", run=before.id)  # fmt: skip
    facts = {"run": before.id, "before": measured(value, measure), "value": measured(best.value, measure)}
    if best.value <= value:
        return _("No trial did better than run {run}, from which it began: {before} on the same validation rows, the "
                 "best trial {value}.", **facts)  # fmt: skip
    if measure.interval != "share":
        return _("Run {run}, from which it began, has {before} on the same validation rows, the best trial {value}. "
                 "The best of many is a little too good there: another seed would tell whether it holds.",
                 **facts)  # fmt: skip
    if best.value - value <= off_by(sweep, best, measure):
        return _("Run {run}, from which it began, has {before} on the same validation rows, the best trial {value}: so "
                 "small a gain may be chance.", **facts)  # fmt: skip
    return _("Run {run}, from which it began, has {before} on the same validation rows, the best trial {value}: more "
             "than such a value may be off by. The best of many is a little too good there; the test rows decide.",
             **facts)  # fmt: skip


def off_by(sweep: SweepRow, best: Tried, measure: Measure) -> float:
    """How far a share on so many validation rows may be off; 0 where nobody can say."""
    rows = store.dataset(sweep.config.base.dataset).splits.get("validation", 0)
    if best.value is None or measure.interval != "share" or not rows:
        return 0.0
    return 1.96 * math.sqrt(max(best.value * (1 - best.value), 1 / rows) / rows)


def chance(sweep: SweepRow, best: Tried | None, measure: Measure) -> str:
    """How far a value may be off: trials that are closer may be alike."""
    if best is None or not (off := off_by(sweep, best, measure)):
        return ""
    rows = store.dataset(sweep.config.base.dataset).splits["validation"]
    return _("On {rows} rows a value may be off by about {points} points: trials that are closer may be alike.",
             rows=f"{rows:,}", points=f"{100 * off:.0f}")  # fmt: skip


def under_way(found: list[Tried]) -> None:
    """The trial that is trained now, or waits, and the way to it."""
    now = next((tried for tried in found if tried.run and not tried.is_over), None)
    if now is None or now.run is None:
        return
    queue, number = store.queue(), now.trial.number + 1
    ahead = queue.index(now.run.id) if now.run.id in queue else 0
    ahead += sum(run.status == "running" for run in store.runs()) if now.run.status == "queued" else 0
    text = counted("Trial {trial} waits: {ahead} other run comes first",
                   "Trial {trial} waits: {ahead} other runs come first", ahead, trial=number, ahead=ahead)  # fmt: skip
    if now.run.status == "running" or not ahead:
        text = _("Trial {trial} is being trained", trial=number)
    st.page_link("run.py", label=text, query_params={"run": str(now.run.id)}, icon=":material/timeline:")


def limits(target: str) -> str:
    """What the student must keep to, of the words of a search.

    >>> limits("best under 5 ms and 10 MB"), limits("best")
    ('at most 5 ms and 10 MB', 'any size and speed')
    """
    found = target.partition(" under ")[2]
    return _("at most {limits}", limits=listed(found.split(" and "))) if found else _("any size and speed")


def won(run: RunRow) -> None:
    """What the best trial came to when it was trained once more and read the test rows."""
    if run.verdict is None:
        st.markdown(_("The best trial is trained once more now, with a control, and then reads the test rows."))
        return
    task_measure = task_of(run).measures[0]
    student = next(
        (
            scored_model
            for scored_model in scored(store.evaluations(run.id), task_measure)
            if scored_model.role == "student"
        ),
        None,
    )
    if student is not None:
        st.markdown(_("Trained once more, it reaches **{value}** on the test rows, which no trial has read.",
                      value=measured(student.value, task_measure)))  # fmt: skip


def headline(sweep: SweepRow, found: list[Tried], best: Tried | None, measure: Measure) -> str:
    if best is None or best.value is None:
        if any(tried.value is not None for tried in found):
            return _("No trial keeps to the limits")
        return _("No trial came to a result") if sweep.status in OVER else _("No trial is over yet")
    facts = {"value": measured(best.value, measure), "measure": small(_(measure.title)), "trial": best.trial.number + 1}
    if (alike := len(as_good(found, best, sweep, measure))) > 1:
        words = _(
            "{number} trials share the best value: {value} in {measure} on validation rows", number=alike, **facts
        )
        return words if sweep.status == "finished" else _("{finding}, so far", finding=words)
    if sweep.status == "finished":
        return _("Best: {value} in {measure} on validation rows, trial {trial}", **facts)
    return _("Best so far: {value} in {measure} on validation rows, trial {trial}", **facts)


def as_good(found: list[Tried], best: Tried, sweep: SweepRow, measure: Measure) -> list[Tried]:
    """The trials within the limits whose value reads as that of the best one."""
    return [tried for tried in found if tried.value is not None and sweeps.keeps_to(tried, sweep.config)
            and measured(tried.value, measure) == measured(best.value or 0, measure)]  # fmt: skip


def ordered(found: list[Tried]) -> list[Tried]:
    """The best first; what has no number yet last."""
    return sorted(found, key=lambda tried: (tried.value is None, -(tried.value or 0.0), tried.trial.number))


def actions(sweep: SweepRow, found: list[Tried], best: Tried | None) -> None:
    """Pause and go on; see the winner; compare; train it longer."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        mine = acts.person.may_change(sweep.made_by)
        if sweep.winner is not None and st.button(_("See the winner"), type="primary", key="winner"):
            go_to("run.py", {"run": str(sweep.winner)})
        measured_runs = [str(tried.trial.run_id) for tried in ordered(found) if tried.value is not None]
        if len(measured_runs) > 1 and st.button(_("Compare the best"), key="compare-best"):
            go_to("compare.py", {"runs": ",".join(measured_runs[:MOST_COMPARED])})
        if mine and sweep.status == "running" and st.button(_("Pause"), key="pause", icon=":material/pause:"):
            with errors_shown():
                acts.pause_search(sweep.id)
                st.rerun()
        if mine and sweep.status == "paused" and st.button(_("Resume"), key="resume", icon=":material/play_arrow:"):
            with errors_shown():
                acts.pause_search(sweep.id, False)
                st.rerun()
        may = best is not None and sweep.winner is not None and acts.person.has("member")
        if may and sweep.winner is not None and st.button(_("Train the best one longer"), key="longer"):
            with errors_shown():
                longer(store.run(sweep.winner))


def longer(winner: RunRow) -> None:
    """The winner's settings, for so many times as long; the same click starts it once."""
    run = acts.start(sweeps.longer(winner.config), key=f"longer-than-{winner.id}")
    if not run.name:
        acts.describe(run.id, name=f"{winner.name or winner.config.dataset}, trained longer"[:LONGEST_NAME])
    go_to("run.py", {"run": str(run.id)})


def matters(sweep: SweepRow, found: list[Tried]) -> None:
    """Which setting decided."""
    importance = sweeps.importance(sweep.config, found)
    if not importance:
        return
    ranked = sorted(importance.items(), key=lambda pair: -pair[1])
    title = RunConfig.model_fields[ranked[0][0]].title or ranked[0][0]
    st.header(escape(_("{setting} decided most", setting=_(title))), anchor=False)
    over = sum(tried.value is not None for tried in found)
    st.caption(_("How much of what sets good trials apart each setting explains, as far as {count} trials can tell "
                 "(PED-ANOVA).", count=over))  # fmt: skip
    cells = []
    for name, share in ranked:
        bar = element("div", element("i", style=f"width:{100 * share:.0f}%"), kind="bar")
        words = _(RunConfig.model_fields[name].title or name)
        cells += [element("div", words, kind="label"), bar, element("div", percent(share), kind="value")]
    st.html(element("div", *cells, kind="ds-rows"))


def _row(sweep: SweepRow, tried: Tried, is_best: bool, measure: Measure) -> dict[str, str]:
    settings = {
        _(RunConfig.model_fields[name].title or name): run_pictures.setting_of(name, value)
        for name, value in tried.trial.params.items()
    }
    state = _state(sweep, tried, is_best)
    value = "" if tried.value is None else measured(tried.value, measure)
    return {
        _("Trial"): str(tried.trial.number + 1),
        _(measure.title): _("{value} · {state}", value=value, state=state) if value and state else value or state,
        **settings,
        _("One row"): "–" if tried.milliseconds is None else milliseconds(tried.milliseconds),
        _("Size"): "–" if tried.size_bytes is None else size(tried.size_bytes),
    }


def _state(sweep: SweepRow, tried: Tried, is_best: bool) -> str:
    if is_best:
        return _("best")
    if tried.trial.pruned:
        return _("stopped early")
    if tried.run is None or tried.run.status == "queued":
        return _("waits")
    if not tried.run.is_over:
        return _("is trained now")
    if tried.value is None:
        return retell(tried.run.message or "") or _("no result")
    return "" if sweeps.keeps_to(tried, sweep.config) else _("over the limit")


def others(now: int | None) -> None:
    """The other searches."""
    rows = [row for row in store.sweeps() if row.id != now]
    if not rows:
        return
    st.header(_("Earlier searches") if now is None else _("Other searches"), anchor=False)
    for row in rows[:20]:
        trials = counted("{number} trial", "{number} trials", row.config.trials)
        label = f"{_('Search {number}', number=row.id)} · {data_name(row.config.base.dataset)} · {trials}"
        st.page_link("sweep.py", label=escape(label), query_params={"id": str(row.id)}, icon=":material/tune:")


def page() -> None:
    wanted = number_in_address("id")
    if wanted is None:
        new()
    else:
        with errors_shown():
            one(store.sweep(wanted))
    others(wanted)


page()
