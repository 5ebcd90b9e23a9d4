"""What a page shows is written by somebody who could translate it: no text goes past `_`."""

import ast
from collections.abc import Iterator
from pathlib import Path

PAGES = Path(__file__).parents[2] / "pages"
SHOWN = {
    "title", "header", "subheader", "markdown", "caption", "write", "text", "info", "warning", "error", "success",
    "button", "link_button", "page_link", "download_button", "form_submit_button", "toggle", "checkbox", "radio",
    "selectbox", "multiselect", "slider", "number_input", "text_input", "text_area", "file_uploader", "camera_input",
    "pills", "segmented_control", "expander", "popover", "dialog", "spinner", "metric", "tabs", "toast", "progress",
}  # fmt: skip
"""What Streamlit has for showing words."""
WORDED = {"label", "help", "placeholder", "title", "body"}
NOT_WORDS = {"https://…", "/models", "/models/my-teacher", "hub:ORG/NAME", "google-bert/bert-base-uncased"}
YAML, ALPHA = "…\n", "**, alpha = **"
"""Examples of what is typed, and names of settings: in no language."""


def words_past_the_catalog(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of literal words that are handed to something that shows them."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if (
            isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id in ("address", "_log")
        ):
            continue  # keys of addresses, and the log of the server
        given = [*call.args[:1]] if name in SHOWN else []
        given += [one.value for one in call.keywords if one.arg in WORDED and name in SHOWN]
        for one in given:
            yield from ((text.lineno, text.value) for text in _literals(one) if _is_words(text.value))


def _literals(node: ast.AST) -> Iterator[ast.Constant]:
    """Strings that are shown as they stand: not those within another call, which translates them or makes a key."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):  # "…".strip()
        yield from _literals(node.func.value)
    elif isinstance(node, ast.JoinedStr | ast.BinOp | ast.IfExp | ast.List | ast.Tuple | ast.BoolOp):
        shown = (node.body, node.orelse) if isinstance(node, ast.IfExp) else ast.iter_child_nodes(node)
        for child in shown:
            if not isinstance(child, ast.FormattedValue):
                yield from _literals(child)


def _is_words(text: str) -> bool:
    """Whether a person reads words in it, not an icon, a sign or an example."""
    if text in NOT_WORDS or YAML in text or text == ALPHA:
        return False
    plain = " ".join(part for part in text.split() if not (part.startswith(":") or part.endswith("]")))
    return any(part.isalpha() and len(part) > 1 for part in plain.replace("*", " ").replace(":", " ").split())


def per_cents_past_the_catalog(source: str) -> Iterator[int]:
    """Lines with a number in per cent in the English way, which is not handed to a function of the catalog."""
    tree = ast.parse(source)
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    translated = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("_", "N_", "counted")]
    known = {id(part) for call in translated for text in call.args for part in ast.walk(text)}
    for node in ast.walk(tree):
        if id(node) not in known and isinstance(node, ast.JoinedStr):
            told = "".join(part.value if isinstance(part, ast.Constant) else "}" for part in node.values)
        elif id(node) not in known and isinstance(node, ast.Constant) and isinstance(node.value, str):
            told = node.value
        else:
            continue
        if "} %" in told:
            yield node.lineno


def test_a_number_in_per_cent_is_written_as_the_readers_language_does():
    found = [f"{file.name}:{line}" for file in sorted(PAGES.glob("*.py")) if file.name != "_words.py"
             for line in per_cents_past_the_catalog(file.read_text(encoding="utf-8"))]  # fmt: skip
    assert not found
    page = 'f"{share:.0f} %"\n_("{share} %", share=1)\n"%{y:.1f} %"\nf"{share}{per_cent()}"'
    assert list(per_cents_past_the_catalog(page)) == [1, 3]


def test_no_text_of_a_page_goes_past_the_catalog():
    found = [
        f"{file.name}:{line} {text!r}"
        for file in sorted(PAGES.glob("*.py"))
        for line, text in words_past_the_catalog(file.read_text(encoding="utf-8"))
    ]
    assert not found


def test_a_text_that_goes_past_it_is_found():
    page = """
st.button("Start now", key="go")
st.caption(_("Fine"))
st.text_input(_("Name"), placeholder="Write here")
st.markdown(f"**Hello** {name}")
st.button("", icon=":material/edit:")
st.caption("done" if x else _("no"))
st.caption(f"{x} Read it.".strip())
"""
    assert [text for _line, text in words_past_the_catalog(page)] == [
        "Start now",
        "Write here",
        "**Hello** ",
        "done",
        " Read it.",
    ]
