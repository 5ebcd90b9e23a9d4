"""Upload, check, map columns, split, preview; the saved data sets."""

import contextlib
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from pages import _answering as answering
from pages import _asked as asked
from pages import _data_card as cards
from pages import _pictures as pictures
from pages._language import N_, _, counted, retell
from pages._studio import errors_shown, get_acts, get_home, get_store, show_error
from pages._words import escape, size
from studio import tasks
from studio.errors import DataError, StudioError

PREVIEW_ROWS, PREVIEW_IMAGES = 50, 24
JOINED = ("input", "pair")
NO_COLUMN = {"split": N_("Let the studio split")}  # what it means that a column of this role is not there
CHUNK = 1024**2
MOST_LOOKED_AT = 100_000  # so many labels tell whether a cell may hold several
MOST_BARS, FEWEST, BARS_HEIGHT = 12, 3, 420
AUTO = N_("Auto-detect")
HEADERS = {AUTO: None, N_("First row"): True, N_("None"): False}
TYPED = (".parquet", ".arrow", ".feather")  # nothing about these is left open
NAMED_CELLS, SHEETS = (".json", ".jsonl"), (".xlsx",)
ENCODING = N_("Such as utf-8, cp1252 or gb18030. With a named one the file is read even where bytes do not fit it.")
REMOTE = "https://HOST/FILE or hub:ORG/NAME"
REMOTE_HELP = N_(
    "The file at a public https address, or a data set of the Hugging Face Hub; a subset is ORG/NAME/SUBSET."
)
DELIMITER = N_("One character such as ; or |, or the word tab.")


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
}
# by the kind of the finding; `studio.data.mending` has the same kinds

acts, home, store = get_acts(), get_home(), get_store()


@contextlib.contextmanager
def on_disk(file: Any) -> Iterator[Path]:
    """A copy of the upload, for as long as it is read, under a name of our own; the user's name is kept for nothing but
    its ending."""
    home.make()
    home.uploads.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.uploads) as folder:
        path = Path(folder) / "file"
        with path.open("wb") as to:
            file.seek(0)
            shutil.copyfileobj(file, to, CHUNK)
        yield path


@st.cache_resource(show_spinner=False, max_entries=4)
def read(_file: Any, file_id: str, header: bool | None, encoding: str | None, delimiter: str | None) -> Any:
    from studio.data import apart

    with on_disk(_file) as path:
        return apart.read(path, name=_file.name, header=header, encoding=encoding, delimiter=delimiter)


@st.cache_resource(show_spinner=False, max_entries=4)
def check(
    _upload: Any, _test: Any, _unlabelled: Any, columns: Any, task: Any, key: tuple[Any, ...], mends: tuple[str, ...]
) -> Any:
    from studio.data.cleaning import clean
    from studio.data.mending import mended

    rows = mended(clean(_upload, columns, task, _test, _unlabelled), mends)
    return rows, rows.report


def upload_box(label: str, key: str, help_text: str) -> tuple[Any, tuple[Any, ...]] | None:
    """The upload as a table, and what identifies it; None while there is none or it cannot be read."""
    from studio.data.uploads import ENDINGS

    file = st.file_uploader(label, type=list(ENDINGS), key=key, help=help_text)
    if file is None:
        return None
    how = reading_options(file.name.lower(), key)
    try:
        with st.spinner(_("Reading the file …")):
            upload = read(file, file.file_id, *how)
    except StudioError as error:
        show_error(error)
        return None
    st.caption(" ".join(escape(retell(note)) for note in upload.notes))
    return upload, (file.file_id, *how)


def reading_options(name: str, key: str) -> tuple[bool | None, str | None, str | None]:
    """Header, encoding and delimiter as far as they can be named for a file of this name; None: find it out."""
    if name.endswith(TYPED):
        return None, None, None
    header, encoding, delimiter = None, "", ""
    with st.expander(_("Reading options")):
        left, middle, right = st.columns([2, 1, 1])
        if not name.endswith(NAMED_CELLS):
            word = left.segmented_control(_("Header"), list(HEADERS), default=AUTO, key=f"{key}-header",
                                            format_func=lambda one: _(one))  # fmt: skip
            header = HEADERS[word or AUTO]
        if not name.endswith(SHEETS):
            encoding = middle.text_input(_("Encoding"), placeholder=_(AUTO), key=f"{key}-encoding", help=_(ENCODING))
        if not name.endswith((*NAMED_CELLS, *SHEETS)):
            delimiter = right.text_input(_("Delimiter"), placeholder=_(AUTO), key=f"{key}-delimiter", help=_(DELIMITER))
    return header, encoding.strip() or None, delimiter or None


