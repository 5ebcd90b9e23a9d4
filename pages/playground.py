"""Try a run's models: one input, what teacher, student and control say of it, side by side."""

from typing import Any

import streamlit as st

from pages import _answers as answers
from pages._markup import joined
from pages._studio import errors_shown, get_home, get_person, get_store, run_in_address, set_title, show_error, task_of
from pages._words import escape, model
from studio import tasks
from studio.config.reading import bounds
from studio.errors import StudioError
from studio.pipeline.answers import Replies
from studio.service import playground
from studio.store.rows import DatasetRow, RunRow
from studio.tasks import language

TEST_ROWS = 50
PICTURES = ["png", "jpg", "jpeg", "bmp", "webp"]
LARGEST_MB, LONGEST_TEXT = 20, 20_000
ASKED, NUMBER = "playground-asked", "playground-number"

home, store = get_home(), get_store()


@st.cache_data(show_spinner=False, max_entries=4, ttl=3600)
def test_rows(path: str, row: DatasetRow) -> list[dict[str, Any]]:
    """Some rows that no model has learned from, with what a person said of them."""
    from studio.service import library

    found: list[dict[str, Any]] = library.head(home, row, TEST_ROWS, "test").to_dict("records")
    return found


def choose() -> RunRow | None:
    """The run in the address, or the newest whose student can be asked."""
    can = [run for run in store.runs() if run.verdict is not None and home.model(run.id, "student").is_dir()]
    wanted = run_in_address("run")
    if not can and wanted is None:
        st.info("No run has finished yet.", icon=":material/inbox:")
        st.page_link("home.py", label="Try a demo", icon=":material/play_arrow:")
        return None
    numbers = [run.id for run in can]
    if wanted is not None and wanted.id not in numbers:
        st.info(f"Run {wanted.id} has no student that can be asked yet.", icon=":material/info:")
        return None
    index = numbers.index(wanted.id) if wanted is not None else 0
    return st.selectbox("Run", can, index=index, format_func=name, key="playground-run", on_change=forget)


def name(run: RunRow) -> str:
    config = run.config
    return f"Run {run.id} · {config.dataset} · {model(config.teacher)} → {model(config.student)}"


def forget() -> None:
    """What was asked belongs to another run."""
    for key in (ASKED, "playground-text", "playground-pair"):
        st.session_state.pop(key, None)


def take_row(task: tasks.Task, rows: list[dict[str, Any]]) -> None:
    """The next test row, asked at once."""
    number = st.session_state.get(NUMBER, -1) + 1
    st.session_state[NUMBER] = number
    row = rows[number % len(rows)]
    if task.modality == "image":
        value: Any = row["image"]
    elif "words" in row:
        value = list(row["words"])
        st.session_state["playground-text"] = " ".join(value)[:LONGEST_TEXT]
    elif task.targets.column is None:
        value, shown, goes_on = language.asked(row)
        st.session_state["playground-text"] = shown[:LONGEST_TEXT]
        row = row | {"label": goes_on[:LONGEST_TEXT]}
    else:
        st.session_state["playground-text"] = row["text"][:LONGEST_TEXT]
        value = row["text"]
        if "text_pair" in row:
            st.session_state["playground-pair"] = row["text_pair"][:LONGEST_TEXT]
            value = [row["text"], row["text_pair"]]
    st.session_state[ASKED] = (value, row["label"])


def own_input(task: tasks.Task, is_answered: bool = False) -> Any:
    """What a person writes or brings; None while there is nothing."""
    if task.modality == "image":
        if not get_person().has("member"):
            st.caption("Take a test row below: to bring pictures of your own, ask an admin.")
            return None
        file = st.file_uploader("A picture", type=PICTURES, key="playground-image", max_upload_size=LARGEST_MB)
        return None if file is None else file.getvalue()
    pair = next((column for column in task.inputs.columns if column.role == "pair"), None)
    pair = None if task.targets.column is None else pair  # what comes second the models are to write
    left = st.text_area("Text", key="playground-text", placeholder="Write or paste something …", height=110,
                        max_chars=LONGEST_TEXT)  # fmt: skip
    second = "" if pair is None else st.text_area(pair.title, key="playground-pair", height=110,
                                                            max_chars=LONGEST_TEXT)  # fmt: skip
    if not left.strip() or (pair is not None and pair.required and not second.strip()):
        return None
    if is_answered:
        return [left, ""]
    return left if pair is None else [left, second]


