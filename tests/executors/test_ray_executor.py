"""Runs on a real Ray cluster of two nodes on loopback."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from studio import events
from studio.config.reading import parse_config
from studio.executors import ray as remote
from studio.executors import registry
from studio.service.runs import carry
from studio.service.runtime import new_owner
from studio.store.queue import GOES_ON
from tests.conftest import TINY
from tests.conftest import here as in_this_process

ray = pytest.importorskip("ray", reason="ray is not installed: it is an optional extra")

NODE = ["--node-ip-address=127.0.0.1", "--disable-usage-stats"]
SOON = {"RAY_health_check_period_ms": "1000", "RAY_health_check_failure_threshold": "5"}
"""How soon the head misses a node; it would wait for half a minute."""


class Cluster:
    """A cluster of its own on loopback, each node under a process that was started here and takes its node along."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.log = (Path(folder) / "nodes.log").open("wb")
        self.nodes = []
        self._start(
            "--head", f"--port={self.port}", f"--temp-dir={folder}", "--include-dashboard=false", "--num-cpus=0"
        )
        wait_until(self._has_started, 240)

    def add_node(self):
        self._start(f"--address={self.address}", "--num-cpus=1")

    def _start(self, *words):
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", *NODE, *words]
        surroundings = os.environ | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1", "RAY_DISABLE_MEMORY_MONITOR": "1"} | SOON
        log = {"stdout": self.log, "stderr": self.log}
        self.nodes.append(subprocess.Popen(command, env=surroundings, start_new_session=True, **log))

    def _has_started(self):
        """Whether the head says so: a mere connection to a port that nobody has taken yet may be one to itself."""
        log = Path(self.log.name).read_text()
        assert self.nodes[0].poll() is None, log
        return "Ray runtime started" in log

    def processes(self):
        """All that the nodes have started and that still runs."""
        found = []
        for node in self.nodes:
            with contextlib.suppress(psutil.NoSuchProcess):
                found += [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]
        return found

    def stop(self):
        ours = self.processes()
        for node in reversed(self.nodes):
            node.terminate()
        for node in self.nodes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.wait(20)
        for process in ours:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for node in self.nodes:
            node.wait()
        self.log.close()


@pytest.fixture(scope="module")
def cluster():
    """A head that takes no runs, and one more node."""
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        own = Cluster(folder)
        try:
            own.add_node()
            patch.setenv("RAY_ADDRESS", own.address)
            patch.setenv("STUDIO_RAY_NODE_IP", "127.0.0.1")
            yield own
        finally:
            ray.shutdown()
            own.stop()


@pytest.fixture
def execute(cluster):
    return remote.execute


def submitted(store, key="k", **values):
    return store.submit(parse_config({"dataset": "reviews", **TINY, **values}), key=key, owner=new_owner())


def test_a_run_on_the_cluster_ends_as_on_this_machine(store, home, saved, execute):
    here = submitted(store, "here")
    list(carry(store, home, here))
    there = submitted(store, "there")
    list(carry(store, home, there, execute))
    assert store.run(there.id).status == "finished", store.run(there.id).message
    assert store.curve(there.id) == store.curve(here.id)
    for role in ("teacher", "student", "control"):
        ours, theirs = (home.model(run.id, role) / "model.safetensors" for run in (here, there))
        assert ours.read_bytes() == theirs.read_bytes()


def test_the_nodes_of_the_cluster_are_listed(cluster, monkeypatch):
    monkeypatch.setenv("STUDIO_EXECUTOR", "ray")
    assert registry.wanted_slots() == remote.SLOTS

    def cores():
        return sorted(node["Cores"] for node in registry.chosen().nodes() if node["Alive"])

    wait_until(lambda: cores() == [0, 1])


def test_secrets_go_to_the_task_of_a_run_and_not_into_what_ray_shows_of_a_job(monkeypatch):
    for name in [name for name in os.environ if name.startswith(remote.PASSED_ON)]:
        monkeypatch.delenv(name)
    known = {"HF_TOKEN": "hf_1", "WANDB_API_KEY": "2", "MLFLOW_TRACKING_URI": "https://ada:pw@flow.example",
             "WANDB_PROJECT": "studio", "STUDIO_TRACKERS": "wandb", "OTHER_KEY": "3"}  # fmt: skip
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    assert set(remote.passed_on(secret=True)) == {"HF_TOKEN", "WANDB_API_KEY", "MLFLOW_TRACKING_URI"}
    assert remote.passed_on(secret=False) == {"WANDB_PROJECT": "studio", "STUDIO_TRACKERS": "wandb"}
    monkeypatch.delenv("HF_TOKEN")
    with remote.ray_train.knowing('{"HF_TOKEN": "hf_1"}'):
        assert os.environ["HF_TOKEN"] == "hf_1"
    assert "HF_TOKEN" not in os.environ


