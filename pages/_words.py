"""How numbers, times and a user's own words are written on the pages."""

import re
import time
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from pathlib import PurePath
from typing import Literal

from pages._language import N_, _, counted, held, reader, retell
from studio.config.methods import LOSSES, METHODS, Term
from studio.config.references import ModelReference
from studio.config.run import RunConfig
from studio.events import stage
from studio.language.escaping import unturned
from studio.language.languages import LOCALES
from studio.pipeline import timetable
from studio.store.rows import DatasetRow, RunRow
from studio.tasks import Measure

SHORT_LABEL, MOST_ACROSS = 4, 75
"""Letters of a class that fit above a column of numbers; so many fit across a table of all classes."""
STATUSES = (N_("queued"), N_("running"), N_("finished"), N_("stopped"), N_("failed"), N_("paused"))
LARGE = {"en": ((1e9, "B"), (1e6, "M"), (1e3, "K")), "zh": ((1e8, "亿"), (1e4, "万"))}
"""By language: the units in which large numbers are written."""
GIVEN_NAMES = {
    r"Search (?P<search>\d+), trial (?P<trial>\d+)": N_("Search {search}, trial {trial}"),
    r"Search (?P<search>\d+), winner": N_("Search {search}, winner"),
    r"Run (?P<run>\d+) on (?P<share>[\d.]+)% of its rows": N_("Run {run} on {share} % of its rows"),
    r"(?P<run>Search \d+, winner(?:, trained longer)*), trained longer": N_("{run}, trained longer"),
}
"""Names that the studio gives runs, as they are stored, and as they are shown."""
GIVEN_DATA = {
    r"Demo: support messages(?P<number>(?: \d+)?)": N_("Demo: support messages{number}"),
    r"Demo: handwritten digits(?P<number>(?: \d+)?)": N_("Demo: handwritten digits{number}"),
    r"(?P<data>.+), corrected(?P<number>(?: \d+)?)": N_("{data}, corrected{number}"),
}
"""The same of data sets."""
ROLES = {
    "teacher": N_("Teacher"), "student": N_("Student"), "control": N_("Without teacher"), "smoothed": N_("Soft labels"),
    "untouched": N_("Before training"), "baseline": N_("Baseline"), "assistant": N_("Assistant"),
    "int8": N_("Student in int8"),
}  # fmt: skip
"""What each model of a run is called where it stands alone."""


@dataclass(frozen=True)
class Outcome:
    """What a verdict is called in a word or two, and how it is coloured."""

    text: str
    kind: Literal["good", "even", "careful", "bad"]

    @property
    def words(self) -> str:
        return _(self.text)


OUTCOMES = {
    "better": Outcome(N_("✓ The teacher helped"), "good"),
    "no_difference": Outcome(N_("≈ No clear benefit from the teacher"), "even"),
    "worse": Outcome(N_("✕ Better without the teacher"), "bad"),
    "not_learned": Outcome(N_("✕ The student did not learn"), "bad"),
    "weak_teacher": Outcome(N_("! The teacher is too weak"), "careful"),
    "no_control": Outcome(N_("? Not compared with a control"), "even"),
}


def status_word(run: RunRow) -> str:
    """The status as a person reads it: a run that was paused is waiting for its user, not stopped. It is one of
    `STATUSES`, in English."""
    return "paused" if run.paused and run.is_over else run.status


def effect_of(verdict: str) -> str:
    """What a verdict says of the teacher, without the numbers that stand beside it.

    >>> effect_of("It has 53.7 %: 87 % kept. It is 2.0 times smaller. The teacher helped (0.3 to 8.0).")
    'The teacher helped (0.3 to 8.0).'
    """
    return retell(re.split(r"It is [^.]*(?:\.\d[^.]*)*\. ", verdict, maxsplit=1)[-1])


def stage_title(phase: str) -> str:
    """A stage of a run, counted where it comes several times.

    >>> stage_title("distill"), stage_title("teach-2")
    ('Distil', 'Train teacher 2')
    """
    number = phase.removeprefix(stage(phase)).removeprefix("-")
    return f"{_(timetable.title(stage(phase)))} {number}".strip()


def stage_help(phase: str) -> str:
    """What happens in a stage."""
    return _(timetable.help_of(phase))


