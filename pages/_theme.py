"""Light, dark, or as the system is: Streamlit's own theme, chosen in the page and kept in the browser."""

from pathlib import Path

import streamlit as st

from pages._language import _

_HTML = '<div class="ds-choice" role="group"></div>'
_SCRIPT = """
const paths = (routes) => routes.map((route) => new URL(route, location).pathname);
const key = (path) => `stActiveTheme-${path}-v2`;

export default function ({ data, parentElement }) {
  const group = parentElement.querySelector(".ds-choice");
  group.setAttribute("aria-label", data.label);
  const now = JSON.parse(localStorage.getItem(key(location.pathname)) ?? '"System"');
  group.replaceChildren(...data.themes.map(({ name, words }) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: words });
    button.setAttribute("aria-pressed", String(name === now));
    button.onclick = () => {
      for (const path of paths(data.routes)) {
        if (name === "System") localStorage.removeItem(key(path));
        else localStorage.setItem(key(path), JSON.stringify(name));
      }
      location.reload();
    };
    return button;
  }));
}
"""

_NAMED = {"home": "./", "all_runs": "runs"}
"""Pages that are at another address than their file is called."""
ROUTES = tuple(sorted(_NAMED.get(file.stem, file.stem) for file in Path(__file__).parent.glob("[!_]*.py")))
"""Where every page is, seen from another one: those that the menu does not name, too."""

_component = st.components.v2.component("studio_theme", html=_HTML, js=_SCRIPT, isolate_styles=False)


def choose_theme() -> None:
    """Three buttons; the choice holds for every page in this browser."""
    words = {"System": _("As the system"), "Light": _("Light"), "Dark": _("Dark")}
    themes = [{"name": name, "words": label} for name, label in words.items()]
    _component(data={"label": _("Theme"), "themes": themes, "routes": list(ROUTES)}, key="theme")
