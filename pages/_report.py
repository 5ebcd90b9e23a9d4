"""The results of a run as one document that needs nothing else: to read, to print, to present.

It opens with the sentence and the picture; then cautions, method, figures, settings, data, how to reproduce. Nothing in
it is loaded from anywhere. `python -m pages._report RUN [--language zh] [--slides]` writes one to standard output.
"""

import argparse
import base64
import functools
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import streamlit

from pages import _pictures as pictures
from pages import _size_and_quality as size_and_quality
from pages._curves import curves
from pages._glossary import words_of_results
from pages._language import _, counted, in_language, reader, retell
from pages._learned import course_of
from pages._markup import Html, element, joined
from pages._run_pictures import setting_of
from pages._scores import ROLES, Scored, comparison_of, headline, milliseconds, on_test, scored, three
from pages._words import (
    OUTCOMES,
    commas,
    count,
    data_name,
    effect_of,
    low_and_high,
    measured,
    method,
    model,
    per_cent,
    run_name,
    sentences,
    size,
    teachers,
)
from studio import tasks
from studio.config.run import RunConfig
from studio.errors import StoreError, StudioError
from studio.events import Comparison, Confusion, Evaluation
from studio.home import Home
from studio.language.escaping import in_terminal
from studio.language.languages import LANGUAGES, SOURCE, TAGS
from studio.store.rows import DatasetRow, RunRow
from studio.store.store import Store
from studio.tasks import Measure

STYLE = (Path(__file__).parents[1] / "assets" / "studio.css").read_text(encoding="utf-8")
OWN_STYLE = (Path(__file__).parents[1] / "assets" / "report.css").read_text(encoding="utf-8")
SLIDES_SCRIPT = (Path(__file__).parents[1] / "assets" / "slides.js").read_text(encoding="utf-8")
MOST_CLASSES, LARGEST_MATRIX, MOST_LABELS = 12, 12, 20
FONTS = {"Source Sans": "SourceSansVF-Upright*.woff2", "Source Serif": "SourceSerifVariable-Roman*.woff2"}
PACKAGES = ("distillation-studio", "torch", "transformers", "tokenizers", "numpy", "scikit-learn", "onnxruntime")


@dataclass(frozen=True)
class Known:
    """All that a report says something about."""

    run: RunRow
    data: DatasetRow
    task: tasks.Task
    evaluations: list[Evaluation]
    models: list[Scored]
    matrices: Mapping[str, Confusion]
    effect: Comparison | None
    training: Comparison | None
    steps: int
    """So many corrections of the student's weights."""

    @property
    def measure(self) -> Measure:
        return self.task.measures[0]


def known(store: Store, run_id: int) -> Known:
    """What the store has of a run. Raises `StoreError` where there is no such run, or it has no results yet."""
    run = store.run(run_id)
    if run.verdict is None:
        raise StoreError(f"Run {run_id} has no results yet; it is {run.status}.", "Wait until it has finished.")
    data = store.dataset_by_id(run.dataset_id)
    task = tasks.get(data.task, data.multi_label)
    evaluations = store.evaluations(run_id)
    pairs = store.comparisons(run_id)
    effect, training = (comparison_of(pairs, second, task.measures[0]) for second in ("control", "untouched"))
    matrices: dict[str, Confusion] = {
        matrix.role: matrix for matrix in store.confusions(run_id) if matrix.split == "test"
    }
    models = scored(evaluations, task.measures[0])
    return Known(run, data, task, evaluations, models, matrices, effect, training, _steps(store.last_steps(run_id)))


def _steps(last: Mapping[str, int]) -> int:
    """Of the student's parts all together, by the last step of each curve.

    >>> _steps({"teach/loss": 50, "distill/loss": 40, "distill/accuracy": 40, "harden/loss": 9, "control/loss": 49})
    49
    """
    ends: dict[str, int] = {}
    for curve, step in last.items():
        phase = curve.partition("/")[0]
        if phase.startswith(("distill", "harden")):
            ends[phase] = max(step, ends.get(phase, 0))
    return sum(ends.values())


def report(store: Store, run_id: int) -> str:
    """The whole document, in the reader's language. Raises `StoreError` as `known` does."""
    all_known = known(store, run_id)
    parts = [
        element("header", _answer(all_known)),
        part(_("What to keep in mind"), _cautions(all_known)),
        part(_("How it was done"), _method(all_known)),
        part(_("Classes"), _classes(all_known)),
        part(
            _("How they learned"),
            curves(store.curve(run_id), all_known.measure, course_of(store, all_known.run)),
        ),
        part(_("All numbers"), _numbers(all_known)),
        part(_("What the words mean"), _words(all_known)),
        part(_("Data"), _data_card(all_known)),
        part(_("Settings"), _settings(all_known.run.config)),
        part(_("How to reproduce it"), _reproduce(all_known)),
        element("footer", _("Distillation Studio · run {run} · {date}", run=run_id, date=_date(all_known.run))),
    ]
    return document(_title(all_known), element("main", *parts, kind="report"))


