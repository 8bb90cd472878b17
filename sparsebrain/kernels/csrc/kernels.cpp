// The loops over synapses, compiled once for each instruction set. Everything here has internal
// linkage and nothing of the standard library is instantiated: a template shared between the sets
// could end up with instructions that a machine lacks.
#include "kernels.hpp"

#include <cstdlib>

#include "vectors.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace sparsebrain {
namespace {

// A state of this size stays in a core's own cache with what is read beside it.
constexpr int64_t kCacheBytes = 512 * 1024;
constexpr int64_t kWorthThreads = 200'000;
constexpr int kWidths[] = {64, 32, 16, 8, 4, 1};

template <class Real>
class Buffer {
 public:
  explicit Buffer(int64_t size) {
    const size_t bytes = (sizeof(Real) * static_cast<size_t>(size) + 127) / 64 * 64;
    values_ = static_cast<Real *>(std::aligned_alloc(64, bytes));
  }
  ~Buffer() { std::free(values_); }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  Real *get() const { return values_; }

 private:
  Real *values_;
};

inline int thread_number() {
#if defined(_OPENMP)
  return omp_get_thread_num();
#else
  return 0;
#endif
}

inline int team_size() {
#if defined(_OPENMP)
  return omp_get_num_threads();
#else
  return 1;
#endif
}

inline void barrier() {
#if defined(_OPENMP)
#pragma omp barrier
#endif
}

template <class Index>
struct Csr {
  explicit Csr(const Rows &rows)
      : pointer(static_cast<const Index *>(rows.pointer)),
        neuron(static_cast<const Index *>(rows.neuron)),
        order(static_cast<const Index *>(rows.order)) {}

  // Where the share of one thread begins: rows and synapses are balanced together.
  int64_t begin_of(int64_t rows, int64_t synapses, int thread, int threads) const {
    const int64_t wanted = (rows + synapses) * thread / threads;
    int64_t low = 0, high = rows;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (pointer[middle] + middle < wanted)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }

  const Index *pointer;
  const Index *neuron;
  const Index *order;
};

struct Range {
  int64_t begin, end;
};

// Columns [begin, begin + width) of the batch.
struct Tile {
  int64_t begin;
  int width;
};

// The widest of kWidths, at most `most`, that still fits; the batch is cut without padding.
inline Tile tile_at(int64_t begin, int64_t batch, int64_t most) {
  for (int width : kWidths)
    if (width <= most && begin + width <= batch) return {begin, width};
  return {begin, 1};
}

// All that is done with `width` columns that lie side by side.
template <class Real, class Index, int width>
struct Columns {
  static constexpr int lanes =
      width < kBytes / int(sizeof(Real)) ? width : kBytes / int(sizeof(Real));
  static constexpr int count = width / lanes;
  using V = Vector<Real, lanes>;
  using Value = typename V::type;

  template <bool ordered>
  static inline void gather_row(const Csr<Index> &csr, const Real *weight, const Real *x,
                                int64_t stride, int64_t row, Value (&total)[count]) {
    for (Index at = csr.pointer[row]; at < csr.pointer[row + 1]; ++at) {
      const Real w = weight[ordered ? csr.order[at] : at];
      const Real *from = x + csr.neuron[at] * stride;
      for (int v = 0; v < count; ++v) total[v] += w * V::load(from + v * lanes);
    }
  }

  // y = f(W x + b + drive) for some rows; x and y have `stride` values a neuron.
  template <bool ordered>
  static void gather_as(const Csr<Index> &csr, Range rows, const Real *weight, const Real *x,
                        Real *y, int64_t stride, const Real *bias, const Real *drive, int kind) {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      Value total[count];
      for (int v = 0; v < count; ++v) total[v] = V::all(0);
      gather_row<ordered>(csr, weight, x, stride, row, total);
      for (int v = 0; v < count; ++v) {
        if (bias) total[v] += bias[row];
        if (drive) total[v] += V::load(drive + row * stride + v * lanes);
        V::store(y + row * stride + v * lanes, activate<Real, lanes>(total[v], kind));
      }
    }
  }

