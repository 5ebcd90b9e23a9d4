"""NVIDIA's GPUs, as a stand-in for their driver tells of them."""

import pynvml
import pytest
import torch

from studio.executors import work
from studio.executors.registry import wanted_slots
from studio.machine import gpus
from tests.pages.conftest import fresh, opened, written

TOTAL, USED = 80_000_000_000, 12_000_000_000


class Memory:
    total, used = TOTAL, USED


class Rates:
    gpu = 37


@pytest.fixture
def two(monkeypatch):
    """Two GPUs, the second one cut into parts, which does not tell how busy it is."""

    def rates(number):
        if number:
            raise pynvml.NVMLError_NotSupported(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return Rates

    fakes = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda number: number,
        "nvmlDeviceGetMemoryInfo": lambda handle: Memory,
        "nvmlDeviceGetUtilizationRates": rates,
        "nvmlDeviceGetName": lambda handle: f"GPU {handle}",
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(pynvml, name, fake)
    gpus.names.cache_clear()
    yield
    gpus.names.cache_clear()


def test_all_are_listed_with_their_memory_and_how_busy_they_are(two):
    first, second = gpus.found()
    assert (first.name, first.memory_bytes, first.used_bytes, first.percent) == ("GPU 0", TOTAL, USED, 37.0)
    assert second.percent is None


def test_each_is_a_slot_unless_a_number_is_asked_for(two, monkeypatch):
    monkeypatch.delenv("STUDIO_SLOTS", raising=False)
    assert wanted_slots() == 2
    monkeypatch.setenv("STUDIO_SLOTS", "5")
    assert wanted_slots() == 5


def test_a_machine_without_a_driver_has_none(monkeypatch):
    def missing():
        raise pynvml.NVMLError_LibraryNotFound(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    gpus.names.cache_clear()
    assert gpus.found() == []
    assert gpus.names() == ()


def test_one_whose_memory_the_driver_does_not_tell_is_still_a_slot(two, monkeypatch):
    def refused(handle):
        raise pynvml.NVMLError_NoPermission(pynvml.NVML_ERROR_NO_PERMISSION)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", refused)
    assert [one.memory_bytes for one in gpus.found()] == [None, None]
    assert wanted_slots() == 2


def test_the_settings_page_shows_them(home, store, two):
    app = opened(fresh(), "settings.py", part="machine")
    shown = written(app).split()
    assert "Busy" in shown
    assert (" ".join(shown).count("37 %"), shown.count("unknown") > 0) == (1, True)
    assert [one.value for one in app.metric if one.label == "GPUs"] == ["2"]


def test_a_run_tells_the_memory_of_its_gpus_and_how_busy_they_are(monkeypatch):
    busy = {0: 40, 1: 80}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "device_memory_used", lambda number: 1_000 * (number + 1))
    monkeypatch.setattr(torch.cuda, "utilization", busy.__getitem__)
    import os

    use = work._Use(lambda: [os.getppid()], seconds=0)
    values = use.read().values
    assert (values["gpu_memory_bytes"], values["gpu_percent"]) == (3_000.0, 60.0)

    def not_told(number):
        raise pynvml.NVMLError_NotSupported(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(torch.cuda, "utilization", not_told)
    assert "gpu_percent" not in use.read().values
    monkeypatch.setattr(torch.cuda, "device_memory_used", not_told)
    assert "gpu_memory_bytes" not in use.read().values
