"""A button that saves the result as a picture: the browser draws and saves it, nothing is sent anywhere."""

from collections.abc import Sequence

import streamlit as st

from pages._scores import Number

_HTML = """<button type="button" class="picture-file"><i aria-hidden="true">image</i><span></span></button>"""
_CSS = """
.picture-file { font: 400 0.875rem/1.6 var(--st-font); color: var(--st-text-color);
  background: none; border: 0; border-radius: var(--st-button-radius, 0.5rem); padding: 0.25rem 0; margin: 0;
  height: 2.5rem; box-sizing: border-box; white-space: nowrap; cursor: pointer;
  display: inline-flex; align-items: center; gap: 0.5rem; }
.picture-file i { font: 400 1.125rem/1 "Material Symbols Rounded"; font-feature-settings: "liga"; }
.picture-file:has(span:empty) { visibility: hidden; }  /* until the script has named it */
.picture-file:hover { color: var(--st-primary-color); }
"""
_SCRIPT = """
const WIDTH = 1200, HEIGHT = 630, LEFT = 72;

function lines(pen, text, width) {
  const found = [];
  let line = "";
  for (const word of text.split(/(?<= )|(?<=[\\u3000-\\u9fff])/u)) {
    if (line && pen.measureText(line + word).width > width) { found.push(line); line = ""; }
    line += word;
  }
  return [...found, line];
}

function written(pen, text, x, y, width, step, most) {
  for (const line of lines(pen, text, width).slice(0, most)) { pen.fillText(line, x, y); y += step; }
  return y;
}

async function drawn(card) {
  const sans = '"Source Sans", "Noto Sans CJK SC", sans-serif', serif = '"Source Serif", "Noto Serif CJK SC", serif';
  await Promise.all([document.fonts.load(`600 48px ${serif}`), document.fonts.load(`24px ${sans}`)]);
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH; canvas.height = HEIGHT;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fcfbf8"; pen.fillRect(0, 0, WIDTH, HEIGHT);
  pen.fillStyle = "#0d9488"; pen.fillRect(0, 0, WIDTH, 10);
  pen.fillStyle = "#566069"; pen.font = `24px ${sans}`;
  written(pen, card.about, LEFT, 78, WIDTH - 2 * LEFT, 30, 1);
  pen.fillStyle = "#1f2a30"; pen.font = `600 50px ${serif}`;
  let y = written(pen, card.title, LEFT, 146, WIDTH - 2 * LEFT, 60, 2);
  const wide = (WIDTH - 2 * LEFT) / Math.max(1, card.numbers.length);
  y = Math.max(y + 62, 310);
  card.numbers.forEach((number, place) => {
    const x = LEFT + place * wide;
    pen.fillStyle = "#0f766e"; pen.font = `600 84px ${serif}`; pen.fillText(number.value, x, y);
    const after = pen.measureText(number.value).width;
    pen.font = `500 40px ${serif}`; pen.fillText(" " + number.unit, x + after, y);
    pen.fillStyle = "#1f2a30"; pen.font = `600 24px ${sans}`;
    const below = written(pen, number.words, x, y + 44, wide - 24, 30, 2);
    pen.fillStyle = "#566069"; pen.font = `22px ${sans}`;
    written(pen, number.detail, x, below, wide - 24, 28, 2);
  });
  pen.fillStyle = "#1f2a30"; pen.font = `24px ${sans}`;
  written(pen, card.effect, LEFT, 516, WIDTH - 2 * LEFT, 31, 2);
  pen.fillStyle = "#566069"; pen.font = `20px ${sans}`;
  pen.fillText(card.foot, LEFT, HEIGHT - 30);
  return canvas;
}

export default function ({ data, parentElement }) {
  const button = parentElement.querySelector(".picture-file");
  button.querySelector("span").textContent = data.label;
  button.onclick = async () => {
    const canvas = await drawn(data.card);
    canvas.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = data.file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    }, "image/png");
  };
}
"""

_component = st.components.v2.component("studio_picture_file", html=_HTML, css=_CSS, js=_SCRIPT)


def picture_button(
    label: str, file: str, *, about: str, title: str, numbers: Sequence[Number], effect: str, foot: str
) -> None:
    """The button; its picture says what the arguments say, as text and nothing else."""
    plain = [
        {"value": number.value, "unit": number.unit, "words": number.words, "detail": number.detail}
        for number in numbers
    ]
    card = {"about": about, "title": title, "numbers": plain, "effect": effect, "foot": foot}
    _component(data={"label": label, "file": file, "card": card}, key=f"picture-{file}", width="content")
