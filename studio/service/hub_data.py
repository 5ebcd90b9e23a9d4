"""A data set of the Hugging Face Hub by its name: the tables that it holds, by their splits. No code of it runs."""

import glob
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm.auto import tqdm

from studio.data import apart, splits, uploads
from studio.data.uploads import Upload
from studio.errors import DataError, LimitError
from studio.home import require_room
from studio.models import hub
from studio.service.web import HUB, Tell

TABLES = (".parquet", ".csv", ".tsv", ".jsonl", ".json")
PACKED = (".gz", ".zst", ".xz", ".bz2")
ABOUT = ("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json")
_SHARD = re.compile(r"[-_.]?\d+(-of-\d+)?$")
CONVERTED = "refs/convert/parquet"
MOST_NAMED = 10
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class _Part:
    """A file of a data set: what it is called there, how many bytes it has, its split, and whether it has labels."""

    file: str
    size: int
    split: str
    has_labels: bool


def read(name: str, tell: Tell = lambda done, total: None) -> Upload:
    """The rows of `ORG/NAME`, or of `ORG/NAME/SUBSET`, in splits.

    Raises `DataError`, which names the subsets where there are several; `LimitError` where it is too large.
    """
    repository, subset = _named(name)
    try:
        about = HfApi().dataset_info(repository, files_metadata=True)
        configs = _configs(about.card_data)
        if not _sizes(about):
            about, configs = _converted(repository) or about, {}
        found, left = _parts(repository, subset, _sizes(about), configs)
        total = sum(part.size for part in found)
        if total > uploads.MAX_BYTES:
            raise LimitError(
                f"{name} has {total / 1e9:.1f} GB; at most {uploads.MAX_BYTES / 1e9:.1f} are read.", "Bring a part."
            )
        require_room(hub.cached_in(), total)
        folder = _fetched(repository, about.sha, found, tell)
    except (OSError, ValueError, HTTPError, OfflineModeIsEnabled) as error:
        raise _in_words(repository, error) from error
    joined = uploads.joined([(f"{part.split}.table", _read(folder / part.file, part)) for part in found])
    notes = [f"{len(found)} files of {repository} on the Hugging Face Hub, revision {str(about.sha)[:8]}."]
    if left:
        notes.append(f"Not read, for their names say no split: {', '.join(left[:MOST_NAMED])}.")
    return Upload(joined.kind, joined.table, (*notes, *dict.fromkeys(joined.notes)), refused=joined.refused)


def _named(name: str) -> tuple[str, str | None]:
    """The repository, and the subset that is asked for.

    >>> _named("stanfordnlp/imdb"), _named("nyu-mll/glue/sst2")
    (('stanfordnlp/imdb', None), ('nyu-mll/glue', 'sst2'))
    """
    parts = name.strip().strip("/").split("/")
    if not all(parts) or not 1 <= len(parts) <= 3:
        raise DataError(f"{name!r} names no data set of the hub.", "Write ORG/NAME, or ORG/NAME/SUBSET.")
    return "/".join(parts[:2]), parts[2] if len(parts) == 3 else None


def _sizes(about: Any) -> dict[str, int]:
    """{table: its bytes} of a data set, as the hub lists it."""
    listed = sorted(about.siblings or (), key=lambda each: each.rfilename)
    return {each.rfilename: int(each.size or 0) for each in listed if _is_table(each.rfilename)}


def _converted(repository: str) -> Any:
    """What the hub itself has written as Parquet of a data set that holds none, such as one of images in folders or
    one with a script; None where it has not."""
    try:
        return HfApi().dataset_info(repository, revision=CONVERTED, files_metadata=True)
    except RevisionNotFoundError:
        return None


def _is_table(file: str) -> bool:
    path = PurePosixPath(file)
    ending = PurePosixPath(path.stem).suffix if path.suffix in PACKED else path.suffix
    return ending in TABLES and path.name not in ABOUT and not any(part.startswith(".") for part in path.parts)


