"""The studio's interface for programs: who may ask, what is refused and how, and that its document is true."""

import asyncio
import base64
import contextlib
import json
import sqlite3
import time

import jsonschema
import pytest
from openapi_spec_validator import validate
from starlette.testclient import TestClient

from studio import tasks
from studio.config.reading import parse_config
from studio.errors import AccessError, ConfigError, DataError, LimitError, WorkerError
from studio.events import Evaluation
from studio.pipeline.answers import Batched
from studio.serve import requests
from studio.serve.studio import OPERATIONS, interface
from studio.service import people, tokens
from studio.service.acts import Acts
from studio.service.people import Person
from studio.service.playground import Playground
from studio.store.store import Store
from tests.conftest import TINY, digits, in_a_loop

ADA = "ada@example.org"


@pytest.fixture
def run(store, home, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner="me")
    home.model(run.id, "student").mkdir(parents=True)
    return run


@pytest.fixture
def asked(monkeypatch):
    """What models are asked; each says the length of its input."""
    heard = []

    def batch(self, store, run_id, role, values, shares=False):
        heard.append((run_id, role, values))
        answers = [{"label": str(len(value)), "score": 0.5} for value in values]
        return Batched(answers=answers, shares=[{"a": 0.5, "b": 0.5}] * len(values) if shares else [])

    monkeypatch.setattr(Playground, "batch", batch)
    return heard


def client(home, who=people.local):
    return TestClient(interface(home, lambda request: who()), raise_server_exceptions=False)


@pytest.fixture
def local(home, store):
    """Whoever sits at this machine."""
    return client(home)


@pytest.fixture
def member(home, store, monkeypatch):
    monkeypatch.setenv("STUDIO_MEMBERS", ADA)
    return Acts(Person(ADA, "member", ADA), home, store)


def with_token(secret):
    return {"Authorization": f"Bearer {secret}"}


def test_a_program_gets_the_answers_of_the_model_that_it_asks(local, run, asked):
    body = {"inputs": ["four", "letters"], "model": "control", "probabilities": True}
    answer = local.post(f"/runs/{run.id}/predict", json=body)
    assert answer.json() == {
        "run": run.id, "model": "control", "answers": [{"label": "4", "score": 0.5}, {"label": "7", "score": 0.5}],
        "probabilities": [{"a": 0.5, "b": 0.5}] * 2,
    }  # fmt: skip
    assert asked == [(run.id, "control", ["four", "letters"])]


def test_runs_are_listed_in_parts_and_each_can_be_seen(local, store, home, run):
    more = [store.submit(run.config, key=f"more-{number}").id for number in range(2)]
    first = local.get("/runs", params={"limit": 2}).json()
    assert [one["id"] for one in first["runs"]] == more[::-1]
    rest = local.get("/runs", params={"skip": first["next"]}).json()
    assert [one["id"] for one in rest["runs"]] == [run.id]
    assert rest["next"] is None
    assert rest["runs"][0]["models"] == ["teacher", "student"]
    assert first["runs"][0]["models"] == []
    whole = local.get(f"/runs/{run.id}").json()
    assert (whole["labels"], whole["config"]["dataset"]) == (["bad", "good"], "reviews")


def test_a_stranger_needs_a_token_and_it_works_until_it_is_revoked(home, run, asked, member):
    stranger = client(home, lambda: None)
    refused = stranger.post(f"/runs/{run.id}/predict", json={"inputs": ["a"]})
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    row, secret = tokens.make(member, "website", "viewer")
    assert (
        stranger.post(f"/runs/{run.id}/predict", json={"inputs": ["a"]}, headers=with_token(secret)).status_code == 200
    )
    assert stranger.get("/runs", headers=with_token(secret + "x")).status_code == 401
    assert stranger.get("/runs", headers={"Authorization": f"Basic {secret}"}).status_code == 401
    tokens.revoke(member, row.id)
    assert stranger.get("/runs", headers=with_token(secret)).status_code == 401
    assert [entry.what for entry in member.store.audit()] == ["revoke token", "make token"]


def test_a_token_that_does_not_work_is_no_login_either(home, run):
    assert client(home).get("/runs", headers=with_token("nothing")).status_code == 401


def test_only_the_hash_of_a_token_is_kept(home, member):
    _, secret = tokens.make(member, "website")
    with sqlite3.connect(home.database) as database:
        assert secret not in "\n".join(database.iterdump())


