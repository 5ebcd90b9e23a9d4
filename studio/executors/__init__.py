"""Where a worker runs. An executor turns a job into a stream of events."""

from pydantic import BaseModel, ConfigDict

from studio.config import RunConfig


class Job(BaseModel):
    """What a worker needs to know: the config, and where things are on disk."""

    model_config = ConfigDict(frozen=True)

    run_id: int
    config: RunConfig
    dataset: str
    replay: str | None = None
    home: str


class Stopped(Exception):
    """The worker ended because it was asked to; what the student learned so far is saved."""
