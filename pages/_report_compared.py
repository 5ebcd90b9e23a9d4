"""A comparison of runs as one document that needs nothing else: which is best, which are worth having, whether that is
more than chance, and what differs.

`python -m pages._report_compared RUN RUN [--language zh]` writes one to standard output.
"""

import argparse
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pages import _compared as tables
from pages import _pictures as pictures
from pages import _report as reports
from pages import _run_pictures as run_pictures
from pages._language import _, in_language
from pages._markup import Html, element, joined
from pages._scores import levels, scored
from pages._words import data_name, measured, model, size, teachers
from studio.config.run import RunConfig
from studio.errors import StudioError
from studio.home import Home
from studio.language.languages import LANGUAGES, SOURCE
from studio.service import comparison, paired
from studio.service.comparison import Side
from studio.store.rows import Summary
from studio.store.store import Store
from studio.tasks import Measure

WIDE, HIGH, LEFT, RIGHT, ABOVE, BELOW = 900, 380, 70, 190, 20, 50
COST, LONGEST_NAME = "student_bytes", 22


def report(home: Home, store: Store, run_ids: Sequence[int]) -> str:
    """The whole document, in the reader's language. Raises `ConfigError` for fewer than two runs, `StoreError` where
    there is no such run."""
    compared = tables.named(comparison.sides(store, run_ids))
    measure = comparison.same_measure(compared)
    tested = tables.best_tested(home, compared) if measure else []
    title = tables.headline(compared, measure, tested) if measure else _("These runs learned different things")
    apart = tables.on_other_rows(tested)
    drawn = picture(compared, measure, tables.is_clear(tested)) if measure and not apart else Html("")
    notes = element("p", tables.direction(measure), kind="ds-sub") if measure and measure.lower else Html("")
    earlier = tables.of_earlier_versions(compared)
    notes = joined(notes, pictures.strip(_("Measured otherwise:"), earlier)) if earlier else notes
    parts = [element("header", _opening(compared, title), notes, drawn)]
    if measure is not None:
        parts.append(reports.part(_("More than chance?"), _tests(home, compared, measure)))
    parts += [
        reports.part(_("All models"), _models(compared)),
        reports.part(_("What differs"), _differing(compared)),
        reports.part(_("How to reproduce it"), _reproduce(compared)),
        element("footer", _("Distillation Studio · {date}", date=time.strftime("%Y-%m-%d"))),
    ]
    return reports.document(title, element("main", *parts, kind="report"))


def _opening(compared: Sequence[Side], title: str) -> Html:
    lines = [
        element("li", element("b", side.name), f": {data_name(side.run.config.dataset)} · "
                f"{teachers(side.run.config)} → {model(side.run.config.student)}")
        for side in compared
    ]  # fmt: skip
    crumb = _("A comparison of {count} runs", count=len(compared))
    return joined(element("p", crumb, kind="ds-crumb"), element("h1", title), element("ul", *lines))


@dataclass(frozen=True)
class _Field:
    """Where things stand in the picture: sizes by their logarithm across, values up."""

    sizes: tuple[float, float]
    values: tuple[float, float]

    def across(self, bytes_: float) -> float:
        first, last = (math.log(end) for end in self.sizes)
        share = (math.log(bytes_) - first) / (last - first) if last > first else 0.5
        return LEFT + (WIDE - LEFT - RIGHT) * (0.06 + 0.88 * share)

    def up(self, value: float) -> float:
        low, high = self.values
        return ABOVE + (HIGH - ABOVE - BELOW) * (high - value) / (high - low)


def picture(compared: Sequence[Side], measure: Measure, clear: bool | None) -> Html:
    """The students by size and quality, with their intervals; those that no other one beats are joined."""
    if comparison.of_earlier_versions(compared):
        note = _("The sizes of these students were counted in two ways: they cannot be compared.")
        return element("p", note, kind="ds-sub")
    known = {side.run.id: side.summary for side in compared
             if side.summary and side.summary.student_bytes and side.summary.student is not None}  # fmt: skip
    if not known:
        return Html("")
    front = run_pictures.worth_having(compared, COST, measure, clear)
    ends = [
        end for summary in known.values() for end in (summary.student, summary.low, summary.high) if end is not None
    ]
    room = max(max(ends) - min(ends), 0.01)
    low, high = min(ends) - 0.08 * room, max(ends) + 0.08 * room
    sizes = [summary.student_bytes or 1.0 for summary in known.values()]
    field = _Field((min(sizes), max(sizes)), (low, high))
    drawn = [_level(field.up(value), words) for value, words in levels(low, high, measure)]
    joined_ = sorted((field.across(known[run_id].student_bytes or 1.0), field.up(known[run_id].student or 0.0))
                     for run_id in front if run_id in known)  # fmt: skip
    drawn.append(element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in joined_), fill="none",
                         stroke="var(--student)", stroke_dasharray="2 5", stroke_width="2"))  # fmt: skip
    for side in compared:
        if side.run.id in known:
            drawn += _mark(side, known[side.run.id], field, side.run.id in front, measure)
    drawn.append(element("text", _("size on disk →"), x=WIDE - RIGHT, y=HIGH - 10, text_anchor="end"))
    words = _("{measure} of the students on the test rows, with 95 % intervals. Filled: no other one is "
              "at least as good for less.", measure=_(measure.title))  # fmt: skip
    svg = element("svg", *drawn, viewBox=f"0 0 {WIDE} {HIGH}", kind="curves", role="img", aria_label=words)
    found = run_pictures.finding(compared, front, COST, measure, clear) if front else ""
    return element("figure", element("p", found, kind="ds-lead"), element("p", words, kind="ds-sub"), svg,
                   kind="ds-plot", style="margin:0")  # fmt: skip


