// The kernels of the loops over synapses: how threads share them, what they need of memory, and the
// cut of the batch into tiles.
#pragma once

#include "columns.hpp"
#include "segments.hpp"
#include "teams.hpp"

namespace sparsebrain {
namespace {

template <class Real, class Index, class Stored = Real>
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
    const bool fits = p.neurons * p.tile * int64_t(sizeof(Stored)) <= kCacheBytes;
    const int64_t tiles = (p.batch + p.tile - 1) / p.tile;
    if (fits && tiles >= threads) return {threads, true};
    return {threads, threads == 1};
  }

  // The rows of one thread, which never cut a pair.
  static Range share_of(const Csr<Index> &csr, const Problem &p, const Pairs &pairs, int self,
                        int team) {
    Range rows{csr.begin_of(p.neurons, p.synapses, self, team),
               csr.begin_of(p.neurons, p.synapses, self + 1, team)};
    if (!pairs.pair) return rows;
    if (self) rows.begin &= ~int64_t(1);
    if (self + 1 < team) rows.end &= ~int64_t(1);
    return rows;
  }

  // Copies weights into the order of some rows, or of their pairs.
  static void arrange_share(const Csr<Index> &csr, const Pairs &pairs, Range rows,
                            const Real *weight, Real *to) {
    if (!pairs.pair) return csr.arrange(rows, weight, to);
    const Index end = csr.pointer[rows.end];
    for (Index at = csr.pointer[rows.begin]; at < end; ++at) to[at] = weight[pairs.order[at]];
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
    bool care;
    int &astray;
    template <int width>
    void run() const {
      Columns<Real, Index, width, Stored>::forward(p, f, begin, rows, alone, scratch, care, astray);
    }
  };

  static Outcome loop(const Problem &p, const Forward &f) {
    const Csr<Index> csr(p.by_target, p);
    const Plan plan = Algorithms::plan(p, f.loops);
    // Of pairs, which nobody else can write to, no index is looked at again.
    if (f.pairs.pair ? !csr.is_sound(plan.threads) : !csr.is_cut_in_rows(plan.threads))
      return Outcome::refused;
    const int64_t states = (f.tape ? 0 : 2) + (f.fused.drive.data ? 1 : 0) + (f.fused.voltage ? 2 : 0);
    const int64_t room = states * p.neurons * p.tile;
    Buffer<Real> scratch(room * (plan.tiles_apart ? plan.threads : 1));
    if (!scratch.get()) return Outcome::no_memory;
    int astray = p.batch ? 0 : !csr.is_sound(plan.threads);
#pragma omp parallel num_threads(plan.threads) if (plan.threads > 1)
    {
      const int self = thread_number(), team = team_size();
      Range rows{0, p.neurons};
      if (!plan.tiles_apart) rows = share_of(csr, p, f.pairs, self, team);
      Real *own = scratch.get() + (plan.tiles_apart ? self * room : 0);
      Tile tile{0, 0};
      bool care = !f.pairs.pair;
      for (int64_t begin = 0; begin < p.batch && !is_set(astray); begin += tile.width) {
        tile = tile_at<Stored, Index>(begin, p.batch, p.tile);
        if (plan.tiles_apart && owner_of(tile, p.batch, team) != self) continue;
        with_width<Stored, Index>(tile.width, ForwardWork{p, f, begin, rows, plan.tiles_apart, own, care, astray});
        care = false;
      }
    }
    return astray ? Outcome::refused : Outcome::done;
  }

  struct BackwardWork {
    const Problem &p;
    const Backward &b;
    const Real *arranged;
    int64_t begin;
    Range targets, sources;
    bool alone;
    Real *scratch, *grad_weight, *grad_bias, *grad_leak;
    const Real *forth;
    bool arranged_forth;
    Real *of_segment;
    View *grads;
    template <int width>
    void run() const {
      if constexpr (std::is_same_v<Stored, Real>) {
        if (b.segment) {
          Segments<Real, Index, width>::backward(p, b, arranged, forth, arranged_forth, begin, targets,
                                                 sources, alone, scratch, of_segment, grads,
                                                 {grad_weight, grad_bias, grad_leak});
          return;
        }
      }
      Columns<Real, Index, width, Stored>::backward(p, b, arranged, begin, targets, sources, alone,
                                                    scratch, {grad_weight, grad_bias, grad_leak});
    }
  };

