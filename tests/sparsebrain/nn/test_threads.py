"""Threads that share one layer: each reads what became of its own call."""

import copy
import pickle
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import torch

from sparsebrain import GraphLayer
from sparsebrain.equilibrium import NonConvergenceWarning
from tests.sparsebrain.nn.equilibria import N, make


def test_each_thread_reads_the_report_of_its_own_call(random_graph):
    """The first has called, the second calls, and then the first reads."""
    layer = make(random_graph, tol=1e-6)
    called, read = threading.Barrier(2), threading.Barrier(2)

    def work(samples):
        before = layer.report
        if samples == 3:
            called.wait()
        layer(torch.randn(samples, N, dtype=torch.float64))
        if samples == 2:
            called.wait()
        read.wait()
        return before, layer.report.loops.shape

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, [2, 3])) == [(None, (2,)), (None, (3,))]
    assert layer.report is None
    layer(torch.randn(5, N, dtype=torch.float64))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(layer, torch.randn(7, N, dtype=torch.float64)).result()
    assert layer.report.loops.shape == (5,)


def test_a_gradient_is_told_in_the_report_of_its_call(random_graph):
    layer = make(random_graph, tol=1e-6)
    z = layer(torch.randn(2, N, dtype=torch.float64))
    first = layer.report
    layer(torch.randn(3, N, dtype=torch.float64))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(z.sum().backward).result()
    assert first.gradient.loops.shape == (2,)
    assert layer.report.gradient is None


def test_shallow_copies_in_threads_read_their_own(random_graph):
    """As torch.nn.DataParallel makes them: they share what the module has."""
    layer = make(random_graph, tol=1e-6)
    replicas = [copy.copy(layer) for _ in range(2)]
    done = threading.Barrier(2)

    def work(replica, samples):
        replica(torch.randn(samples, N, dtype=torch.float64))
        done.wait()
        return replica.report.loops.shape

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, replicas, [2, 3])) == [(2,), (3,)]


def test_copies_have_the_report_and_go_on_by_themselves(random_graph):
    layer = make(random_graph, tol=1e-6)
    layer(torch.randn(2, N, dtype=torch.float64)).sum().backward()
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(other.report) == repr(layer.report)
        other(torch.randn(3, N, dtype=torch.float64))
        assert other.report.loops.shape == (3,)
        assert layer.report.loops.shape == (2,)


def test_threads_warn_once_and_a_copy_warns_anew(random_graph):
    layer = make(random_graph, tol=1e-6, max_loops=1)
    x = torch.randn(2, N, dtype=torch.float64)
    start = threading.Barrier(4)

    def work(_):
        start.wait()
        with torch.no_grad():
            layer(x)

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert [each.category for each in seen] == [NonConvergenceWarning]
        copy.deepcopy(layer)(x)
        assert len(seen) == 2


def test_a_number_of_loops_has_no_report(random_graph):
    layer = GraphLayer(random_graph, 2)
    layer(torch.randn(2, N))
    assert layer.report is None