  static void gather(const Csr<Index> &csr, Range rows, const Real *weight, const Real *x, Real *y,
                     int64_t stride, const Real *bias, const Real *drive, int kind) {
    if (csr.order)
      gather_as<true>(csr, rows, weight, x, y, stride, bias, drive, kind);
    else
      gather_as<false>(csr, rows, weight, x, y, stride, bias, drive, kind);
  }

  // out[at] += post[row] . pre[neuron], for the places of one row.
  static inline void correlate_row(const Csr<Index> &csr, int64_t row, const Value (&post)[count],
                                   const Real *pre, int64_t stride, Real *out) {
    const Index end = csr.pointer[row + 1];
    Index at = csr.pointer[row];
    const auto product = [&](int j) {
      const Real *from = pre + csr.neuron[at + j] * stride;
      Value total = post[0] * V::load(from);
      for (int v = 1; v < count; ++v) total += post[v] * V::load(from + v * lanes);
      return total;
    };
    for (; at + lanes <= end; at += lanes)
      V::store(out + at, V::load(out + at) + sums<Real, lanes, lanes>(product));
    for (; at < end; ++at) out[at] += sum<Real, lanes>(product(0));
  }

  static void correlate(const Csr<Index> &csr, Range rows, const Real *post, const Real *pre,
                        int64_t stride, Real *out) {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      Value here[count];
      for (int v = 0; v < count; ++v) here[v] = V::load(post + row * stride + v * lanes);
      correlate_row(csr, row, here, pre, stride, out);
    }
  }

  static void pack(const Real *from, int64_t batch, int64_t begin, Range rows, Real *to) {
    for (int64_t row = rows.begin; row < rows.end; ++row)
      std::memcpy(to + row * width, from + row * batch + begin, sizeof(Real) * width);
  }

  static void unpack(const Real *from, Range rows, int64_t batch, int64_t begin, Real *to) {
    for (int64_t row = rows.begin; row < rows.end; ++row)
      std::memcpy(to + row * batch + begin, from + row * width, sizeof(Real) * width);
  }

  // One step back through f and the products with the state before, for some targets: `grad`
  // becomes the gradient at f's argument.
  static void descend(const Csr<Index> &csr, Range rows, const Real *outside, int64_t batch,
                      int64_t begin, const Real *after, const Real *before, Real *grad, int kind,
                      Real *grad_weight, Real *grad_drive, Real *grad_bias) {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      Value local[count], over_batch = V::all(0);
      for (int v = 0; v < count; ++v) {
        const int64_t here = row * width + v * lanes;
        local[v] = V::load(grad + here);
        if (outside) local[v] += V::load(outside + row * batch + begin + v * lanes);
        local[v] = differentiate<Real, lanes>(local[v], V::load(after + here), kind);
        V::store(grad + here, local[v]);
        if (grad_drive) V::store(grad_drive + here, V::load(grad_drive + here) + local[v]);
        over_batch += local[v];
      }
      if (grad_bias) grad_bias[row] += sum<Real, lanes>(over_batch);
      if (grad_weight) correlate_row(csr, row, local, before, width, grad_weight);
    }
  }

  static void forward(const Problem &p, const Forward &f, int64_t begin, Range rows, bool alone,
                      Real *scratch) {
    const Csr<Index> csr(p.by_target);
    const int64_t size = p.neurons * width;
    Real *drive = nullptr;
    // Without a tape two states take turns; the drive stands behind them.
    Real *states = f.tape ? static_cast<Real *>(f.tape) + begin * (f.loops + 1) * p.neurons
                          : scratch;
    pack(static_cast<const Real *>(f.state), p.batch, begin, rows, states);
    if (f.drive) {
      drive = scratch + (f.tape ? 0 : 2 * size);
      pack(static_cast<const Real *>(f.drive), p.batch, begin, rows, drive);
    }
    for (int64_t loop = 0; loop < f.loops; ++loop) {
      if (!alone) barrier();
      const Real *x = states + (f.tape ? loop : loop % 2) * size;
      Real *y = states + (f.tape ? loop + 1 : (loop + 1) % 2) * size;
      gather(csr, rows, static_cast<const Real *>(f.weight), x, y, width,
             static_cast<const Real *>(f.bias), drive, static_cast<int>(f.activation));
      if (f.keep || loop + 1 == f.loops)
        unpack(y, rows, p.batch, begin, static_cast<Real *>(f.out[f.keep ? loop : 0]));
    }
    if (!alone) barrier();
  }

  // `targets` and `sources` are the rows of this thread; `scratch` holds two gradients and that of
  // the drive, the weights' gradient is in the order of the rows.
  static void backward(const Problem &p, const Backward &b, int64_t begin, Range targets,
                       Range sources, bool alone, Real *scratch, Real *grad_weight,
                       Real *grad_bias) {
    const Csr<Index> by_target(p.by_target), by_source(p.by_source);
    const int64_t size = p.neurons * width;
    const Real *tape = static_cast<const Real *>(b.tape) + begin * (b.loops + 1) * p.neurons;
    Real *grad = scratch, *next = scratch + size;
    Real *grad_drive = b.grad_drive ? scratch + 2 * size : nullptr;
    clear(grad, targets);
    if (grad_drive) clear(grad_drive, targets);
    for (int64_t loop = b.loops; loop > 0; --loop) {
      const Real *outside = static_cast<const Real *>(b.grads[loop - 1]);
      descend(by_target, targets, outside, p.batch, begin, tape + loop * size,
              tape + (loop - 1) * size, grad, static_cast<int>(b.activation), grad_weight,
              grad_drive, grad_bias);
      if (!alone) barrier();
      gather(by_source, sources, static_cast<const Real *>(b.weight), grad, next, width, nullptr,
             nullptr, 0);
      if (!alone) barrier();
      Real *const done = grad;
      grad = next;
      next = done;
    }
    unpack(grad, targets, p.batch, begin, static_cast<Real *>(b.grad_state));
    if (grad_drive) unpack(grad_drive, targets, p.batch, begin, static_cast<Real *>(b.grad_drive));
    if (!alone) barrier();
  }

  static void clear(Real *values, Range rows) {
    std::memset(values + rows.begin * width, 0, sizeof(Real) * width * (rows.end - rows.begin));
  }
};

