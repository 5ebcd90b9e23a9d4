"""Measures that are better the lower they are: inside, higher is always better; whoever reads a number outside reads it
as people know it."""

import json

import pandas as pd
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from studio import api, cli, events
from studio.config.reading import parse_config
from studio.serve.studio import interface
from studio.service import comparison, paired, people

TRUE = {"value": 1.5, "low": 1.4, "high": 1.7}


@pytest.fixture
def runs(store, home):
    """Two runs of a language model whose student needs 1.5 bits for a byte, 0.2 less than its control."""
    asked = pd.DataFrame({"prompt": [f"what is {number}" for number in range(40)], "answer": ["a number"] * 40})
    data = api.load_dataset(asked, name="asked", home=home.root)
    models = {"teacher": "builtin/gpt-base", "student": "builtin/gpt-tiny"}
    for seed in (0, 1):
        run = store.submit(parse_config({"dataset": data.name, **models, "seed": seed}), key=str(seed), owner="me")
        measured = {"split": "test", "metric": "bits_per_byte", "value": -1.5, "low": -1.7, "high": -1.4, "n": 8}
        apart = {
            "split": "test",
            "metric": "bits_per_byte",
            "difference": 0.2,
            "low": 0.1,
            "high": 0.25,
            "p_value": 0.01,
        }
        store.record(run.id, [
            events.PhaseStarted(phase="distill"),
            events.Metrics(phase="distill", step=1, values={"bits_per_byte": -2.5, "loss": 3.0}),
            events.PhaseFinished(phase="distill", seconds=1, steps=1),
            *(events.Evaluation(role=role, **measured) for role in ("teacher", "student", "control")),
            events.Comparison(first="student", second="control", n=8, **apart),
            events.Evaluation(role="student", split="", metric="size_bytes", value=1e6),
            events.Verdict(outcome="better", sentence="So it is."),
        ])  # fmt: skip
        store.finish(run.id)
    return [1, 2]


def of_student(rows, name="role"):
    return next(row for row in rows if row[name] == "student" and row.get("split", "test") == "test")


def test_the_python_interface_gives_them_without_a_minus(home, runs):
    run = api.run(1, home=home.root)
    found = of_student(run.evaluations.to_dict("records"))
    assert {name: found[name] for name in TRUE} == TRUE
    assert run.evaluations.set_index("metric")["value"]["size_bytes"] == 1e6
    assert (found["n"], str(run.evaluations["n"].dtype)) == (8, "Int64")
    assert run.curves.set_index("name")["value"].to_dict() == {"bits_per_byte": 2.5, "loss": 3.0}


def test_one_run_as_json_has_them_without_a_minus(store, runs):
    shown = store.show(1)
    found = of_student(shown["evaluations"])
    assert {name: found[name] for name in TRUE} == TRUE
    apart = shown["comparisons"][0]
    assert (apart["difference"], apart["low"], apart["high"]) == (-0.2, -0.25, -0.1)


def test_the_list_of_runs_as_json_names_the_measure_and_gives_it_without_a_minus(runs):
    said = CliRunner().invoke(cli.app, ["runs", "--json"])
    listed = json.loads(said.stdout)
    assert listed[0]["measure"] == "bits_per_byte"
    reached = listed[0]["summary"]
    assert (reached["student"], reached["low"], reached["high"], reached["control"]) == (1.5, 1.4, 1.7, 1.5)
    assert reached["student_bytes"] == 1e6


def test_runs_side_by_side_have_them_without_a_minus(store, home, runs):
    found = paired.facts(home, store, comparison.sides(store, runs))
    assert of_student(found["runs"][0]["evaluations"])["value"] == 1.5
    assert found["curves"]["1"][0]["value"] == 2.5


def test_programs_get_them_without_a_minus(home, runs):
    client = TestClient(interface(home, lambda request: people.local()))
    found = of_student(client.get("/runs/1").json()["results"], "model")
    assert {name: found[name] for name in TRUE} == TRUE