def slides(store: Store, run_id: int) -> str:
    """The same in a few slides without controls: arrow keys and clicks turn them, F fills the screen."""
    all_known = known(store, run_id)
    run = all_known.run
    shown = [
        _slide(*_headline(all_known)),
        _slide(element("h2", _("What it takes and what it keeps")), pictures.numbers(_three(all_known)),
               element("p", _effect(run), kind="lead")),
        _slide(size_and_quality.sizes(all_known.models, all_known.measure) if all_known.models else ""),
        _slide(element("h2", _lost(all_known)), _classes(all_known, most=8)) if all_known.matrices else Html(""),
        _slide(element("h2", _("What to keep in mind")), _cautions(all_known)) if run.cautions else Html(""),
        _slide(element("h2", _("How it was done")), _method(all_known)),
    ]  # fmt: skip
    script = Html(f"<script>{SLIDES_SCRIPT}</script>")
    return document(_title(all_known), joined(element("main", *shown, kind="slides"), script))


def document(title: str, body: Html) -> str:
    style = Html(f"<style>{_fonts()}\n{STYLE}\n{OWN_STYLE}</style>")
    head = element("head", Html('<meta charset="utf-8">'), element("title", title), style, _MOBILE)
    return f"<!DOCTYPE html>\n{element('html', head, element('body', body), lang=TAGS[reader()])}\n"


@functools.cache
def _fonts() -> str:
    """The fonts of the pages, which come with Streamlit, within the document; without them it takes the reader's."""
    folder = Path(streamlit.__file__).parent / "static" / "static" / "media"
    written = []
    for family, pattern in FONTS.items():
        for file in sorted(folder.glob(pattern))[:1]:
            data = base64.b64encode(file.read_bytes()).decode()
            source = f"url(data:font/woff2;base64,{data}) format('woff2')"
            written.append(f"@font-face {{ font-family: '{family}'; font-weight: 200 900; src: {source}; }}")
    return "\n".join(written)


_MOBILE = Html('<meta name="viewport" content="width=device-width, initial-scale=1">')


def part(title: str, content: Html) -> Html:
    """A part of the document; one that has nothing to say is left out."""
    return element("section", element("h2", title), content) if content else Html("")


def _slide(*content: Html | str) -> Html:
    return element("section", element("div", *content, kind="inside"), kind="slide")


# --- what comes first


def _title(of: Known) -> str:
    return _("Run {run}: {title}", run=of.run.id, title=_head(of))


def _head(of: Known) -> str:
    return headline(of.models, of.measure, of.run.outcome) if of.models else retell(of.run.verdict or "")


def _three(of: Known) -> Sequence[pictures.Number]:
    return three(of.models, of.measure, of.run.outcome)


def _effect(run: RunRow) -> str:
    return effect_of(run.verdict or "")


def _headline(of: Known) -> tuple[Html, ...]:
    """Where it comes from, the badge, the title, what the teacher brought."""
    run = of.run
    outcome = OUTCOMES.get(run.outcome or "no_control", OUTCOMES["no_control"])
    pair = f"{teachers(run.config)} → {model(run.config.student)}"
    where = " · ".join(filter(None, [run_name(run.name), data_name(run.config.dataset), pair, _date(run)]))
    return (
        element("p", where, kind="ds-crumb"),
        pictures.badge(outcome.words, outcome.kind),
        element("h1", _head(of)),
        element("p", _effect(run), kind="lead"),
    )


def _answer(of: Known) -> Html:
    left = element("div", *_headline(of))
    right = size_and_quality.sizes(of.models, of.measure) if of.models else Html("")
    note = element("p", of.run.note, kind="ds-remark") if of.run.note else Html("")
    return joined(element("div", left, right, kind="answer"), pictures.numbers(_three(of)), note)


def _date(run: RunRow) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(run.finished_at or run.created_at))


# --- what it rests on


def _cautions(of: Known) -> Html:
    strips = [pictures.strip("", f"{retell(caution.sentence)} {retell(caution.cure)}") for caution in of.run.cautions]
    step = of.run.next_step
    after = element("p", element("b", _("Next: ")), retell(step.label)) if step is not None else Html("")
    return joined(*strips, after)


