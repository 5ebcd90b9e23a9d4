"""What can be read in the studio, and the catalogs of its other languages: `python -m tests.catalog`.

It writes every text that is not yet in `studio/language/*.po` into it, without a translation, removes what nobody
shows any more, and prints what is left to translate. `python -m tests.catalog FILE` puts translations in before: JSON,
English to translated. `tests/language` holds that nothing is left.

Three kinds of texts are found: those that code hands to `_` and the like; those of registries (settings, losses, steps,
tasks), which pages hand on; and the forms of the sentences that the engine writes, see `studio.language.retold`.
"""

import ast
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from pydantic.fields import FieldInfo

from studio import errors as studio_errors
from studio import tasks
from studio.config import plan, reading
from studio.config.methods import GAINS, LOSSES, MEASURED_ON, METHODS
from studio.config.run import RunConfig
from studio.data import cleaning, dialects, heads, mending, points, signatures, verdicts, zipped
from studio.evaluate import corruptions, written
from studio.executors.registry import EXECUTORS
from studio.language.languages import LANGUAGES, SOURCE
from studio.language.retold import CONTEXT
from studio.pipeline import timetable
from studio.service import answering, library, new_prompts
from studio.tasks import image_files, tokens
from studio.tasks import language as writing

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "studio" / "language"
ONE, TWO = ("_", "N_", "translated"), ("counted",)
"""Functions that are handed a text, and those that are handed its two forms."""
NOT_SHOWN = (
    "studio/cli",
    "studio/language",
    "studio/api",
    "studio/serve",
    "studio/store/migrations.py",
    "studio/config/run.py",
    "pages/_access.py",
)
WHOLE = ("verdict.py", "cautions.py", "next_step.py")
"""Files whose phrases are shown, too: they are put together to sentences."""
WORDS = ("teacher", "student", "control", "smoothed", "baseline", "heads", "neurons", "layers",
         "channels", "neurons or channels", "nothing", "train", "validation", "test")  # fmt: skip
"""Single words that the engine puts into its sentences."""
NOTED = ("run {run}", "search {search}", "data set {id}, {name}", "run {run}: {told}", "name", "note", "tags",
         "run {run} to place {place} of the queue", "run {run} on data set {id}", "answers of run {run}",
         "a file, by the {role} of run {run}", "{number} prompts of {host}",
         "data set {id}, {name} of data set {old}, {before}", "data set {id}, {before} to {name}",
         "row {row} of the {split} rows of data set {id}", "cascade of run {run}", "layers of run {run}",
         "robustness of run {run}", "written of run {run}", "embeddings of run {run}", "run {run} to {address}",
         "token {id}, {name}, {role}, {days} days", "token {id}, {name}",
         "deleted teacher outputs, asked answers or uploads: {what}", "what had its time")  # fmt: skip
"""What the audit log says that a deed is about."""
PIECES = ("{value} %", "{value} points", "{value} point", "{device}, {threads} threads", "{device}, {threads} thread",
          ", {number} labels",
          "Downloading {name} (bytes)", "temperature {temperature}, alpha {alpha}", "view {view} of {views}",
          "{train} train, {validation} validation, {test} test",
          "more cells than the {width} columns",
          "one and the same answer to every row, or guesses ({value})",
          "each token as often as it comes, whatever stands before it ({value})", "Student at first", "Distil",
          heads.ABOVE, heads.AGAIN, heads.SECOND, heads.RULE, heads.AMONG, heads.TOTAL, verdicts.REJECTED,
          verdicts.IGNORED, image_files.NO_IMAGE, points.NO_POINTS, zipped.OTHER_KIND,
          zipped.OUTSIDE,
          cleaning.NO_INPUT, cleaning.NO_LABEL, mending.OTHER_LABELS, mending.REPEATED, mending.FEW, *answering.REASONS,
          *new_prompts.REASONS, "a new prompt shorter than {shortest} letters", "{count} times {reason}",
          "a new prompt longer than {longest} letters", "a new prompt that matches {without}", "none was answered",
          "shorter than {shortest} letters", "longer than {longest} letters", "matches {without}",
          "less likely than {likely} a token, says the teacher",
          *NOTED, writing.NO_ANSWER, writing.UNREADABLE, tokens.UNEQUAL, library.LEAKED)  # fmt: skip
"""What it makes of numbers outside of whole sentences."""
OTHERS = sorted(set(LANGUAGES) - {SOURCE})


class Key(NamedTuple):
    """A text; `many` is its other form where a number decides, `context` is that of the catalog."""

    text: str
    many: str = ""
    context: str | None = None

    @property
    def english(self) -> str:
        return self.many or self.text


