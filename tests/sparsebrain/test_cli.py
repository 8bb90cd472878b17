"""The command line as it is used: in a process of its own."""

import functools
import signal
import subprocess
import sys
from dataclasses import fields

import pytest

import graphs
import sparsebrain
from graphs.io.formats import FORMATS as ALL_FORMATS
from graphs.io.formats import SAVED as FORMATS
from sparsebrain.cli import app, main
from sparsebrain.equilibrium import Equilibrium
from sparsebrain.experiments.datasets import DATASETS
from sparsebrain.experiments.error_diffusion_study.settings import ALL_STUDIES
from sparsebrain.experiments.kinds import KINDS
from sparsebrain.experiments.one_shot_study.sources import DATASETS as HANDWRITING
from sparsebrain.learning import RULES
from sparsebrain.models import EJIMA_MODELS, EJIMA_VARIANTS
from tests.processes import are_gone, begin, workers_of

COMMAND = [sys.executable, "-m", "sparsebrain.cli"]
COMMANDS = [each.name or each.callback.__name__ for each in app.registered_commands]


def run(*arguments):
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_needs_no_torch(command):
    program = (
        "import sys, sparsebrain.cli\n"
        f"try: sparsebrain.cli.main([{command!r}, '--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert f" {command} [OPTIONS]" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["measure", "nix.npz"],
        ["compare", "--topology", "file:nix.npz"],
        ["generate", "file:nix.npz", "-o", "new.npz"],
        ["compare", "--data-dir", "nix.npz"],
    ],
)
def test_a_missing_file_is_found_before_torch_is_imported(arguments):
    program = (
        "import sys, sparsebrain.cli\n"
        f"try: sparsebrain.cli.main({arguments!r})\n"
        "except SystemExit as stop: assert stop.code == 2\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "nix.npz" in done.stderr


def test_no_command_shows_the_help():
    done = run()
    assert done.returncode == 0
    assert "compare" in done.stdout


def test_the_version_is_told():
    assert run("--version").stdout.strip() == sparsebrain.__version__


def told(*command):
    """The help of a command, on one line, with one space between words."""
    lines = run(*command, "--help").stdout.splitlines()
    return " ".join(" ".join(line.strip(" │") for line in lines).split())


@pytest.mark.parametrize("command", ["compare", "generate"])
def test_the_help_names_every_topology_and_its_options(command):
    """In the order of the arguments, with a mark on what is fitted."""
    expected = [
        f"{name}: {' '.join(option + '*' * (option == kind.fitted) for option in kind.readers)}"
        for name, kind in KINDS.items()
        if kind.readers
    ]
    assert " ".join(expected) + " none " in told(command)


@pytest.mark.parametrize("command", ["compare", "generate"])
def test_the_help_names_the_option_of_all_topologies(command):
    assert "coordinate:symmetric=true" in told(command)


def test_the_help_names_every_rule():
    *most, last = RULES
    assert f"are {', '.join(most)} and {last}. " in told("compare")


def test_the_help_names_every_option_of_an_equilibrium():
    options = [field.name for field in fields(Equilibrium) if field.name != "lipschitz"]
    assert f"constraint=norm: {' '.join(options)}. " in told("compare")


@pytest.mark.parametrize(
    ("command", "option", "table"),
    [
        ("compare", "--data NAME Data set: ", DATASETS),
        ("reproduce", "--data NAME Data set: ", DATASETS),
        ("one-shot", "--data NAME|known:FILE|new:FILE Handwriting, ", HANDWRITING),
        ("reproduce", "--variant NAME Variant of the models: ", EJIMA_VARIANTS),
        ("error-diffusion", "--only STUDY Study; can be repeated: ", ALL_STUDIES),
        ("generate", "Connectome file; ends in ", FORMATS),
        ("measure", "Connectome file; ends in ", ALL_FORMATS),
    ],
)
def test_the_help_of_an_option_names_every_choice(command, option, table):
    *most, last = table
    assert f"{option}{', '.join(most)} or {last}" in told(command)


def test_the_help_names_every_model_of_the_article():
    *most, last = EJIMA_MODELS
    assert f"trains the models {', '.join(most)} and {last}, " in told("reproduce")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_help_has_a_place_that_is_not_filled(command):
    assert "{" not in told(command).partition("]")[2].replace("{SPEC}", "").replace("{FILE}", "")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_comparison_that_is_stopped_leaves_no_processes(tmp_path, name):
    """And says how to go on, if it can."""
    number = signal.Signals[name]
    options = ["--topology", "none", "--seeds", "1000", "--jobs", "2", "--out", str(tmp_path)]
    process = begin([*COMMAND, "compare", *options], tmp_path / "results.csv")
    workers = workers_of(process.pid)
    assert len(workers) >= 2
    process.send_signal(number)
    _, told = process.communicate(timeout=600)
    assert are_gone(workers)
    if name == "SIGKILL":
        assert process.returncode == -9
    else:
        assert told == "stopped; finished runs are kept, and the same command continues\n"
        assert process.returncode == 128 + number
    done = (tmp_path / "results.csv").read_bytes()
    assert done.endswith(b"\n")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".part")]


