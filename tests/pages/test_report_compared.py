"""A comparison of runs as one document."""

import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pages import _documents, _report_compared
from pages._language import in_language
from studio import events
from studio.config.reading import parse_config
from studio.errors import ConfigError, ExportError
from studio.service import report as service
from tests.conftest import TINY
from tests.pages.conftest import EVALUATIONS
from tests.pages.test_report import text


@pytest.fixture
def two(filled):
    run = filled.submit(parse_config({"dataset": "reviews", **TINY, "alpha": 0.25}), key="second", owner="me")
    said = [events.Evaluation(role="student", split="test", metric=metric, value=value * 1.05, n=100)
            for metric, value in EVALUATIONS.items()]  # fmt: skip
    filled.record(run.id, [*said, events.Verdict(outcome="better", sentence="So it is.")])
    filled.finish(run.id)
    filled.describe_run(run.id, name="<script>bolder</script>")
    return filled


def test_it_opens_with_the_best_and_the_picture_then_tests_models_settings(two, home):
    words = text(_report_compared.report(home, two, [1, 4]))
    order = ["A comparison of 2 runs", "scored best: 94.5 %", "with 95 % intervals", "More than chance?", "No test:",
             "All models", "What differs", "0.25", "How to reproduce it", "alpha: 0.25"]  # fmt: skip
    places = [words.index(one) for one in order]
    assert places == sorted(places)


def test_it_loads_nothing_and_what_people_wrote_is_text(two, home):
    document = _report_compared.report(home, two, [1, 4])
    assert "<script>" not in document
    assert not re.findall(r"""(?:src|href)\s*=|url\((?!data:)|@import""", document)


def test_it_speaks_the_readers_language(two, home):
    with in_language("zh"):
        assert 'lang="zh' in _report_compared.report(home, two, [1, 4])


def test_it_has_an_address_and_what_is_no_comparison_is_told(two, home):
    client = TestClient(Starlette(routes=_documents.routes()))
    assert "scored best" in client.get("/report/compare?runs=1,4").text
    found = client.get("/report/compare?runs=1,4&download")
    assert 'filename="comparison.html"' in found.headers["content-disposition"]
    for said, why in (("", "2 to 50"), ("1", "2 to 50"), ("1,99", "no run 99"), ("1,<b>", "2 to 50")):
        answer = client.get("/report/compare", params={"runs": said})
        assert (answer.status_code, why in answer.text) == (404, True), said


def test_it_is_written_to_a_file_that_is_not_there_yet(two, home, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(service, "_written", lambda *told: asked.append(told[1:]) or b"<p>all</p>")
    file = service.write_comparison(home, two, [1, 4], tmp_path / "both.html", "zh")
    assert file.read_bytes() == b"<p>all</p>"
    assert asked == [("_report_compared", ["1", "4"], "zh")]
    with pytest.raises(ExportError, match="there already"):
        service.write_comparison(home, two, [1, 4], file)
    with pytest.raises(ConfigError):
        service.write_comparison(home, two, [1], tmp_path / "one.html")
