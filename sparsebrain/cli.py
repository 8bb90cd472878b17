"""The command line."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from sparsebrain.experiments.command_options import (
    BadValueError,
    BatchSize,
    DataDir,
    DataSet,
    Epochs,
    File,
    Full,
    Jobs,
    LearningRate,
    Loops,
    Neurons,
    NewFile,
    OneShotTopologies,
    Out,
    Rules,
    Seed,
    Seeds,
    Shape,
    Spec,
    Studies,
    Topologies,
    Trials,
    Variant,
    name_of,
)

_NAME = "sparsebrain"

app = typer.Typer(
    name=_NAME,
    help="Neural layers on the graphs of brains, and experiments with them.",
    add_completion=False,
)


_INTERRUPTED = 130
_LONGEST = 1000
# Exit status if every run diverged.
_NOTHING_LEARNED = 1
# The module of UsageError differs between typer with its own copy of click and older releases.
_USAGE_ERROR: Any = typer.BadParameter.__base__


class _Command(TyperCommand):
    """A command whose help contains lists from tables, such as ``{rules}``."""

    def format_help(self, *arguments: Any) -> None:
        """Write the help with the lists from the tables."""
        from sparsebrain.experiments.help_texts import fill  # noqa: PLC0415

        parts: list[Any] = [self, *self.params]
        for each in parts:
            if text := getattr(each, "help", None):
                each.help = fill(text)
        super().format_help(*arguments)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and report a wrong option by its name on the command line."""
        try:
            return super().invoke(ctx)
        except ValueError as error:
            from sparsebrain.experiments.options import OptionError  # noqa: PLC0415

            if isinstance(error, OptionError):
                params: list[Any] = list(self.params)
                for param in params:
                    if param.name == error.option:
                        raise BadValueError(error.told(name_of(param))) from None
            raise


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version("sparsebrain"))
        raise typer.Exit


