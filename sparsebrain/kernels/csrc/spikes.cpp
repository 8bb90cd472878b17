// Leaky integrate-and-fire neurons, step by step. All neurons are integrated at once; a spike walks
// along the row of its source. Compiled without contraction, so that every instruction set rounds as
// sparsebrain/kernels/spikes.py does.
#include "spikes.hpp"

#include <cstdlib>
#include <cstring>
#include <new>

#include "index.hpp"
#include "vectors.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace sparsebrain {
namespace {

// Neurons that share the marks of arrivals and of refractory times.
constexpr int64_t kGroup = 64;
constexpr int64_t kNever = INT32_MAX;

// Arithmetic on denormal numbers takes a hundred cycles each, and a current decays through all of
// them. They count as zero.
class NoDenormals {
 public:
#if defined(__SSE2__)
  NoDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~NoDenormals() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#endif
};

// Zeroed, and aligned to cache lines.
template <class T>
class Memory {
 public:
  Memory() = default;
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  ~Memory() { std::free(data_); }

  bool make(int64_t count) {
    const size_t bytes = (size_t(count) * sizeof(T) + kLine - 1) / kLine * kLine + kLine;
    std::free(data_);
    data_ = static_cast<T *>(std::aligned_alloc(kLine, bytes));
    if (data_) std::memset(data_, 0, bytes);
    return data_ != nullptr;
  }
  T *get() const { return data_; }
  T &operator[](int64_t at) const { return data_[at]; }

 private:
  T *data_ = nullptr;
};

// A list that grows. Where memory is short it stops growing and says so.
class List {
 public:
  List() = default;
  List(const List &) = delete;
  List &operator=(const List &) = delete;
  ~List() { std::free(data_); }

  bool add(int32_t value) {
    if (count_ == room_) {
      const int64_t room = room_ ? 2 * room_ : 1024;
      void *more = std::realloc(data_, size_t(room) * sizeof(int32_t));
      if (!more) return false;
      data_ = static_cast<int32_t *>(more);
      room_ = room;
    }
    data_[count_++] = value;
    return true;
  }
  void clear() { count_ = 0; }
  const int32_t *get() const { return data_; }
  int64_t size() const { return count_; }

 private:
  int32_t *data_ = nullptr;
  int64_t count_ = 0, room_ = 0;
};

template <class Real>
struct Signed;
template <>
struct Signed<float> {
  using type = int32_t;
};
template <>
struct Signed<double> {
  using type = int64_t;
};

template <class Real>
struct Wide {
  static constexpr int lanes = kBytes / int(sizeof(Real));
  typedef Real real __attribute__((vector_size(kBytes)));
  typedef typename Signed<Real>::type whole __attribute__((vector_size(kBytes)));

