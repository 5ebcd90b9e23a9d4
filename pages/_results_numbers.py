"""Everything that was measured of the models of a run, each kind of it for itself."""

from collections.abc import Callable

import streamlit as st

from pages import _charts as charts
from pages import _learned as learned
from pages import _pictures as pictures
from pages import _size_and_quality as size_and_quality
from pages._language import _, counted, retell
from pages._scores import ROLES, Scored, comparison_of, milliseconds, on_test
from pages._studio import get_store
from pages._watched import watched
from pages._words import change, changes, count, data_name, escape, low_and_high, measured, role, sentences, size
from studio import tasks
from studio.events import OLD_TEST, Comparison, Evaluation, StageResult
from studio.store.rows import RunRow

FEWEST_COMPARED = 3
"""In one measure, or two where another one is told first, the verdict tells the difference."""


def all_numbers(
    models: list[Scored], evaluations: list[Evaluation], comparisons: list[Comparison], task: tasks.Task
) -> None:
    """Everything that was measured of every model."""
    found, names = on_test(evaluations), {model.role: model.name for model in models}
    rows = [
        {"": _(measure.title)}
        | {name: with_interval(found.get((role, measure.name)), measure) for role, name in names.items()}
        | differences(comparisons, measure)
        for measure in task.measures
        if any((role, measure.name) in found for role in names)
    ]
    costs: dict[str, tuple[str, Callable[[float], str]]] = {
        _("Parameters"): ("parameters", count),
        _("Size on disk"): ("size_bytes", size),
        _("One row at a time, median"): ("latency_ms", milliseconds),
        _("One row at a time, 95 % take less than"): ("latency_p95_ms", milliseconds),
        _("32 rows at a time, median"): ("latency_32_ms", milliseconds),
        _("One row at a time, one thread"): ("one_thread_latency_ms", milliseconds),
        _("32 rows at a time, one thread"): ("one_thread_latency_32_ms", milliseconds),
        _("One row at a time, ONNX Runtime"): ("onnx_latency_ms", milliseconds),
        _("32 rows at a time, ONNX Runtime"): ("onnx_latency_32_ms", milliseconds),
    }
    for title, (metric, words) in costs.items():
        known = {name: words(found[role, metric].value) for role, name in names.items() if (role, metric) in found}
        if known:
            rows.append({"": title} | dict.fromkeys(names.values(), "–") | known)
    ratios = {
        _("Times as long as the student"): "latency_ratio",
        _("Times as long as the student, one thread"): "one_thread_latency_ratio",
        _("Times as long as the student, ONNX Runtime"): "onnx_latency_ratio",
    }
    for title, metric in ratios.items():
        known = {name: ratio_words(found[role, metric]) for role, name in names.items() if (role, metric) in found}
        if known:
            rows.append({"": title} | dict.fromkeys(names.values(), "–") | known)
    columns = dict.fromkeys((name for row in rows for name in row), "")
    st.html(pictures.table([columns | row for row in rows]))
    if differences(comparisons, task.measures[0]):
        st.caption(_("The last columns: 95 % intervals of the differences on the same test rows, in points where "
                     "values are in per cent."))  # fmt: skip
    st.caption(timed_on(evaluations))
    tested = max(model.rows for model in models)
    sentence = counted(
        "Measured on {shown} test row that no model had seen, in the form in which each model is saved. In brackets: "
        "95 % intervals.",
        "Measured on {shown} test rows that no model had seen, in the form in which each model is saved. In brackets: "
        "95 % intervals.",
        tested,
        shown=f"{tested:,}",
    )
    st.caption(
        sentences(sentence, *(_("{name}: {words}.", name=model.name, words=_(ROLES[model.role])) for model in models))
    )


def differences(comparisons: list[Comparison], measure: tasks.Measure) -> dict[str, str]:
    """By how much the student differs from the control, and from itself before it learned, on the same rows; nothing
    where the models were compared in one measure alone, which the verdict tells."""
    titles = {"control": _("Student − control"), "untouched": _("Student − before training")}
    on_rows = [pair for pair in comparisons if pair.first == "student" and pair.split == "test"]
    if len({pair.metric for pair in on_rows}) < FEWEST_COMPARED:
        return {}
    pairs = {title: comparison_of(on_rows, second, measure) for second, title in titles.items()
             if any(pair.second == second for pair in on_rows)}  # fmt: skip
    return {title: _("{low} to {high}", **changes(pair.low, pair.high, measure)) if pair else "–"
            for title, pair in pairs.items()}  # fmt: skip


def ratio_words(ratio: Evaluation) -> str:
    if ratio.low is None or ratio.high is None:
        return _factors(ratio.value)[0]
    value, low, high = _factors(ratio.value, ratio.low, ratio.high)
    return _("{value} ({low} to {high})", value=value, low=low, high=high)


def _factors(ratio: float, *ends: float) -> list[str]:
    """A ratio of two times and its interval, in as many digits as such times have; near 1 a hundredth, which tells how
    exact they are.

    >>> _factors(24.92, 23.4, 26.01), _factors(3.21), _factors(1.72, 1.61, 2.2)
    (['25', '23', '26'], ['3.2'], ['1.72', '1.61', '2.20'])
    """
    decimals = 0 if ratio >= 10 else 1 if ratio >= 2 else 2
    return [f"{number:.{decimals}f}" for number in (ratio, *ends)]


def timed_on(evaluations: list[Evaluation]) -> str:
    """On what and in what the models were timed."""
    timed = [evaluation for evaluation in evaluations if evaluation.metric == "latency_ms" and evaluation.device]
    if not timed:
        return ""
    threads = timed[0].threads
    suffix = f", {counted('{number} thread', '{number} threads', threads)}" if threads else ""
    return _(
        "Timed in turn on {where}. The model without teacher is the same network as the student: how far its ratio is "
        "from 1 tells how exact the times are.",
        where=f"{escape(timed[0].device)}{suffix}; {', '.join(sorted({evaluation.runtime for evaluation in timed}))}",
    )