# --- what there is


def keys() -> dict[Key, str]:
    """Every text that can be shown, with where it stands."""
    found: dict[Key, str] = {}
    plain = set(registered())
    for file in sorted([*(ROOT / "pages").glob("*.py"), *(ROOT / "studio").rglob("*.py")]):
        name, tree = str(file.relative_to(ROOT)), ast.parse(file.read_text(encoding="utf-8"))
        told = list(handed(tree))
        if is_engine(name):
            told += engine(tree, file.name)
        elif name.startswith("pages/") and name not in NOT_SHOWN:
            told += errors(tree)
        told = [key for key in told if key.context is None or key.text not in plain]
        found |= {key: name for key in told if key not in found}
    found |= {Key(form, context=CONTEXT): "a registry" for form in (*said(), *PIECES)}
    return found | {Key(text): "a registry" for text in plain if text and Key(text) not in found}


def handed(tree: ast.AST) -> Iterator[Key]:
    """The texts that code hands to a function of `ONE` or `TWO`."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        told = [text for text in map(list, map(constants, call.args)) if text]
        if name in ONE and told:
            yield from (Key(text) for text in told[0] if text)
        if name in TWO and len(told) > 1:
            yield Key(told[0][0], told[1][0])


def constants(node: ast.AST) -> Iterator[str]:
    """The texts that an argument can be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from itertools.chain(constants(node.body), constants(node.orelse))


def registered() -> Iterator[str]:
    """The texts of settings, losses, methods, steps, tasks and stages."""
    for name, field in RunConfig.model_fields.items():
        yield from _of_field(name, field)
    for loss in LOSSES.values():
        yield from (loss.title, loss.when)
    for method in METHODS.values():
        yield from (method.title, method.when)
    yield from (MEASURED_ON[modality] for modality in GAINS)
    for kind in plan.KINDS.values():
        yield from (kind.word, kind.help, kind.note)
        for name, field in kind.model_fields.items():
            yield from _of_field(name, field) if field.title else ()
    for recipe in plan.RECIPES.values():
        yield from (recipe.title, recipe.when)
    yield from itertools.chain(reading.PRESETS, reading.PRESET_HELP.values())
    yield from itertools.chain(*timetable.WORDS.values(), (timetable.title(""), timetable.help_of("")))
    yield from (executor.title for executor in EXECUTORS.values())
    yield from (corruption.title for corruption in corruptions.ALL.values())
    yield from (text for measure in written.MEASURES for text in (measure.title, measure.help))
    for task in tasks.TASKS.values():
        yield from _of_task(task)
    yield from (name for _sign, name, *_cure in (*signatures.OTHERS, *signatures.DOCUMENTS))
    yield from (*dialects.DELIMITERS.values(), *cleaning.WORD_COUNTS, *WORDS)


def _of_field(name: str, field: FieldInfo) -> Iterator[str]:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    yield from (field.title or name, field.description or "", str(extra.get("unit", "")), str(extra.get("empty", "")))
    options: Any = extra.get("options", {})
    yield from options.values()
    if get_origin(field.annotation) is Literal and not options:
        yield from get_args(field.annotation)


def _of_task(task: tasks.Task) -> Iterator[str]:
    yield from (task.title, task.when, *task.changes.values())
    for column in task.columns:
        yield from (column.title, column.help)
    several = task.multi_label_targets.measures if task.multi_label_targets else ()
    for measure in (*task.measures, *several):
        yield from (measure.title, measure.help)


# --- forms of the engine's sentences


def said() -> Iterator[str]:
    """What sentences say of a model by its measure."""
    for task in tasks.TASKS.values():
        several = task.multi_label_targets.measures if task.multi_label_targets else ()
        for measure in (*task.measures, *several):
            yield measure.said(0.5).replace(measure.written(0.5), "{value}")


def is_engine(name: str) -> bool:
    return name.startswith("studio/") and not name.startswith(NOT_SHOWN)


def engine(tree: ast.AST, file: str) -> Iterator[Key]:
    """The forms of what an engine's file says: its sentences; of some files the phrases, too."""
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    inside -= {node for node in inside if isinstance(node, ast.JoinedStr)}
    titles = {part for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "title"
              for part in ast.walk(node)} if file == "plan.py" else set()  # fmt: skip
    for node in ast.walk(tree):
        if node in docstrings or node in inside:
            continue
        for text in _written(node):
            form = text.strip()
            is_sentence = form.endswith((".", "!", "?")) and re.search("[a-z]{2}", form)
            if " " in form and (is_sentence or file in WHOLE or node in titles) and not _is_code(form):
                yield Key(form, context=CONTEXT)


