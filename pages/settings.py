"""What can be set, what takes space, who did what, and what this machine is: a tab a subject."""

import contextlib
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import psutil
import streamlit as st

from pages import _address as address
from pages import _audit as audit
from pages import _pictures as pictures
from pages import _tokens as tokens
from pages._language import N_, _, held
from pages._studio import errors_shown, get_acts, get_home, get_store
from pages._theme import choose_theme
from pages._words import ago, commas, escape, per_cent, size
from studio import files
from studio.data import archives
from studio.executors import registry, trackers
from studio.home import Home
from studio.machine import gpus
from studio.machine.slots import available_cores
from studio.service import housekeeping, people, preferences
from studio.store.store import Store

PACKAGES = ("streamlit", "torch", "transformers", "datasets", "plotly", "sqlite-utils", "torch-pruning", "scikit-learn")
SECRETS = {
    "HF_TOKEN": N_("private models and data of the Hugging Face Hub"),
    "WANDB_API_KEY": N_("curves in Weights & Biases"),
    "MLFLOW_TRACKING_URI": N_("curves in MLflow: its address"),
}
MOST_OUTPUTS, MOST_USERS = 20, 5

acts, home, store = get_acts(), get_home(), get_store()
is_admin = acts.person.has("admin")


@st.cache_data(ttl=60, show_spinner=False)
def folder_size(path: str) -> int:
    return files.size(Path(path))


@st.cache_data(ttl=60, show_spinner=False)
def largest(_store: Store, root: str) -> list[housekeeping.Kept]:
    return housekeeping.largest(_store, Home(Path(root)), MOST_OUTPUTS)


def table(rows: Iterable[Mapping[str, object]]) -> None:
    st.html(pictures.table([{name: str(value) for name, value in row.items()} for row in rows]))


# --- what is set here


@contextlib.contextmanager
def part(name: str, title: str, words: str) -> Iterator[None]:
    """A card: what is set, what it does, and the control."""
    with st.container(border=True, height="stretch", key=f"card-{name}", gap="small"):
        st.subheader(title, anchor=False)
        st.caption(words)
        yield


def general() -> None:
    """Who one is, how the pages look, how runs are carried out: a card each."""
    if acts.person.address is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            who = _("Signed in as {address}, {role}", address=escape(acts.person.address), role=_(acts.person.role))
            may = _("A viewer reads and tries everything. A member also brings data, starts runs and changes those of "
                    "their own. An admin may do all of it, for everyone.")  # fmt: skip
            st.markdown(who, width="content", help=may)
            st.button(_("Sign out"), icon=":material/logout:", key="sign-out", on_click=st.logout)
    if not is_admin:
        st.caption(_("What stands here for all, an admin can change."))
    for first, second in ((look, at_once), (folders, webhook)):
        left, right = st.columns(2)
        with left:
            first()
        with right:
            second()
    curves()


def look() -> None:
    """Light or dark."""
    with part("look", _("Look"), _("Kept in this browser. The language is chosen at the top of every page.")):
        choose_theme()


def set_here(name: str, value: str) -> None:
    """Keep a setting and say so, or what is wrong with it."""
    with errors_shown():
        preferences.change(acts, name, value)
        st.session_state["was-set"] = name
        st.rerun()


def given_elsewhere(name: str) -> bool:
    """Whether it cannot be changed here, with the reason where it is one of its own."""
    if preferences.is_given(name):
        st.caption(_("Set by {name} in the environment: change it there.", name=f"`{name}`"))
        return True
    return not is_admin


def saved(name: str) -> None:
    if st.session_state.get("was-set") == name:
        st.caption(_("✓ Saved."))


