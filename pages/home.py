"""What the studio is, three ways in, what runs now, the latest verdicts."""

import streamlit as st

from pages import _pictures as pictures
from pages._first_steps import how_it_works
from pages._language import N_, _, retell
from pages._run_rows import name_of, state_badge
from pages._scores import Scored, by_role, scored, three
from pages._studio import errors_shown, get_acts, get_store, go_to, task_of
from pages._tour import tour
from pages._words import OUTCOMES, about, ago, escape, model, stage_title, status_word
from studio import tasks
from studio.service import questions
from studio.service.progress import whole
from studio.store.rows import RunRow

RECENT, UNFINISHED = 3, 2
DEMOS = {
    "text": (N_("Demo: messages"),
             N_("What is it about: an account, an order to cancel, a damaged item, a failed payment?")),
    "images": (N_("Demo: digits"), N_("Which digit is it? Ten classes of small images.")),
}  # fmt: skip
# what the demo comes to, on average over ten seeds (docs/measured.md), until a run is there to show
EXAMPLE = (Scored("teacher", 0.906, 0.906, 0.906, 287, 3.7e6), Scored("student", 0.894, 0.894, 0.894, 287, 72e3))

acts, store = get_acts(), get_store()


def start_demo(kind: str) -> None:
    from studio.service import samples

    with errors_shown(), st.spinner(_("Preparing the demo data …")):
        run = samples.start(acts, "text" if kind == "text" else "images")
        go_to("run.py", {"run": str(run.id)})


def hero(shown: RunRow | None) -> None:
    """What it is and the ways in, beside a teacher that shrinks: that of the latest finished run."""
    left, right = st.columns([6, 5], gap="large", vertical_alignment="center")
    with left:
        st.title(_("Make a large model small, and know what it cost"), anchor=False)
        st.markdown(_(
            "A large model, the **teacher**, trains a small one, the **student**, on your data. You watch it learn, "
            "and read at the end how much it kept, how much smaller and faster it is, and whether it was worth it."
        ))  # fmt: skip
        ways_in()
    with right:
        models = {} if shown is None else by_role(scored(store.evaluations(shown.id), task_of(shown).measures[0]))
        if shown is None or not models:
            accuracy = next(iter(tasks.TASKS.values())).measures[0]
            st.html(pictures.shrink(*EXAMPLE, accuracy, _("The demo with messages.")))
        else:
            source = _("From run {run}, {name}.", run=shown.id, name=name_of(shown))
            st.html(pictures.shrink(models.get("teacher"), models.get("student"), task_of(shown).measures[0], source))


def ways_in() -> None:
    """One's own data, or a demo."""
    if not acts.person.has("member"):
        st.info(_("You see runs and results here. To start runs, ask an admin."), icon=":material/visibility:")
        return
    questions.warm_up()
    with st.container(horizontal=True, gap="small", key="ways-in"):
        if st.button(_("Bring your data"), type="primary", icon=":material/upload_file:", key="own-data"):
            go_to("data.py")
        for kind, (name, words) in DEMOS.items():
            if st.button(_(name), key=f"demo-{kind}", icon=":material/play_arrow:",
                         help=_(words)):  # fmt: skip
                start_demo(kind)
    st.caption(_("A table (CSV, Excel and others) or a ZIP of images. A demo needs no network and no account."))


def to_continue(unfinished: list[RunRow]) -> None:
    """What was begun and waits for its user."""
    words = {"paused": _("Resume"), "stopped": _("Open"), "failed": _("See what went wrong")}
    for run in unfinished[:UNFINISHED]:
        with st.container(border=True, key=f"row-card-{run.id}", horizontal=True, vertical_alignment="center"):
            st.html(state_badge(run), width="content")
            st.markdown(f"**{escape(name_of(run))}** · {ago(run.created_at)}", width="content")
            st.page_link("run.py", label=_("{do}: run {run}", do=words[status_word(run)], run=run.id),
                         query_params={"run": str(run.id)}, icon=":material/arrow_forward:",
                         width="content")  # fmt: skip


@st.fragment(run_every="3s")
@errors_shown()
def running() -> None:
    """What runs now, with the progress of the whole run."""
    for run in (run for run in store.runs(limit=50) if not run.is_over):
        with st.container(border=True, key=f"row-{run.id}"):
            done = whole(store, run)
            now = _("waits for its turn")
            if run.status == "running":
                now = stage_title(run.phase or "")
                if done.seconds_left is not None and done.seconds_left >= 1:
                    now = _("{stage} · {time} left", stage=now, time=about(done.seconds_left))
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                st.page_link("run.py", label=_("**{name}** · run {run}", name=escape(name_of(run)), run=run.id),
                             query_params={"run": str(run.id)}, width="content")  # fmt: skip
                st.markdown(f":gray[{escape(model(run.config.student))} · {escape(now)}]", width="content")
            st.html(pictures.bar(done.share))


def verdict_card(run: RunRow) -> None:
    """One verdict: a badge, three numbers, the way to the rest."""
    measure = task_of(run).measures[0]
    outcome = OUTCOMES.get(run.outcome or "no_control", OUTCOMES["no_control"])
    with st.container(border=True, height="stretch", key=f"row-card-{run.id}", gap="small"):
        st.html(pictures.badge(outcome.words, outcome.kind))
        st.subheader(escape(name_of(run)), anchor=False)
        numbers = three(scored(store.evaluations(run.id), measure), measure, run.outcome)
        if numbers:
            st.html(pictures.numbers(numbers, few=True))
        else:
            st.caption(escape(retell(run.verdict or "")))
        st.page_link("results.py", label=_("Results of run {run}", run=run.id), query_params={"run": str(run.id)},
                     icon=":material/arrow_forward:")  # fmt: skip


runs = store.runs(limit=50)
own = [run for run in runs if run.config.evaluate_on == "test"]  # not the trials of a search, which sees to them
done, unfinished = [run for run in own if run.verdict], [run for run in own if run.can_resume]
hero(next((run for run in done if run.outcome == "better"), next(iter(done), None)))
if any(not run.is_over for run in runs):
    st.header(_("Running now"), anchor=False)
    running()
if unfinished and acts.person.has("member"):
    st.header(_("Continue"), anchor=False)
    to_continue(unfinished)
if done:
    st.header(_("Latest results"), anchor=False)
    for column, run in zip(st.columns(RECENT), done, strict=False):
        with column:
            verdict_card(run)
else:
    st.header(_("How it works"), anchor=False)
    how_it_works()
with st.container(horizontal=True, vertical_alignment="center", key="more-ways"):
    if runs:
        st.page_link("all_runs.py", label=_("All runs"), icon=":material/timeline:", width="content")
    st.page_link("guide.py", label=_("What do these words mean?"), icon=":material/menu_book:", width="content")
    tour()
