"""Runs on several devices: processes on this machine's processor, which meet each other as GPUs would."""

import contextlib
import json
import os
import re
import threading

import psutil
import pytest
from safetensors.torch import load_file

from studio import events
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.errors import ConfigError
from studio.executors import local
from studio.executors.processes import _meeting_place
from studio.home import Home
from studio.machine.processes import _met
from studio.machine.slots import Slots, available_cores
from studio.service import library, runs
from studio.service.runs import carry
from studio.service.runtime import new_owner
from studio.store.queue import GOES_ON
from studio.store.store import Store
from tests.conftest import TINY, here, reviews

pytestmark = pytest.mark.skipif(available_cores() < 2, reason="two processes need two cores")
SAME = {"batch_size": 20, "precision": "float32"}


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """Tiny transformers that know the labels, and forget nothing by chance while they learn."""
    home, columns = Home(tmp_path_factory.mktemp("still") / "home"), Columns("text", "label")
    store = Store(home.database)
    library.save(store, home, "reviews", clean(reviews(), columns, "text-classification"), columns)
    made = carried(store, home, here, epochs=1, control=False, student="builtin/transformer-tiny")
    for role in ("teacher", "student"):
        file = home.model(made.id, role) / "config.json"
        config = json.loads(file.read_text())
        file.write_text(json.dumps(config | {name: 0.0 for name in config if "dropout" in name}))
    return {role: f"folder:{home.model(made.id, role)}" for role in ("teacher", "student")}


def test_the_processes_of_a_run_meet_where_no_network_reaches_them(monkeypatch):
    for name, value in _meeting_place(1).items():
        monkeypatch.setenv(name, value)
    found = _met()
    found["store"].set("who", "is there")
    port = int(os.environ["MASTER_PORT"])
    assert found["store"].port == port
    listening = [one.laddr for one in psutil.Process().net_connections() if one.status == psutil.CONN_LISTEN]
    assert [(one.ip, one.port) for one in listening] == [("127.0.0.1", port)]


def submitted(store, key="", **values):
    config = parse_config({"dataset": "reviews", **TINY, **SAME, **values})
    return store.submit(config, key=key or str(values), owner=new_owner())


def carried(store, home, execute=None, **values):
    run = submitted(store, **values)
    list(carry(store, home, run, execute))
    done = store.run(run.id)
    assert done.status == "finished", done.message
    return done


def assert_alike(store, home, one, other, within=1e-5):
    """The same points on all curves, the same weights, the same grades."""
    first, second = (
        {(point.phase, point.step, point.name): point.value for point in store.curve(run.id)} for run in (one, other)
    )
    assert first.keys() == second.keys()
    for place, value in first.items():
        assert second[place] == pytest.approx(value, abs=within), place
    for role in home.roles(one.id):
        ours, theirs = (load_file(home.model(run.id, role) / "model.safetensors") for run in (one, other))
        for name, tensor in ours.items():
            assert (theirs[name] - tensor).abs().max() < within, name
    graded, again = (
        [found for found in store.evaluations(run.id) if "latency" not in found.metric] for run in (one, other)
    )
    assert graded == again


WAYS = {
    "from the start": {"teacher": "builtin/fasttext-small", "student": "builtin/fasttext-tiny"},
    "hidden layers, which needs projectors": {"terms": "soft_target, hint", "max_length": 8},
    "a plan, and a last batch of one row": {"plan": "prune:0.5, distill, quantize:weights_int8", "batch_size": 83},
}


@pytest.mark.parametrize("way", WAYS)
def test_several_processes_learn_what_one_learns_from_the_same_batches(store, home, saved, still, way):
    values = still | {"devices": 2} | WAYS[way]
    alone = carried(store, home, here, **(values | {"devices": 1}))
    assert_alike(store, home, alone, carried(store, home, **values))


def test_a_run_that_is_stopped_and_loses_each_of_its_processes_goes_on_as_if_nothing_had_happened(
    store, home, saved, monkeypatch
):
    """Although each process drops some neurons by chance of its own."""
    monkeypatch.setattr(runs, "FLUSH_SECONDS", 0)  # each step is heard before the next few are done
    unbroken = carried(store, home, devices=2, epochs=12)
    run = submitted(store, devices=2, epochs=12, key="interrupted")
    started = interrupted(store, home, run, {("distill", 15): "stop"})
    assert store.run(run.id).status == "stopped"
    run = store.resume(run.id, owner=new_owner())
    deaths = {("distill", 30): "studio.executors.worker", ("control", 5): "studio.executors.processes"}
    started += interrupted(store, home, run, deaths)
    assert len([line for line in store.logs(run.id) if GOES_ON in line.message]) == 2
    assert not [process for process in started if is_alive(process)]
    assert_alike(store, home, unbroken, store.run(run.id), within=1e-7)


