// Leaky integrate-and-fire neurons, step by step. All neurons are integrated at once; a spike walks
// along the row of its source. Compiled without contraction, so that every instruction set rounds as
// sparsebrain/kernels/spikes.py does.
#include "spikes.hpp"

#include <new>

#include "spike_integration.hpp"

namespace sparsebrain {
namespace {

template <class Real, class Index>
struct Runner {
  static constexpr int kAheadRows = 4;

  const Problem &p;
  const Simulation &s;
  const Csr<Index> csr;
  const Real *const weight;
  Segment *const segments;  // of this thread, or null where it has all neurons
  Worker<Real> &w;

  Runner(const Problem &problem, const Simulation &simulation, Segment *own, Worker<Real> &worker)
      : p(problem),
        s(simulation),
        csr(problem.by_source, problem),
        weight(static_cast<const Real *>(simulation.weight)),
        segments(own),
        w(worker) {}

  // What step n - 1 brought to a variable of a neuron.
  void settle(int64_t i, int64_t n, Real &u, Real &g) const {
    const int64_t at = w.row_before(n) * w.padded + i;
    const bool was = w.until[i] > n - 1;
    if (s.events.begin[s.samples] && !was) u += w.jumps[at];
    if (!was || !s.holds_all()) (s.g ? g : u) += w.arriving[at];
  }

  void settle_all(int64_t n) const {
    Real none = 0;
    for (int64_t i = 0; i < w.high - w.low; ++i) settle(i, n, w.u[i], s.g ? w.g[i] : none);
  }

  void record(int64_t n) const {
    for (int64_t k = 0; k < s.num_probes; ++k) {
      const Probe &probe = s.probes[k];
      if (n < probe.first || (n - probe.first) % probe.every) continue;
      const int64_t time = (n - probe.first) / probe.every;
      if (time >= probe.times) continue;
      Real *out = static_cast<Real *>(probe.out) + (sample * probe.times + time) * probe.count;
      for (int64_t j = 0; j < probe.count; ++j) {
        const int64_t i = probe.neuron[j] - w.low;
        if (i < 0 || i >= w.high - w.low) continue;
        Real u = w.u[i], g = s.g ? w.g[i] : Real(0);
        settle(i, n, u, g);
        out[j] = probe.current ? g : u;
      }
    }
  }

  // The first step after n whose states are recorded.
  int64_t next_record(int64_t n) const {
    int64_t next = s.steps;
    for (int64_t k = 0; k < s.num_probes; ++k) {
      const Probe &probe = s.probes[k];
      const int64_t after = n < probe.first
                                ? probe.first
                                : probe.first + ((n - probe.first) / probe.every + 1) * probe.every;
      next = after < next ? after : next;
    }
    return next;
  }

  void receive(int64_t n) const {
    const Train &events = s.events;
    const Real *jump = static_cast<const Real *>(events.jump);
    const int64_t end = events.begin[sample + 1];
    for (; w.next_event < end && events.step[w.next_event] <= n; ++w.next_event) {
      const int64_t i = events.neuron[w.next_event] - w.low;
      if (events.step[w.next_event] < n || i < 0 || i >= w.high - w.low) continue;
      w.jumps[n % w.rows * w.padded + i] += jump[w.next_event];
      w.jumped[n % w.rows * w.groups + i / kGroup] = 1;
    }
  }

  struct Row {
    int64_t begin, end;
  };

  // The synapses of a source that lead to the neurons of this thread. Every index is looked at
  // before it is used.
  Row row_of(int32_t source) const {
    if (source < 0 || source >= p.neurons) return refuse();
    const int64_t begin = csr.pointer[source], end = csr.pointer[source + 1];
    if (begin < 0 || begin > end || end > p.synapses) return refuse();
    if (!segments || end - begin > kNever) return {begin, end};
    Segment &own = segments[source];
    if (own.begin < 0)
      own = {int32_t(first_at(begin, end, w.low) - begin),
             int32_t(first_at(begin, end, w.high) - begin)};
    if (own.end > end - begin || own.begin > own.end) return refuse();
    return {begin + own.begin, begin + own.end};
  }

