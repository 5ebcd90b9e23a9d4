"""What the tests share: a home of their own, a small data set, the folder of real data."""

import asyncio
import compileall
import functools
import gc
import importlib
import io
import logging
import os
import shutil
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from studio import events, tasks
from studio.config.reading import parse_config
from studio.data import apart, uploads
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.uploads import Upload
from studio.events import Event
from studio.home import Home
from studio.pipeline.job import Job
from studio.service import library, questions
from studio.store.rows import DatasetRow
from studio.store.store import Store

ONE_WORKER = ("tests/e2e/", "tests/mutants/")
"""Files whose tests share a browser or take all cores."""

logging.getLogger("torch.__trace").propagate = False
"""What torch notes of every graph it traces is put together only where somebody listens, as pytest does."""

GOOD = ("lovely", "great", "fine", "superb", "warm")
BAD = ("awful", "dull", "poor", "cold", "broken")


class FilesThatShare(LoadScopeScheduling):
    """The tests of a file stay with one worker where they share what takes long to make, and is made once then. All
    others go one by one to the worker that is free: none is idle at the end."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file.startswith(ONE_WORKER) or _shares(file) else nodeid


@functools.cache
def _shares(file: str) -> bool:
    return 'scope="module"' in (Path(__file__).parents[1] / file).read_text()


@pytest.hookimpl(optionalhook=True)  # tests/mutants runs the suite without xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesThatShare:
    """By name and not by mark: with pytest 9.2 the groups of xdist 3.8 have no effect."""
    return FilesThatShare(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Workers, and all that they start, find the studio compiled, and keep what they compile, whatever the machine
    says. Not without xdist: the faults of tests/mutants come and go within a second, which bytecode would not see."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for package in ("studio", "pages"):
        compileall.compile_dir(Path(__file__).parents[1] / package, quiet=2)


def pytest_collection_finish() -> None:
    """What the libraries are made of stays: Streamlit, which collects after each run of a page, need not look at it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _few_passes_on_the_clock() -> None:
    """Every run ends by timing its models, which takes as long as all the rest of a tiny run."""
    latency = sys.modules.get("studio.evaluate.latency")
    if latency is not None:
        latency.PASSES, latency.FEWEST_PASSES = 2, 1


@pytest.fixture(autouse=True)
def _uploads_read_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not the reader's process that is tested, no time is lost on starting one."""
    if "apart" not in request.path.stem:
        monkeypatch.setattr(apart, "read", uploads.read)


@pytest.fixture(autouse=True)
def _nothing_is_warmed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is only looked at starts no process."""
    monkeypatch.setattr(questions, "warm_up", lambda: None)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    return Home.from_environment()


@pytest.fixture
def store(home: Home) -> Store:
    return Store(home.database)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets and models; tests that need it are skipped where there is none."""
    folder = os.environ.get("STUDIO_TEST_DATA")
    if not folder:
        pytest.skip("STUDIO_TEST_DATA is not set: it names a folder of real data")
    return Path(folder)


def reviews(rows: int = 120, unlabelled: int = 0) -> Upload:
    """Short reviews that a tiny model can tell apart; the last ones without a label."""
    texts, labels = [], []
    for number in range(rows):
        words = GOOD if number % 2 else BAD
        texts.append(f"the {words[number % 5]} thing number {number} was {words[(number // 5) % 5]}")
        labels.append("" if number >= rows - unlabelled else ("good" if number % 2 else "bad"))
    return Upload("table", pd.DataFrame({"text": texts, "label": labels}, dtype=object))


def copied(kept: DatasetRow, there: Home, store: Store, home: Home) -> DatasetRow:
    """A data set that was saved elsewhere, once for all tests: to copy it takes a tenth of the time."""
    names = ("name", "task", "labels", "splits", "fingerprint", "columns", "report")
    row = store.add_dataset(**{name: getattr(kept, name) for name in names})
    if not home.dataset(row.id).exists():
        shutil.copytree(there.dataset(kept.id), home.dataset(row.id))
        store.dataset_ready(row.id)
    return row


@pytest.fixture(scope="session")
def _reviews(tmp_path_factory: pytest.TempPathFactory) -> tuple[DatasetRow, Home]:
    home, columns = Home(tmp_path_factory.mktemp("reviews") / "home"), Columns("text", "label")
    rows = clean(reviews(), columns, "text-classification")
    return library.save(Store(home.database), home, "reviews", rows, columns), home


@pytest.fixture
def saved(_reviews: tuple[DatasetRow, Home], store: Store, home: Home) -> DatasetRow:
    """A data set of short reviews, named reviews."""
    return copied(*_reviews, store, home)