def interrupted(store, home, run, at):
    """Carry a run; after these steps stop it, or kill one of its processes. Returns those that it had."""
    started = []
    for event in carry(store, home, run):
        if not isinstance(event, events.Metrics) or (event.phase, event.step) not in at:
            continue
        what, ours = at.pop((event.phase, event.step)), processes()
        assert len(ours) >= 2
        started += ours
        if what == "stop":
            store.request_stop(run.id)
        else:
            [process] = [process for process in ours if what in " ".join(process.cmdline())]
            process.kill()
    assert not at
    return started


def processes():
    """Those of ours that train now."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            if re.search(r"-m studio\.executors\.(worker|processes)", " ".join(child.cmdline())):
                found.append(child)
    return found


def is_alive(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_an_error_that_only_another_process_meets_is_told_as_what_it_was(store, home, saved, monkeypatch):
    """The second process cannot prepare; the first one can."""
    real = local.environment
    monkeypatch.setattr(local, "environment", lambda *rest: real(*rest) | {"PYTHONPATH": broken_processes(home)})
    run = submitted(store, devices=2)
    list(carry(store, home, run))
    assert (store.run(run.id).error, store.run(run.id).message) == ("DataError", "It is broken.")


def broken_processes(home):
    """A path on which the second process of a run meets an error as it prepares; all else is as it is."""
    folder = home.root / "broken"
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(
        "import os\n"
        "from studio.errors import DataError\n"
        "from studio.pipeline import prepare as preparation\n"
        "real = preparation.prepare\n"
        "def prepare(*rest):\n"
        "    if os.environ.get('RANK') == '1': raise DataError('It is broken.', '')\n"
        "    return real(*rest)\n"
        "preparation.prepare = prepare\n"
    )
    return os.pathsep.join([str(folder), str(local.PROJECT)])


def test_more_devices_than_there_are_is_refused_with_the_number(store, home, saved):
    run = submitted(store, devices=64, batch_size=64)
    list(carry(store, home, run, here))
    assert store.run(run.id).error == "DeviceError"
    assert f"at most the {available_cores()} cores" in store.run(run.id).message


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"devices": 2, "device": "cuda:1"}, "device must be auto, cpu or cuda where devices is 2"),
        ({"devices": 8, "batch_size": 4}, "devices must be at most the batch size, 4, got 8"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values, reason):
    with pytest.raises(ConfigError, match=reason):
        parse_config({"dataset": "d", **TINY, **values})


def waiting(slots, wanted, taken, stop):
    """A thread that takes so many slots and notes which; it already waits for them when this returns."""
    waits = threading.Event()

    def give_up():
        waits.set()  # asked only while the slots are not there
        return stop.is_set()

    def take():
        with slots.take(wanted, give_up) as mine:
            taken.append(mine)

    thread = threading.Thread(target=take)
    thread.start()
    assert waits.wait(60)
    return thread


def test_a_run_on_several_slots_waits_until_they_are_free_and_those_behind_it_wait_too():
    slots, taken, never_stops = Slots(2), [], threading.Event()
    with slots.take(1, lambda: False):
        both = waiting(slots, 2, taken, never_stops)
        behind = waiting(slots, 1, taken, never_stops)
        assert taken == []
    both.join(10)
    behind.join(10)
    assert taken == [[0, 1], [0]]


def test_a_run_that_waits_for_slots_can_be_stopped():
    slots = Slots(2)
    with slots.take(2, lambda: False), slots.take(1, lambda: True) as mine:
        assert mine == []


def test_a_run_behind_one_that_waits_can_be_stopped_at_once():
    slots, taken, stop = Slots(2), [], threading.Event()
    with slots.take(1, lambda: False):
        both = waiting(slots, 2, taken, stop)
        with slots.take(1, lambda: True) as mine:
            assert mine == []
        assert both.is_alive()
        stop.set()
        both.join(10)
        assert taken == [[]]
    assert not slots.would_wait(2)


def test_a_run_gets_different_gpus_first_those_of_its_slots():
    assert local._gpus([1], 1, 4) == [1]
    assert local._gpus([5], 1, 4) == [1], "two slots share a GPU"
    assert local._gpus([3], 2, 4) == [3, 0]
    assert local._gpus([0, 4], 2, 4) == [0, 1]
    assert local._gpus([0], 1, 0) == []
