"""An address of no page is answered with a sentence and a way on; every other one goes its way."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages._lost import Lost

BROWSER = {"accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def client():
    page = Route("/{path:path}", lambda request: PlainTextResponse("streamlit"))
    return TestClient(Starlette(routes=[page], middleware=[Middleware(Lost)]))


def test_a_mistyped_address_leads_to_the_page_that_may_be_meant(client):
    answer = client.get("/reslts", headers=BROWSER)
    assert answer.status_code == 404
    assert "There is no page “reslts”." in answer.text
    assert 'href="results"' in answer.text


def test_what_is_near_to_no_page_leads_home_and_is_no_markup(client):
    answer = client.get("/<b>qqqq<", headers=BROWSER | {"accept-language": "zh-CN"})
    assert "<b>qqqq" not in answer.text
    assert 'href="./"' in answer.text
    assert 'lang="zh' in answer.text


@pytest.mark.parametrize(
    "path",
    ["", "results", "run", "sweep", "new_run", "_stcore/health", "report/3", "media/abc.png", "api", "favicon.ico"],
)
def test_pages_files_and_what_programs_ask_go_their_way(client, path):
    assert client.get(f"/{path}", headers=BROWSER).text == "streamlit"
    assert client.get("/reslts", headers={"accept": "application/json"}).text == "streamlit"
