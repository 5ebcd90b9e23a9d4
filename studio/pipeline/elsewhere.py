"""How good the models of a run are on the test rows of another data set, in a process of its own: it opens torch."""

import sys

from studio.errors import DataError
from studio.pipeline.answers import Elsewhere
from studio.pipeline.job import Job, respond


def examine(job: Job) -> Elsewhere:
    """The deciding measure of every saved model of the run on the test rows of `job.other`, without those that are
    among the training or validation rows of the data on which they learned.

    Raises `DataError` where the data has other labels or no other rows, `ModelError` where teacher or student cannot
    be opened.
    """
    from studio import tasks
    from studio.data import overlap
    from studio.data.folder import drawn, load
    from studio.pipeline import predict
    from studio.pipeline.robustness import MOST_ROWS, quality

    theirs, ours = load(job.other or job.dataset), load(job.dataset)
    kinds = [tasks.get(dataset.task, dataset.multi_label) for dataset in (theirs, ours)]
    if kinds[0] != kinds[1] or theirs.labels != ours.labels:
        raise DataError(
            f"{theirs.name} has other labels than {ours.name}, on which the models learned.",
            f"Choose data with the labels {', '.join(ours.labels[:20]) or 'of the same kind'}.",
        )
    test = theirs.dict["test"]
    earlier = [load(folder) for folder in ([job.replay] if job.replay else []) + [*job.earlier]]
    learned = [ours, *(dataset for dataset in earlier if (dataset.task, dataset.labels) == (ours.task, ours.labels))]
    parts = [part for dataset in learned for name, part in dataset.dict.items() if name != "test"]
    seen = {key for part in parts for key in overlap.row_keys(part, kinds[0])}
    new = [number for number, key in enumerate(overlap.row_keys(test, kinds[0])) if key not in seen]
    if not new:
        raise DataError(
            f"The models have seen all {len(test):,} test rows of {theirs.name} while they learned.",
            "Choose data with other rows.",
        )
    rows = drawn(test.select(new), MOST_ROWS, job.config.seed)
    values = {
        role: quality(predictor, rows, job.config.max_length) for role, predictor in predict.open_roles(job, ours)
    }
    return Elsewhere(dataset=theirs.name, rows=len(rows), known=len(test) - len(new), values=values)


if __name__ == "__main__":
    sys.exit(respond(examine))
