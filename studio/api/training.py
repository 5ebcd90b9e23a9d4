"""Runs: trained, listed, asked for their numbers; and the models they leave."""

from __future__ import annotations

import collections
import contextlib
import functools
import math
import sys
import uuid
import warnings
from collections.abc import Generator, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from studio import errors, events, tasks
from studio.api.data import Dataset, load_dataset
from studio.api.place import Place
from studio.config.reading import parse_config
from studio.config.run import RunConfig
from studio.errors import ConfigError, DataError, ExportError, ModelError, StudioError, WorkerError
from studio.events import Caution, NextStep, TrainedRole
from studio.machine.identity import new_owner
from studio.pipeline.timetable import title
from studio.service import runs as service_runs
from studio.service.progress import whole
from studio.store.rows import RunRow, Status
from studio.store.run_list import Wanted
from studio.store.store import Store

if TYPE_CHECKING:
    import datasets as hf
    import pandas as pd

    from studio.pipeline.predict import Predictor


class Model:
    """A model of a run, to be asked: `run.student`, `run.teacher` (all teachers together), `run.control`.

    It is opened when it is asked for the first time, and stays open.
    """

    def __init__(self, run: Run, role: TrainedRole) -> None:
        self._run, self.role = run, role

    def predict(self, inputs: Sequence[Any], *, tokens: int | None = None) -> list[dict[str, Any]]:
        """An answer for each input, in their order.

        A text is a `str`, a pair a tuple of two, a text by words a list of them; an image the bytes of a file, a path,
        or Pillow's. An answer is `{"label": …, "score": …}`; `{"labels": [{"label": …, "score": …}, …]}` where a row
        can have several; `{"score": …}` where it is a number; `{"tags": […], "entities": […]}` where words have tags;
        `{"text": …, "cut": …}` of a language model, which writes at most `tokens` tokens, 120 where nobody says how
        many; `cut`: whether they ended the text.
        Raises `DataError` for what is no input, `ModelError` where the run has no such model (yet).
        """
        from studio.service import predict

        values = self._as_inputs(inputs)
        return predict.writing_at_most(self._opened, tokens).predict(values)

    def predict_file(
        self, source: str | Path, to: str | Path, *, column: str | None = None, pair: str | None = None,
        tokens: int | None = None,
    ) -> Path:  # fmt: skip
        """Write every row of a file (a table, a ZIP of images) with its answer behind it; returns where.

        `to` ends in .csv, .tsv or .jsonl; `tokens` is as in `predict`. Raises `ExportError` where it is there already.
        """
        from studio.service import predict

        place = self._run._place
        scored = predict.predict_file(
            place.store,
            place.home,
            self._run.id,
            Path(source),
            Path(to),
            role=self.role,
            column=column,
            pair=pair,
            most_tokens=tokens,
        )
        return scored.file

    @property
    def evaluations(self) -> pd.DataFrame:
        """What was measured of it."""
        found = self._run.evaluations
        return found[found["role"] == self.role].drop(columns="role").reset_index(drop=True)

    @functools.cached_property
    def _opened(self) -> Predictor:
        from studio.service import predict

        return predict.open_model(self._run._place.store, self._run._place.home, self._run.id, self.role)

    def _as_inputs(self, values: Sequence[Any]) -> list[Any]:
        from studio.service import predict

        return predict.inputs(values, self._run.dataset.task)

    def __repr__(self) -> str:
        reference = {"student": self._run.config.student, "teacher": self._run.config.teacher}.get(self.role, "")
        return f"<{self.role} of run {self._run.id}{': ' if reference else ''}{reference}>"