def ask(run: RunRow, task: tasks.Task) -> None:
    """The input, and the models' answers to it."""
    row = next((row for row in store.datasets() if row.id == run.dataset_id), None)
    value = own_input(task, is_answered=task.targets.column is None and row is not None and "pair" in row.columns)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Ask the models", type="primary", icon=":material/play_arrow:", key="playground-ask",
                     disabled=value is None):  # fmt: skip
            st.session_state[ASKED] = (value, None)
        if row is not None and row.splits.get("test"):
            rows = test_rows(str(home.root), row)
            st.button("Take a test row", icon=":material/casino:", key="playground-row",
                      on_click=take_row, args=(task, rows))  # fmt: skip
    if ASKED not in st.session_state:
        st.caption("Test rows are rows that no model of this run has learned from.")
        return
    asked, label = st.session_state[ASKED]
    with errors_shown():
        with st.spinner("Asking the models; they are opened the first time …"):
            found = playground.shared(home.root).ask(store, run.id, asked)
        show(found, asked, label, run, task)


def show(found: Replies, asked: Any, label: Any, run: RunRow, task: tasks.Task) -> None:
    """All answers side by side."""
    words = asked.split() if isinstance(asked, str) else [str(part) for part in asked]
    if isinstance(asked, bytes):
        st.image(asked, width=160)
        words = []
    if task.targets.column is not None:
        st.subheader(escape(answers.agreement(found.said, words)), anchor=False)
    if label is not None:
        st.caption(f"In the data it is: {escape(answers.meant(label, words))}")
    for place, said in zip(st.columns(len(found.said)), found.said, strict=True):
        with place:
            st.html(answers.card(said, words))
    where = "the GPU" if found.device.startswith("cuda") else "the processor"
    st.caption(f"Timed on {where} of this machine, from the input to the answer, this one alone.")
    for role, reason in found.missing.items():
        st.warning(f"{answers.NAMES[role]}: {escape(reason)}", icon=":material/warning:")
    teacher = found.said[0]
    if teacher.role == "teacher" and task.kind == "class" and len(teacher.shares) > 1:
        hear(teacher.shares, run)


def hear(shares: dict[str, float], run: RunRow) -> None:
    """What a temperature makes of the teacher's answer."""
    with st.expander("What the student hears of this", key="fold-hears"):
        low, high = bounds("temperature")
        temperature = st.slider("Temperature", max(1.0, float(low or 1)), min(20.0, float(high or 20)),
                                min(20.0, max(1.0, float(run.config.temperature))), step=0.5,
                                key=f"playground-temperature-{run.id}")  # fmt: skip
        soft = answers.softened(shares, temperature)
        for place, (title, said) in zip(
            st.columns(2), (("The teacher says", shares), (f"At T = {temperature:g}", soft)), strict=True
        ):
            with place:
                st.markdown(f"**{title}** · {answers.entropy(said):.2f} bits of doubt")
                st.html(joined(answers.bars(said)))
        st.caption("A higher temperature shows the student more of what the teacher thinks of the other labels.")


st.title("Playground", anchor=False)
st.caption(
    "Ask the large model, the small one, and the small one that learned without a teacher, about the same thing."
)
try:
    chosen = choose()
    if chosen is not None:
        set_title(f"Playground of run {chosen.id}")
        ask(chosen, task_of(chosen))
except StudioError as error:
    show_error(error)
    st.page_link("all_runs.py", label="All runs", icon=":material/arrow_back:")
