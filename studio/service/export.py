"""One run's model to take away: a Hugging Face folder in a zip, with a model card and the config that made it."""

import hashlib
import json
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from studio import files, tasks
from studio.errors import ExportError
from studio.events import Evaluation, StageResult
from studio.home import PASSING, Home
from studio.language import escaping
from studio.pipeline.answers import Conversion, read_conversion
from studio.service import calibrated
from studio.service.new_files import written
from studio.store.rows import RunRow
from studio.store.speeds import speed
from studio.store.store import Store
from studio.tasks import Task, language

MOST_LABELS = 20
_PACKAGE = Path(__file__).parents[1]
_LOADERS = {
    "studio_architectures": _PACKAGE / "tasks" / "architectures.py",
    "studio_compact": _PACKAGE / "models" / "compact.py",
}
"""Files that open what transformers alone does not know, and their names in the zip."""


def push(home: Home, store: Store, run_id: int, name: str, private: bool = True) -> str:
    """Put what the zip holds into a new repository `ORG/NAME` of the Hugging Face Hub; returns its address.

    Raises `ExportError` where there is no token, or where there is such a repository already.
    """
    from studio.models import hub

    with tempfile.TemporaryDirectory(prefix=PASSING) as place:
        file = student_zip(home, store, run_id, Path(place) / "student.zip")
        with zipfile.ZipFile(file) as archive:
            archive.extractall(Path(place) / "student")
        return hub.push(Path(place) / "student", name, private)


def student_zip(home: Home, store: Store, run_id: int, target: Path, role: str = "student") -> Path:
    """Write the zip to `target`, which must not exist. Raises `ExportError` where the run has no such model."""
    run = store.run(run_id)
    folder = home.model(run_id, role)
    if not folder.is_dir():
        raise ExportError(f"Run {run_id} has no {role} yet; it is {run.status}.", "Wait for it, or choose another run.")
    for part in (folder, home.quantized(run_id, role)):
        _require_undamaged(part, run_id)
    with written(target) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        _fill(archive, _contents(folder, home, store, run))
    return target


def _require_undamaged(folder: Path, run_id: int) -> None:
    damage = files.damage(folder)
    if damage is not None:
        raise ExportError(
            f"What is saved of run {run_id} is damaged: in {folder.name}, {damage}.",
            "Restore it from a backup, or start the run again.",
        )


def _contents(folder: Path, home: Home, store: Store, run: RunRow) -> dict[str, Path | str]:
    """What the zip holds by its name there: a file, or what is written into one."""
    loaders, onnx, int8 = _loaders(folder), home.onnx(run.id), home.quantized(run.id, "student")
    conversion = None if files.damage(onnx) else read_conversion(onnx)  # it can be made anew
    found: dict[str, Path | str] = {file.name: file for file in sorted(folder.iterdir())}
    for file in sorted((*onnx.glob("*.onnx"), *onnx.glob("*.gguf"))) if conversion else ():
        found[f"{file.suffix.removeprefix('.')}/{file.name}"] = file
    for file in sorted(int8.iterdir()) if int8.is_dir() else ():
        found[f"int8/{file.name}"] = file
    limit = min(run.config.max_length, _config(folder).get("max_position_embeddings", run.config.max_length))
    card = model_card(store, run, limit, loaders, conversion, int8.is_dir(), _opening(home, store, run, folder))
    found |= {"README.md": card + calibrated.lines(home, run.id), "config.yaml": run.config.to_yaml()}
    if calibrated.read(home, run.id) is not None:
        found[calibrated.FILE] = home.run(run.id) / calibrated.FILE
    found |= {f"{name}.py": _LOADERS[name] for name in loaders}
    return {name: content for name, content in found.items() if Path(name).name != files.SUMS}


def _fill(archive: zipfile.ZipFile, contents: Mapping[str, Path | str]) -> None:
    """All of it, and the checksum of each file."""
    sums = []
    for name, content in contents.items():
        if isinstance(content, Path):
            weights = content.suffix == ".safetensors"  # numbers hardly shrink, and trying takes most of the time
            archive.write(content, name, zipfile.ZIP_STORED if weights else None)
            known = files.checksum(content)
        else:
            archive.writestr(name, content)
            known = hashlib.sha256(content.encode()).hexdigest()
        sums.append(f"{known}  {name}\n")
    archive.writestr(files.SUMS, "".join(sums))


