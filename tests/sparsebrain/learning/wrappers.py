"""Models with a GraphLayer inside torch's wrappers for several processes."""

import torch
from torch import distributed, nn
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import graphs
from sparsebrain import GraphLayer
from sparsebrain.models import Recurrent, classifier

SAMPLES, STEPS = 8, 3


def make_classifier():
    """A classifier on a small world, and samples for it."""
    torch.manual_seed(0)
    model = classifier(
        graphs.small_world(30, 6, 0.2, seed=0), 3, loops=3, in_features=12, loop_activation="tanh"
    )
    # In training mode batch normalization would depend on the samples of a process.
    return model.eval(), torch.randn(SAMPLES, 12), torch.arange(SAMPLES) % 3


def make_recurrent():
    """A recurrent model that keeps Dale's law, a bias and leaks, and sequences for it."""
    torch.manual_seed(0)
    connectome = graphs.small_world(30, 6, 0.2, seed=0)
    connectome.node_sign = torch.where(torch.arange(30) % 5 == 0, -1.0, 1.0)
    layer = GraphLayer(
        connectome,
        2,
        activation="tanh",
        inject=True,
        bias=True,
        leak="neuron",
        dale=True,
    )
    model = _Last(Recurrent(layer, encode=nn.Linear(4, 30), decode=nn.Linear(30, 3)))
    return model, torch.randn(SAMPLES, 5, 4), torch.arange(SAMPLES) % 3


class _Last(nn.Module):
    """The scores of a recurrent model after the last time step."""

    def __init__(self, recurrent):
        super().__init__()
        self.recurrent = recurrent

    def forward(self, x):
        # FSDP warns of a view.
        return self.recurrent(x)[0][:, -1].clone()


MODELS = {"classifier": make_classifier, "recurrent": make_recurrent}


def gradients(model, x, y):
    """The gradients of the mean loss by name, whole even where parameters are sharded."""
    nn.functional.cross_entropy(model(x), y).backward()
    return {name: _whole(parameter.grad) for name, parameter in model.named_parameters()}


def learn(model, x, y, steps=STEPS):
    """Train for some steps, and return the optimizer."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    train(model, optimizer, x, y, steps)
    return optimizer


def train(model, optimizer, x, y, steps=STEPS):
    """Some steps of an optimizer."""
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def _whole(value):
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def _sharded(model):
    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    for module in model.modules():
        if isinstance(module, GraphLayer):
            fully_shard(module, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def ddp(rank, folder):
    """Gradients of DistributedDataParallel; each process has half of the samples."""
    found = {}
    for name, make in MODELS.items():
        model, x, y = make()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1 + rank)
        wrapped = DistributedDataParallel(model)
        # Those of the first process, which DDP sends to all.
        found[name] = gradients(wrapped, x[rank::2], y[rank::2])
    return found


def fsdp(rank, folder):
    """The same with parameters that are sharded, and how many elements this process keeps."""
    found = {}
    for name, make in MODELS.items():
        model, x, y = make()
        whole = sum(each.numel() for each in model.parameters())
        model = _sharded(model)
        kept = sum(each.to_local().numel() for each in model.parameters())
        found[name] = gradients(model, x[rank::2], y[rank::2]), kept / whole
    return found


def saved(rank, folder):
    """Train sharded models, save them together, and train on."""
    found = {}
    for name, make in MODELS.items():
        model, x, y = make()
        model = _sharded(model)
        optimizer = learn(model, x[rank::2], y[rank::2])
        weights, state = get_state_dict(model, optimizer)
        checkpoint.save({"model": weights, "optimizer": state}, checkpoint_id=f"{folder}/{name}")
        train(model, optimizer, x[rank::2], y[rank::2])
        found[name] = {key: _whole(value) for key, value in model.named_parameters()}
    return found


def restored(folder, name):
    """The model and optimizer of a checkpoint in one process that belongs to no group."""
    model, x, y = MODELS[name]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    optimizer = torch.optim.Adam(model.parameters(), lr=1.0)
    weights, state = get_state_dict(model, optimizer)
    checkpoint.load({"model": weights, "optimizer": state}, checkpoint_id=f"{folder}/{name}")
    set_state_dict(model, optimizer, model_state_dict=weights, optim_state_dict=state)
    return model, optimizer, x, y


def loaded(rank, folder):
    """Samples that a DataLoader with a DistributedSampler gives this process."""
    data = TensorDataset(torch.arange(10))
    sampler = DistributedSampler(data, shuffle=True, seed=0)
    return torch.cat([batch for (batch,) in DataLoader(data, batch_size=2, sampler=sampler)])


CHECKS = (ddp, fsdp, saved, loaded)
