"""Triton's kernels: on a GPU where there is one, else in a process with Triton's interpreter.

The interpreter has to be asked for before triton is imported, and must not reach other tests. That
the kernels compile for GPUs is shown without one; .ci/run asserts that triton is there.
"""

import contextlib
import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsebrain import kernels
from sparsebrain.kernels import Structure, triton_backend, triton_matrix, triton_steps
from sparsebrain.kernels.activations import ACTIVATIONS
from sparsebrain.kernels.select import resolve, suitable_elsewhere
from sparsebrain.kernels.triton_backend import TritonBackend

HERE = Path(__file__)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
OBSTACLE = kernels.available(DEVICE)["triton"]
needs_kernels = pytest.mark.skipif(
    OBSTACLE is not None, reason=f"{OBSTACLE}; test_in_the_interpreter runs this"
)
outside = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") == "1", reason="has a process of its own without it"
)
needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="no triton; .ci/run asserts it"
)


@needs_triton
@pytest.mark.skipif(OBSTACLE is None, reason="the tests below run the kernels")
@pytest.mark.parametrize(
    "tests",
    [
        [HERE],
        [
            HERE.with_name("test_functional.py"),
            "-k=triton and unsorted and (primitives_equal or frozen)",
        ],
        [HERE.with_name("test_operators.py"), "-k=triton and torchs_own_check"],
        [
            HERE.with_name("test_activations.py"),
            "-k=triton and (numbers_end or added)",
            # The interpreter computes by NumPy, which tells of a NaN that torch has there, too.
            "-Wignore:invalid value encountered:RuntimeWarning",
        ],
        [HERE.with_name("test_checks.py"), "-k=triton and (written_over or short)"],
        [
            HERE.with_name("test_noise.py"),
            "-k=triton and (same_numbers and (5- or 31-) or loop_by_loop and (tanh or gelu))",
        ],
        [HERE.with_name("test_sequences.py"), "-k=triton and unsorted and with_all"],
        [HERE.with_name("test_sampling.py"), "-k=triton and definition and 33"],
    ],
    ids=[
        *("those below", "functions", "operators", "activations", "checks", "noise", "sequences"),
        "sampling",
    ],
)
def test_in_the_interpreter(tests):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, tests)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        cwd=HERE.parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    assert " passed" in done.stdout


def learn(structure, given_, backend, **options):
    """All states and all gradients, brought to the CPU in float64; ``given_`` may hold None."""
    structure = structure.to(DEVICE)
    leaves = [None if each is None else each.to(DEVICE).requires_grad_() for each in given_]
    named = dict(zip(("drive", "bias", "leak"), leaves[2:], strict=True))
    states = kernels.loop(structure, *leaves[:2], **named, backend=backend, **options)
    loss = sum((state * state.detach().cos()).sum() for state in states[-1:] + states[:1])
    there = [leaf for leaf in leaves if leaf is not None]
    grads = torch.autograd.grad(loss, there)
    return [each.detach().cpu().double() for each in (*states, *grads)]


def problem(structure, batch, dtype, seed=0, extras="all"):
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(structure.num_edges, generator=draw, dtype=torch.float64) / 3
    state, drive = torch.randn(2, structure.num_nodes, batch, generator=draw, dtype=torch.float64)
    bias = torch.randn(structure.num_nodes, generator=draw, dtype=torch.float64)
    given_ = [weight, state, drive, bias, bias.sigmoid()]
    keep = {"none": 2, "drive": 3, "bias": 4, "all": 5}[extras]
    return [each.to(dtype) if at < keep else None for at, each in enumerate(given_)]


def double(given_):
    return [None if each is None else each.double() for each in given_]


@needs_kernels
@pytest.mark.parametrize(
    ("activation", "extras", "dtype"),
    [
        ("none", "none", torch.float64),
        ("tanh", "all", torch.float32),
        ("sigmoid", "drive", torch.float64),
        ("relu", "bias", torch.float32),
        ("leaky_relu", "all", torch.float64),
    ],
    ids=str,
)
def test_loop_and_gradients_equal_the_reference(structure, activation, extras, dtype):
    given_ = problem(structure, 3, dtype, extras=extras)
    options = {"loops": 2, "activation": activation, "keep": True}
    found = learn(structure, given_, "triton", **options)
    exact = learn(structure, double(given_), "reference", **options)
    rtol, atol = (1e-4, 1e-4) if dtype == torch.float32 else (1e-10, 1e-12)
    torch.testing.assert_close(found, exact, rtol=rtol, atol=atol)


