"""Which models are worth a try for this data: what earlier runs on it reached, else what its size asks for."""

import streamlit as st

from pages._language import _
from pages._scores import NOTHING_LEARNED, small
from pages._studio import get_store
from pages._words import escape, measured, model, per_cent
from studio import tasks
from studio.evaluate.measured import kept_percent
from studio.store.rows import DatasetRow
from studio.store.run_list import Wanted

FEW_LABELS = 2_000
"""With fewer labelled rows a model that has read other texts before is clearly ahead of one that starts untrained."""

LOOKED_AT = 20
"""The best runs on this data, of which the first one that learned something is told."""


def recommend(dataset: DatasetRow, task: tasks.Task, teacher: str | None, is_again: bool) -> None:
    """A sentence with its reason, or none."""
    if is_again:
        return
    wanted = Wanted(states=("finished",), dataset_ids=[dataset.id], order="quality")
    learned = (
        candidate
        for candidate in get_store().find_runs(wanted, LOOKED_AT)
        if candidate.run.outcome not in NOTHING_LEARNED
    )
    best = next(learned, None)
    if best is not None and best.summary is not None and best.summary.student is not None:
        found, run = best.summary, best.run
        value, measure = measured(best.summary.student, task.measures[0]), task.measures[0]
        named = value if measure.unit == "share" else f"{value} ({small(_(measure.title))})"
        facts = {"student": escape(model(run.config.student)), "value": named}
        sentence = _("Best so far on this data: **{student}**, {value}.", **facts)
        if found.teacher and task.measures[0].unit == "share":
            kept = f"{kept_percent(best.summary.student / found.teacher)}{per_cent()}"
            sentence = _("Best so far on this data: **{student}**, {value}, {kept} of its teacher.", kept=kept, **facts)
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="recommended"):
            st.markdown(f":material/lightbulb: {sentence}", width="content")
            st.page_link("new_run.py", label=_("Start from run {run}", run=run.id), query_params={"from": str(run.id)},
                         width="content")  # fmt: skip
        return
    labelled = int(dataset.report.get("labelled", 0))
    if task.modality == "text" and 0 < labelled < FEW_LABELS and (teacher or "").startswith("builtin/"):
        words = _("With so few rows ({rows}) a teacher that has read other texts before usually gets further: choose "
                 "one from Hugging Face or a folder.", rows=f"{labelled:,}")  # fmt: skip
        st.markdown(f":material/lightbulb: {words}")
