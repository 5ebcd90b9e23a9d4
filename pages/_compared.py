"""Runs that are compared, as tables: the students and their tests. What the page and a report of a comparison say."""

from pages import _pictures as pictures
from pages._language import _
from pages._scores import Scored, milliseconds, on_test
from pages._words import change, count, measured, size
from studio.service import paired
from studio.service.comparison import Side
from studio.tasks import Measure


def headline(compared: list[Side], measure: Measure) -> str:
    """Which student is best, and which one smallest."""
    known = [(side.name, side.summary.student, side.summary.student_bytes)
             for side in compared if side.summary and side.summary.student is not None]  # fmt: skip
    if not known:
        return _("None of these runs has a result yet")
    best = max(known, key=lambda one: one[1] or 0)
    smallest = min(known, key=lambda one: one[2] or float("inf"))
    value = measured(best[1] or 0, measure)
    if smallest == best or not smallest[2]:
        return _("“{best}” is best: {value}", best=best[0], value=value)
    return _("“{best}” is best: {value}. “{smallest}” is smallest: {size}", best=best[0], value=value,
             smallest=smallest[0], size=size(smallest[2]))  # fmt: skip


def of_model(side: Side, one: Scored) -> dict[str, str]:
    """A model of a run: how good, how large, how fast."""
    found = on_test(side.evaluations)
    interval = f"{measured(one.low, side.measure)} – {measured(one.high, side.measure)}"
    return {
        _("Run"): side.name,
        _("Model"): one.name,
        _(side.measure.title): measured(one.value, side.measure),
        _("95 % interval"): interval if one.low != one.high else "–",
        _("Size"): size(one.size_bytes) if one.size_bytes else "–",
        _("Parameters"): count(one.parameters) if one.parameters else "–",
        _("One row"): milliseconds(one.latency_ms) if one.latency_ms else "–",
        _("Rows"): f"{found[one.role, side.measure.name].n or 0:,}",
    }


def of_pair(known: dict[int, Side], pair: paired.Paired, measure: Measure) -> dict[str, str]:
    """A paired test, or why there is none."""
    one = pair.comparison
    row = {_("Against"): known[pair.second].name}
    if one is None:
        return row | {_("Difference"): why(pair), _("95 % interval"): "", _("Only it is right"): "",
                      _("Only the other is right"): "", _("p-value"): ""}  # fmt: skip
    gained, lost = ("–" if rows is None else f"{rows:,}" for rows in (one.gained, one.lost))
    return row | {
        _("Difference"): pictures.in_points(one.difference, measure),
        _("95 % interval"): _(
            "{low} to {high}", low=change(one.low, measure.unit), high=change(one.high, measure.unit)
        ),
        _("Only it is right"): gained,
        _("Only the other is right"): lost,
        _("p-value"): f"{pair.p_value:.3f}" if pair.p_value >= 0.001 else "< 0.001",
    }


def why(pair: paired.Paired) -> str:
    """Why two runs were not tested against each other."""
    why = {
        "data": _("No test: they learned from different data."),
        "rows": _("No test: they were tested on different rows."),
        "answers": _("No test: the answers of one of them were not kept."),
    }
    return why.get(pair.reason, "")
