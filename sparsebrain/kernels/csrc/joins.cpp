// Loops whose neurons keep the largest of their messages, or the largest of several sums, compiled
// once for each instruction set. As in kernels.cpp, everything has internal linkage and nothing of
// the standard library is instantiated.
#include "columns.hpp"
#include "joins.hpp"
#include "teams.hpp"

namespace sparsebrain {
namespace {

// The weights of all pieces in the order of the rows that read them, [pieces, synapses].
template <class Real>
struct Pieces {
  int64_t pieces, synapses;
  const Real *weight;
  const Real *bias;  // [pieces, neurons], or null
  bool of_sums;      // the largest of several sums, not of the messages of one

  const Real *of(int64_t piece) const { return weight + piece * synapses; }
};

// All that a join does with `width` columns that lie side by side.
template <class Real, class Index, int width>
struct Joined {
  using Here = Columns<Real, Index, width>;
  using V = typename Here::V;
  using Value = typename Here::Value;
  static constexpr int lanes = Here::lanes;
  static constexpr int count = Here::count;
  static constexpr int64_t kRows = 64;

  // The larger one, or NaN if either is.
  static INLINE Value larger(Value one, Value other) {
    return ((other > one) | (other != other)) ? other : one;
  }

  // The largest message of one row, one column after the other; a single NaN makes it NaN.
  static __attribute__((noinline)) void largest_with_nan(const Csr<Index> &csr, const Real *weight,
                                                         const Real *x, int64_t row, Real *to) {
    for (int column = 0; column < width; ++column) {
      Real most = -__builtin_inff();
      for (Index at = csr.pointer[row]; at < csr.pointer[row + 1] && most == most; ++at) {
        const Real message = weight[at] * x[csr.neuron[at] * width + column];
        if (message > most || message != message) most = message;
      }
      to[column] = most;
    }
  }

  // The largest message of one row, or 0 if there is none. A maximum of vectors forgets NaN, so the
  // sum of all messages reveals it.
  static INLINE void largest(const Csr<Index> &csr, bool far, const Real *weight, const Real *x,
                             int64_t row, Value (&total)[count]) {
    const Index first = csr.pointer[row], end = csr.pointer[row + 1];
    for (int v = 0; v < count; ++v) total[v] = V::all(first < end ? -__builtin_inff() : 0);
    Value watch[count];
    for (int v = 0; v < count; ++v) watch[v] = V::all(0);
    for (Index at = first; at < end; ++at) {
      if (far) Here::template foresee<false>(csr, at, weight, x, width);
      const Real w = weight[at];
      const Real *from = x + csr.neuron[at] * width;
      for (int v = 0; v < count; ++v) {
        const Value message = w * V::load(from + v * lanes);
        total[v] = message > total[v] ? message : total[v];
        watch[v] += message;
      }
    }
    for (int v = 1; v < count; ++v) watch[0] += watch[v];
    const Real seen = sum<Real, lanes>(watch[0]);
    if (seen == seen) return;
    Real exact[width];
    largest_with_nan(csr, weight, x, row, exact);
    for (int v = 0; v < count; ++v) total[v] = V::load(exact + v * lanes);
  }

  // How many messages of one row are the largest. Torch's scatter_reduce, by which PyG computes this
  // aggregation, counts the zero that its result starts from as one more.
  static INLINE void count_ties(const Csr<Index> &csr, const Real *weight, const Real *x,
                                int64_t row, const Value (&most)[count], Value (&ties)[count]) {
    const Value one = V::all(1), none = V::all(0);
    for (int v = 0; v < count; ++v) ties[v] = most[v] == none ? one : none;
    for (Index at = csr.pointer[row]; at < csr.pointer[row + 1]; ++at) {
      const Real w = weight[at];
      const Real *from = x + csr.neuron[at] * width;
      for (int v = 0; v < count; ++v)
        ties[v] += w * V::load(from + v * lanes) == most[v] ? one : none;
    }
  }

