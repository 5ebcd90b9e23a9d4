"""The command line as other programs use it: exit statuses, JSON on standard output alone."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from typing import NamedTuple

import pandas as pd
import pytest
import yaml
from transformers import AutoModelForSequenceClassification

from studio import cli, events
from studio.cli.terminal import ended_like_ctrl_c
from studio.cli.training import _heard
from studio.config.reading import parse_config
from studio.data.folder import load
from studio.executors import registry
from studio.home import Home
from studio.kept import examined
from studio.pipeline.answers import Elsewhere
from studio.service import people, web
from tests.conftest import TINY, here, reviews


class Done(NamedTuple):
    """How a call of the command line ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def program(home):
    """The command line in a process of its own."""

    def call(*words):
        return subprocess.run(
            [sys.executable, "-m", "studio", *map(str, words)], capture_output=True, text=True, check=False, timeout=200
        )

    return expecting(call)


@pytest.fixture
def studio(home, monkeypatch):
    """The command line in the test's own process, which has opened the libraries; its runs train there, too."""
    monkeypatch.setattr(registry, "one_run", lambda: here)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["studio", *map(str, words)])
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
            cli.main()
        return Done(ended.value.code or 0, out.getvalue(), err.getvalue())

    return expecting(call)


def expecting(call):
    """A call that must end with a certain status."""

    def checked(*words, status=0):
        done = call(*words)
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return checked


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


def test_data_is_added_a_run_is_trained_shown_and_exported(program, studio, table, settings, tmp_path):
    added = json.loads(studio("data", "add", table, "--name", "mine", "--json").stdout)
    assert added["id"] == 1
    assert json.loads(studio("data", "list", "--json").stdout)[0]["name"] == "mine"
    trained = json.loads(program("train", "--config", settings, "--set", "epochs=1", "--json").stdout)
    assert trained == {"run": 1, "status": "finished"}
    shown = json.loads(studio("show", 1, "--json").stdout)
    assert {"id", "status", "config", "phases", "evaluations", "verdict"} <= set(shown)
    assert shown["config"]["epochs"] == 1
    assert {one["role"] for one in shown["evaluations"]} == {"teacher", "student", "control", "baseline"}
    assert "1" in studio("runs").stdout
    exported = tmp_path / "out.zip"
    program("export", 1, "--to", exported)
    with zipfile.ZipFile(exported) as archive:
        archive.extractall(tmp_path / "opened")
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "opened", use_safetensors=True)
    assert "overwritten" in studio("export", 1, "--to", exported, status=1).stderr


def test_what_is_done_in_a_terminal_stands_in_the_audit_log(studio, table):
    studio("data", "add", table, "--name", "mine", "--json")
    studio("data", "rename", "mine", "ours")
    studio("data", "delete", "ours")
    entries = json.loads(studio("audit", "--json").stdout)
    assert [entry["what"] for entry in entries] == ["delete", "rename", "save"]
    assert {entry["who"] for entry in entries} == {people.local().name}
    assert [entry["what"] for entry in json.loads(studio("audit", "--limit", 1, "--json").stdout)] == ["delete"]
    assert "'mine' to 'ours'" in " ".join(studio("audit").stdout.split())


