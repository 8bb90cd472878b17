// The steps of a sequence, compiled once for each instruction set as kernels.cpp: a loop over time
// around the loops of a step, and back through it.
#include "columns.hpp"
#include "teams.hpp"

namespace sparsebrain {
namespace {

// Columns of the batch, loop by loop, that are correlated at once for the gradient of the weights.
constexpr int64_t kColumns = 64;

template <class Real>
View at_step(const Steps &all, int64_t step) {
  if (!all.data) return {nullptr, 0, 0};
  return {static_cast<Real *>(all.data) + step * all.step, all.neuron, all.sample};
}

template <class Real, class Index>
struct Sequences {
  // How threads share the steps: each takes tiles of its own and runs all steps, or all take a share
  // of the rows of one tile after the other and wait for each other in every loop. That is worth it
  // only where a single loop is long.
  struct Plan {
    int threads;
    bool tiles_apart;
  };

  static Plan plan(const Problem &p, int64_t loops) {
    const int64_t work = (p.synapses + p.neurons) * p.tile;
    const int64_t tiles = (p.batch + p.tile - 1) / p.tile;
    if (work * tiles * loops < kWorthThreads || p.threads == 1) return {1, true};
    const bool fits = p.neurons * p.tile * int64_t(sizeof(Real)) <= kCacheBytes;
    if (fits && tiles >= p.threads) return {p.threads, true};
    if (work >= kWorthThreads) return {p.threads, false};
    return {int(tiles < p.threads ? tiles : p.threads), true};
  }

  static int owner_of(const Tile &tile, int64_t batch, int threads) {
    return int(tile.begin * threads / batch);
  }

  // The weights in the order of some rows. `copy` has room for them unless they lie so already.
  struct Ordered {
    Ordered(const Csr<Index> &from, const void *weight, Real *copy)
        : csr(from), weight(from.order ? copy : static_cast<const Real *>(weight)) {
      csr.order = nullptr;
    }
    Csr<Index> csr;
    const Real *weight;
  };

  struct ForwardWork {
    const Problem &p;
    const Sequence &s;
    const Ordered &synapses;
    int64_t begin;
    Range rows;
    bool alone;
    Real *scratch;  // a drive, without a tape two states that take turns, and two of a voltage's rates
    template <int width>
    void run() const {
      using Here = Columns<Real, Index, width>;
      const int64_t size = p.neurons * width, all = s.steps * s.loops;
      Real *drive = scratch;
      Real *states = s.tape ? static_cast<Real *>(s.tape) + begin * (all + 1) * p.neurons
                            : scratch + size;
      Fused<Real> fused(s.fused);
      if (s.drive.data) fused.drive = drive;
      Here::template pack<false>(s.state, begin, rows, states);
      Real *rates = fused.voltage ? scratch + (s.tape ? 1 : 3) * size : nullptr;
      if (rates) Here::fire_rows(states, rows, rates, fused.activation);
      for (int64_t number = 0; number < all; ++number) {
        const int64_t step = number / s.loops, loop = number % s.loops;
        if (fused.drive && !loop)
          Here::template pack<false>(at_step<Real>(s.drive, step), begin, rows, drive);
        if (!alone) barrier();
        const Real *x = states + (s.tape ? number : number % 2) * size;
        Real *y = states + (s.tape ? number + 1 : (number + 1) % 2) * size;
        if (rates) {
          fused.old = x;
          x = rates + number % 2 * size;
          fused.rates = number + 1 < all ? rates + (number + 1) % 2 * size : nullptr;
        }
        Here::template gather<false>(synapses.csr, rows, synapses.weight, x, y, width, fused);
        if (loop + 1 == s.loops) Here::unpack(y, rows, begin, at_step<Real>(s.out, step));
      }
      if (!alone) barrier();
    }
  };

