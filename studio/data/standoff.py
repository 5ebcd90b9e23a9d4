"""Texts with a file of annotations beside each, as BRAT has them: `a.txt` and `a.ann`. A line of a text is a row, with
the entities in it by their places."""

import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from studio.data import archives, splits, text_files
from studio.data.cells import Blocks, Found, clean_text

MOST = 0.5
"""So large a share of the texts has such a file beside it at least."""

_ENTITY = re.compile(r"T\d+\t(\S+) (\d+) (?:\d+;\d+ )*(\d+)\t")
Entity = tuple[int, int, str]
"""Where it starts, where it ends, what it is."""


def pairs(path: Path) -> list[tuple[zipfile.ZipInfo, zipfile.ZipInfo | None]]:
    """(text, its annotations) of each text in an archive; none where most have no annotations."""
    with archives.open_zip(path) as archive:
        files = archives.members(archive)
    beside = {_stem(member): member for member in files if _suffix(member) == ".ann"}
    found = [(member, beside.get(_stem(member))) for member in files if _suffix(member) == ".txt"]
    return found if sum(said is not None for _, said in found) > MOST * len(found) else []


def blocks(path: Path, members: Sequence[tuple[zipfile.ZipInfo, zipfile.ZipInfo | None]]) -> Blocks:
    """The lines of the texts as columns text, entities, split and file."""
    rows: list[tuple[str, str, str, str]] = []
    with archives.open_zip(path) as archive:
        for member, beside in members:
            text = text_files.read(archives.read(archive, member)).text
            said = text_files.read(archives.read(archive, beside)).text if beside is not None else ""
            split = next(filter(None, map(splits.of, PurePosixPath(_stem(member)).parts[:-1])), "")
            rows += [
                (clean_text(line), json.dumps(entities, ensure_ascii=False), split, member.filename)
                for line, entities in lines(text, said)
            ]
    yield Found(pd.DataFrame(rows, columns=["text", "entities", "split", "file"], dtype=object))
    return (f"{len(members):,} texts with files of annotations (BRAT); each line of them is a row.",)


def lines(text: str, said: str) -> Iterator[tuple[str, list[Entity]]]:
    """(line, the entities that begin in it) of each line that holds something; places are those in the line.

    >>> list(lines("Ada\\nmet Bo", "T1\\tPER 8 10\\tBo\\nR1\\tKnows Arg1:T1\\n"))
    [('Ada', []), ('met Bo', [(4, 6, 'PER')])]
    """
    entities = [(int(start), int(end), kind) for kind, start, end in _ENTITY.findall(said)]
    begin = 0
    for line in text.splitlines(keepends=True):
        end = begin + len(line)
        inside = [(start - begin, stop - begin, kind) for start, stop, kind in entities if begin <= start < end]
        if line.strip():
            yield line.rstrip("\r\n"), inside
        begin = end


def _stem(member: zipfile.ZipInfo) -> str:
    return str(PurePosixPath(member.filename.replace("\\", "/")).with_suffix(""))


def _suffix(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename.replace("\\", "/")).suffix.lower()
