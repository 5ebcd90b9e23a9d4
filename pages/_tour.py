"""Four bubbles beside the navigation that tell a newcomer where to go: offered once in a browser, in a corner where it
hides nothing, and there again on request."""

import streamlit as st

from pages._language import _

_HTML = '<div class="ds-tour"></div>'
_SCRIPT = """
const SEEN = "studio-tour-seen";

const INVITED = -1;

function shown(bubble, step, data, close, go) {
  const here = step === INVITED ? data.invitation : data.steps[step];
  const words = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
  const button = (text, kind, act) => {
    const made = words("button", text);
    made.type = "button";
    made.className = kind;
    made.onclick = act;
    return made;
  };
  const last = step === data.steps.length - 1;
  const doing = document.createElement("div");
  doing.append(words("small", step === INVITED ? "" : `${step + 1} / ${data.steps.length}`));
  if (!last) doing.append(button(data.skip, "", close));
  const on = step === INVITED ? data.again : last ? data.done : data.next;
  doing.append(button(on, "next", () => (last ? close() : go(step + 1))));
  bubble.replaceChildren(words("b", here.title), words("p", here.words), doing);
  bubble.setAttribute("aria-label", here.title);
  bubble.classList.toggle("invites", step === INVITED);
  const links = [...document.querySelectorAll("[data-testid=stTopNavLink]")];
  const link = here.page && links.find((a) => a.href.endsWith(here.page));
  const box = link?.getBoundingClientRect();
  const seen = box && box.width && box.right < innerWidth;
  bubble.classList.toggle("points", Boolean(seen));
  bubble.style.left = seen ? `${Math.min(Math.max(12, box.left - 20), innerWidth - 340)}px` : "";
  bubble.style.setProperty("--point", seen ? `${box.left + box.width / 2 - parseFloat(bubble.style.left)}px` : "");
  if (step !== INVITED) bubble.querySelector(".next").focus({ preventScroll: true });
}

export default function ({ data, parentElement }) {
  const place = parentElement.querySelector(".ds-tour");
  if (place.childElementCount) return;
  const bubble = document.createElement("div");
  bubble.className = "ds-bubble";
  bubble.setAttribute("role", "dialog");
  bubble.hidden = true;
  const again = Object.assign(document.createElement("button"), { type: "button", textContent: data.again });
  const close = () => {
    bubble.hidden = true;
    again.focus({ preventScroll: true });
  };
  const go = (step) => {
    bubble.hidden = false;
    shown(bubble, step, data, close, go);
  };
  bubble.onkeydown = (event) => {
    if (event.key === "Escape") close();
  };
  again.onclick = () => go(0);
  place.append(again, bubble);
  if (data.first && !localStorage.getItem(SEEN)) {
    localStorage.setItem(SEEN, "1");
    go(INVITED);
  }
}
"""

_component = st.components.v2.component("studio_tour", html=_HTML, js=_SCRIPT, isolate_styles=False)


def tour(first: bool = True) -> None:
    """A button that starts the tour; where `first`, it is offered on the first visit."""
    steps = [
        (
            "/data",
            _("Bring your data"),
            _("A table or a ZIP of images. The studio finds columns, labels and mistakes."),
        ),
        ("/new_run", _("Say how small"), _("Choose a goal and press Start. Everything else has a good first value.")),
        ("/runs", _("Watch it learn"), _("One bar and one time. Close the window: it goes on, and can be paused.")),
        (
            "/results",
            _("Read the verdict"),
            _("Kept, smaller, faster, in one sentence. Then take the small model away."),
        ),
    ]
    invitation = {
        "title": _("New here?"),
        "words": _("Four steps lead from your data to the verdict. The tour shows where they are."),
    }
    _component(
        data={
            "invitation": invitation,
            "steps": [{"page": page, "title": title, "words": words} for page, title, words in steps],
            "first": first, "again": _("Take the tour"), "skip": _("Skip"), "next": _("Next"), "done": _("Done"),
        },
        key="tour",
    )  # fmt: skip
