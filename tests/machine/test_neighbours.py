"""On a machine that others use, a connection of theirs is not one of the studio's own user."""

import contextlib
import os
import socket
import struct

import pytest

from studio.machine import neighbours
from studio.machine.neighbours import is_of_another_user


@contextlib.contextmanager
def connected(family=socket.AF_INET, host="127.0.0.1", to="127.0.0.1"):
    """(the client's socket, where it is, where the server is)."""
    with socket.create_server((host, 0), family=socket.AF_INET if "." in host else socket.AF_INET6) as server:
        with socket.socket(family) as client:
            client.connect((to, server.getsockname()[1]))
            here, there = server.accept()
            with here:
                yield client, there[:2], here.getsockname()[:2]


@pytest.fixture
def told():
    """The tables of sockets, where the system has them."""
    if not neighbours.TABLES[0].exists():
        pytest.skip("this system does not tell whose a socket is")


def test_what_this_user_opens_is_its_own(told):
    with connected() as (_, client, server):
        assert not is_of_another_user(client, server)


@pytest.mark.parametrize(("family", "host", "to"), [(socket.AF_INET6, "127.0.0.1", "::ffff:127.0.0.1"),
                                                    (socket.AF_INET6, "::1", "::1")])  # fmt: skip
def test_so_is_what_it_opens_by_ipv6(told, family, host, to):
    try:
        made = connected(family, host, to)
        with made as (_, client, server):
            assert not is_of_another_user(client, server)
    except OSError:
        pytest.skip("this machine has no IPv6")


def test_what_another_user_opens_is_not_but_root_may(told, monkeypatch):
    sockets = neighbours._sockets
    for user, is_another in ((12_345, True), (0, False)):
        with connected() as (_, client, server), monkeypatch.context() as other:
            other.setattr(neighbours, "_sockets", lambda user=user: [one._replace(user=user) for one in sockets()])
            other.setattr(os, "getuid", lambda: 54_321)
            assert is_of_another_user(client, server) is is_another


@pytest.mark.parametrize("linger", [struct.pack("ii", 1, 0), None], ids=["torn", "closed"])
def test_what_was_closed_before_it_was_looked_at_may_be_anybodys(told, linger):
    with connected() as (opened, client, server):
        if linger is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        opened.close()
        assert is_of_another_user(client, server)


def test_what_no_program_here_has_opened_comes_through_the_system_and_is_answered(told, monkeypatch):
    sockets = neighbours._sockets
    with connected() as (_, client, server):
        port = f":{client[1]:04X}"
        monkeypatch.setattr(neighbours, "_sockets", lambda: [one for one in sockets() if not one.local.endswith(port)])
        assert not is_of_another_user(client, server)


def test_where_the_system_does_not_tell_nothing_is_refused(monkeypatch):
    assert not is_of_another_user(("testclient", 50_000), ("testserver", 80))
    monkeypatch.setattr(neighbours, "TABLES", ())
    assert not is_of_another_user(("127.0.0.1", 1), ("127.0.0.1", 2))