def escape(text: object) -> str:
    """A user's text, without any meaning to Markdown. Addresses get a sign that nobody sees where they would be found
    to be links: backslashes do not keep Streamlit's Markdown from that.

    >>> escape("a*b"), escape("ada@example.org") == "ada@\u2060example\\\\.org"
    ('a\\\\*b', True)
    """
    apart = _ADDRESS.sub("\\g<0>\N{WORD JOINER}", unturned(text))
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])", r"\\\1", apart).replace("\n", " ")


def coded(text: str) -> str:
    """The same of a sentence of the engine, in which what stands between backticks is a command, and looks like one.

    >>> print(coded("Sign in with `hf auth login`."), coded("a `b"))
    Sign in with `hf auth login`\\. a \\`b
    """
    parts = re.split(r"`([^`\n]+)`", text)
    return "".join(f"`{part}`" if number % 2 else escape(part) for number, part in enumerate(parts))


_ADDRESS = re.compile(r"@(?=[-\w])|(?i:https?://)(?=[-.\w])|(?i:www)(?=\.)")
"""Where a mail address, or one of the web, is found to be one."""


def percent(share: float) -> str:
    """A share of 1 in per cent.

    >>> percent(0.537), percent(1.0), percent(0.9998)
    ('53.7\\xa0%', '100\\xa0%', '>\u202f99.9\\xa0%')
    """
    if 0 < share < 0.0005:
        return f"<\N{NARROW NO-BREAK SPACE}{_spaced('0.1 %')}"
    if 0.9995 <= share < 1:
        return f">\N{NARROW NO-BREAK SPACE}{_spaced('99.9 %')}"
    return _spaced(signed(f"{100 * share:.1f} %"))


def about_percent(share: float) -> str:
    """A share of few rows, or of times: no decimal that says nothing.

    >>> about_percent(0.465)
    '46\\xa0%'
    """
    return _spaced(signed(f"{100 * share:.0f} %"))


def _spaced(number: str) -> str:
    """A number with the room before its per cent that the reader's language leaves; nothing and all have no decimal."""
    found = number.removesuffix(" %")
    whole = {"0.0": "0", "100.0": "100"}.get(found, found)
    return _("{number} %", number=whole) if number.endswith(" %") else number


def per_cent() -> str:
    """What stands behind a number in per cent, with the room before it that the reader's language leaves.

    >>> per_cent()
    '\\xa0%'
    """
    return _("{number} %", number="")


def measured(value: float, measure: Measure) -> str:
    """The value of a measure as it is written everywhere.

    >>> measured(0.537, Measure("accuracy", "Accuracy", "")), measured(-0.8129, Measure("r", "R", "", unit="number"))
    ('53.7\\xa0%', '−0.813')
    """
    return _spaced(signed(measure.written(value)))


def low_and_high(low: float, high: float, measure: Measure) -> dict[str, str]:
    """The ends of an interval as they are written, the smaller number first.

    >>> low_and_high(-2.5, -2.0, Measure("perplexity", "Perplexity", "", unit="number", lower=True))
    {'low': '2.000', 'high': '2.500'}
    """
    first, second = (high, low) if measure.lower else (low, high)
    return {"low": measured(first, measure), "high": measured(second, measure)}


def change(difference: float, unit: str) -> str:
    """A difference of two values of a measure, with its sign; that of shares in points.

    >>> change(-0.042, "share"), change(0.0314, "number"), change(-0.0001, "share")
    ('−4.2', '+0.031', '0.0')
    """
    written = f"{100 * difference:+.1f}" if unit == "share" else f"{difference:+.3f}"
    return signed(written if float(written) else written[1:])


def changes(low: float, high: float, measure: Measure) -> dict[str, str]:
    """The ends of the interval of a difference of two values of a measure, the smaller number first.

    >>> changes(0.4, 0.6, Measure("perplexity", "Perplexity", "", unit="number", lower=True))
    {'low': '−0.600', 'high': '−0.400'}
    """
    first, second = sorted((measure.shown(low), measure.shown(high)))
    return {"low": change(first, measure.unit), "high": change(second, measure.unit)}