class Run:
    """A run: what it was asked for, how it stands, what came of it. It is read anew whenever it is asked."""

    def __init__(self, place: Place, run_id: int) -> None:
        self._place, self.id = place, run_id

    @property
    def status(self) -> Status:
        """queued, running, finished, stopped or failed."""
        return self._row.status

    @property
    def name(self) -> str:
        """What somebody called it; "" where nobody did."""
        return self._row.name

    @property
    def note(self) -> str:
        return self._row.note

    @property
    def tags(self) -> tuple[str, ...]:
        return self._row.tags

    def describe(self, *, name: str | None = None, note: str | None = None, tags: Sequence[str] | None = None) -> Run:
        """Write a name, a note or tags on it; what is None stays. Raises `ConfigError` where one is too long."""
        self._place.acts.describe(self.id, name=name, note=note, tags=tags)
        return self

    @property
    def config(self) -> RunConfig:
        """Everything that decides its result."""
        return self._row.config

    @property
    def dataset(self) -> Dataset:
        return Dataset(self._place, self._place.store.dataset_by_id(self._row.dataset_id))

    @property
    def verdict(self) -> str | None:
        """The result in a sentence; None before the run has finished."""
        return self._row.verdict

    @property
    def outcome(self) -> str | None:
        """The verdict in a word: better, no_difference, worse, not_learned, weak_teacher, no_control."""
        return self._row.outcome

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Why the verdict may say less than it seems to: code, sentence and cure of each."""
        return self._row.cautions

    @property
    def next_step(self) -> NextStep | None:
        """What to do after the verdict; its `changes` are settings for another run."""
        return self._row.next_step

    @property
    def error(self) -> StudioError | None:
        """Why it failed, if it did."""
        row = self._row
        return errors.by_name(row.error)(row.message or "", row.cure or "") if row.error else None

    @property
    def evaluations(self) -> pd.DataFrame:
        """Every measured number: role, split, metric, value, the ends of its 95 % interval, and how many rows.

        Under several seeds a number of one of them names its `seed`; one without is the mean over the seeds, and
        `spread` their standard deviation.
        """
        import pandas as pd

        columns = ["role", "split", "metric", "value", "low", "high", "n", "seed", "spread"]
        store = self._place.store
        found = [*store.evaluations(self.id), *store.evaluations_of_seeds(self.id)]
        rows = [tasks.reported(event).model_dump(include=set(columns)) for event in found]
        return pd.DataFrame(rows, columns=columns).astype({"n": "Int64", "seed": "Int64"})

    @property
    def curves(self) -> pd.DataFrame:
        """The points of all curves: phase, step, name, value."""
        import pandas as pd

        points = self._place.store.curve(self.id)
        rows = [(point.phase, point.step, point.name, tasks.known_as(point.name, point.value)) for point in points]
        return pd.DataFrame(rows, columns=["phase", "step", "name", "value"])

    @property
    def log(self) -> list[str]:
        """What it said on the way."""
        return [row.message for row in self._place.store.logs(self.id)]

    @functools.cached_property
    def student(self) -> Model:
        """The student as the verdict measured it: in int8 where the plan ends with that."""
        return Model(self, "student")

    @functools.cached_property
    def teacher(self) -> Model:
        """The teacher; several answer together, as they taught."""
        return Model(self, "teacher")

    @functools.cached_property
    def control(self) -> Model:
        """The same student, trained without the teacher. Raises `ModelError` where the run has none."""
        if not self.config.control:
            raise ModelError(f"Run {self.id} was made without a control.", "Train again with control=True.")
        return Model(self, "control")

    def resume(self, *, progress: bool = True) -> Run:
        """Let a run that was stopped or failed go on from where it was, here; returns it when it is over.

        Raises `StoreError` for a run that goes on already or has its verdict, else what `distill` raises.
        """
        row = self._place.acts.resume(self.id, owner=new_owner())
        return carried(self._place, row, progress)

    def stop(self) -> None:
        """Ask a run that goes on elsewhere to stop; it keeps the student so far."""
        self._place.acts.stop(self.id)

    def export(self, to: str | Path | None = None, *, onnx: bool = True) -> Path:
        """Write the student as a Hugging Face folder in a zip, also as ONNX; returns where.

        `to` is student-RUN.zip when left out. Raises `ExportError` where it is there already or there is no student.
        Where the student cannot be written as ONNX it goes without, with a warning.
        """
        acts = self._place.acts
        if onnx and self._place.home.model(self.id, "student").is_dir():
            try:
                acts.convert(self.id)
            except (ExportError, WorkerError) as error:
                warnings.warn(f"The zip holds no ONNX. {error}", stacklevel=2)
        return acts.export(self.id, Path(to or f"student-{self.id}.zip"))

    def report(self, to: str | Path | None = None, *, language: str = "en", slides: bool = False) -> Path:
        """Write the results as one HTML file that needs nothing else, to read or print, or as slides; returns where.

        `to` is report-RUN.html (slides-RUN.html) when left out. Raises `ExportError` where it is there already or the
        run has no results yet.
        """
        from studio.service import report

        target = Path(to or f"{'slides' if slides else 'report'}-{self.id}.html")
        return report.write(self._place.home, self._place.store, self.id, target, language, slides)

    def robustness(self) -> pd.DataFrame:
        """How good each model stays on test rows that are made worse: corruption, role, level, value, low, high of the
        deciding measure. Computed once, in a process of its own, and kept.

        Raises `DataError` for a task whose inputs cannot be made worse, `ModelError` where a model is gone.
        """
        import pandas as pd

        from studio.pipeline.answers import Robustness

        found = self._place.acts.examine(self.id, Robustness)
        rows = [
            {
                "corruption": curve.corruption,
                "role": curve.role,
                "level": level,
                "value": value,
                "low": low,
                "high": high,
            }
            for curve in found.curves
            for level, value, low, high in zip(curve.levels, curve.values, curve.low, curve.high, strict=True)
        ]
        return pd.DataFrame(rows)

    def written(self, rule: str = "", tokens: int | None = None) -> pd.DataFrame:
        """What the language models of the run write after the same openings: measure, role, value, low, high; and the
        student's difference from each other role with its interval. Values as people know them, such as bits that are
        better the lower they are. Computed once, in a process of its own, and kept.

        With a `rule`, a pattern such as `"#### *(.+)"`, answers are also compared by what that finds last in them.
        Each model writes at most `tokens` tokens a text, 120 where nobody says how many.
        Raises `DataError` for a task whose models do not write, `ModelError` where a model is gone.
        """
        import pandas as pd

        from studio.evaluate.written import MEASURES

        found = self._place.acts.examine_written(self.id, rule, tokens)
        if found.left_out:
            warnings.warn(f"The student before it learned did not write. {found.left_out}", stacklevel=2)
        against = {
            (comparison.metric, comparison.second): (comparison.difference, comparison.low, comparison.high)
            for comparison in found.against
        }
        rows = []
        for measure in MEASURES:
            for model in found.by:
                if measure.name in model.values:
                    pair = against.get((measure.name, model.role), (math.nan,) * 3)
                    numbers = (*measure.as_known(*model.values[measure.name]), *measure.as_known(*pair))
                    names = ("value", "low", "high", "difference", "difference_low", "difference_high")
                    rows.append({"measure": measure.name, "role": model.role, **dict(zip(names, numbers, strict=True))})
        return pd.DataFrame(rows)

    def layers(self) -> pd.DataFrame:
        """The centred kernel alignment of every layer of the teacher (rows) with every one of the student (columns).
        Computed once, in a process of its own, and kept. Raises `ModelError` where a model is gone."""
        import pandas as pd

        from studio.pipeline.answers import Layers

        found = self._place.acts.examine(self.id, Layers)
        return pd.DataFrame(found.alike, index=found.teacher, columns=found.student)

    def delete(self) -> None:
        """Delete a run that is over, with its models. Raises `StoreError` where another run uses one of them."""
        self._place.acts.delete_run(self.id)

    @property
    def _row(self) -> RunRow:
        return self._place.store.run(self.id)

    def __repr__(self) -> str:
        row = self._row
        summary = (
            row.verdict or row.message or f"{row.config.teacher} to {row.config.student} on {row.config.dataset!r}"
        )
        return f"<Run {self.id}, {row.status}: {summary}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and (self.id, self._place) == (other.id, other._place)

    def __hash__(self) -> int:
        return hash((self.id, self._place))


def distill(
    data: Dataset | str | Path | pd.DataFrame | hf.Dataset | hf.DatasetDict,
    *,
    teacher: str,
    student: str,
    home: str | Path | None = None,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Train a small student under a large teacher; returns the run when it is over.

    Training happens in a process of its own, as everywhere in the studio. Ctrl-C, or a notebook's stop button, stops
    the run and keeps the student so far: the run comes back as stopped, and `run.resume()` goes on.

    Args:
        data: a `Dataset`, or anything that `load_dataset` takes.
        teacher: `folder:PATH`, `hub:ORG/NAME`, `run:ID/student` or `builtin/NAME`.
        student: the same, or `teacher/K-layers`, cut from the teacher.
        home: where the run is kept; with the data, when left out.
        progress: show a bar in the terminal or the notebook.
        settings: every other name of `studio.config.run.RunConfig`, such as `epochs=3` or
            `terms=["soft_target", "hint"]`.

    Raises:
        ConfigError: a setting is unknown, out of range, or does not fit the others.
        StudioError: the run failed; the error says why, and names the run.
    """
    if "dataset" in settings:
        raise ConfigError("dataset is no setting here: the data comes first.", "Write distill(data, …).")
    if isinstance(data, Dataset):
        if home is not None and Place.at(home) != data._place:
            raise DataError(f"The data is kept in {data._place.home.root}, not in {home}.", "Leave home out.")
    else:
        data = load_dataset(data, home=home)
    store = data._place.store
    name = store.dataset_by_id(data.id).name  # it may have been renamed since
    config = parse_config({"dataset": name, "teacher": teacher, "student": student, **settings})
    row = data._place.acts.start(config, key=f"api-{uuid.uuid4()}", owner=new_owner())
    return carried(data._place, row, progress)