  Row refuse() const {
    w.refused = true;
    return {0, 0};
  }

  int64_t first_at(int64_t low, int64_t high, int64_t neuron) const {
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (csr.neuron[middle] < neuron)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }

  void foresee(int32_t source) const {
    const Row row = row_of(source);
    const int64_t end = row.end < row.begin + 128 ? row.end : row.begin + 128;
    for (int64_t at = row.begin; at < end; at += kLine / int64_t(sizeof(Index)))
      __builtin_prefetch(csr.neuron + at);
    for (int64_t at = row.begin; at < end; at += kLine / int64_t(sizeof(Real)))
      __builtin_prefetch(weight + at);
    if (s.delay)
      for (int64_t at = row.begin; at < end; at += kLine / int64_t(sizeof(int32_t)))
        __builtin_prefetch(s.delay + at);
  }

  // Adds the weights of the synapses of sources [begin, end) of a list that ends at `last` to what
  // arrives in step n. `mark` where the groups that it reaches are not marked yet.
  template <bool mark>
  void deliver(const int32_t *sources, int64_t begin, int64_t end, int64_t last, int64_t n) const {
    using Unsigned = std::make_unsigned_t<Index>;
    const Index low = Index(w.low);
    const Unsigned size = Unsigned(w.high - w.low);
    const Index *const neuron = csr.neuron;
    const Real *const weights = weight;
    Real *const arriving = w.arriving.get() + n % w.rows * w.padded;
    uint8_t *const touched = w.touched.get() + n % w.rows * w.groups;
    for (int64_t j = begin; j < end; ++j) {
      if (j + 2 * kAheadRows < last && uint32_t(sources[j + 2 * kAheadRows]) < p.neurons) {
        __builtin_prefetch(csr.pointer + sources[j + 2 * kAheadRows]);
        if (segments) __builtin_prefetch(segments + sources[j + 2 * kAheadRows]);
      }
      if (j + kAheadRows < last) foresee(sources[j + kAheadRows]);
      const Row row = row_of(sources[j]);
      Unsigned most = 0;
      for (int64_t at = row.begin; at < row.end; ++at) {
        const Unsigned to = Unsigned(neuron[at] - low);
        most = to > most ? to : most;
      }
      if (row.begin == row.end || most < size) {
        for (int64_t at = row.begin; at < row.end; ++at) {
          const Unsigned to = Unsigned(neuron[at] - low);
          arriving[to] += weights[at];
          if (mark) touched[to / kGroup] = 1;
        }
        continue;
      }
      for (int64_t at = row.begin; at < row.end; ++at) {
        const Unsigned to = Unsigned(neuron[at] - low);
        if (to >= size) {
          // Without segments a row may lead to neurons of other threads.
          if (uint64_t(neuron[at]) >= uint64_t(p.neurons) || segments) w.refused = true;
          continue;
        }
        arriving[to] += weights[at];
        if (mark) touched[to / kGroup] = 1;
      }
    }
  }

  // The same for delays of synapses: each arrives in its own row. Those before step 0 are past.
  void deliver_later(const int32_t *sources, int64_t begin, int64_t end, int64_t m) const {
    const uint64_t size = uint64_t(w.high - w.low);
    for (int64_t j = begin; j < end; ++j) {
      if (j + kAheadRows < end) foresee(sources[j + kAheadRows]);
      const Row row = row_of(sources[j]);
      for (int64_t at = row.begin; at < row.end; ++at) {
        const uint64_t to = uint64_t(int64_t(csr.neuron[at]) - w.low);
        const int64_t delay = s.delay[at];
        if (delay < s.shortest || delay > s.longest) w.refused = true;
        if (to >= size && (uint64_t(csr.neuron[at]) >= uint64_t(p.neurons) || segments))
          w.refused = true;
        if (to >= size || delay < s.shortest || delay > s.longest || m + delay < 0) continue;
        const int64_t slot = (m + delay) % w.rows;
        w.arriving[slot * w.padded + to] += weight[at];
        w.touched[slot * w.groups + to / kGroup] = 1;
      }
    }
  }

