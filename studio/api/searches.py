"""A search for settings: many short runs, the best of which is trained once more and read on the test rows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api.place import Place
from studio.api.training import Run, carried
from studio.config.sweep import parse_sweep
from studio.errors import StudioError
from studio.language.escaping import in_terminal
from studio.machine.identity import new_owner
from studio.service import sweeps
from studio.store.sweeps import SweepRow

if TYPE_CHECKING:
    import pandas as pd


class Search:
    """A search for settings and what it has found."""

    def __init__(self, place: Place, search_id: int) -> None:
        self._place, self.id = place, search_id

    @property
    def status(self) -> str:
        """running, paused, finished or failed."""
        return self._row.status

    @property
    def trials(self) -> pd.DataFrame:
        """A row a trial: number, run, a column for each setting that is varied, the deciding measure on validation
        rows, latency_ms, size_bytes, pruned, keeps_to_target."""
        import pandas as pd

        found = sweeps.facts(self._place.store, self._row)
        rows = [
            {"number": trial["number"] + 1, "run": trial["run"], **trial["params"], found["measure"]: trial["value"],
             **{name: trial[name] for name in ("latency_ms", "size_bytes", "pruned", "keeps_to_target")}}
            for trial in found["trials"]
        ]  # fmt: skip
        return pd.DataFrame(rows)

    @property
    def importance(self) -> dict[str, float]:
        """How much each setting decided, shares of 1; empty while too few trials are over to say so."""
        return sweeps.importance(self._row.config, sweeps.tried(self._place.store, self._row))

    @property
    def winner(self) -> Run | None:
        """The best settings trained once more, with a control: that run alone has read the test rows."""
        return None if self._row.winner is None else Run(self._place, self._row.winner)

    def resume(self, *, progress: bool = True) -> Search:
        """Go on with a search that was stopped or paused; returns it when it is over. Raises what made it fail."""
        if self.status == "paused":
            self._place.acts.pause_search(self.id, False)
        place = self._place
        try:
            for run in sweeps.carried(place.home, place.store, self.id):
                if progress:
                    print(in_terminal(f"{run.name}: {run.verdict or run.message or run.status}"))
        except KeyboardInterrupt:
            print(f"Search {self.id} was stopped. To go on: search.resume().")
        if self.status == "failed":
            raise StudioError(self._row.message or f"Search {self.id} failed.", "Change the ranges and search anew.")
        return self

    def train_longer(self, *, progress: bool = True) -> Run:
        """Train the winner for three times as long; returns the run when it is over.

        Raises `StudioError` where there is no winner yet.
        """
        if self.winner is None:
            raise StudioError(f"Search {self.id} has no winner.", "Let it go on until it has.")
        config = sweeps.longer(self.winner.config)
        row = self._place.acts.start(config, key=f"api-{uuid.uuid4()}", owner=new_owner())
        return carried(self._place, row, progress)

    @property
    def _row(self) -> SweepRow:
        return self._place.store.sweep(self.id)

    def __repr__(self) -> str:
        return f"<Search {self.id}: {self.status}, {len(self._place.store.trials(self.id))} trials>"


def search(
    base: Run | int,
    values: Mapping[str, Any],
    *,
    trials: int = 20,
    target: str = "best",
    home: str | Path | None = None,
    progress: bool = True,
) -> Search:
    """Search for better settings than those of a run; returns the search when it is over.

    Args:
        base: a run, or its number; all its other settings stay.
        values: what is tried of each setting: a range such as "1..10" or "1e-5..1e-3:log", or a list of values.
        trials: so many runs, without a control and measured on validation rows.
        target: such as "best under 5 ms and 10 MB".
        progress: print a line for each trial.

    Ctrl-C stops it: it comes back as it is, and `resume` goes on. Raises `ConfigError` for a setting that cannot be
    varied, `StudioError` where no trial comes to its end.
    """
    place = base._place if isinstance(base, Run) else Place.at(home)
    run = base if isinstance(base, Run) else Run(place, int(base))
    asked = parse_sweep({"base": run.config, "search": dict(values), "trials": trials, "target": target})
    row = place.acts.search(asked, key=f"api-{uuid.uuid4()}")
    return Search(place, row.id).resume(progress=progress)
