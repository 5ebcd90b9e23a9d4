"""Runs side by side: what differs, how they learned, what is worth having, and whether a difference is more than
chance."""

import streamlit as st

from pages import _address as address
from pages import _compared as tables
from pages import _documents as documents
from pages import _pictures as pictures
from pages import _run_pictures as run_pictures
from pages import _sides as cards
from pages import _versions as versions
from pages._language import _
from pages._run_rows import outcome_of, state_badge
from pages._scores import scored, small
from pages._studio import get_home, get_person, get_store, show_error
from pages._words import escape, listed
from studio.config.run import RunConfig
from studio.errors import StudioError
from studio.service import comparison, paired
from studio.service.comparison import Side
from studio.store.run_list import Wanted
from studio.tasks import Measure

MOST_OFFERED, RECENT, LONGEST_NUMBER = 200, 50, 18
HOURLY = 0.1
SMOOTHING = {"0": 0.0, "0.5": 0.5, "0.8": 0.8, "0.9": 0.9}

home, store = get_home(), get_store()


def asked() -> list[int]:
    """The runs in the address, or those that were ticked on the page Runs: each once, as many as can be compared."""
    said = st.query_params.get("runs", "").split(",")
    found = [int(run_id) for run_id in said if run_id.strip().isdecimal() and len(run_id.strip()) <= LONGEST_NUMBER]
    wanted = list(dict.fromkeys(found))
    if len(wanted) > comparison.MOST_RUNS:
        st.warning(_("The address names {number} runs. The first {most} are compared, which is as many as can be told "
                     "apart.", number=len(wanted), most=comparison.MOST_RUNS), icon=":material/info:")  # fmt: skip
    return wanted[: comparison.MOST_RUNS]


def choose(wanted: list[int]) -> list[int]:
    """The runs, to add to and take away from."""
    offered = [listed.run for listed in store.find_runs(Wanted(states=("finished",)), MOST_OFFERED)]
    offered += store.runs_of([run_id for run_id in wanted if run_id not in {run.id for run in offered}])
    names = {run.id: cards.names(run) for run in offered}
    if st.session_state.get("followed") != wanted or "chosen" not in st.session_state:
        st.session_state["chosen"] = st.session_state["followed"] = wanted  # a link, a reload or the way back
    st.session_state["chosen"] = [run_id for run_id in st.session_state["chosen"] if run_id in names]
    chosen = st.multiselect(_("Runs"), list(names), key="chosen", label_visibility="collapsed",
                            format_func=lambda run_id: names[run_id], max_selections=comparison.MOST_RUNS,
                            placeholder=_("Choose two runs or more"), on_change=_write)  # fmt: skip
    return list(chosen)


def _write() -> None:
    st.session_state["followed"] = st.session_state["chosen"]
    st.query_params["runs"] = ",".join(map(str, st.session_state["chosen"]))


def price(compared: list[Side], measure: Measure, clear: bool | None) -> None:
    """Quality against size or time, with those that no other one beats."""
    costs = {"size": "student_bytes", "time": "student_ms", "cost": "student_ms"}
    words = {"size": _("Size"), "time": _("Time"), "cost": _("Cost")}
    address.one("cost", list(costs))
    chosen = st.segmented_control(_("Against"), list(costs), format_func=lambda option: words[option], key="cost",
                                  label_visibility="collapsed", on_change=address.write,
                                  args=("cost", "size"))  # fmt: skip
    cost = costs[chosen or "size"]
    hourly = None
    if chosen == "cost":
        hourly = st.number_input(_("What an hour of this machine costs"), 0.0001, 10_000.0, HOURLY, key="hourly",
                                 width=260, format="%g", help=_("In any currency: a million answers cost so much "
                                 "times the hours that they take, one at a time."))  # fmt: skip
    if cost == "student_ms" and len(runtimes := comparison.runtimes(compared)) > 1:
        names = listed([runtime or _("unknown") for runtime in runtimes])
        st.caption(_("These students were timed in different runtimes ({runtimes}), which alone makes the same model "
                     "faster or slower: their times cannot be compared.", runtimes=names))  # fmt: skip
        return
    if cost == "student_bytes" and comparison.of_earlier_versions(compared):
        st.caption(_("The sizes of these students were counted in two ways: they cannot be compared."))
        return
    front = run_pictures.worth_having(compared, cost, measure, clear)
    if not front:
        st.caption(_("Nothing was measured yet."))
        return
    st.html(pictures.lead(run_pictures.finding(compared, front, cost, measure, clear),
                          _("{measure} of the students on the test rows, with 95 % intervals. Filled: no other one is "
                            "at least as good for less.", measure=_(measure.title))))  # fmt: skip
    st.plotly_chart(
        run_pictures.price(compared, front, cost, measure, hourly), key="price", config={"displayModeBar": False}
    )


