"""A run's student as ONNX files, and as GGUF where it writes, checked and timed on rows of its data, in a process of
its own: it opens torch."""

import sys
import time
from pathlib import Path
from typing import Any

from studio import files
from studio.errors import ExportError
from studio.pipeline.answers import Conversion, Form
from studio.pipeline.job import Job, respond

CHECKED_ROWS = 500
"""Validation rows, drawn by chance, on which a file must answer as the student does; all where there are fewer."""

PASSES = 30
FILES = {"float32": "model.onnx", "int8": "model-int8.onnx"}
GGUF_FILES = {"GGUF f16": "model-f16.gguf", "GGUF q8_0": "model-q8_0.gguf"}
"""What llama.cpp and Ollama open: of models that write alone."""


def convert(job: Job) -> Conversion:
    """Write the files and `forms.json` into the run's folder, all or none.

    Checked on validation rows: the test rows stay what they are, read once. A form that does not agree with the student
    is left out, and it is said why. Raises `ExportError` where the student cannot be written as ONNX.
    """
    import torch

    from studio import tasks
    from studio.data.folder import drawn, load
    from studio.machine.devices import Device
    from studio.models import onnx
    from studio.models.model import Problem, quiet
    from studio.models.opening import open_folder
    from studio.models.saving import weights_bytes

    quiet()
    onnx.keep_graphs(job.home.graphs)
    dataset = load(job.dataset)
    rows = drawn(dataset.dict["validation"], CHECKED_ROWS)
    problem = Problem(dataset.task, dataset.labels, rows, job.config.max_length, dataset.multi_label)
    model = open_folder(job.home.model(job.run_id, "student"), problem)
    task = tasks.get(dataset.task, dataset.multi_label)
    inputs = task.encode(rows, model.processor, model.network.config, job.config.max_length)
    train = drawn(dataset.dict["train"], onnx.CALIBRATION_ROWS)
    calibration = task.encode(train, model.processor, model.network.config, job.config.max_length)

    with files.sealed(job.home.onnx(job.run_id), ".onnx", ".gguf") as part:
        onnx.write(model, inputs, part / FILES["float32"])
        onnx.write_int8(part / FILES["float32"], part / FILES["int8"], calibration, onnx.best_form(model.network))
        agreements = {name: onnx.compare(model, part / file, inputs, task) for name, file in FILES.items()}
        times = _times(model, part, inputs)
        forms = [Form(name="torch", size_bytes=weights_bytes(job.home.model(job.run_id, "student")), rows=len(inputs),
                      same=1.0, largest=0.0, latency_ms=times["torch"])]  # fmt: skip
        for name, found in agreements.items():
            forms.append(_form(name, part / FILES[name], found, times[name]))
        _require(forms[1])
        if task.kind == "token":
            forms += [_gguf(model, name, part / file, inputs, task) for name, file in GGUF_FILES.items()]
        here = Device(torch.device("cpu"), torch.float32)
        conversion = Conversion(forms=forms, threads=torch.get_num_threads(), device=here.hardware)
        (part / "forms.json").write_text(conversion.model_dump_json(indent=2))
    return conversion


def _form(name: str, file: Path, found: Any, latency: float) -> Form:
    """A form with what was found; a file that does not agree with the student is deleted."""
    from studio.models import onnx

    size, reason = file.stat().st_size, ""
    if found.same < onnx.LEAST_AGREEMENT or (name == "float32" and found.largest > onnx.TOLERANCE):
        same = f"{found.same:.0%} of {found.rows} rows".replace("%", " %")
        reason = f"It chooses as the student does on {same}; a logit differs by up to {found.largest:.2g}."
        file.unlink()
    return Form(
        name=name,
        file="" if reason else file.name,
        size_bytes=size,
        rows=found.rows,
        same=found.same,
        largest=found.largest,
        latency_ms=latency,
        left_out=reason,
    )


def _gguf(model: Any, name: str, file: Path, inputs: Any, task: Any) -> Form:
    """The student as a GGUF file, opened again and compared; where it cannot be written it is said why."""
    from studio.models import gguf_file, onnx

    precision: gguf_file.Precision = "q8_0" if name.endswith("q8_0") else "f16"
    try:
        gguf_file.write(model, file, precision, "student")
        same, largest = gguf_file.compare(model, file, inputs, task)
    except ExportError as error:
        file.unlink(missing_ok=True)
        return Form(name=name, size_bytes=0, rows=0, same=0.0, largest=0.0, left_out=str(error))
    size, reason = file.stat().st_size, ""
    if same < onnx.LEAST_AGREEMENT:
        reason = f"With its weights the student makes {100 * same:.0f} % of its choices."
        file.unlink()
    return Form(name=name, file="" if reason else file.name, size_bytes=size, rows=len(inputs), same=same,
                largest=largest, left_out=reason)  # fmt: skip


def _require(form: Form) -> None:
    if form.left_out:
        raise ExportError(
            f"The student's ONNX file does not answer as the student. {form.left_out}", "Take the folder."
        )


def _times(model: Any, folder: Path, inputs: Any) -> dict[str, float]:
    """Median milliseconds of one row, the forms taking turns."""
    import statistics

    import torch

    from studio.models import onnx

    sessions = {name: onnx.open_file(folder / file) for name, file in FILES.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ("torch", *sessions)}
    network = model.network.eval()
    for turn in range(PASSES):
        batch = inputs.batch(torch.tensor([turn % len(inputs)]))
        for name, taken in seconds.items():
            start = time.perf_counter()
            with torch.inference_mode():
                network(**batch) if name == "torch" else onnx.run(sessions[name], batch)
            taken.append(time.perf_counter() - start)
    return {name: 1000 * statistics.median(taken) for name, taken in seconds.items()}


if __name__ == "__main__":
    sys.exit(respond(convert))
