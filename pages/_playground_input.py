"""What one asks the models about: a text, a picture that is brought, drawn or taken, or a test row."""

import io
from collections.abc import Sequence
from typing import Any

import streamlit as st
from PIL import Image

from pages._canvas import canvas
from pages._language import _
from pages._studio import get_home, get_person
from studio import tasks
from studio.store.rows import DatasetRow
from studio.tasks import image_files, language

TEST_ROWS = 50
PICTURES = ["png", "jpg", "jpeg", "bmp", "webp"]
LARGEST_MB, LONGEST_TEXT = 20, 20_000
GOES_ON = 400
"""Characters that are shown of how a text goes on in the data."""

LARGEST_DRAWING = 64
"""Pixels of a side."""
LOOKED_AT = 20
ASKED, NUMBER, DRAWN = "playground-asked", "playground-number", "playground-drawn"


@st.cache_data(show_spinner=False, max_entries=4, ttl=3600)
def test_rows(path: str, row: DatasetRow) -> list[dict[str, Any]]:
    """Some rows that no model has learned from, with what a person said of them."""
    from studio.service import library

    found: list[dict[str, Any]] = library.head(get_home(), row, TEST_ROWS, "test").to_dict("records")
    return found


def forget() -> None:
    """What was asked belongs to another run."""
    for key in (ASKED, "playground-text", "playground-pair"):
        st.session_state.pop(key, None)


def take_row(task: tasks.Task, rows: list[dict[str, Any]], number: int | None = None) -> None:
    """A test row, by its number or the next one, asked at once."""
    if number is None:
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
        row = row | {"label": goes_on if len(goes_on) <= GOES_ON else f"{goes_on[:GOES_ON]} …"}
    else:
        st.session_state["playground-text"] = row["text"][:LONGEST_TEXT]
        value = row["text"]
        if "text_pair" in row:
            st.session_state["playground-pair"] = row["text_pair"][:LONGEST_TEXT]
            value = [row["text"], row["text_pair"]]
    st.session_state[ASKED] = (value, row["label"])


def own_input(task: tasks.Task, rows: Sequence[dict[str, Any]], is_answered: bool = False) -> Any:
    """What a person writes or brings; None while there is nothing."""
    if task.modality == "image":
        return _picture(rows)
    pair = next((column for column in task.inputs.columns if column.role == "pair"), None)
    pair = None if task.targets.column is None else pair  # what comes second the models are to write
    left = st.text_area(_("Text"), key="playground-text", placeholder=_("Write or paste something …"), height=140,
                        max_chars=LONGEST_TEXT)  # fmt: skip
    second = "" if pair is None else st.text_area(_(pair.title), key="playground-pair", height=110,
                                                            max_chars=LONGEST_TEXT)  # fmt: skip
    if not left.strip() or (pair is not None and pair.required and not second.strip()):
        return None
    if is_answered:
        return [left, ""]
    if task.targets.column is None and rows:
        return language.asked_as(left, rows[0])
    return left if pair is None else [left, second]


def _picture(rows: Sequence[dict[str, Any]]) -> bytes | None:
    """A picture of one's own; a drawing is asked as soon as it changes."""
    if not get_person().has("member"):
        st.caption(_("Take a test row below: to bring pictures of your own, ask an admin."))
        return None
    ways = {"upload": _("Upload"), "draw": _("Draw"), "camera": _("Camera")}
    first = "draw" if are_drawings(rows) else "upload"
    way = st.segmented_control(_("A picture"), list(ways), format_func=ways.__getitem__, default=first,
                               label_visibility="collapsed", key="playground-way", required=True)  # fmt: skip
    if way == "camera":
        taken = st.camera_input(_("Take a picture"), key="playground-camera", label_visibility="collapsed")
        return None if taken is None else taken.getvalue()
    if way == "draw":
        st.caption(_("Draw with the mouse or a finger: the models answer at once."))
        dark = is_dark(rows)
        drawn = canvas(label=_("Draw here"), clear=_("Clear"), is_dark=dark, key="playground-canvas")
        drawn = None if drawn is None else as_in_the_data(drawn, rows, dark)
        if drawn is not None and drawn != st.session_state.get(DRAWN):
            st.session_state[ASKED] = (drawn, None)
        st.session_state[DRAWN] = drawn
        return drawn
    file = st.file_uploader(_("A picture"), type=PICTURES, key="playground-image", max_upload_size=LARGEST_MB,
                            label_visibility="collapsed")  # fmt: skip
    return None if file is None else file.getvalue()


def are_drawings(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether the pictures of the data are as small as what people draw with a pen, such as digits: without colours."""
    files = [row["image"] for row in rows[:LOOKED_AT] if isinstance(row.get("image"), bytes)]
    found = [image_files.opened(file) for file in files]
    return bool(found) and all(max(picture.size) <= LARGEST_DRAWING and picture.mode in ("1", "L") for picture in found)


def is_dark(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether the pictures of the data are light on a dark ground: then a drawing is, too."""
    greys = [grey.resize((1, 1)).getpixel((0, 0)) for grey in _greys(rows)]
    return bool(greys) and sum(int(str(grey)) for grey in greys) < 128 * len(greys)


def _greys(rows: Sequence[dict[str, Any]]) -> list[Image.Image]:
    files = [row["image"] for row in rows[:LOOKED_AT] if isinstance(row.get("image"), bytes)]
    return [image_files.opened(file).convert("L") for file in files]


def as_in_the_data(drawn: bytes, rows: Sequence[dict[str, Any]], dark: bool) -> bytes | None:
    """The drawing in the middle, as large in its picture as the drawings of the data are in theirs; None where nothing
    is drawn."""
    picture = image_files.opened(drawn).convert("L")
    box = _box(picture, dark)
    if box is None:
        return None
    shares = [
        max(bounds[2] - bounds[0], bounds[3] - bounds[1]) / max(grey.size)
        for grey in _greys(rows)
        if (bounds := _box(grey, dark))
    ]
    wanted = picture.width * (sum(shares) / len(shares) if shares else 1)
    cut = picture.crop(box)
    scale = wanted / max(cut.size)
    cut = cut.resize((max(1, round(cut.width * scale)), max(1, round(cut.height * scale))))
    whole = Image.new("L", picture.size, 0 if dark else 255)
    whole.paste(cut, ((whole.width - cut.width) // 2, (whole.height - cut.height) // 2))
    file = io.BytesIO()
    whole.save(file, "PNG")
    return file.getvalue()


def _box(grey: Image.Image, dark: bool) -> tuple[int, int, int, int] | None:
    """What of a picture is not its ground: left, upper, right, lower."""
    return grey.point([255 if (level > 96) == dark else 0 for level in range(256)]).getbbox()
