"""The command line as other programs use it: real processes, exit statuses, JSON on standard output alone."""

import json
import subprocess
import sys
import zipfile

import pytest
import yaml
from transformers import AutoModelForSequenceClassification

from tests.conftest import TINY, reviews


@pytest.fixture
def studio(home, tmp_path):
    def call(*words, status=0):
        done = subprocess.run(
            [sys.executable, "-m", "studio", *map(str, words)], capture_output=True, text=True, check=False, timeout=200
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return call


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "reviews.csv"
    reviews().table.to_csv(path, index=False)
    return path


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"dataset": "mine", **TINY}))
    return path


def test_data_is_added_a_run_is_trained_shown_and_exported(studio, table, settings, tmp_path):
    added = json.loads(studio("data", "add", table, "--name", "mine", "--json").stdout)
    assert added["id"] == 1
    assert json.loads(studio("data", "list", "--json").stdout)[0]["name"] == "mine"
    trained = json.loads(studio("train", "--config", settings, "--set", "epochs=1", "--json").stdout)
    assert trained == {"run": 1, "status": "finished"}
    shown = json.loads(studio("show", 1, "--json").stdout)
    assert {"id", "status", "config", "phases", "evaluations", "verdict"} <= set(shown)
    assert shown["config"]["epochs"] == 1
    assert {one["role"] for one in shown["evaluations"]} == {"teacher", "student", "control"}
    assert "1" in studio("runs").stdout
    exported = tmp_path / "out.zip"
    studio("export", 1, "--to", exported)
    with zipfile.ZipFile(exported) as archive:
        archive.extractall(tmp_path / "opened")
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "opened", use_safetensors=True)
    assert "overwritten" in studio("export", 1, "--to", exported, status=1).stderr


def test_columns_without_a_header_are_numbers(studio, tmp_path):
    path = tmp_path / "rows.tsv"
    reviews().table.to_csv(path, index=False, header=False, sep="\t")
    words = ("data", "add", path, "--name", "mine", "--no-header", "--input", "0", "--label", "1", "--json")
    assert json.loads(studio(*words).stdout)["id"] == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "77"), "no run 77"),
        (("export", "77"), "no run 77"),
        (("data", "add", "/nowhere.csv", "--name", "x"), "no file /nowhere.csv"),
        (("train", "--config", "/nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_what_is_wrong_is_told_in_words_with_exit_status_1(studio, words, told):
    assert told in studio(*words, status=1).stderr.replace("\n", " ")


def test_a_wrong_setting_is_named_and_no_run_is_made(studio, table, settings):
    studio("data", "add", table, "--name", "mine")
    done = studio("train", "--config", settings, "--set", "alpha=1.4", status=1)
    assert "alpha must be between 0 and 1, got 1.4" in done.stderr
    assert json.loads(studio("runs", "--json").stdout) == []


def test_a_run_that_fails_ends_with_status_1_and_says_so_in_json(studio, table, settings):
    studio("data", "add", table, "--name", "mine")
    done = studio("train", "--config", settings, "--set", "teacher=folder:/nowhere", "--json", status=1)
    assert json.loads(done.stdout) == {"run": 1, "status": "failed"}
    assert "no folder /nowhere" in done.stderr
