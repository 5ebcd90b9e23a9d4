"""The list of the runs: the queue, what runs now, what is over; searched, filtered, sorted, ticked to compare."""

import math

import streamlit as st

from pages import _address as address
from pages import _pictures as pictures
from pages import _run_rows as rows
from pages._language import _, counted
from pages._studio import get_acts, get_store, go_to
from pages._words import data_name
from studio.store.rows import DatasetRow
from studio.store.run_list import Listed, Wanted

STATES = ("running", "queued", "paused", "finished", "stopped", "failed")
ON_A_PAGE = 15
MOST_COMPARED = 12  # with more runs a comparison cannot be read

acts, store = get_acts(), get_store()


def orders() -> dict[str, str]:
    """What a list can be sorted by, in words."""
    return {
        "newest": _("Newest first"),
        "oldest": _("Oldest first"),
        "name": _("Name"),
        "quality": _("Best student first"),
        "kept": _("Most of the teacher kept"),
        "smallest": _("Smallest student first"),
        "fastest": _("Fastest student first"),
    }


def filters(datasets: dict[int, DatasetRow]) -> Wanted:
    """What somebody looks for; it stands in the address, so that the same list opens again."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="filters"):
        return _filters(datasets)


def _filters(datasets: dict[int, DatasetRow]) -> Wanted:
    address.text("q")
    search = st.text_input(_("Search"), placeholder=_("Name, data, model, note or number"), key="q",
                             icon=":material/search:", label_visibility="collapsed", on_change=address.write,
                             args=("q",))  # fmt: skip
    named = orders()
    first = next(iter(named))
    address.one("sort", list(named))
    archived = store.has_archive() and address.text("archived") == "True"
    present = store.states(archived)
    states = several(_("State"), {state: rows.state_word(state) for state in STATES if state in present}, "state")
    tags = several(_("Tag"), {tag: tag for tag in store.tags()}, "tag")
    names = {str(row.id): data_name(row.name) for row in datasets.values()}
    shown = {row.id: names[str(row.id)] for row in datasets.values() if names[str(row.id)] != row.name}
    data = several(_("Data"), names, "data") if len(names) > 1 else []
    order = st.selectbox(_("Sort"), list(named), format_func=lambda option: named[option], key="sort", width=220,
                         label_visibility="collapsed", on_change=address.write, args=("sort", first))  # fmt: skip
    if store.has_archive():
        st.session_state["archived"] = archived
        st.toggle(_("Show archived runs"), key="archived", on_change=address.write, args=("archived",))
    return Wanted(search or "", states, tags, [int(dataset_id) for dataset_id in data], archived, order or first, shown)


def several(label: str, options: dict[str, str], key: str) -> list[str]:
    """Any number of these, by what they are called; nothing where there is nothing to choose between."""
    if not options or (key == "state" and len(options) == 1):
        return []
    address.several(key, list(options))
    chosen = st.multiselect(label, list(options), format_func=lambda name: options[name], key=key, placeholder=label,
                            width=180, label_visibility="collapsed", on_change=address.write, args=(key,))  # fmt: skip
    return list(chosen)


def page_of(found: int) -> int:
    """Which page of a long list is shown, the first one being 0."""
    said = str(st.session_state.get("page") or st.query_params.get("page", ""))
    number = int(said) if said.isdecimal() and len(said) < 9 else 1
    return max(1, min(number, math.ceil(found / ON_A_PAGE))) - 1


def entry(listed: Listed, datasets: dict[int, DatasetRow], queue: list[int]) -> None:
    """A row with its tick and what can be done with it."""
    run = listed.run
    waits = run.id in queue and len(queue) > 1
    place = _("{place} of {queue} in the queue", place=queue.index(run.id) + 1, queue=len(queue)) if waits else ""
    with st.container(border=True, key=f"row-{run.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.checkbox(_("Compare run {run}", run=run.id), run.id in ticked(), key=f"tick-{run.id}", on_change=tick,
                        args=(run.id,), label_visibility="collapsed", disabled=not run.verdict)  # fmt: skip
            with st.container(gap="xsmall"):
                rows.row(run, rows.measure_of(run, datasets), place)
            if acts.may_change(run) and st.button("", icon=":material/edit:", key=f"edit-{run.id}", type="tertiary",
                                                  help=_("Name, note and tags")):  # fmt: skip
                rows.describe(run.id)


def ticked() -> list[int]:
    found: list[int] = st.session_state.setdefault("ticked", [])
    return found


def tick(run_id: int) -> None:
    chosen = [run for run in ticked() if run != run_id]
    st.session_state["ticked"] = [*chosen, run_id] if st.session_state[f"tick-{run_id}"] else chosen


def untick() -> None:
    for run_id in ticked():
        st.session_state[f"tick-{run_id}"] = False
    st.session_state["ticked"] = []


def comparing() -> None:
    """What is ticked, always in sight."""
    chosen = ticked()
    if not chosen:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="comparing"):
        text = counted("{number} run is ticked. Tick another one to compare.", "{number} runs are ticked.", len(chosen))
        st.markdown(text, width="stretch")
        st.button(_("Clear"), key="untick", on_click=untick, type="tertiary")
        if st.button(_("Compare"), type="primary", key="compare", icon=":material/compare_arrows:",
                     disabled=not 1 < len(chosen) <= MOST_COMPARED,
                     help=_("At most {count} at once.", count=MOST_COMPARED)):  # fmt: skip
            go_to("compare.py", {"runs": ",".join(map(str, chosen))})


def all_runs() -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(_("Runs"), anchor=False, width="content")
        if acts.person.has("member") and store.count_runs():
            st.page_link("sweep.py", label=_("Search for better settings"), icon=":material/tune:", width="content")
    datasets = {row.id: row for row in store.datasets()}
    if not store.count_runs(archived=True):
        text = _("A run takes data and two models and ends with a verdict. All your runs will be listed here.")
        st.html(pictures.empty(_("Nothing has run yet"), text))
        if acts.person.has("member"):
            with st.container(horizontal=True, vertical_alignment="center"):
                if st.button(_("Start a run"), type="primary", icon=":material/add_circle:", key="first-run"):
                    go_to("new_run.py")
                st.page_link("home.py", label=_("Try a demo"), icon=":material/play_arrow:", width="content")
        return
    wanted = filters(datasets)
    found = store.count_found(wanted)
    if not found:
        st.html(pictures.empty(_("No run fits"), _("Take away a filter, or search for another word.")))
    else:
        text = counted("{number} run.", "{number} runs.", found)
        st.caption(_("{told} Click one to open it; tick two or more to compare them.", told=text))
    page = page_of(found)
    queue = store.queue()
    for listed in store.find_runs(wanted, ON_A_PAGE, page * ON_A_PAGE):
        entry(listed, datasets, queue)
    if found > ON_A_PAGE:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            first, last = page * ON_A_PAGE + 1, min(found, (page + 1) * ON_A_PAGE)
            st.caption(_("{first} to {last} of {found} runs", first=first, last=last, found=f"{found:,}"))
            st.pagination(math.ceil(found / ON_A_PAGE), default=page + 1, key="page", on_change=address.write,
                          args=("page", 1))  # fmt: skip
    comparing()


if "run" in st.query_params:  # an address from before a run had its own page
    go_to("run.py", {"run": st.query_params["run"]})
all_runs()
