"""Pictures made of numbers: models by size and quality, a teacher that shrinks, what classes lost, stages of a run."""

import math
from collections.abc import Mapping, Sequence

from pages import _shares
from pages._language import _, counted
from pages._markup import Html, breaking, element, joined
from pages._scores import Number, Scored, small
from pages._words import change, commas, duration, measured, per_cent, role, size, upright
from studio.events import Confusion, stage
from studio.tasks import Measure

LEAST_BALL, LARGEST_BALL, LEAST_ROOM = 12, 240, 130
"""Pixels: a model's circle, and what its name takes below it, however small the circle is."""
FILLED = 60
"""How much of a circle is filled where no measure says so, in per cent."""
OWNERS = {"teach": "teacher", "record": "teacher", "control": "control", "smooth": "smoothed",
          "prepare": "control", "evaluate": "control",          "tune": "control"}  # fmt: skip


def numbers(three: Sequence[Number], few: bool = False) -> Html:
    """Large numbers, each with what it says."""
    cells = []
    for number in three:
        value = element("b", number.value, element("small", number.unit) if number.unit else "")
        words = element("strong", number.words) if not few else element("span", number.words)
        detail = element("span", number.detail)
        cells.append(element("div", value, words, *(() if few else (detail,)), kind="ds-number"))
    return element("div", *cells, kind=f"ds-numbers{' small' if few else ''}")


def badge(words: str, kind: str) -> Html:
    """A word on a coloured ground; `kind`: good, even, careful or bad."""
    return element("span", words, kind=f"st-badge-{kind}")


def lead(finding: str, words: str) -> Html:
    """What a picture says, and what it shows."""
    return element("div", element("p", finding, kind="ds-lead"), element("p", words, kind="ds-sub"))


def empty(finding: str, words: str) -> Html:
    """What stands where nothing is yet: what will be here, and what to do."""
    return element("div", element("p", finding, kind="ds-lead"), element("p", words, kind="ds-sub"), kind="ds-empty")


def strip(label: str, words: str, kind: str = "careful") -> Html:
    """One thing to look at."""
    return element("div", element("b", label), words, kind=f"ds-strip {kind}", role="note")


# --- a teacher that shrinks


