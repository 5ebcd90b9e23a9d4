"""Uploads on their way: Streamlit holds them in the server's memory, and on its disk while they come. Together they
take a part of both, so that nobody's uploads end the server."""

import shutil
import tempfile

import psutil
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import runtime
from streamlit.runtime.stats import CacheStat

from pages._access import base
from studio.machine import cgroups

UPLOADS = "/_stcore/upload_file/"
FULL = "The studio has no room for this upload now. Close windows with other uploads, or wait."
STEP = 16 * 1024**2
"""After so many bytes it is asked again whether there is room."""


class Uploads:
    """Lets bodies of uploads in as far as there is room for them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.coming = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(base() + UPLOADS):
            return await self.app(scope, receive, send)
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            before, size = came, len(message.get("body", b""))
            came, self.coming = came + size, self.coming + size
            if came // STEP > before // STEP and self.coming > room():
                raise HTTPException(413, FULL)
            return message

        if self.coming + _told(scope) > room():
            return await PlainTextResponse(FULL, 413)(scope, receive, send)
        try:
            await self.app(scope, counted, send)
        finally:
            self.coming -= came


def _told(scope: Scope) -> int:
    written = Headers(scope=scope).get("content-length", "")
    return int(written) if written.isdecimal() and len(written) < 20 else 0


def room() -> int:
    """Bytes that may come: half of the memory that there would be without uploads, and half of the disk."""
    held = _held()
    memory = min([psutil.virtual_memory().available, *cgroups.left()])
    return min((memory + held) // 2 - held, shutil.disk_usage(tempfile.gettempdir()).free // 2)


def _held() -> int:
    """Bytes of all uploads of windows that are open."""
    stats = runtime.get_instance().uploaded_file_mgr.get_stats().values()
    return sum(stat.byte_length for some in stats for stat in some if isinstance(stat, CacheStat))
