"""The command line as other programs use it: real processes, exit statuses, JSON on standard output alone."""

import json
import signal
import subprocess
import sys
import time
import zipfile

import pytest
import yaml
from transformers import AutoModelForSequenceClassification

from studio import cli
from studio.config.reading import parse_config
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


def test_rows_without_labels_and_cells_with_several_are_added(studio, tmp_path):
    path, more = tmp_path / "rows.csv", tmp_path / "more.csv"
    path.write_text("text,label\n" + "".join(f"row {n},{('a', 'b', 'a|b')[n % 3]}\n" for n in range(40)))
    more.write_text("text\n" + "".join(f"other {n}\n" for n in range(15)))
    words = ("data", "add", path, "--name", "mine", "--separator", "|", "--unlabelled", more, "--json")
    added = json.loads(studio(*words).stdout)
    assert added["report"]["unlabelled"] == 15
    assert set(added["report"]["classes"]) == {"a", "b"}


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


def test_a_configuration_that_is_no_text_is_refused(studio, tmp_path):
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfe\x00\x80")
    assert "not a text file in UTF-8" in studio("train", "--config", tmp_path / "run.yaml", status=1).stderr


@pytest.mark.parametrize("run", ["0", "99999999999999999999999", "first"])
def test_what_is_no_number_of_a_run_is_a_wrong_use(studio, run):
    assert "RUN" in studio("show", run, status=2).stderr


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_is_stopped_and_keeps_its_student(studio, store, home, saved, tmp_path, sign):
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump({"dataset": "reviews", **TINY, "epochs": 200}))
    words = [sys.executable, "-m", "studio", "train", "--config", str(config), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as training:
        wait_until(lambda: any(point.phase == "distill" for point in store.curve(1)), training)
        training.send_signal(sign)
        out, err = training.communicate(timeout=30)
    assert training.returncode == 1
    assert json.loads(out) == {"run": 1, "status": "stopped"}
    assert "Its student so far is kept" in err
    assert "Traceback" not in err
    studio("export", 1, "--to", tmp_path / "student.zip")


def wait_until(done, training, seconds=90):
    deadline = time.monotonic() + seconds
    while not done():
        assert training.poll() is None, training.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_run_whose_process_was_killed_does_not_claim_to_be_running(studio, store, saved):
    dead = "import os; from studio.service.runtime import new_owner; print(new_owner())"
    owner = subprocess.run([sys.executable, "-c", dead], capture_output=True, text=True, check=True).stdout.strip()
    store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner=owner)
    shown = json.loads(studio("show", 1, "--json").stdout)
    assert shown["status"] == "queued"


def test_an_error_nobody_thought_of_is_one_sentence_and_its_details_are_kept(home, monkeypatch, capsys):
    def broken():
        raise RuntimeError("[red]the moon is full")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    told = capsys.readouterr().err
    assert "Something unexpected happened: RuntimeError: [red]the moon is full." in told
    assert "Traceback" not in told
    assert "Traceback" in (home.root / "cli.log").read_text()


def test_a_label_can_neither_steer_the_terminal_nor_colour_it(studio, tmp_path):
    path = tmp_path / "rows.csv"
    reviews(12).table.replace({"label": {"good": "\x1b[2J[red]good"}}).to_csv(path, index=False)
    done = studio("data", "add", path, "--name", "[red]mine")
    assert "\x1b[2J" not in done.stdout + done.stderr + studio("data", "list").stdout
    assert "[red]mine" in studio("data", "list").stdout


@pytest.mark.parametrize("words", [["runs"], ["data", "list"]])
def test_a_list_opens_without_the_heavy_libraries(home, words):
    script = (
        "import sys; from studio.cli import app; app(sys.argv[1:], standalone_mode=False);"
        "sys.exit(str({'torch', 'transformers', 'datasets', 'sklearn'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