def shrink(
    teacher: Scored | None = None, student: Scored | None = None, measure: Measure | None = None, source: str = ""
) -> Html:
    """The teacher beside its student: areas are sizes, the filled part is the deciding measure where that has a best
    value. Without a run, an outline without numbers."""
    if not teacher or not student or not measure or not teacher.size_bytes or not student.size_bytes:
        return _balls((LARGEST_BALL, FILLED, 0.3), (LARGEST_BALL // 4, FILLED, 4.0), ("", ""), "")
    ratio = math.sqrt(student.size_bytes / teacher.size_bytes)
    wide = LARGEST_BALL if ratio <= 1 else LARGEST_BALL / ratio
    diameters = [max(LEAST_BALL, round(wide)), max(LEAST_BALL, round(wide * ratio))]
    shares = [_level_of(model.value, measure) for model in (teacher, student)]
    words = [f"{size(model.size_bytes or 0)} · {measured(model.value, measure)}" for model in (teacher, student)]
    if measure.lower:
        note = _("Area: size on disk. {source}", source=source).strip()
    else:
        title = small(_(measure.title))
        note = _("Area: size on disk. Filled: {measure}. {source}", measure=title, source=source).strip()
    return _balls(
        (diameters[0], shares[0], 0.3),
        (diameters[1], shares[1], diameters[0] / diameters[1]),
        (words[0], words[1]),
        note,
    )


def _level_of(value: float, measure: Measure) -> float:
    """How much of a ball is filled, in per cent; as much of each where a measure has no best value."""
    if measure.lower:
        return FILLED
    return 100 * min(1.0, max(0.0, value))


def _balls(
    teacher: tuple[float, float, float], student: tuple[float, float, float], words: tuple[str, str], note: str
) -> Html:
    balls, names = [], []
    for owner, (wide, level, start), text in zip(("teacher", "student"), (teacher, student), words, strict=True):
        style = f"--wide:{wide:.0f};--level:{level:.0f}%;--from:{start:.1f}"
        balls.append(element("div", kind=f"ball {owner}", style=style))
        names.append(element("div", element("b", role(owner)), element("span", text), kind=f"words {owner}"))
    both = sum(max(ball[0], LEAST_ROOM) for ball in (teacher, student))
    picture = element("div", balls[0], element("div", kind="way"), balls[1], *names,
                      kind="ds-shrink", style=f"--both:{both:.0f}")  # fmt: skip
    text = commas(f"{role(owner)} {said}" for owner, said in zip(("teacher", "student"), words, strict=True) if said)
    return element(
        "figure", picture, element("p", note, kind="ds-note") if note else "", role="img", kind="ds-shrinks",
        aria_label=text or _("A large teacher becomes a small student"),
    )  # fmt: skip


# --- classes


def recalls(confusion: Confusion) -> dict[str, tuple[float | None, int]]:
    """Of each class the share that the model gets right, and how many rows it has."""
    found: dict[str, tuple[float | None, int]] = {}
    for number, label in enumerate(confusion.labels):
        rows = sum(confusion.counts[number])
        found[label] = (confusion.counts[number][number] / rows if rows else None, rows)
    return found


def losses(teacher: Confusion, student: Confusion) -> list[tuple[str, float, float, int]]:
    """Label, teacher's and student's share of right rows, rows: what lost most comes first; a class without test rows
    is left out."""
    of_teacher, of_student = recalls(teacher), recalls(student)
    found = []
    for label, (value, rows) in of_teacher.items():
        other = of_student.get(label, (None, 0))[0]
        if value is not None and other is not None:
            found.append((label, value, other, rows))
    return sorted(found, key=lambda shares: shares[2] - shares[1])


def lost_and_kept(found: Sequence[tuple[str, float, float, int]]) -> str:
    """What the classes say, in a sentence.

    >>> lost_and_kept([("refund", 0.8, 0.5, 9), ("other", 0.5, 0.6, 9)])
    '“refund” lost most: 30.0 points. 1 of 2 classes lost nothing.'
    >>> lost_and_kept([("refund", 0.8, 0.5, 9), ("other", 0.5, 0.4, 9)])
    '“refund” lost most: 30.0 points. All 2 classes lost something.'
    """
    if not found:
        return _("No class has test rows.")
    label, before, after = found[0][:3]
    kept = sum(shares[2] >= shares[1] for shares in found)
    if after >= before:
        return _("None of {classes} classes lost anything.", classes=len(found))
    values = {"label": label, "points": f"{100 * (before - after):.1f}", "classes": len(found)}
    if not kept:
        return _("“{label}” lost most: {points} points. All {classes} classes lost something.", **values)
    return _("“{label}” lost most: {points} points. {kept} of {classes} classes lost nothing.", kept=kept, **values)


def class_changes(found: Sequence[tuple[str, float, float, int]]) -> Html:
    """Teacher's and student's share of right rows of each class, as two dots on a line."""
    start = _shares.start(share for _label, *both, _rows in found for share in both)
    cells: list[Html] = [*_shares.scale(start)]
    for label, before, after, rows in found:
        line = _shares.pair(before, after, start)
        values = {"before": f"{100 * before:.1f}", "after": f"{100 * after:.1f}"}
        text = counted("{before} → {after} %, {number} row", "{before} → {after} %, {number} rows", rows, **values)
        cells += [element("div", breaking(label), kind="label", title=label), line, element("div", text, kind="value")]
    return element("div", *cells, kind="ds-rows")


def class_counts(counts: Mapping[str, int]) -> Html:
    """How often each class comes, as bars with their names."""
    most = max(counts.values(), default=1) or 1
    cells: list[Html] = []
    for label, rows in counts.items():
        bar = element("div", element("i", style=f"width:{100 * rows / most:.1f}%"), kind="bar")
        cells += [
            element("div", breaking(label), kind="label", title=label),
            bar,
            element("div", f"{rows:,}", kind="value"),
        ]
    return element("div", *cells, kind="ds-rows")


def amounts(known: Mapping[str, tuple[float, str]]) -> Html:
    """How much each takes, as bars with what is written beside them."""
    most = max((amount for amount, _ in known.values()), default=0) or 1
    cells: list[Html] = []
    for name, (amount, written) in known.items():
        inside = element("i", style=f"width:{100 * amount / most:.1f}%") if amount else ""
        cells += [element("div", name, kind="label"), element("div", inside, kind="bar"),
                  element("div", written, kind="value")]  # fmt: skip
    return element("div", *cells, kind="ds-rows")


def mix_ups(matrix: Confusion) -> list[tuple[str, str, int, int]]:
    """True class, what it is taken for, how often, of how many rows: the most frequent first."""
    found = [
        (true, guess, counts[column], sum(counts))
        for row, (true, counts) in enumerate(zip(matrix.labels, matrix.counts, strict=True))
        for column, guess in enumerate(matrix.labels)
        if row != column and counts[column]
    ]
    return sorted(found, key=lambda mix_up: -mix_up[2])


def confusion(matrix: Confusion) -> Html:
    """Rows: the true class; columns: what the model says; the shade is the share of the row."""
    head = element("tr", element("th", _("true ↓ said →")), *(element("th", label, scope="col", title=label)
                   for label in matrix.labels))  # fmt: skip
    body = []
    for label, counts in zip(matrix.labels, matrix.counts, strict=True):
        rows = max(1, sum(counts))
        cells = [element("td", cell or "·", style=f"--share:{cell / rows:.2f}") for cell in counts]
        body.append(element("tr", element("th", breaking(label), scope="row", title=label), *cells))
    kind = f"ds-table {matrix.role} {upright(matrix.labels)}"
    return element("div", element("table", head, *body), kind=kind, tabindex="0")


def table(rows: Sequence[Mapping[str, str]]) -> Html:
    """A plain table of words; the first column names its row."""
    names = list(rows[0]) if rows else []
    head = element("tr", *(element("th", name, scope="col") for name in names))
    body = [
        element(
            "tr",
            element("th", breaking(row[names[0]]), scope="row"),
            *(element("td", breaking(row[name])) for name in names[1:]),
        )
        for row in rows
    ]
    return element("div", element("table", head, *body), kind="ds-table plain", tabindex="0")


# --- a run


def pair(teacher: str, student: str) -> Html:
    """Who teaches whom, in their colours."""
    return element(
        "p", element("b", teacher, kind="teacher"), element("span", "→", aria_label=_("teaches")),
        element("b", student, kind="student"), kind="ds-pair",
    )  # fmt: skip


def words(explained: Mapping[str, str]) -> Html:
    """Words and what they mean, in two columns where there is room."""
    pairs = (element("div", element("dt", word), element("dd", meaning)) for word, meaning in explained.items())
    return element("dl", *pairs, kind="ds-words")


def titled(finding: str, sub: str) -> Html:
    """What stands above a chart: what it says, and what it shows in which unit."""
    return element("div", element("p", finding, kind="ds-lead"), element("p", sub, kind="ds-sub"))


def stages(names: Sequence[tuple[str, str]], begun: Mapping[str, float | None], now: str | None) -> Html:
    """The stages of a run in their order, as (phase, title): done with their time, now, to come."""
    items = []
    for phase, title in names:
        seconds = begun.get(phase)
        kinds = [OWNERS.get(stage(phase), "student")]
        kinds += ["now"] if phase == now else ["done"] if seconds is not None else []
        state = _("now") if phase == now else duration(seconds) if seconds is not None else ""
        current = "step" if phase == now else None
        items.append(element("li", title, element("small", state), kind=" ".join(kinds), aria_current=current))
    return element("ol", *items, kind="ds-stages", aria_label=_("Stages of the run"))


def bar(share: float) -> Html:
    """How much of something is done."""
    done = element("i", style=f"width:{100 * share:.0f}%")
    return element(
        "div", done, kind="ds-bar", role="img", aria_label=_("{percent} % done", percent=f"{100 * share:.0f}")
    )


# --- what a setting does


def softened(temperature: float) -> Html:
    """What a teacher says of three classes, and what it says at this temperature; the logits are an example."""
    logits = (6.0, 3.0, 1.0)
    sides = []
    for kind, by, words in (("pale", 1.0, _("teacher says")), ("", temperature, _("student hears"))):
        powers = [math.exp(logit / by) for logit in logits]
        bars = [element("i", style=f"height:{100 * power / sum(powers):.0f}%") for power in powers]
        sides.append(element("div", element("div", *bars, kind=f"bars {kind}"), element("small", words), kind="group"))
    return element("figure", *sides, kind="ds-knob", role="img",
                   aria_label=_("An answer of the teacher, plain and at a temperature of {temperature}",
                                temperature=f"{temperature:.3g}"))  # fmt: skip


def shared(alpha: float) -> Html:
    """How much the student listens to whom."""
    parts = [("t", alpha), ("l", 1 - alpha)]
    bars = [element("div", kind=kind, style=f"flex:{share:.2f}") for kind, share in parts if share > 0]
    teacher, labels = (f"{100 * share:.0f}{per_cent()}" for share in (alpha, 1 - alpha))
    said = element(
        "div",
        element("span", _("teacher {share}", share=teacher)),
        element("span", _("labels {share}", share=labels)),
        kind="ds-said",
    )
    return element("figure", element("div", *bars, kind="ds-split"), said, role="img", style="margin:0",
                   aria_label=_("The student listens to the teacher by {teacher}, to labels by {labels}",
                                teacher=teacher, labels=labels))  # fmt: skip


def thinner(ratio: float) -> Html:
    """A layer before and after a share of its neurons is gone."""
    sides = []
    for kind, wide, words in (
        ("pale", 1.0, _("before")),
        ("", 1 - ratio, _("{percent} % stay", percent=f"{100 * (1 - ratio):.0f}")),
    ):
        wires = [element("i", style=f"width:{100 * wide:.0f}%") for _ in range(4)]
        sides.append(
            element("div", element("div", *wires, kind=f"wires {kind}"), element("small", words), kind="group")
        )
    return element("figure", *sides, kind="ds-knob", role="img",
                   aria_label=_("A layer of which {percent} % is removed", percent=f"{100 * ratio:.0f}"))  # fmt: skip


def model_card(role: str, over: str, title: str, known: Mapping[str, str], good_for: str) -> Html:
    """One model: what it is, what it takes, what it is good for."""
    return element(
        "div", element("small", over), element("p", title, kind="ds-lead"), element("p", good_for, kind="ds-sub"),
        facts(known), kind=f"ds-model {role}",
    )  # fmt: skip


def facts(known: Mapping[str, str]) -> Html:
    """Names and values, a line each."""
    lines = (joined(element("dt", name), element("dd", value)) for name, value in known.items())
    return element("dl", joined(*lines), kind="ds-facts")


def in_points(difference: float, measure: Measure) -> str:
    """A difference with its sign and unit.

    >>> in_points(-0.042, Measure("accuracy", "Accuracy", ""))
    '−4.2 points'
    """
    written = change(measure.shown(difference), measure.unit)
    return _("{number} points", number=written) if measure.unit == "share" else written