@functools.cache
def digits(rows: int = 300) -> Upload:
    """Small images of handwritten digits, in splits; every third one to train on has no label."""
    from sklearn.datasets import load_digits

    known = load_digits()
    images, labels, splits = [], [], []
    for number in range(rows):
        file = io.BytesIO()
        Image.fromarray((known.images[number] * 15).astype("uint8")).save(file, "PNG")
        images.append(file.getvalue())
        splits.append(("validation", "test", "train", "train", "train")[number % 5])
        labels.append("" if splits[-1] == "train" and number % 3 == 0 else str(known.target[number]))
    return Upload("images", pd.DataFrame({"image": images, "label": labels, "split": splits}, dtype=object))


@pytest.fixture(scope="session")
def _digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[DatasetRow, Home]:
    home, columns = Home(tmp_path_factory.mktemp("digits") / "home"), Columns("image", "label", "split")
    rows = clean(digits(), columns, "image-classification")
    return library.save(Store(home.database), home, "digits", rows, columns), home


@pytest.fixture
def saved_digits(_digits: tuple[DatasetRow, Home], store: Store, home: Home) -> DatasetRow:
    """A data set of small images, named digits."""
    return copied(*_digits, store, home)


TINY = {
    "teacher": "builtin/transformer-small",
    "student": "builtin/transformer-tiny",
    "epochs": 2,
    "teacher_epochs": 2,
    "batch_size": 16,
    "max_length": 16,
    "allow_weak_teacher": True,
    "smoothed_control": "never",
    "onnx_times": False,
}
"""Settings of a run that takes a few seconds; what its teacher has learned by then does not matter."""


@pytest.fixture
def job(home: Home, saved: DatasetRow) -> Job:
    config = parse_config({"dataset": "reviews", **TINY})
    return Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home)


def here(job: Job, stop: Callable[[], bool]) -> Iterator[Event]:
    """Carries out a job in this process, where it is not the worker that is tested: to open its libraries takes a
    worker longer than a tiny run."""
    from studio.pipeline.distill import distill

    return distill(job)


@pytest.fixture
def untested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs end without a test, where it is what models learned that is looked at."""
    from studio.pipeline import final_evaluation

    monkeypatch.setattr(final_evaluation, "evaluate", lambda *_: iter(()))


@pytest.fixture
def answered_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page asks a process of its own is answered in this one, where it is the answer that is tested."""

    def ask(program: str, kind: object, job: Job, seconds: float, cure: str) -> object:
        module = importlib.import_module(f"studio.pipeline.{program}")
        work = {"estimate": "measure", "preview": "preview", "convert": "convert"}[program]
        return getattr(module, work)(job)

    monkeypatch.setattr(questions, "_ask", ask)


@pytest.fixture
def spoken(store):
    """Three runs of language models; the first one needs the fewest bits."""
    bits = tasks.get("language-model").measures[0].name
    row = store.add_dataset(name="tales", task="language-model", labels=[], splits={"train": 80, "test": 20},
                            fingerprint="f", columns={}, report={"rows": 100})  # fmt: skip
    store.dataset_ready(row.id)
    for number, needed in enumerate((2.0, 2.5, 3.5)):
        config = parse_config({"dataset": "tales", "teacher": "builtin/gpt-small", "student": "builtin/gpt-tiny",
                               "alpha": 0.1 * (number + 1)})  # fmt: skip
        run = store.submit(config, key=str(needed), owner="me")
        said: list[events.Event] = [events.PhaseStarted(phase="distill")]
        said += [events.Metrics(phase="distill", step=step, values={bits: -needed - 0.1 * (3 - step)})
                 for step in range(4)]  # fmt: skip
        said += [events.StageResult(title=title, metric=bits, value=-value, n=9, low=-value - 0.1,
                                    high=-value + 0.2, parameters=9, size_bytes=9, latency_ms=1)
                 for title, value in (("Teacher", 1.5), ("Distilled", needed), ("Int8", needed + 0.4))]  # fmt: skip
        said += [events.Evaluation(role=role, split="test", metric=bits, value=-value, low=-value - 0.1,
                                   high=-value + 0.2, n=100)
                 for role, value in (("teacher", 1.5), ("student", needed), ("control", 4.0))]  # fmt: skip
        said += [events.Evaluation(role="student", split="", metric="size_bytes", value=1e6 * (3 - number))]
        store.record(run.id, [*said, events.Verdict(outcome="better", sentence="So it is.")])
        store.finish(run.id)
    return store


def fake(manner: str, program: str = "worker") -> tuple[str, ...]:
    """The command of a worker, or of the real worker around a trainer, that behaves as `manner` says."""
    return (sys.executable, "-m", f"tests.fake_{program}", manner)


def in_a_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns; in a thread of its own, for a browser's loop may run in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def never() -> bool:
    return False
