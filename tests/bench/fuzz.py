"""Damaged and hostile files through the readers, damaged model folders through the opener, for so many minutes.

    python -m tests.bench.fuzz --minutes 10 --json

Files come of three kinds: real ones with other bytes, odd words put together, and what hypothesis makes of the formats
(`fuzz_files.py`). Counts what was accepted and what was refused in words. Anything else is a fault: an error that is
none of the studio's (foreign), a file that takes longer than 5 seconds (hang). Every file is read in a child process,
which is ended when it hangs; `peak_mb` is the most memory that a child held. Files that did harm are kept and named.
"""

import argparse
import contextlib
import gzip
import io
import json
import multiprocessing
import os
import random
import resource
import shutil
import tarfile
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tests.bench.fuzz_files import structured

HANG_SECONDS = 5.0
FIRST_SECONDS = 120.0
"""The first file of a child waits for its libraries, too."""

WORDS = ["text", "label", "a", "", '"', '""', "'", ",", ";", "\t", "\n", "\r", "\x00", "\u2028", "\ud800", "é", "汉",
         "\x85", "1" * 5000, "nan", "{", "}", "[", "]", "[{},{}]", "=1+1", "__label__x", "split", "oos"]  # fmt: skip


def seeds() -> dict[str, bytes]:
    """A small good file of every kind."""
    from tests.data.test_uploads import png

    texts = [f"text number {number} is {'good' if number % 2 else 'bad'}, isn't it" for number in range(40)]
    frame = pd.DataFrame({"text": texts, "label": ["a", "b"] * 20, "split": ["train"] * 30 + ["test"] * 10})
    rows = frame.to_dict("records")
    plain = frame.to_csv(index=False).encode()
    files = {
        "a.csv": plain, "b.tsv": frame.to_csv(index=False, sep="\t").encode("utf-16"),
        "c.csv": frame.assign(text="这部电影很好看").to_csv(index=False).encode("gb18030"),
        "d.jsonl": "\n".join(map(json.dumps, rows)).encode(), "e.json": json.dumps(rows).encode(),
        "f.json": json.dumps({"train": rows, "test": rows}).encode(), "g.csv.gz": gzip.compress(plain),
        "h.conll": b"New B-LOC\nYork I-LOC\n\nshe O\nran O\n" * 10,
        "i.txt": b"\n".join(b"__label__%d some words" % (number % 2) for number in range(30)),
    }  # fmt: skip
    for name, write in (("j.parquet", frame.to_parquet), ("k.xlsx", lambda file: frame.to_excel(file, index=False)),
                        ("l.feather", frame.to_feather)):  # fmt: skip
        file = io.BytesIO()
        write(file)
        files[name] = file.getvalue()
    files["t.jsonl"] = answered(texts)
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name in ("train.csv", "test.csv"):
                about = tarfile.TarInfo(name)
                about.size = len(plain)
                archive.addfile(about, io.BytesIO(plain))
        files["u.tar"], files["v.tgz"] = file.getvalue(), gzip.compress(file.getvalue())
    files["m.csv.zst"] = pa.compress(plain, codec="zstd", asbytes=True)
    for name, members in (
        ("n.zip", {f"{part}/{kind}/{shade}.png": png(shade) for part in ("train", "test") for kind in "ab"
                   for shade in range(3)}),
        ("o.zip", {"a.png": png(1), "b.png": png(2), "labels.csv": b"file,label\na.png,x\nb.png,y\n"}),
        ("p.zip", {"train.csv": plain, "test.csv": plain}),
        ("q.zip", {f"{shade}.png": png(shade) for shade in range(4)} | {"a.json": _marked(4)}),
        ("r.zip", {f"{shade}.png": png(shade) for shade in range(4)}
                  | {f"{shade}.txt": b"0 0.5 0.5 0.1 0.1\n" for shade in range(4)} | {"data.yaml": b"names: [a, b]"}),
        ("s.zip", {f"{n}.{end}": data for n in range(3) for end, data in
                   (("txt", b"Ada met Bo"), ("ann", b"T1\tPER 0 3\tAda\n"), ("xml", b"<object><name>a</name>"))}),
    ):  # fmt: skip
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in members.items():
                archive.writestr(member, data)
        files[name] = file.getvalue()
    return files