// Calls `Work::run<width>` with the width of a tile as a constant.
template <class Work>
inline void with_width(int width, const Work &work) {
  switch (width) {
    case 64: work.template run<64>(); break;
    case 32: work.template run<32>(); break;
    case 16: work.template run<16>(); break;
    case 8: work.template run<8>(); break;
    case 4: work.template run<4>(); break;
    default: work.template run<1>();
  }
}

template <class Real, class Index>
struct Algorithms {
  // How threads share a loop: each takes tiles of its own and runs all loops in its cache, or, for
  // states that outgrow it, all take a share of the rows of one tile after the other.
  struct Plan {
    int threads;
    bool tiles_apart;
  };

  static Plan plan(const Problem &p, int64_t loops) {
    const int64_t work = (p.synapses + p.neurons) * p.batch * loops;
    int threads = work < kWorthThreads ? 1 : p.threads;
    const bool fits = p.neurons * p.tile * int64_t(sizeof(Real)) <= kCacheBytes;
    const int64_t tiles = (p.batch + p.tile - 1) / p.tile;
    if (fits && tiles >= threads) return {threads, true};
    return {threads, threads == 1};
  }

  static int owner_of(const Tile &tile, int64_t batch, int threads) {
    return int(tile.begin * threads / batch);
  }

  struct ForwardWork {
    const Problem &p;
    const Forward &f;
    int64_t begin;
    Range rows;
    bool alone;
    Real *scratch;
    template <int width>
    void run() const {
      Columns<Real, Index, width>::forward(p, f, begin, rows, alone, scratch);
    }
  };

