// Leaky integrate-and-fire neurons whose synapses change by spike-timing-dependent plasticity. All
// neurons and spike traces are updated at once; a spike walks along the row of its source and the
// column of its target. Compiled without contraction, so that every instruction set rounds as
// sparsebrain/kernels/plastic_spikes.py does.
#include "plastic_spikes.hpp"

#include "spike_state.hpp"

namespace sparsebrain {
namespace {

// How many synapses of a row a mask has.
enum Share : uint8_t { kNone, kAll, kSome };

template <class Real, class Index>
class PlasticRunner {
 public:
  PlasticRunner(const Problem &problem, const PlasticSimulation &simulation)
      : p(problem),
        s(simulation),
        rows(problem.by_source, problem),
        columns(problem.by_target, problem),
        place(static_cast<const Index *>(simulation.place)),
        neurons(problem.neurons),
        ring(simulation.of.longest + 1),
        weight(static_cast<Real *>(simulation.weight)),
        pre(static_cast<Real *>(simulation.pre)),
        post(static_cast<Real *>(simulation.post)),
        theta(static_cast<Real *>(simulation.thresholds.theta)),
        pending(static_cast<Real *>(simulation.pending)),
        u(static_cast<Real *>(simulation.of.u)),
        g(static_cast<Real *>(simulation.of.g)),
        a_plus(Real(simulation.pairs.a_plus)),
        a_minus(Real(simulation.pairs.a_minus)),
        top(Real(simulation.pairs.w_max)) {}

  Outcome run(Spikes &out) {
    if (!rows.is_sound(p.threads) || !columns.is_sound(p.threads) ||
        !Csr<Index>::is_below(place, 0, p.synapses, p.synapses))
      return Outcome::refused;
    const int64_t sums = s.scaling.every ? neurons : 0;
    if (!until.make(neurons) || !active.make(neurons) || !spiked.make(neurons) ||
        !constants.make(6 * neurons) || !sum.make(sums) || !plastic.make(neurons) ||
        !chosen.make(neurons))
      return Outcome::no_memory;
    const NoDenormals fast;
    prepare();
    for (int64_t n = 0; n < s.of.steps; ++n) {
      record(n);
      if (!integrate(n)) return Outcome::no_memory;
      send(n);
      receive(n);
      reset(n);
      if (s.pairs.learns) decay_traces();
      if (theta) decay_thresholds();
      for (int64_t k = 0; k < now.size(); ++k) spiked[now.get()[k]] = 0;
      if (s.scaling.every && (s.first + n + 1) % s.scaling.every == 0) scale();
    }
    for (int64_t i = 0; i < neurons; ++i)
      s.of.wait[i] = until[i] > s.of.steps ? int32_t(until[i] - s.of.steps) : 0;
    return write(out) ? Outcome::done : Outcome::no_memory;
  }

 private:
  void prepare() {
    const Neurons &c = s.of.neurons;
    const void *const all[] = {c.decay, c.drive, c.transfer, c.synapse_decay, c.threshold, c.reset};
    for (int k = 0; k < 6; ++k) {
      if (!all[k]) continue;
      const Real *const from = static_cast<const Real *>(all[k]);
      for (int64_t i = 0; i < neurons; ++i)
        constants[k * neurons + i] = from[c.uniform ? 0 : i];
    }
    for (int64_t i = 0; i < neurons; ++i) until[i] = s.of.wait[i];
    next_event = s.of.events.begin[0];
    find_shares(s.pairs.plastic, plastic);
    find_shares(s.scaling.chosen, chosen);
  }

  void find_shares(const uint8_t *mask, const Memory<uint8_t> &share) const {
    for (int64_t source = 0; source < neurons; ++source) {
      share[source] = kAll;
      if (!mask) continue;
      int any = 0, all = 1;
      for (int64_t at = rows.pointer[source]; at < rows.pointer[source + 1]; ++at) {
        any |= mask[at];
        all &= mask[at];
      }
      share[source] = all ? kAll : any ? kSome : kNone;
    }
  }

