"""A model folder is looked at before it is opened: it leads neither out of itself nor to code nor to more memory than
there is."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.folder import divide
from studio.errors import DeviceError, ModelError
from studio.models import compact, folders, opening
from studio.models.model import Problem
from studio.models.saving import save, weights_bytes
from tests.conftest import reviews


@pytest.fixture(scope="session")
def problem() -> Problem:
    rows = clean(reviews(), Columns("text", "label"), "text-classification")
    return Problem("text-classification", rows.labels, divide(rows).whole()["train"], 16)


@pytest.fixture(scope="session")
def saved(problem, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    save(opening.build("transformer-tiny", problem), folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    return shutil.copytree(saved, tmp_path / "model")


def change(folder: Path, file: str, **values: object) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def sharded(folder: Path, name: str) -> Path:
    """The folder with its weights in a file `name`, which the index names."""
    weights = load_file(folder / folders.WEIGHTS)
    (folder / folders.WEIGHTS).rename(folder / "kept.safetensors")
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(weights, name)}
    (folder / folders.INDEX).write_text(json.dumps(index))
    return folder


def test_weights_in_several_files_are_opened_and_measured(folder, problem):
    opened = opening.open_folder(sharded(folder, "kept.safetensors"), problem)
    assert opened.knows_labels
    assert weights_bytes(folder) == (folder / "kept.safetensors").stat().st_size


@pytest.mark.parametrize("name", ["weights.model", "weights.txt", "../vault/other.safetensors", "/x.safetensors", ""])
def test_an_index_that_names_anything_but_a_plain_file_of_safetensors_is_refused_unopened(
    folder, problem, name, monkeypatch
):
    (folder.parent / "vault").mkdir()
    for other in (folder / "weights.model", folder / "weights.txt", folder.parent / "vault" / "other.safetensors"):
        shutil.copy(folder / folders.WEIGHTS, other)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("torch.load was called"))
    with pytest.raises(ModelError, match="only plain names"):
        opening.open_folder(sharded(folder, name), problem)
    with pytest.raises(ModelError, match="only plain names"):
        weights_bytes(folder)


def test_a_model_that_names_its_weights_elsewhere_is_refused(folder, problem):
    change(folder, "config.json", transformers_weights="kept.safetensors")
    with pytest.raises(ModelError, match="file of another name"):
        opening.open_folder(folder, problem)


def test_an_adapter_which_names_another_model_is_refused(folder, problem):
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/somewhere"}')
    with pytest.raises(ModelError, match="holds an adapter for another model"):
        opening.open_folder(folder, problem)


def test_code_that_lies_in_a_folder_is_never_run(folder, problem, tmp_path):
    ran = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w').close()")
    classes = ("AutoConfig", "AutoModelForSequenceClassification", "AutoTokenizer")
    change(folder, "config.json", auto_map=dict.fromkeys(classes, "own.Own"))
    change(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Own", "own.Own"]})
    with contextlib.suppress(ModelError):
        opening.open_folder(folder, problem)
    assert not ran.exists()


def test_a_folder_with_pickled_weights_alone_is_refused(folder, problem, monkeypatch):
    (folder / folders.WEIGHTS).rename(folder / "pytorch_model.bin")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("torch.load was called"))
    with pytest.raises(ModelError, match="pickled weights"):
        opening.open_folder(folder, problem)


@pytest.mark.parametrize("wanted", ["somebody/kernels", {"text_config": "somebody/kernels"}])
def test_a_config_that_asks_for_a_kernel_from_elsewhere_is_refused(folder, problem, wanted):
    change(folder, "config.json", attn_implementation=wanted)
    with pytest.raises(ModelError, match="code from elsewhere"):
        opening.open_folder(folder, problem)


@pytest.mark.parametrize(
    "config",
    [
        {"architecture": "hf-hub:evil/model"},
        {"architecture": "local-dir:/somewhere"},
        {"architecture": "resnet18", "model_args": {"checkpoint_path": "/somewhere/weights.bin"}},
        {"model_args": {"pretrained_cfg": {"url": "https://evil.example/weights.bin"}}},
    ],
)
def test_a_config_by_which_another_library_takes_weights_from_elsewhere_is_refused(folder, problem, config):
    change(folder, "config.json", architecture="resnet18", model_args={"embed_dim": 16})
    folders.check(folder)
    change(folder, "config.json", **config)
    with pytest.raises(ModelError, match="takes its weights from elsewhere"):
        opening.open_folder(folder, problem)


@pytest.mark.parametrize("name", ["repo_path", "class_info_file"])
@pytest.mark.parametrize("inside", [True, False])
def test_an_image_processor_that_fetches_a_file_is_refused(folder, problem, name, inside):
    file = "processor_config.json" if inside else "preprocessor_config.json"
    settings = {"image_processor_type": "ViTImageProcessor"}
    (folder / file).write_text(json.dumps({"image_processor": settings} if inside else settings))
    folders.check(folder)
    fetching = settings | {name: "evil/data"}
    (folder / file).write_text(json.dumps({"image_processor": fetching} if inside else fetching))
    with pytest.raises(ModelError, match=f"a file outside of it: {name} is"):
        opening.open_folder(folder, problem)


SECRET = __file__


@pytest.mark.parametrize("settings", [{"vocab_file": SECRET}, {"vocab": SECRET}, {"init_inputs": [SECRET]},
                                      {"vocab": {"merges": [SECRET]}}])  # fmt: skip
@pytest.mark.parametrize("file", ["tokenizer_config.json", "special_tokens_map.json"])
def test_a_tokenizer_that_reads_a_file_outside_its_folder_is_refused(folder, problem, settings, file):
    (folder / file).write_text(json.dumps(settings | {"tokenizer_class": "BertTokenizer"}))
    with pytest.raises(ModelError, match="lead to a file outside"):
        opening.open_folder(folder, problem)
    with pytest.raises(ModelError, match="lead to a file outside"):
        opening.open_processor(folder, problem.task)


def test_tokenizers_in_folders_of_the_folder_are_no_tokenizer_of_it(folder, problem):
    for name in ("question_encoder_tokenizer", "generator_tokenizer"):
        (folder / name).mkdir()
        (folder / name / "tokenizer_config.json").write_text(
            json.dumps({"tokenizer_class": "BertTokenizer", "vocab": SECRET})
        )
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RagTokenizer"}))
    with pytest.raises(ModelError, match="RagTokenizer is no tokenizer"):
        opening.open_folder(folder, problem)


def test_a_file_that_is_a_link_to_one_of_another_name_elsewhere_is_not_read(folder, problem, tmp_path):
    (folder / "vocab.txt").symlink_to(SECRET)
    with pytest.raises(ModelError, match=r"vocab.txt in .* is a link to"):
        opening.open_folder(folder, problem)
    (folder / "vocab.txt").unlink()
    (folder / "hidden").symlink_to(SECRET)
    (folder / "vocab.txt").symlink_to("hidden")
    with pytest.raises(ModelError, match="is a link to"):
        folders.check(folder)


def test_a_chat_template_that_is_a_link_to_a_file_elsewhere_does_not_go_out_with_a_tokenizer(folder, problem):
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "short.jinja").symlink_to(SECRET)
    with pytest.raises(ModelError, match=r"short.jinja in .* is a link to"):
        opening.open_folder(folder, problem)


def test_a_tokenizer_of_another_version_that_lies_outside_the_folder_is_not_read(folder, problem):
    (folder.parent / "tokenizer.4.0.json").write_text((folder / "tokenizer.json").read_text())
    change(folder, "tokenizer_config.json", fast_tokenizer_files=["../tokenizer.4.0.json"])
    with pytest.raises(ModelError, match="lead to a file outside"):
        opening.open_folder(folder, problem)


@pytest.mark.parametrize("name", ["transformers_weights", "_attn_implementation_internal", "quantization_config"])
def test_a_setting_that_is_refused_does_not_come_under_another_name(folder, problem, name):
    change(folder, "config.json", friend="org/other.safetensors", text_config={"attribute_map": {name: "friend"}})
    with pytest.raises(ModelError, match="gives its settings other names"):
        folders.check(folder)
    change(folder, "config.json", text_config=None, attribute_map={name: "friend"})
    with pytest.raises(ModelError, match="gives its settings other names"):
        opening.open_folder(folder, problem)


def test_weights_that_several_devices_wrote_are_not_opened_beside_those_that_were_looked_at(folder, problem):
    shutil.copy(folder / folders.WEIGHTS, folder / "shard-00000-model-00001-of-00001.safetensors")
    with pytest.raises(ModelError, match="several devices"):
        opening.open_folder(folder, problem)


def test_files_may_be_links_in_the_cache_of_the_hub_and_to_those_of_another_model(folder, tmp_path):
    snapshot, blobs, base = tmp_path / "hub/snapshots/1", tmp_path / "hub/blobs", tmp_path / "base"
    for place in (snapshot, blobs, base):
        place.mkdir(parents=True)
    for number, file in enumerate(sorted(folder.iterdir())):
        shutil.copy(file, blobs / str(number))
        shutil.copy(file, base / file.name)
        (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    folders.check(snapshot)
    for file in folder.iterdir():
        file.unlink()
        file.symlink_to(base / file.name)
    folders.check(folder)


def test_a_tokenizer_reads_no_file_of_the_place_where_the_studio_was_started(folder, problem, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "secrets.toml").write_text("cookie_secret = 1")
    monkeypatch.chdir(tmp_path / "here")
    change(folder, "tokenizer_config.json", vocab="secrets.toml")
    with pytest.raises(ModelError, match="lead to a file outside"):
        opening.open_folder(folder, problem)


def test_a_tokenizer_may_say_where_it_was_saved_and_which_files_are_its_own(folder, problem, monkeypatch):
    monkeypatch.chdir(folder)  # where its own files are found by their names
    own = {"tokenizer_file": "tokenizer.json", "name_or_path": str(folder.parent), "cls_token": "[CLS]",
           "special_tokens_map_file": "/root/.cache/gone.json", "chat_template": "x" * 5000, "x": "\0"}  # fmt: skip
    change(folder, "tokenizer_config.json", **own)
    folders.check(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_hidden_layers", 10**9), ("num_labels", 10**9), ("depths", [100] * 1000), ("hidden_size", 10**12)],
)
def test_sizes_that_no_model_has_are_refused_before_a_network_is_built(folder, problem, key, value):
    change(folder, "config.json", **{key: value})
    with pytest.raises(ModelError, match=f"{key} = "):
        opening.open_folder(folder, problem)


def test_a_config_of_more_memory_than_there_is_is_refused_however_small_its_files(folder, problem):
    config = json.loads((folder / "config.json").read_text())
    wide = {key: 2_000_000 for key in ("intermediate_size", "hidden_size", "dim", "ffn_dim") if key in config}
    change(folder, "config.json", **wide)
    with pytest.raises((DeviceError, ModelError), match="of memory"):
        opening.open_folder(folder, problem)


def header_of(size: int, **tensors: object) -> bytes:
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text + bytes(size)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"short",
        (2**60).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (200_000).to_bytes(8, "little") + b'{"a":' + b"[" * 200_000,
        header_of(4, a={"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}),
        header_of(4, a={"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}),
        header_of(8, a={"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}),
        header_of(4, a={"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]}),
        header_of(4, a="no tensor"),
    ],
)
def test_weights_whose_header_does_not_tell_their_bytes_are_refused_unopened(folder, problem, data):
    (folder / folders.WEIGHTS).write_bytes(data)
    with pytest.raises(ModelError):
        folders.check(folder)
    with pytest.raises(ModelError):
        opening.open_folder(folder, problem)


@pytest.mark.parametrize(
    "text", ["{", "[" * 100_000, "[]", "\udcff", '{"model_type": 7}', '{"model_type": "bert", "vocab_size": "x"}']
)
def test_a_damaged_config_is_told_as_a_model_error(folder, problem, text):
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError):
        opening.open_folder(folder, problem)


@pytest.mark.parametrize("text", ["{", '{"version": "1.0"}', '{"model": {"type": "BPE", "vocab": 3}}'])
def test_a_damaged_tokenizer_is_told_as_a_model_error(folder, problem, text):
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(ModelError):
        opening.open_folder(folder, problem)


@pytest.mark.parametrize("part", ["normalizer", "decoder"])
def test_a_tokenizer_that_makes_texts_endless_is_refused(folder, part):
    once = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 40}
    change(folder, "tokenizer.json", **{part: {"type": "Sequence", part + "s": [once]}})
    folders.check(folder)
    change(folder, "tokenizer.json", **{part: {"type": "Sequence", part + "s": [once, once]}})
    with pytest.raises(ModelError, match=f"The {part} of the tokenizer .* up to 1,600 times as long"):
        folders.check(folder)


@pytest.mark.parametrize("name", ["no.such.layer", "forward", "config.x", ""])
def test_names_of_weights_that_the_network_lacks_are_told_as_a_model_error(folder, problem, name):
    change(folder, "config.json", compact={"low_rank": [], "packed": {}})
    save_file({**load_file(folder / folders.WEIGHTS), name: torch.zeros(2)}, folder / "more.safetensors")
    assert compact.is_compact(folder)
    with pytest.raises(ModelError):
        opening.open_folder(folder, problem)
