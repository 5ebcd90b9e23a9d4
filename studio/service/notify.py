"""A word to another program when a run is over: a POST with JSON to the address in `STUDIO_WEBHOOK`."""

import json
import logging
import os
import urllib.error
import urllib.request

from studio.store.rows import RunRow

SECONDS = 10.0
_log = logging.getLogger(__name__)


def run_is_over(run: RunRow) -> None:
    """Tell how a run ended; without an address nothing happens. An address that does not answer is noted in the log,
    and the run is what it is."""
    address = os.environ.get("STUDIO_WEBHOOK", "")
    if not address:
        return
    if not address.startswith(("http://", "https://")):
        _log.error("STUDIO_WEBHOOK must begin with http:// or https://, got %r.", address)
        return
    said = {
        "run": run.id,
        "status": run.status,
        "dataset": run.config.dataset,
        "student": run.config.student,
        "outcome": run.outcome,
        "text": f"Run {run.id} {run.status}. {run.verdict or run.message or ''}".strip(),
    }
    request = urllib.request.Request(  # noqa: S310  it begins with http, see above
        address, json.dumps(said).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
            pass
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        _log.warning("%s did not take the news of run %s: %s", address, run.id, error)
