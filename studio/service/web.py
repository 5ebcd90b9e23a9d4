"""A file by its address: https alone, so many bytes and no more, and never from this machine or its network."""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from studio.data import uploads
from studio.errors import DataError, LimitError
from studio.home import require_room

SILENT_SECONDS, SECONDS = 30.0, 1800.0
"""For how long a server may say nothing, and how long a file may take."""

REDIRECTS = 5
HUB = "hub:"
"""Before the name of a data set of the Hugging Face Hub."""

CHUNK = 1024**2
_ASKED = {"Accept-Encoding": "identity", "User-Agent": "studio"}
_MOVED = (301, 302, 303, 307, 308)
_TYPES = {"text/csv": ".csv", "text/tab-separated-values": ".tsv", "application/json": ".json", "text/plain": ".txt",
          "application/x-ndjson": ".jsonl", "application/jsonl": ".jsonl", "application/zip": ".zip",
          "application/gzip": ".gz", "application/vnd.apache.parquet": ".parquet"}  # fmt: skip
_GLOBAL, _NAT64 = ipaddress.ip_network("2000::/3"), ipaddress.ip_network("64:ff9b::/96")

Tell = Callable[[int, int | None], None]
"""How many bytes are here, and of how many, as far as the server says."""


@dataclass(frozen=True)
class Fetched:
    """Where a file is now, and what it is called where it came from."""

    path: Path
    name: str


def is_remote(reference: str) -> bool:
    """Whether it names something that is not on this machine.

    >>> is_remote("hub:stanfordnlp/imdb"), is_remote("https://example.org/a.csv"), is_remote("a.csv")
    (True, True, False)
    """
    return reference.startswith((HUB, "https://", "http://"))


def download(address: str, folder: Path, tell: Tell = lambda done, total: None) -> Fetched:
    """Fetch the file into the folder, under a name of our own.

    Raises `DataError` where the address or one that it leads to is not https, names this machine or its network, or
    does not answer with a file; `LimitError` where the file is too large.
    """
    end = time.monotonic() + SECONDS
    for _ in range(REDIRECTS + 1):
        parts = _checked(address)
        connection = None
        try:
            connection = _connection(parts.hostname or "", parts.port or 443)
            with cut_off(connection, end - time.monotonic()):
                connection.request("GET", target(parts), headers=_ASKED)
                response = connection.getresponse()
                if response.status not in _MOVED:
                    return _received(response, parts, folder, tell, end)
            address = urljoin(address, response.getheader("Location") or "")
        except (OSError, http.client.HTTPException) as error:
            _require_time(end)
            raise DataError(
                f"{parts.hostname} does not answer: {error or type(error).__name__}.",
                "Check the address and the network.",
            ) from error
        finally:
            if connection is not None:
                connection.close()
    raise DataError(f"The address leads on more than {REDIRECTS} times.", "Give the address of the file itself.")


def _checked(address: str) -> SplitResult:
    parts = parted(address, "Write https://HOST/FILE.")
    if parts.scheme != "https" or not parts.hostname:
        raise DataError(f"{address!r} does not begin with https://.", "Files are fetched by https alone.")
    if parts.username or parts.password:
        raise DataError("The address holds a name or a password.", "Fetch the file yourself, and bring it.")
    if any(letter <= " " or letter == "\x7f" for letter in address):
        raise DataError(f"{address!r} holds white space.", "Write %20 for a space.")
    return parts