def errors(tree: ast.AST) -> Iterator[Key]:
    """The forms of the errors that a page raises."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        if isinstance(call.func, ast.Name) and call.func.id in vars(studio_errors):
            for text in (text for argument in call.args for text in _written(argument)):
                yield Key(text, context=CONTEXT)


def _is_code(form: str) -> bool:
    """SQL, a heading of a card, a line of the server's log, or a form that fixes hardly a word."""
    fixed = re.sub(r"\{\w*\}", "", form)
    return bool(re.search(r"^#|^[A-Z]{5,} |[=<>] \?|%[sr]|%\.\d", form)) or not re.search("[A-Za-z]{2}", fixed)


def _written(node: ast.AST) -> Iterator[str]:
    """What a text can be, its values as named places."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value.replace("{}", "{value}")
    elif isinstance(node, ast.JoinedStr):
        parts = [list(_part(part)) for part in node.values]
        for choice in itertools.product(*parts):
            yield "".join(_named_apart(choice))


def _part(part: ast.expr) -> Iterator[str]:
    """The ways to write a part of a text; two texts of which one is chosen are both written."""
    if isinstance(part, ast.Constant):
        yield str(part.value)
    elif isinstance(part, ast.FormattedValue):
        texts = list(constants(part.value))
        yield from texts if texts else ["{" + _place(part.value) + "}"]


def _place(value: ast.expr) -> str:
    """A name for the place of a value: the last word of the code that makes it."""
    names = [node.attr if isinstance(node, ast.Attribute) else node.id
             for node in ast.walk(value) if isinstance(node, ast.Attribute | ast.Name)]  # fmt: skip
    if isinstance(value, ast.Call) and value.args:
        return _place(value.args[0])
    return (names or ["value"])[0].strip("_").lower() or "value"


def _named_apart(parts: Sequence[str]) -> Iterator[str]:
    """The same parts, where a second place of one name has a number behind it."""
    seen: dict[str, int] = {}
    for part in parts:
        if re.fullmatch(r"\{\w+\}", part):
            seen[part] = seen.get(part, 0) + 1
            yield part if seen[part] == 1 else f"{part[:-1]}_{seen[part]}}}"
        else:
            yield part


# --- catalogs


def read(language: str) -> dict[Key, str]:
    """By text its translation, "" where it has none; of several forms the first (Chinese has no other)."""
    found: dict[Key, str] = {}
    with (FOLDER / f"{language}.po").open("rb") as file:
        for message in read_po(file, locale=language):
            if message.id:
                texts = (message.id, "") if isinstance(message.id, str) else message.id
                told = message.string if isinstance(message.string, str) else message.string[0]
                found[Key(*texts, context=message.context or None)] = told
    return found


def places(text: str) -> set[str]:
    """The names in braces.

    >>> sorted(places("{low} to {high:.1f}")), places("50 % of it")
    (['high', 'low'], set())
    """
    return set(re.findall(r"\{(\w+)(?:[:!][^{}]*)?\}", text))


def write(language: str, told: dict[Key, str]) -> None:
    """The catalog, its texts in the order of the alphabet."""
    new = Catalog(locale=language, fuzzy=False, header_comment="# The texts of the studio; tests/catalog.py keeps it.")
    for key in sorted(told, key=lambda key: (key.context or "", key.english.casefold(), key.english)):
        texts = (key.text, key.many) if key.many else key.text
        new.add(texts, (told[key],) if key.many else told[key], context=key.context)
    file = FOLDER / f"{language}.po"
    with file.open("wb") as there:
        write_po(there, new, width=120)
    noise = r'"(POT-Creation-Date|PO-Revision-Date|Project-Id|Report-Msgid|Last-Trans|Language-Team|Generated-By).*\n'
    file.write_text(re.sub(noise, "", file.read_text(encoding="utf-8")), encoding="utf-8")


def main(arguments: Iterable[str]) -> None:
    brought: dict[str, str] = {}
    for file in arguments:
        brought |= json.loads(Path(file).read_text(encoding="utf-8"))
    for language in OTHERS:
        known, shown = read(language), keys()
        told = {key: brought.get(key.english) or known.get(key, "") for key in shown}
        write(language, told)
        missing = [key for key, text in told.items() if not text]
        for key in missing:
            print(json.dumps(key.english, ensure_ascii=False), shown[key])
        gone = len(set(known) - set(shown))
        print(f"{language}: {len(told)} texts, {len(missing)} without a translation, {gone} removed")


if __name__ == "__main__":
    main(sys.argv[1:])