def run(id: int, *, home: str | Path | None = None) -> Run:
    """The run of that number. Raises `StoreError` where there is none."""
    place = Place.at(home)
    return Run(place, place.store.run(int(id)).id)


def compare(runs: Sequence[Run | int], *, home: str | Path | None = None) -> dict[str, Any]:
    """Runs side by side as plain values: `settings` that differ, `runs` with all that was measured, `groups` that
    differ in the seed alone, `curves` of the students, `front`: those that no other one beats, and `tests`: the first
    student against each other one on the same test rows.

    Raises `ConfigError` for fewer than two.
    """
    from studio.service import comparison, paired

    place = Place.at(home)
    ids = [side.id if isinstance(side, Run) else int(side) for side in runs]
    return paired.facts(place.home, place.store, comparison.sides(place.store, ids))


def runs(
    limit: int | None = 200,
    *,
    search: str = "",
    tags: Sequence[str] = (),
    states: Sequence[str] = (),
    sort: str = "newest",
    archived: bool = False,
    home: str | Path | None = None,
) -> list[Run]:
    """The newest runs first, at most `limit`, all where it is None; with those in the archive if `archived`.

    Every word of `search` is in the name, note, tags, data, models or verdict of a run; it has all `tags` and one of
    the `states`. `sort` is newest, oldest, name, quality, kept, smallest or fastest; `ConfigError` for another one.
    """
    place = Place.at(home)
    wanted = Wanted(search, states=states, tags=tags, archived=archived, order=sort)
    return [Run(place, listed.run.id) for listed in place.store.find_runs(wanted, limit)]


