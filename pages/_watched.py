"""A run that is watched: read and drawn once for all the windows that show it."""

import json
import threading
from collections.abc import Callable, Sequence

import plotly.graph_objects as go
import streamlit as st

from pages._language import reader
from pages._studio import get_store
from studio.store.rows import Cursor, Point, RunRow

MOST_RUNS = 20
"""So many runs are kept in memory at once."""


class Watched:
    """The points of a run so far, and its figures; what is new is read when somebody asks."""

    def __init__(self, run_id: int) -> None:
        self.run_id = run_id
        self._points: list[Point] = []
        self._after: Cursor = {}
        self._drawn: dict[str, tuple[int, str]] = {}
        self._reading = threading.Lock()

    def points(self) -> Sequence[Point]:
        with self._reading:
            new = get_store().curve(self.run_id, self._after)
            self._points = [*self._points, *new] if new else self._points
            for point in new:
                self._after[point.phase, point.name] = point.step
            return self._points

    def figure(self, name: str, points: Sequence[Point], draw: Callable[[Sequence[Point]], go.Figure]) -> str:
        """The figure of that name as JSON; drawn anew only where there are more points than before."""
        with self._reading:
            named = f"{name} {reader()}"
            count, drawn = self._drawn.get(named, (-1, ""))
            if count != len(points):
                drawn = as_json(draw(points))
                self._drawn[named] = len(points), drawn
            return drawn


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