def test_a_token_ends_with_its_time_and_with_its_makers_right(home, store, member, monkeypatch):
    _, secret = tokens.make(member, "website", "member", days=1)
    assert tokens.person(store, secret) == Person("token 1", "member", ADA)
    monkeypatch.setenv("STUDIO_VIEWERS", ADA)
    monkeypatch.setenv("STUDIO_MEMBERS", "")
    assert tokens.person(store, secret).role == "viewer"
    monkeypatch.setenv("STUDIO_VIEWERS", "")
    with pytest.raises(AccessError, match="may no longer enter"):
        tokens.person(store, secret)
    monkeypatch.setenv("STUDIO_MEMBERS", "group:research")  # who is in a group the provider alone knows
    assert tokens.person(store, secret).role == "member"
    now = time.time() + 86_401
    monkeypatch.setattr(tokens.time, "time", lambda: now)
    with pytest.raises(AccessError, match="expired"):
        tokens.person(store, secret)


def test_nobody_makes_a_token_that_may_more_than_its_maker_and_only_members_make_one(home, store, member):
    with pytest.raises(AccessError, match="admin"):
        tokens.make(member, "website", "admin")
    with pytest.raises(AccessError):
        tokens.make(Acts(Person("eve@example.org", "viewer", "eve@example.org"), home, store), "website")
    for name, days in (("", 90), ("x" * 81, 90), ("website", 0), ("website", 10_000)):
        with pytest.raises(ConfigError):
            tokens.make(member, name, days=days)


def test_a_token_is_seen_and_revoked_by_its_maker_and_by_admins_alone(home, store, member):
    row, _ = tokens.make(member, "website")
    other = Acts(Person("eve@example.org", "member", "eve@example.org"), home, store)
    assert tokens.visible(other) == []
    with pytest.raises(AccessError, match="may not revoke"):
        tokens.revoke(other, row.id)
    assert tokens.visible(Acts(people.local(), home, store)) == [row]


def test_a_viewer_brings_no_images(home, store, saved_digits, asked):
    config = {"dataset": "digits", "teacher": "builtin/cnn-small", "student": "builtin/cnn-tiny",
              "task": "image-classification"}  # fmt: skip
    run = store.submit(parse_config(config), key="d")
    body = {"inputs": [base64.b64encode(digits().table["image"][0]).decode()]}
    path = f"/runs/{run.id}/predict"
    assert client(home, lambda: Person("v", "viewer")).post(path, json=body).status_code == 403
    assert client(home, lambda: Person("m", "member")).post(path, json=body).status_code == 200
    assert asked[0][2] == [digits().table["image"][0]]
    for wrong in ("no base64!", base64.b64encode(b"no image").decode(), 3):
        assert client(home).post(path, json={"inputs": [wrong]}).status_code == 422


WRONG = {
    "no JSON": (b"{", 422), "not an object": (b"[]", 422), "no inputs": (b"{}", 422),
    "no rows": (b'{"inputs": []}', 422),
    "not a list": (b'{"inputs": "a"}', 422), "a number": (b'{"inputs": [3]}', 422),
    "an unknown model": (b'{"inputs": ["a"], "model": "x"}', 422),
    "an unknown word": (b'{"inputs": ["a"], "x": 1}', 422),
    "too many rows": (b'{"inputs": [' + b'"a",' * 1000 + b'"a"]}', 422),
    "too long a text": (b'{"inputs": ["' + b"a" * 20_001 + b'"]}', 413), "too much": (b" " * (16 * 1024**2 + 1), 413),
    "no UTF-8": (b'{"inputs": ["\xff"]}', 422), "half a letter": (b'{"inputs": ["\\ud800"]}', 422),
    "too deep": (b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 422),
}  # fmt: skip


def test_what_cannot_be_read_is_refused_in_words_before_a_model_is_asked(local, run, asked):
    for what, (body, status) in WRONG.items():
        answer = local.post(f"/runs/{run.id}/predict", content=body)
        assert answer.status_code == status, what
        assert set(answer.json()) == {"kind", "message", "cure"}
        assert answer.json()["cure"]
    assert not asked


def test_what_is_not_there_is_a_404_in_words(local, run):
    strange = ["9" * 40, "0" * 12 + "9" * 19, "0" + "1" * 5_000]
    for path in ("/runs/0", "/runs/99", "/runs/x", "/nothing", "/", *(f"/runs/{number}" for number in strange)):
        answer = local.get(path)
        assert answer.status_code == 404, path
        assert set(answer.json()) == {"kind", "message", "cure"}
    for number in strange:
        assert local.get("/runs", params={"skip": number}).status_code == 422