  // The largest sum of one row. The sum of piece k is left in `parts` + k `apart`, unless that is
  // null.
  static INLINE void largest_sum(const Csr<Index> &csr, bool far, const Pieces<Real> &pieces,
                                 const Real *x, int64_t row, Real *parts, int64_t apart,
                                 Value (&most)[count]) {
    for (int64_t piece = 0; piece < pieces.pieces; ++piece) {
      Value total[count];
      for (int v = 0; v < count; ++v) total[v] = V::all(0);
      Here::template gather_row<false>(csr, far, pieces.of(piece), x, width, row, total);
      for (int v = 0; v < count; ++v) {
        if (pieces.bias) total[v] += pieces.bias[piece * csr.neurons + row];
        most[v] = piece ? larger(most[v], total[v]) : total[v];
        if (parts) V::store(parts + piece * apart + row * width + v * lanes, total[v]);
      }
    }
  }

  // The join of one row.
  static INLINE void join(const Csr<Index> &csr, bool far, const Pieces<Real> &pieces, const Real *x,
                          int64_t row, Real *parts, int64_t apart, Value (&total)[count]) {
    if (pieces.of_sums)
      largest_sum(csr, far, pieces, x, row, parts, apart, total);
    else
      largest(csr, far, pieces.weight, x, row, total);
  }

  // y = (1 - leak) old + leak f(join(x) + b + drive) + noise for some rows; without f for a voltage,
  // whose rates are written.
  static void step(const Csr<Index> &csr, bool far, Range rows, const Pieces<Real> &pieces, Real sign,
                   const Real *x, const Real *old, Real *y, const Fused<Real> &fused) {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      Value total[count];
      join(csr, far, pieces, x, row, nullptr, 0, total);
      if (sign < 0)
        for (int v = 0; v < count; ++v) total[v] = -total[v];
      if (fused.voltage)
        Here::offset(total, row, width, fused);
      else
        Here::respond(total, row, width, fused);
      for (int v = 0; v < count; ++v)
        if (fused.leak)
          total[v] = (1 - fused.leak[row]) * V::load(old + row * width + v * lanes) +
                     fused.leak[row] * total[v];
      if (fused.std != 0) Here::shake(total, row, fused);
      for (int v = 0; v < count; ++v) V::store(y + row * width + v * lanes, total[v]);
      if (fused.rates)
        Here::fire(y + row * width, fused.rates + row * width, fused.activation);
    }
  }

  // Two states take turns, or those of the tape follow each other; `scratch` further holds the drive
  // and two states of rates.
  static void forward(const Problem &p, const Forward &f, const Pieces<Real> &pieces, Real sign,
                      int64_t begin, Range rows, bool alone, Real *scratch) {
    const Csr<Index> csr(p.by_target, p);
    const bool far = csr.is_far(width * sizeof(Real));
    const int64_t size = p.neurons * width;
    Fused<Real> fused(f.fused);
    if (pieces.of_sums) fused.bias = nullptr;
    Real *states = f.tape ? static_cast<Real *>(f.tape) + begin * (f.loops + 1) * p.neurons
                          : scratch;
    Here::template pack<false>(f.state, begin, rows, states);
    if (f.fused.drive.data) {
      Real *drive = scratch + (f.tape ? 0 : 2 * size);
      Here::template pack<false>(f.fused.drive, begin, rows, drive);
      fused.drive = drive;
    }
    Real *rates = nullptr;
    if (fused.voltage) {
      rates = scratch + ((f.tape ? 0 : 2) + (f.fused.drive.data ? 1 : 0)) * size;
      Here::fire_rows(states, rows, rates, fused.activation);
    }
    fused.begin = begin;
    for (int64_t loop = 0; loop < f.loops; ++loop) {
      fused.of_loop = key_of_step(f.fused.noise.key, f.fused.noise.first + loop);
      if (!alone) barrier();
      const Real *old = states + (f.tape ? loop : loop % 2) * size;
      Real *y = states + (f.tape ? loop + 1 : (loop + 1) % 2) * size;
      const Real *x = rates ? rates + loop % 2 * size : old;
      fused.rates = rates && loop + 1 < f.loops ? rates + (loop + 1) % 2 * size : nullptr;
      const View *out = f.keep || loop + 1 == f.loops ? f.out + (f.keep ? loop : 0) : nullptr;
      for (int64_t first = rows.begin; first < rows.end; first += kRows) {
        const Range block{first, first + kRows < rows.end ? first + kRows : rows.end};
        step(csr, far, block, pieces, sign, x, old, y, fused);
        if (out) Here::unpack(y, block, begin, *out);
      }
    }
    if (!alone) barrier();
  }

