"""A run that is watched: read and drawn once for all the windows that show it."""

import json
import threading
from collections.abc import Callable, Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages._charts import downsample
from pages._language import reader
from pages._studio import get_store
from studio.store.rows import Cursor, Point, RunRow

MOST_POINTS = 100_000
"""Of a run that is watched for long more are not held: its curves are thinned."""

MOST_RUNS = 20
"""So many runs are kept in memory at once."""


class Watched:
    """The points of a run so far, and its figures; what is new is read when somebody asks."""

    def __init__(self, run_id: int) -> None:
        self.run_id = run_id
        self._points: list[Point] = []
        self._after: Cursor = {}
        self._drawn: dict[str, tuple[tuple[int, int], str]] = {}
        self._reading = threading.Lock()

    def points(self) -> Sequence[Point]:
        """All of them, or of a long run so many of each curve that it looks the same."""
        with self._reading:
            if not self._after:
                self._begin()
            new = get_store().curve(self.run_id, self._after)
            self._points = [*self._points, *new] if new else self._points
            for point in new:
                self._after[point.phase, point.name] = point.step
            if len(self._points) > MOST_POINTS:
                self._points = thinned(self._points)
            return self._points

    def _begin(self) -> None:
        """What was there before somebody watched; a million points are never held one by one."""
        for (phase, name), (steps, values) in get_store().curve_arrays(self.run_id).items():
            kept = downsample(np.array(steps, dtype=float), np.array(values))
            self._points += [Point(phase, int(step), name, float(value)) for step, value in zip(*kept, strict=True)]
            self._after[phase, name] = steps[-1]

    def figure(self, name: str, points: Sequence[Point], draw: Callable[[Sequence[Point]], go.Figure]) -> str:
        """The figure of that name as JSON; drawn anew only where there are more points than before."""
        with self._reading:
            named = f"{name} {reader()}"
            place = len(points), points[-1].step if points else 0
            known, drawn = self._drawn.get(named, ((-1, 0), ""))
            if known != place:
                drawn = as_json(draw(points))
                self._drawn[named] = place, drawn
            return drawn


def thinned(points: Sequence[Point]) -> list[Point]:
    """So many points of each curve that it looks the same on a screen."""
    curves: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        curves.setdefault((point.phase, point.name), []).append(point)
    found = []
    for (phase, name), held in curves.items():
        steps, values = (np.array([getattr(point, what) for point in held], dtype=float) for what in ("step", "value"))
        kept = zip(*downsample(steps, values), strict=True)
        found += [Point(phase, int(step), name, float(value)) for step, value in kept]
    return found


def as_json(figure: go.Figure) -> str:
    """Without the template: the page's own colours take its place."""
    plain = figure.to_plotly_json()
    plain["layout"].pop("template", None)
    return json.dumps(plain, default=list)


@st.cache_resource(max_entries=MOST_RUNS, show_spinner=False)
def _watched(run_id: int, created_at: float) -> Watched:
    return Watched(run_id)


def watched(run: RunRow) -> Watched:
    return _watched(run.id, run.created_at)
