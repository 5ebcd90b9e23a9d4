"""A data set as a card: what it is, what is in it, what used it, what can be done with it."""

import base64
import io
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import _pictures as pictures
from pages import _versions as versions
from pages._language import _, counted, retell
from pages._markup import Html, element
from pages._studio import errors_shown, get_acts, get_home, get_store
from pages._words import commas, data_name, escape, made, sentences, split_rows
from studio import tasks
from studio.data.glimpse import glimpse
from studio.home import PASSING
from studio.store.rows import DatasetRow
from studio.store.versions import Version
from studio.tasks import image_files as images

if TYPE_CHECKING:
    from studio.data.refused import Refused

TEXTS, IMAGES, THUMB, LONGEST, PREVIEWED = 3, 10, 64, 90, 5
WHOLE = 20_000
"""Letters of a text that is shown in whole; a cell may hold megabytes."""
"""Rows on a card, pixels of an image's longer side, characters of a text; rows behind *Preview*."""

MOST_NAMED = 5
"""So many runs are named that use a data set."""

TYPES = ["csv", "tsv", "txt", "jsonl", "json", "parquet", "xlsx", "zip"]


def card(row: DatasetRow, known: list[Version], names: dict[int, str]) -> None:
    """A data set: what it is, what used it, what can be done with it; `known` are the versions of all data sets."""
    task = tasks.get(row.task, row.multi_label)
    users = get_store().users_of_dataset(row)
    with st.container(border=True, height="stretch", key=f"card-data-{row.id}", gap="small"):
        st.subheader(escape(data_name(row.name)), anchor=False)
        facts = [_(task.title)]
        if task.kind != "number" and row.labels:
            facts.append(counted("{number} label", "{number} labels", len(row.labels)))
        parts = split_rows(row.splits)
        st.caption(" · ".join([*facts, _("{parts} rows", parts=parts), made(row)]))
        st.caption(
            counted("Used by {number} run.", "Used by {number} runs.", len(users)) if users else _("Not used yet.")
        )
        versions.of_data(row, known, names)
        st.html(preview(str(get_home().dataset(row.id)), row))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if get_acts().person.has("member"):
                st.page_link("new_run.py", label=_("New run"), query_params={"dataset": str(row.id)},
                             icon=":material/add_circle:", width="content")  # fmt: skip
            if st.button(_("Preview"), key=f"preview-{row.id}", type="tertiary"):
                show_rows(row)
            if get_acts().person.has("member"):
                add_rows(row)
            if get_acts().may_change(row):
                rename(row)
                delete(row, users)


@st.cache_data(show_spinner=False, max_entries=200, ttl=3600)
def preview(folder: str, row: DatasetRow) -> Html:
    """Some rows, each with its label."""
    found = glimpse(Path(folder), IMAGES if tasks.get(row.task, row.multi_label).modality == "image" else TEXTS)
    if found and isinstance(found[0].get("image"), bytes):
        return element(
            "div", *(_thumb(example["image"], _label(example.get("label"), row)) for example in found), kind="ds-thumbs"
        )
    return element("div", *(_line(example, row) for example in found), kind="ds-glimpse")


def _thumb(data: bytes, label: str) -> Html:
    """A small picture, drawn anew: nothing of the file but what can be seen."""
    with images.opened(data) as image:
        is_tiny = max(image.size) < THUMB
        small = images.upright(image).convert("RGB")
        small.thumbnail((THUMB, THUMB))
    file = io.BytesIO()
    small.save(file, "PNG")
    source = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    return element("img", src=source, alt=label, title=label, kind="tiny" if is_tiny else None)


def _line(example: dict[str, Any], row: DatasetRow) -> Html:
    """The first words of a text and its label, or of what is asked and answered."""
    text = (
        example.get("text")
        or example.get("words")
        or next((cell for cell in example.values() if isinstance(cell, str)), "")
    )
    text = " ".join((" ".join(map(str, text)) if isinstance(text, list) else str(text)).split())
    asked = " ".join(str(example.get("prompt") or "").split())
    text = f"{asked} → {text}" if asked else text
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
    label = _label(example.get("label"), row)
    return element("p", element("span", shown), element("em", label) if label else "")


def _label(value: Any, row: DatasetRow) -> str:
    """A label by its name; tags of words are not told here."""
    if isinstance(value, int):
        return row.labels[value] if 0 <= value < len(row.labels) else ""
    return f"{value:g}" if isinstance(value, float) and value == value else ""


