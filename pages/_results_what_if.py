"""What the student hears of a row: the teacher's answer softened by a temperature, and who pulls how hard by alpha."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from pages import _explained
from pages._language import _
from studio.config.reading import bounds
from studio.kept import logits, pulls
from studio.kept.answers import Kept
from studio.language.escaping import unturned
from studio.store.rows import RunRow
from studio.tasks import Task

HOTTEST = 20.0
LEAST = 1e-30
"""Of a share that was rounded to nothing."""


def show(run: RunRow, task: Task, teacher: Kept, student: Kept, row: int, label: Any, labels: Sequence[str]) -> None:
    """Two sliders and what they do; nothing where an answer has no probabilities, or a row several positions."""
    is_one = isinstance(label, int) and label >= 0
    if task.kind != "class" or not is_one or not (teacher.has_logits and student.has_logits) or len(labels) < 2:
        return
    with st.expander(_("What if: temperature and alpha on this row"), icon=":material/tune:"):
        _sliders(run, student.logits_of(row)[0], teacher.logits_of(row)[0], label, labels)


def of_own(run: RunRow, teacher: Mapping[str, float], student: Mapping[str, float], label: str | None) -> None:
    """The same of an input of one's own, by how likely each label is for both; one says which label it has."""
    labels = [name for name in teacher if name in student]
    if len(labels) < 2:
        return
    with st.expander(_("What if: temperature and alpha on this input"), icon=":material/tune:", key="fold-hears"):
        start = labels.index(label) if label in labels else 0
        chosen = st.selectbox(
            _("Its label, as you say"), labels, index=start, key="what-if-label", width=260, format_func=unturned
        )
        # logits are known but for what they have in common, which moves neither loss
        theirs, mine = (np.log(np.maximum([shares[name] for name in labels], LEAST)) for shares in (teacher, student))
        _sliders(run, mine, theirs, labels.index(chosen or labels[0]), labels)


def _sliders(run: RunRow, mine: np.ndarray, theirs: np.ndarray, label: int, labels: Sequence[str]) -> None:
    """Logits (classes,) of student and teacher, and the number of the label."""
    left, right = st.columns(2, gap="medium")
    with left:
        low, high = bounds("temperature")
        temperature = st.slider(
            _("Temperature"), max(0.5, float(low or 0.5)), min(HOTTEST, float(high or HOTTEST)),
            float(min(HOTTEST, max(0.5, run.config.temperature))), step=0.5, key="what-if-temperature",
        )  # fmt: skip
        soft = logits.shares(theirs[None], "class", temperature)[0]
        st.html(_explained.bars(dict(zip(labels, soft.tolist(), strict=True)), "teacher", [labels[label]]))
        doubt, most = (f"{bits:.2f}" for bits in (logits.entropy(soft), logits.most_entropy(len(labels))))
        st.caption(
            _("The teacher’s answer at this temperature: {bits} bits of doubt, of {most} at most. "
              "The higher it is, the more the student hears of the other labels.", bits=doubt, most=most)
        )  # fmt: skip
    with right:
        alpha = st.slider(_("Alpha"), 0.0, 1.0, float(run.config.alpha), step=0.05, key="what-if-alpha")
        found = pulls.of_row(mine, theirs, label, temperature, alpha)
        st.html(_explained.parts({"teacher": found.teacher, "labels": found.label}))
        st.caption(
            _("How hard each pulls at the student’s answer to this row, as it is now: the sizes of the two "
              "gradients, weighted by alpha and 1 − alpha.")
        )  # fmt: skip
        st.caption(
            _("They pull the same way.") if found.agreement > 0.5
            else _("They pull in opposite directions: the teacher would have the student less sure of this label.")
            if found.agreement < 0
            else _("They pull in different directions.")
        )  # fmt: skip
