"""A cascade to take away: student, teacher, and the rule when which of them answers, in one zip."""

import json
import zipfile
from pathlib import Path

from studio import files
from studio.config.references import ModelReference
from studio.home import Home
from studio.service import export
from studio.service.new_files import written
from studio.store.store import Store

RULE = "rule.json"
_README = """# Cascade of run {run}

The student answers where it is at least {share:.1f} % sure; the teacher answers all other rows.

1. Ask the student (`student/`, its README shows how) and take the probability of its answer.
2. Where that is below `threshold` of `rule.json`, {teacher}.

The threshold was chosen on validation rows. Of {rows:,} test rows the teacher was asked about {asked:.1f} %, and
both together reached {measure} {value}.
"""


def write(home: Home, store: Store, run_id: int, threshold: float, facts: dict[str, float | str], target: Path) -> Path:
    """Write the zip to `target`, which must not exist. `facts`: measure, value, asked and rows on test rows.

    Raises `ExportError` where the run has no student, or there is something at `target`.
    """
    run = store.run(run_id)
    teacher = _teacher(home, run_id, run.config.teacher)
    with written(target) as part:
        student = export.student_zip(home, store, run_id, part.with_name(f"{part.name}.student"))
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            with zipfile.ZipFile(student) as packed:
                for name in packed.namelist():
                    archive.writestr(f"student/{name}", packed.read(name))
            if teacher is not None:
                for file in files.inside(teacher):
                    archive.write(file, f"teacher/{file.relative_to(teacher).as_posix()}")
            rule = {"threshold": threshold, "confidence": "probability of the student's answer", "otherwise": "teacher",
                    "teacher": "teacher/" if teacher is not None else run.config.teacher, **facts}  # fmt: skip
            archive.writestr(RULE, json.dumps(rule, indent=2))
            asks = "ask the teacher (`teacher/`)" if teacher is not None else f"ask the teacher, `{run.config.teacher}`"
            archive.writestr("README.md", _README.format(
                run=run_id, share=100 * threshold, teacher=asks, rows=int(facts["rows"]),
                asked=100 * float(facts["asked"]), measure=facts["measure"], value=facts["value"]))  # fmt: skip
    return target


def _teacher(home: Home, run_id: int, reference: str) -> Path | None:
    """The folder of the teacher as this run left it; None where it lies elsewhere, under its own name."""
    saved = home.model(run_id, "teacher")
    if saved.is_dir():
        return saved
    found = ModelReference.find(reference)
    if found is None or found.run is None or found.role is None:
        return None
    folder = home.model(found.run, found.role)
    return folder if folder.is_dir() else None
