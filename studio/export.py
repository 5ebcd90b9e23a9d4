"""One run's model to take away: a Hugging Face folder in a zip, with a model card and the config that made it."""

import os
import zipfile
from pathlib import Path
from tempfile import mkstemp

from studio.errors import ExportError
from studio.events import Evaluation
from studio.home import Home
from studio.rows import RunRow
from studio.store import Store

_ARCHITECTURES = Path(__file__).with_name("architectures.py")
_OWN_MODEL = '"studio-'
_LOADER = "studio_architectures.py"


def student_zip(home: Home, store: Store, run_id: int, target: Path, role: str = "student") -> Path:
    """Write the zip to `target`, which must not exist. Raises `ExportError` where the run has no such model."""
    run = store.run(run_id)
    folder = home.model(run_id, role)
    if not folder.is_dir():
        raise ExportError(f"Run {run_id} has no {role} yet; it is {run.status}.", "Wait for it, or choose another run.")
    if target.exists():
        raise ExportError(f"{target} is there already.", "Choose another name: nothing is overwritten.")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, part = mkstemp(dir=target.parent, suffix=".part")
    os.close(handle)
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
        archive.writestr("README.md", model_card(store, run, needs_loader=_needs_loader(folder)))
        archive.writestr("config.yaml", run.config.to_yaml())
        if _needs_loader(folder):
            archive.write(_ARCHITECTURES, _LOADER)
    Path(part).replace(target)
    return target


def model_card(store: Store, run: RunRow, needs_loader: bool) -> str:
    """What the model is, how good it is, and lines of Python that open it."""
    kind = "ForSequenceClassification" if run.config.task == "text-classification" else "ForImageClassification"
    dataset = store.dataset(run.dataset_id)
    first = f"import {_LOADER.removesuffix('.py')}  # the file beside this one\n" if needs_loader else ""
    lines = [
        f"# Student of run {run.id}",
        "",
        run.verdict or f"This run is {run.status}; it has no verdict.",
        "",
        "## Open it",
        "",
        "```python",
        f"{first}from transformers import AutoModel{kind}",
        "",
        f'model = AutoModel{kind}.from_pretrained(".", use_safetensors=True)',
        "```",
        "",
        "## Data",
        "",
        f"{dataset.name}: " + ", ".join(f"{count:,} {split}" for split, count in dataset.splits.items()) + " rows; "
        f"labels: {', '.join(dataset.labels[:20])}{' …' if len(dataset.labels) > 20 else ''}.",
        "",
        "## Results on the test rows",
        "",
        "| model | measure | value | 95 % interval |",
        "| --- | --- | --- | --- |",
        *[_row(one) for one in store.evaluations(run.id)],
        "",
        "## Limits",
        "",
        "It was measured on rows like those it was trained on. On other data expect it to do worse, and measure again.",
        "",
        "Settings: `config.yaml`.",
    ]
    return "\n".join(lines) + "\n"


def _row(one: Evaluation) -> str:
    interval = f"{one.low:.4f} to {one.high:.4f}" if one.low is not None and one.high is not None else ""
    value = f"{one.value:.4f}" if one.metric in ("accuracy", "f1_macro") else f"{one.value:,.2f}".removesuffix(".00")
    return f"| {one.role} | {one.metric} | {value} | {interval} |"


def _needs_loader(folder: Path) -> bool:
    """Whether transformers lacks the architecture, so that the zip must bring it."""
    return f'"model_type": {_OWN_MODEL}' in (folder / "config.json").read_text()