  const Real *constant(int which) const { return constants.get() + which * neurons; }

  void record(int64_t n) const {
    for (int64_t k = 0; k < s.of.num_probes; ++k) {
      const Probe &probe = s.of.probes[k];
      if (n < probe.first || (n - probe.first) % probe.every) continue;
      const int64_t time = (n - probe.first) / probe.every;
      if (time >= probe.times) continue;
      Real *const out = static_cast<Real *>(probe.out) + time * probe.count;
      for (int64_t j = 0; j < probe.count; ++j) {
        const int64_t i = probe.neuron[j];
        if (uint64_t(i) < uint64_t(neurons)) out[j] = probe.current ? g[i] : u[i];
      }
    }
  }

  // u <- a u + (k g + c I), and g <- b g; then the spikes of the step.
  template <bool current, bool held>
  void advance(int64_t n) {
    const Real *const decay = constant(0), *const drive = constant(1), *const transfer = constant(2);
    const Real *const synapse_decay = constant(3);
    const int32_t step = int32_t(n);
    const int32_t *const free_from = until.get();
    uint8_t *const is_active = active.get();
    for (int64_t i = 0; i < neurons; ++i) is_active[i] = free_from[i] <= step;
    for (int64_t i = 0; i < neurons; ++i) {
      const bool may = free_from[i] <= step;
      Real next = decay[i] * u[i];
      if (current) {
        next = next + (transfer[i] * g[i] + drive[i]);
        const Real decayed = synapse_decay[i] * g[i];
        g[i] = !held || may ? decayed : g[i];
      } else {
        next = next + drive[i];
      }
      u[i] = may ? next : u[i];
    }
  }

  bool integrate(int64_t n) {
    switch (s.of.neurons.synapse) {
      case Synapse::voltage: advance<false, false>(n); break;
      case Synapse::current_held: advance<true, true>(n); break;
      case Synapse::current_free: advance<true, false>(n); break;
    }
    const Real *const threshold = constant(4);
    const Real none = 0;
    const int64_t stride = theta ? 1 : 0;
    const Real *const more = theta ? theta : &none;
    now.clear();
    for (int64_t begin = 0; begin < neurons; begin += kGroup) {
      const int64_t end = begin + kGroup < neurons ? begin + kGroup : neurons;
      int above = 0;
      if (stride)
        for (int64_t i = begin; i < end; ++i) above |= u[i] > threshold[i] + more[i];
      else
        for (int64_t i = begin; i < end; ++i) above |= u[i] > threshold[i];
      if (!above) continue;
      for (int64_t i = begin; i < end; ++i) {
        const Real limit = stride ? threshold[i] + more[i] : threshold[i];
        if (!(u[i] > limit) || !active[i]) continue;
        if (s.of.neurons.silent && s.of.neurons.silent[i]) continue;
        if (!now.add(int32_t(i)) || !step.add(int32_t(n)) || !neuron.add(int32_t(i))) return false;
        spiked[i] = 1;
      }
    }
    return true;
  }

  // A synapse after potentiation and depression in the same step.
  template <Bounds bounds>
  INLINE Real changed(Real w, Real grows, Real shrinks) const {
    if (bounds == Bounds::soft) {
      grows *= Real(1) - w / top;
      shrinks *= w / top;
    }
    w = (w + grows) - shrinks;
    if (bounds == Bounds::none) return w;
    return w < 0 ? Real(0) : w > top ? top : w;
  }

  // Delivers the spikes along their rows, and changes the synapses that they pass.
  void send(int64_t n) {
    if (!now.size()) return;
    if (!s.pairs.learns) return send_as<Bounds::none, false>(n);
    switch (s.pairs.bounds) {
      case Bounds::none: send_as<Bounds::none, true>(n); break;
      case Bounds::hard: send_as<Bounds::hard, true>(n); break;
      case Bounds::soft: send_as<Bounds::soft, true>(n); break;
    }
  }

