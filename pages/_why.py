"""Why: what in an input speaks for a label, in the eyes of teacher and student, side by side."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from pages._language import _
from pages._markup import Html, element
from pages._studio import errors_shown, get_home, get_store
from pages._words import escape, listed, role
from studio.language.escaping import unturned
from studio.pipeline.answers import Attributed, Attributions
from studio.service import playground
from studio.store.rows import RunRow
from studio.tasks import Task

STYLE = Path(__file__).parents[1] / "assets" / "why.css"
FOUND = "why-found"
COLOURS = {"teacher": (217, 119, 6), "student": (13, 148, 136), "against": (190, 18, 60)}
MOST_NAMED, LEAST_SHARE, MARKS = 3, 0.15, ".,;:!?\"'()[]…“”‘’。，！？；："


def section(run: RunRow, task: Task, value: Any, labels: Sequence[str]) -> None:
    """A button that asks, and what is found; nothing where an answer is none about the whole input."""
    if task.kind == "token" or "words" in task.inputs.features():
        return
    with st.expander(_("Why: what speaks for the answer"), icon=":material/lightbulb:"):
        st.html(STYLE)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            label = ""
            if task.kind != "number":
                chosen = st.selectbox(_("Label"), ["", *labels], key="why-label", width=260,
                                      format_func=lambda name: unturned(name) or _("the teacher’s answer"))  # fmt: skip
                label = chosen or ""
            asked = st.button(_("Ask both models why"), icon=":material/lightbulb:", key="why-ask")
        about = (run.id, repr(value)[:10_000], label)
        if asked:
            with errors_shown(), st.spinner(_("Looking at what each of them reads …")):
                found = playground.shared(get_home().root).why(get_store(), run.id, value, label)
                st.session_state[FOUND] = (about, found)
        known = st.session_state.get(FOUND)
        if known and known[0] == about:
            show(known[1])


def show(found: Attributions) -> None:
    """The finding in words, then both models."""
    sentence = finding(found)
    if sentence:
        st.markdown(f"**{escape(sentence)}**")
    for place, attribution in zip(st.columns(2), found.said, strict=False):
        with place:
            st.html(card(attribution))
    for name, reason in found.missing.items():
        st.warning(f"{role(name)}: {escape(reason)}", icon=":material/warning:")
    st.caption(
        _("Integrated gradients: how much each part moves the log of the label’s odds, from an empty text or a plain "
          "picture to this one. In the model’s colour: for the label; in red: against it. It says what the model "
          "reads, not what is true.")
    )  # fmt: skip


def finding(found: Attributions) -> str:
    """Whether both models name the same words first; "" of pictures and of single models."""
    if len(found.said) < 2 or not all(attribution.parts for attribution in found.said):
        return ""
    first, second = (strongest(attribution) for attribution in found.said)
    if not first or not second:
        return ""
    shared = [word for word in second if word in first]
    if shared:
        return _("Teacher and student both look at {words}", words=listed([f"“{word}”" for word in shared]))
    return _("The teacher looks at {first}, the student at {second}", first=listed([f"“{word}”" for word in first]),
             second=listed([f"“{word}”" for word in second]))  # fmt: skip


def strongest(attribution: Attributed) -> list[str]:
    """The words that speak most for the label, at most three, each with a fair share of the most.

    >>> from studio.pipeline.answers import Part
    >>> parts = [Part(text=text, of=0, value=value) for text, value in (("so", 0.01), ("good,", 2), ("not", -1))]
    >>> strongest(Attributed(role="student", parts=parts, score=1, start=0))
    ['good']
    """
    values: dict[str, float] = {}
    for part in attribution.parts:
        word = part.text.strip(MARKS) or part.text
        values[word] = values.get(word, 0.0) + part.value
    most = max(values.values(), default=0.0)
    ranked = sorted(values, key=lambda word: -values[word])[:MOST_NAMED]
    return [word for word in ranked if values[word] > LEAST_SHARE * most > 0]


def card(attribution: Attributed) -> Html:
    """One model's words, or its picture."""
    inside = picture(attribution) if attribution.heat else text(attribution)
    note = _("evidence for it: {score}, without any input {start}", score=f"{attribution.score:+.2f}".replace("-", "−"),
             start=f"{attribution.start:+.2f}".replace("-", "−"))  # fmt: skip
    return element("div", element("small", role(attribution.role)), inside, element("p", note, kind="ds-sub"),
                   kind=f"ds-model {attribution.role}")  # fmt: skip


def text(attribution: Attributed) -> Html:
    """The words, the stronger the darker."""
    most = max((abs(part.value) for part in attribution.parts), default=0.0) or 1.0
    inside: list[Html | str] = []
    for place, part in enumerate(attribution.parts):
        if place and part.of != attribution.parts[place - 1].of:
            inside.append(element("br"))
        share = abs(part.value) / most
        title = f"{part.value:+.3f}".replace("-", "−")
        kind = "against" if part.value < 0 else ""
        inside += [element("mark", part.text, kind=kind, title=title, style=f"--share:{share:.2f}"), " "]
    return element("p", *inside, kind="ds-why")


def picture(attribution: Attributed) -> Html:
    """The picture in grey, what speaks for the label in the model's colour, what speaks against it in red."""
    heat, grey = np.array(attribution.heat), np.array(attribution.picture)
    share = np.minimum(1.0, abs(heat) / (np.quantile(abs(heat), 0.995) or 1.0))[..., None]
    colour = np.where(heat[..., None] >= 0, COLOURS.get(attribution.role, COLOURS["student"]), COLOURS["against"])
    ground = np.repeat(255 * (0.35 + 0.6 * grey)[..., None], 3, axis=2)
    pixels = np.clip(np.rint((1 - share) * ground + share * colour), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return element("img", kind="ds-heat", src=f"data:image/png;base64,{data}",
                   alt=_("where in the picture the {model} looks", model=role(attribution.role)))  # fmt: skip