  // Spikes before the first step.
  void deliver_recent(int64_t step, bool all) {
    const Train &recent = s.recent;
    const int64_t end = recent.begin[sample + 1];
    for (; next_recent < end && (all || recent.step[next_recent] <= step); ++next_recent) {
      if (all)
        deliver_later(recent.neuron, next_recent, next_recent + 1, recent.step[next_recent]);
      else if (recent.step[next_recent] == step)
        deliver<true>(recent.neuron, next_recent, next_recent + 1, end, step + s.shortest);
    }
  }

  // Spikes of step k of a window, in the order of the neurons, which arrive in step n. For delays of
  // synapses, n is the step of the spikes.
  void deliver_window(const Team<Real> &team, int parity, int64_t k, int64_t n) const {
    int64_t spikes = 0;
    for (int thread = 0; thread < team.threads; ++thread) {
      const Window &window = team.workers[thread].windows[parity];
      if (k + 1 < window.end.size()) spikes += window.end.get()[k + 1] - window.end.get()[k];
    }
    // Where most groups are reached, one mark for all is cheaper than one for each synapse.
    const bool many = !s.delay && spikes * p.synapses / (p.neurons + 1) > p.neurons / kGroup;
    if (many) std::memset(w.touched.get() + n % w.rows * w.groups, 1, w.groups);
    for (int thread = 0; thread < team.threads; ++thread) {
      const Window &window = team.workers[thread].windows[parity];
      if (k + 1 >= window.end.size()) continue;
      const int64_t begin = window.end.get()[k], end = window.end.get()[k + 1];
      if (s.delay)
        deliver_later(window.neuron.get(), begin, end, n);
      else if (many)
        deliver<false>(window.neuron.get(), begin, end, window.neuron.size(), n);
      else
        deliver<true>(window.neuron.get(), begin, end, window.neuron.size(), n);
    }
  }

  int64_t sample = 0, next_recent = 0;