  static Outcome forward(const Problem &p, const Sequence &s) {
    const Csr<Index> csr(p.by_target, p);
    const Plan plan = Sequences::plan(p, s.steps * s.loops);
    if (!csr.is_sound(plan.threads)) return Outcome::refused;
    const int64_t room = ((s.tape ? 1 : 3) + (s.fused.voltage ? 2 : 0)) * p.neurons * p.tile;
    Buffer<Real> scratch(room * (plan.tiles_apart ? plan.threads : 1));
    Buffer<Real> copy(csr.order ? p.synapses : 0);
    if (!scratch.get() || !copy.get()) return Outcome::no_memory;
    const Ordered synapses(csr, s.weight, copy.get());
#pragma omp parallel num_threads(plan.threads) if (plan.threads > 1)
    {
      const int self = thread_number(), team = team_size();
      const Range share = share_of(csr, p, self, team);
      if (csr.order) csr.arrange(share, static_cast<const Real *>(s.weight), copy.get());
      barrier();
      const Range rows = plan.tiles_apart ? Range{0, p.neurons} : share;
      Real *own = scratch.get() + (plan.tiles_apart ? self * room : 0);
      Tile tile{0, 0};
      for (int64_t begin = 0; begin < p.batch; begin += tile.width) {
        tile = tile_at<Real, Index>(begin, p.batch, p.tile);
        if (plan.tiles_apart && owner_of(tile, p.batch, team) != self) continue;
        with_width<Real, Index>(tile.width, ForwardWork{p, s, synapses, begin, rows, plan.tiles_apart, own});
      }
    }
    return Outcome::done;
  }

  static Range share_of(const Csr<Index> &csr, const Problem &p, int self, int team) {
    return {csr.begin_of(p.neurons, p.synapses, self, team),
            csr.begin_of(p.neurons, p.synapses, self + 1, team)};
  }

  // The loops from `low` to `high`, whose gradients at f's argument and states before are correlated
  // at once. Both are kept as [neurons][loops of a chunk][batch].
  struct Chunk {
    int64_t low, high, stride;
    Real *post, *pre;  // or null
  };

  // What a tile keeps from one chunk to the next, and what a thread needs for a loop.
  struct Room {
    Real *grads;  // of the state before and after a loop, in turn
    Real *total_drive;
    typename Columns<Real, Index, 1>::Sums sums;
    Real *rest, *drive, *rates;
  };

  struct BackwardWork {
    const Problem &p;
    const SequenceBackward &b;
    const Ordered &forth, &back;
    const Chunk &chunk;
    int64_t begin;
    Range targets, sources;
    bool alone;
    const Room &room;
    template <int width>
    void run() const {
      using Here = Columns<Real, Index, width>;
      const int64_t size = p.neurons * width, all = b.steps * b.loops;
      const Real *tape = static_cast<const Real *>(b.tape) + begin * (all + 1) * p.neurons;
      Fused<Real> fused(b.fused);
      Real *rest = fused.leak ? room.rest : nullptr;
      if (needs_argument(b.fused) && b.drive.data) fused.drive = room.drive;
      Real *rates = fused.voltage ? room.rates : nullptr;
      Real *total = b.grad_drive.data && b.loops > 1 ? room.total_drive : nullptr;
      Fused<Real> passed;
      Backward weights{};
      weights.weight = forth.weight;
      weights.fused = b.fused;
      const typename Here::Sums sums{nullptr, room.sums.bias, room.sums.leak};
      if (chunk.high == all) {
        Here::clear(room.grads + all % 2 * size, targets);
        if (b.grad_last.data)
          Here::template pack<true>(b.grad_last, begin, targets, room.grads + all % 2 * size);
        if (total) Here::clear(total, targets);
      }
      for (int64_t number = chunk.high - 1; number >= chunk.low; --number) {
        const int64_t step = number / b.loops, loop = number % b.loops;
        Real *grad = room.grads + (number + 1) % 2 * size, *next = room.grads + number % 2 * size;
        const Real *before = tape + number * size;
        if (b.grads.data && loop + 1 == b.loops)
          Here::template pack<true>(at_step<Real>(b.grads, step), begin, targets, grad);
        if (fused.drive)
          Here::template pack<false>(at_step<Real>(b.drive, step), begin, targets, room.drive);
        if (rates) {
          Here::fire_rows(before, targets, rates, fused.activation);
          if (!alone && rest) barrier();
        }
        const Real *sent = rates ? rates : before;
        const Real *after = before + size;
        if (rates)
          Here::template descend<true>(forth.csr, targets, weights, fused, after, before, sent, grad, grad,
                                       rest, total, sums);
        else
          Here::template descend<false>(forth.csr, targets, weights, fused, after, before, sent, grad, grad,
                                        rest, total, sums);
        if (chunk.post) {
          const int64_t column = (number - chunk.low) * p.batch + begin;
          keep<width>(grad, targets, chunk.post + column);
          keep<width>(sent, targets, chunk.pre + column);
        }
        if (b.grad_drive.data && !loop) {
          Here::unpack(total ? total : grad, targets, begin, at_step<Real>(b.grad_drive, step));
          if (total) Here::clear(total, targets);
        }
        if (!alone) barrier();
        passed.drive = rates ? nullptr : rest;
        Here::template gather<false>(back.csr, sources, back.weight, grad, next, width, passed);
        if (rates) Here::chain(sources, fused.activation, before, rates, rest, next);
        if (!alone) barrier();
      }
      if (!chunk.low) Here::unpack(room.grads, targets, begin, b.grad_state);
    }
    template <int width>
    void keep(const Real *state, Range rows, Real *to) const {
      for (int64_t row = rows.begin; row < rows.end; ++row)
        std::memcpy(to + row * chunk.stride, state + row * width, sizeof(Real) * width);
    }
  };