  template <Bounds bounds, bool learns>
  void send_as(int64_t n) {
    for (int64_t k = 0; k < now.size(); ++k) {
      const int32_t source = now.get()[k];
      if (k + 2 < now.size()) foresee(now.get()[k + 2]);
      const int64_t begin = rows.pointer[source], end = rows.pointer[source + 1];
      if (begin == end) continue;
      const bool straight = is_run(source) && !s.of.delay;
      // Only a target that spikes too needs more than the depression.
      if (straight && learns && plastic[source] == kAll && !any_spiked(begin, end))
        pass_run<bounds, true>(begin, end, n);
      else if (straight && (!learns || plastic[source] == kNone))
        pass_run<bounds, false>(begin, end, n);
      else
        pass<bounds, learns>(source, begin, end, n);
    }
    if (!learns) return;
    const int32_t *const targets = now.get();
    for (int64_t k = 0; k < now.size(); ++k) {
      if (k + 2 < now.size()) foresee_column(targets[k + 2]);
      strengthen<bounds>(targets[k], k + 1 < now.size() ? targets[k + 1] : -1);
    }
  }

  // Whether the targets follow each other, as when `run` was found, and all of them exist.
  bool is_run(int64_t source) const {
    const int64_t begin = rows.pointer[source], end = rows.pointer[source + 1];
    return s.run[source] && begin < end && rows.neuron[begin] + (end - begin) <= neurons;
  }

  void foresee(int32_t source) const {
    const int64_t begin = rows.pointer[source], end = rows.pointer[source + 1];
    const int64_t most = end < begin + 256 ? end : begin + 256;
    for (int64_t at = begin; at < most; at += kLine / int64_t(sizeof(Real)))
      __builtin_prefetch(weight + at, 1);
    for (int64_t at = begin; at < most; at += kLine / int64_t(sizeof(Index)))
      __builtin_prefetch(rows.neuron + at);
  }

  bool any_spiked(int64_t begin, int64_t end) const {
    const uint8_t *const from = spiked.get() + rows.neuron[begin];
    int any = 0;
    for (int64_t j = 0; j < end - begin; ++j) any |= from[j];
    return any;
  }

  Real *arriving(int64_t n) const { return pending + (s.first + n) % ring * neurons; }

  // A row whose targets follow each other, none of which spikes.
  template <Bounds bounds, bool learns>
  void pass_run(int64_t begin, int64_t end, int64_t n) const {
    const int64_t low = rows.neuron[begin];
    Real *__restrict const to = arriving(n + s.of.shortest) + low;
    Real *__restrict const w = weight + begin;
    const Real *__restrict const trace = post + low;
    for (int64_t j = 0; j < end - begin; ++j) {
      to[j] += w[j];
      if (learns) w[j] = changed<bounds>(w[j], Real(0), trace[j] * a_minus);
    }
  }

  template <Bounds bounds, bool learns>
  void pass(int32_t source, int64_t begin, int64_t end, int64_t n) const {
    Real *const common = arriving(n + s.of.shortest);
    const Real trace = traced(source);
    for (int64_t at = begin; at < end; ++at) {
      const int64_t target = rows.neuron[at];
      Real *to = common;
      if (s.of.delay) {
        const int64_t delay = s.of.delay[at];
        if (delay < 0 || delay >= ring) continue;
        to = arriving(n + delay);
      }
      to[target] += weight[at];
      if (!learns || (s.pairs.plastic && !s.pairs.plastic[at])) continue;
      const Real grows = spiked[target] ? trace * a_plus : Real(0);
      weight[at] = changed<bounds>(weight[at], grows, post[target] * a_minus);
    }
  }

  // The presynaptic trace that a postsynaptic spike of this step reads.
  Real traced(int64_t source) const {
    if (!s.pairs.coincidence || !spiked[source]) return pre[source];
    return s.pairs.nearest ? (pre[source] > 1 ? pre[source] : Real(1)) : pre[source] + Real(1);
  }

