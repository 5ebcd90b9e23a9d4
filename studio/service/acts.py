"""What a person does with runs and data sets: whether it is allowed, the deed itself, and a line in the audit log.

Pages, command line and Python go through here for whatever changes something; reading goes to the store.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.config.reading import with_values
from studio.config.run import RunConfig
from studio.config.sweep import SweepConfig
from studio.errors import AccessError, DataError
from studio.events import TrainedRole
from studio.home import Home
from studio.service import export, housekeeping, ownership, people, runs
from studio.service.people import Person, Role
from studio.store.rows import DatasetRow, RunRow
from studio.store.store import Store
from studio.store.sweeps import SweepRow
from studio.store.versions import Version

if TYPE_CHECKING:
    from studio.data.cleaning import Rows
    from studio.data.columns import Columns
    from studio.data.uploads import Upload
    from studio.pipeline.answers import AskedRole, Conversion, Elsewhere, Written
    from studio.service.additions import Grown
    from studio.service.answer_record import Teacher
    from studio.service.asking import Answers, Asked, Prompt
    from studio.service.file_answers import FileAnswers
    from studio.service.here import ModelHere
    from studio.service.judged import Choice
    from studio.service.library import Added, Files
    from studio.service.new_prompts import Growing, Growth
    from studio.service.questions import Found


@dataclass(frozen=True)
class Acts:
    """Every method raises `AccessError` where the person may not do it, and what the deed itself raises."""

    person: Person
    home: Home
    store: Store

    def may_change(self, row: RunRow | DatasetRow) -> bool:
        return self.person.may_change(row.made_by)

    # --- runs

    def start(self, config: RunConfig, *, key: str, owner: str | None = None) -> RunRow:
        """Queue a run; with an `owner` it is claimed at once."""
        config = runs.where_they_lie(self.home, self.store, config)
        self.require_models(config)
        self.home.require_room()
        run = self.store.submit(config, key=key, owner=owner, made_by=self.person.address)
        self.note("start", f"run {run.id}")
        return run

    def stop(self, run_id: int, pause: bool = False) -> None:
        self._require_mine(self.store.run(run_id))
        self.store.request_stop(run_id, pause)
        self.note("pause" if pause else "stop", f"run {run_id}")

    def resume(self, run_id: int, owner: str | None = None) -> RunRow:
        run = self.store.run(run_id)
        self._require_mine(run)
        self.require_models(run.config)
        resumed = self.store.resume(run_id, owner)
        self.note("resume", f"run {run_id}")
        return resumed

    def take_back(self, run_id: int) -> RunRow:
        self._require_mine(self.store.run(run_id))
        run = ownership.take_back(self.store, run_id)
        self.note("take back", f"run {run_id}")
        return run

    def move(self, run_id: int, place: int) -> None:
        self._require_mine(self.store.run(run_id))
        self.store.move(run_id, place)
        self.note("move", f"run {run_id} to place {max(0, place) + 1} of the queue")

    def archive(self, run_id: int, archived: bool = True) -> None:
        self._require_mine(self.store.run(run_id))
        self.store.archive(run_id, archived)
        self.note("archive" if archived else "unarchive", f"run {run_id}")

    def search(self, config: SweepConfig, *, key: str) -> SweepRow:
        """Begin a search for settings: its trials are queued one after another."""
        config = config.model_copy(update={"base": runs.where_they_lie(self.home, self.store, config.base)})
        self._require_models_of(config)
        self.home.require_room()
        self.store.dataset(config.base.dataset)
        sweep = self.store.add_sweep(config, key, self.person.address)
        self.note("search", f"search {sweep.id}")
        return sweep

    def measure_learning_curve(self, run_id: int) -> list[RunRow]:
        """Queue the runs of a run's learning curve: the same student on parts of its rows."""
        from studio.service import learning_curves

        self.require_to_make()
        run = runs.with_verdict(self.store, run_id)
        self.require_models(run.config)
        found = learning_curves.begin(self.store, self.home, run, self.person.address)
        self.note("learning curve", f"run {run_id}")
        return found

    def pause_search(self, sweep_id: int, paused: bool = True) -> None:
        """Queue no more trials of a search, and pause the one that goes on; or go on with both."""
        sweep = self.store.sweep(sweep_id)
        if not self.person.may_change(sweep.made_by):
            raise AccessError(f"{self.person.name} may not change search {sweep_id}.", "Ask its owner or an admin.")
        if not paused:
            self._require_models_of(sweep.config)
        self.store.set_sweep(sweep_id, "paused" if paused else "running")
        for trial in self.store.trials(sweep_id):
            run = self.store.run(trial.run_id) if trial.run_id else None
            if run is not None and paused and not run.is_over:
                self.store.request_stop(run.id, pause=True)
            elif run is not None and not paused and run.paused and run.can_resume:
                self.store.resume(run.id)
        self.note("pause" if paused else "resume", f"search {sweep_id}")

    def describe(
        self, run_id: int, *, name: str | None = None, note: str | None = None, tags: Sequence[str] | None = None
    ) -> RunRow:
        """Write a name, a note or tags on a run; what is None stays as it is."""
        self._require_mine(self.store.run(run_id))
        run = self.store.describe_run(run_id, name=name, note=note, tags=tags)
        given = {"name": name, "note": note, "tags": tags}
        self.note("describe", f"run {run_id}: {', '.join(what for what, value in given.items() if value is not None)}")
        return run

    def delete_run(self, run_id: int) -> int:
        """Returns the bytes that are free again."""
        self._require_mine(self.store.run(run_id))
        freed = runs.delete(self.home, self.store, run_id)
        self.note("delete", f"run {run_id}")
        return freed

    # --- what the models of a run are asked, on this machine

    def examine(self, run_id: int, kind: "type[Found]") -> "Found":
        """What an examination of a finished run finds; see `questions.examine`."""
        from studio.service import questions

        self.require("member")
        found = questions.examine(self.home, self.store, run_id, kind)
        self.note("examine", f"{kind.program} of run {run_id}")
        return found

    def examine_written(self, run_id: int, rule: str = "", most_tokens: int | None = None) -> "Written":
        """What the language models of a finished run write; see `questions.written`."""
        from studio.service import questions

        self.require("member")
        found = questions.written(self.home, self.store, run_id, rule, most_tokens)
        self.note("examine", f"written of run {run_id}")
        return found

    def examine_elsewhere(self, run_id: int, dataset_id: int) -> "Elsewhere":
        """How good the models of a finished run are on other data; see `questions.elsewhere`."""
        from studio.service import questions

        self.require("member")
        found = questions.elsewhere(self.home, self.store, run_id, dataset_id)
        self.note("examine", f"run {run_id} on data set {dataset_id}")
        return found

    def keep_answers(self, run_id: int) -> None:
        """Keep what the models of an older run say of every row."""
        from studio.service import questions

        self.require_to_make()
        questions.keep(self.home, self.store, run_id)
        self.note("keep", f"answers of run {run_id}")

    def convert(self, run_id: int) -> "Conversion":
        """The student of a run as ONNX files; see `questions.convert`."""
        from studio.service import questions

        self.require_to_make()
        found = questions.convert(self.home, self.store, run_id)
        self.note("convert", f"run {run_id}")
        return found

    def answer_file(
        self, run_id: int, role: "AskedRole", name: str, data: bytes, columns: Mapping[str, str] | None = None
    ) -> "FileAnswers":
        """Have a model of a run answer every row of a file, beside the pages; `columns` as in `FileDesk.begin`."""
        from studio.service import file_answers

        self.require_to_make()
        self.store.run(run_id)
        desk = file_answers.shared(self.home.root)
        begun = desk.begin(self.store, run_id, role, name, data, self.person.address, columns)
        self.note("answer", f"a file, by the {role} of run {run_id}")
        return begun

    # --- data sets

    def save(self, name: str, rows: "Rows", columns: "Columns", **split: Any) -> DatasetRow:
        from studio.service import library

        self.require_to_make()
        saved = library.save(self.store, self.home, name, rows, columns, made_by=self.person.address, **split)
        self.note("save", _named(saved))
        return saved

    def add(self, files: "Files", **how: Any) -> "Added":
        from studio.service import library

        self.require_to_make()
        added = library.add(self.store, self.home, files, made_by=self.person.address, **how)
        self.note("save", _named(added.row))
        return added

    def have_answered(self, prompts: "Sequence[Prompt]", teacher: "Teacher", answers: "Answers",
                      **how: Any) -> "Generator[Asked]":  # fmt: skip
        """A teacher answers prompts. Behind an address: what this machine reaches, and the keys that it holds, are an
        admin's; a model of this machine is whose who may open it."""
        from studio.service import asking
        from studio.service.here import ModelHere

        self._require_to_ask(teacher, len(prompts))
        if isinstance(teacher, ModelHere):
            yield from asking.ask_here(self.home, prompts, teacher, answers, **how)
        else:
            yield from asking.ask(self.home, prompts, teacher, answers, **how)

    def have_written(self, growth: "Growth", teacher: "Teacher", **how: Any) -> "Generator[Growing]":
        """A teacher writes new prompts after examples; who may is as with answers."""
        from studio.service import new_prompts

        self._require_to_ask(teacher, growth.wanted)
        yield from new_prompts.write(self.home, teacher, growth, **how)

    def _require_to_ask(self, teacher: "Teacher", prompts: int) -> None:
        from studio.service.here import ModelHere

        if isinstance(teacher, ModelHere):
            self.require_models(teacher.config)
        else:
            self.require("admin")
        self.note("ask", f"{prompts} prompts of {teacher.model if isinstance(teacher, ModelHere) else teacher.host}")

    def model_here(self, reference: str, **how: Any) -> "ModelHere":
        """A model of this machine that answers prompts, by its reference. Raises `ConfigError` where it is none."""
        from studio.config.reading import parse_config
        from studio.service import answering, here

        config = parse_config({"dataset": "prompts", "task": answering.LEARNED, "teacher": reference,
                               "student": "teacher/same"})  # fmt: skip
        config = runs.where_they_lie(self.home, self.store, config)
        self.require_models(config)
        return here.ModelHere(config, here.stamp(self.home, config.teacher), **how)

    def call_version(self, row: DatasetRow, of: str | int) -> Version:
        """Say that a data set is the newest version of another one. Raises `DataError` where it is of another task, or
        is one of several versions already."""
        old = self.store.dataset(of)
        self._require_mine(row)
        known = self.store.versions(row.id)
        if row.id == old.id or self.store.version(row.id).number > 1 or len(known) > 1:
            raise DataError(
                f"{row.name!r} cannot become a version of {old.name!r}: it has its place among versions already.",
                "Name a data set that is no version yet.",
            )
        if (old.task, old.multi_label) != (row.task, row.multi_label):
            raise DataError(f"{row.name!r} is {row.task}, {old.name!r} is {old.task}.", "Name data of the same task.")
        more = sum(row.splits.values()) - sum(old.splits.values())
        change = {"added": more} if more > 0 else {"removed": -more} if more else {}
        version = self.store.add_version(row.id, old.id, change)
        self.note("version", f"{_named(row)} of {_named(old)}")
        return version

    def rename(self, reference: str | int, name: str) -> DatasetRow:
        from studio.service import library

        before = self.store.dataset(reference)
        self._require_mine(before)
        row = library.rename(self.store, self.home, before.id, name)
        self.note("rename", f"{_named(before)} to {row.name!r}")
        return row

    def delete_dataset(self, reference: str | int) -> int:
        """Returns the bytes that are free again."""
        from studio.service import library

        row = self.store.dataset(reference)
        self._require_mine(row)
        freed = library.delete(self.store, self.home, row.id)
        self.note("delete", _named(row))
        return freed

    def mark(self, dataset_id: int, split: str, row: int, label: Any) -> None:
        """Say what a row of a data set should be labelled as, in the form of its column `label`."""
        self.require("member")
        self.store.mark(dataset_id, split, row, label, self.person.address)
        self.note("mark", f"row {row + 1} of the {split} rows of data set {dataset_id}")

    def unmark(self, dataset_id: int, split: str, row: int) -> None:
        self.require("member")
        self.store.unmark(dataset_id, split, row)
        self.note("unmark", f"row {row + 1} of the {split} rows of data set {dataset_id}")

    def correct(self, dataset_id: int, name: str) -> DatasetRow:
        """Save a data set anew, with the labels that were marked as the right ones; returns the new one."""
        from studio.service import corrections

        self.require_to_make()
        relabelled = len(self.store.marks(dataset_id))
        row = corrections.save(self.store, self.home, dataset_id, name, self.person.address)
        self.store.add_version(row.id, dataset_id, {"relabelled": relabelled})
        self.note("save", _named(row))
        return row

    def add_rows(self, dataset_id: int, upload: "Upload", name: str) -> "Grown":
        """Save a data set anew, as its next version, with more training rows; returns what was added."""
        from studio.service import additions

        self.require_to_make()
        grown = additions.add_rows(self.store, self.home, dataset_id, upload, name, self.person.address)
        self.store.add_version(grown.row.id, dataset_id, {"added": grown.added})
        self.note("save", _named(grown.row))
        return grown

    # --- what leaves the studio, and its settings

    def export(self, run_id: int, target: Path) -> Path:
        """Write the student as a zip; returns where."""
        self.require_to_make()
        file = export.student_zip(self.home, self.store, run_id, target)
        self.note("export", f"run {run_id}")
        return file

    def export_cascade(self, run_id: int, threshold: float, facts: dict[str, float | str], target: Path) -> Path:
        """Write student, teacher and the rule between them as a zip; returns where."""
        from studio.service import cascades

        self.require_to_make()
        file = cascades.write(self.home, self.store, run_id, threshold, facts, target)
        self.note("export", f"cascade of run {run_id}")
        return file

    def judge(self, run_id: int, pair: tuple[TrainedRole, TrainedRole], choice: "Choice", asked: Any) -> None:
        """What somebody prefers of what two models of a run wrote."""
        from studio.service import judged

        self.require("member")
        self.store.run(run_id)
        judged.record(self.home, run_id, pair, choice, asked, self.person.address or "")

    def calibrate(self, run_id: int, temperature: float | None) -> None:
        """Let the student's download say by which temperature its logits are divided; None: no more."""
        from studio.service import calibrated

        self._require_mine(self.store.run(run_id))
        runs.with_verdict(self.store, run_id)
        calibrated.write(self.home, run_id, temperature)
        self.note("calibrate", f"run {run_id}: {temperature}")

    def push(self, run_id: int, name: str, private: bool = True) -> str:
        """Put the student into a new repository of the Hugging Face Hub; returns its address."""
        self._require_mine(self.store.run(run_id))
        address = export.push(self.home, self.store, run_id, name, private)
        self.note("export", f"run {run_id} to {address}")
        return address

    def delete_teacher_outputs(self, name: str) -> int:
        """Returns the bytes that are free again."""
        return self._as_admin(lambda: housekeeping.delete_teacher_outputs(self.store, self.home, name), name)

    def delete_asked_answers(self, name: str) -> int:
        """Returns the bytes that are free again."""
        return self._as_admin(lambda: housekeeping.delete_asked_answers(self.home, name), name)

    def tidy(self) -> int:
        """Returns the bytes that are free again."""
        return self._as_admin(lambda: housekeeping.tidy(self.store, self.home), "what had its time")

    def _as_admin(self, deed: Callable[[], int], about: str) -> int:
        self.require("admin")
        freed = deed()
        self.note("settings", f"deleted teacher outputs, asked answers or uploads: {about}")
        return freed

    # --- who may what

    def require(self, role: Role) -> None:
        if not self.person.has(role):
            raise AccessError(
                f"{self.person.name} is a {self.person.role}: this is for {role}s.",
                "Ask an admin to do it, or to give you that role.",
            )

    def require_to_make(self) -> None:
        """What is made is kept: that is for members, and while the disk has room."""
        self.require("member")
        self.home.require_room()

    def require_models(self, config: RunConfig) -> None:
        """Whoever is no admin opens folders of models only where `STUDIO_MODEL_FOLDERS` says so."""
        self.require("member")
        if self.person.has("admin"):
            return
        for reference in runs.references(config):
            if reference.source == "folder" and not people.may_open(reference.path):
                raise AccessError(
                    "Folders of the studio's machine can be opened by admins, by others only below those that "
                    f"STUDIO_MODEL_FOLDERS names; {reference} is elsewhere.",
                    "Choose another model, or ask an admin.",
                )

    def _require_models_of(self, config: SweepConfig) -> None:
        self.require_models(config.base)
        for name, values in config.search.items():
            for value in values if isinstance(values, tuple) else ():
                self.require_models(with_values(config.base, **{name: value}))

    def note(self, what: str, about: str) -> None:
        self.store.note(self.person.name, what, about)

    def _require_mine(self, row: RunRow | DatasetRow) -> None:
        if not self.may_change(row):
            name = f"run {row.id}" if isinstance(row, RunRow) else f"data set {row.name!r}"
            raise AccessError(
                f"{self.person.name} may not change {name}: it belongs to {row.made_by or 'nobody who signed in'}.",
                "Ask its owner or an admin.",
            )


def _named(row: DatasetRow) -> str:
    return f"data set {row.id}, {row.name!r}"