  // The arrays of a step back, states each: `grad` is the gradient at the state and then at its
  // pre-activation, `rest` what passes the loop by, `most` the join. `parts` are the sums of the
  // pieces, and then their gradients. `prefix` holds the largest of the first sums of one row.
  struct Arrays {
    Real *grad, *next, *grad_drive, *rest, *most, *parts, *prefix;
  };

  // The sums over the batch; those of bias and leak are null where nobody wants them.
  struct Sums {
    Real *weight, *bias, *leak;
  };

  // One step back through the leak, f and the join, for some targets. `sent` is what the synapses
  // carried, and `after` the state where it is the value of f, else null.
  static void descend(const Csr<Index> &csr, Range rows, const Pieces<Real> &pieces, Real sign,
                      const Fused<Real> &fused, const Real *after, const Real *before,
                      const Real *sent, const Arrays &a, int64_t size, const Sums &sums) {
    const bool argued = of_argument(fused.activation), far = csr.is_far(width * sizeof(Real));
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      Value local[count], value[count], argument[count], most[count], leaked = V::all(0);
      join(csr, far, pieces, sent, row, a.parts, size, most);
      for (int v = 0; v < count; ++v) value[v] = sign * most[v];
      Here::offset(value, row, width, fused);
      for (int v = 0; v < count; ++v) argument[v] = value[v];
      if (!fused.voltage && !after) activate<Real, lanes, count>(value, fused.activation);
      for (int v = 0; v < count; ++v) {
        const int64_t at = row * width + v * lanes;
        local[v] = V::load(a.grad + at);
        if (after && !fused.voltage) value[v] = V::load(after + at);
        if (a.rest) {
          leaked += local[v] * (value[v] - V::load(before + at));
          V::store(a.rest + at, (1 - fused.leak[row]) * local[v]);
          local[v] *= fused.leak[row];
        }
        if (!fused.voltage)
          local[v] = differentiate<Real, lanes>(local[v], argued ? argument[v] : value[v],
                                                fused.activation);
        if (a.grad_drive)
          V::store(a.grad_drive + at, V::load(a.grad_drive + at) + local[v]);
      }
      if (sums.leak) sums.leak[row] += sum<Real, lanes>(leaked);
      if (pieces.of_sums)
        share(row, pieces, local, a, size, csr.neurons, sums.bias);
      else
        split(csr, row, pieces.weight, sign, sent, local, most, a, sums.bias);
    }
  }

  // The gradient of the largest message is divided evenly among those that are as large.
  static INLINE void split(const Csr<Index> &csr, int64_t row, const Real *weight, Real sign,
                           const Real *sent, const Value (&local)[count],
                           const Value (&most)[count], const Arrays &a, Real *of_bias) {
    Value ties[count], over_batch = V::all(0);
    for (int v = 0; v < count; ++v) {
      V::store(a.most + row * width + v * lanes, most[v]);
      over_batch += local[v];
    }
    count_ties(csr, weight, sent, row, most, ties);
    for (int v = 0; v < count; ++v) {
      const Value shared = sign * local[v] / ties[v];
      V::store(a.grad + row * width + v * lanes, most[v] != most[v] ? most[v] : shared);
    }
    if (of_bias) of_bias[row] += sum<Real, lanes>(over_batch);
  }