def curves(compared: list[Side], measure: Measure) -> None:
    """How the students learned."""
    kinds = {"step": _("By step"), "time": _("By time")}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        address.one("x", list(kinds))
        by = st.segmented_control(_("Across"), list(kinds), format_func=lambda option: kinds[option], key="x",
                                  label_visibility="collapsed", on_change=address.write,
                                  args=("x", "step"))  # fmt: skip
        address.one("smooth", list(SMOOTHING))
        smooth = st.selectbox(_("Smoothing"), list(SMOOTHING), key="smooth", label_visibility="collapsed", width=170,
                              format_func=lambda level: _("Smoothing {weight}", weight=level), on_change=address.write,
                              args=("smooth", "0"))  # fmt: skip
    grouped = comparison.groups(compared)
    names = [group[0].name if len(group) == 1 else _("{name} ({count} seeds)", name=group[0].name, count=len(group))
             for group in grouped]  # fmt: skip
    found = [[comparison.curve(store, side) for side in group] for group in grouped]
    tops = {name: max(values) for group, name in zip(found, names, strict=True)
            if (values := [value for curve in group for value in curve.values])}  # fmt: skip
    if not tops:
        st.caption(_("None of these runs has a curve."))
        return
    st.html(pictures.lead(tables.did_best(tops, measure),
                          _("{measure} of the students while they learned. A band spans the seeds of one kind.",
                            measure=_(measure.title))))  # fmt: skip
    figure = run_pictures.curves(found, names, by == "time", SMOOTHING[smooth or "0"], measure)
    st.plotly_chart(figure, key="curves", config={"displayModeBar": False})


def settings(compared: list[Side]) -> None:
    """Only what differs."""
    for sentence in versions.between([side.data for side in compared if side.data]):
        st.markdown(escape(sentence))
    found = comparison.differing(compared)
    if not found:
        st.caption(_("All settings are the same."))
        return
    rows = []
    for name, values in found.items():
        title = RunConfig.model_fields[name].title or name
        shown = tables.told_apart(values, [run_pictures.setting_of(name, value) for value in values])
        rows.append({"": _(title)} | {side.name: text for side, text in zip(compared, shown, strict=True)})
    st.html(pictures.table(rows))


def models(compared: list[Side]) -> None:
    """The students, the best first; every other model of every run at a click."""
    found = [(side, model) for side in compared for model in scored(side.evaluations, side.measure)]
    students = sorted((pair for pair in found if pair[1].role == "student"), key=lambda pair: -pair[1].value)
    others = [pair for pair in found if pair[1].role != "student"]
    if not students:
        st.caption(_("Nothing was measured yet."))
        return
    st.html(pictures.table([tables.of_model(side, model) for side, model in students]))
    if others:
        with st.expander(_("All other models")):
            st.html(pictures.table([tables.of_model(side, model) for side, model in others]))


def tests(compared: list[Side], measure: Measure) -> None:
    """Whether one student differs from the others by more than chance."""
    known = {side.run.id: side for side in compared if side.summary and side.summary.student is not None}
    if len(known) < 2:
        st.caption(_("This needs two runs with results."))
        return
    best = sorted(known, key=lambda run_id: -(((found := known[run_id].summary) and found.student) or 0.0))
    address.one("than", [str(run_id) for run_id in best])
    chosen = st.selectbox(_("Compare with the others"), [str(run_id) for run_id in best], key="than", width=320,
                          format_func=lambda option: known[int(option)].name, on_change=address.write,
                          args=("than", str(best[0])))  # fmt: skip
    reference = known[int(chosen or best[0])]
    with st.spinner(_("Testing …")):
        found = paired.against(home, reference, [side for side in known.values() if side is not reference])
    clear = [pair for pair in found if pair.comparison and pair.p_value < paired.CHANCE]
    tested = [pair for pair in found if pair.comparison]
    if not tested:
        for pair in found:
            st.caption(escape(f"{known[pair.second].name}: {tables.why(pair)}"))
        return
    if tested:
        st.html(pictures.lead(
            tables.told_clear(reference.name, len(clear), len(tested)),
            _("Both students on the same test rows. The p-values hold for all pairs of these runs together (Holm), "
              "whichever of them was best.")))  # fmt: skip
    st.html(pictures.table([tables.of_pair(known, pair, measure) for pair in found]))


