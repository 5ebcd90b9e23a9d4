"""The audit log in the words of who reads it."""

import ast
from pathlib import Path

from pages import _audit
from tests.catalog import constants
from tests.pages.conftest import opened, written

ROOT = Path(__file__).parents[2]


def noted() -> set[str]:
    """All that the code writes down as a deed, with `note("deed", …)`, and what the door writes."""
    found = {"login", "refused login", "sign out"}
    for file in (ROOT / "studio" / "service").glob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "note" and len(call.args) == 2:
                found |= set(constants(call.args[0]))
    return found


def test_every_deed_has_a_word_and_every_word_a_deed():
    assert "revoke token" in noted()
    assert noted() == set(_audit.DEEDS)


def test_who_reads_chinese_reads_what_was_done_in_chinese(app, filled, saved):
    store = filled
    store.note("ada", "resume", "run 3")
    store.note("ada", "rename", "data set 1, 'reviews' to 'new'")
    app.context = {"locale": "zh-CN"}
    told = written(opened(app, "settings.py", part="audit"))
    assert "继续" in told and "运行 3" in told and "数据集 1，'reviews' 改为 'new'" in told
    assert "resume" not in told


def test_an_entry_that_an_earlier_version_wrote_is_shown_as_it_stands(app, filled):
    filled.note("ada", "polish", "the brass")
    app.context = {"locale": "zh-CN"}
    assert "polish" in written(opened(app, "settings.py", part="audit"))