def _configs(card: Any) -> dict[str, list[tuple[str, str]]]:
    """{subset: (split, pattern of its files)} as the data set's card says; nothing where it does not."""
    said = card.get("configs") if card is not None and hasattr(card, "get") else None
    found: dict[str, list[tuple[str, str]]] = {}
    for config in said if isinstance(said, list) else ():
        if not isinstance(config, dict):
            continue
        files = config.get("data_files")
        files = files if isinstance(files, list) else [files]
        pairs = [
            (str(each.get("split", "train")), str(path)) if isinstance(each, dict) else ("train", str(each))
            for each in files
            if each
            for path in (_list(each.get("path")) if isinstance(each, dict) else [each])
        ]
        if pairs:
            found[str(config.get("config_name", "default"))] = pairs
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _parts(
    repository: str, subset: str | None, sizes: Mapping[str, int], configs: Mapping[str, list[tuple[str, str]]]
) -> tuple[list[_Part], list[str]]:
    """The files of the subset by their splits, and those whose split nobody knows."""
    if not sizes:
        raise DataError(
            f"{repository} on the Hugging Face Hub holds no table that can be read.",
            f"It should hold files ending in {', '.join(TABLES)}.",
        )
    known = configs or _by_folder(sizes)
    chosen = _chosen(repository, subset, list(known))
    found, left = [], []
    for split, pattern in known[chosen]:
        files = [file for file in sizes if file == pattern or fnmatch(file, pattern.removeprefix("./"))]
        has_labels = split.lower() not in splits.UNLABELLED
        meant = splits.of(split) if has_labels else splits.TRAIN
        if meant is None:
            left += files
            continue
        found += [_Part(file, sizes[file], meant, has_labels) for file in sorted(files)]
    if not found:
        splits.require_known(left or [chosen], f"A file of {repository}")
    return found, left


def _by_folder(sizes: Mapping[str, int]) -> dict[str, list[tuple[str, str]]]:
    """The same from the names alone: Parquet before all else; a folder is a subset, unless it is called `data` or as a
    split."""
    names = [file for file in sizes if file.endswith(".parquet")] or list(sizes)
    found: dict[str, list[tuple[str, str]]] = {}
    for file in names:
        path = PurePosixPath(file)
        split = _SHARD.sub("", path.name.split(".")[0])
        folders = [folder for folder in path.parts[:-1] if folder != "data"]
        if folders and splits.of(split) is None and splits.exactly(folders[-1]):
            split = folders.pop()
        found.setdefault("/".join(folders) or "default", []).append((split, glob.escape(file)))
    return found


def _chosen(repository: str, subset: str | None, there: list[str]) -> str:
    if subset is None and len(there) == 1:
        return there[0]
    if subset in there:
        return subset
    listed = ", ".join(there[:MOST_NAMED]) + (" …" if len(there) > MOST_NAMED else "")
    problem = f"{repository} has no subset {subset!r}" if subset else f"{repository} has {len(there)} subsets"
    raise DataError(f"{problem}: {listed}.", f"Name one: {HUB}{repository}/{there[0]}.")


def _fetched(repository: str, revision: str | None, parts: Iterable[_Part], tell: Tell) -> Path:
    """The folder with these files in it. They come in a thread of their own; the caller hears of it in its own."""
    done: dict[str, Any] = {}

    class Counted(tqdm):
        """Counts bytes instead of drawing."""

        def display(self, *_: Any, **__: Any) -> None:
            if self.unit == "B" and self.total:
                done["bytes"] = (int(self.n), int(self.total))

    def fetch() -> None:
        wanted = [glob.escape(part.file) for part in parts]
        how: dict[str, Any] = {"revision": revision, "allow_patterns": wanted, "tqdm_class": Counted}
        try:
            done["folder"] = Path(snapshot_download(repository, repo_type="dataset", **how))
        except Exception as error:  # noqa: BLE001  of whatever kind: the caller's thread raises it
            done["error"] = error

    thread = threading.Thread(target=fetch, name=f"fetch {repository}", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(POLL_SECONDS)
        if "bytes" in done:
            tell(*done["bytes"])
    if "error" in done:
        raise done["error"]
    folder: Path = done["folder"]
    return folder


def _read(path: Path, part: _Part) -> Upload:
    upload = apart.read(path)
    if part.has_labels:
        return upload
    kept = [name for name in upload.table if str(name).lower() not in ("label", "labels")]
    return Upload(upload.kind, upload.table[kept], upload.notes, refused=upload.refused)


def _in_words(repository: str, error: Exception) -> DataError:
    if isinstance(error, GatedRepoError):
        return DataError(
            f"The data set {repository!r} is gated on the Hugging Face Hub.",
            "Accept its terms on its page and sign in with `hf auth login`, or choose another one.",
        )
    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        return DataError(
            f"There is no data set {repository!r} on the Hugging Face Hub that this machine may read.",
            "Check the spelling (ORG/NAME); for a private one sign in with `hf auth login`.",
        )
    return DataError(
        f"The data set {repository!r} could not be fetched: the hub does not answer ({type(error).__name__}).",
        "Check the network, or bring a file.",
    )