def model_card(
    store: Store,
    run: RunRow,
    limit: int,
    loaders: Sequence[str] = (),
    conversion: Conversion | None = None,
    int8: bool = False,
    opening: str = "text",
) -> str:
    """What the model is, how good it is, and lines of Python that use it. Texts are cut to `limit` tokens, as they were
    in the run; `loaders` are files beside it that open it. `opening`: how a language model is given a text to go on,
    see `studio.tasks.language.OPENINGS`."""
    dataset = store.dataset_by_id(run.dataset_id)
    task = tasks.get(dataset.task, dataset.multi_label)
    lines = [
        "---",
        "library_name: transformers",
        f"pipeline_tag: {task.pipeline_tag}",
        "tags: [knowledge-distillation]",
        "---",
        "",
        f"# Student of run {run.id}",
        "",
        _verdict(run, dataset.labels),
        "",
        *_seed_lines(store, run),
        "## Use it",
        "",
        f"In this folder, after `{_install(task, 'torch')}`:",
        "",
        "```python",
        *[f"import {name}  # the file beside this one" for name in loaders],
        *_use(task, limit, "studio_compact" in loaders, opening),
        "```",
        "",
        *(_int8_lines(task, limit) if int8 else []),
        *(_onnx_lines(task, limit, conversion, opening) if conversion else []),
        *(_no_onnx_lines(run) if not conversion and not int8 else []),
        "## Data",
        "",
        f"{escaping.in_markdown(dataset.name)}: "
        + ", ".join(f"{count:,} {split}" for split, count in dataset.splits.items())
        + f" rows{_labels(dataset.labels)}.",
        "",
        "## Results on the test rows",
        "",
        "| model | measure | value | 95 % interval |",
        "| --- | --- | --- | --- |",
        *[_row(result) for result in store.evaluations(run.id) if "latency" not in result.metric],
        "",
        *_speed_lines(store.evaluations(run.id)),
        *_step_lines(store.stage_results(run.id)),
        "## Limits",
        "",
        "It was measured on rows like those it was trained on. On other data expect it to do worse, and measure again.",
        "",
        "Settings: `config.yaml`.",
    ]
    return "\n".join(lines) + "\n"


def _verdict(run: RunRow, labels: Sequence[str]) -> str:
    """The sentence; labels in it mean nothing to Markdown."""
    sentence = run.verdict or f"This run is {run.status}; it has no verdict."
    for label in labels:
        sentence = sentence.replace(repr(label), escaping.in_markdown(repr(label)))
    return sentence


def _labels(labels: Sequence[str]) -> str:
    """The names of the labels, where there are some."""
    if not labels:
        return ""
    named = ", ".join(map(escaping.in_markdown, labels[:MOST_LABELS]))
    return f"; labels: {named}{' …' if len(labels) > MOST_LABELS else ''}"


def _seed_lines(store: Store, run: RunRow) -> list[str]:
    """Which of several students it is, and how it does for itself."""
    exported = next((seed for seed in store.seeds(run.id) if seed.exported), None)
    if exported is None:
        return []
    own = [
        f"{evaluation.metric} {tasks.known_as(evaluation.metric, evaluation.value):.4f}"
        for evaluation in store.evaluations_of_seeds(run.id)
        if (evaluation.role, evaluation.split, evaluation.seed) == ("student", "test", exported.seed)
    ]
    return [
        f"This is the student of seed {exported.seed}, the one of {run.config.seeds} that did best on validation rows; "
        f"the test rows had no part in that choice. On them it has {', '.join(own)}; the numbers below are means over "
        "the seeds.",
        "",
    ]


def _install(task: Task, *packages: str) -> str:
    """What brings everything that the lines of Python need, in the versions that the studio has tried."""
    names = [*packages, "transformers", *(["pillow"] if task.modality == "image" else [])]
    return "pip install " + " ".join(f"{name}=={version(name).partition('+')[0]}" for name in names)


def _opening(home: Home, store: Store, run: RunRow, folder: Path) -> str:
    """How a language model is given a text: as the rows were that it learned."""
    row = store.dataset_by_id(run.dataset_id)
    if tasks.get(row.task, row.multi_label).kind != "token" or not home.dataset(row.id).is_dir():
        return "text"
    from studio.data.folder import load

    form = str(load(home.dataset(row.id)).dict["train"][0]["form"])
    config_file = folder / "tokenizer_config.json"
    has_template = (folder / "chat_template.jinja").is_file() or (
        config_file.is_file() and "chat_template" in config_file.read_text()
    )
    return "template" if has_template and form != "text" else form


def _use(task: Task, limit: int, compact: bool, opening: str) -> list[str]:
    """The lines that open the model and ask it."""
    usage = (
        language.opened_as(opening, task.usage("torch", limit)) if task.kind == "token" else task.usage("torch", limit)
    )
    if not compact:
        return usage
    opened = re.compile(r"(AutoModelFor\w+)\.from_pretrained\(\"\.\", use_safetensors=True\)")
    return [opened.sub(r'studio_compact.load(".", \1)', line) for line in usage]


def _int8_lines(task: Task, limit: int) -> list[str]:
    """The int8 file that the plan ends with."""
    return [
        "## In int8",
        "",
        "The results below are those of `int8/model.onnx`, with which the plan of this run ends; the weights above are "
        "the student before that step.",
        "",
        *_code(task, limit, "int8"),
    ]


def _code(task: Task, limit: int, form: str) -> list[str]:
    """The lines that ask an ONNX file."""
    return [
        f"After `{_install(task, 'onnxruntime')}`:",
        "",
        "```python",
        *task.usage(form, limit),
        "```",
        "",
    ]


