"""Keeps what the models of a finished run say of every row, where the run is from before that was kept, in a process of
its own: it opens torch."""

import sys

from studio.events import KeptAnswers
from studio.pipeline.answers import KeptLater
from studio.pipeline.job import Job, respond

SPLITS = ("validation", "test")


def keep(job: Job) -> KeptLater:
    """Ask every saved model of the run, and the baseline, about the validation and test rows, and keep what they say.

    Nothing is measured or chosen by it. Raises `ModelError` where teacher or student cannot be opened.
    """
    from studio import tasks
    from studio.data.folder import load
    from studio.pipeline import predict
    from studio.pipeline.keeping import Keeping
    from studio.tasks import baseline

    dataset = load(job.dataset)
    task = tasks.get(dataset.task, dataset.multi_label)
    keeping, kept = Keeping(job.home, job.run_id, task, job.config), list[KeptAnswers]()
    encoded = {}
    for role, models in predict.open_roles(job, dataset):
        for split in SPLITS:
            rows, model = dataset.dict[split], models.models[0]
            encoded[split] = task.encode(rows, model.processor, model.network.config, job.config.max_length)
            kept += list(keeping(role, split, models.logits(rows), encoded[split]))
    try:
        plain = baseline.fit(task, dataset.dict["train"], len(dataset.labels), job.config.seed)
    except ValueError:
        return KeptLater(told=kept)  # there is nothing that it could learn
    for split in SPLITS:
        kept += list(keeping("baseline", split, plain.logits(dataset.dict[split]), encoded[split]))
    return KeptLater(told=kept)


if __name__ == "__main__":
    sys.exit(respond(keep))