def show_rows(row: DatasetRow) -> None:
    """Some rows in whole, in a window of their own."""
    st.dialog(_("The first rows"), width="large")(_rows)(row)


def _rows(row: DatasetRow) -> None:
    from studio.service import library

    with errors_shown():
        some = library.head(get_home(), row, PREVIEWED)
        if "image" in some:
            st.image(some["image"].tolist(), caption=[escape(label) for label in some["label"]], width=96)
            return
        st.html(
            pictures.table(
                [{name: str(cell)[:WHOLE] for name, cell in record.items()} for record in some.to_dict("records")]
            )
        )


def add_rows(row: DatasetRow) -> None:
    """More rows to train on, as the next version; what is tested stays."""
    with st.popover(_("Add rows"), type="tertiary"):
        st.markdown(
            _("A file with the columns of this data set. Its rows are added to the training rows of a new version; "
              "validation and test rows stay, so that runs on both versions can be compared.")
        )  # fmt: skip
        file = st.file_uploader(_("More rows"), type=TYPES, key=f"more-{row.id}", label_visibility="collapsed")
        if not st.button(_("Save as a new version"), type="primary", key=f"grow-{row.id}", disabled=file is None):
            return
        assert file is not None
        with errors_shown():
            from studio.data import apart
            from studio.service import additions, sources

            with tempfile.TemporaryDirectory(prefix=PASSING) as place, st.spinner(_("Reading the file …")):
                source = Path(place) / f"rows{PurePath(file.name).suffix.lower()}"
                source.write_bytes(file.getvalue())
                with apart.one_at_a_time(get_acts().person.address):
                    upload = sources.read(source)
                grown = get_acts().add_rows(row.id, upload, additions.name_for(get_store(), row))
            text = counted("{number} row was added: “{name}”.", "{number} rows were added: “{name}”.", grown.added,
                           name=escape(data_name(grown.row.name)))  # fmt: skip
            known = counted("{number} was left out: it is there already, or belongs to a row that is tested.",
                            "{number} were left out: they are there already, or belong to rows that are tested.",
                            grown.known)  # fmt: skip
            st.success(f"{text} {known}" if grown.known else text, icon=":material/check:")
            why = [str(each.told) for each in grown.refused]
            st.caption(sentences(*(escape(retell(note)) for note in (*upload.notes, *why))))
            download_refused(grown.refused, f"more-{row.id}")
            st.page_link("new_run.py", label=_("Use it in a new run"), query_params={"dataset": str(grown.row.id)},
                         icon=":material/arrow_forward:")  # fmt: skip


def download_refused(refused: "Sequence[Refused]", key: str) -> None:
    """The rows of a file that were left out, with lines and reasons; nothing where there are none."""
    from studio.data.refused import as_csv

    count = sum(each.count for each in refused)
    if count:
        translated = [replace(each, reason=retell(each.reason)) for each in refused]
        st.download_button(
            counted("{number} row left out: lines and reasons", "{number} rows left out: lines and reasons", count),
            as_csv(translated),
            _("rows left out.csv"),
            "text/csv",
            icon=":material/download:",
            type="tertiary",
            key=f"refused-{key}",
            on_click="ignore",
        )


def rename(row: DatasetRow) -> None:
    with st.popover(_("Rename"), type="tertiary"):
        name = st.text_input(_("Name"), row.name, max_chars=80, key=f"new-name-{row.id}")
        if st.button(_("Rename"), type="primary", key=f"rename-{row.id}"):
            with errors_shown():
                get_acts().rename(row.id, name)
                st.rerun()


def delete(row: DatasetRow, users: list[int]) -> None:
    runs = commas(map(str, users[:MOST_NAMED])) + (" …" if len(users) > MOST_NAMED else "")
    why = counted("Run {runs} uses it: delete that first.", "Runs {runs} use it: delete them first.", len(users),
                  runs=runs) if users else None  # fmt: skip
    with st.popover(_("Delete"), type="tertiary", disabled=bool(users), help=why):
        st.write(_("It and its files go for good."))
        if st.button(_("Delete permanently"), type="primary", key=f"delete-{row.id}", disabled=bool(users)):
            with errors_shown():
                get_acts().delete_dataset(row.id)
                st.rerun()