def carried(place: Place, row: RunRow, progress: bool) -> Run:
    """Drive a claimed run to its end. Raises what made it fail; one that was interrupted comes back as stopped."""
    said = cast(Generator[events.Event, None, None], service_runs.carry(place.store, place.home, row))
    try:
        with contextlib.closing(said):
            _follow(said, place.store, row.id) if progress else collections.deque(said, maxlen=0)
    except KeyboardInterrupt:
        kept = " Its student so far is kept." if place.home.model(row.id, "student").is_dir() else ""
        print(
            f"Run {row.id} was stopped.{kept} To resume: run.resume(), or api.run({row.id}).resume().", file=sys.stderr
        )
    done = Run(place, row.id)
    if done.error is not None:
        error = done.error
        error.add_note(f"It was run {row.id}: api.run({row.id}).resume() tries again from where it was.")
        raise error
    return done


def _follow(said: Iterator[events.Event], store: Store, run_id: int) -> None:
    """Listen to the end, with one bar for the whole run."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    left = TextColumn("{task.fields[left]}")
    shown = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), left)
    with Progress(*shown, console=Console(stderr=True)) as bars:
        bar = bars.add_task("Starting", total=1.0, left="")
        for event in said:
            if isinstance(event, events.PhaseStarted):
                bars.update(bar, description=title(event.phase))
            elif isinstance(event, events.Progress | events.PhaseFinished):
                done = whole(store, store.run(run_id))
                seconds = done.seconds_left
                remaining = "" if seconds is None else f"{timedelta(seconds=round(seconds))} left"
                bars.update(bar, completed=done.share, left=remaining)
