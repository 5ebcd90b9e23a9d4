"""What every page shares: page settings, navigation, login gate, logo."""

import sys
from pathlib import Path

import streamlit as st

NAME = "Distillation Studio"
ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from pages._access import has_login, needs_login  # noqa: E402  the path must be known first

st.set_page_config(page_title=NAME, page_icon=str(ROOT / "assets" / "icon.svg"), layout="wide")
st.logo(str(ROOT / "assets" / "logo.svg"), size="large")
st.html(ROOT / "assets" / "studio.css")


def login() -> None:
    """Shown instead of every page while nobody is signed in."""
    st.title(NAME)
    if not has_login():
        st.error(
            "The studio is open to the network, and no login is set up. "
            "Set `[auth]` in `.streamlit/secrets.toml`, or let the server listen on 127.0.0.1."
        )
        return
    st.write("Sign in to see your runs.")
    st.button("Sign in", type="primary", on_click=st.login)


if needs_login() and not st.user.get("is_logged_in", False):
    st.navigation([st.Page(login, title="Sign in")], position="hidden").run()
else:
    from pages._studio import set_title, show_trouble

    folder = ROOT / "pages"
    page = st.navigation(
        [
            st.Page(folder / "home.py", title="Home", icon=":material/home:", default=True),
            st.Page(folder / "data.py", title="Data", icon=":material/table_rows:"),
            st.Page(folder / "new_run.py", title="New run", icon=":material/add_circle:"),
            st.Page(folder / "all_runs.py", title="Runs", icon=":material/timeline:", url_path="runs"),
            st.Page(folder / "run.py", title="Run", icon=":material/timeline:", visibility="hidden"),
            st.Page(folder / "results.py", title="Results", icon=":material/fact_check:"),
            st.Page(folder / "playground.py", title="Playground", icon=":material/experiment:"),
            st.Page(folder / "settings.py", title="Settings", icon=":material/settings:"),
        ],
        position="top",
    )
    set_title(page.title)
    show_trouble()
    page.run()
