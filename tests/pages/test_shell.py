"""What all pages share: they open, on whatever store, and behind a login."""

import ast
import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.runtime.fragment import MemoryFragmentStorage
from streamlit.runtime.state.query_params import QueryParams
from streamlit.runtime.state.query_params_proxy import QueryParamsProxy
from streamlit.testing.v1 import AppTest

from pages import _studio, _theme
from studio.home import Home
from tests.pages.conftest import SHELL, opened, words

PAGES = (
    "home.py",
    "guide.py",
    "data.py",
    "new_run.py",
    "all_runs.py",
    "compare.py",
    "sweep.py",
    "run.py",
    "results.py",
    "playground.py",
    "settings.py",
)


@pytest.mark.parametrize("page_file", PAGES)
def test_every_page_opens_on_an_empty_store(app, page_file):
    opened(app, page_file)


def test_the_browser_is_told_the_address_that_a_page_was_opened_with(app, filled, monkeypatch):
    told = []
    monkeypatch.setattr(QueryParams, "_send_query_param_msg", lambda self: told.append(self.to_dict()))
    opened(app, "results.py", run="1", tab="curves")
    assert {"run": "1", "tab": "curves"} in told, "a link to the same page leaves the old address there"


def test_a_fault_of_the_studio_is_told_in_its_own_words_and_stays_an_exception_for_the_log():
    def page():
        from pages._studio import faults_told

        with faults_told():
            raise KeyError("secret of the code")

    app = AppTest.from_function(page, default_timeout=120).run()
    assert app.exception
    assert "What is saved stays saved" in app.error[0].value
    assert "secret of the code" not in words(app)


def test_no_download_draws_its_page_anew_which_would_take_the_file_away_from_under_it():
    calls = [
        node
        for file in (Path(_studio.__file__).parent).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "download_button"
    ]
    assert len(calls) > 2
    for call in calls:
        assert {word.arg: ast.unparse(word.value) for word in call.keywords}["on_click"] == "'ignore'", ast.unparse(
            call
        )


@pytest.mark.parametrize("page_file", PAGES)
def test_every_page_opens_on_a_filled_store(app, filled, page_file):
    opened(app, page_file)


def test_a_database_that_cannot_be_opened_is_told_in_words(home):
    home.database.parent.mkdir(parents=True)
    home.database.write_bytes(b"nonsense" * 200)
    app = AppTest.from_file(SHELL, default_timeout=120).run()
    assert "cannot be opened" in app.error[0].value
    assert not app.exception


def test_a_home_that_cannot_be_written_to_is_told_above_every_page(app, monkeypatch):
    monkeypatch.setattr(Home, "trouble", lambda home: "The disk that holds /home is full.")
    for page in ("home.py", "run.py"):
        assert "The disk that holds" in opened(app, page).error[0].value


@pytest.mark.parametrize("page_file", PAGES)
def test_a_home_that_is_removed_is_told_on_every_page(app, filled, home, page_file):
    app.run()
    shutil.rmtree(home.root)
    opened(app, page_file, run="1")
    assert "is gone" in app.error[0].value


@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, "The disk is full"), (errno.EROFS, "is read")])
def test_what_the_system_says_of_a_disk_is_told_where_a_page_writes(monkeypatch, number, told):
    shown = []
    monkeypatch.setattr(_studio.st, "error", lambda words, icon: shown.append(words))
    with _studio.errors_shown():
        raise OSError(number, "its own words")
    assert told in shown[0]
    with pytest.raises(OSError, match="its own words"), _studio.errors_shown():
        raise OSError(errno.ECHILD, "its own words")


def test_a_server_open_to_a_network_shows_nothing_without_a_login(app, monkeypatch):
    import streamlit as st

    real = st.get_option
    monkeypatch.setattr(st, "get_option", lambda name: "0.0.0.0" if name == "server.address" else real(name))
    app.run()
    assert not app.exception
    assert not [button for button in app.button if (button.key or "").startswith("demo-")]
    assert words(app) == "Sign in first."


@pytest.mark.parametrize("page_file", PAGES)
def test_no_text_stands_alone_in_a_page_since_streamlit_would_show_it(page_file):
    _, *statements = ast.parse((Path(SHELL).parent / page_file).read_text()).body
    assert not [statement for statement in statements if isinstance(getattr(statement, "value", None), ast.Constant)
                and isinstance(statement, ast.Expr)]  # fmt: skip


def test_what_redraws_itself_on_a_page_is_forgotten_before_another_one_opens(monkeypatch):
    storage, seen = MemoryFragmentStorage(), []
    storage.register("every second", lambda: None)
    monkeypatch.setattr(_studio, "get_script_run_ctx", lambda: SimpleNamespace(fragment_storage=storage))
    monkeypatch.setattr(
        _studio.st,
        "switch_page",
        lambda page, query_params: seen.append((page, query_params, storage.contains("every second"))),
    )
    _studio.go_to("run.py", {"run": "2"})
    assert seen == [("run.py", {"run": "2"}, False)]


@pytest.mark.parametrize("file", sorted(Path(SHELL).parent.glob("*.py")), ids=lambda file: file.name)
def test_no_page_leads_to_another_one_but_that_way(file):
    assert file.read_text().count("st.switch_page(") == (file.name == "_studio.py")


def test_the_theme_is_kept_for_every_page_that_can_be_opened_in_the_menu_or_not():
    calls = [call for call in ast.walk(ast.parse(Path(SHELL).read_text()))
             if isinstance(call, ast.Call) and ast.unparse(call.func) == "st.Page"]  # fmt: skip
    routes = set()
    for call in calls:
        said = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg in ("url_path", "default")}
        name = ast.unparse(call.args[0]).split("'")[1].removesuffix(".py")
        routes.add("./" if said.get("default") else said.get("url_path", name))
    assert routes == set(_theme.ROUTES) and "run" in routes


def test_only_an_address_that_changed_in_this_window_is_shown_anew(app, store, monkeypatch):
    shown = []
    monkeypatch.setattr(QueryParamsProxy, "from_dict", lambda self, said: shown.append(dict(said)))
    opened(app, "compare.py", runs="1,4").run()
    shown.clear()
    app.run()
    assert not shown
    app.query_params["runs"] = "1,5"
    app.run()
    assert shown == [{"runs": ["1,5"]}]