def _method(of: Known) -> Html:
    """What was done with which models, in sentences."""
    run, config, found = of.run, of.run.config, on_test(of.evaluations)
    sizes = {role: found[role, "parameters"].value for role in ROLES if (role, "parameters") in found}

    def large(role: str) -> str:
        return _(" ({number} parameters)", number=count(sizes[role])) if role in sizes else ""

    body = [
        _("The teacher is {name}{large}: the model that is to be made small.",
          name=teachers(config), large=large("teacher")),
        _("The student is {name}{large}. It learned from {rows} training rows, in {steps} steps of {batch} rows.",
          name=model(config.student), large=large("student"), rows=f"{of.data.splits.get('train', 0):,}",
          steps=f"{of.steps:,}", batch=config.batch_size),
        _("It learned from the teacher’s answers, which say more than a label does, by {alpha}, and from the labels by "
          "{rest} (method: {method}). The answers were softened by a temperature of {temperature}.",
          alpha=f"{100 * config.alpha:.0f}{per_cent()}", rest=f"{100 * (1 - config.alpha):.0f}{per_cent()}",
          method=method(config), temperature=f"{config.temperature:.3g}"),
    ]  # fmt: skip
    if config.control:
        body.append(
            _("A control was trained, too: the same student on the same rows for as many steps, without the teacher. "
              "What the student is better by is what the teacher brought.")
        )  # fmt: skip
    if any(scored_model.role == "untouched" for scored_model in of.models):
        body.append(
            _("The student was measured as it was before it learned anything, too. What it is better by is what all of "
              "its training brought.")
        )  # fmt: skip
    if of.models:
        rows = max(scored_model.rows for scored_model in of.models)
        body.append(
            counted("All models were measured once, on {shown} test row that none of them had learned from. Choices "
                    "were made on {others} other rows.",
                    "All models were measured once, on {shown} test rows that none of them had learned from. Choices "
                    "were made on {others} other rows.", rows, shown=f"{rows:,}",
                    others=f"{of.data.splits.get('validation', 0):,}")
        )  # fmt: skip
    if config.seeds > 1:
        body.append(counted("It was done {number} time.", "It was done {number} times, with other random numbers "
                            "each.", config.seeds))  # fmt: skip
    assert run.verdict is not None
    return joined(*(element("p", sentence) for sentence in body))


# --- figures


def _lost(of: Known) -> str:
    return pictures.lost_and_kept(pictures.losses(of.matrices["teacher"], of.matrices["student"])) \
        if {"teacher", "student"} <= set(of.matrices) else _("Classes")  # fmt: skip


def _classes(of: Known, most: int = MOST_CLASSES) -> Html:
    if not {"teacher", "student"} <= set(of.matrices):
        return Html("")
    found = pictures.losses(of.matrices["teacher"], of.matrices["student"])
    parts = [
        element("p", _("The share of each class that a model gets right: teacher (orange), student (teal). The largest "
                       "loss first."), kind="ds-sub"),
        pictures.class_changes(found[:most]),
    ]  # fmt: skip
    if len(found) > most:
        parts.append(element("p", _("The {number} classes that lost most, of {all}.", number=most, all=len(found))))
    matrix = of.matrices["student"]
    if most == MOST_CLASSES and len(matrix.labels) <= LARGEST_MATRIX:
        parts = [element("p", _lost(of), kind="lead"), *parts,
                 element("p", _("The student’s answers: each row is a true class, each column what it says."),
                         kind="ds-sub"),
                 pictures.confusion(matrix)]  # fmt: skip
    return joined(*parts)


def _numbers(of: Known) -> Html:
    """Every model by every measure, with its interval, and what it takes."""
    found = on_test(of.evaluations)
    names = {scored_model.role: scored_model.name for scored_model in of.models}
    rows = []
    for measure in of.task.measures:
        values = {name: _with_interval(found.get((role, measure.name)), measure) for role, name in names.items()}
        if any(value != "–" for value in values.values()):
            rows.append({"": _(measure.title)} | values)
    costs = {
        _("Parameters"): ("parameters", count), _("Size on disk"): ("size_bytes", size),
        _("One row at a time, median"): ("latency_ms", milliseconds),
        _("32 rows at a time, median"): ("latency_32_ms", milliseconds),
    }  # fmt: skip
    for title, (metric, written) in costs.items():
        values = {name: written(found[role, metric].value) for role, name in names.items() if (role, metric) in found}
        if values:
            rows.append({"": title} | dict.fromkeys(names.values(), "–") | values)
    if not rows:
        return Html("")
    legend = (
        _("{name}: {words}.", name=scored_model.name, words=_(ROLES[scored_model.role])) for scored_model in of.models
    )
    note = sentences(_("In brackets: 95 % intervals."), *legend)
    return joined(pictures.table(rows), element("p", note, kind="ds-sub"), element("p", _timed(of), kind="ds-sub"))