  static Outcome loop_backward(const Problem &p, const Backward &b) {
    const Csr<Index> by_target(p.by_target, p), by_source(p.by_source, p);
    const Plan plan = Algorithms::plan(p, b.loops);
    if (!by_target.is_sound(plan.threads) || !by_source.is_sound(plan.threads))
      return Outcome::refused;
    const int copies = plan.tiles_apart ? plan.threads : 1;
    const bool extra = b.fused.voltage || b.fused.narrow;
    const int64_t states = extra ? kScratch + 1 : needs_argument(b.fused) ? kScratch : 3;
    const int64_t of_segment = b.segment ? Segments<Real, Index, 1>::states(b) : 0;
    const int64_t room = (states + of_segment) * p.neurons * p.tile;
    Buffer<Real> scratch(room * copies);
    // Sums over the batch: one a thread where threads share a row, in the order of the rows.
    const int64_t sums = p.synapses + 2 * p.neurons;
    Buffer<Real> partial(sums * copies);
    if (!scratch.get() || !partial.get()) return Outcome::no_memory;
    // Weights in the order of the sources, once for all loops, where each would be far from the last.
    const bool arranged =
        b.pairs.pair || (by_source.order && b.loops > 1 && by_source.is_far(p.tile * sizeof(Stored)));
    Buffer<Real> weight(arranged ? p.synapses : 0);
    // The same in the order of the targets, which are read again for each segment.
    const bool arranged_forth = by_target.order && b.segment;
    Buffer<Real> forth(arranged_forth ? p.synapses : 0);
    Buffer<View> grads(b.segment * plan.threads);
    if (!weight.get() || !forth.get() || !grads.get()) return Outcome::no_memory;
    std::memset(partial.get(), 0, sizeof(Real) * sums * copies);
#pragma omp parallel num_threads(plan.threads) if (plan.threads > 1)
    {
      const int self = thread_number(), team = team_size();
      Range targets{0, p.neurons}, sources{0, p.neurons};
      const Range share = share_of(by_source, p, b.pairs, self, team);
      if (!plan.tiles_apart) {
        sources = share;
        targets = {by_target.begin_of(p.neurons, p.synapses, self, team),
                   by_target.begin_of(p.neurons, p.synapses, self + 1, team)};
      }
      const Real *given = static_cast<const Real *>(b.weight);
      if (arranged) arrange_share(by_source, b.pairs, share, given, weight.get());
      if (arranged_forth)
        by_target.arrange({by_target.begin_of(p.neurons, p.synapses, self, team),
                           by_target.begin_of(p.neurons, p.synapses, self + 1, team)},
                          given, forth.get());
      barrier();
      const int number = plan.tiles_apart ? self : 0;
      Real *own = scratch.get() + number * room;
      Real *own_weight = partial.get() + number * sums;
      Real *own_bias = own_weight + p.synapses;
      Real *own_leak = own_bias + p.neurons;
      Tile tile{0, 0};
      for (int64_t begin = 0; begin < p.batch; begin += tile.width) {
        tile = tile_at<Stored, Index>(begin, p.batch, p.tile);
        if (plan.tiles_apart && owner_of(tile, p.batch, team) != self) continue;
        with_width<Stored, Index>(tile.width,
                   BackwardWork{p, b, arranged ? weight.get() : nullptr, begin, targets, sources, plan.tiles_apart, own,
                                b.grad_weight ? own_weight : nullptr,
                                b.grad_bias ? own_bias : nullptr,
                                b.grad_leak ? own_leak : nullptr,
                                arranged_forth ? forth.get() : given, arranged_forth,
                                own + states * p.neurons * p.tile,
                                grads.get() + self * b.segment});
      }
      barrier();
      add_up(p, b, by_source, share, partial.get(), plan.tiles_apart ? team : 1, sums);
    }
    return Outcome::done;
  }

