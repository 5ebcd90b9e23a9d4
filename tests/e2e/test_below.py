"""Below a path of another site the whole studio stands there: pages, reports, programs and the script of the charts."""

import json
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from studio import events
from studio.config.reading import parse_config
from tests.conftest import TINY
from tests.server import READY, served

pytestmark = pytest.mark.e2e


def test_reports_programs_and_the_script_of_the_charts_are_found_below_the_path(page: Page, home, store, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="finished", owner="me")
    said = [events.Evaluation(role=role, split="test", metric="accuracy", value=0.9, low=0.8, high=1.0, n=100)
            for role in ("teacher", "student", "control")]  # fmt: skip
    store.record(run.id, [*said, events.Verdict(outcome="better", sentence="The student kept 97 % of it.")])
    store.finish(run.id)
    with served(home.root, below="/studio") as address:

        def asked(path: str) -> str:
            with urllib.request.urlopen(f"{address}{path}", timeout=30) as answer:
                return answer.read().decode()

        assert [one["id"] for one in json.loads(asked("/api/runs"))["runs"]] == [run.id]
        assert json.loads(asked("/api/openapi.json"))["servers"] == [{"url": "/studio/api"}]
        assert "plotly.js" in asked("/studio-assets/plotly.min.js")[:200]
        told = page.goto(f"{address}/results?run={run.id}").headers
        assert {told[f"cross-origin-{what}-policy"] for what in ("opener", "resource")} == {"same-origin"}
        page.wait_for_selector(READY)
        links = [page.get_by_role("link", name=name).first for name in ("Report", "Present")]
        for link, path in zip(links, ("report", "slides"), strict=True):
            expect(link).to_have_attribute("href", f"/studio/{path}/{run.id}")
            assert "of the teacher’s accuracy" in asked(f"/{path}/{run.id}")