def test_errors_of_models_and_of_the_house_are_told_without_their_insides(local, run, monkeypatch):
    def fail(self, *_):
        raise errors.pop()

    monkeypatch.setattr(Playground, "batch", fail)
    errors = [RuntimeError("/secret/path"), WorkerError("No answer.", "Ask again.")]
    answer = local.post(f"/runs/{run.id}/predict", json={"inputs": ["a"]})
    assert (answer.status_code, answer.json()["cure"]) == (503, "Ask again.")
    answer = local.post(f"/runs/{run.id}/predict", json={"inputs": ["a"]})
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_the_document_is_openapi_and_names_every_route(local):
    document = local.get("/openapi.json").json()
    validate(document)
    routes = {route.path: route.methods - {"HEAD"} for route in local.app.routes}
    told = {path: {method.upper() for method in methods} for path, methods in document["paths"].items()}
    assert told | {"/openapi.json": {"GET"}} == routes


def test_answers_and_refusals_are_as_the_document_says(local, run, asked):
    document = local.get("/openapi.json").json()

    def check(path, answer):
        operation = document["paths"][path][answer.request.method.lower()]
        schema = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), schema | {"components": document["components"]})

    check("/runs", local.get("/runs"))
    check("/runs/{run}", local.get(f"/runs/{run.id}"))
    check("/runs/{run}", local.get("/runs/99"))
    for body in ({"inputs": ["a"]}, {"inputs": [3]}, {"inputs": ["a"], "probabilities": True}):
        check("/runs/{run}/predict", local.post(f"/runs/{run.id}/predict", json=body))
    form = {"$ref": "#/components/schemas/Asking", "components": document["components"]}
    jsonschema.validate({"inputs": ["a"]}, form)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"inputs": ["a"] * (requests.MOST_ROWS + 1)}, form)


def test_every_kind_of_error_that_is_told_has_its_status_in_the_document():
    from studio.serve.answers import STATUSES

    predict = OPERATIONS[-1]
    assert set(STATUSES.values()) | {401} == set(predict.errors)


def test_the_baseline_and_the_student_in_int8_are_asked_as_in_the_playground(local, store, run, asked):
    store.record(run.id, [Evaluation(role="baseline", split="test", metric="accuracy", value=0.5, n=9)])
    assert "baseline" in local.get(f"/runs/{run.id}").json()["models"]
    for model in ("baseline", "int8"):
        answer = local.post(f"/runs/{run.id}/predict", json={"inputs": ["a"], "model": model})
        assert (answer.status_code, asked[-1][1]) == (200, model)


def example(task):
    """An input as a program sends it."""
    roles = {column.role for column in task.inputs.columns if column.required}
    if task.modality == "image":
        return base64.b64encode(digits().table["image"][0]).decode()
    if "words" in task.inputs.features():
        return ["we", "saw", "Rome"]
    return ["one text", "another one"] if "pair" in roles else "a text"


@pytest.mark.parametrize("name", tasks.TASKS)
def test_inputs_of_every_task_are_read_as_its_models_read_them(name):
    task = tasks.get(name)
    asked = requests.parsed(requests.Asking, json.dumps({"inputs": [example(task)] * 3}).encode())
    rows = task.unlabelled(requests.values(asked, name))
    assert len(rows) == 3
    assert set(rows.column_names) >= set(task.inputs.features())
    with pytest.raises((DataError, LimitError)):
        requests.values(requests.parsed(requests.Asking, b'{"inputs": [{"no": "input"}]}'), name)


def test_neither_the_database_nor_a_large_request_is_read_on_the_event_loop(local, run, asked, monkeypatch):
    heard = []

    def watched(owner, name):
        before = getattr(owner, name)

        def call(*given):
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop()
                heard.append(name)
            return before(*given)

        monkeypatch.setattr(owner, name, call)

    for name in ("run", "dataset_by_id", "find_runs", "evaluations"):
        watched(Store, name)
    watched(requests, "parsed")
    watched(requests, "values")
    assert local.post(f"/runs/{run.id}/predict", json={"inputs": ["a" * 9_000]}).status_code == 200
    assert local.get(f"/runs/{run.id}").status_code == local.get("/runs").status_code == 200
    assert heard == []


@pytest.mark.parametrize(("task", "on_the_spot"), [("text-classification", True), ("image-classification", False)])
def test_a_short_request_is_read_on_the_spot_unless_it_brings_an_image(task, on_the_spot, monkeypatch):
    loops = []
    monkeypatch.setattr(requests, "values", lambda asked, task: loops.append(asyncio._get_running_loop()) or [])
    in_a_loop(requests.read(requests.Asking, b'{"inputs": ["a"]}', task))
    assert (loops[0] is not None) == on_the_spot
