"""Uploads that come, and those that windows hold, leave the server memory and disk."""

import shutil
from types import SimpleNamespace

import psutil
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from pages import _uploads
from pages._uploads import STEP, Uploads
from studio.machine import cgroups

PATH = "/_stcore/upload_file/session/file"


@pytest.fixture
def held(monkeypatch):
    """The uploads of open windows, of a server that has a gigabyte of memory free."""
    manager = MemoryUploadedFileManager("/upload")
    monkeypatch.setattr(runtime, "get_instance", lambda: SimpleNamespace(uploaded_file_mgr=manager))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10**9))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**12))
    monkeypatch.setattr(cgroups, "left", list)
    return manager


@pytest.fixture
def server():
    async def take(request):
        return PlainTextResponse(str(len(await request.body())))

    routes = [Route(path, take, methods=["PUT"]) for path in (PATH, "/api")]
    made = []
    app = Starlette(routes=routes, middleware=[Middleware(lambda app: made.append(Uploads(app)) or made[0])])
    client = TestClient(app)
    client.get("/")
    return made[0], client


def test_uploads_take_half_of_the_memory_and_of_the_disk(held, monkeypatch):
    assert _uploads.room() == 500_000_000
    held.add_file("session", UploadedFileRec("one", "a.csv", "", bytes(1_000_000)))
    assert _uploads.room() == 499_500_000
    monkeypatch.setattr(cgroups, "left", lambda: [1_000_000])
    assert _uploads.room() == 0
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=-10))
    assert _uploads.room() == -5


def test_an_upload_that_says_it_is_larger_than_the_room_is_refused_before_it_comes(server, monkeypatch):
    inner, client = server
    monkeypatch.setattr(_uploads, "room", lambda: 100)
    assert client.put(PATH, content=b"x" * 100).text == "100"
    answer = client.put(PATH, content=b"x" * 101)
    assert (answer.status_code, answer.text) == (413, _uploads.FULL)
    assert client.put("/api", content=b"x" * 101).text == "101"
    assert inner.coming == 0


def test_one_that_does_not_say_how_long_it_is_ends_where_the_room_does(server, monkeypatch):
    inner, client = server
    monkeypatch.setattr(_uploads, "room", lambda: 3 * STEP)
    assert client.put(PATH, content=iter([bytes(STEP // 2)] * 10)).status_code == 413
    inner.coming = 3 * STEP  # of others
    assert client.put(PATH, content=iter([bytes(STEP)])).status_code == 413
    assert inner.coming == 3 * STEP
