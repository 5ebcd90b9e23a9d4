"""Models are opened from their folders."""

import copy
import json
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from studio import tasks
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.folder import divide
from studio.errors import ModelError
from studio.models import opening, templates
from studio.models.model import Problem
from studio.models.saving import save
from studio.tasks import encoded_tokens
from tests.conftest import digits, reviews

OPEN = """
import os, sys
from pathlib import Path
from studio.models.model import Problem
from studio.models.opening import open_folder
task, labels, *folders = sys.argv[1:]
for folder in folders:
    if os.fork() == 0:  # for each a process that has opened none before
        model = open_folder(Path(folder), Problem(task, labels.split(), None, 16))
        print(Path(folder).name, model.knows_labels, flush=True)
        os._exit(0)
    os.wait()
"""


def built(name, tmp_path, folder="model"):
    rows = clean(reviews(), Columns("text", "label"), "text-classification")
    problem = Problem("text-classification", rows.labels, divide(rows).whole()["train"], 16)
    return save(opening.build(name, problem), tmp_path / folder).folder, problem


def test_a_process_that_has_built_no_model_opens_a_built_in_one(tmp_path):
    names = ("fasttext-tiny", "transformer-tiny")
    folders, problems = zip(*(built(name, tmp_path, name) for name in names), strict=True)
    words = [problems[0].name, " ".join(problems[0].labels), *map(str, folders)]
    command = [sys.executable, "-c", OPEN, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.stdout == "".join(f"{name} True\n" for name in names), done.stderr


def test_a_folder_that_takes_too_long_or_too_much_is_given_up(tmp_path, monkeypatch):
    folder, problem = built("fasttext-tiny", tmp_path)
    monkeypatch.setattr(opening, "SECONDS", 0.05)
    monkeypatch.setattr(opening.AutoConfig, "from_pretrained", lambda *_, **__: time.sleep(5))
    with pytest.raises(ModelError, match=r"longer than 0\.05 seconds"):
        opening.open_folder(folder, problem)
    monkeypatch.undo()
    monkeypatch.setattr(opening, "SECONDS", 0.5)
    monkeypatch.setattr(opening, "_open_network", lambda *_: time.sleep(5))
    with pytest.raises(ModelError, match=r"longer than 0\.5 seconds"):
        opening.open_folder(folder, problem)
    monkeypatch.setattr(opening, "SECONDS", 60)
    monkeypatch.setattr(opening, "SPARE_BYTES", 100 * 1024**2)
    monkeypatch.setattr(opening.AutoConfig, "from_pretrained", lambda *_, **__: bytearray(1024**3))
    with pytest.raises(ModelError, match="more memory than a model of its sizes does"):
        opening.open_folder(folder, problem)


@pytest.mark.parametrize(("side", "told"), [(5_000, "a side of 5,000 pixels"), (1_000_000, "memory")])
def test_a_folder_that_would_make_images_larger_than_memory_is_not_opened(tmp_path, side, told):
    rows = clean(digits(40), Columns("image", "label", "split"), "image-classification")
    problem = Problem("image-classification", rows.labels, divide(rows).whole()["train"], 16)
    folder = save(opening.build("cnn-tiny", problem), tmp_path / "model").folder
    assert opening.open_folder(folder, problem).knows_labels
    about = folder / "preprocessor_config.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"size": {"height": side, "width": side}}))
    with pytest.raises(ModelError, match=told):
        opening.open_folder(folder, problem)


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(("template", "told"), [("{{ 'a' * 10 ** 11 }}", "memory"), (ENDLESS, "longer than 3 seconds")])
def test_a_folder_whose_chat_template_takes_memory_or_time_without_end_is_not_opened(
    tmp_path, monkeypatch, template, told
):
    problem = Problem("language-model", [], tasks.get("language-model").unlabelled(["Once upon a time."]), 16)
    model = opening.build("gpt-tiny", problem)
    model.processor.chat_template = template
    folder = save(model, tmp_path / "model").folder
    monkeypatch.setattr(opening, "SECONDS", 3)
    with pytest.raises(ModelError, match=told):
        opening.open_folder(folder, problem)


@pytest.mark.parametrize("template", ["{{ raise_exception('a system message is needed') }}", "{{ messages[9].role }}"])
def test_a_folder_whose_chat_template_refuses_an_answer_opens_for_texts(tmp_path, template):
    problem = Problem("language-model", [], tasks.get("language-model").unlabelled(["Once upon a time."]), 16)
    model = opening.build("gpt-tiny", problem)
    model.processor.chat_template = template
    again = opening.open_folder(save(model, tmp_path / "model").folder, problem)
    assert again.processor.chat_template == template


def test_a_folder_whose_weights_are_another_network_s_is_no_trained_model(tmp_path):
    """As `torch.compile` calls them: the library would open the folder, with weights by chance."""
    folder, problem = built("transformer-tiny", tmp_path)
    weights = load_file(folder / "model.safetensors")
    without_head = {name: weight for name, weight in weights.items() if not name.startswith("classifier")}
    save_file(without_head, folder / "model.safetensors", {"format": "pt"})
    assert not opening.open_folder(folder, problem).knows_labels
    save_file({f"_orig_mod.{name}": weight for name, weight in weights.items()}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"weights of the model in .* are not in its files, such as 'bert"):
        opening.open_folder(folder, problem)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{% if messages|length > 3 %}{{ 'a' * 10 ** 11 }}{% endif %}", "takes too much memory for one chat"),
        ("{% if messages|length > 3 %}" + ENDLESS + "{% endif %}", "takes longer than 0.5 seconds for one chat"),
        ("{% if messages|length > 3 %}{{ 'a' * 10 ** 6 }}{% endif %}", "makes 1,000,000 letters of a chat of 16"),
    ],
)
@pytest.mark.parametrize("how", ["whole", "tokenizer alone"])
def test_a_chat_template_that_was_harmless_when_its_folder_was_opened_is_bounded_when_a_chat_is_read(
    tmp_path, monkeypatch, template, told, how
):
    task = tasks.get("language-model")
    problem = Problem("language-model", [], task.unlabelled(["Once upon a time."]), 16)
    model = opening.build("gpt-tiny", problem)
    model.processor.chat_template = template
    folder = save(model, tmp_path / "model").folder
    monkeypatch.setattr(templates, "SECONDS", 0.5)
    processor = (
        opening.open_folder(folder, problem).processor if how == "whole" else opening.open_processor(folder, task)
    )
    chat = [{"role": role, "content": "What"} for role in ("user", "assistant", "user", "assistant")]
    with pytest.raises(ModelError, match=told):
        encoded_tokens.pieces("", json.dumps(chat), encoded_tokens.CHAT, processor)
    again = pickle.loads(pickle.dumps(copy.deepcopy(processor)))
    with pytest.raises(ModelError, match=told):
        again.apply_chat_template(chat, tokenize=False)


def test_a_usual_chat_template_writes_as_before(tmp_path):
    problem = Problem("language-model", [], tasks.get("language-model").unlabelled(["Once upon a time."]), 16)
    model = opening.build("gpt-tiny", problem)
    model.processor.chat_template = "{% for one in messages %}<|{{ one.role }}|>{{ one.content }}{% endfor %}"
    folder = save(model, tmp_path / "model").folder
    chat = [{"role": "user", "content": "Hi " * 50_000}, {"role": "assistant", "content": "Hello"}]
    opened = opening.open_folder(folder, problem).processor
    assert opened.apply_chat_template(chat, tokenize=False) == model.processor.apply_chat_template(chat, tokenize=False)
    saved = save(opening.open_folder(folder, problem), tmp_path / "again").folder
    assert opening.open_folder(saved, problem).processor.chat_template == model.processor.chat_template