FULL = """
import resource, sys
from sparsebrain import cli
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
cli.main(sys.argv[2:])
"""


def test_a_full_disk_is_told_with_the_file_and_leaves_what_is_finished(tmp_path):
    options = ["--topology", "none", "--epochs", "1", "--jobs", "1", "--out", str(tmp_path)]
    command = [sys.executable, "-c", FULL, "1500", "compare", *options, "--seeds", "20"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    told = "File too large; free some space and try again; the previous file is unchanged"
    path = tmp_path / "results.csv"
    assert done.stderr == f"sparsebrain: [Errno 27] {told}: '{path}'\n"
    rows = path.read_text().splitlines()
    assert 2 <= len(rows) <= 10
    assert {each.name for each in tmp_path.iterdir()} <= {
        ".claims",
        ".lock",
        "curves.csv",
        "results.csv",
        "run.toml",
    }
    again = run("compare", *options, "--seeds", str(len(rows)))
    assert again.returncode == 0
    assert f"{len(rows) - 1} of {len(rows)} runs are already in" in again.stdout
    assert path.read_text().splitlines()[: len(rows)] == rows


def test_handlers_of_signals_are_put_back(capsys):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().out.strip() == sparsebrain.__version__


def test_compare_runs(tmp_path):
    options = ["--topology", "none", "--epochs", "1", "--seeds", "2"]
    done = run("compare", *options, "--out", str(tmp_path / "here"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "none, seed 1: " in done.stdout
    assert (tmp_path / "here" / "results.csv").read_text().count("\n") == 3


def test_a_comparison_of_which_every_run_diverges_fails(tmp_path):
    options = ["--epochs", "1", "--seeds", "1", "--out", str(tmp_path), "--learning-rate", "1e30"]
    done = run("compare", "--topology", "none", *options)
    assert (done.returncode, done.stderr) == (1, "")
    assert "none, seed 0: diverged in epoch 1" in done.stdout
    assert "±" not in done.stdout


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_what_is_generated_can_be_measured(tmp_path, suffix):
    path = tmp_path / f"brain{suffix}"
    options = ["--seed", "3", "--shape", "10x8"]
    done = run("generate", "small-world:rewire=0.3", "-o", str(path), *options)
    assert (done.returncode, done.stderr) == (0, "")
    # As near as an even number of neighbors comes to the 1564 synapses of the grid.
    assert done.stdout == f"Wrote {path}: 80 neurons, 1520 synapses\n"
    data = graphs.load(path)
    expected = graphs.small_world(80, 18, 0.3, self_loops=True, seed=3)
    assert data.edge_index.equal(expected.edge_index)

    done = run("measure", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{graphs.summary(data)}\n"
    if suffix == ".npz":
        done = run("measure", str(path), "--full")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{graphs.summary(data, full=True)}\n"


def test_measures_read_weights_and_are_compared_with_null_graphs(tmp_path, capsys):
    path, data = tmp_path / "larva.npz", graphs.larva_mushroom_body()
    graphs.save(data, path)
    options = ["--weight", "edge_weight", "--against", "rewire_degrees", "--samples", "3"]
    with pytest.raises(SystemExit) as stop:
        main(["measure", str(path), *options, "--seed", "5"])
    told = capsys.readouterr()
    assert (stop.value.code, told.err) == (0, "")
    table, compared = told.out.split("\n\n")
    assert table == str(graphs.summary(data, weight="edge_weight", seed=5))
    title, *rows = compared.splitlines()
    assert title == "against 3 graphs of rewire_degrees, where they differ:"
    names = [row.split()[0] for row in rows]
    assert "clustering" in names
    assert "num_edges" not in names
    measure = functools.partial(graphs.clustering, weight="edge_weight")
    expected = graphs.against_nulls(data, measure, samples=3, seed=5)
    assert rows[names.index("clustering")].endswith(str(expected))


def test_a_measure_that_is_constant_in_null_graphs_but_different_is_shown(tmp_path, capsys):
    path = tmp_path / "two.npz"
    ring = graphs.small_world(12, 6, 0.0, seed=0)
    graphs.save(graphs.join([ring, ring]), path)
    with pytest.raises(SystemExit) as stop:
        main(["measure", str(path), "--against", "rewire_degrees", "--samples", "4"])
    told = capsys.readouterr()
    assert (stop.value.code, told.err) == (0, "")
    rows = dict(row.split(maxsplit=1) for row in told.out.split("\n\n")[1].splitlines()[1:])
    assert rows["strongly_connected"] == (
        "0.5: no z: constant, p 0.4; nulls 1, 95 % from 1 to 1 (4 by rewire_degrees)"
    )
    assert "num_nodes" not in rows


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--weight", "nix"], "--weight: weight must be None or the name of a field of data with "),
        (["--weight", "edge_weight"], "leave --weight out"),
        (["--against", "nix"], "--against must be one of 'rewire_degrees', 'rewire_reciprocal', "),
        (["--against", "rewire_degrees"], "pass --columns type= and --duplicates sum if the file"),
        (["--samples", "5"], "--samples: it needs a null model; pass --against rewire_degrees too"),
        (["--jobs", "2"], "--jobs: it needs a null model; pass --against rewire_degrees too"),
        (["--jobs", "0"], "--jobs must be an integer >= 1, got 0"),
    ],
)
def test_bad_options_of_null_graphs(tmp_path, capsys, options, told):
    path = tmp_path / "a.csv"
    path.write_text("source,target,weight,type\na,b,-1,chemical\na,b,2,electrical\n")
    with pytest.raises(SystemExit) as stop:
        main(["measure", str(path), *options])
    assert stop.value.code == 2
    assert told in capsys.readouterr().err


def test_null_graphs_that_need_positions(tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text("source,target\na,b\n")
    with pytest.raises(SystemExit) as stop:
        main(["measure", str(path), "--against", "rewire_lengths"])
    assert stop.value.code == 2
    assert "--against: data must have pos to keep lengths" in (err := capsys.readouterr().err)
    assert "; pass --against rewire_degrees" in err


def test_what_is_generated_can_be_compared(tmp_path):
    path = tmp_path / "brain.npz"
    assert run("generate", "coordinate", "-o", str(path), "--shape", "4x4").returncode == 0
    options = ["--epochs", "1", "--seeds", "1", "--out", str(tmp_path / "here")]
    done = run("compare", "--topology", f"file:{path}", *options)
    assert done.returncode == 0, done.stderr
    assert f"file:{path}" in (tmp_path / "here" / "results.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["generate", "grid"], "Missing option"),
        (["measure", "nix.npz"], "FILE: the file 'nix.npz' does not exist; pass"),
        (["compare", "--topology", "file:nix.npz"], "--topology 'file:nix.npz': the file 'nix"),
        (["compare", "--seeds", "-1"], "--seeds must be an integer >= 1, got -1; pass --seeds=1"),
        (["compare", "--jobs", str(10**20)], "--jobs must be an integer >= 1 and at most 10000"),
        (["compare", "--lops", "2"], "No such option: --lops"),
        (["compar"], "No such command 'compar'"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, told):
    """In a process; test_bad_options.py has all kinds, in this one."""
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("sparsebrain: ")
    assert told in done.stderr


def test_the_advice_in_messages_can_be_followed(tmp_path, capsys):
    """In this process; each message proposes the options of the next call."""
    path = tmp_path / "edges.csv"
    path.write_text("cell a;cell b;nt\nx;y;GLU\nx;y;GLU\n")

    def measure(*options):
        with pytest.raises(SystemExit) as stop:
            main(["measure", str(path), *options])
        return stop.value.code, capsys.readouterr()

    status, told = measure()
    assert status == 2
    assert "; pass --delimiter ; if it separates the values" in told.err
    status, told = measure("--delimiter", ";")
    assert (
        "; pass --columns 'source=cell a,target=cell b' with the names of the columns" in told.err
    )
    options = ["--delimiter", ";", "--columns", "source=cell a,target=cell b,weight=None"]
    status, told = measure(*options)
    assert "or pass --duplicates sum to add up their weights" in told.err
    assert "sign is 0 (unknown) for the transmitters 'GLU' (2 rows)" not in told.err
    status, told = measure(*options, "--duplicates", "sum")
    assert status == 0
    assert "pass --signs GLU=... with 1, -1 or 0 for each" in told.err
    assert "--columns transmitter=" in told.err
    status, told = measure(*options, "--duplicates", "sum", "--signs", "glu=-1")
    assert (status, told.err) == (0, "")
    assert "synapses            1" in told.out
    (tmp_path / "neurons.csv").write_text("id;kind\nx;K\ny;L\nz;L\n")
    more = ["--neurons", str(tmp_path / "neurons.csv"), "--neuron-columns", "type=kind"]
    status, told = measure(*options, "--duplicates", "sum", "--signs", "glu=-1", *more)
    assert (status, told.err) == (0, "")
    assert "neurons             3" in told.out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--columns", "source"], "--columns must be name=value pairs of different names, separat"),
        (["--columns", "a=b,a=c"], "--columns must be name=value pairs"),
        (["--signs", "glutamate=2"], "--signs must have -1, 0 (unknown) or 1 for each transmitter"),
        (["--duplicates", "add"], "--duplicates must be one of 'error', 'sum', got 'add'"),
        (["--delimiter", "ab"], "--delimiter must be one character, tab or space, got 'ab'"),
        (["--neurons", "nix.csv"], "--neurons: the file 'nix.csv' does not exist"),
    ],
)
def test_bad_options_of_tables(tmp_path, capsys, options, told):
    (tmp_path / "a.csv").write_text("source,target\na,b\n")
    with pytest.raises(SystemExit) as stop:
        main(["measure", str(tmp_path / "a.csv"), *options])
    assert stop.value.code == 2
    assert told in capsys.readouterr().err
