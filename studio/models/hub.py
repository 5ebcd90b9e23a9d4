"""Download a model from the Hugging Face Hub, with progress; push one to it."""

import contextlib
import shutil
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, get_token, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from tqdm.auto import tqdm

from studio.errors import ExportError, ModelError
from studio.events import Progress
from studio.home import floor

WANTED = ["*.json", "*.txt", "*.safetensors", "*.model"]
"""Weights as safetensors, and what tokenizers and image processors are made of. Nothing that holds code or pickles."""

POLL_SECONDS = 0.25


def download(name: str) -> Generator[Progress, None, Path]:
    """Fetch `ORG/NAME` into the hub's own cache, yield progress in bytes and return the folder.

    What is in the cache already is not fetched again, and is used when there is no network.
    """
    done: dict[str, Any] = {"bytes": 0, "total": None}
    thread = threading.Thread(target=_fetch, args=(name, done), name=f"download {name}", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(POLL_SECONDS)
        yield Progress(phase="prepare", step=done["bytes"], total=done["total"], detail=f"Downloading {name} (bytes)")
    if "error" in done:
        raise _in_words(name, done["error"]) from done["error"]
    folder: Path = done["folder"]
    return folder


def cached(name: str) -> Path | None:
    """The folder of a model that is in the hub's cache on this machine; None where it is not. Nobody is asked."""
    try:
        return Path(snapshot_download(name, allow_patterns=WANTED, local_files_only=True))
    except (OSError, ValueError):
        return None


def is_here(name: str) -> bool:
    """Whether the model is in the hub's cache on this machine."""
    return cached(name) is not None


def has_token() -> bool:
    """Whether this machine is signed in to the hub."""
    return get_token() is not None


def push(folder: Path, name: str, private: bool) -> str:
    """Make the repository `ORG/NAME` and put all files of `folder` into it; returns its address.

    Raises `ExportError` where there is no token, no right, no network, or such a repository already.
    """
    if not has_token():
        raise ExportError(
            "This machine is not signed in to the Hugging Face Hub.", "Sign in with `hf auth login`, or set HF_TOKEN."
        )
    hub = HfApi()
    try:
        made = hub.create_repo(name, private=private, exist_ok=False)
        hub.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message="Student of Distillation Studio")
    except HFValidationError as error:
        raise ExportError(f"{name!r} is no name for a repository: {error}.", "Write ORG/NAME.") from error
    except HfHubHTTPError as error:
        raise ExportError(*_refused(name, error.response.status_code)) from error
    except (HTTPError, OfflineModeIsEnabled) as error:
        raise ExportError(
            f"The Hugging Face Hub does not answer ({type(error).__name__}).", "Check the network and try again."
        ) from error
    return str(made)


def _refused(name: str, status: int) -> tuple[str, str]:
    if status == 409:
        return f"There is a repository {name!r} already.", "Choose another name: nothing is overwritten."
    if status in (401, 403):
        return f"The hub does not let this account write to {name!r}.", "Take a token with the right to write."
    return f"The hub refused {name!r} with status {status}.", "Try again later."


def _fetch(name: str, done: dict[str, Any]) -> None:
    """Run in a thread of its own; leaves `folder` or `error` in `done`."""

    class Counted(tqdm):
        """Counts bytes for the caller instead of drawing."""

        def display(self, *_: Any, **__: Any) -> None:
            if self.unit == "B" and self.total:
                done["bytes"] = max(done["bytes"], int(self.n))
                done["total"] = int(self.total)

    try:
        _require_room(name)
        done["folder"] = Path(snapshot_download(name, allow_patterns=WANTED, tqdm_class=Counted))
    except Exception as error:  # noqa: BLE001  of whatever kind: it is handed to the caller's thread, which raises it in words
        done["error"] = error


def cached_in() -> Path:
    """Where the hub's files are kept, or will be: the first folder on the way there that is there."""
    cache = Path(constants.HF_HUB_CACHE)
    return next(place for place in (cache, *cache.parents) if place.is_dir())


def _require_room(name: str) -> None:
    """Raise `ModelError` where the model would take the last of the disk. Of a hub that does not answer the download
    itself tells."""
    coming = 0
    with contextlib.suppress(OSError, ValueError, HTTPError, OfflineModeIsEnabled):
        plan = snapshot_download(name, allow_patterns=WANTED, dry_run=True)
        coming = sum(file.file_size or 0 for file in plan if file.will_download)
    if not coming:
        return
    cache = cached_in()
    disk = shutil.disk_usage(cache)
    if disk.free - coming < floor(disk.total):
        raise ModelError(
            f"The model {name!r} takes {coming / 1e9:.1f} GB, and the disk that holds {cache} has "
            f"{disk.free / 1e9:.1f} GB left.",
            "Choose a smaller one, or free some space.",
        )


def _in_words(name: str, error: Exception) -> ModelError:
    if isinstance(error, ModelError):
        return error
    if isinstance(error, GatedRepoError):
        return ModelError(
            f"The model {name!r} is gated on the Hugging Face Hub.",
            "Accept its terms on its page and sign in with `hf auth login`, or choose another model.",
        )
    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        return ModelError(
            f"There is no model {name!r} on the Hugging Face Hub that this machine may read.",
            "Check the spelling (ORG/NAME); for a private model sign in with `hf auth login`.",
        )
    return ModelError(
        f"The model {name!r} could not be downloaded: the Hugging Face Hub does not answer ({type(error).__name__}).",
        "Check the network, or use a local folder or a built-in model.",
    )
