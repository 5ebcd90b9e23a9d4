"""What does not fit into memory is refused before anything is trained."""

import psutil
import pytest
import torch

from studio.config.reading import parse_config
from studio.errors import DeviceError
from studio.machine import memory
from studio.pipeline.estimate import measure
from studio.pipeline.job import Job
from studio.service.runs import carry
from studio.service.runtime import new_owner
from tests.conftest import TINY, here
from tests.distill.test_training import CPU


def free(monkeypatch, size):
    monkeypatch.setattr(memory, "free_bytes", lambda device: size)


def test_a_model_that_learns_takes_what_torch_takes_for_it():
    """Beside the weights: gradients, both moments, and the copy of the best state, counted on real tensors."""
    network = torch.nn.Linear(300, 200)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    network(torch.ones(1, 300)).sum().backward()
    optimizer.step()
    moments = [one for state in optimizer.state.values() for one in state.values() if one.ndim]
    best = [one.clone() for one in network.state_dict().values()]
    held = sum(one.nbytes for one in [*moments, *best, *(one.grad for one in network.parameters())])
    assert memory.of_learning(sum(one.numel() for one in network.parameters())) == held


def test_what_the_machine_has_left_is_what_the_system_says():
    left = memory.free_bytes(torch.device("cpu"))
    assert 0 < left <= psutil.virtual_memory().total


def test_the_limit_of_a_container_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    for name, text in {"max": "1000", "current": "700", "stat": "anon 500\ninactive_file 150\n"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    assert memory.free_bytes(torch.device("cpu")) == 450
    (tmp_path / "memory.max").write_text("max")
    assert memory.free_bytes(torch.device("cpu")) > 1_000_000


def test_what_does_not_fit_is_told_with_both_numbers_and_what_fits_goes_on(monkeypatch):
    free(monkeypatch, 2_000_000_000)
    memory.require(1_900_000_000, CPU.torch_device, "This run")
    memory.require(2_900_000_000, CPU.torch_device, "This run", held=1_000_000_000)
    with pytest.raises(DeviceError, match=r"at least 2\.1 GB of memory, and the machine has 2\.0 GB left\. Choose"):
        memory.require(2_100_000_000, CPU.torch_device, "This run")


def test_a_run_that_does_not_fit_is_refused_while_it_prepares(job, monkeypatch):
    from studio.home import Home
    from studio.pipeline import distill as trainer

    free(monkeypatch, 10_000)
    home = Home.from_environment()
    run = trainer.distill(Job(run_id=1, config=job.config, dataset=home.dataset(1), home=home))
    said = []
    with pytest.raises(DeviceError, match="This run takes at least"):
        said += run
    assert not [event for event in said if event.kind == "metrics"]


def test_the_estimate_refuses_what_does_not_fit_and_counts_the_data(job, monkeypatch):
    found = measure(job)
    assert found.memory_bytes > found.student_parameters * 20
    free(monkeypatch, -psutil.Process().memory_info().rss + 50_000_000)
    with pytest.raises(DeviceError, match="This run takes at least"):
        measure(job)


def test_a_model_that_is_larger_than_the_machine_is_not_opened(store, home, saved, monkeypatch):
    from studio.data.folder import load
    from studio.models.model import Problem
    from studio.models.opening import open_folder

    run = store.submit(parse_config({"dataset": "reviews", **TINY, "control": False}), key="k", owner=new_owner())
    list(carry(store, home, run, here))
    dataset = load(home.dataset(1))
    problem = Problem("text-classification", dataset.labels, dataset.dict["train"], 16)
    free(monkeypatch, 1_000)
    with pytest.raises(DeviceError, match="student takes at least"):
        open_folder(home.model(1, "student"), problem)
