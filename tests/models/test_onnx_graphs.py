"""A network is traced once; the next of its architecture lends the graph its weights, and answers as itself."""

from dataclasses import replace

import pytest
import torch

from studio.data.folder import load
from studio.home import Home
from studio.models import onnx, onnx_graphs
from studio.models.model import Problem
from studio.models.onnx_graphs import MOST_GRAPHS, Graphs
from studio.models.opening import build

INPUTS = ["pixel_values torch.float32 * 1 28 28"]


@pytest.fixture
def traced(monkeypatch):
    """What was traced, one after the other; nothing is known at first."""
    found, trace = [], onnx._traced
    monkeypatch.setattr(onnx, "_graphs", Graphs())
    monkeypatch.setattr(onnx, "_traced", lambda *args: found.append(args) or trace(*args))
    return found


@pytest.fixture
def images(home, saved_digits) -> Problem:
    dataset = load(home.dataset(saved_digits.id))
    return Problem("image-classification", dataset.labels, dataset.dict["train"].select(range(20)), 16)


def learned(name: str, problem: Problem, seed: int):
    """A model whose weights and counts are its own, as after a training."""
    model, generator = build(name, problem), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.network.state_dict().values():
            if value.is_floating_point():
                value.add_((torch.rand(value.shape, generator=generator) - 0.5) / 8)
    return model, problem.task.encode(problem.rows, model.processor, model.network.config, 16)


def difference(name: str, problem: Problem, seed: int, file) -> float:
    model, inputs = learned(name, problem, seed)
    onnx.write(model, inputs, file)
    return onnx.compare(model, file, inputs, problem.task).largest


@pytest.mark.parametrize("name", ["cnn-tiny", "mlp-16"])
def test_of_two_models_of_one_architecture_one_is_traced_and_each_answers_as_itself(name, images, traced, tmp_path):
    assert difference(name, images, 1, tmp_path / "first.onnx") < 1e-4
    assert difference(name, images, 2, tmp_path / "second.onnx") < 1e-4
    assert len(traced) == 1


def test_a_text_model_lends_its_graph_too(home, saved, traced, tmp_path):
    texts = Problem("text-classification", ["bad", "good"], load(home.dataset(saved.id)).dict["train"], 16)
    for seed in range(2):
        assert difference("fasttext-tiny", texts, seed, tmp_path / f"{seed}.onnx") < 1e-4
    assert len(traced) == 1


def test_another_architecture_is_traced_for_itself(images, traced, tmp_path):
    difference("mlp-16", images, 1, tmp_path / "first.onnx")
    assert difference("mlp-64", images, 1, tmp_path / "second.onnx") < 1e-4
    assert len(traced) == 2


def test_images_of_another_size_have_a_graph_of_their_own(images, traced, tmp_path):
    difference("cnn-tiny", images, 1, tmp_path / "first.onnx")
    larger = images.rows.map(lambda row: {"image": row["image"].resize((48, 40))}, load_from_cache_file=False)
    assert difference("cnn-tiny", replace(images, rows=larger), 2, tmp_path / "second.onnx") < 1e-4
    assert len(traced) == 2


def test_networks_of_one_shape_with_other_activations_are_not_taken_for_one_another(images, traced, tmp_path):
    model, inputs = learned("cnn-tiny", images, 1)
    onnx.write(model, inputs, tmp_path / "first.onnx")
    network, known = traced[0][0], onnx._graphs
    assert known.filled(network, INPUTS) is not None
    network.network.config.hidden_act = "gelu"
    assert known.filled(network, INPUTS) is None


def test_a_graph_that_would_answer_otherwise_is_traced_anew(images, traced, tmp_path, monkeypatch):
    difference("mlp-16", images, 1, tmp_path / "first.onnx")
    monkeypatch.setattr(Graphs, "filled", lambda self, *_: onnx.onnx.load(tmp_path / "first.onnx"))
    assert difference("mlp-16", images, 2, tmp_path / "second.onnx") < 1e-4
    assert len(traced) == 2


def test_a_graph_that_has_folded_a_weight_is_not_kept(images, traced, tmp_path):
    difference("mlp-16", images, 1, tmp_path / "first.onnx")
    network = traced[0][0]
    folded = onnx.onnx.load(tmp_path / "first.onnx")
    folded.graph.initializer[0].raw_data = bytes(len(folded.graph.initializer[0].raw_data))
    graphs = Graphs()
    graphs.keep(network, INPUTS, folded)
    assert graphs.filled(network, INPUTS) is None


def test_the_graph_of_a_large_network_is_not_kept(images, traced, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_graphs, "MOST_BYTES", 100)
    for seed in range(2):
        assert difference("mlp-16", images, seed, tmp_path / "model.onnx") < 1e-4
    assert len(traced) == 2


def test_only_the_latest_graphs_are_kept_and_none_holds_weights(images, traced, tmp_path):
    difference("mlp-16", images, 1, tmp_path / "first.onnx")
    network, graph = traced[0][0], onnx._graphs.filled(traced[0][0], INPUTS)
    graphs = Graphs()
    for number in range(MOST_GRAPHS + 2):
        graphs.keep(network, [str(number)], graph)
    assert [graphs.filled(network, [str(number)]) is None for number in range(4)] == [True, True, False, False]
    assert all(len(kept) < graph.ByteSize() / 4 for kept in graphs._known.values())


def other_process(monkeypatch, folder):
    """What a process that has traced nothing yet knows."""
    monkeypatch.setattr(onnx, "_graphs", Graphs())
    onnx.keep_graphs(folder)


def test_a_graph_is_kept_for_the_next_process_which_traces_nothing(images, traced, home, tmp_path, monkeypatch):
    for seed in range(2):
        other_process(monkeypatch, home.graphs)
        assert difference("mlp-16", images, seed, tmp_path / "model.onnx") < 1e-4
    assert len(traced) == 1


def test_a_kept_graph_that_was_damaged_is_traced_anew(images, traced, home, tmp_path, monkeypatch):
    for seed in range(2):
        other_process(monkeypatch, home.graphs)
        assert difference("mlp-16", images, seed, tmp_path / "model.onnx") < 1e-4
        for file in home.graphs.glob("*.graph"):
            file.write_bytes(file.read_bytes()[:-7])
    assert len(traced) == 2


def test_graphs_of_other_versions_of_the_libraries_are_not_read(images, traced, home, tmp_path, monkeypatch):
    for version in ("5.0", "5.1"):
        monkeypatch.setattr(onnx_graphs.transformers, "__version__", version)
        other_process(monkeypatch, home.graphs)
        difference("mlp-16", images, 1, tmp_path / "model.onnx")
    assert len(traced) == 2


def test_on_disk_too_only_the_latest_graphs_are_kept(images, traced, home, tmp_path):
    difference("mlp-16", images, 1, tmp_path / "first.onnx")
    network, graph = traced[0][0], onnx._graphs.filled(traced[0][0], INPUTS)
    graphs = Graphs()
    graphs.folder = home.graphs
    for number in range(MOST_GRAPHS + 2):
        graphs.keep(network, [str(number)], graph)
    assert len(list(home.graphs.iterdir())) == MOST_GRAPHS


def test_a_home_that_is_gone_is_not_made_again_for_a_graph(images, traced, tmp_path, monkeypatch):
    gone = Home(tmp_path / "gone")
    other_process(monkeypatch, gone.graphs)
    difference("mlp-16", images, 1, tmp_path / "first.onnx")
    assert not gone.root.exists()
