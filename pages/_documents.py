"""Reports and slides at addresses of their own: /report/3 to read and print, /slides/3 to present."""

from collections.abc import Callable, Sequence

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from pages import _report as reports
from pages import _report_compared as comparisons
from pages._access import base
from pages._language import _, in_language, reader_of
from pages._studio import LONGEST_NUMBER
from studio.errors import StudioError
from studio.home import Home
from studio.store.store import Store

Write = Callable[[Store, int], str]


def routes() -> list[Route]:
    """The addresses; the door asks for a login before them as before every page."""
    return [
        Route(f"{base()}/report/compare", _comparison),
        Route(f"{base()}/report/{{run}}", _answers(reports.report)),
        Route(f"{base()}/slides/{{run}}", _answers(reports.slides)),
    ]


def _answers(write: Write) -> Callable[[Request], object]:
    async def answer(request: Request) -> Response:
        return await run_in_threadpool(_document, write, request)

    return answer


def _document(write: Write, request: Request) -> Response:
    with in_language(reader_of(request)):
        number = str(request.path_params["run"])
        if not number.isdecimal() or len(number) > LONGEST_NUMBER:
            return PlainTextResponse(_("There is no such run."), 404)
        try:
            written = write(Store(Home.from_environment().database), int(number))
        except StudioError as error:
            return PlainTextResponse(str(error), 404)
    name = f"{request.url.path.strip('/').split('/')[-2]}-{int(number)}.html"
    return HTMLResponse(written, headers=_kept(name, request))


async def _comparison(request: Request) -> Response:
    return await run_in_threadpool(_compared, request)


def _compared(request: Request) -> Response:
    """The report of a comparison: /report/compare?runs=1,4."""
    with in_language(reader_of(request)):
        said = request.query_params.get("runs", "").split(",")
        numbers = [int(run_id) for run_id in said if run_id.isdecimal() and len(run_id) <= LONGEST_NUMBER]
        home = Home.from_environment()
        try:
            written = comparisons.report(home, Store(home.database), numbers)
        except StudioError as error:
            return PlainTextResponse(str(error), 404)
    return HTMLResponse(written, headers=_kept("comparison.html", request))


def _kept(name: str, request: Request) -> dict[str, str]:
    """A file of this name, where it is asked for."""
    return {"Content-Disposition": f'attachment; filename="{name}"'} if "download" in request.query_params else {}


def of_comparison(run_ids: Sequence[int]) -> None:
    """The way to the report of a comparison."""
    runs = ",".join(map(str, run_ids))
    st.link_button(_("Report of this comparison"), f"{base()}/report/compare?runs={runs}", icon=":material/article:",
                   type="tertiary")  # fmt: skip


def buttons(run_id: int) -> None:
    """The way to the report and the slides of a run."""
    st.link_button(_("Report"), f"{base()}/report/{run_id}", icon=":material/article:", type="tertiary")
    st.link_button(_("Present"), f"{base()}/slides/{run_id}", icon=":material/slideshow:", type="tertiary")
