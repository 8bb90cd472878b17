"""The commands that compare topologies, rules and the models of articles."""

from __future__ import annotations

from pathlib import Path

import typer

from sparsebrain.experiments.command_options import (
    AnyDataSet,
    BatchSize,
    Config,
    DataDir,
    DataSet,
    Device,
    Epochs,
    Jobs,
    LearningRate,
    Loops,
    Neurons,
    Nulls,
    Out,
    Report,
    Rules,
    SaveModels,
    Seeds,
    Studies,
    Topologies,
    Variant,
)

# Exit status if every run diverged.
_NOTHING_LEARNED = 1


def compare(
    data: AnyDataSet = "digits",
    topology: Topologies = None,
    rule: Rules = None,
    null: Nulls = None,
    neurons: Neurons = None,
    loops: Loops = "5",
    epochs: Epochs = 20,
    seeds: Seeds = 5,
    batch_size: BatchSize = 64,
    learning_rate: LearningRate = None,
    data_dir: DataDir = None,
    jobs: Jobs = -1,
    out: Out = Path("results"),
    device: Device = "cpu",
    save_models: SaveModels = False,
    report: Report = False,
    config: Config = None,
) -> None:
    """Train topologies on images with the same number of synapses, and compare them.

    The learning rules are {rules}. Your own is package.module:Class. Every rule trains every
    topology. Combinations that a rule refuses are reported and skipped.

    Six things speak against backpropagation in brains. Each rule solves them (s), partly (p) or not
    (-), in this order: {problems}

    A topology is a kind with options, such as small-world:neighbors=22,rewire=0.1. The kinds and
    their options are

    {kinds}

    The kind file takes the path of a connectome, as in file:brain.npz or file:brain.csv. The kind
    none is the model without a graph. All other kinds have the option symmetric, as in
    coordinate:symmetric=true or file:brain.npz,symmetric=true, which gives every synapse a partner
    in the opposite direction, and the option null, see --null.

    Your own function is a kind as well: package.module:function, or
    package.module:function,option=value. It returns a connectome and may have arguments seed,
    num_nodes and num_edges. Modules are found where python -m finds them.

    Your own data are a table, mine.csv, whose last column has the labels unless another is named as
    in mine.csv,label=species; arrays x and y in mine.npz; or package.module:function, a function
    that returns x and y.

    The budget is the size of the first topology that states one, or otherwise that of a grid of
    distance 2 on the lattice of the data set. It determines the number of neurons, shape and extent
    that other topologies do not state, and the width of none. Options marked * are fitted to the
    number of synapses.

    With --null rewire_degrees, every topology is also compared with null models of it, one per
    seed, that keep the number of synapses and the degrees of every neuron. The report is then on
    the differences between each topology and its null models, paired by seed. The null models are
    {nulls}, or your own function of a connectome and seed, package.module:function.

    The option --loops is a number, or equilibrium, which loops with constant input until the state
    no longer changes. An equilibrium has options, as in equilibrium:tol=1e-3,constraint=norm:
    {equilibrium}.

    The option --neurons is rate, for the neurons of the graph layer, or lif, for spiking neurons
    that are trained by surrogate gradients. Spiking neurons have options, as in
    lif:steps=30,tau=5: {spiking}. They exchange spikes at every step instead of loops.

    The output folder receives all options as run.toml, and --config OUT/run.toml repeats the
    comparison. The keys of the file are the names of the options, with topologies and rules for
    those that can be repeated, as in topologies = ["grid", "none"].

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
        null=null or (),
        neurons=neurons or DEFAULT_NEURONS,
        loops=loops,
        epochs=epochs,
        seeds=seeds,
        batch_size=batch_size,
        learning_rate=learning_rate,
        data_dir=data_dir,
        jobs=jobs,
        out=out,
        device=device,
        save_models=save_models,
        report=report,
        console=Console(),
    )
    if not any(row.finished.runs for row in rows):
        raise typer.Exit(_NOTHING_LEARNED)


def reproduce(
    data: DataSet = "mnist",
    epochs: Epochs = 10,
    seeds: Seeds = 5,
    variant: Variant = "relu",
    data_dir: DataDir = None,
    jobs: Jobs = -1,
    out: Out = Path("reproduction"),
    report: Report = False,
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
        report=report,
        console=Console(),
    )
    if not any(row.finished.runs for row in rows):
        raise typer.Exit(_NOTHING_LEARNED)


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
    article leaves open: random cell types, random synapses and other initial weights; unbalanced
    classes ("imbalance"), and loss weights, resampling and another threshold against them
    ("imbalance, mended"); and ternary weights, -1, 0 and 1 times one scale per matrix, on digits
    ("ternary"), in several layers ("ternary, deep") and on all digits of MNIST ("ternary, mnist").

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