def answered(texts: list[str]) -> bytes:
    """What people said of labels that a program proposed, with the options that they had."""
    rows = [{"text": text, "label": "a", "answer": ("accept", "reject", "ignore")[place % 3], "accept": ["a"],
             "options": [{"id": "a", "text": "A"}]} for place, text in enumerate(texts)]  # fmt: skip
    return "\n".join(map(json.dumps, rows)).encode()


def _marked(count: int) -> bytes:
    """Which objects are marked in so many images."""
    images = [{"id": number, "file_name": f"{number}.png"} for number in range(count)]
    marks = [{"image_id": number, "category_id": kind} for number in range(count) for kind in range(number % 3)]
    kinds = [{"id": kind, "name": "abc"[kind]} for kind in range(3)]
    return json.dumps({"images": images, "annotations": marks, "categories": kinds}).encode()


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A few bytes other than they were, cut, doubled, or a word in their midst."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(6):
            case 0 if changed:
                changed[min(place, len(changed) - 1)] = chance.randrange(256)
            case 1:
                changed[place : place + chance.randrange(1, 64)] = b""
            case 2:
                changed[place:place] = changed[place : place + chance.randrange(1, 200)]
            case 3:
                changed[place:place] = chance.choice(WORDS).encode("utf-8", "surrogatepass")
            case 4 if len(changed) > 8:
                value = chance.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 2**40)).to_bytes(8, "little")
                changed[place : place + 4] = value[:4]
            case 5:
                del changed[max(1, place) :]
    return bytes(changed)


def built(chance: random.Random) -> tuple[str, bytes]:
    """A file put together from words that readers stumble over."""
    name = chance.choice(("x.csv", "x.tsv", "x.txt", "x.json", "x.jsonl", "x.conll"))
    if name == "x.json" or (name == "x.jsonl" and chance.random() < 0.5):
        text = "\n".join(json.dumps(_value(chance, 4)) for _ in range(chance.randrange(1, 5)))
    else:
        cells = [chance.choice(WORDS) for _ in range(chance.randrange(1, 400))]
        text = chance.choice(("", ",", " ", "\n")).join(cells)
    encoding = chance.choice(("utf-8", "utf-8", "utf-16", "utf-32", "gb18030", "latin-1", "cp932"))
    return name, text.encode(encoding, "replace" if encoding != "utf-8" else "surrogatepass")


def _value(chance: random.Random, depth: int) -> object:
    kind = chance.randrange(7 if depth else 5)
    if kind < 3:
        return chance.choice([*WORDS, 10**400, -1, 1e308, float("nan"), True, None])
    if kind < 5:
        return {chance.choice(WORDS): chance.choice(WORDS) for _ in range(chance.randrange(4))}
    values = [_value(chance, depth - 1) for _ in range(chance.randrange(5))]
    return values if kind == 5 else {chance.choice(WORDS): value for value in values}


def damaged_model(source: Path, to: Path, chance: random.Random) -> None:
    """A copy of a model folder with one of its files mutated."""
    shutil.copytree(source, to)
    files = sorted(path for path in to.iterdir() if path.is_file())
    file = chance.choice(files)
    data = file.read_bytes()
    if file.suffix == ".safetensors" and chance.random() < 0.7:  # the header is what is told; the rest are numbers
        length = 8 + int.from_bytes(data[:8], "little")
        file.write_bytes(mutated(data[:length], chance) + data[length:])
    elif file.suffix == ".json" and chance.random() < 0.5:
        about = json.loads(data)
        if isinstance(about, dict) and about:
            about[chance.choice(sorted(about))] = _value(chance, 2)
        file.write_text(json.dumps(about))
    else:
        file.write_bytes(mutated(data, chance))


def _read_files(asked: Connection) -> None:
    """A child that reads every file that it is told of."""
    from studio.data import uploads
    from studio.data.refused import as_csv
    from studio.errors import StudioError
    from studio.service import library

    def work(path: Path) -> None:
        found = library.check(library.Files(uploads.read(path)))
        as_csv(found.rows.refused)

    _serve(asked, work, StudioError)


def _open_models(asked: Connection) -> None:
    """A child that opens every model folder that it is told of."""
    from studio.errors import StudioError
    from studio.models import opening

    problem = _problem()
    _serve(asked, lambda path: opening.open_folder(path, problem) and None, StudioError)


