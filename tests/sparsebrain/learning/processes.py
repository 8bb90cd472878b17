"""Two processes that teach one model, over gloo on this machine alone."""

import copy
import pickle

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch_geometric.data import Data

from sparsebrain import GraphLayer
from sparsebrain.learning import RULES, Backprop, FeedbackAlignment
from tests.sparsebrain.learning.conftest import CLASSES, FEATURES, REFUSED, make, samples

# Of 24 samples those of each process: unequal shares of two batches, which one step adds up.
BATCHES = [(slice(0, 3), slice(3, 12)), (slice(12, 22), slice(22, 24))]
STEPS = 3

# What is taught in two processes: by name the rule, the topology, the rule's options, and whether
# the model has the batch normalization that it is built with.
CASES = {
    f"{name} on {topology}{', normalized' * normalized}": (name, topology, {}, normalized)
    for name in RULES
    for topology, normalized in (("layered", False), ("grid", False), ("grid", True))
    if (name, topology) not in REFUSED
} | {
    "local-errors by prediction": ("local-errors", "grid", {"kind": "prediction"}, False),
    "forward-forward by softmax": ("forward-forward", "grid", {"predict_by": "softmax"}, False),
    "error-diffusion as a sum": ("error-diffusion", "grid", {"reduction": "sum"}, False),
    "dendritic-microcircuit, plastic": (
        "dendritic-microcircuit",
        "layered",
        {"plastic_inhibition": True, "self_predicting": False},
        False,
    ),
}


def prepare(name, topology, options, normalized):
    """The rule of a case."""
    rule = make(name, topology)
    if not normalized:
        for at, module in rule.model.named_children():
            if isinstance(module, nn.BatchNorm1d):
                setattr(rule.model, at, nn.Identity())
    torch.manual_seed(0)
    return RULES[name](rule.model, **options).double()


def learn(rule, part, classes=CLASSES):
    """Some steps on those samples of each batch, with the losses of all calls."""
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.1, momentum=0.5)
    x, y = samples(24)
    y = y % classes
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        for batch in BATCHES:
            chosen = part(batch)
            losses.append(rule(x[chosen].double(), y[chosen]))
        optimizer.step()
    return {"losses": torch.stack(losses), **rule.state_dict()}


def whole(batch):
    """All samples of a batch."""
    return slice(batch[0].start, batch[1].stop)


def teach(rank, folder):
    """Every case, taught in this process and the other."""
    return {case: _teach(rank, *told) for case, told in CASES.items()}


def _teach(rank, *case):
    rule = prepare(*case)
    with torch.no_grad():
        for parameter in rule.parameters():
            parameter.mul_(1 + rank)
    rule.average_over(distributed.group.WORLD)
    torch.manual_seed(rank)
    return learn(rule, lambda batch: batch[rank])


def two_classes():
    """Forward-forward without peers, where the wrong label is known."""
    torch.manual_seed(0)
    kind = RULES["forward-forward"]
    return kind(kind.build(None, FEATURES, 2), peer=0.0).double()


def _two_classes(rank, folder):
    rule = two_classes()
    rule.average_over(distributed.group.WORLD)
    return learn(rule, lambda batch: batch[rank], classes=2)


def _by_parts(rank, folder):
    """Gradients that are filled by other calls than that of the rule."""
    torch.manual_seed(rank)
    mirrors = make("weight-mirror", "grid")
    mirrors.average_over(distributed.group.WORLD)
    torch.manual_seed(rank)
    mirrors.mirror(4 + rank)
    diffusion = make("error-diffusion", "grid")
    diffusion.average_over(distributed.group.WORLD)
    x, y = samples(8)
    diffuse(diffusion, x[rank::2], y[rank::2])
    grads = {str(number): each.grad for number, each in enumerate(mirrors.feedback)}
    return {**grads, "diffusion": diffusion.model.strength.grad}


def diffuse(rule, x, y):
    """Fill the gradient of error diffusion for an error that is made outside of the rule."""
    states, scores = rule.model.run(x, rule.model.fold())
    rule.diffuse(states, nn.functional.one_hot(y, CLASSES) - scores)


class _Branches(nn.Module):
    """A way for each of two processes, and one for none."""

    def __init__(self, rank):
        super().__init__()
        self.ways = nn.ModuleList(nn.Linear(FEATURES, CLASSES) for _ in range(3))
        self.rank = rank

    def forward(self, x):
        return self.ways[self.rank](x)


def _unused(rank, folder):
    torch.manual_seed(0)
    rule = Backprop(_Branches(rank))
    rule.average_over(distributed.group.WORLD)
    x, y = samples(8)
    # One process has no samples in the second call.
    rule(x[rank::2], y[rank::2])
    rule(x[: 8 * rank], y[: 8 * rank])
    return {name: p.grad for name, p in rule.named_parameters()}


def _error(call):
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def _refused(rank, folder):
    x, y = samples(8)
    found, rule = {}, make("backprop", "layered")
    found["not told"] = _error(lambda: rule(x, y))
    found["a copy"] = _error(lambda: copy.deepcopy(rule)(x, y))
    alone = copy.deepcopy(rule)
    alone.average_over(None)
    alone(x, y)
    found["alone"] = _error(lambda: copy.deepcopy(alone)(x, y))
    found["wrapped"] = _error(lambda: DistributedDataParallel(rule)(x, y))
    rule.average_over(distributed.group.WORLD)
    found["wrapped and told"] = _error(lambda: DistributedDataParallel(rule)(x, y))
    part = nn.Sequential(rule.model)
    found["in another module"] = _error(lambda: DistributedDataParallel(_Calls(part, rule))(x, y))
    found["pickled"] = _error(lambda: pickle.loads(pickle.dumps(rule))(x, y))
    found["no group"] = _error(lambda: rule.average_over("gloo"))
    others = make("backprop" if rank else "feedback-alignment", "layered")
    found["other rules"] = _error(lambda: others.average_over(distributed.group.WORLD))
    ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
    layer = GraphLayer(Data(edge_index=ring.roll(rank, 1), num_nodes=3))
    wired = FeedbackAlignment(nn.Sequential(layer))
    found["other synapses"] = _error(lambda: wired.average_over(distributed.group.WORLD))
    return found


class _Calls(nn.Module):
    def __init__(self, part, rule):
        super().__init__()
        self.part, self.rule = part, rule

    def forward(self, x, y):
        return self.rule(x, y)


def _failed(rank, folder):
    """One process is given labels that there are not; the gradients of before stay."""
    x, y = samples(8)
    rule = make("backprop", "layered")
    rule.average_over(distributed.group.WORLD)
    rule(x, y)
    before = [p.grad.clone() for p in rule.parameters()]
    told = _error(lambda: rule(x, y + CLASSES * rank))
    kept = all(torch.equal(p.grad, b) for p, b in zip(rule.parameters(), before, strict=True))
    return {"told": told, "kept": kept, "and on": float(rule(x, y))}


CHECKS = (teach, _two_classes, _by_parts, _unused, _refused, _failed)