def parallel(compared: list[Side], measure: Measure) -> None:
    """Settings beside what they brought."""
    found = comparison.differing(compared)
    titles = {name: RunConfig.model_fields[name].title or name for name in found}
    figure = run_pictures.parallel(compared, found, titles, measure)
    if figure is None:
        st.caption(_("This picture needs three runs with results that differ in a setting."))
        return
    st.caption(_("A line for each run: its settings on the left, what they brought on the right. The better the "
                 "stronger; the best one is teal."))  # fmt: skip
    st.plotly_chart(figure, key="parallel", config={"displayModeBar": False})


def show(compared: list[Side]) -> None:
    measure, tested, apart = comparison.same_measure(compared), [], False
    if measure is None:
        kinds = listed([small(_(title)) for title in dict.fromkeys(side.task.title for side in compared)])
        st.html(pictures.strip(_("Not better or worse:"), _(
            "these runs learned different things ({kinds}). Their numbers stand side by side and say nothing of each "
            "other.", kinds=kinds)))  # fmt: skip
    else:
        with st.spinner(_("Testing …")):
            tested = tables.best_tested(home, compared)
        if apart := tables.on_other_rows(tested):
            st.html(pictures.strip(_("Not better or worse:"), _(
                "these students were tested on different rows. Their numbers stand side by side and say nothing of "
                "each other.")))  # fmt: skip
        else:
            st.header(escape(tables.headline(compared, measure, tested)), anchor=False)
        if measure.lower:
            st.caption(tables.direction(measure))
    if earlier := tables.of_earlier_versions(compared):
        st.html(pictures.strip(_("Measured otherwise:"), earlier))
    if len(compared) <= cards.MOST_CARDS:
        cards.cards(compared, None if apart else measure, bool(tables.is_clear(tested)))
    if measure is not None and not apart:
        left, right = st.columns(2)
        with left, st.container(border=True, height="stretch", key="card-price"):
            price(compared, measure, tables.is_clear(tested))
        with right, st.container(border=True, height="stretch", key="card-curves"):
            curves(compared, measure)
    st.header(_("What differs"), anchor=False)
    settings(compared)
    st.header(_("All models"), anchor=False)
    models(compared)
    if measure is not None:
        st.header(_("More than chance?"), anchor=False)
        tests(compared, measure)
    if measure is not None and len(compared) > 2 and not apart:
        with st.container(key="only-wide-settings"):
            st.header(_("Settings and what they brought"), anchor=False)
            parallel(compared, measure)
    if measure is not None:
        search(compared)
    documents.of_comparison([side.run.id for side in compared])
    if len(compared) > cards.MOST_CARDS:
        the_runs(compared)


def search(compared: list[Side]) -> None:
    """The way to settings that nobody has tried yet, from those of the best run."""
    known = [side for side in compared if side.summary and side.summary.student is not None]
    if known and get_person().has("member"):
        best = max(known, key=lambda side: (side.summary and side.summary.student) or 0.0)
        st.page_link("sweep.py", label=_("Search for better settings than those of “{name}”", name=escape(best.name)),
                     query_params={"from": str(best.run.id)}, icon=":material/tune:")  # fmt: skip


def the_runs(compared: list[Side]) -> None:
    """The way to each of many."""
    st.header(_("The runs"), anchor=False)
    for side in compared:
        outcome = outcome_of(side.run)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.html(pictures.badge(outcome.words, outcome.kind) if outcome else state_badge(side.run), width="content")
            st.page_link("results.py" if side.run.verdict else "run.py", label=escape(side.name),
                         query_params={"run": str(side.run.id)}, width="content")  # fmt: skip


def page() -> None:
    st.title(_("Compare"), anchor=False)
    st.caption(_("Which student is best, smallest and fastest, what differs, and whether it is more than chance."))
    chosen = choose(asked())
    if len(chosen) < 2:
        if chosen:
            st.caption(_("Choose one more run."))
        cards.offers([listed.run for listed in store.find_runs(Wanted(states=("finished",)), RECENT)])
        return
    try:
        compared = tables.named(comparison.sides(store, chosen))
    except StudioError as error:
        show_error(error)
        return
    show(compared)


page()
