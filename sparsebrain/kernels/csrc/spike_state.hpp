// What one thread keeps of a simulation: its neurons' state, what arrives at them, and their spikes.
#pragma once

#include <cstdlib>
#include <cstring>

#include "index.hpp"
#include "spikes.hpp"
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
// The most steps that a group takes at once, and the most bytes of arrivals: a pass over all neurons
// costs more than arrivals that leave a core's own cache and are prefetched.
constexpr int64_t kSpan = 18;
constexpr int64_t kArrivalBytes = 16 * 1024 * 1024;
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
  // The steps of a span at which spikes and input reach a group, one bit each.
  Memory<uint32_t> marks, inputs;
  Window windows[2];
  List now[kSpan];  // the spikes of each step of a span
  List step, neuron;
  int64_t next_event = 0;
  bool refused = false, no_memory = false;

  // The row of what arrived in the step before n.
  int64_t row_before(int64_t n) const { return (n + rows - 1) % rows; }

  // The steps to take at once, so that what arrives in them does not outgrow kArrivalBytes.
  int64_t span_for(double arrivals) const {
    const double reached = arrivals < double(groups) ? arrivals : double(groups);
    const double fits = double(kArrivalBytes) / (sizeof(Real) * kGroup) / (reached + 1);
    return fits < 2 ? 2 : fits < kSpan ? int64_t(fits) : kSpan;
  }

  // Changes the length of the ring before step n, when only what arrived in step n - 1 is in it.
  void set_rows(int64_t count, int64_t n) {
    const int64_t from = row_before(n);
    rows = count;
    const int64_t to = row_before(n);
    if (from == to) return;
    for (int64_t group = 0; group < groups; ++group) {
      move(touched, arriving, from, to, group);
      move(jumped, jumps, from, to, group);
    }
  }

  void move(Memory<uint8_t> &marked, Memory<Real> &values, int64_t from, int64_t to, int64_t group) {
    if (!marked[from * groups + group]) return;
    Real *const source = values.get() + from * padded + group * kGroup;
    std::memcpy(values.get() + to * padded + group * kGroup, source, sizeof(Real) * kGroup);
    std::memset(source, 0, sizeof(Real) * kGroup);
    marked[from * groups + group] = 0;
    marked[to * groups + group] = 1;
  }

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
           marks.make(groups) && inputs.make(groups) && windows[0].reset() && windows[1].reset();
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

}  // namespace
}  // namespace sparsebrain
