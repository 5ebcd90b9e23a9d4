"""A field to draw in with mouse, pen or finger; nothing but the finished drawing leaves the browser."""

import base64
import binascii

import streamlit as st

_BEGINNING = "data:image/png;base64,"
_HTML = """<div class="canvas-field"><canvas width="280" height="280" tabindex="0"></canvas>
<button type="button"></button></div>"""
_CSS = """
.canvas-field { display: grid; gap: 0.5rem; justify-items: start; }
canvas { width: 280px; height: 280px; max-width: 100%; border: 1px solid var(--st-border-color);
  border-radius: var(--st-base-radius, 0.5rem); touch-action: none; cursor: crosshair; }
canvas:focus-visible, button:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
button { font: 400 0.875rem/1.6 var(--st-font); color: var(--st-text-color); background: var(--st-background-color);
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius, 0.5rem); padding: 0.25rem 0.75rem;
  min-height: 2.5rem; cursor: pointer; }
button:empty { visibility: hidden; }  /* until the script has named it */
button:hover { border-color: var(--st-primary-color); }
"""
_SCRIPT = """
export default function ({ data, parentElement, setStateValue }) {
  const canvas = parentElement.querySelector("canvas");
  const button = parentElement.querySelector("button");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", data.label);
  button.textContent = data.clear;
  if (canvas.dataset.ready === data.ground) return;
  canvas.dataset.ready = data.ground;
  const pen = canvas.getContext("2d");
  const wipe = () => { pen.fillStyle = data.ground; pen.fillRect(0, 0, canvas.width, canvas.height); };
  wipe();
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const across = (event.clientX - box.left) / box.width, down = (event.clientY - box.top) / box.height;
    return [across * canvas.width, down * canvas.height];
  };
  let draws = false;
  canvas.onpointerdown = (event) => {
    draws = true;
    canvas.setPointerCapture(event.pointerId);
    pen.strokeStyle = data.pen; pen.lineWidth = 24; pen.lineCap = pen.lineJoin = "round";
    pen.beginPath(); pen.moveTo(...place(event)); pen.lineTo(...place(event)); pen.stroke();
  };
  canvas.onpointermove = (event) => { if (draws) { pen.lineTo(...place(event)); pen.stroke(); } };
  canvas.onpointerup = canvas.onpointercancel = () => {
    if (draws) setStateValue("drawing", canvas.toDataURL("image/png"));
    draws = false;
  };
  button.onclick = () => { wipe(); setStateValue("drawing", ""); };
}
"""

_component = st.components.v2.component("studio_canvas", html=_HTML, css=_CSS, js=_SCRIPT)


def canvas(*, label: str, clear: str, is_dark: bool, key: str) -> bytes | None:
    """What was drawn, as a PNG file; None while there is nothing. `is_dark`: light lines on a dark ground."""
    ground, pen = ("#000000", "#ffffff") if is_dark else ("#ffffff", "#000000")
    drawn = _component(
        data={"label": label, "clear": clear, "ground": ground, "pen": pen},
        key=key,
        on_drawing_change=lambda: None,
    )
    return png(getattr(drawn, "drawing", None))


def png(address: object) -> bytes | None:
    """The file in a data address; None where it is none.

    >>> png("data:image/png;base64,iVBORw=="), png(""), png("javascript:x"), png("data:image/png;base64,!")
    (b'\\x89PNG', None, None, None)
    """
    if not isinstance(address, str) or not address.startswith(_BEGINNING):
        return None
    try:
        return base64.b64decode(address.removeprefix(_BEGINNING), validate=True) or None
    except binascii.Error:
        return None