@st.composite
def random_problems(draw):
    """Any graph, hubs and parallel synapses and empty rows among them."""
    n = draw(st.integers(1, 8))
    neurons = st.integers(0, n - 1) | st.just(0)
    edges = draw(st.lists(st.tuples(neurons, neurons), max_size=40))
    structure = Structure(torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).t(), n)
    extras = draw(st.sampled_from(["none", "drive", "bias", "all"]))
    batch, seed = draw(st.integers(0, 6)), draw(st.integers(0, 2**16))
    return structure, problem(structure, batch, torch.float64, seed, extras)


@needs_kernels
@settings(max_examples=10, deadline=None)
@given(random_problems(), st.sampled_from(list(ACTIVATIONS)), st.booleans(), st.integers(1, 3))
def test_any_graph_gives_what_the_reference_gives(drawn, activation, keep, loops):
    structure, given_ = drawn
    options = {"loops": loops, "activation": activation, "keep": keep}
    torch.testing.assert_close(
        learn(structure, given_, "triton", **options),
        learn(structure, given_, "reference", **options),
    )


@pytest.fixture
def hub():
    """Neuron 0 has 70 synapses, some of them parallel; the others have two each."""
    draw = torch.Generator().manual_seed(0)
    edges = torch.randint(5, (2, 80), generator=draw)
    edges[1, :70] = 0
    return Structure(edges, 5)


@needs_kernels
@pytest.mark.parametrize("batch", [1, 33, 300])
def test_any_batch_is_cut_into_blocks(hub, batch):
    """And a row of more synapses than are taken at once."""
    given_ = problem(hub, batch, torch.float64)
    torch.testing.assert_close(
        learn(hub, given_, "triton", loops=2, activation="tanh"),
        learn(hub, given_, "reference", loops=2, activation="tanh"),
    )


@needs_kernels
def test_wide_indices_compute_the_same_and_a_run_is_repeated_bit_for_bit():
    """Structures beyond 2^31 synapses have wide indices; a small one is widened here."""
    edges = torch.tensor([[3, 0, 2, 1, 0, 3], [0, 3, 2, 0, 1, 1]])
    # Neuron 0 has too many synapses for the kernel of small graphs.
    structure = Structure(torch.cat([edges, edges[:, :1].expand(2, 70)], 1), 4)
    given_ = problem(structure, 5, torch.float32)
    wide = Structure.from_arrays([array.long() for array in structure.arrays()], 4)
    first, again, other = (
        learn(each, given_, "triton", loops=3, activation="sigmoid", keep=True)
        for each in (structure, structure, wide)
    )
    assert all(map(torch.equal, first, again))
    assert all(map(torch.equal, first, other))


@needs_kernels
@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_the_segments_of_a_hub_add_up(hub, activation, monkeypatch):
    monkeypatch.setattr(triton_matrix, "MOST_IN_SEGMENT", 8)
    given_ = problem(hub, 3, torch.float64)
    options = {"loops": 2, "activation": activation, "keep": True}
    found = learn(hub, given_, "triton", **options)
    torch.testing.assert_close(found, learn(hub, given_, "reference", **options))
    again = learn(hub, given_, "triton", **options)
    assert all(map(torch.equal, found, again))


@needs_kernels
def test_gibbs_sampling_reads_the_segments_of_a_hub(monkeypatch):
    monkeypatch.setattr(triton_matrix, "MOST_IN_SEGMENT", 8)
    spokes = torch.tensor([[*range(1, 40), *[0] * 39], [*[0] * 39, *range(1, 40)]])
    star = Structure(spokes, 40).to(DEVICE)
    weight, bias = torch.ones(78, device=DEVICE) / 9, torch.zeros(40, device=DEVICE)
    state = torch.ones(40, 3, dtype=torch.uint8, device=DEVICE)
    options = {"sweeps": 3, "seed": 7}
    drawn = [
        kernels.gibbs(star, weight, bias, state, star.colors(), **options, backend=name)
        for name in ("triton", "reference")
    ]
    assert torch.equal(*drawn)


