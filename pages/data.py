"""Upload, check, map columns, split, preview; the saved data sets."""

import hashlib
import re
from pathlib import Path
from typing import Any

import streamlit as st

from pages import _answering as answering
from pages import _asked as asked
from pages import _data_card as cards
from pages import _pictures as pictures
from pages import _problems as problems
from pages._brought import STAYS, remote_box, upload_box
from pages._kept_upload import forget
from pages._language import N_, _, counted
from pages._studio import errors_shown, get_acts, get_home, get_store, go_to, show_error
from pages._words import commas, data_name, escape, size, split_rows
from studio import tasks
from studio.errors import StudioError
from studio.language.escaping import unturned
from studio.store.rows import DatasetRow

PREVIEW_ROWS, PREVIEW_IMAGES, PREVIEW_WIDTH, LONG_CELL = 50, 24, 300, 40
PREVIEW_LETTERS = 2_000  # of a cell; a file may hold megabytes in each
JOINED = ("input", "pair")
NO_COLUMN = {"split": N_("Let the studio split")}  # what it means that a column of this role is not there
UPLOADS = ("upload", "upload-test", "upload-unlabelled")
MOST_LOOKED_AT = 100_000  # so many labels tell whether a cell may hold several
MOST_BARS, FEWEST, BARS_HEIGHT = 12, 3, 420


acts, home, store = get_acts(), get_home(), get_store()


@st.cache_resource(show_spinner=False, max_entries=4)
def check(
    _upload: Any, _test: Any, _unlabelled: Any, columns: Any, task: Any, key: tuple[Any, ...], mends: tuple[str, ...]
) -> Any:
    from studio.data.cleaning import clean
    from studio.data.mending import mended

    rows = mended(clean(_upload, columns, task, _test, _unlabelled), mends)
    return rows, rows.report


