"""The bodies of requests: how long one may be, how long it may take to come, and how much of all is held at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import Request

from studio.errors import LimitError
from studio.serve.batching import BusyError

MOST_BYTES, MOST_HELD = 16 * 1024**2, 512 * 1024**2
"""Of one body, and of all that are being read or wait for their answers."""

SECONDS = 120.0


class Bodies:
    """Those of one server."""

    def __init__(self, most_held: int = MOST_HELD, seconds: float = SECONDS) -> None:
        self.most_held, self.seconds = most_held, seconds
        self.held = 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body, which counts as held until the block ends. Raises `LimitError` as soon as it is too long, or where
        it does not come in time, `BusyError` where the others leave it no room."""
        body = bytearray()
        try:
            await self._fill(body, request)
            yield bytes(body)
        finally:
            self.held -= len(body)

    async def _fill(self, body: bytearray, request: Request) -> None:
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > MOST_BYTES:
            raise _too_long()
        try:
            async with asyncio.timeout(self.seconds):
                async for part in request.stream():
                    body += part
                    self.held += len(part)
                    if len(body) > MOST_BYTES:
                        raise _too_long()
                    if self.held > self.most_held:
                        raise BusyError("The server holds as many bytes as it may.", "Ask again in a second.")
        except TimeoutError as error:
            late = f"The request was not here after {self.seconds:.0f} seconds."
            raise LimitError(late, "Send the rows in several requests.") from error


def _too_long() -> LimitError:
    return LimitError(f"A request has at most {MOST_BYTES // 1024**2} MB.", "Send the rows in several requests.")
