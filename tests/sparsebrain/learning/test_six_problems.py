"""Which problems a rule solves, derived from the operations of one step."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

import graphs
from sparsebrain import GraphLayer
from sparsebrain.energy import BoltzmannMachine, ContrastiveDivergence, DynamicBoltzmannMachine
from sparsebrain.experiments import help_texts
from sparsebrain.learning import RULES, Backprop, Rule, problems
from sparsebrain.learning.problem_table import PROBLEMS, SOLVED
from sparsebrain.learning.six_problems import ARGUMENTS
from sparsebrain.plasticity import BCM, PLASTICITY, STDP, DopamineSTDP, Hebb, Oja, Sanger
from sparsebrain.spiking import LIF

README = Path(__file__).parents[3] / "examples" / "learning_rules" / "README.md"


@pytest.mark.parametrize("name", RULES)
def test_problems_of_the_rules(name):
    found = problems(RULES[name])
    assert found.marks == SOLVED[RULES[name].__name__]
    assert [each.problem for each in found] == list(PROBLEMS)
    assert [each.derived for each in found] == [True] * 3 + [False] * 3


@pytest.mark.skipif(not README.exists(), reason="needs the checkout")
def test_the_table_of_the_readme_is_what_is_derived():
    lines = README.read_text().split("## Six problems")[1].split("\n## ")[0].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    told = {name.strip("`"): " ".join(marks) for name, *marks in rows}
    expected = {name: SOLVED[RULES[name].__name__] for name in RULES}
    assert {name: marks for name, marks in told.items() if name in RULES} == expected
    others = {
        "Hebb, Oja, Sanger, BCM without a readout": (Hebb, Oja, Sanger, BCM),
        "STDP, dopamine STDP": (STDP, DopamineSTDP),
        "contrastive divergence": (ContrastiveDivergence,),
        "dynamic Boltzmann machine": (DynamicBoltzmannMachine,),
    }
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in lines}
    for label, kinds in others.items():
        assert {SOLVED[kind.__name__] for kind in kinds} == {" ".join(rows[label]).strip("| ")}


def test_the_table_has_every_rule():
    rules = {table[name].__name__ for table in (RULES, PLASTICITY) for name in table}
    assert set(SOLVED) == rules | {"ContrastiveDivergence", "DynamicBoltzmannMachine"}
    assert set(SOLVED) <= set(ARGUMENTS)


def test_the_help_of_the_command_has_the_table():
    told = " ".join(help_texts.problems().split())
    assert told.startswith("a linear way back, activities and derivatives kept for it, ")
    for name, rule in RULES.items():
        assert f" {name}: {SOLVED[rule.__name__]}" in told


@pytest.mark.parametrize("kind", [Hebb, Oja, Sanger, BCM])
def test_rules_of_activities(kind):
    layer = GraphLayer(graphs.grid_local((3, 3), 1))
    assert problems(kind(layer), x=torch.rand(4, 9)).marks == SOLVED[kind.__name__]


def test_rules_of_spikes():
    lif = LIF(graphs.grid_local((3, 3), 1))
    spikes = (torch.rand(2, 20, 9) < 0.2).float()
    assert problems(STDP(lif, 0.01, 0.012), x=spikes).marks == SOLVED["STDP"]
    dopamine = torch.rand(2, 20)
    found = problems(DopamineSTDP(lif, 0.01, 0.012), x=spikes, y=dopamine)
    assert found.marks == SOLVED["DopamineSTDP"]


class Likelihood(nn.Module):
    """The rule of a dynamic Boltzmann machine: it climbs the likelihood of what comes next."""

    def __init__(self, machine):
        super().__init__()
        self.machine = machine

    def make_optimizer(self):
        raise NotImplementedError

    def forward(self, x):
        (-self.machine.log_prob(x).mean()).backward()


def test_rules_of_networks_with_an_energy():
    symmetric = graphs.grid_local((3, 3), 1, self_loops=False)
    x = (torch.rand(8, 9) < 0.5).float()
    found = problems(ContrastiveDivergence(BoltzmannMachine(symmetric)), x=x)
    assert found.marks == SOLVED["ContrastiveDivergence"]
    machine = DynamicBoltzmannMachine(symmetric, delay=2)
    found = problems(Likelihood(machine), x=(torch.rand(4, 10, 9) < 0.5).float())
    derived, argued = found.marks[:6], ARGUMENTS["DynamicBoltzmannMachine"][0]
    assert derived + " ".join(argued) == SOLVED["DynamicBoltzmannMachine"]


class Handmade(Rule):
    """A rule of three linear layers whose way back is given."""

    knows_layers = False
    way = "same"

    def __init__(self, model):
        super().__init__(model)
        shape = model[2].weight.shape
        self.other = nn.Parameter(torch.linspace(-1, 1, shape.numel()).view(shape))

    @classmethod
    def refusal(cls, model):
        return None

    @torch.no_grad()
    def forward(self, x, y):
        first, second, third = self.model[0], self.model[2], self.model[4]
        h1 = torch.tanh(first(x))
        h2 = torch.tanh(second(h1))
        scores = third(h2)
        error = (scores.softmax(1) - functional.one_hot(y, scores.size(1))) / len(x)
        at2 = error @ third.weight
        if self.way != "unscaled":
            at2 = at2 * (1 - h2 * h2)
        if self.way == "bent":
            at2 = torch.tanh(at2)
        back = {"other": self.other, "signs": second.weight.sign()}
        at1 = at2 @ back.get(self.way, second.weight)
        if self.way == "none":
            at1 = torch.zeros_like(h1)
        third.weight.grad, second.weight.grad = error.T @ h2, at2.T @ h1
        first.weight.grad = (at1 * (1 - h1 * h1)).T @ x
        return functional.cross_entropy(scores, y)


@pytest.mark.parametrize(
    ("way", "marks"),
    [
        ("same", "- - -"),
        ("other", "- - -"),  # the last layer's weights are its own
        ("signs", "- - -"),
        ("none", "- p -"),
        ("unscaled", "- p -"),
        ("bent", "s - -"),  # a nonlinear way back
    ],
)
def test_a_rule_of_ones_own(way, marks):
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3))
    rule = Handmade(model)
    rule.way = way
    found = problems(rule, x=torch.rand(6, 5), y=torch.arange(6) % 3)
    assert found.marks == f"{marks} ? ? ?"
    assert [each.mark for each in found[3:]] == [None] * 3
    assert all(parameter.grad is None for parameter in rule.parameters())


class Buffered(Handmade):
    """Feedback over a matrix that is no parameter."""

    def __init__(self, model):
        super().__init__(model)
        self.register_buffer("back3", torch.linspace(1, -1, 12).view(3, 4))
        self.back2 = torch.linspace(-1, 1, 16).view(4, 4)

    @torch.no_grad()
    def forward(self, x, y):
        first, second, third = self.model[0], self.model[2], self.model[4]
        h1 = torch.tanh(first(x))
        h2 = torch.tanh(second(h1))
        error = third(h2).softmax(1) - functional.one_hot(y, 3)
        at2 = error @ self.back3 * (1 - h2 * h2)
        at1 = at2 @ self.back2 * (1 - h1 * h1)
        third.weight.grad, second.weight.grad = error.T @ h2, at2.T @ h1
        first.weight.grad = at1.T @ x
        return error.square().mean()


class OutOfSight(Handmade):
    """A step in NumPy."""

    def forward(self, x, y):
        for parameter in self.model.parameters():
            parameter.grad = torch.from_numpy(parameter.detach().numpy() * float(y.numpy().max()))
        return torch.tensor(1.0)


class Nothing(Handmade):
    """A step without gradients."""

    def forward(self, x, y):
        return torch.tensor(1.0)


@pytest.mark.parametrize(
    ("kind", "marks", "told"),
    [
        (Buffered, "- - s ? ? ?", "errors go back linearly, through 2 layers"),
        (OutOfSight, "? ? ? ? ? ?", "no gradient carries the labels"),
        (Nothing, "? ? ? ? ? ?", "the step wrote no gradient"),
    ],
)
def test_rules_whose_weights_or_labels_are_elsewhere(kind, marks, told):
    layers = nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3)
    found = problems(kind(nn.Sequential(*layers)), x=torch.rand(6, 5), y=torch.arange(6) % 3)
    assert found.marks == marks
    assert told in str(found)
    assert "unknown (" in str(found)
    assert "known; argued" not in str(found)


def test_answers_say_why():
    found = problems(RULES["backprop"])
    assert found[2].mark == "not"
    assert found[2].reason == "errors go back over the weights of the way forward"
    text = str(found)
    assert text.startswith("1 a linear way back: not (errors go back linearly, through 4 layers")
    assert "argued" in text


def test_one_layer_has_no_way_back():
    """The only weights learn from the error at their own outputs."""
    rule = Backprop(nn.Linear(5, 3))
    assert problems(rule, x=torch.rand(4, 5), y=torch.arange(4) % 3).marks == "s s s - - -"


def test_every_argument_has_three_marks_and_a_reason():
    for marks, reason in ARGUMENTS.values():
        assert len(marks) == 3
        assert set(marks) <= set("sp-")
        assert reason


def test_bad_input():
    with pytest.raises(TypeError, match=r"rule must be a rule or its class, got .*pass"):
        problems("backprop")
    model = nn.Linear(5, 3)
    with pytest.raises(TypeError, match=r"rule must be a rule or its class, got .*Linear"):
        problems(model, x=torch.rand(4, 5), y=torch.arange(4) % 3)
    with pytest.raises(TypeError, match=r"x must be a dense tensor of samples .*pass x="):
        problems(Backprop(model))
    with pytest.raises(ValueError, match="a rule has its model already; pass model=None"):
        problems(Backprop(model), model)