  static bool loop(const Problem &p, const Forward &f) {
    const Csr<Index> csr(p.by_target);
    const Plan plan = Algorithms::plan(p, f.loops);
    const int64_t room = ((f.tape ? 0 : 2) + (f.drive ? 1 : 0)) * p.neurons * p.tile;
    Buffer<Real> scratch(room * (plan.tiles_apart ? plan.threads : 1));
    if (!scratch.get()) return false;
#pragma omp parallel num_threads(plan.threads) if (plan.threads > 1)
    {
      const int self = thread_number(), team = team_size();
      Range rows{0, p.neurons};
      if (!plan.tiles_apart)
        rows = {csr.begin_of(p.neurons, p.synapses, self, team),
                csr.begin_of(p.neurons, p.synapses, self + 1, team)};
      Real *own = scratch.get() + (plan.tiles_apart ? self * room : 0);
      Tile tile{0, 0};
      for (int64_t begin = 0; begin < p.batch; begin += tile.width) {
        tile = tile_at(begin, p.batch, p.tile);
        if (plan.tiles_apart && owner_of(tile, p.batch, team) != self) continue;
        with_width(tile.width, ForwardWork{p, f, begin, rows, plan.tiles_apart, own});
      }
    }
    return true;
  }

  struct BackwardWork {
    const Problem &p;
    const Backward &b;
    int64_t begin;
    Range targets, sources;
    bool alone;
    Real *scratch, *grad_weight, *grad_bias;
    template <int width>
    void run() const {
      Columns<Real, Index, width>::backward(p, b, begin, targets, sources, alone, scratch,
                                            grad_weight, grad_bias);
    }
  };

  static bool loop_backward(const Problem &p, const Backward &b) {
    const Csr<Index> by_target(p.by_target), by_source(p.by_source);
    const Plan plan = Algorithms::plan(p, b.loops);
    const int copies = plan.tiles_apart ? plan.threads : 1;
    const int64_t room = 3 * p.neurons * p.tile;
    Buffer<Real> scratch(room * copies);
    // Sums over the batch: one a thread where threads share a row, in the order of the rows.
    const int64_t sums = p.synapses + p.neurons;
    Buffer<Real> partial(sums * copies);
    if (!scratch.get() || !partial.get()) return false;
    std::memset(partial.get(), 0, sizeof(Real) * sums * copies);
#pragma omp parallel num_threads(plan.threads) if (plan.threads > 1)
    {
      const int self = thread_number(), team = team_size();
      Range targets{0, p.neurons}, sources{0, p.neurons};
      const Range share{by_target.begin_of(p.neurons, p.synapses, self, team),
                        by_target.begin_of(p.neurons, p.synapses, self + 1, team)};
      if (!plan.tiles_apart) {
        targets = share;
        sources = {by_source.begin_of(p.neurons, p.synapses, self, team),
                   by_source.begin_of(p.neurons, p.synapses, self + 1, team)};
      }
      const int number = plan.tiles_apart ? self : 0;
      Real *own = scratch.get() + number * room;
      Real *own_weight = partial.get() + number * sums;
      Real *own_bias = own_weight + p.synapses;
      Tile tile{0, 0};
      for (int64_t begin = 0; begin < p.batch; begin += tile.width) {
        tile = tile_at(begin, p.batch, p.tile);
        if (plan.tiles_apart && owner_of(tile, p.batch, team) != self) continue;
        with_width(tile.width,
                   BackwardWork{p, b, begin, targets, sources, plan.tiles_apart, own,
                                b.grad_weight ? own_weight : nullptr,
                                b.grad_bias ? own_bias : nullptr});
      }
      barrier();
      add_up(p, b, by_target, share, partial.get(), plan.tiles_apart ? team : 1, sums);
    }
    return true;
  }

  // The sums of all threads, always in the same order, and synapses back in theirs.
  static void add_up(const Problem &p, const Backward &b, const Csr<Index> &csr, Range rows,
                     const Real *partial, int copies, int64_t sums) {
    if (b.grad_weight) {
      Real *out = static_cast<Real *>(b.grad_weight);
      for (Index at = csr.pointer[rows.begin]; at < csr.pointer[rows.end]; ++at) {
        Real total = partial[at];
        for (int copy = 1; copy < copies; ++copy) total += partial[copy * sums + at];
        out[csr.order ? csr.order[at] : at] = total;
      }
    }
    if (b.grad_bias) {
      Real *out = static_cast<Real *>(b.grad_bias);
      for (int64_t row = rows.begin; row < rows.end; ++row) {
        Real total = partial[p.synapses + row];
        for (int copy = 1; copy < copies; ++copy) total += partial[copy * sums + p.synapses + row];
        out[row] = total;
      }
    }
  }

