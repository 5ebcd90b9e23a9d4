"""One student served alone, from its exported zip."""

import zipfile
from types import SimpleNamespace

import pytest
from openapi_spec_validator import validate
from starlette.testclient import TestClient

from studio.config.reading import parse_config
from studio.errors import ConfigError, ExportError
from studio.serve import alone
from studio.serve.alone import Student, student_application, unpack
from studio.service import export
from studio.service.predict import open_model
from studio.service.runs import carry
from tests.conftest import TINY, here

TEXTS = ["a wonderful film", "the dull thing was poor"]
TOKEN = "t" * 32


@pytest.fixture
def exported(store, home, saved, tmp_path):
    config = {"dataset": "reviews", **TINY, "teacher": "builtin/fasttext-small", "student": "builtin/fasttext-tiny",
              "epochs": 1, "teacher_epochs": 1, "control": False}  # fmt: skip
    run = store.submit(parse_config(config), key="k", owner="me")
    list(carry(store, home, run, here))
    return export.student_zip(home, store, run.id, tmp_path / "student.zip")


def test_it_answers_as_the_run_does_and_its_document_is_true(store, home, exported, tmp_path, monkeypatch):
    known = open_model(store, home, 1, "student").predict(TEXTS)
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "nothing"))
    unpack(exported, tmp_path / "student")
    app = TestClient(student_application(Student(tmp_path / "student"), "127.0.0.1", None), "http://localhost")
    answers = app.post("/predict", json={"inputs": TEXTS, "probabilities": True}).json()
    assert [answer["label"] for answer in answers["answers"]] == [answer["label"] for answer in known]
    assert all(sum(shares.values()) == pytest.approx(1) for shares in answers["probabilities"])
    assert app.get("/health").json()["labels"] == ["bad", "good"]
    assert app.post("/predict", json={"inputs": [3]}).status_code == 422
    assert app.get("/health", headers={"Host": "evil.example"}).status_code == 400
    validate(app.get("/openapi.json").json())
    assert not (tmp_path / "nothing").exists()


class Parrot:
    """A student that needs no model."""

    task = "text-classification"
    predictor = SimpleNamespace(problem=SimpleNamespace(labels=["a", "b"]))

    def answer(self, shares, values):
        return [({"label": value}, {}) for value in values]


def test_on_a_network_it_needs_a_token():
    for token in (None, "short"):
        with pytest.raises(ConfigError, match=r"STUDIO_SERVE_TOKEN|open to a network"):
            student_application(Parrot(), "0.0.0.0", token)
    app = TestClient(student_application(Parrot(), "0.0.0.0", TOKEN))
    for headers, status in (
        ({}, 401),
        ({"Authorization": "Bearer x"}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
    ):
        assert app.post("/predict", json={"inputs": ["a"]}, headers=headers).status_code == status


def test_who_has_no_token_hears_that_it_lives_and_nothing_of_its_labels():
    app = TestClient(student_application(Parrot(), "0.0.0.0", TOKEN))
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": TOKEN}):
        assert app.get("/health", headers=headers).json() == {"status": "ok"}
    told = app.get("/health", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert told == {"status": "ok", "task": "text-classification", "labels": ["a", "b"]}


def test_another_user_of_this_machine_needs_a_token(monkeypatch):
    monkeypatch.setattr(alone, "is_of_another_user", lambda client, server: True)
    app = TestClient(student_application(Parrot(), "127.0.0.1", None), "http://localhost")
    refused = app.post("/predict", json={"inputs": ["a"]})
    assert (refused.status_code, refused.json()["message"]) == (403, "Another user of this machine asks for this.")
    assert app.get("/health").json() == {"status": "ok"}
    app = TestClient(student_application(Parrot(), "127.0.0.1", TOKEN), "http://localhost")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert app.post("/predict", json={"inputs": ["a"]}, headers=headers).status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_who_says_to_be_somebody_else_needs_a_token(header):
    app = TestClient(student_application(Parrot(), "127.0.0.1", None), "http://localhost")
    for said in ("unknown", "127.0.0.1"):
        refused = app.post("/predict", json={"inputs": ["a"]}, headers={header: said})
        assert (refused.status_code, refused.json()["message"]) == (403, "A proxy asks for this.")
        assert app.get("/health", headers={header: said}).json() == {"status": "ok"}
    app = TestClient(student_application(Parrot(), "127.0.0.1", TOKEN), "http://localhost")
    headers = {"Authorization": f"Bearer {TOKEN}", header: "unknown"}
    assert app.post("/predict", json={"inputs": ["a"]}, headers=headers).status_code == 200


def test_a_page_of_another_site_asks_it_nothing():
    app = TestClient(student_application(Parrot(), "127.0.0.1", None), "http://localhost:8600")
    for origin, status in (("https://evil.example", 403), ("http://localhost:3000", 403), ("null", 403),
                           ("http://localhost:8600", 200)):  # fmt: skip
        assert app.post("/predict", json={"inputs": ["a"]}, headers={"Origin": origin}).status_code == status


@pytest.mark.parametrize(
    "names", [[], ["config.json"], *(["config.json", "config.yaml", odd] for odd in ("../evil", "a/b/c", "/etc/x"))]
)
def test_what_is_no_export_is_refused_before_anything_is_written(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "")
    with pytest.raises(ExportError, match="no exported student"):
        unpack(tmp_path / "odd.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_zip_or_is_not_there_is_told(tmp_path):
    (tmp_path / "x.zip").write_text("no zip")
    for name in ("x.zip", "nothing.zip"):
        with pytest.raises(ExportError, match="cannot be opened"):
            unpack(tmp_path / name, tmp_path / "out")