def _mark(side: Side, found: Summary, field: _Field, is_on_front: bool, measure: Measure) -> list[Html]:
    """One student: its interval, its dot, its name."""
    bytes_, value = found.student_bytes or 1.0, found.student or 0.0
    x, y, colour = field.across(bytes_), field.up(value), "var(--student)" if is_on_front else "var(--control)"
    marks = []
    if found.low is not None and found.high is not None:
        marks.append(element("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=f"{field.up(found.low):.1f}",
                             y2=f"{field.up(found.high):.1f}", stroke=colour))  # fmt: skip
    inside = colour if is_on_front else "var(--card)"
    marks.append(element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="7", fill=inside, stroke=colour, stroke_width="2"))
    label = f"{side.name[:LONGEST_NAME]} {measured(value, measure)}, {size(bytes_)}"
    return [*marks, element("text", label, x=f"{x + 12:.1f}", y=f"{y + 4:.1f}")]


def _level(height: float, words: str) -> Html:
    line = element("line", x1=LEFT, x2=WIDE - RIGHT, y1=f"{height:.1f}", y2=f"{height:.1f}", stroke="var(--line)")
    return element("g", line, element("text", words, x=LEFT - 8, y=f"{height + 4:.1f}", text_anchor="end"))


def _tests(home: Home, compared: Sequence[Side], measure: Measure) -> Html:
    """The best student against each other one."""
    known = {side.run.id: side for side in compared if side.summary and side.summary.student is not None}
    if len(known) < 2:
        return element("p", _("This needs two runs with results."))
    best = max(known.values(), key=lambda side: (side.summary and side.summary.student) or 0.0)
    others = [side for side in known.values() if side is not best]
    found = paired.against(home, best, others)
    tested = [pair for pair in found if pair.comparison]
    clear = [pair for pair in tested if pair.p_value < paired.CHANCE]
    lead = tables.told_clear(best.name, len(clear), len(tested))
    note = _("Both students on the same test rows. The p-values hold for all pairs of these runs together (Holm), "
             "whichever of them was best.")  # fmt: skip
    return joined(element("p", lead, kind="lead") if tested else Html(""),
                  pictures.table([tables.of_pair(known, pair, measure) for pair in found]),
                  element("p", note, kind="ds-sub"))  # fmt: skip


def _models(compared: Sequence[Side]) -> Html:
    """All models of all runs, the best students first."""
    found = [(side, scored_model) for side in compared for scored_model in scored(side.evaluations, side.measure)]
    found.sort(key=lambda pair: (pair[1].role != "student", -pair[1].value))
    return pictures.table([tables.of_model(side, scored_model) for side, scored_model in found]) if found else Html("")


def _differing(compared: Sequence[Side]) -> Html:
    rows: list[Mapping[str, str]] = []
    for name, values in comparison.differing(compared).items():
        title = _(RunConfig.model_fields[name].title or name)
        shown = tables.told_apart(values, [run_pictures.setting_of(name, value) for value in values])
        cells = {side.name: words for side, words in zip(compared, shown, strict=True)}
        rows.append({"": f"{title} ({name})"} | cells)
    return pictures.table(rows) if rows else element("p", _("All settings are the same."))


def _reproduce(compared: Sequence[Side]) -> Html:
    """Every run's settings, and the data with its fingerprint."""
    parts = []
    for side in compared:
        print_of = side.data.fingerprint if side.data else "–"
        parts += [element("p", element("b", side.name), f" · run-{side.run.id}.yaml · {_('Fingerprint')} {print_of}"),
                  element("pre", side.run.config.to_yaml())]  # fmt: skip
    return joined(*parts)


def main() -> None:
    """Write the document to standard output; what is wrong to standard error."""
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("runs", type=int, nargs="+")
    wanted.add_argument("--language", choices=LANGUAGES, default=SOURCE)
    options = wanted.parse_args()
    home = Home.from_environment()
    try:
        with in_language(options.language):
            sys.stdout.buffer.write(report(home, Store(home.database), options.runs).encode("utf-8"))
    except StudioError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
