"""Versions of data sets in words: which one this is, what was changed, and a run on the new one at a click."""

import streamlit as st

from pages._language import _, counted
from pages._studio import errors_shown, get_acts, get_store, go_to
from pages._words import escape
from studio.config.reading import with_values
from studio.store.rows import DatasetRow, RunRow
from studio.store.versions import Version


def changed(version: Version) -> str:
    """What a version changed against the one before, in words."""
    kinds = {
        "relabelled": lambda number: counted("{number} label corrected", "{number} labels corrected", number),
        "added": lambda number: counted("{number} row added", "{number} rows added", number),
        "removed": lambda number: counted("{number} row removed", "{number} rows removed", number),
    }
    told = [words(version.change[kind]) for kind, words in kinds.items() if version.change.get(kind)]
    return ", ".join(told) or _("other rows")


def of_data(row: DatasetRow) -> None:
    """On the card of a data set: which version it is, and of what."""
    store = get_store()
    version = store.version(row.id)
    if version.number > 1:
        first = next((one.name for one in store.datasets() if one.id == version.family), row.name)
        st.caption(escape(_("Version {number} of “{name}”: {change}.", number=version.number, name=first,
                            change=changed(version))))  # fmt: skip
    newer = store.newer_version(row.id)
    if newer is not None:
        st.caption(escape(_("There is a newer version: “{name}”.", name=store.dataset_by_id(newer.dataset_id).name)))


def run_again(run: RunRow) -> None:
    """Where there is a newer version of what a run learned from: say so, and start the same run on it at a click."""
    store, acts = get_store(), get_acts()
    newer = store.newer_version(run.dataset_id)
    if newer is None:
        return
    data = store.dataset_by_id(newer.dataset_id)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"newer-{run.id}"):
        st.markdown(escape(_("Its data has a newer version, “{name}”: {change}.", name=data.name,
                             change=changed(newer))), width="content")  # fmt: skip
        if acts.person.has("member") and st.button(_("Run again on the new version"), key=f"again-on-{run.id}",
                                                   icon=":material/update:"):  # fmt: skip
            with errors_shown():
                new = acts.start(with_values(run.config, dataset=data.name), key=f"run-{run.id}-on-{data.id}")
                go_to("run.py", {"run": str(new.id)})


def between(rows: list[DatasetRow]) -> list[str]:
    """What sets the data of compared runs apart, a sentence each; none where they are no versions of one data set."""
    store = get_store()
    versions = sorted({row.id: store.version(row.id) for row in rows}.values(), key=lambda one: one.number)
    if len(versions) < 2 or len({one.family for one in versions}) > 1:
        return []
    names = {row.id: row.name for row in rows}
    between_them = [one for one in store.versions(versions[0].dataset_id)
                    if versions[0].number < one.number <= versions[-1].number]  # fmt: skip
    return [
        _("“{name}” is version {number}: {change}.", name=names.get(one.dataset_id, str(one.number)),
          number=one.number, change=changed(one))
        for one in between_them
    ]  # fmt: skip