def _serve(asked: Connection, work: Callable[[Path], None], known: type[Exception]) -> None:
    with Path(os.devnull).open("w") as no, contextlib.redirect_stdout(no), contextlib.redirect_stderr(no):
        while (path := asked.recv()) is not None:
            try:
                work(Path(path))
                told = "accepted"
            except known:
                told = "refused"
            except BaseException as error:  # noqa: BLE001  finding these is what this is for
                told = f"foreign {type(error).__name__}: {error}"[:300]
            asked.send((told, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


class Child:
    """A process that takes one file after the other; a new one where it hung or died."""

    def __init__(self, target: Callable[[Connection], None]) -> None:
        self.target = target
        self.start()

    def start(self) -> None:
        self.pipe, other = multiprocessing.get_context("spawn").Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=self.target, args=(other,), daemon=True)
        self.process.start()
        other.close()
        self.patience = FIRST_SECONDS

    def ask(self, path: Path) -> tuple[str, float]:
        self.pipe.send(str(path))
        used = _cpu_seconds(self.process.pid)
        try:
            while not self.pipe.poll(0.5):
                if not self.process.is_alive() or _cpu_seconds(self.process.pid) - used > self.patience:
                    raise TimeoutError
            told: tuple[str, float] = self.pipe.recv()
        except (EOFError, ConnectionError, TimeoutError):
            dead = not self.process.is_alive()
            self.process.kill()
            self.process.join()
            code = self.process.exitcode
            self.start()
            return (f"foreign: the process ended with {code}" if dead else "hang"), 0.0
        self.patience = HANG_SECONDS
        return told

    def end(self) -> None:
        self.pipe.send(None)
        self.process.join(10)


def _cpu_seconds(pid: int | None) -> float:
    """What a process has computed: a busy machine is no hang."""
    import psutil

    try:
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    except psutil.Error:
        return 0.0


def _problem():  # type: ignore[no-untyped-def]
    from studio.data.cleaning import clean
    from studio.data.columns import Columns
    from studio.data.folder import divide
    from studio.models.model import Problem
    from tests.conftest import reviews

    rows = clean(reviews(), Columns("text", "label"), "text-classification")
    return Problem("text-classification", rows.labels, divide(rows).whole()["train"], 16)


def _models(folder: Path) -> list[Path]:
    from studio.models import opening
    from studio.models.saving import save

    problem = _problem()
    names = ("fasttext-tiny", "transformer-tiny")
    for name in names:
        save(opening.build(name, problem), folder / name)
    return [folder / name for name in names]


def files(folder: Path, models: list[Path], chance: random.Random) -> Iterator[tuple[str, Path]]:
    """(kind, path): files of all kinds without end, a model folder after every twentieth."""
    known, waiting = seeds(), []
    for number in range(10**9):
        place = folder / str(number)
        if number % 20 == 19 and models:
            damaged_model(chance.choice(models), place, chance)
            yield "model", place
        else:
            waiting = waiting or structured(chance.randrange(2**32))
            kind = chance.random()
            if kind < 0.5:
                name = chance.choice(sorted(known))
                data = mutated(known[name], chance)
            else:
                name, data = built(chance) if kind < 0.7 else waiting.pop()
            place.mkdir()
            (place / name).write_bytes(data)
            yield "file", place / name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-models", action="store_true", help="readers of files alone")
    parser.add_argument("--keep", type=Path, help="a folder for the files that did harm")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    foreign: Counter[str] = Counter()
    peak = 0.0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        folder = Path(place)
        models = [] if given.no_models else _models(folder / "models")
        children = {"file": Child(_read_files)} | ({"model": Child(_open_models)} if models else {})
        end = time.monotonic() + given.minutes * 60
        for kind, path in files(folder, models, random.Random(given.seed)):
            told, held = children[kind].ask(path)
            peak = max(peak, held)
            counts["files"] += 1
            counts[told if told in ("accepted", "refused") else "hangs" if told == "hang" else "foreign_errors"] += 1
            if told not in ("accepted", "refused"):
                foreign[f"{path.suffix or kind}: {told}"] += 1
                if given.keep:
                    given.keep.mkdir(parents=True, exist_ok=True)
                    shutil.move(path, given.keep / f"{counts['files']}-{path.name}")
            top = path if kind == "model" else path.parent
            shutil.rmtree(top, ignore_errors=True)
            if time.monotonic() > end:
                break
        for child in children.values():
            child.end()
    answer = {name: counts[name] for name in ("files", "accepted", "refused", "foreign_errors", "hangs")}
    answer |= {"peak_mb": round(peak), "seen": dict(foreign.most_common(30))}
    print(json.dumps(answer, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