  // The gradient of max(max(s0, s1), s2) ...: each maximum passes it to the larger side, half of it to
  // either side of a tie, and all of it to both sides of NaN, as torch.maximum does.
  static INLINE void share(int64_t row, const Pieces<Real> &pieces, Value (&local)[count],
                           const Arrays &a, int64_t size, int64_t neurons, Real *of_bias) {
    Real *const parts = a.parts + row * width;
    for (int v = 0; v < count; ++v) {
      Value most = V::load(parts + v * lanes);
      V::store(a.prefix + v * lanes, most);
      for (int64_t piece = 1; piece < pieces.pieces; ++piece) {
        most = larger(most, V::load(parts + piece * size + v * lanes));
        V::store(a.prefix + piece * width + v * lanes, most);
      }
    }
    const Value none = V::all(0);
    for (int64_t piece = pieces.pieces - 1; piece >= 0; --piece) {
      Value over_batch = V::all(0);
      for (int v = 0; v < count; ++v) {
        Real *const part = parts + piece * size + v * lanes;
        Value mine = local[v];
        if (piece) {
          const Value one = V::load(a.prefix + (piece - 1) * width + v * lanes);
          const Value other = V::load(part);
          const Value given = one == other ? local[v] * Real(0.5) : local[v];
          mine = one > other ? none : given;
          local[v] = one < other ? none : given;
        }
        V::store(part, mine);
        over_batch += mine;
      }
      if (of_bias) of_bias[piece * neurons + row] += sum<Real, lanes>(over_batch);
    }
  }

  // next = the gradient at what each source sent + rest, and products[at] += that of each weight. The
  // synapse whose message a target kept is one that is not below the largest.
  template <bool of_sums>
  static void ascend(const Csr<Index> &csr, Range rows, const Pieces<Real> &pieces, const Arrays &a,
                     int64_t size, const Real *sent, const Real *rest, Real *products) {
    const bool far = csr.is_far((of_sums ? 1 : 2) * width * sizeof(Real));
    const Value none = V::all(0);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      Value here[count], total[count];
      for (int v = 0; v < count; ++v) {
        const int64_t at = row * width + v * lanes;
        here[v] = V::load(sent + at);
        total[v] = rest ? V::load(rest + at) : none;
      }
      for (int64_t piece = 0; piece < pieces.pieces; ++piece) {
        const Real *weight = pieces.of(piece), *grad = of_sums ? a.parts + piece * size : a.grad;
        const auto product = [&](Index at) __attribute__((always_inline)) {
          if (far) {
            Here::template foresee<false>(csr, at, weight, grad, width);
            if (!of_sums) Here::template foresee<false>(csr, at, weight, a.most, width);
          }
          const Real w = weight[at];
          const int64_t from = csr.neuron[at] * int64_t(width);
          Value both = none;
          for (int v = 0; v < count; ++v) {
            Value kept = V::load(grad + from + v * lanes);
            if (!of_sums) kept = w * here[v] < V::load(a.most + from + v * lanes) ? none : kept;
            total[v] += w * kept;
            both += here[v] * kept;
          }
          return both;
        };
        Here::template add_products<lanes>(csr.pointer[row], csr.pointer[row + 1], product,
                                           products + piece * pieces.synapses);
      }
      for (int v = 0; v < count; ++v) V::store(a.next + row * width + v * lanes, total[v]);
    }
  }

  // How many states of scratch the way back needs.
  static int64_t states(int64_t pieces) { return 7 + pieces; }

  static void backward(const Problem &p, const Backward &b, const Pieces<Real> &by_target,
                       const Pieces<Real> &by_source, Real sign, int64_t begin, Range targets,
                       Range sources, bool alone, Real *scratch, Real *prefix, const Sums &sums) {
    const Csr<Index> csr(p.by_target, p), back(p.by_source, p);
    const int64_t size = p.neurons * width;
    const Real *tape = static_cast<const Real *>(b.tape) + begin * (b.loops + 1) * p.neurons;
    Fused<Real> fused(b.fused);
    if (by_target.of_sums) fused.bias = nullptr;
    Arrays a{scratch, scratch + size, nullptr, nullptr, scratch + 2 * size, scratch + 7 * size, prefix};
    if (b.grad_drive.data) a.grad_drive = scratch + 3 * size;
    if (fused.leak) a.rest = scratch + 4 * size;
    if (b.fused.drive.data) {
      Here::template pack<false>(b.fused.drive, begin, targets, scratch + 5 * size);
      fused.drive = scratch + 5 * size;
    }
    Real *rates = fused.voltage ? scratch + 6 * size : nullptr;
    Here::clear(a.grad, targets);
    if (a.grad_drive) Here::clear(a.grad_drive, targets);
    // The value of f cannot be recovered from a leaky or noisy state.
    const bool recovered = !fused.leak && fused.std == 0;
    for (int64_t loop = b.loops; loop > 0; --loop) {
      const Real *before = tape + (loop - 1) * size;
      const Real *after = recovered ? tape + loop * size : nullptr;
      if (b.grads[loop - 1].data)
        Here::template pack<true>(b.grads[loop - 1], begin, targets, a.grad);
      if (rates) {
        Here::fire_rows(before, targets, rates, fused.activation);
        if (!alone) barrier();
      }
      const Real *sent = rates ? rates : before;
      descend(csr, targets, by_target, sign, fused, after, before, sent, a, size, sums);
      if (!alone) barrier();
      const Real *passing = rates ? nullptr : a.rest;
      if (by_source.of_sums)
        ascend<true>(back, sources, by_source, a, size, sent, passing, sums.weight);
      else
        ascend<false>(back, sources, by_source, a, size, sent, passing, sums.weight);
      if (rates) Here::chain(sources, fused.activation, before, rates, a.rest, a.next);
      if (!alone) barrier();
      Real *const done = a.grad;
      a.grad = a.next;
      a.next = done;
    }
    Here::unpack(a.grad, targets, begin, b.grad_state);
    if (a.grad_drive) Here::unpack(a.grad_drive, targets, begin, b.grad_drive);
    if (!alone) barrier();
  }
};

