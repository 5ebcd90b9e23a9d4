"""Files to take away, handed out from the disk as they lie there: a large one never fills the server's memory. Each has
an address that nobody can guess, for the person who had it made alone."""

import re
from pathlib import Path

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from pages import _login as login
from pages._access import base, needs_login
from pages._language import _, in_language, reader_of
from studio.home import Home
from studio.service import passing

_TOKEN, _NAME = re.compile(r"[\w-]{22}"), re.compile(r"[\w-]+\.zip")


def routes() -> list[Route]:
    """The addresses; the door asks for a login before them as before every page."""
    return [Route(f"{base()}/download/{{token}}/{{name}}", _file)]


def button(label: str, file: Path, *, primary: bool = False) -> None:
    """The way to a file in a folder of its own among the downloads of a home."""
    st.link_button(label, f"{base()}/download/{file.parent.name}/{file.name}", icon=":material/download:",
                   type="primary" if primary else "secondary")  # fmt: skip


async def _file(request: Request) -> Response:
    return await run_in_threadpool(_found, request)


def _found(request: Request) -> Response:
    token, name = str(request.path_params["token"]), str(request.path_params["name"])
    folder = Home.from_environment().downloads / token
    is_one = _TOKEN.fullmatch(token) and _NAME.fullmatch(name) and (folder / name).is_file()
    if not is_one or not _is_theirs(folder, request):
        with in_language(reader_of(request)):
            return PlainTextResponse(_("This file is no longer here. Make it again."), 404)
    return FileResponse(folder / name, filename=name, headers={"Cache-Control": "no-store"})


def _is_theirs(folder: Path, request: Request) -> bool:
    """Whether who sends the request had it made, and may still take files away."""
    if not needs_login():
        return passing.owner_of(folder) == ""
    person = login.who(request.cookies)
    return person is not None and person.has("member") and passing.owner_of(folder) == person.address