def test_what_ray_is_told_of_a_job_holds_no_secret(monkeypatch):
    told = {}
    fake = SimpleNamespace(is_initialized=lambda: False, init=lambda **words: told.update(words))
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    monkeypatch.setenv("HF_TOKEN", "hf_s3cret")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    remote.connected()
    assert told["runtime_env"]["env_vars"]["HF_HUB_OFFLINE"] == "1"
    assert "s3cret" not in str(told)


def test_a_cluster_that_does_not_answer_is_named(home, saved, store):
    """In a process of its own: this one may be connected to another one."""
    script = "from studio.executors import ray; ray.connected()"
    surroundings = os.environ | {"RAY_ADDRESS": "127.0.0.1:9"}
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, env=surroundings, capture_output=True, text=True, timeout=120, check=False)
    assert "ConfigError: The Ray cluster at 127.0.0.1:9 does not answer" in done.stderr


def test_an_error_on_the_node_is_told_as_what_it_was(store, home, saved, execute):
    run = submitted(store, teacher="folder:/nowhere")
    list(carry(store, home, run, execute))
    assert (store.run(run.id).status, store.run(run.id).error) == ("failed", "ModelError")
    assert "/nowhere" in store.run(run.id).message


def node_of_the_run(cluster, worker="studio.executors.worker"):
    """The process of a node of this cluster on which a worker trains now."""
    for process in cluster.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            above = [parent for parent in process.parents() if "raylet" in parent.name()]
            if above and worker in " ".join(process.cmdline()):
                return above[0]
    raise AssertionError("no node has a worker")


def test_a_run_with_a_model_of_another_one_is_stopped_goes_on_loses_its_node_and_ends_as_an_unbroken_one(
    store, home, saved, execute, cluster, monkeypatch
):
    monkeypatch.setattr(remote, "GRACE_SECONDS", 60.0)  # other tests may have both cores while it saves
    first = submitted(store, "first", control=False)
    list(carry(store, home, first, in_this_process))
    values = {"teacher": f"run:{first.id}/teacher", "epochs": 60, "control": False}
    plain, run = submitted(store, "plain", **values), submitted(store, "broken", **values)
    list(carry(store, home, plain))  # by a worker, too: as many threads add up in the same order
    carried_to(store, home, run, execute, 20, lambda: store.request_stop(run.id))
    assert store.run(run.id).status == "stopped"
    assert (home.model(run.id, "student") / "model.safetensors").is_file()
    assert list(home.checkpoints(run.id).glob("*.pt"))

    def lose_the_node():
        node_of_the_run(cluster).kill()  # with everything on it
        cluster.add_node()

    carried_to(store, home, store.resume(run.id, owner=new_owner()), execute, 60, lose_the_node)
    assert any(GOES_ON in line.message for line in store.logs(run.id))
    assert store.run(run.id).status == "finished", store.run(run.id).message
    assert "teach" not in [phase.name for phase in store.phases(run.id)]
    assert store.curve(run.id) == store.curve(plain.id)


TWO = {
    "teacher": "builtin/fasttext-small",
    "student": "builtin/fasttext-tiny",
    "epochs": 200,
    "batch_size": 20,
    "precision": "float32",
    "onnx_times": False,
}


def test_a_run_on_two_nodes_is_stopped_leaves_nothing_behind_and_goes_on_though_a_node_is_lost(
    store, home, saved, execute, cluster, monkeypatch
):
    monkeypatch.setattr(remote, "GRACE_SECONDS", 60.0)
    here = submitted(store, "here", **TWO)
    list(carry(store, home, here, in_this_process))
    cluster.add_node()
    run = submitted(store, "there", **TWO, devices=2)
    carried_to(store, home, run, execute, 20, lambda: store.request_stop(run.id))
    assert store.run(run.id).status == "stopped"
    wait_until(lambda: ray.available_resources().get("CPU", 0) >= 2)

    def lose_a_node():
        node_of_the_run(cluster, "RayTrainWorker").kill()
        cluster.add_node()

    again = store.resume(run.id, owner=new_owner())
    carried_to(store, home, again, execute, 200, lose_a_node)
    assert any(GOES_ON in line.message for line in store.logs(run.id))
    assert store.run(run.id).status == "finished", store.run(run.id).message
    assert points(store, run) == pytest.approx(points(store, here), abs=1e-4)


def carried_to(store, home, run, execute, step, then):
    """Carry a run to its end, and do something when its student has come so far."""
    done = False
    for event in carry(store, home, run, execute):
        if isinstance(event, events.Metrics) and event.phase == "distill" and event.step >= step and not done:
            done = True
            then()
    assert done


def points(store, run):
    return {(point.phase, point.step, point.name): point.value for point in store.curve(run.id)}


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