template <class Real, class Index>
struct Joins {
  // As for sums: each thread runs tiles of its own, or all share the rows of one tile.
  struct Plan {
    int threads;
    bool tiles_apart;
  };

  static Plan plan(const Problem &p, int64_t loops, int64_t pieces) {
    const int64_t work = (p.synapses * pieces + p.neurons) * p.batch * loops;
    const int threads = work < kWorthThreads ? 1 : p.threads;
    const bool fits = p.neurons * p.tile * int64_t(sizeof(Real)) <= kCacheBytes;
    const int64_t tiles = (p.batch + p.tile - 1) / p.tile;
    return {threads, threads == 1 || (fits && tiles >= threads)};
  }

  // Copies weights [pieces, synapses] times `sign` into the order of some rows.
  static void arrange(const Csr<Index> &csr, Range rows, const Real *weight, int64_t pieces,
                      Real sign, Real *to) {
    for (int64_t piece = 0; piece < pieces; ++piece, weight += csr.synapses, to += csr.synapses)
      for (Index at = csr.pointer[rows.begin]; at < csr.pointer[rows.end]; ++at)
        to[at] = sign * weight[csr.order ? csr.order[at] : at];
  }

  struct ForwardWork {
    const Problem &p;
    const Forward &f;
    const Pieces<Real> &pieces;
    Real sign;
    int64_t begin;
    Range rows;
    bool alone;
    Real *scratch;
    template <int width>
    void run() const {
      Joined<Real, Index, width>::forward(p, f, pieces, sign, begin, rows, alone, scratch);
    }
  };