def signed(number: str) -> str:
    """With a minus sign in place of a hyphen."""
    return number.replace("-", "−")


def count(number: float) -> str:
    """A large number in few characters.

    >>> count(22_713_986), count(5_442), count(722_436)
    ('22.7\\xa0M', '5.4\\xa0K', '722\\xa0K')
    """
    for size, unit in LARGE[reader()]:
        if number >= size:
            return held(f"{_few_digits(number / size)} {unit}")
    return f"{number:.0f}"


def _few_digits(number: float) -> str:
    """One decimal where it says something.

    >>> _few_digits(773.04), _few_digits(3.72), _few_digits(4.0)
    ('773', '3.7', '4')
    """
    return f"{number:.0f}" if number >= 100 or number == round(number) else f"{number:.1f}"


def letters(text: str) -> int:
    """How wide a text is in letters; a Chinese character is as wide as two.

    >>> letters("student"), letters("学生")
    (7, 4)
    """
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def upright(labels: Sequence[str]) -> str:
    """Where the names of a table's columns are written upwards, as a class of its style: nowhere, on a phone,
    everywhere.

    >>> upright(["0", "1"]), upright(["refund", "other"]), upright(["refund"] * 10)
    ('', 'long', 'long tall')
    """
    wide = [letters(label) for label in labels]
    if max(wide, default=0) <= SHORT_LABEL:
        return ""
    return "long tall" if max(wide) + sum(wide) + 2 * len(wide) > MOST_ACROSS else "long"


def size(number: float) -> str:
    """Bytes in few characters.

    >>> size(773_040_000), size(3_720_000), size(72_400)
    ('773\\xa0MB', '3.7\\xa0MB', '72\\xa0kB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return held(f"{number:.0f} {unit}" if unit in ("B", "kB") else f"{_few_digits(number)} {unit}")
        number /= 1000
    return held(f"{_few_digits(number)} TB")


def about_size(number: float) -> str:
    """Bytes that are not known exactly, in two digits.

    >>> about_size(15_376_544), about_size(2_889_744)
    ('15\\xa0MB', '2.9\\xa0MB')
    """
    return size(float(f"{number:.1e}"))


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> [duration(seconds).replace("\N{NO-BREAK SPACE}", " ") for seconds in (8, 95, 7300)]
    ['8 s', '1 min 35 s', '2 h 1 min']
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return _("{seconds} s", seconds=whole)
    if whole < 3600:
        return _("{minutes} min {seconds} s", minutes=whole // 60, seconds=whole % 60)
    return _("{hours} h {minutes} min", hours=whole // 3600, minutes=whole % 3600 // 60)


def about(seconds: float) -> str:
    """A time that is not known to the second, no finer than it can be told.

    >>> [about(seconds).replace("\N{NO-BREAK SPACE}", " ") for seconds in (4, 43, 464, 5_880, 90_000)]
    ['about 5 s', 'about 45 s', 'about 8 min', 'about 1 h 40 min', 'about 25 h']
    """
    fine = 5 if seconds < 100 else 60 if seconds < 3570 else 600 if seconds < 36_000 else 3600
    whole = max(fine, fine * round(seconds / fine))
    if fine == 5:
        return _("about {seconds} s", seconds=whole)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if not hours:
        return _("about {minutes} min", minutes=minutes)
    text = _("about {hours} h {minutes} min", hours=hours, minutes=minutes)
    return text if minutes else _("about {hours} h", hours=hours)


def ago(moment: float) -> str:
    """How long it is since then, no finer than a person would say it.

    >>> [ago(time.time() - seconds).replace("\N{NO-BREAK SPACE}", " ") for seconds in (5, 640, 3 * 3600, 90_000)]
    ['just now', '10 min ago', '3 h ago', '1 day ago']
    """
    minutes = int(max(0.0, time.time() - moment) // 60)
    if minutes >= 1440:
        return counted("{number} day ago", "{number} days ago", minutes // 1440)
    if minutes >= 60:
        return _("{hours} h ago", hours=minutes // 60)
    return _("{minutes} min ago", minutes=minutes) if minutes else _("just now")


def day(seconds: float) -> str:
    """The date of a moment.

    >>> day(time.mktime((2027, 3, 1, 14, 5, 9, 0, 0, -1)))
    '1 March 2027'
    """
    from babel.dates import format_date

    return format_date(date.fromtimestamp(seconds), "long", locale=LOCALES[reader()])


def moment(seconds: float) -> str:
    """A day and a time of day, such as 2027-03-01 14:05:09."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def made(row: RunRow | DatasetRow) -> str:
    """How long ago it was made, and by whom where somebody had signed in."""
    when = ago(row.created_at)
    return _("{when}, by {who}", when=when, who=escape(row.made_by)) if row.made_by else when


