import dataclasses
import math

import pytest
import torch

import graphs
from sparsebrain.equilibrium import NonConvergenceWarning
from sparsebrain.experiments.datasets import Images
from sparsebrain.experiments.training import Run, evaluate, make_model, make_rule, train
from sparsebrain.learning import RULES, Backprop
from tests.sparsebrain.learning.conftest import REFUSED


@pytest.fixture
def images():
    """Two classes that differ in which half of the pixels is bright: 90 to train on, 30 to test."""
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(120) % 2
    x = torch.rand(120, 8, generator=draw) / 2
    x[:, :4] += y.unsqueeze(1) / 2
    return Images("halves", 2, (3, 3), x[:90], y[:90], x[90:], y[90:])


@pytest.fixture
def run():
    return Run(
        data="halves",
        topology="grid:distance=1",
        checksum="",
        synapses_wanted=0,
        loops=2,
        variant="relu",
        epochs=4,
        batch_size=32,
        learning_rate=0.01,
        seed=0,
    )


def trained(run, images):
    outcome, curve, _ = train(run, images)
    return outcome, curve


def test_it_learns_and_tells_what_was_trained(run, images):
    outcome, curve = trained(dataclasses.replace(run, epochs=15), images)
    assert [epoch.epoch for epoch in curve] == list(range(1, 16))
    assert curve[-1].loss < curve[0].loss / 2
    assert outcome.test_accuracy == curve[-1].test_accuracy > 0.9
    assert (outcome.neurons, outcome.synapses) == (9, 49)
    assert outcome.parameters == (8 * 9 + 9) + 2 * 9 + 49 + 2 * 9 + (9 * 2 + 2)
    measured = graphs.summary(graphs.grid_local((3, 3), 1))
    assert (outcome.path_length, outcome.clustering) == (measured.path_length, measured.clustering)
    assert outcome.seconds_per_epoch > 0


def test_the_same_seed_gives_the_same_run_and_torchs_generator_is_left_alone(run, images):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, curve = trained(run, images)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    second, again = trained(run, images)
    assert curve == again
    assert first.test_accuracy == second.test_accuracy
    _, other = trained(dataclasses.replace(run, seed=1), images)
    assert other != curve


def test_the_number_of_threads_changes_nothing_and_is_left_as_it_was(run, images):
    curves = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        curves.append(trained(run, images)[1])
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert curves[0] == curves[1]


@pytest.mark.parametrize("topology", ["grid:distance=1", "none"])
def test_the_reading_decides_the_activations(run, images, topology):
    model = train(dataclasses.replace(run, topology=topology, variant="linear"), images).model
    assert not any(isinstance(part, torch.nn.ReLU) for part in model)
    model = train(dataclasses.replace(run, topology=topology, variant="tanh-in-loop"), images).model
    assert any(isinstance(part, torch.nn.ReLU) for part in model)
    assert topology == "none" or model.graph.activation == "tanh"


def test_without_a_graph_there_is_a_perceptron_of_the_same_width(run, images):
    outcome, _ = trained(dataclasses.replace(run, topology="none"), images)
    assert (outcome.neurons, outcome.synapses) == (9, 0)
    assert outcome.parameters == (8 * 9 + 9) + 2 * 9 + (9 * 2 + 2)
    assert math.isnan(outcome.path_length)
    assert math.isnan(outcome.clustering)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "backprop"])
def test_every_rule_is_trained_and_its_seed_decides_all(run, images, rule):
    rate = RULES[rule].learning_rate
    topology = "none" if (rule, "grid") in REFUSED else run.topology
    run = dataclasses.replace(run, rule=rule, topology=topology, epochs=1, learning_rate=rate)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, curve = trained(run, images)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    second, again = trained(run, images)
    assert curve == again
    assert first.peak_bytes == second.peak_bytes
    assert first.seconds_per_epoch > 0


def test_rules_of_one_family_start_from_one_model(run, images):
    data = graphs.grid_local((3, 3), 1)
    one = make_model(run, data, images).state_dict()
    for rule in ("feedback-alignment", "direct-feedback-alignment"):
        other = make_rule(dataclasses.replace(run, rule=rule), data, images).model.state_dict()
        torch.testing.assert_close(other, one, rtol=0, atol=0)
    alone = make_rule(dataclasses.replace(run, rule="feedback-alignment"), None, images).model
    torch.testing.assert_close(alone.state_dict(), make_model(run, None, images).state_dict())