  static Outcome loop(const Problem &p, const JoinForward &j) {
    const Forward &f = j.loop;
    const Csr<Index> csr(p.by_target, p);
    const bool of_sums = j.join == Join::largest_sum;
    const Real sign = j.join == Join::smallest_message ? -1 : 1;
    const Plan plan = Joins::plan(p, f.loops, j.pieces);
    if (!csr.is_sound(plan.threads)) return Outcome::refused;
    const int64_t states = (f.tape ? 0 : 2) + (f.fused.drive.data ? 1 : 0) + (f.fused.voltage ? 2 : 0);
    const int64_t room = states * p.neurons * p.tile;
    Buffer<Real> scratch(room * (plan.tiles_apart ? plan.threads : 1));
    Buffer<Real> weight(j.pieces * p.synapses);
    if (!scratch || !weight) return Outcome::no_memory;
    const Pieces<Real> pieces{j.pieces, p.synapses, weight.get(),
                              static_cast<const Real *>(f.fused.bias), of_sums};
#pragma omp parallel num_threads(plan.threads) if (plan.threads > 1)
    {
      const int self = thread_number(), team = team_size();
      const Range share{csr.begin_of(p.neurons, p.synapses, self, team),
                        csr.begin_of(p.neurons, p.synapses, self + 1, team)};
      const Range rows = plan.tiles_apart ? Range{0, p.neurons} : share;
      arrange(csr, share, static_cast<const Real *>(f.weight.data), j.pieces, sign, weight.get());
      barrier();
      Real *own = scratch.get() + (plan.tiles_apart ? self * room : 0);
      Tile tile{0, 0};
      for (int64_t begin = 0; begin < p.batch; begin += tile.width) {
        tile = tile_at<Real, Index>(begin, p.batch, p.tile);
        if (plan.tiles_apart && int(tile.begin * team / p.batch) != self) continue;
        with_width<Real, Index>(tile.width,
                   ForwardWork{p, f, pieces, sign, begin, rows, plan.tiles_apart, own});
      }
    }
    return Outcome::done;
  }

  struct BackwardWork {
    const Problem &p;
    const Backward &b;
    const Pieces<Real> &by_target, &by_source;
    Real sign;
    int64_t begin;
    Range targets, sources;
    bool alone;
    Real *scratch, *prefix, *grad_weight, *grad_bias, *grad_leak;
    template <int width>
    void run() const {
      Joined<Real, Index, width>::backward(p, b, by_target, by_source, sign, begin, targets, sources,
                                           alone, scratch, prefix,
                                           {grad_weight, grad_bias, grad_leak});
    }
  };

  static Outcome loop_backward(const Problem &p, const JoinBackward &j) {
    const Backward &b = j.loop;
    const Csr<Index> by_target(p.by_target, p), by_source(p.by_source, p);
    const bool of_sums = j.join == Join::largest_sum;
    const Real sign = j.join == Join::smallest_message ? -1 : 1;
    const Plan plan = Joins::plan(p, b.loops, j.pieces);
    if (!by_target.is_sound(plan.threads) || !by_source.is_sound(plan.threads))
      return Outcome::refused;
    const int copies = plan.tiles_apart ? plan.threads : 1;
    const int64_t states = Joined<Real, Index, 1>::states(of_sums ? j.pieces : 0);
    const int64_t room = states * p.neurons * p.tile, weights = j.pieces * p.synapses;
    const int64_t biases = j.pieces * p.neurons, sums = weights + biases + p.neurons;
    Buffer<Real> scratch(room * copies), partial(sums * copies);
    Buffer<Real> forth(weights), back(weights), prefix(j.pieces * p.tile * plan.threads);
    if (!scratch || !partial || !forth || !back || !prefix) return Outcome::no_memory;
    std::memset(partial.get(), 0, sizeof(Real) * sums * copies);
    const Real *bias = static_cast<const Real *>(b.fused.bias);
    const Pieces<Real> descending{j.pieces, p.synapses, forth.get(), bias, of_sums};
    const Pieces<Real> ascending{j.pieces, p.synapses, back.get(), bias, of_sums};
#pragma omp parallel num_threads(plan.threads) if (plan.threads > 1)
    {
      const int self = thread_number(), team = team_size();
      Range targets{by_target.begin_of(p.neurons, p.synapses, self, team),
                    by_target.begin_of(p.neurons, p.synapses, self + 1, team)};
      const Range share{by_source.begin_of(p.neurons, p.synapses, self, team),
                        by_source.begin_of(p.neurons, p.synapses, self + 1, team)};
      const Real *weight = static_cast<const Real *>(b.weight);
      arrange(by_target, targets, weight, j.pieces, sign, forth.get());
      arrange(by_source, share, weight, j.pieces, sign, back.get());
      barrier();
      Range sources = share;
      if (plan.tiles_apart) targets = sources = {0, p.neurons};
      const int number = plan.tiles_apart ? self : 0;
      Real *own = scratch.get() + number * room, *own_weight = partial.get() + number * sums;
      Real *own_bias = own_weight + weights, *own_leak = own_bias + biases;
      Tile tile{0, 0};
      for (int64_t begin = 0; begin < p.batch; begin += tile.width) {
        tile = tile_at<Real, Index>(begin, p.batch, p.tile);
        if (plan.tiles_apart && int(tile.begin * team / p.batch) != self) continue;
        with_width<Real, Index>(tile.width,
                   BackwardWork{p, b, descending, ascending, sign, begin, targets, sources,
                                plan.tiles_apart, own, prefix.get() + self * j.pieces * p.tile,
                                own_weight,
                                b.grad_bias ? own_bias : nullptr,
                                b.grad_leak ? own_leak : nullptr});
      }
      barrier();
      add_up(j, by_source, share, sign, partial.get(), copies, sums);
    }
    return Outcome::done;
  }