@needs_kernels
@pytest.mark.parametrize("extras", ["none", "all"])
@pytest.mark.parametrize("activation", ["tanh", "silu"])
def test_one_kernel_for_all_loops_computes_the_same(activation, extras, monkeypatch):
    """More rows and columns than a tile of that kernel has, and only the last state is used."""
    draw = torch.Generator().manual_seed(1)
    structure = Structure(torch.randint(70, (2, 200), generator=draw), 70)
    given_ = problem(structure, 11, torch.float64, extras=extras)
    options = {"loops": 4, "activation": activation}
    at_once = learn(structure, given_, "triton", **options)
    monkeypatch.setattr(triton_matrix, "_MOST_STEPS", 0)
    one_by_one = learn(structure, given_, "triton", **options)
    torch.testing.assert_close(at_once, one_by_one)
    torch.testing.assert_close(at_once, learn(structure, given_, "reference", **options))


@needs_kernels
def test_gradients_of_many_loops_are_correlated_in_parts(hub, monkeypatch):
    monkeypatch.setattr(triton_steps, "MOST_KEPT", 2 * 5 * 3 * 8)
    given_ = problem(hub, 3, torch.float64)
    options = {"loops": 5, "activation": "tanh"}
    torch.testing.assert_close(
        learn(hub, given_, "triton", **options), learn(hub, given_, "reference", **options)
    )


def respond(x, activation):
    """F itself: one neuron with a self-loop of weight 1."""
    lone = Structure(torch.tensor([[0], [0]]), 1).to(DEVICE)
    x = x.to(DEVICE)
    options = {"loops": 1, "activation": activation, "backend": "triton"}
    (y,) = kernels.loop(lone, x.new_ones(1), x.unsqueeze(0), **options)
    return y[0].cpu()


@needs_kernels
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_activations_are_right_to_some_units_in_the_last_place(activation, dtype):
    """Sigmoid's tail is as right as a GPU's quick exp: exp(-30) loses thirty units in float32."""
    x = torch.linspace(-30, 30, 4001, dtype=dtype)
    x = torch.cat([x, x / 40, x / 1000, torch.tensor([0.0, -0.0, math.inf, -math.inf]).to(dtype)])
    exact = getattr(torch, activation)(x.double())
    y = respond(x, activation)
    unit = torch.finfo(dtype).eps * exact.abs() + torch.finfo(dtype).tiny
    error = (y.double() - exact).abs() / unit
    assert float(error.max()) < (40 if activation == "sigmoid" else 4)
    assert float(y.abs().max()) <= 1


@needs_kernels
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_what_is_no_number_stays_none(activation, dtype):
    assert bool(respond(torch.full((3,), math.nan, dtype=dtype), activation).isnan().all())


@needs_kernels
@pytest.mark.skipif(DEVICE != "cuda", reason="no GPU")
def test_auto_takes_it_on_a_gpu():
    assert resolve("auto", torch.device("cuda")).name == "triton"


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from sparsebrain.kernels import triton_code

def compile(name, real, index, **arguments):
    kernel = getattr(triton_code, name)
    kinds, constants = {}, {}

    def kind(path, given):
        if given is None or not isinstance(given, str):
            constants[path] = given
            return "constexpr"
        if given.startswith("*"):
            return given
        return {"real": "*" + real, "index": "*" + index, "int": "i32", "f": "fp32"}[given]

    for at, argument in enumerate(kernel.arg_names):
        given = arguments.get(argument, "real")
        if isinstance(given, tuple):
            kinds[argument] = tuple(kind((at, number), each) for number, each in enumerate(given))
        elif argument.isupper():
            kinds[argument] = "constexpr"
            constants[(at,)] = given
        else:
            kinds[argument] = kind((at,), given)
    source = ASTSource(kernel, kinds, constants)
    made = triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": 4})
    assert made.asm["cubin"] and "atom" not in made.asm["ptx"], name
    return made