def test_feedback_is_not_drawn_from_the_numbers_of_the_weights(run, images):
    """Of 72 weights a correlation has a deviation of 0.12; a false alarm in 10^9."""
    rule = make_rule(dataclasses.replace(run, rule="feedback-alignment"), None, images)
    drawn = torch.stack([rule.model.encode.weight.flatten(), rule.feedback[0].flatten()])
    assert abs(torch.corrcoef(drawn)[0, 1]) < 6 * 0.12


def test_the_memory_of_a_step_is_told(run, images):
    """Weights, gradients and both moments are 16 bytes a parameter; the rest grows with samples."""
    peaks = []
    for batch_size in (8, 16, 24):
        outcome, _ = trained(dataclasses.replace(run, batch_size=batch_size, epochs=1), images)
        peaks.append(outcome.peak_bytes)
    assert peaks[0] > 16 * outcome.parameters
    # Hidden states of 9 neurons, before and after norm and activation, in float32.
    assert peaks[1] - peaks[0] == peaks[2] - peaks[1] > 8 * 9 * 4 * 4


def test_a_torch_that_does_not_tell_leaves_the_memory_unknown(run, images, monkeypatch):
    monkeypatch.delattr(torch.autograd, "_enable_profiler_legacy")
    outcome, _ = trained(dataclasses.replace(run, epochs=1), images)
    assert math.isnan(outcome.peak_bytes)


@pytest.mark.parametrize("batch_size", [2, 89, 1000])
def test_any_batch_size_uses_every_sample(run, images, batch_size):
    """89 leaves a last batch of one sample, of which batch normalization has no variance."""
    _, curve = trained(dataclasses.replace(run, batch_size=batch_size), images)
    assert len(curve) == 4
    assert math.isfinite(curve[-1].loss)


@pytest.mark.parametrize("topology", ["grid:distance=1", "none"])
def test_a_loss_that_is_not_finite_ends_the_run_in_its_epoch(run, images, topology):
    outcome, curve = trained(
        dataclasses.replace(run, topology=topology, learning_rate=1e30), images
    )
    assert outcome.diverged == len(curve) == 1
    assert math.isnan(outcome.test_accuracy)
    assert not math.isfinite(curve[0].loss)
    assert math.isnan(curve[0].test_accuracy)
    assert outcome.parameters > 0
    assert math.isnan(outcome.peak_bytes)


class Breaking(Backprop):
    """Loses a parameter or a buffer in its fifth step, or its scores; the loss stays finite."""

    what = ""
    steps = 0

    def forward(self, x, y):
        loss = super().forward(x, y)
        self.steps += 1
        if self.steps == 5:
            for name, tensor in [*self.model.named_parameters(), *self.model.named_buffers()]:
                if name == self.what:
                    tensor.data.view(-1)[0] = math.inf
        return torch.tensor(1.0) if self.steps >= 5 else loss.nan_to_num()

    def predict(self, x):
        scores = super().predict(x)
        return scores + {"nan": math.nan, "-inf": -math.inf}.get(self.what, 0) * torch.eye(2)[0]


@pytest.mark.parametrize(
    ("what", "epoch"),
    [("graph.weight", 2), ("norm.running_mean", 2), ("nan", 1), ("", 0)],
)
def test_whatever_is_not_finite_is_found_at_the_end_of_an_epoch(
    run, images, monkeypatch, what, epoch
):
    """Three steps an epoch; -inf is a score of a class that is ruled out."""
    names = dict(make_model(run, graphs.grid_local((3, 3), 1), images).named_parameters())
    buffers = dict(make_model(run, graphs.grid_local((3, 3), 1), images).named_buffers())
    if what == "norm.running_mean":
        what = next(name for name in buffers if name.endswith("running_mean"))
    assert what in {*names, *buffers, "nan", ""}
    monkeypatch.setitem(RULES, "breaking", Breaking)
    monkeypatch.setattr(Breaking, "what", what)
    outcome, curve = trained(dataclasses.replace(run, rule="breaking"), images)
    assert outcome.diverged == epoch
    assert len(curve) == (epoch or run.epochs)
    assert math.isfinite(curve[-1].loss)
    assert math.isnan(outcome.test_accuracy) == bool(epoch)


