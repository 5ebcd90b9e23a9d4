"""Versions of data sets in words: which one this is, what was changed, and a run on the new one at a click."""

import streamlit as st

from pages._language import _, counted
from pages._studio import errors_shown, get_acts, get_store, go_to
from pages._words import commas, data_name, escape
from studio.config.reading import with_values
from studio.store.rows import DatasetRow, RunRow
from studio.store.versions import Version, total, way


def changed(change: dict[str, int]) -> str:
    """How many rows are other ones, in words."""
    kinds = {
        "relabelled": lambda number: counted("{number} label corrected", "{number} labels corrected", number),
        "added": lambda number: counted("{number} row added", "{number} rows added", number),
        "removed": lambda number: counted("{number} row removed", "{number} rows removed", number),
    }
    parts = [words(change[kind]) for kind, words in kinds.items() if change.get(kind)]
    return commas(parts) or _("other rows")


def of_data(row: DatasetRow, known: list[Version], names: dict[int, str]) -> None:
    """On the card of a data set: which version it is, and of what; `known` are those of all data sets."""
    version = next((candidate for candidate in known if candidate.dataset_id == row.id), Version(row.id, row.id, 1, {}))
    family = [candidate for candidate in known if candidate.family == version.family]
    if version.number > 1:
        first = names.get(version.family, data_name(row.name))
        st.caption(escape(_("Version {number} of “{name}”: {change}.", number=version.number, name=first,
                            change=_made_of(version, family))))  # fmt: skip
    newest = max(family, key=lambda candidate: candidate.number, default=version)
    if newest.number > version.number:
        st.caption(escape(_("There is a newer version: “{name}”.", name=names[newest.dataset_id])))


def _made_of(version: Version, family: list[Version]) -> str:
    """What was changed, and of which version where it is not the one before."""
    change = changed(version.change)
    parent = next((candidate for candidate in family if candidate.dataset_id == version.parent), None)
    if parent is None or parent.number == version.number - 1:
        return change
    return _("{change} against version {number}", change=change, number=parent.number)


def run_again(run: RunRow) -> None:
    """Where there is a newer version of what a run learned from: say so, and start the same run on it at a click."""
    store, acts = get_store(), get_acts()
    newer = store.newer_version(run.dataset_id)
    if newer is None:
        return
    data, family = store.dataset_by_id(newer.dataset_id), store.versions(run.dataset_id)
    made = way(family, newer.dataset_id)
    since = [version.change for version in made if version.number > store.version(run.dataset_id).number]
    is_of_it = run.dataset_id in [version.dataset_id for version in made]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"newer-{run.id}"):
        st.markdown(escape(_("Its data has a newer version, “{name}”: {change}.", name=data_name(data.name),
                             change=changed(total(*since)) if is_of_it else _made_of(newer, family))),
                    width="content")  # fmt: skip
        if acts.person.has("member") and st.button(_("Run again on the new version"), key=f"again-on-{run.id}",
                                                   icon=":material/update:"):  # fmt: skip
            with errors_shown():
                new = acts.start(with_values(run.config, dataset=data.name), key=f"run-{run.id}-on-{data.id}")
                go_to("run.py", {"run": str(new.id)})


def between(rows: list[DatasetRow]) -> list[str]:
    """What sets the data of compared runs apart, a sentence for each version on the way from one to the others; none
    where they are no versions of one data set."""
    store = get_store()
    family = store.versions(rows[0].id) if rows else []
    ways = [way(family, row_id) for row_id in sorted({row.id for row in rows})]
    if len(ways) < 2 or not all(ways):
        return []
    shared = set.intersection(*({version.dataset_id for version in path} for path in ways))
    steps = {version.dataset_id: version for path in ways for version in path if version.dataset_id not in shared}
    names = {row.id: data_name(row.name) for row in store.datasets()}
    return [
        _("“{name}” is version {number}: {change}.", name=names.get(version.dataset_id, str(version.number)),
          number=version.number, change=_made_of(version, family))
        for version in sorted(steps.values(), key=lambda version: version.number) if version.number > 1
    ]  # fmt: skip
