"""Upload, check, map columns, split, preview; the saved data sets."""

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import streamlit as st

from pages import _charts as charts
from pages._studio import errors_shown, get_home, get_store, show_error
from pages._words import ago, escape
from studio.errors import StudioError

TYPES = ["csv", "tsv", "txt", "jsonl", "json", "parquet", "xlsx", "zip"]
PREVIEW_ROWS, PREVIEW_IMAGES = 50, 24
CHUNK = 1024**2
HEADERS = {"Find out": None, "First row has names": True, "No header": False}

home, store = get_home(), get_store()


def on_disk(file: Any) -> Path:
    """A copy of the upload under a name of our own; the user's name is kept for nothing but its ending."""
    folder = home.uploads / hashlib.sha256(file.file_id.encode()).hexdigest()[:16]
    path = folder / "file"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "part"
        with part.open("wb") as to:
            file.seek(0)
            shutil.copyfileobj(file, to, CHUNK)
        part.rename(path)
    return path


@st.cache_data(show_spinner="Reading the file …", max_entries=4)
def read(path: str, name: str, header: bool | None) -> Any:
    from studio.data import uploads

    return uploads.read(Path(path), name=name, header=header)


@st.cache_data(show_spinner="Checking the data …", max_entries=4)
def check(_upload: Any, _test: Any, _unlabelled: Any, columns: Any, task: str, key: tuple[Any, ...]) -> Any:
    from studio.data.cleaning import clean, inspect

    rows = clean(_upload, columns, task, _test, _unlabelled)
    return rows, inspect(rows)


def upload_box(label: str, key: str, help_text: str) -> tuple[Any, tuple[Any, ...]] | None:
    """The upload as a table, and what identifies it; None while there is none or it cannot be read."""
    file = st.file_uploader(label, type=TYPES, key=key, help=help_text)
    if file is None:
        return None
    header = None
    if not file.name.lower().endswith((".zip", ".parquet", ".xlsx", ".json", ".jsonl")):
        word = st.segmented_control("Header", list(HEADERS), default="Find out", key=f"{key}-header")
        header = HEADERS[word or "Find out"]
    try:
        upload = read(str(on_disk(file)), file.name, header)
    except StudioError as error:
        show_error(error)
        return None
    st.caption(" ".join(escape(note) for note in upload.notes))
    return upload, (file.file_id, header)