  struct CorrelationWork {
    const Csr<Index> &csr;
    Range rows;
    const Chunk &chunk;
    int64_t begin;
    Real *out;
    template <int width>
    void run() const {
      Columns<Real, Index, width>::correlate(csr, rows, chunk.post + begin, chunk.pre + begin,
                                             chunk.stride, out);
    }
  };

  static Outcome backward(const Problem &p, const SequenceBackward &b) {
    const Csr<Index> by_target(p.by_target, p), by_source(p.by_source, p);
    const int64_t all = b.steps * b.loops, states = p.neurons * p.batch;
    const Plan plan = Sequences::plan(p, all);
    if (!by_target.is_sound(plan.threads) || !by_source.is_sound(plan.threads))
      return Outcome::refused;
    const bool again = needs_argument(b.fused);
    int64_t length = p.batch < kColumns ? kColumns / (p.batch ? p.batch : 1) : 1;
    if (length > all) length = all;
    int64_t tiles = 0;
    for (int64_t begin = 0; begin < p.batch; ++tiles)
      begin += tile_at<Real, Index>(begin, p.batch, p.tile).width;
    const int64_t size = p.neurons * p.tile, own_size = (b.fused.voltage ? 3 : 2) * size;
    const bool learns = b.grad_weight;
    Buffer<Real> kept(3 * states), scratch(own_size * (plan.tiles_apart ? plan.threads : 1));
    Buffer<Real> post(learns ? states * length : 0), pre(learns ? states * length : 0);
    Buffer<Real> copy_forth(again && by_target.order ? p.synapses : 0);
    Buffer<Real> copy_back(by_source.order ? p.synapses : 0);
    // Sums over the batch, one for every tile, so that they do not depend on the threads.
    Buffer<Real> sums(2 * p.neurons * tiles), products(learns ? p.synapses : 0);
    const Buffer<Real> *const needed[] = {&kept,       &scratch,   &post, &pre,
                                          &copy_forth, &copy_back, &sums, &products};
    for (const Buffer<Real> *each : needed)
      if (!each->get()) return Outcome::no_memory;
    std::memset(sums.get(), 0, sizeof(Real) * 2 * p.neurons * tiles);
    if (learns) std::memset(products.get(), 0, sizeof(Real) * p.synapses);
    const Ordered forth(by_target, b.weight, copy_forth.get());
    const Ordered back(by_source, b.weight, copy_back.get());
#pragma omp parallel num_threads(plan.threads) if (plan.threads > 1)
    {
      const int self = thread_number(), team = team_size();
      const Range by_targets = share_of(by_target, p, self, team);
      const Range by_sources = share_of(by_source, p, self, team);
      const Range whole{0, p.neurons};
      const Real *weight = static_cast<const Real *>(b.weight);
      if (again && by_target.order) by_target.arrange(by_targets, weight, copy_forth.get());
      if (by_source.order) by_source.arrange(by_sources, weight, copy_back.get());
      barrier();
      Real *own = scratch.get() + (plan.tiles_apart ? self * own_size : 0);
      for (int64_t low = (all - 1) / length * length; low >= 0; low -= length) {
        const int64_t high = low + length < all ? low + length : all;
        const Chunk chunk{low, high, length * p.batch, learns ? post.get() : nullptr, pre.get()};
        Tile tile{0, 0};
        int64_t number = 0;
        for (int64_t begin = 0; begin < p.batch; begin += tile.width, ++number) {
          tile = tile_at<Real, Index>(begin, p.batch, p.tile);
          if (plan.tiles_apart && owner_of(tile, p.batch, team) != self) continue;
          Real *over = sums.get() + 2 * p.neurons * number;
          const Room room{kept.get() + 2 * begin * p.neurons,
                          kept.get() + 2 * states + begin * p.neurons,
                          {nullptr, b.grad_bias ? over : nullptr,
                           b.grad_leak ? over + p.neurons : nullptr},
                          own,
                          own + size,
                          own + 2 * size};
          with_width<Real, Index>(tile.width, BackwardWork{p, b, forth, back, chunk, begin,
                                              plan.tiles_apart ? whole : by_targets,
                                              plan.tiles_apart ? whole : by_sources,
                                              plan.tiles_apart, room});
        }
        if (!learns) continue;
        barrier();
        for (int64_t begin = 0; begin < (high - low) * p.batch; begin += tile.width) {
          tile = tile_at<Real, Index>(begin, (high - low) * p.batch, 64);
          with_width<Real, Index>(tile.width, CorrelationWork{by_target, by_targets, chunk, begin, products.get()});
        }
        barrier();
      }
      barrier();
      finish(p, b, by_target, by_targets, products.get(), sums.get(), tiles);
    }
    return Outcome::done;
  }

