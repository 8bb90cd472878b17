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
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace sparsebrain {
namespace {

// Neurons that share the marks of arrivals and of refractory times.
constexpr int64_t kGroup = 64;
constexpr int64_t kNever = INT32_MAX;
// Steps that a group takes at once, while its state is in registers or the nearest cache, where few
// neurons receive anything and where many do.
constexpr int64_t kSpan = 16;
constexpr int64_t kBusySpan = 4;
constexpr size_t kPage = size_t(2) << 20;

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

// Zeroed, and aligned to cache lines. Scattered sums need large pages, which the system zeroes when
// they are first written.
template <class T>
class Memory {
 public:
  Memory() = default;
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  ~Memory() { release(); }

  bool make(int64_t count) {
    release();
    bytes_ = size_t(count) * sizeof(T) + kLine;
#if defined(MADV_HUGEPAGE)
    if (bytes_ >= kPage / 2) {
      bytes_ = (bytes_ + kPage - 1) / kPage * kPage + kPage;
      void *mapped = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (mapped == MAP_FAILED) return false;
      mapped_ = mapped;
      madvise(mapped_, bytes_, MADV_HUGEPAGE);
      data_ = reinterpret_cast<T *>((uintptr_t(mapped_) + kPage - 1) / kPage * kPage);
      return true;
    }
#endif
    bytes_ = (bytes_ + kLine - 1) / kLine * kLine;
    data_ = static_cast<T *>(std::aligned_alloc(kLine, bytes_));
    if (data_) std::memset(data_, 0, bytes_);
    return data_ != nullptr;
  }
  T *get() const { return data_; }
  T &operator[](int64_t at) const { return data_[at]; }

 private:
  void release() {
#if defined(MADV_HUGEPAGE)
    if (mapped_) munmap(mapped_, bytes_);
    if (mapped_) data_ = nullptr;
    mapped_ = nullptr;
#endif
    std::free(data_);
    data_ = nullptr;
  }

  T *data_ = nullptr;
  void *mapped_ = nullptr;
  size_t bytes_ = 0;
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
  // What arrives in a step counts at the start of the next one. Rows are steps, in a ring.
  Memory<Real> u, g, arriving, jumps, constants;
  Memory<Whole> until;   // the step from which on a neuron is not refractory
  Memory<int32_t> busy;  // the largest of them in each group
  Memory<uint8_t> touched, jumped;  // the groups with arrivals and with jumps, in each row
  Window windows[2];
  List now[kSpan];  // the spikes of each step of a span
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
    rows = s.delay && s.longest > kSpan ? s.longest + 1 : kSpan + 1;
    const bool events = s.events.begin[s.samples] > 0;
    return u.make(padded) && g.make(s.g ? padded : 0) && arriving.make(padded * rows) &&
           jumps.make(events ? padded * rows : 0) &&
           constants.make(s.neurons.uniform ? 0 : 6 * padded) && until.make(padded) &&
           busy.make(groups) && touched.make(groups * rows) && jumped.make(groups * rows) &&
           windows[0].reset() && windows[1].reset();
  }

  void enter(const Problem &p, const Simulation &s, int64_t sample) {
    const int64_t from = sample * p.neurons + low, count = high - low;
    std::memcpy(u.get(), static_cast<const Real *>(s.u) + from, sizeof(Real) * count);
    if (s.g) std::memcpy(g.get(), static_cast<const Real *>(s.g) + from, sizeof(Real) * count);
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

  // All rows are zero again for the next sample.
  void leave(const Problem &p, const Simulation &s, int64_t sample) const {
    for (int64_t at = 0; at < groups * rows; ++at) {
      const int64_t from = at / groups * padded + at % groups * kGroup;
      if (touched[at]) std::memset(arriving.get() + from, 0, sizeof(Real) * kGroup);
      if (jumped[at]) std::memset(jumps.get() + from, 0, sizeof(Real) * kGroup);
      touched[at] = jumped[at] = 0;
    }
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
  static constexpr int kVectors = int(kGroup) / lanes;
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

  // Coefficients as the loops read them.
  template <bool uniform>
  struct Constants {
    Value decay, drive, transfer, synapse_decay, limit;
    const Real *of_neurons;
    int64_t padded;

    explicit Constants(const Runner &r)
        : decay(one(r.s.neurons.decay)),
          drive(one(r.s.neurons.drive)),
          transfer(one(r.s.neurons.transfer)),
          synapse_decay(one(r.s.neurons.synapse_decay)),
          limit(one(r.s.neurons.threshold)),
          of_neurons(r.w.constants.get()),
          padded(r.w.padded) {}

    static Value one(const void *value) {
      return uniform && value ? V::all(*static_cast<const Real *>(value)) : Value{};
    }
    INLINE Value at(Value shared, int which, int64_t i) const {
      return uniform ? shared : V::load(of_neurons + which * padded + i);
    }
  };

  // u <- a u + (k g + c I), and g <- b g. Returns the lanes that are above the threshold.
  template <Synapse synapse, bool uniform>
  static INLINE Mask advance(const Constants<uniform> &c, int64_t at, Value &u, Value &g) {
    Value next = c.at(c.decay, 0, at) * u;
    if (synapse == Synapse::voltage) {
      next = next + c.at(c.drive, 1, at);
    } else {
      next = next + (c.at(c.transfer, 2, at) * g + c.at(c.drive, 1, at));
      g = c.at(c.synapse_decay, 3, at) * g;
    }
    u = next;
    return next > c.at(c.limit, 4, at);
  }

  // One step of a group: what arrived in the step before, the integration, and whether a neuron is
  // above its threshold. `cautious` where one is refractory, or was when it arrived.
  template <Synapse synapse, bool uniform, bool touched, bool jumped, bool cautious>
  INLINE bool integrate(const Constants<uniform> &c, int64_t group,
                        typename Worker<Real>::Whole n, Real *arriving, Real *jumps) const {
    constexpr bool current = synapse != Synapse::voltage;
    constexpr bool held = synapse != Synapse::current_free;
    // Stores could change what lies behind a pointer, but no local value.
    Real *const us = w.u.get(), *const gs = w.g.get();
    const typename Worker<Real>::Whole *const untils = w.until.get();
    const int64_t begin = group * kGroup;
    Mask above{};
    for (int v = 0; v < kVectors; ++v) {
      const int64_t at = begin + v * lanes;
      Value u = V::load(us + at), g{};
      Mask was{}, is{};
      if (cautious) {
        const Mask until = V::load(untils + at);
        was = until > n - 1;
        is = until > n;
      }
      if (current) g = V::load(gs + at);
      if (jumped) {
        const Value more = V::load(jumps + at);
        u = was ? u : u + more;
        V::store(jumps + at, Value{});
      }
      if (touched) {
        const Value more = V::load(arriving + at);
        Value &to = current ? g : u;
        to = cautious && held ? (was ? to : to + more) : to + more;
        V::store(arriving + at, Value{});
      }
      Value next = u, decayed = g;
      Mask spikes = advance<synapse, uniform>(c, at, next, decayed);
      if (cautious) {
        next = is ? u : next;
        if (held) decayed = is ? g : decayed;
        spikes &= ~is;
      }
      if (current) V::store(gs + at, decayed);
      V::store(us + at, next);
      above |= spikes;
    }
    return V::any(above);
  }

  // Whether nothing reached a group in the step before, and no neuron of it is refractory.
  bool is_quiet(int64_t group, int64_t n, int64_t row) const {
    const int64_t at = row * w.groups + group;
    return !w.touched[at] && !w.jumped[at] && w.busy[group] <= n - 1;
  }

  // Steps of a quiet group, up to `end` or until a neuron is above its threshold. Returns whether
  // one is; n is then its step, and else the first step that is not done.
  template <Synapse synapse, bool uniform>
  INLINE bool integrate_quiet(const Constants<uniform> &c, int64_t group, int64_t &n, int64_t end,
                              int64_t &row) const {
    Real *const us = w.u.get() + group * kGroup, *const gs = w.g.get() + group * kGroup;
    Value u[kVectors], g[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      u[v] = V::load(us + v * lanes);
      if (synapse != Synapse::voltage) g[v] = V::load(gs + v * lanes);
    }
    bool spikes = false;
    while (true) {
      Mask above{};
      for (int v = 0; v < kVectors; ++v)
        above |= advance<synapse, uniform>(c, group * kGroup + v * lanes, u[v], g[v]);
      spikes = V::any(above);
      if (spikes) break;
      ++n;
      row = row + 1 < w.rows ? row + 1 : 0;
      if (n == end || !is_quiet(group, n, row)) break;
    }
    for (int v = 0; v < kVectors; ++v) {
      V::store(us + v * lanes, u[v]);
      if (synapse != Synapse::voltage) V::store(gs + v * lanes, g[v]);
    }
    return spikes;
  }

  void spike(int64_t group, int64_t n, List &now) const {
    const int64_t end = (group + 1) * kGroup;
    for (int64_t i = group * kGroup; i < end; ++i) {
      if (!(w.u[i] > threshold(i)) || w.until[i] > n) continue;
      if (s.neurons.silent && s.neurons.silent[w.low + i]) continue;
      if (!now.add(int32_t(w.low + i))) w.no_memory = true;
      w.u[i] = reset(i);
      if (s.neurons.synapse == Synapse::current_held) w.g[i] = 0;
      const int32_t steps = s.neurons.refractory[s.neurons.uniform ? 0 : w.low + i];
      w.until[i] = n + (steps > 1 ? steps : 1);
      if (w.busy[group] < w.until[i]) w.busy[group] = int32_t(w.until[i]);
    }
  }

  int64_t row_before(int64_t n) const { return (n + w.rows - 1) % w.rows; }

  template <Synapse synapse, bool uniform>
  void integrate_all(int64_t first, int64_t end) const {
    const Constants<uniform> c(*this);
    for (int64_t group = 0; group < w.groups; ++group) {
      int64_t row = row_before(first);
      for (int64_t n = first; n < end;) {
        bool above;
        if (is_quiet(group, n, row)) {
          above = integrate_quiet<synapse, uniform>(c, group, n, end, row);
          if (!above) continue;
        } else {
          Real *const arriving = w.arriving.get() + row * w.padded;
          Real *const jumps = w.jumps.get() + row * w.padded;
          uint8_t &touched = w.touched[row * w.groups + group];
          uint8_t &jumped = w.jumped[row * w.groups + group];
          if (jumped)
            above = integrate<synapse, uniform, true, true, true>(c, group, n, arriving, jumps);
          else if (w.busy[group] > n - 1)
            above = integrate<synapse, uniform, true, false, true>(c, group, n, arriving, jumps);
          else
            above = integrate<synapse, uniform, true, false, false>(c, group, n, arriving, jumps);
          touched = jumped = 0;
        }
        if (above) spike(group, n, w.now[n - first]);
        ++n;
        row = row + 1 < w.rows ? row + 1 : 0;
      }
    }
  }

  template <Synapse synapse>
  void integrate_as(int64_t first, int64_t end) const {
    s.neurons.uniform ? integrate_all<synapse, true>(first, end)
                      : integrate_all<synapse, false>(first, end);
  }

  // Steps [first, end), at most kSpan of them, at which everything that arrives is known.
  void integrate_span(int64_t first, int64_t end, Window &window) const {
    switch (s.neurons.synapse) {
      case Synapse::voltage: integrate_as<Synapse::voltage>(first, end); break;
      case Synapse::current_held: integrate_as<Synapse::current_held>(first, end); break;
      case Synapse::current_free: integrate_as<Synapse::current_free>(first, end); break;
    }
    bool room = true;
    for (int64_t n = first; n < end; ++n) {
      List &now = w.now[n - first];
      for (int64_t k = 0; k < now.size(); ++k)
        room &= window.neuron.add(now.get()[k]) && w.step.add(int32_t(n)) &&
                w.neuron.add(now.get()[k]);
      room &= window.end.add(int32_t(window.neuron.size()));
      now.clear();
    }
    if (!room) w.no_memory = true;
  }

  // What step n - 1 brought to a variable of a neuron.
  void settle(int64_t i, int64_t n, Real &u, Real &g) const {
    const int64_t at = row_before(n) * w.padded + i;
    const bool was = w.until[i] > n - 1;
    if (s.events.begin[s.samples] && !was) u += w.jumps[at];
    if (!was || !is_held()) (s.g ? g : u) += w.arriving[at];
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
      const bool inside = row.begin == row.end || most < size;
      for (int64_t at = row.begin; at < row.end; ++at) {
        const Unsigned to = Unsigned(neuron[at] - low);
        if (!inside && to >= size) {
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

  // Whether so many spikes in a step reach most groups.
  bool is_many(int64_t spikes) const {
    return spikes * p.synapses / (p.neurons + 1) > p.neurons / kGroup;
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
    const bool many = !s.delay && is_many(spikes);
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
      const int64_t span = is_many(before.neuron.size() / window) ? kBusySpan : kSpan;
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
        integrate_span(n, stop, own);
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