def test_a_run_needs_no_file_its_data_is_shown_and_its_models_answer_a_table(studio, table, tmp_path):
    added = json.loads(studio("data", "add", table, "--json").stdout)
    assert added["name"] == "reviews"
    words = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]
    lists = ("--set", "terms=[soft_target, logit_mse]", "--set", "assistants=[]", "--set", "plan=[distill, quantize]")
    trained = json.loads(studio("train", "--set", "dataset=reviews", *words, *lists, "--json").stdout)
    assert trained == {"run": 1, "status": "finished"}
    shown = json.loads(studio("data", "show", "reviews", "--rows", 2, "--json").stdout)
    assert shown["runs"] == [1]
    answers = {}
    for role in ("student", "teacher", "control"):
        to = tmp_path / f"{role}.csv"
        told = json.loads(studio("predict", 1, table, "--to", to, "--role", role, "--json").stdout)
        assert told["rows"] == 120
        answers[role] = pd.read_csv(to, dtype=str)
        assert list(answers[role]["text"]) == list(reviews().table["text"])
    test = load(Home.from_environment().dataset(1)).dict["test"]
    names = ["bad", "good"]
    for role, answered in answers.items():
        chosen = dict(zip(answered["text"], answered["predicted_label"], strict=True))
        right = sum(chosen[text] == names[label] for text, label in zip(test["text"], test["label"], strict=True))
        measured = json.loads(studio("show", 1, "--json").stdout)["evaluations"]
        accuracy = next(row["value"] for row in measured if (row["role"], row["metric"]) == (role, "accuracy"))
        assert right / len(test) == pytest.approx(accuracy)
    assert "overwritten" in studio("predict", 1, table, "--to", tmp_path / "student.csv", status=1).stderr
    bare = tmp_path / "bare.jsonl"
    bare.write_text('{"text": "a lovely thing", "id": 7}\n{"text": " ", "id": 8}\n')
    studio("predict", 1, bare, "--to", tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [set(row) for row in rows] == [{"text", "id", "label", "score"}, {"text", "id"}]
    wrong = studio("predict", 1, bare, "--to", tmp_path / "other.csv", "--input", "body", status=1)
    assert "no column 'body'; it has 'text', 'id'" in wrong.stderr.replace("\n", " ")
    assert not (tmp_path / "other.csv").exists()


def test_settings_alone_that_lack_something_name_it(studio, table):
    studio("data", "add", table)
    done = studio("train", "--set", "dataset=reviews", "--set", "teacher=builtin/mlp-64", status=1)
    assert "student is missing" in done.stderr
    done = studio("train", "--set", "epoch=3", status=1)
    assert "no setting 'epoch'; did you mean epochs?" in done.stderr.replace("\n", " ")


def test_what_was_added_tells_which_columns_it_took(studio, tmp_path):
    path = tmp_path / "films.csv"
    rows = reviews().table.assign(title="x", id=range(120)).rename(columns={"label": "tone"})
    rows.to_csv(path, index=False)
    added = json.loads(studio("data", "add", path, "--label", "tone", "--json").stdout)
    assert added["columns"] == {"input": "text", "label": "tone"}
    assert added["guessed"] == ["input"]
    assert added["unused"] == ["title", "id"]
    again = studio("data", "add", path, "--label", "tone")
    assert "input 'text' (guessed), label 'tone'; not used: 'title', 'id'" in again.stderr
    assert "there already: data set 1, 'films'" in again.stdout
    shown = studio("data", "show", "films").stdout
    assert "input 'text', label 'tone'" in shown
    assert "bad (60), good (60)" in shown


def test_a_check_tells_people_and_programs_alike_what_was_taken_and_found_and_saves_nothing(studio, store, tmp_path):
    path = tmp_path / "films.csv"
    rows = reviews().table.assign(split=["train"] * 80 + ["dev"] * 20 + ["eval_test"] * 20)
    rows.loc[3, "text"] = " "
    path.write_bytes(rows.to_csv(index=False, sep=";").replace("cold", "kühl").encode("cp1252"))
    facts = json.loads(studio("data", "check", path, "--split", "none", "--json").stdout)
    assert facts["columns"] == {"input": "text", "label": "label"}
    assert facts["unused"] == ["split"]
    assert (facts["report"]["read"], facts["report"]["rows"]) == (120, 119)
    assert facts["report"]["refused"] == [{"reason": "no input", "count": 1, "lines": [5]}]
    told = studio("data", "check", path, "--split", "none", "--encoding", "cp1250", "--delimiter", ";").stdout
    assert "Encoding cp1250, semicolon between columns, with a header." in told
    refused = studio("data", "check", path, "--label", "label", "--delimiter", "|", status=1)
    assert "There is no column 'label'" in refused.stderr
    assert "120 rows read, 119 kept" in told
    for finding in facts["report"]["findings"]:
        assert finding["message"] in told.replace("\n", " ")
    assert not store.datasets()


def test_rows_that_are_left_out_are_written_into_a_file_once(studio, tmp_path):
    rows = reviews().table
    rows.loc[3, "text"] = " "
    rows.to_csv(tmp_path / "films.csv", index=False)
    for words in (("check",), ("add", "--name", "films")):
        out = tmp_path / f"{words[0]}.csv"
        assert "1 rows that were left out" in studio("data", *words, tmp_path / "films.csv", "--refused", out).stderr
        assert out.read_text().splitlines() == ["line,reason,row", f'5,no input," ,,{rows["label"][3]},"']
    again = studio("data", "check", tmp_path / "films.csv", "--refused", out, status=1)
    assert "is there already" in again.stderr


def test_a_file_is_added_by_its_address_or_refused_in_words(studio, monkeypatch):
    def download(address, folder, tell):
        reviews().table.to_csv(folder / "file", index=False)
        tell(10, 10)
        return web.Fetched(folder / "file", "films.csv")

    refused = studio("data", "check", "https://127.0.0.1/films.csv", status=1)
    assert "an address of this machine" in refused.stderr
    monkeypatch.setattr(web, "download", download)
    added = studio("data", "add", "https://files.example/a/films.csv")
    assert "'films'" in added.stdout and "0.0 MB are here of 0.0" in added.stderr


def test_columns_joined_by_a_plus_are_one_input(studio, tmp_path):
    rows = reviews().table.assign(title=[f"film {number}" for number in range(120)])
    rows.to_csv(tmp_path / "films.csv", index=False)
    added = json.loads(studio("data", "add", tmp_path / "films.csv", "--input", "title + text", "--json").stdout)
    assert added["columns"] == {"input": "title + text", "label": "label"}
    shown = json.loads(studio("data", "show", added["id"], "--json").stdout)
    assert all(row["text"].startswith("film ") and "\n" in row["text"] for row in shown["rows"])


def test_given_files_and_shares_make_the_splits_and_leaks_go_unless_they_are_kept(studio, tmp_path):
    whole = reviews().table
    whole[:100].to_csv(tmp_path / "train.csv", index=False)
    whole[90:110].to_csv(tmp_path / "validation.csv", index=False)
    whole[110:].to_csv(tmp_path / "test.csv", index=False)
    files = ("data", "add", tmp_path / "train.csv", "--validation", tmp_path / "validation.csv")
    added = json.loads(studio(*files, "--test", tmp_path / "test.csv", "--name", "clean", "--json").stdout)
    assert added["splits"] == {"train": 90, "validation": 20, "test": 10}
    assert (added["removed"], added["report"]["leaked"]) == (10, 0)
    kept = json.loads(
        studio(*files, "--test", tmp_path / "test.csv", "--name", "leaky", "--keep-leaked", "--json").stdout
    )
    assert kept["splits"] == {"train": 100, "validation": 20, "test": 10}
    assert (kept["removed"], kept["report"]["leaked"]) == (0, 10)
    shares = ("--test-share", 0.4, "--validation-share", 0.2, "--seed", 3)
    cut = json.loads(studio("data", "add", tmp_path / "train.csv", "--name", "cut", *shares, "--json").stdout)
    assert cut["splits"] == {"train": 40, "validation": 20, "test": 40}


def test_a_data_set_is_renamed_and_deleted_but_not_while_a_run_uses_it(studio, store, home, saved):
    store.request_stop(store.submit(parse_config({"dataset": "reviews", **TINY}), key="k").id)
    refused = studio("data", "delete", "reviews", status=1)
    assert "Data set 'reviews' is used by run 1." in refused.stderr
    assert json.loads(studio("data", "rename", "reviews", "opinions", "--json").stdout) == {"id": 1, "name": "opinions"}
    assert store.run(1).config.dataset == "opinions"
    assert load(home.dataset(1)).name == "opinions"
    studio("delete", 1)
    freed = json.loads(studio("data", "delete", "opinions", "--json").stdout)["freed_bytes"]
    assert freed > 0
    assert not home.dataset(1).exists()
    assert json.loads(studio("data", "list", "--json").stdout) == []


def test_a_list_of_runs_says_when_it_is_a_part(studio, store, saved):
    for number in range(5):
        store.submit(parse_config({"dataset": "reviews", **TINY}), key=str(number))
    part = studio("runs", "--limit", 2, "--json")
    assert [run["id"] for run in json.loads(part.stdout)] == [5, 4]
    assert "2 of 5; --limit, --all." in part.stderr
    whole = studio("runs", "--limit", 2, "--all", "--json")
    assert len(json.loads(whole.stdout)) == 5
    assert "--all" not in whole.stderr


def test_a_port_that_is_taken_is_told_with_a_free_way_out(studio, monkeypatch):
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it was started"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = studio("serve", "--port", port, status=1).stderr.replace("\n", " ")
    assert f"cannot listen on 127.0.0.1, port {port}" in told
    assert f"serve --port {port + 1}" in told


@pytest.mark.parametrize("name", ["STUDIO_EXECUTOR", "STUDIO_SLOTS", "STUDIO_TEACHER_OUTPUTS_GB"])
def test_what_is_wrong_in_the_environment_is_told_before_the_server_starts(studio, monkeypatch, name):
    monkeypatch.setenv(name, "lots")
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it was started"))
    assert f"{name} must be" in studio("serve", status=1).stderr


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
    config.write_text(yaml.safe_dump({"dataset": "reviews", **TINY, "epochs": 1000}))
    words = [sys.executable, "-m", "studio", "train", "--config", str(config), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as training:
        wait_until(lambda: any(point.phase == "distill" for point in store.curve(1)), training)
        training.send_signal(sign)
        out, err = training.communicate(timeout=120)
    assert training.returncode == 1
    assert json.loads(out) == {"run": 1, "status": "stopped"}
    assert "Its student so far is kept" in err
    assert "Traceback" not in err
    studio("export", 1, "--to", tmp_path / "student.zip")


class TakenDown:
    """Ctrl-C comes while it goes."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_ctrl_c_that_python_drops_ends_the_run_at_its_next_event():
    before = signal.getsignal(signal.SIGINT)

    def said():
        for number in range(5):
            if number == 2:
                TakenDown()
            yield number

    heard = []
    with ended_like_ctrl_c() as ask, contextlib.suppress(KeyboardInterrupt):
        for event in _heard(said(), ask):
            heard.append(event)
    assert heard == [0, 1]
    assert signal.getsignal(signal.SIGINT) is before


def wait_until(done, training, seconds=240):
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
    (home.root / "cli.log").unlink()
    (home.root / "cli.log").mkdir()  # nobody can write there
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert "The details could not be written to" in capsys.readouterr().err.replace("\n", " ")


def test_a_label_can_neither_steer_the_terminal_nor_colour_it(studio, tmp_path):
    path = tmp_path / "rows.csv"
    reviews(12).table.replace({"label": {"good": "\x1b[2J[red]good"}}).to_csv(path, index=False)
    done = studio("data", "add", path, "--name", "[red]mine")
    assert "\x1b[2J" not in done.stdout + done.stderr + studio("data", "list").stdout
    assert "[red]mine" in studio("data", "list").stdout


def test_a_listed_run_says_in_a_narrow_terminal_what_it_reached_and_what_that_is_worth(studio, store, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner="me")
    reached = events.Evaluation(role="student", split="test", metric="accuracy", value=0.8125, low=0.7, high=0.9, n=48)
    sentence = "The student is 81.3 % accurate. " * 20
    store.record(run.id, [reached, events.Verdict(outcome="no_difference", sentence=sentence)])
    told = studio("runs").stdout
    assert "81.2 %" in told and "difference" in told
    assert "accurate" not in told, "the whole verdict is for show"


@pytest.mark.parametrize("words", [["runs"], ["data", "list"]])
def test_a_list_opens_without_the_heavy_libraries(home, words):
    script = (
        "import sys; from studio.cli import app; app(sys.argv[1:], standalone_mode=False);"
        "sys.exit(str({'torch', 'transformers', 'datasets', 'sklearn'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_a_run_is_named_tagged_and_found_by_that(studio, store, saved):
    for key in "ab":
        store.submit(parse_config({"dataset": "reviews", **TINY}), key=key)
    studio("name", 1, "First try")
    studio("note", 1, "nothing special")
    studio("tag", 1, "good", "odd, too")
    studio("tag", 1, "odd", "--remove")
    (found,) = json.loads(studio("runs", "--search", "FIRST special", "--tag", "good", "--json").stdout)
    assert (found["id"], found["name"], found["tags"]) == (1, "First try", ["good", "too"])
    assert len(json.loads(studio("runs", "--state", "queued", "--sort", "oldest", "--json").stdout)) == 2
    assert "sorted by 'odd'" in studio("runs", "--sort", "odd", status=1).stderr


def test_what_is_better_the_lower_it_is_has_no_minus_in_a_terminal_or_in_json(studio, spoken, home):
    shown = " ".join(studio("compare", 1, 2, 3).stdout.split())
    assert "bits_per_byte │ 2.000 │ 2.500 │ 3.500" in shown
    (first, *_others) = json.loads(studio("compare", 1, 2, "--json").stdout)["runs"]
    assert {one["value"] for one in first["evaluations"] if one["role"] == "student"} == {2.0, 3e6}
    examined.write(home, 1, Elsewhere(dataset="tales", rows=9, known=0, values={"student": (-2.0, -2.1, -1.9)}), "1")
    assert "│ 2 │ 1.9 │ 2.1 │" in " ".join(studio("examine", 1, "--on", "tales").stdout.split())
    assert json.loads(studio("examine", 1, "--on", "tales", "--json").stdout)["values"] == {"student": [2.0, 1.9, 2.1]}