  struct ProductWork {
    const Csr<Index> &csr;
    Range rows;
    const Real *weight, *x;
    Real *y;
    int64_t batch;
    template <int width>
    void run() const {
      Columns<Real, Index, width>::gather(csr, rows, weight, x, y, batch, nullptr, nullptr, 0);
    }
  };

  static bool propagate(const Problem &p, const Product &m) {
    const Csr<Index> csr(m.transpose ? p.by_source : p.by_target);
    const int threads = plan(p, 1).threads;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
      const int self = thread_number(), team = team_size();
      const Range rows{csr.begin_of(p.neurons, p.synapses, self, team),
                       csr.begin_of(p.neurons, p.synapses, self + 1, team)};
      Tile tile{0, 0};
      for (int64_t begin = 0; begin < p.batch; begin += tile.width) {
        tile = tile_at(begin, p.batch, 64);
        with_width(tile.width, ProductWork{csr, rows, static_cast<const Real *>(m.weight),
                                           static_cast<const Real *>(m.x) + begin,
                                           static_cast<Real *>(m.y) + begin, p.batch});
      }
    }
    return true;
  }

  struct CorrelationWork {
    const Csr<Index> &csr;
    Range rows;
    const Real *post, *pre;
    Real *out;
    int64_t batch;
    template <int width>
    void run() const {
      Columns<Real, Index, width>::correlate(csr, rows, post, pre, batch, out);
    }
  };

  static bool correlate(const Problem &p, const Correlation &c) {
    const Csr<Index> csr(p.by_target);
    const int threads = plan(p, 1).threads;
    Buffer<Real> by_row(p.synapses);
    if (!by_row.get()) return false;
    Real *out = static_cast<Real *>(c.out);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
      const int self = thread_number(), team = team_size();
      const Range rows{csr.begin_of(p.neurons, p.synapses, self, team),
                       csr.begin_of(p.neurons, p.synapses, self + 1, team)};
      const Index first = csr.pointer[rows.begin], last = csr.pointer[rows.end];
      std::memset(by_row.get() + first, 0, sizeof(Real) * (last - first));
      Tile tile{0, 0};
      for (int64_t begin = 0; begin < p.batch; begin += tile.width) {
        tile = tile_at(begin, p.batch, 64);
        with_width(tile.width, CorrelationWork{csr, rows, static_cast<const Real *>(c.post) + begin,
                                               static_cast<const Real *>(c.pre) + begin,
                                               by_row.get(), p.batch});
      }
      for (Index at = first; at < last; ++at) out[csr.order ? csr.order[at] : at] = by_row.get()[at];
    }
    return true;
  }
};

template <class Real>
struct Entry {
  using Narrow = Algorithms<Real, int32_t>;
  using Wide = Algorithms<Real, int64_t>;
  static bool loop(const Problem &p, const Forward &f) {
    return p.wide ? Wide::loop(p, f) : Narrow::loop(p, f);
  }
  static bool loop_backward(const Problem &p, const Backward &b) {
    return p.wide ? Wide::loop_backward(p, b) : Narrow::loop_backward(p, b);
  }
  static bool propagate(const Problem &p, const Product &m) {
    return p.wide ? Wide::propagate(p, m) : Narrow::propagate(p, m);
  }
  static bool correlate(const Problem &p, const Correlation &c) {
    return p.wide ? Wide::correlate(p, c) : Narrow::correlate(p, c);
  }
  static Table<Real> table() { return {loop, loop_backward, propagate, correlate}; }
};

}  // namespace

#define JOIN(a, b) a##b
#define NAME(set) JOIN(kernels_of_, set)

Kernels NAME(INSTRUCTION_SET)() { return {Entry<float>::table(), Entry<double>::table()}; }

}  // namespace sparsebrain