def preview(upload: Any) -> None:
    if upload.kind == "table":
        st.dataframe(upload.table.head(PREVIEW_ROWS), hide_index=True, height=240)
        st.caption(f"The first {min(PREVIEW_ROWS, len(upload.table))} of {len(upload.table):,} rows.")
        return
    step = max(1, len(upload.table) // PREVIEW_IMAGES)
    some = upload.table.iloc[::step].head(PREVIEW_IMAGES)
    st.image(some["image"].tolist(), caption=[escape(label) for label in some["label"]], width=64)


def map_columns(upload: Any, key: str) -> Any:
    """Guessed columns that can be changed."""
    from studio.data.columns import Columns, guess_columns

    guess = guess_columns(upload)
    if upload.kind == "images":
        separator = choose_separator(upload, guess.label, key)
        return Columns(guess.input, guess.label, guess.split, separator)
    names = list(upload.table.columns)
    nothing = "(none)"
    first, second, third = st.columns(3)
    text = first.selectbox("Text column", names, index=names.index(guess.input), key=f"input-{key}")
    label = second.selectbox(
        "Label column", names, index=names.index(guess.label) if guess.label else None, key=f"label-{key}"
    )
    options = [nothing, *names]
    split = third.selectbox(
        "Split column",
        options,
        index=options.index(guess.split) if guess.split else 0,
        key=f"split-{key}",
        help="A column that says train, validation or test. Without one the studio splits for you.",
    )
    separator = choose_separator(upload, label, key)
    return Columns(text, label, None if split == nothing else split, separator)


def choose_separator(upload: Any, label: str | None, key: str) -> str | None:
    """What stands between the labels of a row, for data in which a row can have several."""
    from studio.data.columns import SEPARATORS, guess_separator

    if label is None or not upload.table[label].astype(str).str.contains(r"[|;,]").any():
        return None
    one = "Every row has one label"
    words = {one: None} | {f"Several, with {separator} between them": separator for separator in SEPARATORS}
    guess = guess_separator(upload, label)
    index = list(words.values()).index(guess)
    help_text = "Where a row can have several labels, the models say yes or no to each of them."
    picked = st.selectbox("Labels in a cell", list(words), index=index, key=f"separator-{label}-{key}", help=help_text)
    return words[picked]


def show_report(report: Any) -> None:
    with st.container(horizontal=True):
        st.metric("Rows", f"{report.rows:,}", border=True)
        st.metric("Labels", f"{len(report.classes):,}", border=True)
        st.metric("Without a label", f"{report.unlabelled:,}", border=True)
        st.metric("Duplicates", f"{report.duplicates:,}", border=True)
        st.metric("In train and test", f"{report.leaked:,}", border=True)
    for warning in report.warnings:
        st.warning(escape(warning), icon=":material/warning:")
    left, right = st.columns([3, 2])
    with left:
        st.markdown("**Rows for each label**")
        st.plotly_chart(charts.class_counts(report.classes), key="classes", config={"displayModeBar": False})
    with right:
        if report.words:
            st.markdown("**Words in a text**")
            st.dataframe([{"": name, "words": value} for name, value in report.words.items()], hide_index=True)


def split_settings(report: Any) -> dict[str, Any]:
    """Shares for the splits that are missing, and what to do about leaks."""
    values: dict[str, Any] = {}
    left, middle, right = st.columns(3)
    given = report.splits
    if "test" not in given:
        share = left.slider(
            "Test share", 5, 50, 20, format="%d %%", help="Rows kept aside; only the final exam reads them."
        )
        values["test_share"] = share / 100
    if "validation" not in given:
        share = middle.slider(
            "Validation share", 5, 30, 10, format="%d %%", help="Rows that pick the best state of a model."
        )
        values["validation_share"] = share / 100
    values["seed"] = right.number_input("Seed of the split", 0, 10_000, 0, help="The same seed gives the same split.")
    if report.leaked:
        values["drop_leaked"] = st.toggle("Take out of the training data what also stands in the test data", value=True)
    return values


def suggested_name(file_name: str) -> str:
    return re.sub(r"[^\w -]+", " ", Path(file_name.replace("\\", "/")).stem).strip()[:60] or "data"


def add_data() -> None:
    found = upload_box(
        "A table (CSV, TSV, JSON lines, Parquet, Excel) or a ZIP of image folders",
        "upload",
        "Any encoding and delimiter. In a ZIP the folders name the classes: cats/…, dogs/… or train/cats/….",
    )
    if found is None:
        st.caption("Nothing leaves this machine. A row needs a text or an image, and most rows a label.")
        return
    upload, identity = found
    preview(upload)
    st.subheader("Columns", anchor=False)
    key = hashlib.sha1(repr(identity).encode(), usedforsecurity=False).hexdigest()[:8]
    columns = map_columns(upload, key)
    with st.expander("I have a second file: test rows, or rows without labels"):
        second = upload_box("Test file", "upload-test", "It has the same columns.")
        third = upload_box(
            "File without labels",
            "upload-unlabelled",
            "More inputs like those above. The student learns them from the teacher alone; labels in it are ignored.",
        )
    test, test_identity = second or (None, ())
    unlabelled, unlabelled_identity = third or (None, ())
    from studio.data.columns import guess_task

    whole = (identity, test_identity, unlabelled_identity)
    try:
        rows, report = check(upload, test, unlabelled, columns, guess_task(upload), whole)
    except StudioError as error:
        return show_error(error)
    st.subheader("What is in it", anchor=False)
    show_report(report)
    st.subheader("Split and save", anchor=False)
    values = split_settings(report)
    name = st.text_input("Name", value=suggested_name(st.session_state["upload"].name), max_chars=80, key=f"name-{key}")
    if st.button("Save data set", type="primary", icon=":material/save:"):
        save(name, rows, columns, values)


def save(name: str, rows: Any, columns: Any, values: dict[str, Any]) -> None:
    from studio.service import library

    with errors_shown(), st.spinner("Saving …"):
        saved = library.save(store, home, name, rows, columns, **values)
        st.success(f"Saved as **{escape(saved.name)}**.", icon=":material/check_circle:")
        st.page_link(
            "new_run.py",
            label="Use it in a new run",
            query_params={"dataset": str(saved.id)},
            icon=":material/arrow_forward:",
        )


def saved_data() -> None:
    rows = store.datasets()
    if not rows:
        st.info("No data set is saved yet. Upload a file above.", icon=":material/inbox:")
        return
    table = [
        {
            "Id": row.id,
            "Name": row.name,
            "Kind": row.task.split("-")[0],
            "Labels": len(row.labels),
            "Train": row.splits.get("train", 0),
            "Validation": row.splits.get("validation", 0),
            "Test": row.splits.get("test", 0),
            "Added": ago(row.created_at),
        }
        for row in rows
    ]
    st.dataframe(table, hide_index=True)


st.title("Data", anchor=False)
add_data()
st.header("Saved data sets", anchor=False, divider="gray")
saved_data()
