"""Models that comparisons write, and how they are loaded."""

import io
import pickle
import sys
import zipfile
from dataclasses import replace

import pytest
import torch

import graphs
from sparsebrain.experiments import compare, load_trained, runner
from sparsebrain.experiments.datasets import Images, load
from sparsebrain.experiments.saved_models import model_file, save_model
from sparsebrain.experiments.training import Run, evaluate, train
from sparsebrain.learning import RULES, Backprop

FAST = {"epochs": 1, "seeds": 1, "jobs": 1, "loops": 2, "save_models": True}
RUN = Run(
    **{"data": "digits", "topology": "none", "checksum": "", "synapses_wanted": 0, "loops": 2},
    **{"variant": "relu", "epochs": 1, "batch_size": 8, "learning_rate": 0.02, "seed": 1},
)
GRID = "grid:distance=1,symmetric=true"


def images():
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(60, 16, generator=draw)
    y = (x[:, :8].sum(1) > x[:, 8:].sum(1)).long()
    return Images("digits", 2, (4, 4), x[:30], y[:30], x[30:], y[30:])


CASES = {
    **{rule: replace(RUN, rule=rule, topology=GRID) for rule in RULES},
    "dendritic-microcircuit": replace(RUN, rule="dendritic-microcircuit"),
    "backprop, none": RUN,
    "backprop, lif": replace(RUN, topology=GRID, neuron_model="lif:steps=4"),
    "backprop, equilibrium": replace(RUN, topology=GRID, loops="equilibrium"),
}


@pytest.mark.parametrize("case", CASES)
def test_every_rule_predicts_what_it_did(tmp_path, case):
    run, data = CASES[case], images()
    trained = train(run, data)
    save_model(tmp_path, run, data, trained.model)
    rule = load_trained(model_file(tmp_path, run))
    assert isinstance(rule, RULES[run.rule])
    assert not rule.training
    state = trained.model.state_dict()
    found = rule.model.state_dict()
    assert {name: each.tolist() for name, each in found.items()} == {
        name: each.tolist() for name, each in state.items()
    }
    assert evaluate(rule, data.test_x, data.test_y).accuracy == trained.outcome.test_accuracy


def test_a_file_is_plain_and_has_what_the_model_is_made_of(tmp_path):
    worm = graphs.c_elegans()
    (row,) = compare(topologies={"worm": worm}, **FAST, out=tmp_path)
    path = model_file(tmp_path, row.runs[0])
    assert [each.name for each in (tmp_path / "models").iterdir()] == [path.name]
    assert path.name.startswith("backprop-worm-seed-0-")
    content = torch.load(path, weights_only=True)
    assert [*content] == [
        *("state_dict", "run", "connectome", "sheet", "in_features", "num_classes"),
    ]
    assert content["connectome"]["edge_index"].equal(worm.edge_index)
    assert content["connectome"]["names"] == worm.names
    rule = load_trained(str(path))
    rule.model.load_state_dict(content["state_dict"])
    digits = load("digits")
    found = evaluate(rule, digits.test_x, digits.test_y)
    assert found.accuracy == row.outcomes[0].test_accuracy


def test_models_that_are_missing_are_trained_again_once(tmp_path, monkeypatch):
    options = {**FAST, "topologies": ["none"], "seeds": 2, "out": tmp_path}
    compare(**{**options, "save_models": False})
    assert not (tmp_path / "models").exists()
    results = (tmp_path / "results.csv").read_bytes()
    (row,) = compare(**options)
    files = [model_file(tmp_path, run) for run in row.runs]
    before = [path.read_bytes() for path in files]
    files[1].unlink()
    compare(**options)
    assert [path.read_bytes() for path in files] == before
    assert (tmp_path / "results.csv").read_bytes() == results
    monkeypatch.setattr(runner, "train", None)
    compare(**options)
    files[0].unlink()
    real = train

    def elsewhere(run, *args):
        trained = real(run, *args)
        return trained._replace(outcome=replace(trained.outcome, test_accuracy=0.5))

    monkeypatch.setattr(runner, "train", elsewhere)
    with pytest.raises(ValueError, match="save_models: none, backprop, seed 0 was kept .*; use"):
        compare(**options)
    assert not files[0].exists()


