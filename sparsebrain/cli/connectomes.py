"""The commands that generate and measure connectomes."""

from __future__ import annotations

from sparsebrain.experiments.command_options import (
    BadValueError,
    Columns,
    Delimiter,
    Duplicates,
    File,
    Full,
    NeuronColumns,
    NeuronsFile,
    NewFileOrFolder,
    Parts,
    ReportFile,
    Seed,
    Shape,
    Signs,
    Spec,
    Variable,
)
from sparsebrain.experiments.measure_options import Against, NullJobs, Samples, Weight


def generate(
    topology: Spec,
    out: NewFileOrFolder,
    seed: Seed = 0,
    shape: Shape = "28x28",
    parts: Parts = None,
) -> None:
    """Generate a connectome and write it to a file, or in parts to a folder.

    SPEC is a kind with options, such as small-world:neighbors=22,rewire=0.1. The kinds and their
    options are

    {kinds}

    All kinds but none have the option symmetric, as in coordinate:symmetric=true, which gives
    every synapse a partner in the opposite direction, and the option null, as in
    grid:null=rewire_degrees, which generates a null model: {nulls}. Your own function is
    package.module:function,option=value. The number of neurons, shape and extent that
    SPEC does not state follow from the lattice. Options marked * are fitted to the synapses of its
    grid of distance 2.

    With --parts, out is a folder with one file for each process, which
    sparsebrain.distributed.DistributedGraphLayer.load reads.
    """
    from sparsebrain.experiments import generation, options  # noqa: PLC0415

    if parts is not None:
        found = generation.generate_parts(topology, out, parts, shape=shape, seed=seed)
        print(f"Wrote {out}: {parts} parts\n{found.report}")
        return
    try:
        out = options.new_file("--out", out)
    except ValueError as error:
        raise BadValueError(str(error)) from None
    data = generation.generate(topology, out, shape=shape, seed=seed)
    print(f"Wrote {out}: {data.num_nodes} neurons, {data.num_edges} synapses")


def measure(
    file: File,
    full: Full = False,
    weight: Weight = None,
    against: Against = None,
    samples: Samples = None,
    jobs: NullJobs = None,
    seed: Seed = 0,
    columns: Columns = None,
    neurons: NeuronsFile = None,
    neuron_columns: NeuronColumns = None,
    signs: Signs = None,
    duplicates: Duplicates = None,
    delimiter: Delimiter = None,
    variable: Variable = None,
    report: ReportFile = None,
) -> None:
    """Measure the connectome of a file: degrees, path lengths, clustering, connectedness.

    With --full, the measures include the power-law fit of degrees, small-worldness relative to
    random graphs with the same degrees, modularity, the spectrum and the triads.

    With --against, the measures other than those of --full are compared with null graphs: z, the
    p-value and the interval of 95 %.

    The options after --seed but for --report say how to read tables and graphs of other programs.
    """
    from sparsebrain.experiments import measuring  # noqa: PLC0415
    from sparsebrain.experiments.saved import saved_connectome  # noqa: PLC0415

    options = {
        "columns": columns,
        "neurons": neurons,
        "neuron_columns": neuron_columns,
        "transmitter_signs": signs,
        "duplicates": duplicates,
        "delimiter": delimiter,
        "variable": variable,
    }
    given = {name: value for name, value in options.items() if value is not None}
    data = saved_connectome(file, given)
    found = measuring.table(data, full=full, weight=weight, seed=seed)
    compared = measuring.against(
        data, against, weight=weight, samples=samples, jobs=jobs, seed=seed
    )
    if report is not None:
        from sparsebrain.experiments.pages.measures_page import write_measures  # noqa: PLC0415

        write_measures(report, data, found, file, given, full=full, weight=weight, seed=seed)
    print(found)
    if compared is not None:
        print(f"\n{compared}")