  static INLINE real load(const Real *from) {
    real value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  static INLINE whole load(const typename Signed<Real>::type *from) {
    whole value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  static INLINE void store(Real *to, real value) { std::memcpy(to, &value, sizeof value); }
  static INLINE real all(Real value) { return value - real{}; }
  static INLINE bool any(whole mask) {
#if defined(__AVX512F__)
    __m512i raw;
    std::memcpy(&raw, &mask, sizeof raw);
    return _mm512_test_epi32_mask(raw, raw) != 0;
#elif defined(__AVX2__)
    __m256i raw;
    std::memcpy(&raw, &mask, sizeof raw);
    return !_mm256_testz_si256(raw, raw);
#elif defined(__SSE2__)
    __m128i raw;
    std::memcpy(&raw, &mask, sizeof raw);
    return _mm_movemask_epi8(raw) != 0;
#else
    for (int lane = 0; lane < lanes; ++lane)
      if (mask[lane]) return true;
    return false;
#endif
  }
};

// Spikes of one window of steps: `end` says where each step's spikes end.
struct Window {
  List neuron, end;
  bool reset() {
    neuron.clear();
    end.clear();
    return end.add(0);
  }
};

template <class Real>
struct Worker;

// The threads that simulate one sample together, each with neurons of its own.
template <class Real>
struct Team {
  int64_t sample;
  int threads;
  Worker<Real> *workers;
};

// The neurons of one thread.
template <class Real>
struct Worker {
  using Whole = typename Signed<Real>::type;

  int64_t low = 0, high = 0, padded = 0, groups = 0, rows = 1;
  Memory<Real> u, g, arriving, constants;
  Memory<Whole> until;      // the step from which on a neuron is not refractory
  Memory<int32_t> busy;     // the largest of them in each group
  Memory<uint8_t> touched;  // the groups at which something arrives, for each row of `arriving`
  Window windows[2];
  List step, neuron;
  int64_t next_event = 0;
  bool refused = false, no_memory = false;

  bool make(const Problem &p, const Simulation &s, int self, int team) {
    const int64_t all = (p.neurons + kGroup - 1) / kGroup;
    low = all * self / team * kGroup;
    high = all * (self + 1) / team * kGroup;
    high = high < p.neurons ? high : p.neurons;
    low = low < high ? low : high;
    groups = (high - low + kGroup - 1) / kGroup;
    padded = groups * kGroup;
    rows = s.delay ? s.longest + 1 : 1;
    return u.make(padded) && g.make(s.g ? padded : 0) && arriving.make(padded * rows) &&
           constants.make(s.neurons.uniform ? 0 : 6 * padded) && until.make(padded) &&
           busy.make(groups) && touched.make(groups * rows) && windows[0].reset() &&
           windows[1].reset();
  }

  void enter(const Problem &p, const Simulation &s, int64_t sample) {
    const int64_t from = sample * p.neurons + low, count = high - low;
    std::memcpy(u.get(), static_cast<const Real *>(s.u) + from, sizeof(Real) * count);
    if (s.g) std::memcpy(g.get(), static_cast<const Real *>(s.g) + from, sizeof(Real) * count);
    std::memset(arriving.get(), 0, sizeof(Real) * padded * rows);
    std::memset(touched.get(), 0, groups * rows);
    for (int64_t i = 0; i < padded; ++i) {
      until[i] = i < count ? s.wait[from + i] : kNever;
      int32_t &most = busy[i / kGroup];
      if (i % kGroup == 0 || most < until[i]) most = int32_t(until[i]);
    }
    if (!s.neurons.uniform) {
      const void *const all[] = {s.neurons.decay,         s.neurons.drive,     s.neurons.transfer,
                                 s.neurons.synapse_decay, s.neurons.threshold, s.neurons.reset};
      for (int c = 0; c < 6; ++c)
        if (all[c])
          std::memcpy(constants.get() + c * padded, static_cast<const Real *>(all[c]) + low,
                      sizeof(Real) * count);
    }
    next_event = s.events.begin[sample];
    step.clear();
    neuron.clear();
    windows[0].reset();
    windows[1].reset();
  }

  void leave(const Problem &p, const Simulation &s, int64_t sample) const {
    const int64_t to = sample * p.neurons + low, count = high - low;
    std::memcpy(static_cast<Real *>(s.u) + to, u.get(), sizeof(Real) * count);
    if (s.g) std::memcpy(static_cast<Real *>(s.g) + to, g.get(), sizeof(Real) * count);
    for (int64_t i = 0; i < count; ++i)
      s.wait[to + i] = until[i] > s.steps ? int32_t(until[i] - s.steps) : 0;
  }
};

template <class Real, class Index>
struct Runner {
  using V = Wide<Real>;
  using Value = typename V::real;
  using Mask = typename V::whole;
  static constexpr int lanes = V::lanes;
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

  Real constant(const void *values, int which, int64_t i) const {
    return s.neurons.uniform ? *static_cast<const Real *>(values) : w.constants[which * w.padded + i];
  }
  Real threshold(int64_t i) const { return constant(s.neurons.threshold, 4, i); }
  Real reset(int64_t i) const { return constant(s.neurons.reset, 5, i); }
  bool is_held() const { return s.neurons.synapse != Synapse::current_free; }

  // One step of a group: what arrived in the step before, the integration, and whether a neuron is
  // above its threshold. `cautious` where one is refractory, or was when it arrived.
  template <Synapse synapse, bool uniform, bool touched, bool cautious>
  INLINE bool integrate(int64_t group, typename Worker<Real>::Whole n, Real *arriving) const {
    constexpr bool current = synapse != Synapse::voltage;
    constexpr bool held = synapse != Synapse::current_free;
    const Neurons &c = s.neurons;
    const auto one = [](const void *value) __attribute__((always_inline)) {
      return uniform && value ? V::all(*static_cast<const Real *>(value)) : Value{};
    };
    // Stores could change what lies behind a pointer, but no local value.
    const Value decay = one(c.decay), drive = one(c.drive), transfer = one(c.transfer),
                synapse_decay = one(c.synapse_decay), limit = one(c.threshold);
    const Real *const constants = w.constants.get();
    const int64_t padded = w.padded, end = (group + 1) * kGroup;
    const auto of = [&](Value shared, int which, int64_t at) __attribute__((always_inline)) {
      return uniform ? shared : V::load(constants + which * padded + at);
    };
    Real *const us = w.u.get(), *const gs = w.g.get();
    const typename Worker<Real>::Whole *const untils = w.until.get();
    Mask above{};
    for (int64_t at = group * kGroup; at < end; at += lanes) {
      Value u = V::load(us + at), g{};
      Mask was{}, is{};
      if (cautious) {
        const Mask until = V::load(untils + at);
        was = until > n - 1;
        is = until > n;
      }
      if (current) g = V::load(gs + at);
      if (touched) {
        const Value more = V::load(arriving + at);
        Value &to = current ? g : u;
        to = cautious && held ? (was ? to : to + more) : to + more;
        V::store(arriving + at, Value{});
      }
      Value next = of(decay, 0, at) * u;
      if (current)
        next = next + (of(transfer, 2, at) * g + of(drive, 1, at));
      else
        next = next + of(drive, 1, at);
      Mask spikes = next > of(limit, 4, at);
      if (current) {
        const Value decayed = of(synapse_decay, 3, at) * g;
        V::store(gs + at, cautious && held ? (is ? g : decayed) : decayed);
      }
      if (cautious) {
        next = is ? u : next;
        spikes &= ~is;
      }
      V::store(us + at, next);
      above |= spikes;
    }
    return V::any(above);
  }

  void spike(int64_t group, int64_t n, Window &window) const {
    const int64_t end = (group + 1) * kGroup;
    for (int64_t i = group * kGroup; i < end; ++i) {
      if (!(w.u[i] > threshold(i)) || w.until[i] > n) continue;
      if (s.neurons.silent && s.neurons.silent[w.low + i]) continue;
      if (!window.neuron.add(int32_t(w.low + i)) || !w.step.add(int32_t(n)) ||
          !w.neuron.add(int32_t(w.low + i)))
        w.no_memory = true;
      w.u[i] = reset(i);
      if (s.neurons.synapse == Synapse::current_held) w.g[i] = 0;
      const int32_t steps = s.neurons.refractory[s.neurons.uniform ? 0 : w.low + i];
      w.until[i] = n + (steps > 1 ? steps : 1);
      if (w.busy[group] < w.until[i]) w.busy[group] = int32_t(w.until[i]);
    }
  }

  template <Synapse synapse, bool uniform>
  void integrate_all(int64_t n, Window &window) const {
    const int64_t row = (n + w.rows - 1) % w.rows;
    Real *const arriving = w.arriving.get() + row * w.padded;
    uint8_t *const touched = w.touched.get() + row * w.groups;
    for (int64_t group = 0; group < w.groups; ++group) {
      bool above;
      if (w.busy[group] > n - 1)
        above = integrate<synapse, uniform, true, true>(group, n, arriving);
      else if (touched[group])
        above = integrate<synapse, uniform, true, false>(group, n, arriving);
      else
        above = integrate<synapse, uniform, false, false>(group, n, arriving);
      touched[group] = 0;
      if (above) spike(group, n, window);
    }
    if (!window.end.add(int32_t(window.neuron.size()))) w.no_memory = true;
  }

  template <Synapse synapse>
  void integrate_as(int64_t n, Window &window) const {
    s.neurons.uniform ? integrate_all<synapse, true>(n, window)
                      : integrate_all<synapse, false>(n, window);
  }

  void integrate_step(int64_t n, Window &window) const {
    switch (s.neurons.synapse) {
      case Synapse::voltage: return integrate_as<Synapse::voltage>(n, window);
      case Synapse::current_held: return integrate_as<Synapse::current_held>(n, window);
      case Synapse::current_free: return integrate_as<Synapse::current_free>(n, window);
    }
  }

  // What arrived in the last step, without integrating.
  void settle(int64_t n) const {
    const int64_t row = (n + w.rows - 1) % w.rows;
    const Real *arriving = w.arriving.get() + row * w.padded;
    for (int64_t i = 0; i < w.high - w.low; ++i) {
      if (is_held() && w.until[i] > n - 1) continue;
      (s.g ? w.g[i] : w.u[i]) += arriving[i];
    }
  }

  void record(int64_t n) const {
    const int64_t row = (n + w.rows - 1) % w.rows;
    for (int64_t k = 0; k < s.num_probes; ++k) {
      const Probe &probe = s.probes[k];
      if (n < probe.first || (n - probe.first) % probe.every) continue;
      const int64_t time = (n - probe.first) / probe.every;
      if (time >= probe.times) continue;
      Real *out = static_cast<Real *>(probe.out) + (sample * probe.times + time) * probe.count;
      for (int64_t j = 0; j < probe.count; ++j) {
        const int64_t i = probe.neuron[j] - w.low;
        if (i < 0 || i >= w.high - w.low) continue;
        Real value = probe.current ? w.g[i] : w.u[i];
        if (probe.current == (s.g != nullptr) && !(is_held() && w.until[i] > n - 1))
          value += w.arriving[row * w.padded + i];
        out[j] = value;
      }
    }
  }

  void receive(int64_t n) const {
    const Train &events = s.events;
    const Real *jump = static_cast<const Real *>(events.jump);
    const int64_t end = events.begin[sample + 1];
    for (; w.next_event < end && events.step[w.next_event] <= n; ++w.next_event) {
      const int64_t i = events.neuron[w.next_event] - w.low;
      if (events.step[w.next_event] < n || i < 0 || i >= w.high - w.low || w.until[i] > n) continue;
      w.u[i] += jump[w.next_event];
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

  // Adds the weights of the synapses of sources [begin, end) of a list that ends at `last`.
  void deliver(const int32_t *sources, int64_t begin, int64_t end, int64_t last) const {
    const int64_t low = w.low;
    const uint64_t size = uint64_t(w.high - low);
    const Index *const neuron = csr.neuron;
    const Real *const weights = weight;
    Real *const arriving = w.arriving.get();
    uint8_t *const touched = w.touched.get();
    for (int64_t j = begin; j < end; ++j) {
      if (j + 2 * kAheadRows < last && sources[j + 2 * kAheadRows] < p.neurons) {
        __builtin_prefetch(csr.pointer + sources[j + 2 * kAheadRows]);
        if (segments) __builtin_prefetch(segments + sources[j + 2 * kAheadRows]);
      }
      if (j + kAheadRows < last) foresee(sources[j + kAheadRows]);
      const Row row = row_of(sources[j]);
      for (int64_t at = row.begin; at < row.end; ++at) {
        const uint64_t to = uint64_t(int64_t(neuron[at]) - low);
        if (to >= size) {
          // Without segments a row may lead to neurons of other threads.
          if (uint64_t(neuron[at]) >= uint64_t(p.neurons) || segments) w.refused = true;
          continue;
        }
        arriving[to] += weights[at];
        touched[to / kGroup] = 1;
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
        deliver(recent.neuron, next_recent, next_recent + 1, end);
    }
  }

  // Spikes of a step of a window, in the order of the neurons.
  void deliver_window(const Team<Real> &team, int parity, int64_t k, int64_t n) const {
    for (int thread = 0; thread < team.threads; ++thread) {
      const Window &window = team.workers[thread].windows[parity];
      if (k + 1 >= window.end.size()) continue;
      const int64_t begin = window.end.get()[k], end = window.end.get()[k + 1];
      if (s.delay)
        deliver_later(window.neuron.get(), begin, end, n);
      else
        deliver(window.neuron.get(), begin, end, window.neuron.size());
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
      if (!own.reset()) w.no_memory = true;
      for (int64_t n = first; n < end && !w.no_memory; ++n) {
        record(n);
        integrate_step(n, own);
        receive(n);
        if (s.delay || !s.shortest) continue;
        if (n < s.shortest)
          deliver_recent(n - s.shortest, false);
        else
          deliver_window(team, parity ^ 1, n - first, n);
      }
      if (team.threads > 1) barrier();
      if (s.delay || !s.shortest)
        for (int64_t n = first; n < end; ++n) deliver_window(team, parity, n - first, n);
    }
    settle(s.steps);
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
