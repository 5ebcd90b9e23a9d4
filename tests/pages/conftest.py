"""Pages without a browser: opened, read, on an empty and on a filled store."""

import functools
import html
import re
from concurrent.futures import Executor, Future
from pathlib import Path

import pandas as pd
import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest, app_test

from pages import _asked, _language
from studio import events
from studio.config.reading import parse_config
from studio.data.uploads import Upload
from studio.errors import ModelError, StudioError
from studio.pipeline.answers import Estimate, Sizes
from studio.service import questions
from tests.conftest import TINY

SHELL = str(Path(__file__).parents[2] / "pages" / "_shell.py")


app_test.ScriptCache = functools.cache(app_test.ScriptCache)
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)
"""A server compiles a page once, and looks once whether other packages bring parts for it; so do all tests together."""


def fresh() -> AppTest:
    """A window of its own."""
    return AppTest.from_file(SHELL, default_timeout=120)


@pytest.fixture
def app(home, store) -> AppTest:
    return fresh()


class AtOnce(Executor):
    """Answers before anybody can wait."""

    def submit(self, question, /, *args, **kwargs):
        answer = Future()
        try:
            answer.set_result(question())
        except StudioError as error:
            answer.set_exception(error)
        return answer


@pytest.fixture(autouse=True)
def _blanks_for_gaps(monkeypatch):
    """Tests read a text as one types it, with a blank between a number and its unit."""
    monkeypatch.setattr(_language, "GAP", " ")
    _forget_texts()
    yield
    _forget_texts()


def _forget_texts() -> None:
    _language.held.cache_clear()
    _language.told.cache_clear()


@pytest.fixture(autouse=True)
def answers(monkeypatch) -> None:
    """What the pages ask in the background is answered at once, by nobody who opens a model."""
    asked = _asked.Asked(AtOnce())
    monkeypatch.setattr(_asked, "_asked", lambda: asked)
    monkeypatch.setattr(questions, "estimate", lambda home, store, config: Estimate())
    monkeypatch.setattr(questions, "sizes", lambda home, store, config: Sizes(parameters={}))


def opened(app: AppTest, page: str, **query: str) -> AppTest:
    app.run()
    if page != "home.py":
        app.switch_page(page)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def written(app: AppTest) -> str:
    """The text of all that is drawn as HTML, but for the stylesheet."""
    drawn = (element.proto.body for element in app.get("html"))
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)) for body in drawn if not body.startswith("<style>"))


def words(app: AppTest) -> str:
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "success", "error", "metric")
    return " ".join(
        str(getattr(element, "value", "")) + str(getattr(element, "label", ""))
        for kind in kinds
        for element in getattr(app, kind)
    )


EVALUATIONS = {"accuracy": 0.9, "f1_macro": 0.89, "parameters": 1e6, "size_bytes": 4e6, "latency_ms": 2.5}


@pytest.fixture
def filled(store, saved):
    """One finished run, one that failed, one that waits."""
    config = parse_config({"dataset": "reviews", **TINY})
    run = store.submit(config, key="finished", owner="me")
    said: list[events.Event] = [events.PhaseStarted(phase="distill"), events.Log(message="hello <b>there</b>")]
    said += [
        events.Metrics(phase="distill", step=n, values={"loss": 1 / (n + 1), "accuracy": n / 20}) for n in range(20)
    ]
    said += [events.DeviceUse(seconds=2, values={"cpu_percent": 150.0, "memory_bytes": 5e8})]
    for role in ("teacher", "student", "control"):
        said += [
            events.Evaluation(
                role=role, split="test", metric=metric, value=value, low=value * 0.9, high=value * 1.05, n=100
            )
            for metric, value in EVALUATIONS.items()
        ]
        said += [events.Confusion(role=role, split="test", labels=["bad", "good"], counts=[[40, 10], [5, 45]])]
    said += [events.PhaseFinished(phase="distill", seconds=3, steps=20)]
    said += [events.Verdict(outcome="better", sentence="The student kept 97 % of it.")]
    store.record(run.id, said)
    store.finish(run.id)
    failed = store.submit(config, key="failed", owner="me")
    store.fail(failed.id, broken())
    store.submit(config, key="queued")
    return store


def broken() -> ModelError:
    return ModelError("The model <script>alert(1)</script> is broken.", "Choose another.")


@pytest.fixture
def pairs(home, store):
    """A data set of pairs of sentences with a score."""
    from studio.data.cleaning import clean
    from studio.data.columns import Columns
    from studio.service import library

    columns = Columns("sentence1", "score", pair="sentence2")
    return library.save(store, home, "pairs", clean(scored(), columns, "regression"), columns)


def scored(rows: int = 80) -> Upload:
    """Pairs of sentences and how alike they are, from 0 to 5."""
    cells = [
        (f"the cat {n} sat", f"a cat {n} sat down", str(round(5 * (n * 7 % 80) / 80 + 0.03, 2))) for n in range(rows)
    ]
    return Upload("table", pd.DataFrame(cells, columns=["sentence1", "sentence2", "score"], dtype=object))


SIZES = {"transformer-base": 4_000_000, "transformer-small": 1_000_000, "transformer-tiny": 200_000,
         "fasttext-large": 190_000, "fasttext-small": 16_000, "fasttext-tiny": 4_000}  # fmt: skip
TIMES = {name: 9.0 if name == "transformer-small" else 1.25 for name in SIZES}


@pytest.fixture
def counted(monkeypatch):
    """The built-in models have these sizes and times; counting is another module's test."""
    monkeypatch.setattr(
        "studio.service.questions.sizes", lambda home, store, config: Sizes(parameters=SIZES, milliseconds=TIMES)
    )
