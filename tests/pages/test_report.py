"""The results of a run as one document, and as slides."""

import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pages import _documents, _report
from pages._language import in_language
from studio import events
from studio.config.reading import parse_config
from studio.errors import ExportError, StoreError, WorkerError
from studio.service import report as service
from studio.service.acts import Acts
from studio.service.people import local

EVIL = '<script>alert(1)</script> & "x"'


@pytest.fixture
def written(filled):
    return _report.report(filled, 1)


def text(document: str) -> str:
    body = document.partition("<body>")[2]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_it_opens_with_the_sentence_and_the_picture_then_says_all_that_it_rests_on(written):
    words = text(written)
    order = ["The teacher helped", "Keeps 100 % of the teacher", "on 100 test rows", "of the teacher’s accuracy kept",
             "How it was done", "A control was trained", "Classes", "How they learned", "All numbers",
             "What the words mean", "Data set", "Settings", "run.yaml", "dataset: reviews",
             "How to reproduce it"]  # fmt: skip
    places = [words.index(one) for one in order]
    assert places == sorted(places)


def test_a_run_of_which_only_data_and_models_were_given_has_a_report_and_slides(filled):
    """As Start makes it: what is left open follows from the data."""
    config = parse_config(
        {"dataset": "reviews", "teacher": "builtin/fasttext-large", "student": "builtin/fasttext-small"}
    )
    assert config.epochs is None
    run = filled.submit(config, key="plain", owner="me")
    said = [
        events.Metrics(phase=phase, step=step, values={"loss": 0.5}) for phase, step in (("distill", 40), ("teach", 90))
    ]
    said += [*filled.evaluations(1), events.Verdict(outcome="better", sentence="The student kept 97 % of it.")]
    filled.record(run.id, said)
    filled.finish(run.id)
    assert "in 40 steps of" in text(_report.report(filled, run.id))
    assert "The student kept 97 %" in text(_report.slides(filled, run.id))


def test_every_number_comes_from_the_run(written, filled):
    words = text(written)
    for one in filled.evaluations(1):
        if one.metric == "accuracy":
            assert f"{100 * one.value:.1f} % ({100 * one.low:.1f} % to {100 * one.high:.1f} %)" in words
    assert "2.5 ms" in words
    assert "4 MB" in words
    assert filled.dataset("reviews").fingerprint in words


def test_a_student_that_was_measured_before_it_learned_is_told_of_and_of_a_run_without_one_nothing_is(written, filled):
    assert "before it learned anything" not in text(written)
    filled.record(1, [
        events.Evaluation(role="untouched", split="test", metric="accuracy", value=0.85, low=0.8, high=0.88, n=100),
    ])  # fmt: skip
    words = text(_report.report(filled, 1))
    assert "The student was measured as it was before it learned anything, too." in words
    assert "85.0 % (80.0 % to 88.0 %)" in words


def test_nothing_in_it_is_loaded_from_anywhere(written, filled):
    for document in (written, _report.slides(filled, 1)):
        assert "<link" not in document
        assert not re.search(r"""(src|href|action|poster|data)\s*=\s*["']?(?!#)""", document.partition("<body>")[2])
        assert re.findall(r"url\((?!data:)", document) == []
        assert "@import" not in document
        assert re.findall(r"https?://[^\s\"'<)]*", document) == []


def test_what_people_wrote_is_text(home, filled):
    Acts(local(), home, filled).describe(1, name=EVIL[:70], note=EVIL)
    for document in (_report.report(filled, 1), _report.slides(filled, 1)):
        assert "<script>alert" not in document
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in document


def test_it_speaks_the_readers_language(filled):
    with in_language("zh"):
        assert '<html lang="zh-Hans">' in _report.report(filled, 1)
    assert '<html lang="en">' in _report.report(filled, 1)


def test_a_run_without_results_has_no_report(filled):
    for run in (2, 3, 99):
        with pytest.raises(StoreError):
            _report.report(filled, run)


def test_report_and_slides_have_addresses_of_their_own(home, filled):
    asked = TestClient(Starlette(routes=_documents.routes()))
    assert "Keeps 100 %" in asked.get("/report/1").text
    assert asked.get("/slides/1").text.count('<section class="slide">') >= 4
    assert asked.get("/report/1?download").headers["content-disposition"] == 'attachment; filename="report-1.html"'
    assert '<html lang="zh-Hans">' in asked.get("/report/1", headers={"Accept-Language": "zh-CN"}).text
    named = asked.get("/report/١?download").headers  # one, as it is written in Arabic
    assert named["content-disposition"] == 'attachment; filename="report-1.html"'
    for wrong in ("2", "99", "9" * 30, "x", "-1"):
        assert asked.get(f"/report/{wrong}").status_code == 404


def test_a_program_of_its_own_writes_it_and_nothing_is_overwritten(home, filled, tmp_path):
    file = service.write(home, filled, 1, tmp_path / "new" / "report.html")
    assert "Keeps 100\N{NO-BREAK SPACE}%" in file.read_text(encoding="utf-8")
    with pytest.raises(ExportError, match="there already"):
        service.write(home, filled, 1, file)


def test_what_cannot_be_written_is_told(home, filled, tmp_path, monkeypatch):
    with pytest.raises(ExportError, match="no results yet"):
        service.write(home, filled, 3, tmp_path / "report.html")
    with pytest.raises(ExportError, match=r"must end in \.html"):
        service.write(home, filled, 1, tmp_path / "report.pdf")
    with pytest.raises(ExportError, match="no report in 'fr'"):
        service.write(home, filled, 1, tmp_path / "report.html", "fr")
    monkeypatch.setattr(service.sys, "executable", "/bin/false")
    with pytest.raises(WorkerError):
        service.write(home, filled, 1, tmp_path / "report.html")
    assert list(tmp_path.glob("report*")) == []