  // Synapses back in their order, and the sums of all tiles.
  static void finish(const Problem &p, const SequenceBackward &b, const Csr<Index> &csr, Range rows,
                     const Real *products, const Real *sums, int64_t tiles) {
    if (b.grad_weight) {
      Real *out = static_cast<Real *>(b.grad_weight);
      const Index end = csr.pointer[rows.end];
      for (Index at = csr.pointer[rows.begin]; at < end; ++at)
        out[csr.order ? csr.order[at] : at] = products[at];
    }
    Real *const outs[] = {static_cast<Real *>(b.grad_bias), static_cast<Real *>(b.grad_leak)};
    for (int which = 0; which < 2; ++which) {
      if (!outs[which]) continue;
      for (int64_t row = rows.begin; row < rows.end; ++row) {
        Real total = 0;
        for (int64_t tile = 0; tile < tiles; ++tile)
          total += sums[(2 * tile + which) * p.neurons + row];
        outs[which][row] = total;
      }
    }
  }
};

template <class Real>
struct Entry {
  using Narrow = Sequences<Real, int32_t>;
  using Wide = Sequences<Real, int64_t>;
  static Outcome sequence(const Problem &p, const Sequence &s) {
    return p.wide ? Wide::forward(p, s) : Narrow::forward(p, s);
  }
  static Outcome sequence_backward(const Problem &p, const SequenceBackward &b) {
    return p.wide ? Wide::backward(p, b) : Narrow::backward(p, b);
  }
  static void add_to(Table<Real> &table) {
    table.sequence = sequence;
    table.sequence_backward = sequence_backward;
  }
};

}  // namespace

#define JOIN(a, b) a##b
#define NAME(set) JOIN(add_sequences_of_, set)

void NAME(INSTRUCTION_SET)(Kernels &kernels) {
  Entry<float>::add_to(kernels.single);
  Entry<double>::add_to(kernels.twofold);
}

}  // namespace sparsebrain