  void foresee_column(int32_t target) const {
    const int64_t begin = columns.pointer[target], end = columns.pointer[target + 1];
    const int64_t most = end < begin + 256 ? end : begin + 256;
    for (int64_t at = begin; at < most; at += kLine / int64_t(sizeof(Index))) {
      __builtin_prefetch(place + at);
      __builtin_prefetch(columns.neuron + at);
    }
  }

  // The synapses onto a neuron that spikes, except from sources that do too. Their weights are far
  // apart, so those onto the next neuron are fetched meanwhile.
  template <Bounds bounds>
  void strengthen(int32_t target, int32_t following) const {
    const int64_t begin = columns.pointer[target], end = columns.pointer[target + 1];
    const int64_t next = following < 0 ? 0 : columns.pointer[following] - begin;
    const int64_t last = following < 0 ? 0 : columns.pointer[following + 1];
    for (int64_t at = begin; at < end; ++at) {
      if (at + next < last) __builtin_prefetch(weight + place[at + next], 1);
      const int64_t source = columns.neuron[at], here = place[at];
      if (spiked[source] || (s.pairs.plastic && !s.pairs.plastic[here])) continue;
      weight[here] = changed<bounds>(weight[here], pre[source] * a_plus, Real(0));
    }
  }

  // What arrives in step n is lost where it would change a frozen variable.
  void receive(int64_t n) {
    const Train &events = s.of.events;
    const Real *const jump = static_cast<const Real *>(events.jump);
    const int64_t end = events.begin[1];
    for (; next_event < end && events.step[next_event] <= n; ++next_event) {
      const int64_t i = events.neuron[next_event];
      if (events.step[next_event] < n || uint64_t(i) >= uint64_t(neurons)) continue;
      if (active[i]) u[i] += jump[next_event];
    }
    Real *__restrict const more = arriving(n);
    Real *__restrict const to = g ? g : u;
    const bool all = s.of.neurons.synapse == Synapse::current_free;
    const uint8_t *__restrict const may = active.get();
    for (int64_t i = 0; i < neurons; ++i) {
      const Real added = to[i] + more[i];
      to[i] = all || may[i] ? added : to[i];
      more[i] = 0;
    }
  }

  void reset(int64_t n) {
    const Real *const potential = constant(5);
    for (int64_t k = 0; k < now.size(); ++k) {
      const int64_t i = now.get()[k];
      u[i] = potential[i];
      if (s.of.neurons.synapse == Synapse::current_held) g[i] = 0;
      const int32_t steps = s.of.neurons.refractory[s.of.neurons.uniform ? 0 : i];
      until[i] = int32_t(n + (steps > 1 ? steps : 1));
    }
  }

  void decay_traces() const {
    for (int64_t k = 0; k < now.size(); ++k) {
      const int64_t i = now.get()[k];
      for (Real *const trace : {pre + i, post + i})
        *trace = s.pairs.nearest ? (*trace > 1 ? *trace : Real(1)) : *trace + Real(1);
    }
    const Real keep_plus = Real(s.pairs.keep_plus), keep_minus = Real(s.pairs.keep_minus);
    for (int64_t i = 0; i < neurons; ++i) pre[i] *= keep_plus;
    for (int64_t i = 0; i < neurons; ++i) post[i] *= keep_minus;
  }

  void decay_thresholds() const {
    const Real *const keep = static_cast<const Real *>(s.thresholds.keep);
    const Real *const increment = static_cast<const Real *>(s.thresholds.increment);
    for (int64_t i = 0; i < neurons; ++i) theta[i] *= keep[i];
    for (int64_t k = 0; k < now.size(); ++k) theta[now.get()[k]] += increment[now.get()[k]];
  }

  // Rows are in the order of sources, so that each sum runs over them in this order.
  void scale() const {
    for (int64_t i = 0; i < neurons; ++i) sum[i] = 0;
    each_row([this](int64_t at, int64_t target) {
      sum[target] += weight[at] < 0 ? -weight[at] : weight[at];
    });
    const Real total = Real(s.scaling.total);
    for (int64_t i = 0; i < neurons; ++i) sum[i] = sum[i] > 0 ? total / sum[i] : Real(1);
    each_row([this](int64_t at, int64_t target) { weight[at] *= sum[target]; });
    if (s.pairs.bounds == Bounds::none) return;
    each_row([this](int64_t at, int64_t) {
      if (weight[at] > top && (!s.pairs.plastic || s.pairs.plastic[at])) weight[at] = top;
    });
  }