  // The sums of all threads, always in the same order, and synapses back in theirs.
  static void add_up(const JoinBackward &j, const Csr<Index> &csr, Range rows, Real sign,
                     Real *partial, int copies, int64_t sums) {
    const int64_t synapses = csr.synapses, neurons = csr.neurons;
    for (int64_t piece = 0; piece < j.pieces; ++piece) {
      if (j.loop.grad_weight) {
        Real *out = static_cast<Real *>(j.loop.grad_weight) + piece * synapses;
        for (Index at = csr.pointer[rows.begin]; at < csr.pointer[rows.end]; ++at)
          out[csr.order ? csr.order[at] : at] =
              sign * total(partial + piece * synapses + at, copies, sums);
      }
      if (j.loop.grad_bias) {
        Real *out = static_cast<Real *>(j.loop.grad_bias) + piece * neurons;
        for (int64_t row = rows.begin; row < rows.end; ++row)
          out[row] = total(partial + j.pieces * synapses + piece * neurons + row, copies, sums);
      }
    }
    if (j.loop.grad_leak) {
      Real *out = static_cast<Real *>(j.loop.grad_leak);
      const Real *from = partial + j.pieces * (synapses + neurons);
      for (int64_t row = rows.begin; row < rows.end; ++row) out[row] = total(from + row, copies, sums);
    }
  }

  static Real total(const Real *from, int copies, int64_t apart) {
    Real all = *from;
    for (int copy = 1; copy < copies; ++copy) all += from[copy * apart];
    return all;
  }
};

template <class Real>
Outcome join_loop(const Problem &p, const JoinForward &j) {
  return p.wide ? Joins<Real, int64_t>::loop(p, j) : Joins<Real, int32_t>::loop(p, j);
}

template <class Real>
Outcome join_loop_backward(const Problem &p, const JoinBackward &j) {
  return p.wide ? Joins<Real, int64_t>::loop_backward(p, j)
                : Joins<Real, int32_t>::loop_backward(p, j);
}

}  // namespace

#define JOIN(a, b) a##b
#define NAME(set) JOIN(add_joins_of_, set)

void NAME(INSTRUCTION_SET)(Kernels &kernels) {
  kernels.single.join_loop = join_loop<float>;
  kernels.single.join_loop_backward = join_loop_backward<float>;
  kernels.twofold.join_loop = join_loop<double>;
  kernels.twofold.join_loop_backward = join_loop_backward<double>;
}

}  // namespace sparsebrain
