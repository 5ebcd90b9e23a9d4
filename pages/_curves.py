"""The curves of a run as one picture that needs no script: for what is printed or sent."""

from collections.abc import Sequence

from pages._charts import ROLE_OF_STAGE, downsample, teacher_level
from pages._language import _
from pages._learned import Course, reached
from pages._markup import Html, element
from pages._scores import levels
from pages._words import measured, role, sentences
from studio.events import stage
from studio.store.rows import Point
from studio.tasks import Measure

WIDE, HIGH, LEFT, RIGHT, BELOW, ABOVE = 900, 280, 70, 190, 34, 12
MOST, NAME_LINE = 300, 17


def curves(points: Sequence[Point], measure: Measure, course: Course) -> Html:
    """The deciding measure of every model that learned, on validation rows, by step; a name at the end of each. What is
    better the lower it is falls, as it does while it is learned."""
    lines = _lines(points, measure)
    if not lines:
        return Html("")
    last = max(step for _name, line in lines for step, _value in line) or 1
    ready = None if "teacher" in dict(lines) else teacher_level(points, measure)  # such a one learned nothing here
    if ready is not None:
        lines.append(("teacher", [(0, ready), (last, ready)]))
    values = [value for _name, line in lines for _step, value in line]
    low, high = min(values), max(values)
    room = max(high - low, 0.01)
    low, high = low - 0.05 * room, high + 0.05 * room

    def across(step: float) -> float:
        return LEFT + (WIDE - LEFT - RIGHT) * step / last

    def up(value: float) -> float:
        share = (value - low) / (high - low)
        return ABOVE + (HIGH - ABOVE - BELOW) * (share if measure.lower else 1 - share)

    drawn = [_level(up(value), words) for value, words in levels(low, high, measure)]
    places: list[float] = []
    for name, line in sorted(lines, key=lambda pair: measure.shown(pair[1][-1][1])):
        path = " ".join(f"{across(step):.1f},{up(value):.1f}" for step, value in line)
        drawn.append(element("polyline", points=path, fill="none", stroke=f"var(--{name})", stroke_width="2.5",
                             stroke_dasharray="6 5" if name == "teacher" and ready is not None else None))  # fmt: skip
        place = up(line[-1][1])
        place = min(place, places[-1] - NAME_LINE) if places else place
        places.append(place)
        text = f"{role(name)} {measured(line[-1][1], measure)}"
        drawn.append(element("text", text, x=across(line[-1][0]) + 8, y=f"{place + 4:.1f}", fill=f"var(--{name}-text)"))
    drawn.append(element("text", _("step {number}", number=f"{last:,}"), x=across(last), y=HIGH - 8, text_anchor="end"))
    words = _("{measure} on validation rows, by step", measure=_(measure.title))
    words = _("{told}. Lower is better", told=words) if measure.lower else words
    picture = element("svg", *drawn, viewBox=f"0 0 {WIDE} {HIGH}", kind="curves", role="img", aria_label=words)
    lead = element("p", reached(points, measure, course), kind="ds-lead")
    text = sentences(f"{words}.", course.of_seeds()) if course.of_seeds() else words
    return element("figure", lead, element("p", text, kind="ds-sub"), picture, kind="ds-plot", style="margin:0")


def _level(height: float, words: str) -> Html:
    line = element("line", x1=LEFT, x2=WIDE - RIGHT, y1=f"{height:.1f}", y2=f"{height:.1f}", stroke="var(--line)")
    label = element("text", words, x=LEFT - 8, y=f"{height + 4:.1f}", text_anchor="end")
    return element("g", line, label)


def _lines(points: Sequence[Point], measure: Measure) -> list[tuple[str, list[tuple[int, float]]]]:
    """(role, [(step, value)]) of each model, the phases of one after another."""
    found: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        name = ROLE_OF_STAGE.get(stage(point.phase))
        if name is not None and point.name == measure.name:
            found.setdefault(name, []).append((point.step, point.value))
    return [(name, _fewer(sorted(line))) for name, line in found.items()]


def _fewer(line: list[tuple[int, float]]) -> list[tuple[int, float]]:
    import numpy as np

    steps, values = downsample(np.array([step for step, _ in line]), np.array([value for _, value in line]), MOST)
    return list(zip(steps.tolist(), values.tolist(), strict=True))