def test_what_is_infinite_from_the_start_is_meant(run, images, monkeypatch):
    class Bounded(Backprop):
        def __init__(self, model):
            super().__init__(model)
            self.register_buffer("bound", torch.tensor(math.inf))

    monkeypatch.setitem(RULES, "bounded", Bounded)
    outcome, _ = trained(dataclasses.replace(run, rule="bounded", epochs=1), images)
    assert outcome.diverged == 0
    assert outcome.test_accuracy >= 0


def test_scores_that_rank_no_class_have_no_accuracy():
    class Given(torch.nn.Module):
        def forward(self, x):
            return self.scores

    rule = Backprop(Given())

    def found(*scores):
        rule.model.scores = torch.tensor(scores)
        return evaluate(rule, torch.zeros(len(scores), 1), torch.arange(len(scores)))

    for bad in (math.nan, math.inf):
        assert math.isnan(found([1.0, bad], [0.0, 1.0]).accuracy)
        assert math.isnan(found([1.0, bad], [0.0, 1.0]).loss)
    ruled_out = found([1.0, -math.inf], [0.0, 1.0])
    assert ruled_out == (1, pytest.approx(math.log1p(math.exp(-1)) / 2))
    assert found([-math.inf, 1.0]) == (0, math.inf)


def test_accuracy_is_the_share_of_samples_that_are_right():
    scores, rule = torch.eye(3), Backprop(torch.nn.Identity())
    assert evaluate(rule, scores, torch.tensor([0, 1, 0])).accuracy == pytest.approx(2 / 3)
    many = torch.eye(2).repeat(1500, 1)
    assert evaluate(rule, many, torch.tensor([0, 1]).repeat(1500)).accuracy == 1


def test_the_loss_is_the_mean_over_all_samples_in_evaluation_mode(run, images):
    """More samples than are tested at once, in parts of different size."""
    data = graphs.grid_local((3, 3), 1)
    rule = make_rule(run, data, images)
    x, y = images.test_x.repeat(50, 1), images.test_y.repeat(50)
    y[:700] = 0
    with torch.no_grad():
        wanted = torch.nn.functional.cross_entropy(rule.model.eval()(x), y)
    rule.train()
    assert evaluate(rule, x, y).loss == pytest.approx(float(wanted), rel=1e-5)
    quadratic = Backprop(rule.model, loss="quadratic")
    with torch.no_grad():
        wanted = quadratic.loss(rule.model(x), y)
    assert evaluate(quadratic, x, y).loss == pytest.approx(float(wanted), rel=1e-5)


def test_only_backpropagation_has_a_loss_of_test_images(run, images):
    _, curve, model = train(run, images)
    with torch.no_grad():
        wanted = torch.nn.functional.cross_entropy(model.eval()(images.test_x), images.test_y)
    assert curve[-1].test_loss == pytest.approx(float(wanted), rel=1e-6)
    rate = RULES["feedback-alignment"].learning_rate
    other = dataclasses.replace(run, rule="feedback-alignment", learning_rate=rate)
    assert math.isnan(train(other, images).curve[-1].test_loss)


def test_loops_that_a_run_took_are_counted(run, images):
    """Those asked for; at equilibrium as many as the report of all test images tells."""
    outcome, _ = trained(dataclasses.replace(run, epochs=1), images)
    assert (outcome.loops_used, outcome.converged) == (2.0, 1.0)
    outcome, _ = trained(dataclasses.replace(run, epochs=1, topology="none"), images)
    assert (outcome.loops_used, outcome.converged) == (0.0, 1.0)
    endless = dataclasses.replace(run, loops="equilibrium:tol=1e-3")
    outcome, curve, model = train(endless, images)
    assert curve[-1].loss < curve[0].loss
    model(images.test_x)
    assert outcome.loops_used == pytest.approx(float(model.graph.report.loops.double().mean()))
    assert outcome.converged == 1.0


def test_test_images_without_an_equilibrium_are_told(run, images):
    few = dataclasses.replace(run, epochs=1, loops="equilibrium:tol=1e-6,max_loops=2")
    with pytest.warns(NonConvergenceWarning):
        outcome, _ = trained(few, images)
    assert (outcome.loops_used, outcome.converged) == (2.0, 0.0)