@app.callback()
def _commands(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


@app.command(cls=_Command)
def compare(
    data: DataSet = "digits",
    topology: Topologies = None,
    rule: Rules = None,
    neurons: Neurons = None,
    loops: Loops = "5",
    epochs: Epochs = 20,
    seeds: Seeds = 5,
    batch_size: BatchSize = 64,
    learning_rate: LearningRate = None,
    data_dir: DataDir = None,
    jobs: Jobs = -1,
    out: Out = Path("results"),
) -> None:
    """Train topologies on images with the same number of synapses, and compare them.

    The learning rules are {rules}. Every rule trains every topology. Combinations that a rule
    refuses are reported and skipped.

    A topology is a kind with options, such as small-world:neighbors=22,rewire=0.1. The kinds and
    their options are

    {kinds}

    The kind file takes the path of a connectome, as in file:brain.npz or file:brain.csv. The kind
    none is the model without a graph. All other kinds have the option symmetric, as in
    coordinate:symmetric=true or file:brain.npz,symmetric=true, which gives every synapse a partner
    in the opposite direction.

    The budget is the size of the first topology that states one, or otherwise that of a grid of
    distance 2 on the lattice of the data set. It determines the number of neurons, shape and extent
    that other topologies do not state, and the width of none. Options marked * are fitted to the
    number of synapses.

    The option --loops is a number, or equilibrium, which loops with constant input until the state
    no longer changes. An equilibrium has options, as in equilibrium:tol=1e-3,constraint=norm:
    {equilibrium}.

    The option --neurons is rate, for the neurons of the graph layer, or lif, for spiking neurons
    that are trained by surrogate gradients. Spiking neurons have options, as in
    lif:steps=30,tau=5: {spiking}. They exchange spikes at every step instead of loops.

    Finished runs are kept in the output folder and not repeated, unless images,
    connectome or code have changed. Runs that diverge, so that their loss or
    parameters are no longer finite, are reported and left out of means and tests. If every
    run diverges, the exit status is 1.
    """
    # Torch takes seconds to import, and --help does not need it.
    from rich.console import Console  # noqa: PLC0415

    from sparsebrain.experiments.comparison import (  # noqa: PLC0415
        DEFAULT_NEURONS,
        DEFAULT_RULES,
        DEFAULT_TOPOLOGIES,
    )
    from sparsebrain.experiments.comparison import compare as run  # noqa: PLC0415

    rows = run(
        data=data,
        topologies=topology or DEFAULT_TOPOLOGIES,
        rules=rule or DEFAULT_RULES,
        neurons=neurons or DEFAULT_NEURONS,
        loops=loops,
        epochs=epochs,
        seeds=seeds,
        batch_size=batch_size,
        learning_rate=learning_rate,
        data_dir=data_dir,
        jobs=jobs,
        out=out,
        console=Console(),
    )
    if not any(row.finished.runs for row in rows):
        raise typer.Exit(_NOTHING_LEARNED)


@app.command(cls=_Command)
def reproduce(
    data: DataSet = "mnist",
    epochs: Epochs = 10,
    seeds: Seeds = 5,
    variant: Variant = "relu",
    data_dir: DataDir = None,
    jobs: Jobs = -1,
    out: Out = Path("reproduction"),
) -> None:
    """Repeat the experiment of A. Ejima, "Neurons regarded as Graph".

    The command trains the models {ejima_models}, and draws the figures.

    Figure 2 is the coordinate graph; figure 6 shows how two inputs become alike over
    the loops.

    Figure 9 (MNIST) and figure 10 (Fashion-MNIST) show training loss, validation loss
    and validation accuracy over the epochs. The test images serve as validation
    images. Other data sets are drawn as figure 9.

    Figure 11 shows single test images, the output of Y's graph layer after its first
    and its last loop, and, over all seeds, the distances between outputs of the same
    class and of different classes at every loop.

    The article chooses its model by the final validation loss and accuracy; the command reports
    which model each of them selects here.

    The article does not specify the activations. The variant "relu" has them after
    each batch normalization, the next two also in the loops; "identity" starts the
    layer near the identity, and "linear" has no activation.

    Finished trainings are kept in the output folder and not repeated, unless images
    or code have changed. If every run diverges, the exit status is 1.
    """
    from rich.console import Console  # noqa: PLC0415

    from sparsebrain.experiments.reproduction import reproduce as run  # noqa: PLC0415

    rows = run(
        data=data,
        epochs=epochs,
        seeds=seeds,
        variant=variant,
        data_dir=data_dir,
        jobs=jobs,
        out=out,
        console=Console(),
    )
    if not any(row.finished.runs for row in rows):
        raise typer.Exit(_NOTHING_LEARNED)


@app.command(name="error-diffusion", cls=_Command)
def error_diffusion(
    only: Studies = None,
    epochs: Epochs = 10,
    seeds: Seeds = 5,
    data_dir: DataDir = None,
    jobs: Jobs = 1,
    out: Out = Path("error-diffusion"),
) -> None:
    """Repeat the experiments of the articles on I. Kaneko's error diffusion.

    The studies are Kaneko's table of XOR and, on the digits 4 and 9 of MNIST, units, layers,
    learning rate and batch size, compared with backpropagation, and the questions that the
    article leaves open: random cell types, random synapses and other initial weights.

    Finished trainings are kept in the output folder and not repeated, unless images
    or code have changed. If every training diverges, the exit status is 1.
    """
    from rich.console import Console  # noqa: PLC0415

    from sparsebrain.experiments.error_diffusion_study.settings import ALL_STUDIES  # noqa: PLC0415
    from sparsebrain.experiments.error_diffusion_study.study import run  # noqa: PLC0415

    scores = run(
        studies=only or ALL_STUDIES,
        epochs=epochs,
        seeds=seeds,
        data_dir=data_dir,
        jobs=jobs,
        out=out,
        console=Console(),
    )
    if scores and all(score.diverged for score in scores):
        raise typer.Exit(_NOTHING_LEARNED)


@app.command(cls=_Command)
def song(trials: Trials = 1000, seeds: Seeds = 5, out: Out = Path("song")) -> None:
    """Let birds learn the pitch of a syllable from distorted feedback.

    A syllable is distorted if its pitch is too low. The command measures the reward prediction
    errors after distorted and undistorted syllables, which dopamine neurons of birds signal, and
    how REINFORCE moves the pitch, and compares both with their exact values.

    It writes flocks.csv, pitch.csv and figure.png. Every seed is a flock of 1000 birds.
    """
    from rich.console import Console  # noqa: PLC0415

    from sparsebrain.experiments.plasticity_study.pitch import song as run  # noqa: PLC0415

    run(trials=trials, seeds=seeds, out=out, console=Console())


@app.command(cls=_Command)
def rewiring(epochs: Epochs = 40, seeds: Seeds = 5, out: Out = Path("rewiring")) -> None:
    """Train sparse networks whose synapses are pruned and regrown, on digits.

    The methods set, deep-r and rigl are compared with fixed sparse synapses and with dense
    networks of as many parameters and of as many neurons.

    The command writes results.csv, curves.csv and figure.png.
    """
    from rich.console import Console  # noqa: PLC0415

    from sparsebrain.experiments.plasticity_study.sparse_training import (  # noqa: PLC0415
        rewiring as run,
    )

    run(epochs=epochs, seeds=seeds, out=out, console=Console())


@app.command(cls=_Command)
def features(seeds: Seeds = 3, out: Out = Path("features")) -> None:
    """Learn receptive fields from photographs and digits without labels.

    Neurons learn by BCM, and are measured beside neurons with random weights: how far their fields
    are localized and oriented, and how selective their responses are. Sanger's rule is compared
    with the exact principal components.

    The command writes neurons.csv, components.csv and figure.png.
    """
    from rich.console import Console  # noqa: PLC0415

    from sparsebrain.experiments.plasticity_study.visual_features import (  # noqa: PLC0415
        features as run,
    )

    run(seeds=seeds, out=out, console=Console())


@app.command(name="one-shot", cls=_Command)
def one_shot(
    topology: OneShotTopologies = None,
    epochs: Epochs = 140,
    seeds: Seeds = 3,
    jobs: Jobs = -1,
    out: Out = Path("one-shot"),
) -> None:
    """Let networks that read hiragana learn Latin capitals from 1, 2 and 5 examples.

    Backbones learn hiragana in 16 fonts: one with a graph layer of each topology, and the same
    without a graph layer. The letters are then stored in fast weights and other memories on top of
    their features, without further training, and compared with fine-tuning by gradient descent,
    with pixels and with an untrained network. All accuracies are those in 8 other fonts.

    Topologies are written as for compare. The default takes about seven minutes of processor time,
    half of that on two cores.

    The command writes results.csv, trials.csv and figure.png. The trials of a finished backbone are
    kept in trials.csv and not repeated, unless options, connectome or code have changed.
    """
    from rich.console import Console  # noqa: PLC0415

    from sparsebrain.experiments.one_shot_study.study import (  # noqa: PLC0415
        DEFAULT_TOPOLOGIES,
    )
    from sparsebrain.experiments.one_shot_study.study import one_shot as run  # noqa: PLC0415

    run(
        topologies=topology or DEFAULT_TOPOLOGIES,
        epochs=epochs,
        seeds=seeds,
        jobs=jobs,
        out=out,
        console=Console(),
    )


@app.command(cls=_Command)
def generate(
    topology: Spec,
    out: NewFile,
    seed: Seed = 0,
    shape: Shape = "28x28",
) -> None:
    """Generate a connectome and write it to a file.

    SPEC is a kind with options, such as small-world:neighbors=22,rewire=0.1. The kinds and their
    options are

    {kinds}

    All kinds but none have the option symmetric, as in coordinate:symmetric=true, which gives
    every synapse a partner in the opposite direction. The number of neurons, shape and extent that
    SPEC does not state follow from the lattice. Options marked * are fitted to the synapses of its
    grid of distance 2.
    """
    from sparsebrain.experiments.generation import generate as run  # noqa: PLC0415

    data = run(topology, out, shape=shape, seed=seed)
    print(f"Wrote {out}: {data.num_nodes} neurons, {data.num_edges} synapses")


@app.command(cls=_Command)
def measure(
    file: File,
    full: Full = False,
    seed: Seed = 0,
) -> None:
    """Measure the connectome of a file: degrees, path lengths, clustering, connectedness.

    With --full, the measures include the power-law fit of degrees, small-worldness relative to
    random graphs with the same degrees, modularity, the spectrum and the triads.
    """
    import graphs  # noqa: PLC0415
    from sparsebrain.experiments.saved import saved_connectome  # noqa: PLC0415

    print(graphs.summary(saved_connectome(file), full=full, seed=seed))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    The exit status is 2, after one line on stderr, if the user can fix the problem, and 128 plus
    the number of the signal if SIGINT, SIGTERM or SIGHUP stopped the command.

    Args:
        arguments: Arguments of the command line; None for those of the process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    with _stopped_by_signals() as signals:
        try:
            status = app(args=arguments or ["--help"], standalone_mode=False, prog_name=_NAME)
        except BadValueError as error:
            _fail(error.format_message())
        except _USAGE_ERROR as error:
            command = error.ctx.command_path if error.ctx else _NAME
            _fail(f"{error.format_message().rstrip('.')}; see {command} --help")
        except (KeyboardInterrupt, typer.Abort):
            status = _INTERRUPTED
        except Exception as error:
            if signals:
                # For example, workers that received the same signal are missing.
                status = _INTERRUPTED
            elif isinstance(error, ValueError | TypeError | OSError):
                _fail(str(error))
            elif isinstance(error, MemoryError):
                _fail(f"not enough memory: {error}")
            else:
                raise
    if status == _INTERRUPTED:
        # Newer releases of typer return this status instead of raising.
        print("stopped; finished runs are kept, and the same command continues", file=sys.stderr)
        status = 128 + signals[0] if signals else _INTERRUPTED
    sys.exit(status or 0)


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[list[int]]:
    """Let SIGTERM and SIGHUP stop the block as SIGINT does, and yield those that arrived."""
    arrived: list[int] = []

    def stop(number: int, _: object) -> None:
        arrived.append(number)
        raise KeyboardInterrupt

    with contextlib.ExitStack() as stack:
        names = [each for each in ("SIGTERM", "SIGHUP") if hasattr(signal, each)]
        for number in (getattr(signal, each) for each in names):
            # Python takes handlers in its main thread only, and nohup ignores SIGHUP.
            is_default = signal.getsignal(number) is signal.SIG_DFL
            if is_default and threading.current_thread() is threading.main_thread():
                stack.callback(signal.signal, number, signal.signal(number, stop))
        yield arrived


def _fail(message: str) -> None:
    told = " ".join(message.split())
    if len(told) > _LONGEST:
        # The problem is described at the beginning, and the remedy at the end.
        told = f"{told[: _LONGEST // 2]} ... {told[-_LONGEST // 2 :]}"
    print(f"{_NAME}: {told}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