def preview(upload: Any) -> None:
    if upload.kind == "images":
        step = max(1, len(upload.table) // PREVIEW_IMAGES)
        some = upload.table.iloc[::step].head(PREVIEW_IMAGES)
        st.image(some["image"].tolist(), caption=[escape(shown_label(label)) for label in some["label"]], width=64)
        return
    some = upload.table.head(PREVIEW_ROWS).map(lambda cell: unturned(cell[:PREVIEW_LETTERS]))
    heads = {
        name: st.column_config.Column(unturned(name), width=PREVIEW_WIDTH if is_long(some[name]) else None)
        for name in some
    }
    st.dataframe(some, hide_index=True, height=240, column_config=heads)
    shown = min(PREVIEW_ROWS, len(upload.table))
    st.caption(_("The first {number} of {all} rows.", number=shown, all=f"{len(upload.table):,}"))


def shown_label(label: str) -> str:
    """A label; several of them one after the other."""
    from studio.data.columns import listed

    several = listed(label)
    return label if several is None else ", ".join(several)


def is_long(cells: Any) -> bool:
    """Whether a column would push the others, such as that of the labels, out of sight."""
    return bool(cells.astype(str).str.len().max() > LONG_CELL)


def choose_task(upload: Any, key: str) -> tasks.Task:
    """Among the tasks that fit the upload; the most likely one comes first."""
    from studio.data.columns import fitting

    names = fitting(upload)
    if len(names) == 1:
        return tasks.get(names[0])
    picked = st.selectbox(
        _("Task"),
        names,
        format_func=lambda name: _(tasks.get(name).title),
        key=f"task-{key}",
        help=_("What the models learn from these rows."),
    )
    return tasks.get(picked)


def map_columns(upload: Any, task: tasks.Task, key: str) -> Any:
    """Guessed columns that can be changed, where the kind of upload leaves a choice; None while one is missing."""
    from studio.data.columns import Columns, guess_columns

    guess = guess_columns(upload, task.name)
    roles: dict[str, str | None] = {column.role: guess.as_dict().get(column.role) for column in task.columns}
    if upload.kind == "table":
        for place, column in zip(st.columns(len(task.columns)), task.columns, strict=True):
            with place:
                choose = choose_texts if column.role in JOINED and task.modality == "text" else choose_column
                roles[column.role] = choose(upload, column, roles[column.role], f"{task.name}-{key}")
    missing = [_(column.title).lower() for column in task.columns if column.required and roles[column.role] is None]
    if missing:
        st.info(_("Choose a column for: {columns}.", columns=commas(missing)), icon=":material/info:")
        return None
    roles.setdefault("label", None)  # of a task whose rows are their own labels
    return Columns(**roles, separator=choose_separator(upload, task, roles["label"], key))  # type: ignore[arg-type]


def choose_column(upload: Any, column: tasks.Column, guess: str | None, key: str) -> str | None:
    """The column of a role; None where there is none."""
    names: list[str | None] = [] if column.required else [None]
    names += list(upload.table.columns)
    return st.selectbox(
        _("{name} column", name=_(column.title)),
        names,
        index=names.index(guess) if guess in names else None,
        format_func=lambda name: _(NO_COLUMN.get(column.role, "None")) if name is None else unturned(name),
        help=_(column.help) if column.help else None,
        key=f"{column.role}-{key}",
    )


def choose_texts(upload: Any, column: tasks.Column, guess: str | None, key: str) -> str | None:
    """The column of a text, or several that are read as one; None where there is none."""
    from studio.data import joining

    names = list(upload.table.columns)
    picked = st.multiselect(
        _("{name} column", name=_(column.title)),
        names,
        default=[] if guess is None else joining.parts(guess, names),
        format_func=unturned,
        placeholder=_("None"),
        help=" ".join(filter(None, [_(column.help), _("Several columns are read as one text.")])),
        key=f"{column.role}-{key}",
    )
    return joining.name_of(picked) or None


def choose_separator(upload: Any, task: tasks.Task, label: str | None, key: str) -> str | None:
    """What stands between the labels of a row, for data in which a row can have several."""
    from studio.data.columns import SEPARATORS, guess_separator

    if task.multi_label_targets is None or label not in upload.table.columns:
        return None
    if not upload.table[label].head(MOST_LOOKED_AT).astype(str).str.contains(r"[|;,]").any():
        return None
    several = {_("Several, separated by {separator}", separator=separator): separator for separator in SEPARATORS}
    words = {_("One label"): None} | several
    guess = guess_separator(upload.table[label].head(MOST_LOOKED_AT))
    index = list(words.values()).index(guess)
    help_text = _("Where a row can have several labels, the models answer yes or no for each of them.")
    picked = st.selectbox(
        _("Labels in a cell"), list(words), index=index, key=f"separator-{label}-{key}", help=help_text
    )
    return words[picked]


def show_counts(report: Any, task: tasks.Task) -> None:
    """How often each class comes, and how long the texts are."""
    if report.classes:
        st.markdown(_("**Rows per range**") if task.kind == "number" else _("**Rows per label**"))
        show_classes(report.classes, task)
    if report.words:
        st.markdown(_("**Words per text**"))
        st.html(pictures.facts({_(name): f"{value:,}" for name, value in report.words.items()}))


def in_a_sentence(report: Any, task: tasks.Task) -> str:
    """What somebody would say who was asked what is in the file."""
    parts = [counted("{shown} row", "{shown} rows", report.rows, shown=f"{report.rows:,}")]
    if task.kind != "number" and report.classes:
        parts.append(counted("{number} label", "{number} labels", len(report.classes)))
    if report.unlabelled:
        parts.append(_("{number} without a label", number=f"{report.unlabelled:,}"))
    if report.duplicates:
        parts.append(counted("{number} copy", "{number} copies", report.duplicates))
    return _("{task}: {parts}", task=_(task.title), parts=commas(parts))


def show_classes(classes: dict[str, int], task: tasks.Task) -> None:
    """Every class while they fit; of many the most and the least frequent ones, the rest at a click."""
    if len(classes) <= MOST_BARS or task.kind == "number":
        st.html(pictures.class_counts(classes))
        return
    ordered = dict(sorted(classes.items(), key=lambda pair: -pair[1]))
    names = list(ordered)
    few = [*names[: MOST_BARS - FEWEST], *names[-FEWEST:]]
    st.html(pictures.class_counts({name: ordered[name] for name in few}))
    st.caption(_("The {most} most frequent and the {least} least frequent of {all}.", most=MOST_BARS - FEWEST,
                 least=FEWEST, all=f"{len(classes):,}"))  # fmt: skip
    with st.expander(_("All {number}", number=f"{len(classes):,}")), st.container(height=BARS_HEIGHT):
        st.html(pictures.class_counts(ordered))


def split_settings(report: Any) -> dict[str, Any]:
    """Shares for the splits that are missing, and what to do about leaks."""
    values: dict[str, Any] = {}
    left, middle, right = st.columns(3)
    given = report.splits
    if "test" not in given:
        share = left.slider(
            _("Test share"),
            5,
            50,
            20,
            format="%d %%",
            help=_("Rows set aside for the final evaluation; nothing else reads them."),
        )
        values["test_share"] = share / 100
    if "validation" not in given:
        share = middle.slider(
            _("Validation share"), 5, 30, 10, format="%d %%", help=_("Rows used to pick the best state of each model.")
        )
        values["validation_share"] = share / 100
    values["seed"] = right.number_input(_("Split seed"), 0, 10_000, 0, help=_("The same seed gives the same split."))
    if report.leaked:
        values["drop_leaked"] = st.toggle(_("Remove test rows from training data"), value=True)
    return values


def offer_refused(rows: Any, values: dict[str, Any], key: str) -> None:
    """The rows of the files that will not be in the data set, as a file."""
    from studio.service import library

    cards.download_refused((library.without_leaks(rows) if values.get("drop_leaked") else rows).refused, key)


def suggested_name(file_name: str) -> str:
    return re.sub(r"[^\w -]+", " ", Path(file_name.replace("\\", "/")).stem).strip()[:60] or "data"


def add_data() -> None:
    st.caption(_(STAYS))
    found = upload_box(
        _(
            "A table (CSV, Excel, JSON lines, Parquet), a text, tagged words (CoNLL) or a ZIP or TAR of image folders; "
            "at most {size}",
            size=size(1e6 * st.get_option("server.maxUploadSize")),
        ),
        "upload",
        _("Any encoding and delimiter. In a ZIP, folders name the classes: cats/…, dogs/… or train/cats/…."),
    )
    if found is None and "upload" not in st.query_params:
        found = remote_box()
    if found is None:
        if "upload" not in st.query_params:
            problems.take_all_back()
        st.caption(_("Each row needs a text or an image, and most rows a label."))
        return
    upload, identity = found
    problems.belong_to(str(identity[0]), str(identity[-1]))
    key = hashlib.sha1(repr(identity).encode(), usedforsecurity=False).hexdigest()[:8]
    summary = st.container(key="told")
    look, counts = st.columns([3, 2], gap="large")
    with look:
        preview(upload)
    if upload.kind == "table":
        st.header(_("Columns"), anchor=False)
    task = choose_task(upload, key)
    columns = map_columns(upload, task, key)
    if columns is None:
        return
    (test, test_identity), (unlabelled, unlabelled_identity) = more_files(task)
    mends = problems.done()
    whole = (identity, test_identity, unlabelled_identity, mends)
    try:
        with st.spinner(_("Checking the data …")):
            rows, report = check(upload, test, unlabelled, columns, task.name, whole, mends)
    except StudioError as error:
        return cannot_use(error)
    with summary:
        st.header(in_a_sentence(report, task), anchor=False)
        problems.show_problems(report, task)
    with counts:
        show_counts(report, task)
    with st.expander(_("Split into training, validation and test rows")):
        values = split_settings(report)
    offer_refused(rows, values, key)
    save_bar(suggested_name(str(identity[-1])), key, rows, columns, values)


def save_bar(first: str, key: str, rows: Any, columns: Any, values: dict[str, Any]) -> None:
    """Where the data set gets its name and is saved; always in sight."""
    with st.container(key="savebar", gap="small"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.text_input(_("Name"), value=first, max_chars=80, key=f"name-{key}")
            wanted = st.button(_("Save data set"), type="primary", icon=":material/save:", key="save")
        if wanted:
            save(name, rows, columns, values)


def more_files(task: tasks.Task) -> tuple[tuple[Any, tuple[Any, ...]], tuple[Any, tuple[Any, ...]]]:
    """A file of test rows and, where rows have labels, one of rows without; each with its identity, where given."""
    has_labels = task.targets.column is not None
    title = _("More files: test rows, or rows without labels") if has_labels else _("One more file: test rows")
    with st.expander(title):
        test = upload_box(_("Test file"), "upload-test", _("With the same columns."))
        if not has_labels:
            return test or (None, ()), (None, ())
        unlabelled = upload_box(
            _("File without labels"),
            "upload-unlabelled",
            _(
                "More inputs of the same kind. The student learns them from the teacher alone; labels in it "
                "are ignored."
            ),
        )
    return test or (None, ()), unlabelled or (None, ())


def cannot_use(error: StudioError) -> None:
    """What is wrong; where a mending has led there, the way back."""
    show_error(error)
    if problems.done():
        st.button(_("Take back what was mended"), key="unmend", on_click=problems.take_all_back)


def save(name: str, rows: Any, columns: Any, values: dict[str, Any]) -> None:
    """Save it; the page then says so, and no more of the upload."""
    with errors_shown(), st.spinner(_("Saving …")):
        saved = acts.save(name, rows, columns, **values)
        for name in tasks.get(saved.task, saved.multi_label).builtins[:1]:
            asked.sizes(saved, f"builtin/{name}")  # what a new run will show first
        for key in UPLOADS:
            forget(home, key)
        problems.take_all_back()
        st.query_params["saved"] = str(saved.id)
        st.rerun()


def just_saved() -> DatasetRow | None:
    """The data set that the address names as the one that was saved last."""
    wanted = st.query_params.get("saved", "")
    return next((row for row in store.datasets() if str(row.id) == wanted), None)


def show_saved(row: DatasetRow) -> None:
    """That it is saved, and the way on."""
    with st.container(border=True, key="just-saved"):
        st.header(_("Saved as {name}", name=escape(data_name(row.name))), anchor=False)
        task = tasks.get(row.task, row.multi_label)
        st.caption(_("{task}: {parts} rows", task=_(task.title), parts=split_rows(row.splits)))
        st.caption(_("Models learn from the training rows; the validation rows decide which state of a model is kept; "
                     "the test rows are read once, for the verdict."))  # fmt: skip
        with st.container(horizontal=True):
            if st.button(_("Use it in a new run"), type="primary", icon=":material/arrow_forward:", key="use-saved"):
                go_to("new_run.py", {"dataset": str(row.id)})
            st.button(_("Add other data"), key="add-other", on_click=begin_anew)


def begin_anew() -> None:
    del st.query_params["saved"]


def saved_data() -> None:
    rows = store.datasets()
    if not rows:
        st.html(
            pictures.empty(_("No data sets yet"), _("Saved data sets are listed here, ready for any number of runs."))
        )
        return
    known, names = store.all_versions(), {row.id: data_name(row.name) for row in rows}
    for start in range(0, len(rows), 2):
        for column, row in zip(st.columns(2), rows[start : start + 2], strict=False):
            with column:
                cards.card(row, known, names)


st.title(_("Data"), anchor=False)
if acts.person.has("member"):
    row = just_saved()
    if row is None:
        add_data()
    else:
        show_saved(row)
    if row is None and "upload" not in st.query_params:
        answering.section(upload_box)
st.header(_("Saved data sets"), anchor=False)
saved_data()
