"""How numbers, times and a user's own words are written on the pages."""

import re
import time
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from studio.config.methods import LOSSES, METHODS, Term
from studio.config.references import ModelReference
from studio.config.run import RunConfig
from studio.store.rows import DatasetRow, RunRow
from studio.tasks import Measure

STATUS_ICONS = {
    "queued": ":material/schedule:",
    "running": ":material/progress_activity:",
    "finished": ":material/check_circle:",
    "stopped": ":material/stop_circle:",
    "failed": ":material/error:",
}
STATUS_COLOURS = {"queued": "gray", "running": "blue", "finished": "green", "stopped": "orange", "failed": "red"}


@dataclass(frozen=True)
class Outcome:
    """What a verdict is called in a word or two, and how it is coloured."""

    words: str
    kind: Literal["good", "even", "careful", "bad"]


OUTCOMES = {
    "better": Outcome("✓ The teacher helped", "good"),
    "no_difference": Outcome("≈ No clear benefit from the teacher", "even"),
    "worse": Outcome("✕ Better without the teacher", "bad"),
    "not_learned": Outcome("✕ The student did not learn", "bad"),
    "weak_teacher": Outcome("! The teacher is too weak", "careful"),
    "no_control": Outcome("? Not compared with a control", "even"),
}

PAUSED_ICON, PAUSED_COLOUR = ":material/pause_circle:", "orange"


def status_word(run: RunRow) -> str:
    """The status as a person reads it: a run that was paused is waiting for its user, not stopped."""
    return "paused" if run.paused and run.is_over else run.status


def effect_of(verdict: str) -> str:
    """What a verdict says of the teacher, without the numbers that stand beside it.

    >>> effect_of("It has 53.7 %: 87 % kept. It is 2.0 times smaller. The teacher helped (0.3 to 8.0).")
    'The teacher helped (0.3 to 8.0).'
    """
    told = re.split(r"It is [^.]*(?:\.\d[^.]*)*\. ", verdict, maxsplit=1)
    return told[-1]


def badge(run: RunRow) -> str:
    word = status_word(run)
    icon, colour = STATUS_ICONS.get(word, PAUSED_ICON), STATUS_COLOURS.get(word, PAUSED_COLOUR)
    return f":{colour}-badge[{icon} {word}]"


def escape(text: object) -> str:
    """A user's text, without any meaning to Markdown.

    >>> escape("a*b")
    'a\\\\*b'
    """
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])", r"\\\1", str(text)).replace("\n", " ")


def percent(share: float) -> str:
    """A share of 1 in per cent.

    >>> percent(0.537)
    '53.7 %'
    """
    return signed(f"{100 * share:.1f} %")


def measured(value: float, measure: Measure) -> str:
    """The value of a measure as it is written everywhere.

    >>> measured(0.537, Measure("accuracy", "Accuracy", "")), measured(-0.8129, Measure("r", "R", "", unit="number"))
    ('53.7 %', '−0.813')
    """
    return signed(measure.written(value))


def change(difference: float, unit: str) -> str:
    """A difference of two values of a measure, with its sign; that of shares in points.

    >>> change(-0.042, "share"), change(0.0314, "number")
    ('−4.2', '+0.031')
    """
    return signed(f"{100 * difference:+.1f}" if unit == "share" else f"{difference:+.3f}")


def signed(number: str) -> str:
    """With a minus sign in place of a hyphen."""
    return number.replace("-", "−")


def count(number: float) -> str:
    """A large number in a few characters.

    >>> count(22_713_986), count(5_442)
    ('22.7 M', '5.4 K')
    """
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number:.0f}"


def size(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit in ("B", "kB") else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(8), duration(95), duration(7300)
    ('8 s', '1 min 35 s', '2 h 1 min')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def ago(moment: float) -> str:
    """How long it is since then, no finer than a person would say it.

    >>> ago(time.time() - 5), ago(time.time() - 640), ago(time.time() - 3 * 3600), ago(time.time() - 90_000)
    ('just now', '10 min ago', '3 h ago', '1 day ago')
    """
    seconds = max(0.0, time.time() - moment)
    for least, unit, word in ((86_400, 86_400, "day"), (3_600, 3_600, "h"), (60, 60, "min")):
        if seconds >= least:
            number = int(seconds // unit)
            return f"{number} {word}{'s' if word == 'day' and number > 1 else ''} ago"
    return "just now"


def moment(seconds: float) -> str:
    """A day and a time of day, such as 2027-03-01 14:05:09."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def made(row: RunRow | DatasetRow) -> str:
    """How long ago it was made, and by whom where somebody had signed in."""
    return ago(row.created_at) + (f", by {escape(row.made_by)}" if row.made_by else "")


def teachers(config: RunConfig) -> str:
    """All teachers of a run.

    >>> names = {"dataset": "d", "teacher": "builtin/cnn-large", "student": "builtin/cnn-tiny"}
    >>> teachers(RunConfig(**names, more_teachers=("run:3/teacher",)))
    'cnn-large and teacher of run 3'
    """
    return " and ".join(model(reference) for reference in (config.teacher, *config.more_teachers))


def method(config: RunConfig) -> str:
    """The losses of a run, by the name of a method where they have one."""
    for known in METHODS.values():
        if config.terms == tuple(Term.model_validate(term) for term in known.values["terms"]):
            return known.title
    return ", ".join(LOSSES[term.loss].title for term in config.terms)


def parsed(reference: str | None) -> ModelReference | None:
    """A model reference by its parts; None where there is none yet, or it is none."""
    return ModelReference.find(reference)


def model(reference: str) -> str:
    """A model reference as a few words.

    >>> model("teacher/2-layers"), model("folder:/models/minilm-l6"), model("run:3/student")
    ('2 layers of the teacher', 'minilm-l6', 'student of run 3')
    """
    found = parsed(reference)
    if found is None:
        return reference
    if found.is_same:
        return "same as the teacher"
    if found.layers is not None:
        return f"{found.layers} layer{'' if found.layers == 1 else 's'} of the teacher"
    if found.run is not None:
        return f"{found.role} of run {found.run}"
    return PurePath(found.name).name or found.name
