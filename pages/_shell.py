"""What every page shares: page settings, navigation, who is there, logo."""

import sys
from pathlib import Path

import streamlit as st

NAME = "Distillation Studio"
ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from pages import _address as address  # noqa: E402  the path must be known first
from pages._language import _, switch  # noqa: E402
from pages._studio import errors_shown, faults_told, get_person, set_title, show_trouble  # noqa: E402

st.set_page_config(page_title=NAME, page_icon=str(ROOT / "assets" / "icon.svg"), layout="wide")
st.logo(str(ROOT / "assets" / "logo.svg"), size="large")
st.html(ROOT / "assets" / "studio.css")


get_person()  # the door has asked for it; a page that is reached past the door still shows nothing
folder = ROOT / "pages"
page = st.navigation(
    [
        st.Page(folder / "home.py", title=_("Home"), icon=":material/home:", default=True),
        st.Page(folder / "data.py", title=_("Data"), icon=":material/table_rows:"),
        st.Page(folder / "new_run.py", title=_("New run"), icon=":material/add_circle:"),
        st.Page(folder / "all_runs.py", title=_("Runs"), icon=":material/timeline:", url_path="runs"),
        st.Page(folder / "run.py", title=_("Run"), icon=":material/timeline:", visibility="hidden"),
        st.Page(
            folder / "sweep.py", title=_("Search for better settings"), icon=":material/tune:", visibility="hidden"
        ),
        st.Page(folder / "compare.py", title=_("Compare"), icon=":material/compare_arrows:"),
        st.Page(folder / "results.py", title=_("Results"), icon=":material/fact_check:"),
        st.Page(folder / "playground.py", title=_("Playground"), icon=":material/experiment:"),
        st.Page(folder / "settings.py", title=_("Settings"), icon=":material/settings:"),
        st.Page(folder / "guide.py", title=_("Guide"), icon=":material/menu_book:"),
    ],
    position="top",
)
switch()
set_title(page.title)
show_trouble()
address.show()
with faults_told(), errors_shown():  # of the store, wherever a page asks it
    page.run()
