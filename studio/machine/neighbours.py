"""Whose program on this machine opens a connection: Linux says which user each of its sockets belongs to. A proxy's is
not that of who asks."""

import contextlib
import ipaddress
import os
import sys
from collections.abc import Container, Iterator
from pathlib import Path
from typing import NamedTuple

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
ESTABLISHED, ROOT = "01", 0

FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port",
             "x-forwarded-server", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip")  # fmt: skip
"""The headers of a request that proxies add; anybody else can, too."""

Address = tuple[str, int]


class _Socket(NamedTuple):
    local: str
    remote: str
    state: str
    user: int


def is_of_another_user(client: Address, server: Address) -> bool:
    """Whether this connection, which the server has, was opened by another user of this machine than its own and root.
    One that its opener has closed already may be anybody's. False where the system does not tell."""
    asking, answering = _written(client), _written(server)
    known = list(_sockets())
    if not known or not asking:
        return False
    if not any(
        connection.local in answering and connection.remote in asking and connection.state == ESTABLISHED
        for connection in known
    ):
        return True
    theirs = [connection for connection in known if connection.local in asking and connection.remote in answering]
    return any(connection.user not in (os.getuid(), ROOT) for connection in theirs)


def is_passed_on(headers: Container[str]) -> bool:
    """Whether a request says that a proxy passes it on: who asks is somebody else than who opened the connection."""
    return any(name in headers for name in FORWARDED)


def _sockets() -> Iterator[_Socket]:
    for table in TABLES:
        with contextlib.suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                _, local, remote, state, _, _, _, user, *_ = line.split()
                yield _Socket(local, remote, state, int(user))


def _written(address: Address) -> set[str]:
    """An address as the tables write it; one of IPv4 also as programs have it that know IPv6 alone.

    >>> sorted(_written(("127.0.0.1", 8501)))
    ['0000000000000000FFFF00000100007F:2135', '0100007F:2135']
    """
    try:
        host = ipaddress.ip_address(address[0])
    except ValueError:
        return set()
    forms = [host.packed]
    if host.version == 4:
        forms.append(ipaddress.ip_address(f"::ffff:{host}").packed)
    return {f"{''.join(map(_word, _words(form)))}:{address[1]:04X}" for form in forms}


def _words(packed: bytes) -> list[bytes]:
    return [packed[start : start + 4] for start in range(0, len(packed), 4)]


def _word(four: bytes) -> str:
    return f"{int.from_bytes(four, sys.byteorder):08X}"