def preview(upload: Any) -> None:
    if upload.kind == "images":
        step = max(1, len(upload.table) // PREVIEW_IMAGES)
        some = upload.table.iloc[::step].head(PREVIEW_IMAGES)
        st.image(some["image"].tolist(), caption=[escape(label) for label in some["label"]], width=64)
        return
    st.dataframe(upload.table.head(PREVIEW_ROWS), hide_index=True, height=240)
    shown = min(PREVIEW_ROWS, len(upload.table))
    st.caption(_("The first {number} of {all} rows.", number=shown, all=f"{len(upload.table):,}"))


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
        st.info(_("Choose a column for: {columns}.", columns=", ".join(missing)), icon=":material/info:")
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
        format_func=lambda name: _(NO_COLUMN.get(column.role, "None")) if name is None else str(name),
        help=_(column.help) if column.help else None,
        key=f"{column.role}-{key}",
    )


def choose_texts(upload: Any, column: tasks.Column, guess: str | None, key: str) -> str | None:
    """The column of a text, or several that are read as one; None where there is none."""
    from studio.data import joining

    picked = st.multiselect(
        _("{name} column", name=_(column.title)),
        list(upload.table.columns),
        default=[] if guess is None else [guess],
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
    guess = guess_separator(upload, label)
    index = list(words.values()).index(guess)
    help_text = _("Where a row can have several labels, the models answer yes or no for each of them.")
    picked = st.selectbox(
        _("Labels in a cell"), list(words), index=index, key=f"separator-{label}-{key}", help=help_text
    )
    return words[picked]


def show_problems(report: Any, task: tasks.Task, key: str) -> None:
    """What is wrong, a line each, with a button where the studio can mend it; what was mended, with the way back."""
    done = st.session_state.get(f"mended-{key}", ())
    for kind in done:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/check_circle: {_(MENDS[kind].done)}", width="content")
            st.button(_("Take back"), key=f"unmend-{kind}", type="tertiary", on_click=mend, args=(key, kind, False))
    if not report.findings and not done:
        st.caption(_("✓ Nothing wrong was found: no rows in both training and test data, no conflicting labels."))
    # labels that are written alike contradict each other less: that comes first
    for number, finding in enumerate(sorted(report.findings, key=lambda one: one.kind != "label_spelling")):
        with st.container(horizontal=True, vertical_alignment="center", key=f"problem-{number}"):
            st.markdown(f":material/warning: {escape(retell(finding.message))}", width="content")
            if finding.kind in MENDS and can_mend(finding.kind, task):
                st.button(_(MENDS[finding.kind].words), key=f"mend-{finding.kind}", on_click=mend,
                          args=(key, finding.kind, True))  # fmt: skip
            elif finding.kind == "leaks":
                st.caption(_("They are removed from the training data; see the split below."), width="content")


def can_mend(kind: str, task: tasks.Task) -> bool:
    """Labels of one class a row can be mended; of other ones only rows that repeat or contradict others."""
    return kind == "copies" or (task.kind == "class")


def mend(key: str, kind: str, wanted: bool) -> None:
    done = [one for one in st.session_state.get(f"mended-{key}", ()) if one != kind]
    st.session_state[f"mended-{key}"] = tuple([*done, kind] if wanted else done)


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
    return _("{task}: {parts}", task=_(task.title), parts=", ".join(parts))


def show_classes(classes: dict[str, int], task: tasks.Task) -> None:
    """Every class while they fit; of many the most and the least frequent ones, the rest at a click."""
    if len(classes) <= MOST_BARS or task.kind == "number":
        st.html(pictures.class_counts(classes))
        return
    ordered = dict(sorted(classes.items(), key=lambda one: -one[1]))
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


def remote_box() -> tuple[Any, tuple[Any, ...]] | None:
    """What stands at an address or on the hub; None while none is named or it cannot be read."""
    with st.expander(_("From an address or the Hugging Face Hub")), st.form("remote", border=False):
        said = st.text_input(_("Address or name"), placeholder=REMOTE, key="remote-name", help=_(REMOTE_HELP)).strip()
        st.form_submit_button(_("Fetch"), icon=":material/download:")
    if not said:
        return None
    try:
        upload = fetch(said)
    except StudioError as error:
        show_error(error)
        return None
    st.caption(" ".join(escape(retell(note)) for note in upload.notes))
    return upload, ("remote", said)


def fetch(said: str) -> Any:
    """What stands there; the last one is kept for this session."""
    from studio.service import sources, web

    def tell(done: int, total: int | None) -> None:
        told = _("{done} of {total}", done=size(done), total=size(total)) if total else size(done)
        bar.progress(min(1.0, done / total) if total else 0.0, _("Fetching … {size}", size=told))

    name, upload = st.session_state.get("fetched", ("", None))
    if name == said:
        return upload
    if not web.is_remote(said):
        raise DataError(f"{said!r} is neither an address nor a name on the hub.", f"Write {REMOTE}.")
    bar = st.progress(0.0, _("Fetching …"))
    try:
        upload = sources.bring(said, tell=tell)
    finally:
        bar.empty()
    st.session_state["fetched"] = said, upload
    return upload


def add_data() -> None:
    found = upload_box(
        _(
            "A table (CSV, Excel, JSON lines, Parquet), a text, tagged words (CoNLL) or a ZIP of image folders; "
            "at most {size}",
            size=size(1e6 * st.get_option("server.maxUploadSize")),
        ),
        "upload",
        _("Any encoding and delimiter. In a ZIP, folders name the classes: cats/…, dogs/… or train/cats/…."),
    )
    uploaded = st.session_state["upload"]
    if uploaded is None:
        found = remote_box()
    if found is None:
        st.caption(_("Nothing leaves this machine. Each row needs a text or an image, and most rows a label."))
        return
    upload, identity = found
    key = hashlib.sha1(repr(identity).encode(), usedforsecurity=False).hexdigest()[:8]
    told = st.container(key="told")
    look, counts = st.columns([3, 2], gap="large")
    with look:
        preview(upload)
    if upload.kind == "table":
        st.header(_("Columns"), anchor=False)
    task = choose_task(upload, key)
    columns = map_columns(upload, task, key)
    if columns is None:
        return
    (test, test_identity), (unlabelled, unlabelled_identity) = more_files()
    mends = st.session_state.get(f"mended-{key}", ())
    whole = (identity, test_identity, unlabelled_identity, mends)
    try:
        with st.spinner(_("Checking the data …")):
            rows, report = check(upload, test, unlabelled, columns, task.name, whole, mends)
    except StudioError as error:
        return cannot_use(error, key)
    with told:
        st.header(in_a_sentence(report, task), anchor=False)
        show_problems(report, task, key)
    with counts:
        show_counts(report, task)
    with st.expander(_("Split into training, validation and test rows")):
        values = split_settings(report)
    offer_refused(rows, values, key)
    save_bar(suggested_name(uploaded.name if uploaded else str(identity[-1])), key, rows, columns, values)


def save_bar(first: str, key: str, rows: Any, columns: Any, values: dict[str, Any]) -> None:
    """Where the data set gets its name and is saved; always in sight."""
    with st.container(key="savebar", gap="small"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.text_input(_("Name"), value=first, max_chars=80, key=f"name-{key}")
            wanted = st.button(_("Save data set"), type="primary", icon=":material/save:")
        if wanted:
            save(name, rows, columns, values)


def more_files() -> tuple[tuple[Any, tuple[Any, ...]], tuple[Any, tuple[Any, ...]]]:
    """A file of test rows and one of rows without labels, each with its identity, where they are given."""
    with st.expander(_("More files: test rows, or rows without labels")):
        test = upload_box(_("Test file"), "upload-test", _("With the same columns."))
        unlabelled = upload_box(
            _("File without labels"),
            "upload-unlabelled",
            _(
                "More inputs of the same kind. The student learns them from the teacher alone; labels in it "
                "are ignored."
            ),
        )
    return test or (None, ()), unlabelled or (None, ())


def cannot_use(error: StudioError, key: str) -> None:
    """What is wrong; where a mending has led there, the way back."""
    show_error(error)
    if st.session_state.get(f"mended-{key}"):
        st.button(_("Take back what was mended"), key="unmend", on_click=st.session_state.pop,
                  args=(f"mended-{key}",))  # fmt: skip


def save(name: str, rows: Any, columns: Any, values: dict[str, Any]) -> None:
    with errors_shown(), st.spinner(_("Saving …")):
        saved = acts.save(name, rows, columns, **values)
        for name in tasks.get(saved.task, saved.multi_label).builtins[:1]:
            asked.sizes(saved, f"builtin/{name}")  # what a new run will show first
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(
                ":material/check_circle: " + _("Saved as **{name}**.", name=escape(saved.name)), width="content"
            )
            st.page_link("new_run.py", label=_("Use it in a new run"), query_params={"dataset": str(saved.id)},
                         icon=":material/arrow_forward:", width="content")  # fmt: skip


def saved_data() -> None:
    rows = store.datasets()
    if not rows:
        st.html(
            pictures.empty(_("No data sets yet"), _("Saved data sets are listed here, ready for any number of runs."))
        )
        return
    known, names = store.all_versions(), {row.id: row.name for row in rows}
    for start in range(0, len(rows), 2):
        for column, row in zip(st.columns(2), rows[start : start + 2], strict=False):
            with column:
                cards.card(row, known, names)


st.title(_("Data"), anchor=False)
if acts.person.has("member"):
    add_data()
    answering.section(upload_box)
st.header(_("Saved data sets"), anchor=False)
saved_data()
