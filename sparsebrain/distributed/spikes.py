"""Spiking neurons that are spread over processes, which send each other spikes as indices."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed

from graphs import arguments, tensors
from sparsebrain.distributed.agreement import answering, group_of, require_same, together
from sparsebrain.distributed.links import Links
from sparsebrain.distributed.partitions import Partition, check_partition, part_of
from sparsebrain.distributed.parts import Part
from sparsebrain.distributed.windows import Run, Steps
from sparsebrain.kernels.select import check_backend, resolve
from sparsebrain.kernels.spikes import Network, Spiked, Train
from sparsebrain.spiking.events import Inputs, SpikeTrains, check_poisson, neurons_of
from sparsebrain.spiking.lif import LIF
from sparsebrain.spiking.recording import Recording, Trace, check_record
from sparsebrain.spiking.simulation import check_events, count_steps, input_of

_PER_NEURON = ("tau", "tau_synapse", "rest", "reset", "threshold", "refractory")


class DistributedLIF:
    """A network of :class:`~sparsebrain.spiking.LIF` neurons on several processes.

    Every process simulates its own neurons, with the same result as one process: the same spikes
    at the same steps. Spikes travel as numbers, not as states. A process runs on until a spike that
    it has not received could arrive: with a delay of at least 2 d steps between processes, spikes
    of d steps travel while the next d steps are computed. With a delay of 0 every step waits for
    all processes.

    Args:
        part: The part of this process, or the whole partition. Weights are the connectome's
            ``edge_weight`` with its signs.
        group: The processes, one for each part; all processes by default.
        options: The arguments of a LIF except ``init``, ``dale`` and ``surrogate``. Tensors [N]
            have a value for each local neuron, ``part.nodes``, and a ``delay`` [e] for each
            synapse.

    Attributes:
        part: The part of this process.
        owned: The global numbers of its neurons, ascending, [n] int64.
        lif: The local network, of owned and halo neurons.
        window: The steps between two exchanges; 0 if every step needs one.

    Raises:
        TypeError: In all processes, if an argument has the wrong type.
        ValueError: In all processes, if an argument has the wrong value, or parts or options
            differ.
        RuntimeError: If torch.distributed is not initialized, or a process has ended.

    Example:
        >>> import graphs, torch
        >>> from torch import distributed
        >>> from sparsebrain.distributed import DistributedLIF, partition
        >>> from sparsebrain.spiking import LIF
        >>> store = distributed.HashStore()
        >>> distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        >>> ring = graphs.grid_local(6, 1, periodic=True, self_loops=False)
        >>> ring.edge_weight = torch.ones(ring.num_edges)
        >>> network = DistributedLIF.from_lif(LIF(ring, delay=2.0), partition(ring, 1))
        >>> network.simulate(100, current=1.5).step[:2].tolist()
        [21, 21]
        >>> distributed.destroy_process_group()
    """

    def __init__(
        self,
        part: Part | Partition,
        *,
        group: distributed.ProcessGroup | None = None,
        **options: Any,
    ) -> None:
        where = group_of(group)
        place = (distributed.get_rank(where), distributed.get_world_size(where))
        self.part: Part = together(where, lambda: part_of(part, *place))
        self.lif: LIF = together(where, lambda: LIF(self.part.data, init="edge_weight", **options))
        own = self.part
        require_same(
            where,
            {
                "part, its graph,": (own.graph, "pass the parts of one partition"),
                "dt": (self.lif.dt, "pass the same dt to every process"),
                "dtype": (str(self.lif.weight.dtype), "pass the same dtype to every process"),
            },
        )
        self._links = Links(where, own.owned, own.halo, own.owner[~own.is_owned])
        self._places = own.is_owned.nonzero().squeeze(1)
        self._halo = (~own.is_owned).nonzero().squeeze(1)
        # The halo neurons of each process in the order in which that process numbers them.
        owner = own.owner[~own.is_owned]
        size = distributed.get_world_size(where)
        self._from = [self._halo[owner == rank] for rank in range(size)]
        self.window = self._find_window()

    @property
    def group(self) -> distributed.ProcessGroup:
        """The processes."""
        return self._links.group

    @property
    def overlaps(self) -> bool:
        """Whether spikes of a window travel while the next one is computed."""
        return self._overlaps

    @property
    def owned(self) -> Tensor:
        """The global numbers of the neurons of this process, ascending, [n] int64."""
        return self.part.owned

    def _find_window(self) -> int:
        """Return the steps that all processes can compute before spikes must have arrived."""
        source = self.lif.edge_index[0]
        crossing = ~self.part.is_owned[source]
        delay = self.lif.delay_steps.expand(len(source))[crossing]
        none = torch.iinfo(torch.int64).max
        shortest = torch.cat([delay, torch.tensor([none])]).min().reshape(1)
        with answering():
            distributed.all_reduce(shortest, distributed.ReduceOp.MIN, self.group)
        self._overlaps = int(shortest) > 1
        # Two windows fit into the delay, so that spikes of one travel during the next.
        return min(int(shortest), max(1, int(shortest) // 2))

    @classmethod
    def from_lif(
        cls,
        lif: LIF,
        partition: Partition,
        *,
        group: distributed.ProcessGroup | None = None,
    ) -> DistributedLIF:
        """Spread a network over processes, with its options and its weights.

        Args:
            lif: The network, the same in every process.
            partition: A partition of its connectome.
            group: The processes, one for each part; all processes by default.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If the partition is of another connectome.
        """
        where = group_of(group)
        part, options = together(where, lambda: _options_of(lif, partition, where))
        spread = cls(part, group=group, **options)
        spread.lif.assign_weight(lif.weight.detach()[part.synapse].to(spread.lif.weight))
        return spread

    @torch.no_grad()
    def simulate(
        self,
        duration: float,
        *,
        events: SpikeTrains | None = None,
        poisson: tuple[Sequence[int] | Tensor, float | Tensor, float] | None = None,
        current: float | Tensor | None = None,
        record: Any = (),
        samples: int = 1,
        silence: Sequence[int] | Tensor = (),
        generator: torch.Generator | None = None,
        backend: str = "auto",
    ) -> Recording:
        """Simulate the network from rest for a time, together with all other processes.

        Args:
            duration: The time in ms, as for :meth:`sparsebrain.spiking.LIF.simulate`.
            events: Input events, of any neurons of the whole graph.
            poisson: As for a LIF, of any neurons of the whole graph. Every process draws the events
                of all neurons, so that they are those of one process.
            current: The input current, a number or a tensor [n] for the owned neurons.
            record: As for a LIF, of any neurons of the whole graph; each process records its own.
            samples: As for a LIF.
            silence: Neurons of the whole graph that never spike.
            generator: As for a LIF, in the same state in every process.
            backend: As for a LIF.

        Returns:
            The spikes and states of the owned neurons, with numbers of the whole graph.

        Raises:
            TypeError: In all processes, if an argument has the wrong type.
            ValueError: In all processes, if an argument has the wrong value, or the calls differ.
            RuntimeError: If a process has ended.
        """
        run: Run = together(
            self.group,
            lambda: self._check(
                duration, events, poisson, current, record, samples, silence, generator, backend
            ),
        )
        same = "make the same call in every process"
        state = (torch.default_generator if generator is None else generator).get_state()
        require_same(
            self.group,
            {
                "duration": (run.steps, same),
                "samples": (run.samples, same),
                "backend": (run.kernels.name, same),
                "generator, torch's seed,": (
                    None if run.trains is None else zlib.crc32(state.numpy().tobytes()),
                    "call torch.manual_seed with the same number in every process",
                ),
            },
        )
        like = self.lif.weight.detach()
        inputs = Inputs(
            events,
            run.trains,
            samples=run.samples,
            num_nodes=self.part.num_nodes,
            like=like,
            generator=generator,
        )
        network = Network(
            self.lif.structure,
            like,
            self.lif.delay_steps,
            self.lif.coefficients(),
            run.current,
            run.silent,
        )
        return self._collect(Steps(self, network, run, inputs).all(), run)

    def _check(
        self,
        duration: Any,
        events: Any,
        poisson: Any,
        current: Any,
        record: Any,
        samples: Any,
        silence: Any,
        generator: Any,
        backend: Any,
    ) -> Run:
        lif, size, nodes = self.lif, self.part.num_nodes, self.part.nodes
        steps = count_steps(duration, lif.dt)
        samples = arguments.count("samples", samples, at_least=1)
        check_events(events, steps, size, samples)
        trains = check_poisson(poisson, size, lif.dt)
        asked = [
            each._replace(neurons=each.neurons[torch.isin(each.neurons, self.owned)])
            for each in check_record(
                record, num_nodes=size, dt=lif.dt, has_current=lif.tau_synapse is not None
            )
        ]
        tensors.generator("generator", generator, torch.device("cpu"))
        tensors.room(
            f"samples={samples}",
            8 * samples * len(nodes) * lif.weight.element_size(),
            "pass fewer samples",
        )
        if isinstance(current, Tensor):
            tensors.tensor("current", current, (len(self.owned),))
            current = current.new_zeros(len(nodes)).index_put((self._places,), current)
        # Halo neurons spike in other processes.
        silent = ~self.part.is_owned | torch.isin(nodes, neurons_of("silence", silence, size))
        return Run(
            steps,
            samples,
            trains,
            asked,
            input_of(lif, current),
            silent,
            resolve(check_backend(backend), lif.weight.device),
        )

    def sent(self, spikes: Train) -> list[Tensor]:
        """Return for each process the own spikes that it reads, [k, 3]: sample, step and index.

        The index is that of the neuron among those which the process reads from this one.
        """
        sample, step, neuron = spikes.sample(), spikes.step, spikes.neuron
        found = []
        for rows in self._links.readers():
            index = torch.full((len(self.part.nodes),), -1)
            index[self._places[rows]] = torch.arange(len(rows))
            read = index[neuron]
            chosen = read >= 0
            found.append(torch.stack([sample, step, read], 1)[chosen])
        return found

    def received(self, rows: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return sample, step and local number of the spikes that all processes have sent."""
        sample, step, _ = torch.cat(rows).t()
        neuron = torch.cat([self._from[k][each[:, 2]] for k, each in enumerate(rows)])
        return sample, step, neuron

    def exchange(self, rows: list[Tensor]) -> list[Tensor]:
        """Send spikes to each process, and return those from each."""
        return self._links.exchange_ragged(rows)

    def complete(self, spikes: Tensor) -> Tensor:
        """Return the spikes [S, M] of a step with those of the halo."""
        halo = self._links.exchange(spikes[:, self._places].t().contiguous())
        every = spikes.clone()
        every[:, self._halo] = halo.t()
        return every

    def _collect(self, parts: list[tuple[int, int, Spiked]], run: Run) -> Recording:
        """Return the recording in numbers of the whole graph."""
        none = torch.empty(0, dtype=torch.int64)
        step = torch.cat([none, *(part.spikes.step + first for first, _, part in parts)])
        neuron = torch.cat([none, *(part.spikes.neuron for _, _, part in parts)])
        sample = torch.cat([none, *(part.spikes.sample() for _, _, part in parts)])
        own = self.part.is_owned[neuron]
        sample, order = sample[own].sort(stable=True)
        step, neuron = step[own][order], neuron[own][order]
        states = []
        rest = torch.as_tensor(self.lif.rest).expand(len(self.part.nodes))
        for number, each in enumerate(run.asked):
            local = torch.searchsorted(self.part.nodes, each.neurons)
            empty = self.lif.weight.new_empty((run.samples, 0, len(local)))
            values = torch.cat([empty, *(part.states[number] for _, _, part in parts)], 1)
            if each.variable == "v":
                values = (values.double() + rest[local]).to(values.dtype)
            steps = torch.arange(0, run.steps, each.every)
            states.append(Trace(each.variable, each.neurons, steps, values))
        dt = self.lif.dt
        return Recording(
            step,
            self.part.nodes[neuron],
            sample,
            tuple(states),
            run.steps * dt,
            dt,
            self.part.num_nodes,
            run.samples,
        )

    def __repr__(self) -> str:
        return f"DistributedLIF({self.part!r}, dt={self.lif.dt:g}, window={self.window})"


def _options_of(
    lif: Any, partition: Any, group: distributed.ProcessGroup
) -> tuple[Part, dict[str, Any]]:
    """Return the part of this process and the options of a network for its local neurons."""
    if not isinstance(lif, LIF):
        raise TypeError(
            f"lif must be a LIF, got {arguments.described(lif)}; pass "
            "lif=sparsebrain.spiking.LIF(connectome)"
        )
    check_partition(partition, lif.num_nodes, lif.edge_index, "the connectome of lif")
    part = part_of(partition, distributed.get_rank(group), distributed.get_world_size(group))
    # The weights are copied afterwards, and may have any sign.
    part.data.edge_weight = torch.zeros(len(part.synapse))
    options: dict[str, Any] = {
        name: getattr(lif, name) for name in ("refractory_holds", "dt", "step")
    }
    for name in _PER_NEURON:
        value = getattr(lif, name)
        options[name] = value[part.nodes] if isinstance(value, Tensor) else value
    delay = lif.delay
    options["delay"] = delay[part.synapse] if isinstance(delay, Tensor) else delay
    return part, options | {"dtype": lif.weight.dtype}
