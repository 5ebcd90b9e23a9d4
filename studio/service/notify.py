"""A word to another program when a run is over: a POST with JSON to the address in `STUDIO_WEBHOOK`.

It goes to the internet alone, unless `STUDIO_WEBHOOK_PRIVATE` is 1. The address may hold a secret: logs name its host.
"""

import http.client
import json
import logging
import os
from urllib.parse import SplitResult

from studio.errors import DataError
from studio.language import escaping
from studio.service import web
from studio.store.rows import RunRow

SECONDS = 10.0
_log = logging.getLogger(__name__)


def run_is_over(run: RunRow) -> None:
    """Tell how a run ended; without an address nothing happens. An address that does not answer is noted in the log,
    and the run is what it is."""
    address = os.environ.get("STUDIO_WEBHOOK", "")
    if not address:
        return
    parts = _parts(address)
    if parts is None or not parts.hostname:
        _log.error("STUDIO_WEBHOOK must be an address that begins with http:// or https://.")
        return
    said = {
        "run": run.id,
        "status": run.status,
        "dataset": run.config.dataset,
        "student": run.config.student,
        "outcome": run.outcome,
        "text": escaping.in_chat(f"Run {run.id} {run.status}. {run.verdict or run.message or ''}".strip()),
    }
    try:
        status = _posted(parts, parts.hostname, json.dumps(said).encode())
    except (OSError, http.client.HTTPException, DataError) as error:
        said_back = escaping.in_terminal(" ".join(str(error).split()))
        _log.warning("%s did not take the news of run %s: %s", parts.hostname, run.id, said_back)
        return
    if status >= 300:  # it is not followed elsewhere
        _log.warning("%s did not take the news of run %s: it answers with %s", parts.hostname, run.id, status)


def _parts(address: str) -> SplitResult | None:
    """The address by its parts; None where it is none of the web."""
    try:
        parts = web.parted(address, "")
    except DataError:
        return None  # its message holds the address
    return parts if parts.scheme in ("http", "https") else None


def _posted(parts: SplitResult, host: str, body: bytes) -> int:
    """The status of the answer. Raises `DataError` where the host is of this machine or its network."""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = host if os.environ.get("STUDIO_WEBHOOK_PRIVATE") == "1" else web.public_address(host, port)
    connection = web.connection(parts.scheme, host, address, port, SECONDS)
    try:
        with web.cut_off(connection, SECONDS):
            connection.request("POST", web.target(parts), body, {"Content-Type": "application/json"})
            return connection.getresponse().status
    finally:
        connection.close()
