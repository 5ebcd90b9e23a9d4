"""The real download code against a hub on loopback, in a process of its own: the hub's address is read at import."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from studio.data.folder import load
from studio.models.model import Problem
from studio.models.opening import build
from studio.models.saving import save
from tests.fake_hub import serving

SCRIPT = """
import json, sys
from studio.models import hub
from studio.errors import ModelError
if len(sys.argv) > 2:
    hub.shutil.disk_usage = lambda place: hub.shutil._ntuple_diskusage(10**9, 0, int(sys.argv[2]))
steps, progress = hub.download(sys.argv[1]), []
try:
    while True:
        event = next(steps)
        progress.append([event.step, event.total])
except StopIteration as stop:
    print(json.dumps({"folder": str(stop.value), "progress": progress, "here": hub.is_here(sys.argv[1])}))
except ModelError as error:
    print(json.dumps({"error": str(error)}))
"""


@pytest.fixture
def model(home, saved, tmp_path):
    """A saved model with a pickle and a piece of code beside it."""
    rows = load(home.dataset(saved.id)).dict["train"]
    problem = Problem("text-classification", ["bad", "good"], rows, 16)
    save(build("transformer-tiny", problem), tmp_path / "model")
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"pickle")
    (tmp_path / "model" / "modeling_evil.py").write_text("print('run')")
    return tmp_path / "model"


def download(address, name, cache, *free):
    environment = os.environ | {
        "HF_ENDPOINT": address, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
    }  # fmt: skip
    words = [sys.executable, "-c", SCRIPT, name, *map(str, free)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)


def test_a_model_is_downloaded_with_its_weights_and_without_code_or_pickles(model, tmp_path):
    with serving(model, "someone/tiny") as (address, asked):
        found = download(address, "someone/tiny", tmp_path / "cache")
    names = {path.name for path in Path(found["folder"]).iterdir()}
    done, total = found["progress"][-1]
    assert done == total == sum((model / name).stat().st_size for name in names)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not names & {"pytorch_model.bin", "modeling_evil.py"}
    assert not [path for path in asked if path.endswith((".bin", ".py"))]
    assert found["here"]


def test_a_model_that_the_hub_does_not_know_is_told_in_words(model, tmp_path):
    with serving(model, "someone/tiny") as (address, _):
        found = download(address, "someone/other", tmp_path / "cache")
    assert "no model 'someone/other'" in found["error"]


def test_what_is_in_the_cache_is_used_without_a_network(model, tmp_path):
    with serving(model, "someone/tiny") as (address, _):
        download(address, "someone/tiny", tmp_path / "cache")
    assert "folder" in download("http://127.0.0.1:9", "someone/tiny", tmp_path / "cache")


def test_without_a_network_the_error_names_the_cure(tmp_path):
    found = download("http://127.0.0.1:9", "someone/tiny", tmp_path / "cache")
    assert "could not be downloaded" in found["error"]
    assert "local folder" in found["error"]


PUSH = """
import json, sys
from pathlib import Path
from studio.models import hub
from studio.errors import ExportError
try:
    print(json.dumps({"address": hub.push(Path(sys.argv[1]), sys.argv[2], private=True)}))
except ExportError as error:
    print(json.dumps({"error": str(error)}))
"""


def push(address, folder, name, token="hf_of_a_test"):
    signed = {"HF_TOKEN": token} if token else {"HF_TOKEN_PATH": "/nowhere/token", "HF_TOKEN": ""}
    environment = os.environ | {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"} | signed
    words = [sys.executable, "-c", PUSH, str(folder), name]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_folder_is_pushed_whole_into_a_new_private_repository(model, tmp_path):
    taken = {}
    with serving(model, "someone/tiny", taken) as (address, _):
        found = push(address, model, "me/mine")
    assert found["address"].endswith("/me/mine")
    repository = taken["me/mine"]
    assert repository.pop("visibility") == "private"
    assert repository["model.safetensors"] == (model / "model.safetensors").read_bytes()
    assert set(repository) >= {"config.json", "model.safetensors", "tokenizer.json"}


def test_a_repository_that_is_there_is_never_written_over(model):
    with serving(model, "someone/tiny") as (address, _):
        found = push(address, model, "someone/tiny")
    assert "There is a repository 'someone/tiny' already. Choose another name" in found["error"]


def test_without_a_token_it_is_said_how_to_sign_in(model):
    with serving(model, "someone/tiny") as (address, asked):
        found = push(address, model, "me/mine", token="")
    assert "Sign in with `hf auth login`" in found["error"]
    assert asked == []


def test_a_name_that_cannot_be_one_is_refused(model):
    with serving(model, "someone/tiny") as (address, _):
        found = push(address, model, "no name/at/all")
    assert "is no name for a repository" in found["error"]


def test_a_hub_that_does_not_answer_is_named(model):
    assert "does not answer" in push("http://127.0.0.1:9", model, "me/mine")["error"]


def test_a_model_that_would_take_the_last_of_the_disk_is_not_fetched(model, tmp_path):
    with serving(model, "someone/tiny") as (address, _):
        found = download(address, "someone/tiny", tmp_path / "cache", 10**7)
        assert "takes 0.0 GB, and the disk that holds" in found["error"]
        assert not list((tmp_path / "cache").rglob("*.safetensors"))
        assert download(address, "someone/tiny", tmp_path / "cache", 10**8)["here"]
        assert download(address, "someone/tiny", tmp_path / "cache", 10**7)["here"]  # it is there already
