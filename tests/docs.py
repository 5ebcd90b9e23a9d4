"""Fills the parts of README.md and docs/ that come from code and data: `make docs`.

Such a part stands between `<!-- generated: NAME -->` and `<!-- end -->`, where NAME is one of `REGIONS`.
`tests/test_docs.py` holds that each of them is up to date.
"""

import ast
import itertools
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from studio import tasks
from studio.config import plan
from studio.config.methods import LOSSES
from studio.config.reading import bounds
from studio.config.run import RunConfig
from studio.tasks import Task
from tests.bench.imports import rows

ROOT = Path(__file__).parents[1]
WIDTH = 120
REGION = re.compile(r"(<!-- generated: ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
KINDS = {"class": "classes", "multi_label": "several labels", "number": "numbers", "token": "tokens"}


def summary(file: Path) -> str:
    """The first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    return re.split(r"(?<=\.)\s|\n\n", text, maxsplit=1)[0].replace("\n", " ")


def packages() -> str:
    """One line a package: where it is, what it is for."""
    there = {"app.py": ROOT / "app.py", "pages/": ROOT / "pages" / "__init__.py"}
    for name in itertools.chain(*rows()[1:]):
        place = name.replace(".", "/")
        file = ROOT / f"{place}.py"
        there |= {f"{place}.py": file} if file.exists() else {f"{place}/": ROOT / place / "__init__.py"}
    told = {place: summary(file) for place, file in there.items()}
    told |= {
        "tests/": "The suite, laid out as the code is; `tests/bench` measures, `tests/mutants` tries the tests.",
        "docs/": "What would be too long here; `docs/imports.md` draws which package imports which.",
        "assets/": "Logo, demo data, pictures.",
    }
    width = max(map(len, told)) + 2
    return "\n".join(["```", *(f"{place:{width}}{text}" for place, text in told.items()), "```"])


def layers() -> str:
    """The rows of the house as a table."""
    named = [", ".join(f"`{name.removeprefix('studio.')}`" for name in row) for row in rows()]
    return table(
        ("row", "packages and modules of `studio`"), [(str(n), names) for n, names in enumerate(named, start=1)]
    )


def libraries() -> str:
    """Every dependency with what it is for: the comment behind it in requirements.txt."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    told = [line.partition("  # ") for line in lines if line and not line.startswith("#")]
    named = [f"**{required.split('==')[0]}** ({reason})" for required, _, reason in told]
    return textwrap.fill(", ".join(named) + ".", WIDTH, break_long_words=False, break_on_hyphens=False)


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown.

    >>> print(table(["a", "b"], [["1", "x|y"]]))
    | a | b |
    | --- | --- |
    | 1 | x\\|y |
    """
    cells = [list(heads), ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in line] for line in lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def losses() -> str:
    heads = ("`terms`", "what", "when", "compares", "usual weight", "from")
    return table(heads, (
        (f"`{name}`", loss.title, loss.when, ", ".join(KINDS[kind] for kind in loss.kinds), f"{loss.weight:g}",
         loss.paper)
        for name, loss in LOSSES.items()
    ))  # fmt: skip


def steps() -> str:
    return table(("step", "what happens", "settings"), (
        (f"`{name}`", f"{kind.word}: {kind.help}. {kind.note}".strip(), _settings(kind))
        for name, kind in plan.KINDS.items()
    ))  # fmt: skip


def _settings(kind: Any) -> str:
    """The settings of a step, the one behind the colon of its short form first."""
    names = [name for name in kind.model_fields if name not in ("do", kind.main)]
    return ", ".join(f"`{name}`" for name in (kind.main, *names))


def choices() -> str:
    """What the settings of the steps can be, in words."""
    named = {"units": plan.UNITS, "importance": plan.IMPORTANCES, "form": plan.FORMS}
    lines = [(f"`{name}`", f"`{value}`", text) for name, words in named.items() for value, text in words.items()]
    return table(("setting", "value", "what it means"), lines)


def recipes() -> str:
    return table(("recipe", "when"), ((recipe.title, recipe.when) for recipe in plan.RECIPES.values()))


def learned() -> str:
    """The tasks."""
    return table(("`task`", "what is learned", "columns", "measures, the first decides", "usual loss"), (
        (f"`{name}`", task.when, _columns(task), _measures(task), " ".join(f"`{term}`" for term in task.terms))
        for name, task in tasks.TASKS.items()
    ))  # fmt: skip


def _columns(task: Task) -> str:
    named = (*task.inputs.columns, task.targets.column)
    there = [column for column in named if column is not None]
    return ", ".join(column.title + ("" if column.required else " (may be left out)") for column in there)


def _measures(task: Task) -> str:
    usual = ", ".join(measure.title for measure in task.measures)
    if task.multi_label_targets is None:
        return usual
    return f"{usual}; with several labels {', '.join(measure.title for measure in task.multi_label_targets.measures)}"


def builtins() -> str:
    """Architectures that can be trained from scratch."""
    named = ((f"`{name}`", ", ".join(f"`{found}`" for found in task.builtins)) for name, task in tasks.TASKS.items())
    return table(("`task`", "`builtin/…`, the largest first"), named)


def changes() -> str:
    found: dict[str, dict[str, None]] = {}
    for task in tasks.TASKS.values():
        for name, text in task.changes.items():
            found.setdefault(name, {})[text] = None
    return table(("`augment`", "what it does"), ((f"`{name}`", "; ".join(texts)) for name, texts in found.items()))


def settings() -> str:
    """Every parameter of a run."""
    heads = ("setting", "range", "default", "what it is")
    return table(heads, (
        (f"`{name}`", _range(name), _written(field), field.description or "")
        for name, field in RunConfig.model_fields.items()
    ))  # fmt: skip


def _range(name: str) -> str:
    field = RunConfig.model_fields[name]
    if field.annotation is bool:
        return "`true`, `false`"
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(field.annotation))
    low, high = bounds(name)
    if low is None or high is None:
        return ""
    above = "above " if any(getattr(rule, "gt", None) is not None for rule in field.metadata) else ""
    return f"{above}{low:,.10g} to {high:,.10g}"


def _written(field: Any) -> str:
    if field.is_required():
        return "needed"
    if field.default in (None, ()):
        return "empty"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


REGIONS: dict[str, Callable[[], str]] = {
    "packages": packages,
    "layers": layers,
    "libraries": libraries,
    "losses": losses,
    "steps": steps,
    "choices": choices,
    "recipes": recipes,
    "tasks": learned,
    "builtins": builtins,
    "changes": changes,
    "settings": settings,
}


def filled(text: str) -> str:
    """The text with its generated parts as they should be; `KeyError` where one is not known."""
    return REGION.sub(lambda found: f"{found[1]}{REGIONS[found[2]]()}\n{found[3]}", text)


def files() -> list[Path]:
    """All that is written for people, with generated parts or without."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def main() -> None:
    for file in files():
        before = file.read_text()
        after = filled(before)
        if after != before:
            file.write_text(after)
            print(f"{file.relative_to(ROOT)} is up to date again.")


if __name__ == "__main__":
    main()
