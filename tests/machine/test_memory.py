"""What does not fit into memory is refused before anything is trained."""

import psutil
import pytest
import torch

from studio.config.reading import parse_config
from studio.errors import DeviceError
from studio.machine import cgroups, memory
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


def system(monkeypatch, root, mountinfo, cgroup, groups):
    """A machine whose control groups are `groups`: {folder: {file: text}}."""
    (root / "self").mkdir()
    (root / "self" / "mountinfo").write_text(mountinfo.format(root=root))
    (root / "self" / "cgroup").write_text(cgroup)
    for folder, written in groups.items():
        (root / folder).mkdir(parents=True)
        for name, text in written.items():
            (root / folder / name).write_text(text)
    monkeypatch.setattr(cgroups, "PROC", root)


def v2(limit, used, droppable=0):
    return {"memory.max": f"{limit}\n", "memory.current": f"{used}\n", "memory.stat": f"inactive_file {droppable}\n"}


def v1(limit, used, droppable=0):
    return {"memory.limit_in_bytes": f"{limit}\n", "memory.usage_in_bytes": f"{used}\n",
            "memory.stat": f"inactive_file 0\ntotal_inactive_file {droppable}\n"}  # fmt: skip


V2_MOUNT = "30 24 0:26 / {root}/fs rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = "31 24 0:27 /docker/x {root}/fs rw,nosuid - cgroup cgroup rw,memory\n"
V1_MOUNT += "32 24 0:28 / {root}/c rw - cgroup cgroup rw,cpu\n"


def test_the_limit_of_a_container_counts(monkeypatch, tmp_path):
    system(monkeypatch, tmp_path, V2_MOUNT, "0::/\n", {"fs": v2(1000, 700, 150)})
    assert memory.free_bytes(torch.device("cpu")) == 450
    (tmp_path / "fs" / "memory.max").write_text("max\n")
    assert memory.free_bytes(torch.device("cpu")) > 1_000_000


def test_of_nested_groups_the_one_with_the_least_left_counts(monkeypatch, tmp_path):
    """As of a service with MemoryMax= in a slice that has a limit of its own; the root has no files."""
    groups = {"fs": {}, "fs/app.slice": v2(5000, 4000), "fs/app.slice/studio.service": v2(2000, 100), "fs/o": v2(9, 1)}
    system(monkeypatch, tmp_path, V2_MOUNT, "0::/app.slice/studio.service\n", groups)
    assert memory.free_bytes(torch.device("cpu")) == 1000
    (tmp_path / "fs/app.slice/studio.service/memory.max").write_text("600")
    assert memory.free_bytes(torch.device("cpu")) == 500


def test_the_limit_of_the_first_version_counts_also_where_the_mount_begins_inside(monkeypatch, tmp_path):
    groups = {"fs": v1(9000, 5000), "fs/job": v1(1000, 800, 50)}
    system(monkeypatch, tmp_path, V1_MOUNT, "5:cpu:/docker/x\n4:memory:/docker/x/job\n0::/\n", groups)
    assert memory.free_bytes(torch.device("cpu")) == 250
    (tmp_path / "fs/job/memory.limit_in_bytes").write_text(str(2**63 - 4096))
    assert memory.free_bytes(torch.device("cpu")) == 4000


def test_a_system_without_control_groups_has_no_limit(monkeypatch, tmp_path):
    monkeypatch.setattr(cgroups, "PROC", tmp_path)
    assert cgroups.left() == []
    assert cgroups.oom_kills() is None
    (tmp_path / "vmstat").write_text("pgfault 9\noom_kill 3\n")
    assert cgroups.oom_kills() == 3


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
