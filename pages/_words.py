"""How numbers, times and a user's own words are written on the pages."""

import re
import time

from studio.config.methods import LOSSES, METHODS, Term
from studio.config.run import RunConfig
from studio.events import stage

STATUS_ICONS = {
    "queued": ":material/schedule:",
    "running": ":material/progress_activity:",
    "finished": ":material/check_circle:",
    "stopped": ":material/stop_circle:",
    "failed": ":material/error:",
}
STATUS_COLOURS = {"queued": "gray", "running": "blue", "finished": "green", "stopped": "orange", "failed": "red"}
PHASES = {
    "prepare": "Prepare",
    "teach": "Teach",
    "record": "Record",
    "assist": "Step between",
    "tune": "Choose settings",
    "prune": "Prune",
    "sparsify": "Set to zero",
    "factorize": "Low rank",
    "distill": "Distil",
    "harden": "Harden",
    "quantize": "Quantize",
    "control": "Control",
    "evaluate": "Evaluate",
}
"""Phases as a person reads them, in the order in which they happen."""

PHASE_HELP = {
    "prepare": "opening the data and the models",
    "teach": "the teacher learns your labels",
    "record": "the teacher answers every training row once",
    "assist": "a model between teacher and student learns",
    "prune": "the student loses its weakest units",
    "sparsify": "the smallest weights become zero",
    "factorize": "matrices become products of thin ones",
    "quantize": "numbers are written with fewer bits",
    "tune": "short trials with several temperatures and alphas",
    "distill": "the student learns from the teacher",
    "harden": "the student learns the teacher's first choices",
    "control": "the same student learns without the teacher",
    "evaluate": "all models meet the test rows",
}


def escape(text: object) -> str:
    """A user's text, without any meaning to Markdown.

    >>> escape("a*b")
    'a\\\\*b'
    """
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])", r"\\\1", str(text)).replace("\n", " ")


def percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


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
    return f"{duration(time.time() - moment)} ago"


def phase(name: str) -> str:
    """A phase as a person reads it, counted where it comes several times.

    >>> phase("distill"), phase("teach-2")
    ('Distil', 'Teach 2')
    """
    word = PHASES.get(stage(name), "Starting")
    _, dash, number = name.partition("-")
    return f"{word} {number}" if dash else word


def teachers(config: RunConfig) -> str:
    """All teachers of a run.

    >>> names = {"dataset": "d", "teacher": "builtin/cnn-large", "student": "builtin/cnn-tiny"}
    >>> teachers(RunConfig(**names, more_teachers=("run:3/teacher",)))
    'cnn-large and teacher of run 3'
    """
    return " and ".join(model(one) for one in (config.teacher, *config.more_teachers))


def method(config: RunConfig) -> str:
    """The losses of a run, by the name of a method where they have one."""
    for one in METHODS.values():
        if config.terms == tuple(Term.model_validate(term) for term in one.values["terms"]):
            return one.title
    return ", ".join(LOSSES[term.loss].title for term in config.terms)


def model(reference: str) -> str:
    """A model reference as a few words.

    >>> model("teacher/2-layers"), model("folder:/models/minilm-l6"), model("run:3/student")
    ('2 layers of the teacher', 'minilm-l6', 'student of run 3')
    """
    if reference == "teacher/same":
        return "as large as the teacher"
    if reference.startswith("teacher/"):
        layers = reference.removeprefix("teacher/").split("-")[0]
        return f"{layers} layer{'' if layers == '1' else 's'} of the teacher"
    if reference.startswith("run:"):
        number, role = reference.removeprefix("run:").split("/")
        return f"{role} of run {number}"
    return reference.rstrip("/").split("/")[-1].removeprefix("hub:").removeprefix("folder:")
