"""Runs that are compared, as tables: the students and their tests. What the page and a report of a comparison say."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pages import _pictures as pictures
from pages._language import _, counted
from pages._scores import Scored, milliseconds, on_test
from pages._words import changes, count, data_name, listed, low_and_high, measured, run_name, size
from studio.home import Home
from studio.service import comparison, paired
from studio.service.comparison import Side
from studio.store.rows import RunRow
from studio.tasks import Measure

MOST_NAMES = 3


def named(compared: Sequence[Side]) -> list[Side]:
    """The same runs by names in the reader's language that tell them apart: with its number where a run has no name of
    its own, or where another one has the same; with its data where that is not the same of all."""
    taken = [side.run.name for side in compared]
    is_one_data = len({side.run.dataset_id for side in compared}) == 1

    def name(run: RunRow) -> str:
        if not run.name and not is_one_data:
            return _("{name} · run {run}", name=data_name(run.config.dataset), run=run.id)
        if not run.name:
            return _("Run {run}", run=run.id)
        shown = run_name(run.name)
        return shown if taken.count(run.name) == 1 else _("{name} · run {run}", name=shown, run=run.id)

    return [replace(side, run=replace(side.run, name=name(side.run))) for side in compared]


def best_tested(home: Home, compared: Sequence[Side]) -> list[paired.Paired]:
    """The student that scored best, tested against each other one; nothing where fewer than two have a result."""
    known = [side for side in compared if side.summary and side.summary.student is not None]
    if len(known) < 2:
        return []
    best = max(known, key=_score)
    return paired.against(home, best, [side for side in known if side is not best])


def is_clear(tests: Sequence[paired.Paired]) -> bool | None:
    """Whether the first student of these tests differs from every other one by more than chance; None where they were
    not tested."""
    if not any(pair.comparison for pair in tests):
        return None
    return all(pair.comparison and pair.p_value < paired.CHANCE for pair in tests)


def on_other_rows(tests: Sequence[paired.Paired]) -> bool:
    """Whether some of them were tested on other rows than the first one: which is better cannot be told then."""
    return any(pair.reason == "data" for pair in tests)


def _score(side: Side) -> float:
    return (side.summary.student if side.summary else None) or 0.0


def headline(compared: Sequence[Side], measure: Measure, tests: Sequence[paired.Paired]) -> str:
    """Which student scored best, whether that may be chance, and which one is smallest."""
    known = [side for side in compared if side.summary and side.summary.student is not None]
    if not known:
        return _("None of these runs has a result yet")
    best, clear = max(known, key=_score), is_clear(tests)
    facts = {"best": best.name, "value": measured(_score(best), measure)}
    if len(known) == 1 < len(compared):
        return _("Only “{best}” was measured on test rows: {value}", **facts)
    alike = [side.name for side in known if measured(_score(side), measure) == facts["value"]]
    if on_other_rows(tests):
        return _("“{best}” scored highest: {value}, but not all were tested on the same rows", **facts)
    if len(alike) > 1 and not clear:
        first = _("{names} are equally good: {value}", names=quoted(alike, len(known)), value=facts["value"])
    elif clear is None:
        first = _("“{best}” scored best: {value}", **facts)
    elif clear:
        first = _("“{best}” scored best: {value}, by more than chance", **facts)
    else:
        first = _("“{best}” scored best: {value}, which may be chance", **facts)
    if comparison.of_earlier_versions(compared):
        return first
    bytes_ = {side.name: side.summary.student_bytes for side in known if side.summary and side.summary.student_bytes}
    smallest = min(bytes_, key=lambda name: bytes_[name], default=best.name)
    as_small = [name for name, own in bytes_.items() if size(own) == size(bytes_[smallest])]
    if len(as_small) != 1 or smallest == best.name:
        return first
    return _("{first}. “{smallest}” is smallest: {size}", first=first, smallest=smallest, size=size(bytes_[smallest]))


def quoted(names: Sequence[str], of: int) -> str:
    """Runs by their names, or how many of all where they are more than a sentence holds."""
    if len(names) <= MOST_NAMES:
        return listed([_("“{name}”", name=name) for name in names])
    return _("{count} of {all}", count=len(names), all=of)


def did_best(tops: dict[str, float], measure: Measure) -> str:
    """Who was best on validation rows; all of them where their numbers read alike."""
    value = measured(max(tops.values()), measure)
    best = [name for name, top in tops.items() if measured(top, measure) == value]
    if len(best) == 1:
        return _("“{name}” did best on validation rows: {value}", name=best[0], value=value)
    names = quoted(best, len(tops))
    return _("{names} are equally good on validation rows: {value}", names=names, value=value)


def told_clear(name: str, clear: int, tested: int) -> str:
    """From how many of the others a student differs by more than chance."""
    if not clear:
        return _("“{name}”: no difference that is more than chance", name=name)
    return _("“{name}” differs from {clear} of {tested} by more than chance", name=name, clear=clear, tested=tested)


def of_earlier_versions(compared: Sequence[Side]) -> str:
    """Whose sizes and macro F1 cannot be held against the others', in a sentence; "" where all can."""
    earlier = comparison.of_earlier_versions(compared)
    if not earlier:
        return ""
    return counted(
        "{names}: measured by an earlier version of the studio, which counted the weights alone as the size of a "
        "model, and into the macro F1 also classes without test rows. Run it again to compare sizes.",
        "{names}: measured by an earlier version of the studio, which counted the weights alone as the size of a "
        "model, and into the macro F1 also classes without test rows. Run them again to compare sizes.",
        len(earlier), names=listed([_("“{name}”", name=side.name) for side in earlier]),
    )  # fmt: skip


