"""What every page shares: page settings, navigation, login gate, logo."""

import sys
from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

NAME = "Distillation Studio"
ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

st.set_page_config(page_title=NAME, page_icon=str(ROOT / "assets" / "icon.svg"), layout="wide")
st.logo(str(ROOT / "assets" / "logo.svg"), size="large")
st.html(ROOT / "assets" / "studio.css")


def is_open_to_a_network() -> bool:
    """Whether the server listens on more than this machine's own address."""
    return st.get_option("server.address") not in ("127.0.0.1", "localhost", "::1")


def has_login() -> bool:
    """Whether a login provider is set up in `.streamlit/secrets.toml`."""
    try:
        return "auth" in st.secrets
    except StreamlitSecretNotFoundError:
        return False


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


if is_open_to_a_network() and not st.user.get("is_logged_in", False):
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
            st.Page(folder / "settings.py", title="Settings", icon=":material/settings:"),
        ],
        position="top",
    )
    set_title(page.title)
    show_trouble()
    page.run()