  // Whether the chunk of weights differs from what its words of the key were made of, which it then
  // replaces. A lane is a chain of bijections, so that one changed value in it never goes unseen.
  static bool renew(const Real *weight, int64_t begin, int64_t end, uint32_t *key) {
    using Words = typename Lanes<float, 16>::wholes;
    constexpr int64_t many = kKeyWords / 16;
    Words lanes[many];
    for (int64_t lane = 0; lane < many; ++lane) lanes[lane] = Words{} + uint32_t(lane + 1);
    const char *from = reinterpret_cast<const char *>(weight + begin);
    const int64_t size = (end - begin) * int64_t(sizeof(Real));
    int64_t at = 0;
    for (; at + int64_t(sizeof lanes) <= size; at += sizeof lanes)
      for (int64_t lane = 0; lane < many; ++lane) {
        Words block;
        std::memcpy(&block, from + at + lane * int64_t(sizeof block), sizeof block);
        lanes[lane] = mix<Words>(lanes[lane] ^ block);
      }
    Words rest[many] = {};
    std::memcpy(rest, from + at, size_t(size - at));
    for (int64_t lane = 0; lane < many; ++lane) lanes[lane] = mix<Words>(lanes[lane] ^ rest[lane]);
    const bool same = !std::memcmp(key, lanes, sizeof lanes);
    if (!same) std::memcpy(key, lanes, sizeof lanes);
    return !same;
  }

  template <class Words>
  static INLINE Words mix(Words words) {
    words *= 0x85EBCA6Bu;
    return (words << 13) | (words >> 19);
  }

  static Outcome arrange(const Problem &p, const Arrangement &a) {
    const Csr<Index> csr(a.transpose ? p.by_source : p.by_target, p);
    const int threads = p.synapses < kWorthThreads ? 1 : p.threads;
    const Real *weight = static_cast<const Real *>(a.weight);
    const int64_t chunks = (p.synapses + kKeyChunk - 1) / kKeyChunk;
    int changed = 0;
#pragma omp parallel for num_threads(threads) if (threads > 1) reduction(| : changed)
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const int64_t begin = chunk * kKeyChunk;
      const int64_t end = begin + kKeyChunk < p.synapses ? begin + kKeyChunk : p.synapses;
      changed |= renew(weight, begin, end, a.key + chunk * kKeyWords);
    }
    if (!changed) return Outcome::done;
    if (!csr.is_sound(threads)) {
      // The key vouches for nothing that was not written.
      std::memset(a.key, 0, sizeof(uint32_t) * kKeyWords * chunks);
      return Outcome::refused;
    }
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
      const int self = thread_number(), team = team_size();
      const Range rows{csr.begin_of(p.neurons, p.synapses, self, team),
                       csr.begin_of(p.neurons, p.synapses, self + 1, team)};
      arrange_share(csr, a.pairs, rows, weight, static_cast<Real *>(a.data));
    }
    return Outcome::done;
  }

  // The sums of all threads, always in the same order, and synapses back in theirs.
  static void add_up(const Problem &p, const Backward &b, const Csr<Index> &csr, Range rows,
                     const Real *partial, int copies, int64_t sums) {
    if (b.grad_weight) {
      Real *out = static_cast<Real *>(b.grad_weight);
      const Index end = csr.pointer[rows.end];
      for (Index at = csr.pointer[rows.begin]; at < end; ++at) {
        if (csr.order && at + kFarAhead < end) __builtin_prefetch(out + csr.order[at + kFarAhead], 1);
        Real total = partial[at];
        for (int copy = 1; copy < copies; ++copy) total += partial[copy * sums + at];
        out[b.pairs.pair ? Index(b.pairs.order[at]) : csr.order ? csr.order[at] : at] = total;
      }
    }
    add_rows(b.grad_bias, partial + p.synapses, rows, copies, sums);
    add_rows(b.grad_leak, partial + p.synapses + p.neurons, rows, copies, sums);
  }

  static void add_rows(void *to, const Real *partial, Range rows, int copies, int64_t sums) {
    Real *out = static_cast<Real *>(to);
    if (!out) return;
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      out[row] = partial[row];
      for (int copy = 1; copy < copies; ++copy) out[row] += partial[copy * sums + row];
    }
  }

  struct ProductWork {
    const Csr<Index> &csr;
    const Product &m;
    Range rows;
    int64_t begin, batch;
    template <int width>
    void run() const {
      Fused<Real> fused;
      fused.bias = static_cast<const Real *>(m.bias);
      if (m.drive) fused.drive = static_cast<const Real *>(m.drive) + begin;
      Columns<Real, Index, width>::gather(csr, rows, static_cast<const Real *>(m.weight.data),
                                          static_cast<const Real *>(m.x) + begin,
                                          static_cast<Real *>(m.y) + begin, batch, fused);
    }
  };

  static Outcome propagate(const Problem &p, const Product &m) {
    Csr<Index> csr(m.transpose ? p.by_source : p.by_target, p);
    const int threads = plan(p, 1).threads;
    if (!csr.is_sound(threads)) return Outcome::refused;
    if (m.weight.arranged) csr.order = nullptr;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
      const int self = thread_number(), team = team_size();
      const Range rows{csr.begin_of(p.neurons, p.synapses, self, team),
                       csr.begin_of(p.neurons, p.synapses, self + 1, team)};
      Tile tile{0, 0};
      for (int64_t begin = 0; begin < p.batch; begin += tile.width) {
        tile = tile_at<Stored, Index>(begin, p.batch, 64);
        with_width<Stored, Index>(tile.width, ProductWork{csr, m, rows, begin, p.batch});
      }
    }
    return Outcome::done;
  }

  struct DrawWork {
    const Draw &d;
    int64_t begin;
    Range rows;
    Real *scratch;
    template <int width>
    void run() const {
      using Here = Columns<Real, Index, width>;
      Here::draw(d.noise, begin, rows, scratch);
      Here::unpack(scratch, rows, begin, d.out);
    }
  };

  static Outcome draw(const Problem &p, const Draw &d) {
    const int threads = p.neurons * p.batch < kWorthThreads ? 1 : p.threads;
    Buffer<Real> scratch(p.neurons * p.tile);
    if (!scratch.get()) return Outcome::no_memory;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
      const int self = thread_number(), team = team_size();
      const Range rows{p.neurons * self / team, p.neurons * (self + 1) / team};
      Tile tile{0, 0};
      for (int64_t begin = 0; begin < p.batch; begin += tile.width) {
        tile = tile_at<Stored, Index>(begin, p.batch, p.tile);
        with_width<Stored, Index>(tile.width, DrawWork{d, begin, rows, scratch.get()});
      }
    }
    return Outcome::done;
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

  static Outcome correlate(const Problem &p, const Correlation &c) {
    const Csr<Index> csr(p.by_target, p);
    const int threads = plan(p, 1).threads;
    if (!csr.is_sound(threads)) return Outcome::refused;
    Buffer<Real> by_row(p.synapses);
    if (!by_row.get()) return Outcome::no_memory;
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
        tile = tile_at<Stored, Index>(begin, p.batch, 64);
        with_width<Stored, Index>(tile.width, CorrelationWork{csr, rows, static_cast<const Real *>(c.post) + begin,
                                               static_cast<const Real *>(c.pre) + begin,
                                               by_row.get(), p.batch});
      }
      for (Index at = first; at < last; ++at) out[csr.order ? csr.order[at] : at] = by_row.get()[at];
    }
    return Outcome::done;
  }
};