def _with_interval(evaluation: Evaluation | None, measure: Measure) -> str:
    if evaluation is None:
        return "–"
    if evaluation.low is None or evaluation.high is None:
        return measured(evaluation.value, measure)
    return _("{value} ({low} to {high})", value=measured(evaluation.value, measure),
             **low_and_high(evaluation.low, evaluation.high, measure))  # fmt: skip


def _timed(of: Known) -> str:
    timed = [evaluation for evaluation in of.evaluations if evaluation.metric == "latency_ms" and evaluation.device]
    if not timed:
        return ""
    runtimes = commas(sorted({evaluation.runtime for evaluation in timed}))
    return _("Timed in turn on {device}; {runtimes}.", device=timed[0].device, runtimes=runtimes)


def _words(of: Known) -> Html:
    """The words of the field, each with this run's numbers."""
    others = {key: evaluation.value for key, evaluation in on_test(of.evaluations).items()}
    words = words_of_results(of.models, of.task.measures, others, of.effect, of.training)
    lines = (joined(element("dt", word), element("dd", _plain(meaning))) for word, meaning in words.items())
    return element("dl", *lines, kind="words") if words else Html("")


def _plain(markdown: str) -> str:
    """Text for a page without its markup.

    >>> _plain("a **b** 5\\\\*3")
    'a b 5*3'
    """
    return re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)\*\*", "", markdown))


# --- data, settings, how to do it again


def _data_card(of: Known) -> Html:
    data = of.data
    splits = [("train", _("to train on")), ("validation", _("to choose on")), ("test", _("to measure on")),
              ("unlabelled", _("without labels"))]  # fmt: skip
    facts = {_("Data set"): data.name, _("Task"): _(of.task.title)}
    facts |= {_("Rows {what}", what=what): f"{data.splits[name]:,}" for name, what in splits if name in data.splits}
    facts |= {
        _("Column of {role}", role=_(role)): column for role, column in data.columns.items() if role != "separator"
    }
    facts[_("Fingerprint")] = data.fingerprint
    warnings = [pictures.strip("", retell(str(warning))) for warning in data.report.get("warnings", [])]
    counts = {str(label): int(rows) for label, rows in (data.report.get("classes") or {}).items()}
    shown = dict(list(counts.items())[:MOST_LABELS])
    more = element("p", counted("and {number} more label", "and {number} more labels", len(counts) - MOST_LABELS)) \
        if len(counts) > MOST_LABELS else Html("")  # fmt: skip
    return joined(_facts(facts), pictures.class_counts(shown) if shown else Html(""), more, *warnings)


def _settings(config: RunConfig) -> Html:
    """What was set otherwise than usual, then everything."""
    plain, rows = config.model_dump(mode="json"), []
    for name, field in RunConfig.model_fields.items():
        usual = field.get_default(call_default_factory=True)
        if getattr(config, name) != usual and not field.is_required() and name != "task":
            title = _(field.title or name)
            rows.append(
                {
                    _("Setting"): f"{title} ({name})",
                    _("Value"): setting_of(name, plain[name]),
                    _("Usually"): setting_of(name, usual),
                }
            )
    table = pictures.table(rows) if rows else element("p", _("Everything is as usual."))
    return joined(table, element("p", "run.yaml", kind="ds-sub"), element("pre", config.to_yaml()))


def _reproduce(of: Known) -> Html:
    added = f"python -m studio data add FILE --name {_quoted(of.data.name)}"
    lines = f"{added}   # {_('the same file: the fingerprint is above')}\npython -m studio train --config run.yaml"
    packages = {name: _version(name) for name in PACKAGES}
    told_all = _("The same settings on the same data give the same student, where the versions are the same, too.")
    return joined(element("pre", lines), element("p", told_all), _facts({k: v for k, v in packages.items() if v}))


def _quoted(name: str) -> str:
    return "'" + in_terminal(name).replace("'", "'\"'\"'") + "'"


def _version(package: str) -> str:
    try:
        return version(package)
    except ImportError:  # a checkout is not installed
        return ""


def _facts(facts: Mapping[str, str]) -> Html:
    rows = [element("tr", element("th", name, scope="row"), element("td", value)) for name, value in facts.items()]
    return element("div", element("table", *rows), kind="ds-table plain facts")


def main() -> None:
    """Write the document of a run to standard output; what is wrong to standard error."""
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("run", type=int)
    wanted.add_argument("--language", choices=LANGUAGES, default=SOURCE)
    wanted.add_argument("--slides", action="store_true")
    options = wanted.parse_args()
    store = Store(Home.from_environment().database)
    try:
        with in_language(options.language):
            sys.stdout.buffer.write((slides if options.slides else report)(store, options.run).encode("utf-8"))
    except StudioError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