  // Threads meet once per delay, since no spike arrives earlier. One that has failed still comes to
  // every meeting.
  void run(const Team<Real> &team) {
    const NoDenormals fast;
    sample = team.sample;
    next_recent = s.recent.begin[sample];
    w.enter(p, s, sample);
    if (s.delay) deliver_recent(0, true);
    const int64_t window = s.shortest > 0 ? s.shortest : 1;
    int parity = 0;
    for (int64_t first = 0; first < s.steps; first += window, parity ^= 1) {
      const int64_t end = first + window < s.steps ? first + window : s.steps;
      Window &own = w.windows[parity];
      const Window &before = w.windows[parity ^ 1];
      const double spikes = double(before.neuron.size()) * team.threads / double(window);
      const double share = double(w.high - w.low) / double(p.neurons + 1);
      const int64_t most = w.span_for(spikes * double(p.synapses) / double(p.neurons + 1) * share);
      // Spans of equal length.
      const int64_t spans = (window + most - 1) / most, span = (window + spans - 1) / spans;
      if (!s.delay && w.rows != span + 1) w.set_rows(span + 1, first);
      if (!own.reset()) w.no_memory = true;
      for (int64_t n = first, stop; n < end && !w.no_memory; n = stop) {
        stop = n + span < end ? n + span : end;
        if (s.num_probes) stop = next_record(n) < stop ? next_record(n) : stop;
        record(n);
        for (int64_t m = n; m < stop; ++m) {
          receive(m);
          if (s.delay || !s.shortest) continue;
          if (m < s.shortest)
            deliver_recent(m - s.shortest, false);
          else
            deliver_window(team, parity ^ 1, m - first, m);
        }
        Integration<Real>{s, w}.integrate_span(n, stop, own);
      }
      if (team.threads > 1) barrier();
      if (s.delay || !s.shortest)
        for (int64_t n = first; n < end; ++n) deliver_window(team, parity, n - first, n);
    }
    settle_all(s.steps);
    w.leave(p, s, sample);
    // Nobody starts another sample while others read these windows.
    if (team.threads > 1) barrier();
  }
};

// Brings the spikes of a team into one order.
template <class Real>
bool gather(const Team<Real> &team, Spikes &out) {
  int64_t count = 0;
  for (int thread = 0; thread < team.threads; ++thread) count += team.workers[thread].step.size();
  out.count = count;
  out.step = static_cast<int32_t *>(std::malloc(sizeof(int32_t) * size_t(count + 1)));
  out.neuron = static_cast<int32_t *>(std::malloc(sizeof(int32_t) * size_t(count + 1)));
  Memory<int64_t> place;
  if (!out.step || !out.neuron || !place.make(team.threads)) return false;
  for (int64_t to = 0; to < count;) {
    int64_t step = INT64_MAX;
    for (int thread = 0; thread < team.threads; ++thread) {
      const List &steps = team.workers[thread].step;
      if (place[thread] < steps.size() && steps.get()[place[thread]] < step)
        step = steps.get()[place[thread]];
    }
    for (int thread = 0; thread < team.threads; ++thread) {
      const Worker<Real> &worker = team.workers[thread];
      for (; place[thread] < worker.step.size() && worker.step.get()[place[thread]] == step; ++to) {
        out.step[to] = int32_t(step);
        out.neuron[to] = worker.neuron.get()[place[thread]++];
      }
    }
  }
  return true;
}

inline int self_number() {
#if defined(_OPENMP)
  return omp_get_thread_num();
#else
  return 0;
#endif
}

inline int team_count() {
#if defined(_OPENMP)
  return omp_get_num_threads();
#else
  return 1;
#endif
}

// As many samples at once as there are threads, one each; then the rest, with all threads on each.
template <class Real, class Index>
Outcome simulate_as(const Problem &p, const Simulation &s, Segment *segments, Spikes *out) {
  int threads = p.threads;
#if !defined(_OPENMP)
  threads = 1;
#endif
  const int64_t alone = s.samples / threads * threads;
  int refused = 0, no_memory = 0;
  if (alone) {
#pragma omp parallel num_threads(threads) if (threads > 1) reduction(| : refused, no_memory)
    {
      Worker<Real> worker;
      const bool made = worker.make(p, s, 0, 1);
      no_memory |= !made;
#pragma omp for schedule(dynamic, 1)
      for (int64_t sample = 0; sample < alone; ++sample) {
        if (!made) continue;
        const Team<Real> team{sample, 1, &worker};
        Runner<Real, Index>(p, s, nullptr, worker).run(team);
        no_memory |= worker.no_memory || !gather(team, out[sample]);
        refused |= worker.refused;
      }
    }
  }
  if (alone < s.samples && !no_memory && !refused) {
    Worker<Real> *workers = new (std::nothrow) Worker<Real>[threads];
    if (!workers) return Outcome::no_memory;
#pragma omp parallel num_threads(threads) if (threads > 1) reduction(| : refused, no_memory)
    {
      // With fewer threads than asked for the neurons are divided among those that came.
      const int self = self_number(), came = team_count();
      Worker<Real> &worker = workers[self];
      worker.no_memory = !worker.make(p, s, self, came);
#pragma omp barrier
      bool all_made = true;
      for (int thread = 0; thread < came; ++thread) all_made &= !workers[thread].no_memory;
      Segment *own = came > 1 && segments ? segments + int64_t(self) * p.neurons : nullptr;
      for (int64_t sample = alone; sample < s.samples && all_made; ++sample) {
        const Team<Real> team{sample, came, workers};
        Runner<Real, Index>(p, s, own, worker).run(team);
#pragma omp single
        no_memory |= !gather(team, out[sample]);
      }
      no_memory |= worker.no_memory;
      refused |= worker.refused;
    }
    delete[] workers;
  }
  return no_memory ? Outcome::no_memory : refused ? Outcome::refused : Outcome::done;
}

template <class Real>
Outcome simulate(const Problem &p, const Simulation &s, Segment *segments, Spikes *out) {
  return p.wide ? simulate_as<Real, int64_t>(p, s, segments, out)
                : simulate_as<Real, int32_t>(p, s, segments, out);
}

}  // namespace

#define JOIN(a, b) a##b
#define NAME(set) JOIN(spike_kernels_of_, set)

SpikeKernels NAME(INSTRUCTION_SET)() { return {simulate<float>, simulate<double>}; }

}  // namespace sparsebrain