def with_interval(found: Evaluation | None, measure: tasks.Measure) -> str:
    if found is None:
        return "–"
    if found.low is None or found.high is None:
        return measured(found.value, measure)
    ends = low_and_high(found.low, found.high, measure)
    return _("{value} ({low} to {high})", value=measured(found.value, measure), **ends)


def old_and_new(run: RunRow, evaluations: list[Evaluation], measure: tasks.Measure) -> None:
    """Where a student continued with new data: what it knows of each."""
    st.caption(
        _(
            "The student continued with **{new}** and repeated **{old}** so as not to forget it. {measure} on each:",
            new=escape(data_name(run.config.dataset)),
            old=escape(data_name(run.config.replay or "")),
            measure=_(measure.title),
        )
    )
    table = []
    for words, split in ((_("New"), "test"), (_("Old"), OLD_TEST)):
        by_role = {found.role: found for found in evaluations if found.split == split and found.metric == measure.name}
        values = {role(name): with_interval(found, measure) for name, found in by_role.items()}
        rows = next(iter(by_role.values())).n or 0
        table.append({_("Data"): words, **values, _("Test rows"): f"{rows:,}"})
    st.html(pictures.table(table))


def steps_taken(run: RunRow, task: tasks.Task) -> None:
    """What each step of the plan cost and brought."""
    results = get_store().stage_results(run.id)
    measure = next((known for known in task.measures if known.name == results[0].metric), task.measures[0])
    st.caption(
        _(
            "The student after each step of the plan, on the validation rows that chose its weights, too: the values "
            "are a little too good, and the intervals do not count that. The test rows are read once, above."
        )
    )
    table = []
    for number, result in enumerate(results):
        before = results[number - 1] if number > 1 else None
        ends = low_and_high(result.low, result.high, measure)
        table.append({
            _("Step"): retell(result.title),
            _(measure.title): _("{value} ({low} to {high})", value=measured(result.value, measure), **ends),
            _("Change, points") if measure.unit == "share" else _("Change"):
                change(measure.shown(result.value - before.value), measure.unit) if before else "",
            _("Parameters"): count(result.parameters),
            _("Size"): size(result.size_bytes),
            _("Latency"): milliseconds(result.latency_ms),
        })  # fmt: skip
    st.html(pictures.table(table))
    held = run.config.teacher_precision
    if held != "float32":
        st.caption(_("The teacher answered with its weights in {precision}: its latency is that of this form, its size "
                     "that of its file.", precision=_(held)))  # fmt: skip
    shown = _("{measure} by size on disk after every step.", measure=_(measure.title))
    if run.verdict is None or len(results) < 3:
        st.caption(shown)
    else:
        found = size_and_quality.finding([_scored("teacher", results[0]), _scored("student", results[-1])], measure)
        st.html(pictures.titled(_("On validation rows: {finding}", finding=found), shown))
    st.plotly_chart(charts.stage_results(results, measure), key="stage-results", config={"displayModeBar": False})


def _scored(name: str, result: StageResult) -> Scored:
    return Scored(name, result.value, result.low, result.high, result.n, result.size_bytes)


def under_each_seed(run: RunRow, models: list[Scored], measure: tasks.Measure) -> None:
    """How far the seeds are apart, and which student is exported."""
    found = [
        evaluation
        for evaluation in get_store().evaluations_of_seeds(run.id)
        if (evaluation.metric, evaluation.split) == (measure.name, "test")
    ]
    by_seed = {
        role: {evaluation.seed: evaluation.value for evaluation in found if evaluation.role == role}
        for role in ("student", "control")
    }
    of_seeds = {role: list(values.values()) for role, values in by_seed.items() if values}
    st.html(size_and_quality.seeds(models, of_seeds, measure))
    seeds = get_store().seeds(run.id)
    table = []
    for result in seeds:
        row = {_("Seed"): _("{seed} (exported)", seed=result.seed) if result.exported else str(result.seed)}
        for name in of_seeds:
            value, best = by_seed[name][result.seed], result.student if name == "student" else result.control
            row[role(name)] = measured(value, measure)
            row[_("{model} on validation rows", model=role(name))] = "–" if best is None else measured(best, measure)
        table.append(row)
    st.html(pictures.table(table))
    st.caption(
        _("The student that did best on validation rows is exported; the test rows have no part in that choice.")
    )


def what_was_chosen(run: RunRow, measure: tasks.Measure) -> None:
    """Temperature and alpha that the run found by trying, and all that it tried."""
    choice = get_store().choice(run.id)
    if choice is None:
        return
    st.markdown(f"T = **{choice.temperature:.3g}**, alpha = **{choice.alpha:.3g}**. {escape(retell(choice.reason))}")
    title = _("{measure} on validation rows", measure=_(measure.title))
    st.html(
        pictures.table(
            [
                {_("Temperature"): f"{temperature:.3g}", _("Alpha"): f"{alpha:.3g}", title: measured(value, measure)}
                for temperature, alpha, value in choice.tried
            ]
        )
    )


def curves(run: RunRow, measure: tasks.Measure) -> None:
    """How the models learned: the deciding measure, then what training makes small."""
    points, course = watched(run).points(), learned.course_of(get_store(), run)
    st.html(learned.quality_told(points, measure, course))
    st.plotly_chart(charts.measure_curves(points, measure), key="measure", config={"displayModeBar": False})
    st.html(learned.losses_told(points, course))
    st.plotly_chart(charts.loss_curves(points), key="loss", config={"displayModeBar": False})
