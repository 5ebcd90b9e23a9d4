"""The verdict on one run, and on tabs everything that explains it: classes, rows, confidence, both models together."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st

from pages import _address as address
from pages import _pictures as pictures
from pages import _results_cascade as cascade
from pages import _results_classes as classes
from pages import _results_examined as examined
from pages import _results_head as head
from pages import _results_learning as learning
from pages import _results_numbers as numbers
from pages import _results_rows as rows
from pages import _results_trust as trust
from pages import _results_written as written
from pages import _run_pictures as run_pictures
from pages import _versions as versions
from pages._language import _
from pages._scores import Scored, scored
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
from pages._words import status_word
from studio import tasks
from studio.config.run import RunConfig
from studio.errors import StudioError
from studio.events import OLD_TEST, Confusion, Evaluation
from studio.kept.trust import Run
from studio.store.rows import RunRow

STYLE = Path(__file__).parents[1] / "assets" / "results.css"

home, store = get_home(), get_store()

# What is shown on each tab, by its name in the address: its title, and what shows it.
Tabs = dict[str, tuple[str, Callable[[], object]]]


def choose() -> RunRow | None:
    """The run in the address, or the newest one with results."""
    wanted = run_in_address("run")
    if wanted is not None and not head.has_results(wanted):
        st.title(_("Results"), anchor=False)
        st.info(_("Run {run} is {status}: it has no results.", run=wanted.id, status=status_word(wanted)),
                icon=":material/info:")  # fmt: skip
        st.page_link(
            "run.py", label=_("Open the run"), query_params={"run": str(wanted.id)}, icon=":material/timeline:"
        )
        return None
    if wanted is not None:
        return wanted
    newest = next((run for run in store.runs() if head.has_results(run)), None)
    if newest is None:
        st.title(_("Results"), anchor=False)
        hint = _("When one has, its verdict is here: how much the small model kept, how much smaller and faster it is, "
                 "and whether the teacher helped.")  # fmt: skip
        st.html(pictures.empty(_("No run has finished yet"), hint))
        if st.button(_("Try a demo"), type="primary", icon=":material/play_arrow:", key="try-demo"):
            go_to("home.py")
        return None
    st.query_params["run"] = str(newest.id)
    return newest


def without_rows(run: RunRow) -> None:
    """An older run: its models can be asked now."""
    st.info(_("This run is from before the answers to single rows were kept."), icon=":material/info:")
    acts = get_acts()
    if not acts.person.has("member") or run.verdict is None or not home.model(run.id, "student").is_dir():
        return
    if st.button(_("Ask its models now"), icon=":material/play_arrow:", key="keep"):
        with errors_shown():
            with st.spinner(_("Asking all models about all test and validation rows …")):
                acts.keep_answers(run.id)
            st.rerun()


def of_rows(run: RunRow, task: tasks.Task, models: list[Scored]) -> Tabs:
    """What is made of the kept answers; a sentence where an older run has none."""
    dataset = next((row for row in store.datasets() if row.id == run.dataset_id), None)
    shown = None if dataset is None else rows.opened(run, dataset, task)
    if shown is None:
        return {"rows": (_("Rows"), partial(without_rows, run))}
    if task.kind == "token":  # a text is no answer of which a model is more or less sure
        return {"rows": (_("Rows"), partial(rows.show, shown))}
    kept = Run(home, run.id, home.dataset(run.dataset_id), task.kind)
    return {
        "rows": (_("Rows"), partial(rows.show, shown)),
        "confidence": (_("Confidence"), partial(trust.show, run, task, kept, shown.models)),
        "together": (_("Both together"), partial(cascade.show, run, task, kept, shown.models, models)),
    }


def settings(run: RunRow) -> None:
    """What the run was asked for where that is not the usual, all of it at a click, and the way to better settings."""
    st.html(pictures.titled(_("What this run was told"), _("All other settings are as they are by default.")))
    st.html(pictures.table([{_("Setting"): name, _("Value"): value} for name, value in told(run.config).items()]))
    with st.expander(_("All settings, as YAML"), icon=":material/code:"):
        st.caption(_("To start the same run again: New run, Paste settings."))
        st.code(run.config.to_yaml(), language="yaml")
    if run.status == "finished":
        st.page_link("sweep.py", label=_("Search for better settings"), query_params={"from": str(run.id)},
                     icon=":material/tune:")  # fmt: skip


def told(config: RunConfig) -> dict[str, str]:
    """The settings that are not as they are by default, as a person reads them."""
    values = config.model_dump(mode="json")
    usual = {name: field.get_default(call_default_factory=True) for name, field in RunConfig.model_fields.items()}
    return {_(RunConfig.model_fields[name].title or name): run_pictures.setting_of(name, value)
            for name, value in values.items() if getattr(config, name) != usual[name]}  # fmt: skip


def tabs(run: RunRow, models: list[Scored], evaluations: list[Evaluation], task: tasks.Task) -> Tabs:
    """All tabs that this run has."""
    measure = task.measures[0]
    matrices: dict[str, Confusion] = {
        matrix.role: matrix for matrix in store.confusions(run.id) if matrix.split == "test"
    }
    both = classes.both(run, task)
    labels = next((row.labels for row in store.datasets() if row.id == run.dataset_id), [])
    found: Tabs = {}
    if both is not None and labels:
        found["classes"] = (_("Classes"), partial(classes.show, run, task, both, labels))
    elif matrices:
        found["classes"] = (_("Classes"), partial(classes.show_without_rows, matrices))
    if models:
        found |= of_rows(run, task, models)
    if models and run.verdict is not None and home.kept(run.id).is_dir():
        found["more-rows"] = (_("More rows?"), partial(learning.show, run, task, labels))
        if task.kind == "token":
            found["written"] = (_("What they write"), partial(written.show, run))
        found["robustness"] = (_("Robustness"), partial(examined.robustness, run, task))
        found["layers"] = (_("Layers"), partial(examined.layers, run))
    if matrices:
        found["mix-ups"] = (_("Mix-ups"), partial(classes.mix_ups, matrices))
    if models:
        pairs = store.comparisons(run.id)
        found["numbers"] = (_("All numbers"), partial(numbers.all_numbers, models, evaluations, pairs, task))
    if run.config.seeds > 1 and models and store.seeds(run.id):
        found["seeds"] = (_("Seeds"), partial(numbers.under_each_seed, run, models, measure))
    if store.stage_results(run.id):
        found["steps"] = (_("Step by step"), partial(numbers.steps_taken, run, task))
    if any(evaluation.split == OLD_TEST for evaluation in evaluations):
        found["data"] = (_("New and old data"), partial(numbers.old_and_new, run, evaluations, measure))
    if store.choice(run.id):
        found["tuning"] = (_("Tuning"), partial(numbers.what_was_chosen, run, measure))
    found["curves"] = (_("Curves"), partial(numbers.curves, run, measure))
    found["settings"] = (_("Settings"), partial(settings, run))
    return found


def details(found: Tabs) -> None:
    """The open tab alone is made; the address says which it is."""
    address.follow("tab")
    names = {title: name for name, (title, _show) in found.items()}
    said = st.query_params.get("tab", "")
    wanted = found[said][0] if said in found else next(iter(names))
    if st.session_state.get("tabs") not in names or "tab" not in st.session_state:
        st.session_state["tabs"] = wanted
    st.session_state["tab"] = said

    def write() -> None:
        for key in rows.KEYS:
            st.query_params.pop(key, None)
        st.query_params["tab"] = names[st.session_state["tabs"]]
        st.session_state["tab"] = st.query_params["tab"]

    for tab, (_title, show_tab) in zip(st.tabs(list(names), key="tabs", on_change=write), found.values(), strict=True):
        if tab.open:
            with tab:
                show_tab()


def show(run: RunRow) -> None:
    set_title(_("Results of run {run}", run=run.id))
    st.html(STYLE)
    task = task_of(run)
    evaluations = store.evaluations(run.id)
    models = scored(evaluations, task.measures[0])
    head.crumbs(run)
    head.verdict(run, models, task, evaluations)
    versions.run_again(run)
    if evaluations:
        details(tabs(run, models, evaluations, task))


try:
    chosen = choose()
    if chosen is not None:
        show(chosen)
except StudioError as error:
    st.title(_("Results"), anchor=False)
    show_error(error)
    st.page_link("all_runs.py", label=_("All runs"), icon=":material/arrow_back:")