  template <class Work>
  void each_row(const Work &work) const {
    for (int64_t source = 0; source < neurons; ++source) {
      const int64_t begin = rows.pointer[source], end = rows.pointer[source + 1];
      if (begin == end) continue;
      const int64_t low = rows.neuron[begin];
      if (chosen[source] == kNone) continue;
      if (is_run(source) && chosen[source] == kAll) {
#pragma GCC ivdep
        for (int64_t at = begin; at < end; ++at) work(at, low + at - begin);
        continue;
      }
      for (int64_t at = begin; at < end; ++at)
        if (chosen[source] == kAll || s.scaling.chosen[at]) work(at, rows.neuron[at]);
    }
  }

  bool write(Spikes &out) const {
    out.count = step.size();
    const size_t bytes = sizeof(int32_t) * size_t(out.count + 1);
    out.step = static_cast<int32_t *>(std::malloc(bytes));
    out.neuron = static_cast<int32_t *>(std::malloc(bytes));
    if (!out.step || !out.neuron) return false;
    if (out.count) std::memcpy(out.step, step.get(), sizeof(int32_t) * size_t(out.count));
    if (out.count) std::memcpy(out.neuron, neuron.get(), sizeof(int32_t) * size_t(out.count));
    return true;
  }

  const Problem &p;
  const PlasticSimulation &s;
  const Csr<Index> rows, columns;
  const Index *const place;
  const int64_t neurons, ring;
  Real *const weight, *const pre, *const post, *const theta, *const pending, *const u, *const g;
  const Real a_plus, a_minus, top;
  Memory<int32_t> until;  // the step from which on a neuron is not refractory
  Memory<uint8_t> active, spiked;
  Memory<uint8_t> plastic, chosen;  // the share of each row
  Memory<Real> constants, sum;
  List now, step, neuron;
  int64_t next_event = 0;
};

template <class Real>
Outcome simulate(const Problem &p, const PlasticSimulation &s, Spikes *out) {
  return p.wide ? PlasticRunner<Real, int64_t>(p, s).run(*out)
                : PlasticRunner<Real, int32_t>(p, s).run(*out);
}

template <class Index>
Outcome find_places_as(const Problem &p, const Places &found) {
  const Csr<Index> rows(p.by_source, p), columns(p.by_target, p);
  if (!rows.is_sound(p.threads) || !columns.is_sound(p.threads)) return Outcome::refused;
  Index *const place = static_cast<Index *>(found.place);
  Memory<Index> next;
  if (!next.make(p.neurons)) return Outcome::no_memory;
  for (int64_t i = 0; i < p.neurons; ++i) next[i] = columns.pointer[i];
  for (int64_t source = 0; source < p.neurons; ++source) {
    const int64_t begin = rows.pointer[source], end = rows.pointer[source + 1];
    bool run = true;
    for (int64_t at = begin; at < end; ++at) {
      const Index target = rows.neuron[at];
      if (at > begin) run = run && target == rows.neuron[at - 1] + 1;
      if (next[target] >= columns.pointer[target + 1]) return Outcome::refused;
      place[next[target]++] = Index(at);
    }
    found.run[source] = run;
  }
  return Outcome::done;
}

Outcome find_places(const Problem &p, const Places &found) {
  return p.wide ? find_places_as<int64_t>(p, found) : find_places_as<int32_t>(p, found);
}

}  // namespace

#define JOIN(a, b) a##b
#define NAME(set) JOIN(plastic_kernels_of_, set)

PlasticKernels NAME(INSTRUCTION_SET)() {
  return {simulate<float>, simulate<double>, find_places};
}

}  // namespace sparsebrain