sizes = dict.fromkeys(("neurons", "batch", "loops", "slots", "members", "segments"), "int")
sizes["synapses"] = "int"
tile = {**sizes, "SYNAPSES": 4, "COLUMNS": 128}
line = {**sizes, "SYNAPSES": 32, "COLUMNS": 1}
block = {**sizes, "SYNAPSES": 1, "COLUMNS": 8, "ROWS": 64}
three, none = ("real",) * 3, (None,) * 3
silent = (None, "f")
for real, index in (("fp32", "i32"), ("fp64", "i64")):
    short = ("index", "index", "real", None, None, None)
    long = ("index", "index", "real", "*i32", "*i32", "real")
    noise = ("*i64", "f")
    for activation in ("tanh", "sigmoid", "leaky_relu"):
        chosen = {"ACTIVATION": activation}
        compile("step", real, index, matrix=long, inputs=three, noise=noise, **chosen, **tile)
    chosen = {"ACTIVATION": "none"}
    compile("step", real, index, matrix=short, inputs=none, noise=silent, **chosen, **line)
    narrow = ("*i32", "*i32", "real", None, None, None)
    for noise in (noise, silent):
        given = {"matrix": narrow, "inputs": three, "noise": noise}
        made = compile("run", real, "i32", **given, **chosen, **block)
        assert "bar.sync" in made.asm["ptx"]
    options = {"ACTIVATION": "tanh", "OF_ARGUMENT": False, "NOISY": True}
    full = {"matrix": long, "back": long, "states": ("real",) * 2, "inputs": three}
    pair = ("real", "real")
    full |= {"later": pair, "found": pair, "totals": three}
    compile("step_back", real, index, **full, **options, **tile)
    full = {"matrix": short, "back": short, "inputs": none, "found": ("real", None), "totals": none}
    options = {"ACTIVATION": "relu", "OF_ARGUMENT": False, "NOISY": False}
    last = {"later": (None, None), "states": pair}
    compile("step_back", real, index, **last, **full, **options, **line)
    full |= {"matrix": narrow, "back": narrow}
    made = compile("run_back", real, "i32", **full, **options, **block)
    assert "bar.sync" in made.asm["ptx"]
    full |= {"inputs": three, "found": pair, "totals": three}
    compile("run_back", real, "i32", **full, **options, **block)
    members = {"member_neuron": "*i64", "noise_key": "*i64"}
    compile("draw", real, index, matrix=long, **members, **tile)
    compile("draw", real, index, matrix=short, **members, **line)
    ids = {"source_neuron": "index", "target_neuron": "index"}
    compile("correlate", real, index, ADD=True, **ids, **tile)
    compile("correlate", real, index, ADD=False, **ids, **line)
    compile("segment_sums", real, index, segment_pointer="index", neuron="index", **tile)
"""


@needs_triton
@outside
def test_kernels_compile_for_a_gpu_without_one(tmp_path):
    """To machine code, in which there is no atomic operation."""
    env = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    program = tmp_path / "compiles.py"
    program.write_text(COMPILE)
    done = subprocess.run(
        [sys.executable, program],
        env={**env, "TRITON_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]


def test_each_obstacle_is_told(monkeypatch):
    backend = TritonBackend()
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert "run on 'cuda', not on 'cpu'" in backend.obstacle(torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert backend.obstacle(torch.device("cuda")) == "torch finds no GPU"
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert "interpreter" in backend.obstacle(torch.device("cuda"))
    assert not backend.suits(torch.device("cpu"))


@needs_triton
def test_a_gpu_that_triton_cannot_use_is_left_to_torch(monkeypatch):
    """As an old one, or one on a machine without a compiler; the drivers are told by the test."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device", lambda index: contextlib.nullcontext())
    monkeypatch.setattr(triton_backend, "load", lambda: (None, None))
    device = torch.device("cuda")

    def told(get_current_target):
        suitable_elsewhere.cache_clear()
        active = SimpleNamespace(get_current_target=get_current_target)
        runtime = SimpleNamespace(driver=SimpleNamespace(active=active))
        monkeypatch.setitem(sys.modules, "triton.runtime.driver", runtime)
        triton_backend.obstacle_on_gpu.cache_clear()
        return TritonBackend().obstacle(device), resolve("auto", device).name

    def fail():
        raise RuntimeError("Failed to find C compiler")

    try:
        assert told(lambda: SimpleNamespace(backend="cuda", arch=90)) == (None, "triton")
        obstacle, taken = told(lambda: SimpleNamespace(backend="cuda", arch=61))
        assert "capability 7.0, the GPU has 6.1" in obstacle
        assert taken == "torch"
        obstacle, taken = told(fail)
        assert "Failed to find C compiler" in obstacle
        assert taken == "torch"
    finally:
        suitable_elsewhere.cache_clear()
        triton_backend.obstacle_on_gpu.cache_clear()


@outside
def test_a_cpu_needs_no_triton_and_its_absence_is_told():
    """Torch itself imports triton, where it is there, so that it is hidden from the start."""
    program = (
        "import sys; sys.modules['triton'] = None;"
        "import torch; from sparsebrain import kernels as k;"
        "s = k.Structure(torch.tensor([[0], [1]]), 2);"
        "k.loop(s, torch.ones(1), torch.ones(2, 1), loops=2);"
        "assert 'sparsebrain.kernels.triton_code' not in sys.modules;"
        "torch.cuda.is_available = lambda: True;"
        "print(k.available('cuda')['triton'])"
    )
    env = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    assert "pip install triton" in done.stdout