def parted(address: str, cure: str) -> SplitResult:
    """The parts of an address. Raises `DataError` where it is none, such as one with a port that is no number."""
    try:
        parts = urlsplit(address)
        _ = parts.port, (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise DataError(f"{address!r} is no address: {error}.", cure) from error
    return parts


def target(parts: SplitResult) -> str:
    """What is asked for at the host: the path and the query, in letters that HTTP allows."""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return path.encode("utf-8").decode("latin-1") if path.isascii() else _quoted(path)


def _quoted(path: str) -> str:
    return "".join(
        letter if letter.isascii() else "".join(f"%{byte:02X}" for byte in letter.encode()) for letter in path
    )


def _connection(host: str, port: int) -> http.client.HTTPConnection:
    """To an address that was looked at: what the name means a moment later does not matter."""
    return connection("https", host, public_address(host, port), port, SILENT_SECONDS)


def connection(scheme: str, host: str, address: str, port: int, seconds: float) -> http.client.HTTPConnection:
    """To the host at this very address."""
    if scheme == "https":
        made: http.client.HTTPConnection = http.client.HTTPSConnection(host, port, timeout=seconds)
        made.sock = _opened(address, port, host, seconds)
    else:
        made = http.client.HTTPConnection(host, port, timeout=seconds)
        made.sock = socket.create_connection((address, port), seconds)
    return made


@contextlib.contextmanager
def cut_off(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """The connection ends after so long, whatever comes: a server may go on for ever with headers that mean nothing, or
    send them letter by letter."""

    def end(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it is over already
            socket.socket.shutdown(
                sock, socket.SHUT_RDWR
            )  # that of the class: TLS would be taken from under the reader

    timer = threading.Timer(max(0.0, seconds), end, [connection.sock])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _opened(address: str, port: int, host: str, seconds: float) -> socket.socket:
    raw = socket.create_connection((address, port), seconds)
    try:
        return ssl.create_default_context().wrap_socket(raw, server_hostname=host)
    except BaseException:
        raw.close()
        raise


def public_address(host: str, port: int) -> str:
    """An address of the host. Raises `DataError` where one of its addresses is of this machine or its network."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DataError(f"There is no host {host!r}: {error}.", "Check the address and the network.") from error
    addresses = [str(each[4][0]) for each in found]
    private = next((address for address in addresses if not is_public(address)), None)
    if private is not None:
        raise DataError(
            f"{host} is {private}, an address of this machine or its network, from which nothing is fetched.",
            "Fetch the file yourself, and bring it.",
        )
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an address is one of the internet; one that hides another is what it hides.

    >>> is_public("8.8.8.8"), is_public("10.0.0.1"), is_public("::1"), is_public("::ffff:127.0.0.1")
    (True, False, False, False)
    >>> is_public("2001:4860:4860::8888"), is_public("fec0::1"), is_public("::7f00:1"), is_public("64:ff9b:1::a00:1")
    (True, False, False, False)
    """
    known = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(known, ipaddress.IPv6Address):
        hidden = [known.ipv4_mapped, known.sixtofour, *(known.teredo or ())]
        if known in _NAT64:
            hidden.append(ipaddress.IPv4Address(int(known) & 0xFFFFFFFF))
        if known not in _GLOBAL and known not in _NAT64:
            return False  # among others sites' own addresses, and IPv4 ones in forms that are not written any more
        if not all(is_public(str(each)) for each in hidden if each is not None):
            return False
    return known.is_global and not known.is_multicast


def _received(response: http.client.HTTPResponse, parts: SplitResult, folder: Path, tell: Tell, end: float) -> Fetched:
    if response.status != 200:
        raise DataError(
            f"{parts.hostname} answers with {response.status} {response.reason}.",
            "Check the address; open it in a browser.",
        )
    packed = response.getheader("Content-Encoding", "identity")
    if packed != "identity":
        raise DataError(
            f"{parts.hostname} sends the file packed as {packed}, unasked.", "Fetch it yourself, and bring it."
        )
    length = response.getheader("Content-Length") or ""
    total = int(length[:30]) if length.isdecimal() else None  # of more digits Python makes no number
    _require_small(total or 0)
    require_room(folder, total or 0)
    file, size = folder / "file", 0
    with file.open("wb") as opened:
        while chunk := response.read1(CHUNK):
            size += len(chunk)
            _require_small(size)
            require_room(folder)
            opened.write(chunk)
            tell(size, total)
    _require_time(end)
    if total is not None and size != total:
        raise DataError(f"{size:,} of {total:,} bytes came.", "Try again.")
    return Fetched(file, _name(parts, response.getheader("Content-Type") or ""))


def _require_time(end: float) -> None:
    """Raise `LimitError` after the end, when the connection was cut off."""
    if time.monotonic() > end:
        raise LimitError(f"The file was not here after {SECONDS / 60:.0f} minutes.", "Fetch it yourself.")


def _require_small(size: int) -> None:
    if size > uploads.MAX_BYTES:
        raise LimitError(f"The file has more than {uploads.MAX_BYTES // 1024**3} GiB.", "Split it.")


def _name(parts: SplitResult, content_type: str) -> str:
    """What the file is called: the end of the address, with an ending by the kind of file where it has none."""
    name = PurePosixPath(unquote(parts.path)).name or "data"
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/html":
        raise DataError("The address is that of a web page, not of a file.", "Give the address of the file itself.")
    return name if PurePosixPath(name).suffix else name + _TYPES.get(kind, "")
