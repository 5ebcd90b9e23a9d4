"""What is wrong with data that somebody brings, a line each, with a button where the studio can mend it. What was
mended stands in the address, so that a reload finds it again."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages._language import N_, _, counted, retell
from pages._words import escape, sentences
from studio import tasks

ADDRESS = "mends"


@dataclass(frozen=True)
class Mend:
    """What a button does to a problem, and what is said when it was done."""

    words: str
    done: str


MENDS = {
    "label_spelling": Mend(N_("Write them alike"), N_("Labels are written alike.")),
    "conflicts": Mend(N_("Leave them out"), N_("Inputs with conflicting labels are left out.")),
    "copies": Mend(N_("Keep one of each"), N_("Of rows with the same input the first is kept.")),
    "rare": Mend(N_("Leave these labels out"), N_("Labels with few rows are left out.")),
    "label_near": Mend(N_("Merge them"), N_("“{label}” is merged into the more frequent label.")),
}
# by the kind of the finding; `studio.data.mending` has the same kinds


def done() -> tuple[str, ...]:
    """What was mended, by the kind of its finding, that of near labels with the rarer one behind it."""
    return tuple(name for name in st.query_params.get_all(ADDRESS) if name.partition(":")[0] in MENDS)


def show_problems(report: Any, task: tasks.Task) -> None:
    """What is wrong; what was mended, with the way back."""
    mended, taken = done(), {str(group): group for group in report.refused if group.reason in _reasons().values()}
    for name in mended:
        kind, _colon, label = name.partition(":")
        with st.container(horizontal=True, vertical_alignment="center"):
            sentence = _(MENDS[kind].done, label=escape(label)) if label else _(MENDS[kind].done)
            rows = sum(each.count for each in taken.values() if each.reason == _reasons().get(kind))
            if rows:
                sentence = sentences(sentence, counted("{number} row went.", "{number} rows went.", rows))
            st.markdown(f":material/check_circle: {sentence}", width="content")
            st.button(_("Take back"), key=f"unmend-{name}", type="tertiary", on_click=mend, args=(name, False))
    if not report.findings and not mended:
        st.caption(
            _("✓ Nothing wrong was found: no rows in both training and test data.")
            if task.targets.column is None
            else _("✓ Nothing wrong was found: no rows in both training and test data, no conflicting labels.")
        )
    # labels that are written alike contradict each other less: those come first
    left = [finding for finding in report.findings if finding.message not in taken]  # those taken away are said above
    ordered = sorted(
        left, key=lambda finding: (not finding.kind.startswith("label_"), finding.kind != "label_spelling")
    )
    for number, finding in enumerate(ordered):
        with st.container(horizontal=True, vertical_alignment="center", key=f"problem-{number}"):
            icon = "help" if finding.kind == "label_near" else "warning"
            st.markdown(f":material/{icon}: {escape(retell(finding.message))}", width="content")
            if finding.kind in MENDS and can_mend(finding.kind, task):
                name = f"label_near:{finding.examples[0]}" if finding.kind == "label_near" else finding.kind
                st.button(_(MENDS[finding.kind].words), key=f"mend-{name}", on_click=mend, args=(name, True))
            elif finding.kind == "leaks":
                st.caption(_("They are removed from the training data; see the split below."), width="content")


def _reasons() -> dict[str, str]:
    from studio.data import mending

    return mending.REASONS


def can_mend(kind: str, task: tasks.Task) -> bool:
    """Labels of one class a row can be mended; of other ones only rows that repeat or contradict others."""
    return kind == "copies" or (task.kind == "class")


def mend(name: str, wanted: bool) -> None:
    others = [other for other in done() if other != name]
    take_all_back()
    if wanted or others:
        st.query_params[ADDRESS] = [*others, name] if wanted else others


def belong_to(*upload: str) -> None:
    """What was mended in another upload is not mended in this one."""
    if st.session_state.setdefault("mended-upload", upload) != upload:
        take_all_back()
    st.session_state["mended-upload"] = upload


def take_all_back() -> None:
    st.query_params.pop(ADDRESS, None)
