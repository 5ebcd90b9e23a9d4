"""The list of the runs: found by what they are and by what people wrote on them, sorted, a page at a time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio.errors import ConfigError
from studio.store.rows import RunRow, Summary
from studio.store.runs import Runs, run_row

LONGEST_NAME, LONGEST_NOTE, LONGEST_TAG, MOST_TAGS = 80, 4_000, 30, 20

STATE = "CASE WHEN runs.paused AND runs.status IN ('finished', 'stopped', 'failed') THEN 'paused' ELSE runs.status END"
"""One that was paused waits for its user: to him it has not stopped."""

_SETTING = "CASE WHEN json_valid(runs.config) THEN json_extract(runs.config, '$.{}') END"
"""A setting of the run; none of one whose settings are damaged."""

_KEPT = "CASE WHEN student < 0 AND teacher < 0 THEN teacher / student ELSE student / nullif(teacher, 0) END"
"""How much of its teacher a student kept: values below 0 are of a measure that is better the lower it is."""

ORDERS = {
    "newest": "runs.id DESC",
    "oldest": "runs.id",
    "name": f"fold(coalesce(nullif(runs.name, ''), {_SETTING.format('dataset')}, '')), runs.id DESC",
    "quality": "student DESC NULLS LAST, runs.id DESC",
    "kept": f"{_KEPT} DESC NULLS LAST, runs.id DESC",
    "smallest": "student_bytes NULLS LAST, runs.id DESC",
    "fastest": "student_ms NULLS LAST, runs.id DESC",
}
"""By what a list can be sorted; what was not measured comes last."""

_TOLD = ("name", "note", "tags", "verdict", "message")
"""What a search looks at, beside the number of the run, its data and its models."""


@dataclass(frozen=True)
class Wanted:
    """Which runs, and in which order: every word of `search` is somewhere in what is told of a run, its state is one of
    `states`, it has all `tags`. Empty: any. `shown`: how the reader knows a data set, where that is another name."""

    search: str = ""
    states: Sequence[str] = ()
    tags: Sequence[str] = ()
    dataset_ids: Sequence[int] = ()
    archived: bool = False
    order: str = "newest"
    shown: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listed:
    """A run of a list, and what its models reached; None before its verdict."""

    run: RunRow
    summary: Summary | None


class RunList(Runs):
    """The table of runs, as people look for them."""

    def find_runs(self, wanted: Wanted, limit: int | None = 200, skip: int = 0) -> list[Listed]:
        """The runs that are wanted, at most `limit` after the first `skip`; all where `limit` is None.

        Raises `ConfigError` for an unknown order.
        """
        if wanted.order not in ORDERS:
            raise ConfigError(f"Runs cannot be sorted by {wanted.order!r}.", f"There are {', '.join(ORDERS)}.")
        where, values = _where(wanted)
        sql = f"SELECT runs.id FROM runs LEFT JOIN summaries ON run_id = runs.id WHERE {where}"
        sql += f" ORDER BY {ORDERS[wanted.order]} LIMIT ? OFFSET ?"
        ids = [row["id"] for row in self._rows(sql, [*values, -1 if limit is None else limit, skip])]
        known = self.summaries(ids)
        return [Listed(run, known.get(run.id)) for run in self.runs_of(ids)]

    def count_found(self, wanted: Wanted) -> int:
        """How many runs are wanted, on however many pages."""
        where, values = _where(wanted)
        return int(self._rows(f"SELECT count(*) AS runs FROM runs WHERE {where}", values)[0]["runs"])

    def runs_of(self, ids: Sequence[int]) -> list[RunRow]:
        """The runs of these numbers, in this order; those that are not there are left out."""
        found = self._rows("SELECT * FROM runs WHERE id IN (SELECT value FROM json_each(?))", [json.dumps(list(ids))])
        runs = {row["id"]: run_row(row) for row in found}
        return [runs[run_id] for run_id in ids if run_id in runs]

    def summaries(self, ids: Sequence[int]) -> dict[int, Summary]:
        """What the models of these runs reached, by run; a run without a verdict has none."""
        sql = "SELECT * FROM summaries WHERE run_id IN (SELECT value FROM json_each(?))"
        return {row.pop("run_id"): Summary(**row) for row in self._rows(sql, [json.dumps(list(ids))])}

    def states(self, archived: bool = False) -> list[str]:
        """The states that some run has."""
        sql = f"SELECT DISTINCT {STATE} AS state FROM runs WHERE archived <= ?"
        return [row["state"] for row in self._rows(sql, [archived])]

    def tags(self) -> dict[str, int]:
        """Every tag, and how many runs have it; the most frequent first."""
        sql = "SELECT value AS tag, count(*) AS runs FROM runs, json_each(runs.tags) WHERE runs.tags != '[]'"
        return {row["tag"]: row["runs"] for row in self._rows(f"{sql} GROUP BY value ORDER BY runs DESC, tag")}

    def describe_run(
        self, run_id: int, *, name: str | None = None, note: str | None = None, tags: Sequence[str] | None = None
    ) -> RunRow:
        """Write a name, a note, tags on a run; what is None stays. Raises `ConfigError` where one is too long or
        none."""
        run = self.run(run_id)
        self._db.execute(
            "UPDATE runs SET name = ?, note = ?, tags = ? WHERE id = ?",
            [
                run.name if name is None else _line(name, "name", LONGEST_NAME),
                run.note if note is None else _note(note),
                json.dumps(run.tags if tags is None else _tags(tags), ensure_ascii=False),
                run_id,
            ],
        )
        return self.run(run_id)


def _where(wanted: Wanted) -> tuple[str, list[Any]]:
    """The condition, and the values for its places."""
    parts = ["archived <= ?"]
    values: list[Any] = [wanted.archived]
    columns = [*_TOLD, *(_SETTING.format(setting) for setting in ("dataset", "teacher", "student"))]
    text = " || ' ' || ".join(f"coalesce({column}, '')" for column in columns)
    for word in wanted.search.split():
        known = [dataset for dataset, name in wanted.shown.items() if word.casefold() in name.casefold()]
        told_of = f"instr(fold('run ' || runs.id || ' ' || {text}), ?)"
        parts.append(f"({told_of} OR dataset_id IN (SELECT value FROM json_each(?)))")
        values += [word.casefold(), json.dumps(known)]
    if wanted.states:
        parts.append(f"{STATE} IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(list(wanted.states)))
    for tag in wanted.tags:
        parts.append("EXISTS (SELECT 1 FROM json_each(runs.tags) WHERE value = ?)")
        values.append(tag)
    if wanted.dataset_ids:
        parts.append("dataset_id IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(list(wanted.dataset_ids)))
    return " AND ".join(parts), values


def _line(text: str, what: str, longest: int) -> str:
    """One line of printable characters; "" is none."""
    text = " ".join(text.split())
    if len(text) > longest or not text.isprintable():
        raise ConfigError(
            f"A {what} has at most {longest} printable characters, got {len(text)}: {text[:longest]!r}.", "Shorten it."
        )
    return text


def _note(text: str) -> str:
    if len(text) > LONGEST_NOTE:
        raise ConfigError(f"A note has at most {LONGEST_NOTE:,} characters, got {len(text):,}.", "Shorten it.")
    return text.strip()


def _tags(wanted: Sequence[str]) -> list[str]:
    """Each once, in their order. A comma stands between tags where they are typed."""
    found = dict.fromkeys(_line(tag, "tag", LONGEST_TAG) for text in wanted for tag in text.split(","))
    found.pop("", None)
    if len(found) > MOST_TAGS:
        raise ConfigError(f"A run has at most {MOST_TAGS} tags, got {len(found)}.", "Leave some out.")
    return list(found)