def test_what_diverges_has_no_model(tmp_path):
    options = {**FAST, "topologies": ["none"], "learning_rate": 1e30, "epochs": 4}
    (row,) = compare(**options, out=tmp_path)
    assert row.outcomes[0].diverged
    assert not (tmp_path / "models").exists()
    compare(**options, out=tmp_path)


class Mine(Backprop):
    """Backpropagation by another name."""


def test_a_rule_that_is_not_known(tmp_path, monkeypatch):
    data, run = images(), replace(RUN, rule="mine")
    with monkeypatch.context() as during:
        during.setitem(RULES, "mine", Mine)
        save_model(tmp_path, run, data, train(run, data).model)
        assert isinstance(load_trained(model_file(tmp_path, run)), Mine)
    told = r"the rule 'mine', which is not in RULES; write RULES\['mine'\] = MyRule"
    with pytest.raises(ValueError, match=told):
        load_trained(model_file(tmp_path, run))


def test_a_file_imports_nothing(tmp_path):
    data, run = images(), replace(RUN, rule="this:s")
    save_model(tmp_path, run, data, train(RUN, data).model)
    with pytest.raises(ValueError, match=r"which is not in RULES; write RULES\['this:s'\]"):
        load_trained(model_file(tmp_path, run))
    assert "this" not in sys.modules


class Harmful:
    def __reduce__(self):
        return print, ("executed",)


def _saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _packed(whole):
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(whole)) as source,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for each in source.infolist():
            target.writestr(each.filename, source.read(each))
    return file.getvalue()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder, run = tmp_path_factory.mktemp("models"), CASES["backprop"]
    data = images()
    save_model(folder, run, data, train(run, data).model)
    return model_file(folder, run)


def _changed(content, part, **entries):
    return _saved({**content, part: {**content[part], **entries}})


def test_damaged_and_hostile_files(saved, tmp_path, capsys):
    whole, content = saved.read_bytes(), torch.load(saved, weights_only=True)
    state, huge = content["state_dict"], torch.zeros(1).expand(10**9)
    bad = {
        "empty": b"",
        "text": b"not a zip",
        "cut": whole[:-2000],
        "packed": _packed(whole),
        "pickle": pickle.dumps(Harmful()),
        "code": _saved({**content, "state_dict": Harmful()}),
        "tensor": _saved(torch.ones(3)),
        "state alone": _saved(dict(state)),
        "none": _saved({**content, "run": None}),
        "another rule": _changed(content, "run", rule="feedback-alignment-x"),
        "no topology": _saved({**content, "connectome": None}),
        "negative": _saved({**content, "in_features": -4}),
        "huge": _saved({**content, "num_classes": 10**20}),
        "other size": _saved({**content, "in_features": 5}),
        "neurons": _changed(content, "connectome", num_nodes=10**15),
        "view": _changed(content, "connectome", edge_weight=huge),
        "field": _changed(content, "connectome", keys=3),
        "edges": _changed(content, "connectome", edge_index=torch.full((2, 3), 99)),
        "lacking": _saved({**content, "state_dict": dict(list(state.items())[1:])}),
        "shape": _changed(content, "state_dict", **{"decode.bias": huge}),
        "text in place of a tensor": _changed(content, "state_dict", **{"decode.bias": "x"}),
        "loops": _changed(content, "run", loops=-3),
        "variant": _changed(content, "run", variant="other"),
        "neuron model": _changed(content, "run", neuron_model="other"),
    }
    path = tmp_path / "bad.pt"
    for name, damaged in bad.items():
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"^path .*; (pass|write) ") as error:
            load_trained(path)
        assert len(str(error.value)) < 1000, name
    assert "executed" not in capsys.readouterr().out


def test_paths_that_are_none(tmp_path):
    with pytest.raises(TypeError, match="path must be a path, got 3 of type int; pass"):
        load_trained(3)
    with pytest.raises(FileNotFoundError, match="does not exist; pass a file that sparsebrain"):
        load_trained(tmp_path / "no.pt")
    with pytest.raises(FileNotFoundError, match="is a folder; pass a file that sparsebrain"):
        load_trained(tmp_path)