def _step_lines(results: Sequence[StageResult]) -> list[str]:
    """What each step of the plan cost and brought."""
    if not results:
        return []
    rows = [
        f"| {result.title} | {result.value:.4f} ({result.low:.4f} to {result.high:.4f}) | {result.parameters:,} | "
        f"{result.size_bytes / 1e6:.2f} | {result.latency_ms:.2f} |"
        for result in results
    ]
    return [
        "## Step by step",
        "",
        f"On the {results[0].n} validation rows that chose the weights, too: the values are a little too good, and the "
        "95 % intervals do not count that. Milliseconds for one row.",
        "",
        f"| step | {results[0].metric} | parameters | MB | ms |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
    ]


def _speed_lines(evaluations: Sequence[Evaluation]) -> list[str]:
    """How long each model takes: on what, with how many threads, in which runtime."""
    rows = []
    for kind, models in speed(evaluations).items():
        for role, timed in models.items():
            ratio = timed["times_the_student"]
            cores = kind.partition("_in_")[0].replace("_", " ")
            slower = f"{ratio['value']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})" if ratio else ""
            of_32 = "" if timed["latency_32_ms"] is None else f"{timed['latency_32_ms']:.2f}"
            rows.append(
                f"| {role} | {cores} | {timed['threads'] or ''} | {timed['runtime']} | "
                f"{timed['latency_ms']:.2f} | {of_32} | {slower} |"
            )
    if not rows:
        return []
    devices = sorted({evaluation.device for evaluation in evaluations if evaluation.device})
    return [
        "## Speed",
        "",
        f"Medians on {', '.join(map(escaping.in_markdown, devices)) or 'the machine of the run'}, all models in turn, "
        "in each runtime for itself; a model is compared with the student in the same one. "
        "The control is the same network as the student: how far its ratio is from 1 tells how exact these times are.",
        "",
        "| model | cores | threads | runtime | ms, one row | ms, 32 rows | times the student (95 % interval) |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
    ]


def _no_onnx_lines(run: RunRow) -> list[str]:
    """How to get what this zip does not hold."""
    return [
        "## As ONNX",
        "",
        f"This zip holds no ONNX file. `python -m studio export {run.id}` puts one into it, and so does Build "
        "download on the page of the run.",
        "",
    ]


def _onnx_lines(task: Task, limit: int, conversion: Conversion, opening: str) -> list[str]:
    """The forms of the student, side by side, and how to ask the first file."""
    rows = [
        f"| {form.name} | {form.file or '-'} | {form.size_bytes / 1e6:.2f} | "
        f"{'-' if form.latency_ms is None else f'{form.latency_ms:.2f}'} | {form.same:.0%} | {form.largest:.2g} |"
        for form in conversion.forms
        if form.rows
    ]
    gguf = [form.file for form in conversion.forms if form.file.endswith(".gguf")]
    return [
        "## As ONNX and GGUF" if gguf else "## As ONNX",
        "",
        f"In `onnx/`{' and `gguf/`' if gguf else ''}, checked on {conversion.forms[0].rows} validation rows; one row "
        f"at a time on {escaping.in_markdown(conversion.device) or 'the machine of the export'}, "
        f"{conversion.threads} threads, torch in PyTorch, the other forms in ONNX Runtime.",
        "",
        "| form | file | MB | ms | same choice as torch | largest difference of a logit |",
        "| --- | --- | --- | --- | --- | --- |",
        *rows,
        *[f"\nThe {form.name} file is left out. {form.left_out}" for form in conversion.forms if form.left_out],
        "",
        *(_code(task, limit, "onnx") if task.kind != "token" else []),
        *(_gguf_lines(gguf[0], opening) if gguf else []),
    ]


_GGUF_ASKED = {
    "text": '-no-cnv -p "Once upon a time"',
    "answer": "-no-cnv -p $'Tell me a story.\\n'",
    "chat": "-no-cnv -p $'User: Tell me a story.\\nAssistant: '",
    "template": '-cnv --jinja -st -p "Tell me a story."',
}


def _gguf_lines(file: str, opening: str) -> list[str]:
    """How other programs open the file."""
    return [
        "A GGUF file was checked by reading its weights back into torch; how another program computes with them was",
        "not tried. With llama.cpp, and with Ollama:",
        "",
        "```sh",
        f"llama-cli -m gguf/{file} {_GGUF_ASKED[opening]}",
        f"echo FROM ./gguf/{file} > Modelfile && ollama create student -f Modelfile && ollama run student",
        "```",
        "",
    ]


def _row(result: Evaluation) -> str:
    if result.low is None or result.high is None:
        return f"| {result.role} | {result.metric} | {f'{result.value:,.2f}'.removesuffix('.00')} | |"
    value, *ends = (tasks.known_as(result.metric, number) for number in (result.value, result.low, result.high))
    return f"| {result.role} | {result.metric} | {value:.4f} | {min(ends):.4f} to {max(ends):.4f} |"


def _config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


def _loaders(folder: Path) -> list[str]:
    """The files that the zip must bring, so that the model can be opened."""
    config = _config(folder)
    own = str(config.get("model_type", "")).startswith("studio-")
    needed = {"studio_architectures": own, "studio_compact": bool(config.get("compact"))}
    return [name for name, wanted in needed.items() if wanted]
