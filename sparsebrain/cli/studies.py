"""The commands that study plasticity, memory, reward, wiring and pipelines."""

from __future__ import annotations

from pathlib import Path

from sparsebrain.experiments.command_options import (
    DataDir,
    DataSet,
    Epochs,
    Jobs,
    Out,
    Seeds,
)
from sparsebrain.experiments.study_options import (
    Batches,
    Brain,
    Excitatory,
    Handwriting,
    HandwritingDir,
    Inputs,
    Omniglot,
    OneShotTopologies,
    Outputs,
    RewardTopologies,
    TaskName,
    TrainingImages,
    Trials,
    WiringTask,
)


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


def digits_stdp(
    neurons: Excitatory = 100,
    data: DataSet = "mnist",
    images: TrainingImages = None,
    seeds: Seeds = 3,
    data_dir: DataDir = None,
    out: Out = Path("digits-stdp"),
) -> None:
    """Let spiking neurons learn digits without labels, by STDP and lateral inhibition.

    Every pixel has an input neuron, whose spikes reach all excitatory neurons. These inhibit each
    other, their thresholds adapt, and the weights of every neuron keep their sum. Every training
    image is presented once. Then each neuron is labeled with the class to which it responds most,
    and the labels vote on the test images.

    The command writes results.csv and figure.png, the receptive fields of the first network.
    """
    from rich.console import Console  # noqa: PLC0415

    from sparsebrain.experiments.plasticity_study.spiking_digits import (  # noqa: PLC0415
        digits_stdp as run,
    )

    run(
        neurons=neurons,
        data=data,
        images=images,
        seeds=seeds,
        data_dir=data_dir,
        out=out,
        console=Console(),
    )


def one_shot(
    topology: OneShotTopologies = None,
    data: Handwriting = None,
    data_dir: HandwritingDir = None,
    omniglot: Omniglot = None,
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

    Handwriting can take the place of the rendered characters: kmnist and kuzushiji-49 that of the
    hiragana, emnist-letters that of the letters. known: or new: before a name or a file says which.
    A FILE is an .npz archive with images, uint8 of 28 x 28 pixels, and labels, or the images of a
    pair of IDX files. With --omniglot, the characters of the background set are known, and 20 of
    one alphabet of the evaluation set are new.

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
        data=data or (),
        data_dir=data_dir,
        omniglot=omniglot,
        epochs=epochs,
        seeds=seeds,
        jobs=jobs,
        out=out,
        console=Console(),
    )


def reward(
    task: TaskName = "bandit",
    topology: RewardTopologies = None,
    batches: Batches = None,
    seeds: Seeds = 3,
    jobs: Jobs = 1,
    out: Out = Path("reward"),
) -> None:
    """Learn a task with rewards by error diffusion, three-factor rules and backpropagation.

    Error diffusion learns the values of actions, as in DQN, or a policy. Beside it stand the same
    by backpropagation, node perturbation, reward-modulated Hebbian learning and, with spiking
    neurons, dopamine-modulated STDP. A task counts only if backpropagation solves it.

    The topology connects the hidden neurons: layered has no synapses among them, loopy is a small
    world, and all others are written as for compare; their weights and signs are not used.
    Trainings whose weights grow without bound are reported as diverged.

    Finished trainings are kept in the output folder and not repeated, unless code has changed. The
    command writes results.csv and figure.png.
    """
    from rich.console import Console  # noqa: PLC0415

    from sparsebrain.experiments.reward_study.networks import TOPOLOGIES  # noqa: PLC0415
    from sparsebrain.experiments.reward_study.study import reward as run  # noqa: PLC0415

    run(
        task=task,
        topologies=topology or TOPOLOGIES,
        batches=batches,
        seeds=seeds,
        jobs=jobs,
        out=out,
        console=Console(),
    )


def wiring(
    brain: Brain = "larva-mushroom-body",
    task: WiringTask = "odors",
    inputs: Inputs = None,
    outputs: Outputs = None,
    epochs: Epochs = 20,
    seeds: Seeds = 20,
    jobs: Jobs = 1,
    out: Out = Path("wiring"),
) -> None:
    """Ask whether the wiring of a brain matters, by training it beside null models of itself.

    The null models keep the wiring but not its strengths; degrees and reciprocity; degrees and
    lengths of synapses; degrees; the counts of synapses between populations; or only the number of
    synapses. Every seed draws one connectome from each, and trains it on the same samples as the
    brain: first only a readout, then the synapses as well.

    The table gives the paired differences in accuracy, with simultaneous confidence intervals.
    Finished trainings are kept in the output folder and not repeated, unless options, brain or code
    have changed. The command writes results.csv and figure.png.
    """
    from rich.console import Console  # noqa: PLC0415

    from sparsebrain.experiments.wiring_study.study import wiring as run  # noqa: PLC0415

    run(
        brain,
        task=task,
        inputs=inputs,
        outputs=outputs,
        epochs=epochs,
        seeds=seeds,
        jobs=jobs,
        out=out,
        console=Console(),
    )


def pipeline(epochs: Epochs = 6, seeds: Seeds = 3, out: Out = Path("pipeline")) -> None:
    """Ask whether local rules wait: half of the layers of a model on each of two processes.

    Local errors, Forward-Forward and Hebb's rule change a layer as soon as its own input is there.
    Direct feedback alignment and error diffusion wait for the error of the output, and pipelined
    backpropagation (GPipe and 1F1B) waits for the error of the next process. The command measures
    throughput, waiting, memory and accuracy, and simulates up to 64 processes from the times of
    single tasks.

    Nothing else should run meanwhile; the default takes about five minutes on two cores. The
    command writes results.csv, curves.csv, costs.csv, simulated.csv and figure.png.
    """
    from rich.console import Console  # noqa: PLC0415

    from sparsebrain.experiments.pipeline_study.study import pipeline as run  # noqa: PLC0415

    run(epochs=epochs, seeds=seeds, out=out, console=Console())