def listed(parts: Sequence[str]) -> str:
    """Several things in a sentence.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *others, last = parts or [""]
    return _("{others} and {last}", others=commas(others), last=last) if others else last


def commas(parts: Iterable[object]) -> str:
    """Things beside each other, with the comma of the reader's language.

    >>> commas(["a", 2])
    'a, 2'
    """
    return _(", ").join(map(str, parts))


def sentences(*texts: str) -> str:
    """Sentences one after another, with the room between them that the reader's language leaves; empty ones are left
    out.

    >>> sentences("Higher is better.", "", "So it goes.")
    'Higher is better. So it goes.'
    """
    first, *others = [text for text in texts if text] or [""]
    return reduce(lambda before, after: _("{first} {second}", first=before, second=after), others, first)


def run_name(name: str) -> str:
    """The name of a run; one that the studio gave it in the reader's language.

    >>> run_name("Search 3, winner, trained longer"), run_name("the best one")
    ('Search 3, winner, trained longer', 'the best one')
    """
    return _given(name, GIVEN_NAMES)


def data_name(name: str) -> str:
    """The name of a data set; one that the studio gave it in the reader's language.

    >>> data_name("Demo: support messages 2, corrected"), data_name("my reviews")
    ('Demo: support messages 2, corrected', 'my reviews')
    """
    return _given(name, GIVEN_DATA)


def _given(name: str, forms: Mapping[str, str]) -> str:
    for form, words in forms.items():
        found = re.fullmatch(form, name)
        if found is not None:
            return _(words, **{place: _given(value, forms) for place, value in found.groupdict().items()})
    return name


def role(name: str) -> str:
    """What a model of a run is called.

    >>> role("teacher"), role("control")
    ('Teacher', 'Without teacher')
    """
    return _(ROLES.get(name, name))


def split_rows(splits: Mapping[str, int]) -> str:
    """How many rows each part of a data set has.

    >>> split_rows({"train": 9000, "test": 100})
    '9,000 train, 100 test'
    """
    words = {"train": N_("{number} train"), "validation": N_("{number} validation"), "test": N_("{number} test")}
    return commas(_(words.get(split, split), number=f"{number:,}") for split, number in splits.items())


def teachers(config: RunConfig) -> str:
    """All teachers of a run.

    >>> names = {"dataset": "d", "teacher": "builtin/cnn-large", "student": "builtin/cnn-tiny"}
    >>> teachers(RunConfig(**names, more_teachers=("run:3/teacher",)))
    'cnn-large and teacher of run 3'
    >>> teachers(RunConfig(**names, teacher_precision="4bit"))
    'cnn-large in 4bit'
    """
    named = listed([model(reference) for reference in (config.teacher, *config.more_teachers)])
    if config.teacher_precision == "float32":
        return named
    return _("{models} in {precision}", models=named, precision=_(config.teacher_precision))


def method(config: RunConfig) -> str:
    """The losses of a run, by the name of a method where they have one."""
    named = method_of(config)
    return _(METHODS[named].title) if named else commas(_(LOSSES[term.loss].title) for term in config.terms)


def method_of(config: RunConfig) -> str | None:
    """Under which name of `METHODS` the losses of a run are known."""
    same = (
        name
        for name, known in METHODS.items()
        if config.terms == tuple(Term.model_validate(term) for term in known.values["terms"])
    )
    return next(same, None)


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
        return _("same as the teacher")
    if found.layers is not None:
        return counted("{number} layer of the teacher", "{number} layers of the teacher", found.layers)
    if found.run is not None:
        return _("{model} of run {run}", model=_(str(found.role)), run=found.run)
    return PurePath(found.name).name or found.name