template <class Real>
struct Entry {
  using Narrow = Algorithms<Real, int32_t>;
  using Wide = Algorithms<Real, int64_t>;
  static Outcome loop(const Problem &p, const Forward &f) {
    return p.wide ? Wide::loop(p, f) : Narrow::loop(p, f);
  }
  static Outcome loop_backward(const Problem &p, const Backward &b) {
    return p.wide ? Wide::loop_backward(p, b) : Narrow::loop_backward(p, b);
  }
  static Outcome propagate(const Problem &p, const Product &m) {
    return p.wide ? Wide::propagate(p, m) : Narrow::propagate(p, m);
  }
  static Outcome correlate(const Problem &p, const Correlation &c) {
    return p.wide ? Wide::correlate(p, c) : Narrow::correlate(p, c);
  }
  static Outcome arrange(const Problem &p, const Arrangement &a) {
    return p.wide ? Wide::arrange(p, a) : Narrow::arrange(p, a);
  }
  static Outcome draw(const Problem &p, const Draw &d) { return Narrow::draw(p, d); }
  static void add_to(Table<Real> &table) {
    table.loop = loop;
    table.loop_backward = loop_backward;
    table.propagate = propagate;
    table.correlate = correlate;
    table.arrange = arrange;
    table.draw = draw;
  }
};

}  // namespace
}  // namespace sparsebrain