def direction(measure: Measure) -> str:
    """What is to be known of a measure that is better the lower it is, before its numbers are read."""
    return _("{measure}: lower is better, so a difference with a minus is a gain. In pictures of size and quality what "
             "is better stands higher.", measure=_(measure.title))  # fmt: skip


def told_apart(values: Sequence[Any], shown: Sequence[str]) -> list[str]:
    """What is shown of values that are not alike; where that would look the same, the values whole, as of two folders
    of one name, or numbers with as many digits as tell them apart.

    >>> told_apart(["folder:/a/bert", "folder:/b/bert"], ["bert", "bert"])
    ['folder:/a/bert', 'folder:/b/bert']
    >>> told_apart([0.9, 0.8996899480900886], ["0.9", "0.9"])
    ['0.9', '0.8997']
    """
    if len(set(shown)) > 1:
        return list(shown)
    if all(isinstance(value, float) for value in values):
        written = ([f"{value:.{digits}g}" for value in values] for digits in range(4, 17))
        return next((texts for texts in written if len(set(texts)) > 1), [str(value) for value in values])
    return [str(value) for value in values]


def of_model(side: Side, model: Scored) -> dict[str, str]:
    """A model of a run: how good, how large, how fast."""
    found = on_test(side.evaluations)
    ends = low_and_high(model.low, model.high, side.measure)
    return {
        _("Run"): side.name,
        _("Model"): model.name,
        _(side.measure.title): measured(model.value, side.measure),
        _("95 % interval"): f"{ends['low']} – {ends['high']}" if model.low != model.high else "–",
        _("Size"): size(model.size_bytes) if model.size_bytes else "–",
        _("Parameters"): count(model.parameters) if model.parameters else "–",
        _("One row"): milliseconds(model.latency_ms) if model.latency_ms else "–",
        _("Rows"): f"{found[model.role, side.measure.name].n or 0:,}",
    }


def of_pair(known: dict[int, Side], pair: paired.Paired, measure: Measure) -> dict[str, str]:
    """A paired test, or why there is none."""
    result = pair.comparison
    row = {_("Against"): known[pair.second].name}
    if result is None:
        return row | {_("Difference"): why(pair), _("95 % interval"): "", _("Only it is right"): "",
                      _("Only the other is right"): "", _("p-value"): ""}  # fmt: skip
    gained, lost = ("–" if rows is None else f"{rows:,}" for rows in (result.gained, result.lost))
    return row | {
        _("Difference"): pictures.in_points(result.difference, measure),
        _("95 % interval"): _("{low} to {high}", **changes(result.low, result.high, measure)),
        _("Only it is right"): gained,
        _("Only the other is right"): lost,
        _("p-value"): f"{pair.p_value:.3f}" if pair.p_value >= 0.001 else "< 0.001",
    }


def why(pair: paired.Paired) -> str:
    """Why two runs were not tested against each other."""
    why = {
        "data": _("No test: their data sets have different test rows."),
        "rows": _("No test: they were tested on different rows."),
        "answers": _("No test: the answers of one of them were not kept."),
    }
    return why.get(pair.reason, "")
