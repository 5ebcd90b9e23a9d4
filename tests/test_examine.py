"""What a run is asked afterwards, in a terminal and in Python."""

import json

import pytest
from typer.testing import CliRunner

from studio import api, cli
from studio.config.reading import parse_config
from studio.events import Comparison, Verdict
from studio.kept import examined
from studio.pipeline.answers import Curve, Elsewhere, Layers, Robustness, Written, WrittenBy
from studio.service import questions
from tests.conftest import TINY

ELSEWHERE = Elsewhere(dataset="reviews", rows=24, known=6, values={"student": (0.5, 0.4, 0.6)})


@pytest.fixture
def run(home, store, saved):
    """A run of which everything is known already."""
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner="me")
    store.finish(run.id)
    levels = [0, 0.02, 0.05, 0.1, 0.2]
    values = [0.9, 0.88, 0.8, 0.7, 0.6]
    curve = Curve(corruption="typos", role="student", levels=levels, values=values, low=values, high=values)
    examined.write(home, run.id, Robustness(curves=[curve], rows=24))
    examined.write(home, run.id, Layers(teacher=["1", "2"], student=["1"], alike=[[0.25], [None]], rows=9))
    examined.write(home, run.id, ELSEWHERE, "1")
    store.record(run.id, [Verdict(outcome="better", sentence="So it is.")])
    return run


def test_what_language_models_wrote_is_told_with_the_smaller_number_first(home, store, run):
    values = {"teacher_bits_per_byte": (-2.0, -2.2, -1.9)}
    pair = Comparison(first="student", second="control", split="test", metric="teacher_bits_per_byte", difference=0.5,
                      low=0.4, high=0.6, p_value=0.01, n=9)  # fmt: skip
    by = [WrittenBy(role=role, values=values, texts=["so"], tokens_per_second=9) for role in ("student", "control")]
    found = Written(rows=9, most=20, given=["Say"], expected=[""], by=by, against=[pair])
    examined.write(home, run.id, found)
    assert "-0.5 (-0.6 to -0.4)" in " ".join(said("1", "written").split())
    control = api.run(run.id).written().set_index("role").loc["control"]
    assert control[["value", "low", "high"]].tolist() == [2.0, 1.9, 2.2]
    assert control[["difference", "difference_low", "difference_high"]].tolist() == [-0.5, -0.6, -0.4]


def test_why_the_student_before_it_learned_did_not_write_is_told(home, run):
    found = Written(rows=9, most=20, given=["Say"], expected=[""], by=[], against=[], left_out="hub:a/b is gone.")
    examined.write(home, run.id, found)
    assert "The student before it learned did not write. hub:a/b is gone." in " ".join(said("1", "written").split())
    with pytest.warns(UserWarning, match="did not write. hub:a/b is gone"):
        api.run(run.id).written()


def said(*words: str) -> str:
    done = CliRunner().invoke(cli.app, ["examine", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_terminal_tells_curves_layers_and_other_data(run):
    assert "Typing errors" in said("1") and "0.2: 0.6" in said("1", "robustness")
    assert "0.250" in said("1", "layers")
    assert "0.4" in said("1", "--on", "reviews") and "6 test rows" in said("1", "--on", "reviews")


def test_programs_get_json(run):
    assert json.loads(said("1", "layers", "--json"))["alike"] == [[0.25], [None]]
    assert json.loads(said("1", "--on", "reviews", "--json"))["values"]["student"] == [0.5, 0.4, 0.6]


def test_python_gets_tables(run):
    known = api.run(run.id)
    assert known.robustness().iloc[-1].to_dict() == {
        "corruption": "typos", "role": "student", "level": 0.2, "value": 0.6, "low": 0.6, "high": 0.6,
    }  # fmt: skip
    assert known.layers().loc["1", "1"] == 0.25


def test_what_was_compared_by_another_rule_is_made_again_and_is_read_without_one(home, run, monkeypatch):
    asked = []

    def answered(program, kind, job, *_):
        asked.append(job.rule)
        return kind(rows=9, most=20, given=["Say"], expected=["7"], by=[], against=[], rule=job.rule)

    monkeypatch.setattr(questions, "_ask", answered)
    for rule in ("", "", r"\d+", r"\d+", "x", ""):
        api.run(run.id).written(rule)
    said("1", "written", "--rule", "x")
    assert asked == ["", r"\d+", "x"]


def test_what_was_written_with_another_limit_of_tokens_is_made_again(home, run, monkeypatch):
    asked = []

    def answered(program, kind, job, *_):
        asked.append(job.most_tokens)
        by = [WrittenBy(role="student", values={}, texts=[], cut_share=0.4, tokens_per_second=1)]
        return kind(rows=9, most=job.most_tokens or 120, given=["Say"], expected=["7"], by=by, against=[])

    monkeypatch.setattr(questions, "_ask", answered)
    for tokens in (None, 120, 300, None):
        api.run(run.id).written(tokens=tokens)
    told = said("1", "written", "--tokens", "500")
    assert asked == [None, 300, 500]
    assert "Cut off after 500" in told and "40%" in told


def test_a_rule_that_is_no_pattern_or_for_something_else_is_refused(run):
    for words, told in (
        (("1", "written", "--rule", "("), "no pattern"),
        (("1", "layers", "--rule", "x"), "--rule is for"),
        (("1", "layers", "--tokens", "9"), "--tokens is for"),
    ):
        done = CliRunner().invoke(cli.app, ["examine", *words])
        assert (done.exit_code, told in str(done.exception)) == (1, True), done.exception
