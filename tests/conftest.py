"""What the tests share: a home of their own, a small data set, the folder of real data."""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from pathlib import Path

import pandas as pd
import pytest

from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.uploads import Upload
from studio.home import Home
from studio.pipeline.job import Job
from studio.service import library
from studio.store.rows import DatasetRow
from studio.store.store import Store

GOOD = ("lovely", "great", "fine", "superb", "warm")
BAD = ("awful", "dull", "poor", "cold", "broken")


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


@pytest.fixture
def saved(store: Store, home: Home) -> DatasetRow:
    """A data set of short reviews, named reviews."""
    columns = Columns("text", "label")
    return library.save(store, home, "reviews", clean(reviews(), columns, "text-classification"), columns)


TINY = {
    "teacher": "builtin/transformer-small",
    "student": "builtin/transformer-tiny",
    "epochs": 2,
    "teacher_epochs": 2,
    "batch_size": 16,
    "max_length": 16,
}
"""Settings of a run that takes a few seconds."""


@pytest.fixture
def job(home: Home, saved: DatasetRow) -> Job:
    config = parse_config({"dataset": "reviews", **TINY})
    return Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home)


def fake(manner: str, program: str = "worker") -> tuple[str, ...]:
    """The command of a worker, or of the real worker around a trainer, that behaves as `manner` says."""
    return (sys.executable, "-m", f"tests.fake_{program}", manner)


def never() -> bool:
    return False
