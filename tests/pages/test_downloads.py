"""Large files are handed out from the disk, to who had them made and nobody else."""

import pytest
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.testclient import TestClient

from pages import _downloads
from studio.service.passing import room
from studio.service.people import Person

ZIP = "student-1.zip"


@pytest.fixture
def server(home, monkeypatch):
    monkeypatch.setenv("STUDIO_HOME", str(home.root))
    return TestClient(Starlette(routes=_downloads.routes()))


def packed(home, owner):
    """The address of a file that its owner had made."""
    file = room(home, home.downloads, owner=owner) / ZIP
    file.write_bytes(b"the student")
    return f"/download/{file.parent.name}/{ZIP}"


def signed_in(monkeypatch, role, name):
    monkeypatch.setattr(_downloads, "needs_login", lambda: True)
    person = None if role is None else Person(name, role, name)
    monkeypatch.setattr(_downloads.login, "who", lambda cookies: person)


def test_a_file_is_read_from_the_disk_a_part_at_a_time(server, home, monkeypatch):
    address = packed(home, "")
    assert isinstance(_downloads._found(asked(address)), FileResponse)
    answer = server.get(address)
    assert (answer.content, answer.headers["content-disposition"]) == (b"the student", f'attachment; filename="{ZIP}"')
    assert answer.headers["cache-control"] == "no-store"
    assert server.get(address, headers={"Range": "bytes=4-6"}).content == b"stu"


def asked(address):
    from starlette.requests import Request

    _, _, token, name = address.split("/")
    return Request({"type": "http", "path_params": {"token": token, "name": name}, "headers": []})


def test_only_who_had_a_file_made_gets_it(server, home, monkeypatch):
    address = packed(home, "mia@example.org")
    assert server.get(address).status_code == 404  # without a login nobody is called so
    for role, name in ((None, ""), ("member", "max@example.org"), ("admin", "ada@example.org")):
        signed_in(monkeypatch, role, name)
        assert server.get(address).status_code == 404
    signed_in(monkeypatch, "viewer", "mia@example.org")  # who may no longer take students away
    assert server.get(address).status_code == 404
    signed_in(monkeypatch, "member", "mia@example.org")
    assert server.get(address).content == b"the student"


def test_no_other_file_has_such_an_address(server, home):
    address = packed(home, "")
    folder = address.rpartition("/")[0]
    (home.root / "studio.txt").write_text("secret")
    beside = ("other.zip", "owner", "..%2f..%2fstudio.txt", "%2e%2e")
    elsewhere = ("/download/../studio.txt", f"/download/{'a' * 22}/{ZIP}", f"/download/x/{ZIP}")
    for wrong in (*(f"{folder}/{name}" for name in beside), *elsewhere):
        assert server.get(wrong).status_code == 404