def at_once() -> None:
    name = "STUDIO_SLOTS"
    with part(
        "slots", _("Runs at once"), _("Each gets its share of the cores. Holds from the next start of the studio.")
    ):
        now = registry.wanted_slots()
        if given_elsewhere(name):
            st.markdown(f"**{now}**")
            return
        with st.form("slots", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
            number = st.number_input(_("Runs that train at the same time"), 1, preferences.MOST_SLOTS, now,
                                     width=220)  # fmt: skip
            if st.form_submit_button(_("Save")):
                set_here(name, str(number))
        saved(name)


def _shown(lines: str) -> None:
    """What is set, a line each."""
    if lines:
        st.code(lines, language=None)
    else:
        st.markdown(_("None"))


def folders() -> None:
    name = "STUDIO_MODEL_FOLDERS"
    words = _("Models below them are offered as teachers and students; members may open no others.")
    with part("folders", _("Folders with models"), words):
        now = "\n".join(map(str, people.model_folders()))
        if given_elsewhere(name):
            _shown(now)
            return
        with st.form("folders", border=False):
            text = st.text_area(_("One folder a line"), now, height=100, placeholder="/models")
            if st.form_submit_button(_("Save")):
                set_here(name, os.pathsep.join(line.strip() for line in text.splitlines() if line.strip()))
        saved(name)


def webhook() -> None:
    name = "STUDIO_WEBHOOK"
    words = _("A webhook: the studio posts JSON to this address when a run ends, with how it ended and its verdict.")
    with part("webhook", _("When a run is over"), words):
        if given_elsewhere(name):
            st.markdown(_("An address is set") if os.environ.get(name) else _("None"))
            return
        with st.form("webhook", border=False):
            place = st.text_input(_("Its address"), os.environ.get(name, ""), placeholder="https://…")
            if st.form_submit_button(_("Save")):
                set_here(name, place)
        saved(name)


def curves() -> None:
    name = "STUDIO_TRACKERS"
    with part("trackers", _("Experiment trackers"), _("Curves of every run also go to these.")), errors_shown():
        chosen = trackers.wanted()
        missing = [f"{title}: `pip install {trackers.PACKAGES[key]}`" for key, title in trackers.TITLES.items()
                   if not trackers.is_installed(key)]  # fmt: skip
        if given_elsewhere(name):
            st.markdown(commas(trackers.TITLES[key] for key in chosen) or _("None"))
        else:
            with st.form("trackers", border=False):
                ready = [key for key in trackers.TITLES if trackers.is_installed(key) or key in chosen]
                picked = st.pills(_("Experiment trackers"), ready, selection_mode="multi", default=chosen,
                                  format_func=lambda key: trackers.TITLES[key],
                                  label_visibility="collapsed")  # fmt: skip
                if st.form_submit_button(_("Save")):
                    set_here(name, ",".join(picked))
            saved(name)
        if missing:
            st.caption(_("Not installed: {list}.", list=commas(missing)))


def programs() -> None:
    tokens.section()
    st.header(_("Secrets"), anchor=False)
    st.caption(_("Keys for other services. The studio reads them from environment variables, and shows and stores "
                 "them nowhere."))  # fmt: skip
    table([{_("Variable"): name, _("What for"): _(what), _("Set"): _("yes") if os.environ.get(name) else _("no")}
           for name, what in SECRETS.items()])  # fmt: skip


# --- what takes space


def disk() -> None:
    """By use, as bars; what can go at a click."""
    parts = {
        _("Data sets"): "datasets", _("Runs and their models"): "runs", _("Teacher outputs"): "teacher-outputs",
        _("Answers of models elsewhere"): "asked", _("Uploads"): "uploads", _("Downloads"): "downloads",
    }  # fmt: skip
    sizes = {what: folder_size(str(home.root / name)) for what, name in parts.items()}
    free = shutil.disk_usage(home.root).free
    st.header(_("{used} used, {free} free", used=size(sum(sizes.values())), free=size(free)), anchor=False)
    st.html(pictures.amounts({what: (taken, size(taken)) for what, taken in sizes.items()}))
    st.caption(_("Everything is kept in {folder}. STUDIO_HOME names another place.",
                 folder=f"`{str(home.root).replace('`', '')}`"))  # fmt: skip
    note = _("Clean up deletes uploads, downloads and teacher outputs that nobody has used for a while. What a teacher "
             "said is worked out again where a run needs it.")  # fmt: skip
    st.caption(note)
    with st.container(horizontal=True, vertical_alignment="center"):
        one_by_one = st.toggle(_("List data sets and runs by size"), key="by-size")
        if is_admin and st.button(_("Clean up"), icon=":material/mop:", key="tidy", type="tertiary"):
            with errors_shown():
                st.session_state["freed"] = acts.tidy()
                folder_size.clear()
                st.rerun()
    if one_by_one:
        data_and_runs()
    if "freed" in st.session_state:
        st.caption(_("✓ {size} are free again.", size=size(st.session_state.pop("freed"))))
    teacher_outputs()
    asked_answers()


def data_and_runs() -> None:
    """Those that take most, each with what uses it and the way to where it can be deleted."""
    for kept in largest(store, str(home.root)):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            if kept.kind == "models":
                st.page_link("run.py", label=_("Run {run}", run=kept.name), query_params={"run": kept.name},
                             icon=":material/timeline:", width="content")  # fmt: skip
            else:
                st.page_link("data.py", label=escape(kept.title), icon=":material/table_rows:", width="content")
            users = [user.removeprefix("run ") for user in kept.used_by]
            more = "" if len(users) <= MOST_USERS else " …"
            used = _("used by run {runs}", runs=commas(users[:MOST_USERS]) + more) if users else _("no run uses it")
            st.caption(_("{size} · {used}", size=size(kept.bytes), used=used), width="content")


def teacher_outputs() -> None:
    """Answers of teachers, which are made anew when needed."""
    found = sorted(housekeeping.teacher_outputs(home), key=lambda outputs: -outputs.bytes)
    if not found:
        return
    with st.expander(_("Answers of teachers that are kept: {number}", number=len(found)), key="fold-outputs"):
        for outputs in found[:MOST_OUTPUTS]:
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                line = _("{name} · {size} · read {ago}", name=outputs.name[:8], size=size(outputs.bytes),
                         ago=ago(outputs.used_at))  # fmt: skip
                st.markdown(line, width="content")
                if is_admin and st.button(_("Delete"), key=f"delete-{outputs.name}", type="tertiary",
                                          help=_("Made anew when needed.")):  # fmt: skip
                    with errors_shown():
                        acts.delete_teacher_outputs(outputs.name)
                        st.rerun()


def asked_answers() -> None:
    """What teachers behind addresses said: it was paid for, and goes only at a click. Whom the machine asks is an
    admin's."""
    found = sorted(housekeeping.asked_answers(home), key=lambda answers: -answers.bytes) if is_admin else []
    if not found:
        return
    with st.expander(
        _("Answers of models elsewhere, by model and address: {number}", number=len(found)), key="fold-asked"
    ):
        for answers in found[:MOST_OUTPUTS]:
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                line = _("{name} · {size} · asked {ago}", name=escape(answers.title), size=size(answers.bytes),
                         ago=ago(answers.used_at))  # fmt: skip
                st.markdown(line, width="content")
                if st.button(_("Delete"), key=f"delete-{answers.name}", type="tertiary",
                             help=_("Whoever needs them again asks and pays again.")):  # fmt: skip
                    with errors_shown():
                        acts.delete_asked_answers(answers.name)
                        st.rerun()


# --- what there is


def machine() -> None:
    facts = {
        _("Processor cores"): available_cores(),
        _("Free memory"): size(psutil.virtual_memory().available),
        _("Free disk space"): size(shutil.disk_usage(home.root).free),
        _("GPUs"): len(gpus.names()),
    }
    for column, (what, value) in zip(st.columns(len(facts)), facts.items(), strict=True):
        column.metric(what, str(value), border=True)
    unknown = _("unknown")
    cards = [
        {
            "GPU": f"cuda:{number}",
            _("Name"): card.name,
            _("Memory"): unknown if card.memory_bytes is None else size(card.memory_bytes),
            _("In use"): unknown if card.used_bytes is None else size(card.used_bytes),
            _("Busy"): unknown if card.percent is None else f"{card.percent:.0f}{per_cent()}",
        }
        for number, card in enumerate(gpus.found())
    ]
    if cards:
        table(cards)
    executor = registry.chosen()
    if executor.nodes:
        st.header(executor.title, anchor=False)
        with errors_shown():
            table(executor.nodes())
            st.caption(_("Runs are sent to these machines together with their data and models."))
    with st.expander(_("Limits and versions"), key="fold-versions"):
        limits = {
            _("Files in a ZIP"): f"{archives.MAX_MEMBERS:,}",
            _("Unpacked size of a ZIP"): size(archives.MAX_UNPACKED_BYTES),
            _("Upload"): held(f"{st.get_option('server.maxUploadSize'):,} MB"),
            _("System"): platform.platform(),
        }
        versions = {name: importlib.metadata.version(name) for name in PACKAGES}
        table([{_("What"): what, _("Value"): value} for what, value in (limits | versions).items()])


st.title(_("Settings"), anchor=False)
named = {"general": _("General"), "programs": _("Programs"), "disk": _("Disk"), "machine": _("Machine")}
shown = {"general": general, "programs": programs, "disk": disk, "machine": machine}
if is_admin:
    named["audit"], shown["audit"] = _("Audit log"), audit.section
for name, tab in address.tabs("part", named).items():
    with tab:
        if tab.open:
            shown[name]()
