"""Where the teacher places each row: its embeddings of training and test rows are kept, in a process of its own."""

import sys
from typing import Any

import numpy as np

from studio.errors import LimitError
from studio.kept import embeddings
from studio.kept.answers import MOST_VALUES
from studio.pipeline.answers import Embedded
from studio.pipeline.job import Job, respond


def examine(job: Job) -> Embedded:
    """Keep the embeddings of the first teacher: of each row the mean of its last layer over words or places.

    Raises `ModelError` where it cannot be opened, `LimitError` where they would take too much.
    """
    from studio import tasks
    from studio.data.folder import load
    from studio.pipeline import predict
    from studio.pipeline.layers import read

    dataset = load(job.dataset)
    task = tasks.get(dataset.task, dataset.multi_label)
    models = predict.open_role(job.config, job.run_id, "teacher", job.home, dataset.labels, dataset.multi_label)
    model, counts, width = models.models[0], dict[str, int](), 0
    for split in embeddings.SPLITS:
        rows = dataset.dict[split]
        _require_room(len(rows), model.network.config)
        encoded = task.encode(rows, model.processor, model.network.config, job.config.max_length)
        parts = [layers[-1].astype(np.float16) for layers in read(models, model, encoded)]
        found = np.concatenate(parts)
        embeddings.write(job.home, job.run_id, split, found)
        counts[split], width = len(found), found.shape[1]
    return Embedded(training=counts["train"], test=counts["test"], width=width)


def _require_room(rows: int, config: Any) -> None:
    widths = [getattr(config, "hidden_size", 0) or 0, *(getattr(config, "hidden_sizes", None) or ())]
    if rows * max(widths) > MOST_VALUES:
        raise LimitError(f"{rows:,} rows are too many to keep where the teacher places them.", "Use fewer rows.")


if __name__ == "__main__":
    sys.exit(respond(examine))
