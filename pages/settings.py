"""This machine, disk use, limits, versions."""

import importlib.metadata
import platform
import shutil
from collections.abc import Iterable, Mapping

import psutil
import streamlit as st

from pages import _pictures as pictures
from pages import _tokens as tokens
from pages._language import _
from pages._studio import errors_shown, get_acts, get_home, get_store
from pages._words import ago, escape, moment, size
from studio.data import archives
from studio.executors import registry, trackers
from studio.machine import gpus
from studio.machine.slots import available_cores
from studio.service import housekeeping

PACKAGES = ("streamlit", "torch", "transformers", "datasets", "plotly", "sqlite-utils", "torch-pruning", "scikit-learn")

UNKNOWN = "unknown"
MOST_OUTPUTS = 20
MOST_ENTRIES, FEW_ENTRIES, AUDIT_HEIGHT = 100, 8, 320

acts, home, store = get_acts(), get_home(), get_store()


@st.cache_data(ttl=60, show_spinner=False)
def folder_size(path: str) -> int:
    from pathlib import Path

    return sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())


def table(rows: Iterable[Mapping[str, object]]) -> None:
    st.html(pictures.table([{name: str(value) for name, value in row.items()} for row in rows]))


st.title(_("Settings"), anchor=False)
if acts.person.address is not None:
    st.header("You", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{escape(acts.person.address)}, {acts.person.role}", width="content")
        st.button("Sign out", icon=":material/logout:", key="sign-out", on_click=st.logout)

st.header("This machine", anchor=False)
with st.container(horizontal=True):
    st.metric("Processor cores", available_cores(), border=True)
    st.metric("Free memory", size(psutil.virtual_memory().available), border=True)
    st.metric("Free disk space", size(shutil.disk_usage(home.root).free), border=True)
    st.metric("Runs at once", registry.wanted_slots(), border=True, help="Set STUDIO_SLOTS to change this.")
st.caption(
    f"{escape(platform.platform())}. With `device: auto` a run uses a GPU where there is one, otherwise the processor."
)

cards = gpus.found()
if cards:
    table(
        [
            {
                "GPU": f"cuda:{number}",
                "Name": card.name,
                "Memory": UNKNOWN if card.memory_bytes is None else size(card.memory_bytes),
                "In use": UNKNOWN if card.used_bytes is None else size(card.used_bytes),
                "Busy": UNKNOWN if card.percent is None else f"{card.percent:.0f} %",
            }
            for number, card in enumerate(cards)
        ],
    )

executor = registry.chosen()
if executor.nodes:
    st.header(executor.title, anchor=False)
    with errors_shown():
        table(executor.nodes())
        st.caption("Runs are sent to these machines together with their data and models.")

tokens.section()

st.header("Experiment trackers", anchor=False)
with errors_shown():
    chosen = trackers.wanted()
    ready = [name for name in trackers.PACKAGES if trackers.is_installed(name)]
    table(
        [
            {
                "Tracker": title,
                "Installed": "yes" if name in ready else f"no: pip install {trackers.PACKAGES[name]}",
                "Enabled": "yes" if name in chosen else "no",
            }
            for name, title in trackers.TITLES.items()
        ],
    )
    st.caption("Set `STUDIO_TRACKERS`, for example to `tensorboard, mlflow`, to send the curves of every run there.")

st.header("Disk", anchor=False)
st.markdown(f"Everything is kept in `{str(home.root).replace('`', '')}`. Set `STUDIO_HOME` to keep it elsewhere.")
parts = {
    "Data sets": "datasets",
    "Runs and their models": "runs",
    "Teacher outputs": "teacher-outputs",
    "Uploads": "uploads",
}
table([{"What": what, "Size": size(folder_size(str(home.root / name)))} for what, name in parts.items()])

for outputs in sorted(housekeeping.teacher_outputs(home), key=lambda one: -one.bytes)[:MOST_OUTPUTS]:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{outputs.title}, {size(outputs.bytes)}, read {ago(outputs.used_at)}")
        if acts.person.has("admin") and st.button("Delete", icon=":material/delete:", key=f"delete-{outputs.name}",
                                                  help="Made anew when needed."):  # fmt: skip
            with errors_shown():
                acts.delete_teacher_outputs(outputs.name)
                st.rerun()

if acts.person.has("admin"):
    st.header("Audit log", anchor=False)
    entries = store.audit(MOST_ENTRIES)
    st.caption(f"The newest {MOST_ENTRIES} entries; `python -m studio audit` has them all." if entries else "Empty.")
    with st.container(height=AUDIT_HEIGHT if len(entries) > FEW_ENTRIES else "content"):
        table([{"When": moment(entry.time), "Who": entry.who, "What": entry.what, "About": entry.about}
               for entry in entries])  # fmt: skip

st.header("Limits", anchor=False)
limits = {
    "Files in a ZIP": f"{archives.MAX_MEMBERS:,}",
    "Unpacked size of a ZIP": size(archives.MAX_UNPACKED_BYTES),
    "Upload": f"{st.get_option('server.maxUploadSize'):,} MB",
}
table([{"What": what, "Limit": limit} for what, limit in limits.items()])

st.header("Versions", anchor=False)
table([{"Package": name, "Version": importlib.metadata.version(name)} for name in PACKAGES])
