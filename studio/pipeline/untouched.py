"""The student as it was before it learned anything: beside it stands what its training was worth."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from studio.config.references import ModelReference
from studio.config.run import RunConfig
from studio.errors import ModelError
from studio.home import Home
from studio.models import hub, opening
from studio.models.layers import cut_layers
from studio.models.model import Model, Problem
from studio.models.saving import require_undamaged
from studio.pipeline import prepare
from studio.pipeline.run_state import RunState
from studio.pipeline.timetable import has_untouched


def is_measured(config: RunConfig, student: Model | None) -> bool:
    """Whether it says anything: the student, None where it is cut from its teacher, has no new last layer."""
    return has_untouched(config) and (student is None or student.knows_labels)


def of_run(state: RunState, changed: Collection[str]) -> Model:
    """The student as it came, opened once more: the control has learned in the weights that were opened first. Of one
    that is cut, the layers of what it was cut from. `changed`: the models whose files are no longer what they were.

    Raises `ModelError` for such a student, or where its folder is gone.
    """
    context, config, student = state.context, state.context.config, state.opened.line[-1]
    source = config.teacher if student is None else config.student
    if source in changed:
        raise ModelError(f"The files of {source} changed while the run went on.", "Start the run again.")
    if student is None:
        return prepare.cut(context, config.student, state.origin)
    assert student.folder is not None, "a student that was trained before was opened from a folder"
    return replace(opening.open_folder(student.folder, context.problem), processor=student.processor)


def of_finished(config: RunConfig, run_id: int, home: Home, problem: Problem) -> Model:
    """The same once the run is over, by its settings: from this machine alone, as it lies there now.

    Raises `ModelError` where it is no longer there, or begins with a new last layer.
    """
    reference = ModelReference.parse(config.student)
    if reference.layers is None:
        found = opening.open_folder(_folder(reference, home), problem)
        if not found.knows_labels:
            raise ModelError(f"{reference} has no last layer of its own.", "")
        return found
    origin = _folder_of_origin(config, run_id, home)
    return cut_layers(opening.open_folder(origin, problem), reference.layers)


def _folder_of_origin(config: RunConfig, run_id: int, home: Home) -> Path:
    """What the student was cut from: a model that this run has taught and saved, else the teacher as it came."""
    is_shrinking = config.chain == "shrinking" and config.assistants
    saved = home.model(run_id, f"assistant-{len(config.assistants)}" if is_shrinking else "teacher")
    if not saved.is_dir():
        return _folder(ModelReference.parse(config.teacher), home)
    require_undamaged(saved)
    return saved


def _folder(reference: ModelReference, home: Home) -> Path:
    """Where a model lies on this machine."""
    if reference.source == "hub":
        folder = hub.cached(reference.name)
    elif reference.run is not None:
        folder = home.model(reference.run, reference.role)
    else:
        folder = reference.path
    if folder is None or not folder.is_dir():
        raise ModelError(f"{reference} is no longer on this machine.", "Bring it back, and ask again.")
    if reference.run is not None:
        require_undamaged(folder)
    return folder
