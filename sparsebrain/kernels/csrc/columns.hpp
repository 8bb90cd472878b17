// What is done with some columns of the batch that lie side by side, row after row.
#pragma once

#include "kept.hpp"
#include "pairs.hpp"
#include "tiles.hpp"

namespace sparsebrain {
namespace {

constexpr int kScratch = 5;

// Whether the backward pass computes W x + b + drive again: the value of f cannot be recovered from a
// leaky or noisy state, nor the slope of some f from its value. A voltage needs the sum only for the
// gradient of the leak.
inline bool needs_argument(const Response &r) {
  if (r.voltage) return r.leak;
  return r.leak || r.noise.std != 0 || of_argument(r.activation);
}

// What a product is followed by; all may be missing.
template <class Real>
struct Fused {
  Fused() : Fused(Response{}) {}
  explicit Fused(const Response &r)
      : bias(static_cast<const Real *>(r.bias)),
        leak(static_cast<const Real *>(r.leak)),
        activation(r.activation),
        voltage(r.voltage),
        std(Real(r.noise.std)) {}

  const Real *bias, *leak;
  const Real *drive = nullptr;  // as far apart as the rows of the state
  Activation activation;
  bool voltage;
  const Real *old = nullptr;  // the state before the loop, where synapses send its rates
  Real *rates = nullptr;      // where f of the state after the loop is written, or null
  Real std;
  uint64_t of_loop = 0;  // the key of the noise in this loop
  int64_t begin = 0;     // the first sample
};

// All that is done with `width` columns that lie side by side. States, and the gradients that the
// synapses bring back, are kept as `Stored`; everything else is computed and kept as `Real`.
template <class Real, class Index, int width, class Stored = Real>
struct Columns : TileOf<Real, width> {
  using Of = TileOf<Real, width>;
  using Of::chain, Of::clear, Of::count, Of::fire, Of::fire_rows, Of::lanes, Of::unpack;
  using V = typename Of::V;
  using Value = typename Of::Value;
  using State = Kept<Real, Stored, lanes, count>;
  static constexpr bool narrow = !std::is_same<Real, Stored>::value;
  using InPairs = PairsOf<Columns<Real, int32_t, width>, Real, width>;
  static constexpr bool in_pairs = InPairs::possible && !narrow && sizeof(Index) == 4;

  // Asks for what a synapse `kAhead` places further on will read: processors foresee no far-off rows.
  template <bool ordered>
  static INLINE void foresee(const Csr<Index> &csr, Index at, const Real *weight, const Stored *x,
                             int64_t stride) {
    if (at + kAhead >= csr.synapses) return;
    const Stored *from = x + csr.neuron[at + kAhead] * stride;
    for (int v = 0; v < width; v += kLine / int(sizeof(Stored))) __builtin_prefetch(from + v);
    if (ordered) __builtin_prefetch(weight + csr.order[at + kAhead]);
  }

  // A sum waits four cycles for the one before: so many sums must be under way to hide that.
  static constexpr int kUnderWay = 8;
  static constexpr int sets = count >= kUnderWay ? 1 : count >= kUnderWay / 2 ? 2 : 4;

  template <bool ordered>
  static INLINE void gather_one(const Csr<Index> &csr, bool far, const Real *weight, const Stored *x,
                                int64_t stride, Index at, Value (&total)[count]) {
    if (far) foresee<ordered>(csr, at, weight, x, stride);
    const Real w = weight[ordered ? csr.order[at] : at];
    const Stored *from = x + csr.neuron[at] * stride;
    for (int v = 0; v < count; ++v) total[v] += w * State::load(from, v);
  }

  template <bool ordered>
  static INLINE void gather_row(const Csr<Index> &csr, bool far, const Real *weight, const Stored *x,
                                int64_t stride, int64_t row, Value (&total)[count]) {
    Index at = csr.pointer[row];
    const Index end = csr.pointer[row + 1];
    if constexpr (width == 1 && !narrow && Along<Real, Index>::possible) {
      // A single column has no lanes of its own; those of the synapses take their place.
      if (stride == 1) {
        total[0] += Along<Real, Index>::template sum<ordered>(weight, csr.order, csr.neuron, x, at, end);
        return;
      }
    }
    if (sets > 1 && end - at >= sets) {
      Value apart[sets][count];
      for (auto &set : apart)
        for (auto &each : set) each = V::all(0);
      for (; at + sets <= end; at += sets)
        for (int set = 0; set < sets; ++set)
          gather_one<ordered>(csr, far, weight, x, stride, at + set, apart[set]);
      for (const auto &set : apart)
        for (int v = 0; v < count; ++v) total[v] += set[v];
    }
    for (; at < end; ++at) gather_one<ordered>(csr, far, weight, x, stride, at, total);
  }

  // total += b + drive for one row.
  static INLINE void offset(Value (&total)[count], int64_t row, int64_t stride,
                            const Fused<Real> &fused) {
    for (int v = 0; v < count; ++v) {
      if (fused.bias) total[v] += fused.bias[row];
      if (fused.drive) total[v] += V::load(fused.drive + row * stride + v * lanes);
    }
  }

  // total = f(total + b + drive) for one row.
  static INLINE void respond(Value (&total)[count], int64_t row, int64_t stride,
                             const Fused<Real> &fused) {
    offset(total, row, stride, fused);
    activate<Real, lanes, count>(total, fused.activation);
  }

  // How rows read their synapses: in the order of their weights, from states near or far, or in
  // another order. Only the usual ones are compiled with both answers to whether states are far.
  enum class Reading { near, far, ordered };

  template <Reading reading>
  static bool reads_far(const Csr<Index> &csr, int64_t stride) {
    if constexpr (reading == Reading::ordered) return csr.is_far(stride * int64_t(sizeof(Stored)));
    return reading == Reading::far;
  }

  // y = (1 - leak) x + leak f(W x + b + drive) for some rows of `stride` values each. For a voltage x
  // are the rates of `fused.old`, and there is no f.
  template <Reading reading, class To>
  static void gather_as(const Csr<Index> &csr, Range rows, const Real *weight, const Stored *x,
                        To *y, int64_t stride, const Fused<Real> &fused) {
    const bool far = reads_far<reading>(csr, stride);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      Value total[count];
      for (int v = 0; v < count; ++v) total[v] = V::all(0);
      gather_row<reading == Reading::ordered>(csr, far, weight, x, stride, row, total);
      finish(total, row, x, y, stride, fused);
    }
  }

  // All that follows the sum over the synapses of a row, which is then written.
  template <class To>
  static INLINE void finish(Value (&total)[count], int64_t row, const Stored *x, To *y,
                            int64_t stride, const Fused<Real> &fused) {
    const bool voltage = !narrow && fused.voltage;
    if (voltage)
      offset(total, row, stride, fused);
    else
      respond(total, row, stride, fused);
    for (int v = 0; v < count; ++v) {
      if (!fused.leak) continue;
      const Value old = voltage ? V::load(fused.old + row * stride + v * lanes)
                                : State::load(x + row * stride, v);
      total[v] = (1 - fused.leak[row]) * old + fused.leak[row] * total[v];
    }
    if (fused.std != 0) shake(total, row, fused);
    Kept<Real, To, lanes, count>::store(y + row * stride, total);
    if constexpr (!narrow)
      if (fused.rates) fire(y + row * stride, fused.rates + row * stride, fused.activation);
  }

  static INLINE void shake(Value (&total)[count], int64_t row, const Fused<Real> &fused) {
    // A copy, as what is passed by address leaves the registers from the start.
    Value passed[count];
    for (int v = 0; v < count; ++v) passed[v] = total[v];
    add_noise<Real, lanes, count>(passed, key_of_neuron(fused.of_loop, row), fused.begin, fused.std);
    for (int v = 0; v < count; ++v) total[v] = passed[v];
  }

  // Without `any_order` weights lie in the order of the rows.
  template <bool any_order = true, class To>
  static void gather(const Csr<Index> &csr, Range rows, const Real *weight, const Stored *x, To *y,
                     int64_t stride, const Fused<Real> &fused) {
    if constexpr (any_order)
      if (csr.order)
        return gather_as<Reading::ordered>(csr, rows, weight, x, y, stride, fused);
    if (csr.is_far(stride * int64_t(sizeof(Stored))))
      gather_as<Reading::far>(csr, rows, weight, x, y, stride, fused);
    else
      gather_as<Reading::near>(csr, rows, weight, x, y, stride, fused);
  }

  // So many rows of a few dozen synapses stay in the nearest cache.
  static constexpr int64_t kRowsAtOnce = 64;

  // As gather, a block of rows at a time, so that the nearest cache holds it for all that is done with
  // it: with `care` each index is looked at before it is followed, and the rows are written to `out`
  // unless that is null. False where an index leads nowhere; rows are then left out.
  static bool gather_blocks(const Csr<Index> &csr, Range rows, const Real *weight, const Stored *x,
                            Stored *y, const Fused<Real> &fused, bool care, int64_t begin,
                            const View *out) {
    if (!care && !out) {
      gather(csr, rows, weight, x, y, width, fused);
      return true;
    }
    int64_t seen = csr.pointer[rows.begin];
    for (int64_t first = rows.begin; first < rows.end; first += kRowsAtOnce) {
      const Range block{first, first + kRowsAtOnce < rows.end ? first + kRowsAtOnce : rows.end};
      // What is asked for ahead of its time is followed, too.
      int64_t end = csr.pointer[block.end] + int64_t(kAhead);
      if (end > csr.synapses) end = csr.synapses;
      if (care && !csr.leads_inside(seen, end)) return false;
      if (end > seen) seen = end;
      gather(csr, block, weight, x, y, width, fused);
      if (out) leave(y, block, begin, *out);
    }
    return true;
  }

  // out[at] += the sum of product(at), for all places from `at` to `end`.
  template <int many, class Place, class Product>
  static INLINE void add_products(Place at, Place end, const Product &product, Real *out) {
    using Some = Vector<Real, many>;
    for (; at + many <= end; at += many) {
      const auto block = sums<Real, lanes, many>([&](int j) __attribute__((always_inline)) { return product(at + j); });
      Some::store(out + at, Some::load(out + at) + fold<Real, lanes, many>(block));
    }
    if constexpr (many > 1) add_products<many / 2>(at, end, product, out);
  }

  // out[at] += post[row] . pre[neuron], for the places of some rows.
  static void correlate(const Csr<Index> &csr, Range rows, const Real *post, const Real *pre,
                        int64_t stride, Real *out) {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      Value here[count];
      for (int v = 0; v < count; ++v) here[v] = V::load(post + row * stride + v * lanes);
      const auto product = [&](Index at) __attribute__((always_inline)) {
        const Real *from = pre + csr.neuron[at] * stride;
        Value total = here[0] * V::load(from);
        for (int v = 1; v < count; ++v) total += here[v] * V::load(from + v * lanes);
        return total;
      };
      add_products<lanes>(csr.pointer[row], csr.pointer[row + 1], product, out);
    }
  }

  // next = W^T grad + rest, and products[at] += grad . before, for the synapses of some sources:
  // what a synapse brings back is read once for both.
  template <Reading reading>
  static void ascend_as(const Csr<Index> &csr, Range rows, const Real *weight, const Stored *grad,
                        const Stored *before, const Real *rest, const Slope<Real> *slope, Real *next,
                        Real *products) {
    constexpr bool ordered = reading == Reading::ordered;
    const bool far = reads_far<reading>(csr, width);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      Value here[count], total[count];
      for (int v = 0; v < count; ++v) {
        here[v] = State::load(before + row * width, v);
        total[v] = rest ? V::load(rest + row * width + v * lanes) : V::all(0);
      }
      const auto product = [&](Index at) __attribute__((always_inline)) {
        if (far) foresee<ordered>(csr, at, weight, grad, width);
        const Real w = weight[ordered ? csr.order[at] : at];
        const Stored *from = grad + csr.neuron[at] * width;
        Value both = V::all(0);
        for (int v = 0; v < count; ++v) {
          const Value brought = State::load_once(from, v);
          total[v] += w * brought;
          both = v ? both + here[v] * brought : here[v] * brought;
        }
        return both;
      };
      add_products<lanes>(csr.pointer[row], csr.pointer[row + 1], product, products);
      settle(total, here, row, slope, next);
    }
  }

  // Writes the gradient at a state `here`, or, with a slope, that at f's argument.
  static INLINE void settle(Value (&grad)[count], const Value (&here)[count], int64_t row,
                            const Slope<Real> *slope, Real *next) {
    if (slope) {
      Value over_batch = V::all(0);
      for (int v = 0; v < count; ++v) {
        grad[v] = differentiate<Real, lanes>(grad[v], here[v], slope->activation);
        over_batch += grad[v];
      }
      if (slope->bias) slope->bias[row] += sum<Real, lanes>(over_batch);
    }
    for (int v = 0; v < count; ++v) V::store(next + row * width + v * lanes, grad[v]);
  }

  static void ascend(const Csr<Index> &csr, const Pairs &pairs, Range rows, const Real *weight,
                     const Stored *grad, const Stored *before, const Real *rest,
                     const Slope<Real> *slope, Real *next, Real *products) {
    Fused<Real> passed;
    passed.drive = rest;
    if constexpr (in_pairs)
      if (pairs.pair) {
        if (products)
          InPairs::ascend(pairs, rows, weight, grad, before, rest, slope, next, products);
        else
          InPairs::gather(pairs, rows, weight, grad, next, passed);
        return;
      }
    if (!products)
      gather(csr, rows, weight, grad, next, width, passed);
    else if (csr.order)
      ascend_as<Reading::ordered>(csr, rows, weight, grad, before, rest, slope, next, products);
    else if (csr.is_far(width * sizeof(Stored)))
      ascend_as<Reading::far>(csr, rows, weight, grad, before, rest, slope, next, products);
    else
      ascend_as<Reading::near>(csr, rows, weight, grad, before, rest, slope, next, products);
  }

  // States of the caller as they are kept between the loops, and back.
  static void enter(View view, int64_t begin, Range rows, Stored *to) {
    if constexpr (narrow) {
      Real block[kRowsAtOnce * width];
      for (int64_t first = rows.begin; first < rows.end; first += kRowsAtOnce) {
        const int64_t size = first + kRowsAtOnce < rows.end ? kRowsAtOnce : rows.end - first;
        Of::template pack<false>(from_row(view, first), begin, {0, size}, block);
        for (int64_t row = 0; row < size; ++row) {
          Value values[count];
          for (int v = 0; v < count; ++v) values[v] = V::load(block + row * width + v * lanes);
          State::store(to + (first + row) * width, values);
        }
      }
    } else {
      Of::template pack<false>(view, begin, rows, to);
    }
  }

  static void leave(const Stored *from, Range rows, int64_t begin, const View &view) {
    if constexpr (narrow) {
      Real block[kRowsAtOnce * width];
      for (int64_t first = rows.begin; first < rows.end; first += kRowsAtOnce) {
        const int64_t size = first + kRowsAtOnce < rows.end ? kRowsAtOnce : rows.end - first;
        for (int64_t row = 0; row < size; ++row)
          for (int v = 0; v < count; ++v)
            V::store(block + row * width + v * lanes, State::load(from + (first + row) * width, v));
        unpack(block, {0, size}, begin, from_row(view, first));
      }
    } else {
      unpack(from, rows, begin, view);
    }
  }

  static View from_row(const View &view, int64_t row) {
    return {static_cast<Real *>(view.data) + row * view.neuron, view.neuron, view.sample};
  }

  // With `care` indices are looked at in the first loop, and `astray` is set where one leads nowhere.
  static OUTLINED void forward(const Problem &p, const Forward &f, int64_t begin, Range rows, bool alone,
                      Real *scratch, bool care, int &astray) {
    Csr<Index> csr(p.by_target, p);
    if (f.weight.arranged) csr.order = nullptr;
    const int64_t size = p.neurons * width;
    Fused<Real> fused(f.fused);
    // Without a tape two states take turns; the drive follows them, and then two states of rates.
    Stored *states = f.tape ? static_cast<Stored *>(f.tape) + begin * (f.loops + 1) * p.neurons
                            : reinterpret_cast<Stored *>(scratch);
    enter(f.state, begin, rows, states);
    if (f.fused.drive.data) {
      Real *drive = scratch + (f.tape ? 0 : 2 * size);
      Of::template pack<false>(f.fused.drive, begin, rows, drive);
      fused.drive = drive;
    }
    Real *rates = nullptr;
    if constexpr (!narrow)
      if (fused.voltage) {
        rates = scratch + ((f.tape ? 0 : 2) + (f.fused.drive.data ? 1 : 0)) * size;
        fire_rows(states, rows, rates, fused.activation);
      }
    fused.begin = begin;
    for (int64_t loop = 0; loop < f.loops; ++loop) {
      fused.of_loop = key_of_step(f.fused.noise.key, f.fused.noise.first + loop);
      if (!alone) barrier();
      // Only the first loop sets it, so that threads which share the rows all stop, or none does.
      if (loop == 1 && is_set(astray)) return;
      const Stored *x = states + (f.tape ? loop : loop % 2) * size;
      Stored *y = states + (f.tape ? loop + 1 : (loop + 1) % 2) * size;
      const Real *weight = static_cast<const Real *>(f.weight.data);
      const View *out = f.keep || loop + 1 == f.loops ? f.out + (f.keep ? loop : 0) : nullptr;
      if constexpr (!narrow) {
        if (rates) {
          fused.old = x;
          x = rates + loop % 2 * size;
          fused.rates = loop + 1 < f.loops ? rates + (loop + 1) % 2 * size : nullptr;
        }
      }
      if constexpr (in_pairs)
        if (f.pairs.pair) {
          InPairs::gather(f.pairs, rows, weight, x, y, fused);
          if (out) unpack(y, rows, begin, *out);
          continue;
        }
      if (!gather_blocks(csr, rows, weight, x, y, fused, care && !loop, begin, out)) set(astray);
    }
    if (!alone) barrier();
  }

  // The sums over the batch, those of synapses in the order of the sources; null where nobody wants
  // them.
  struct Sums {
    Real *weight, *bias, *leak;
  };

  // One step back through the leak and f, for some targets: `local` becomes the gradient at the sum
  // W x + b + drive, `rest` what passes it by. `sent` is what the synapses carried.
  template <bool voltage>
  static void descend(const Csr<Index> &csr, Range rows, const Backward &b,
                      const Fused<Real> &fused, const Stored *after, const Stored *before,
                      const Stored *sent, const Real *grad, Stored *local_of, Real *rest,
                      Real *grad_drive, const Sums &sums) {
    const bool argued = of_argument(fused.activation), again = needs_argument(b.fused);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      Value local[count], value[count], argument[count], over_batch = V::all(0), leaked = V::all(0);
      for (int v = 0; v < count; ++v) value[v] = V::all(0);
      if (again) {
        recall(csr, static_cast<const Real *>(b.weight), sent, row, value);
        offset(value, row, width, fused);
      }
      for (int v = 0; v < count; ++v) argument[v] = value[v];
      if (!voltage && (rest || (again && !argued))) activate<Real, lanes, count>(value, fused.activation);
      for (int v = 0; v < count; ++v) {
        const int64_t here = row * width + v * lanes;
        local[v] = V::load(grad + here);
        if (rest) {
          leaked += local[v] * (value[v] - State::load(before + row * width, v));
          V::store(rest + here, (1 - fused.leak[row]) * local[v]);
          local[v] *= fused.leak[row];
        } else if (!again) {
          value[v] = State::load(after + row * width, v);
        }
        if constexpr (!voltage)
          local[v] = differentiate<Real, lanes>(local[v], argued ? argument[v] : value[v],
                                                fused.activation);
        local[v] = State::rounded(local[v]);
        if (grad_drive) V::store(grad_drive + here, V::load(grad_drive + here) + local[v]);
        over_batch += local[v];
      }
      State::store(local_of + row * width, local);
      if (sums.bias) sums.bias[row] += sum<Real, lanes>(over_batch);
      if (sums.leak) sums.leak[row] += sum<Real, lanes>(leaked);
    }
  }

  // W x of one row once more: neither f's value follows from a leaky or noisy state, nor f' from the
  // value of some f.
  static void recall(const Csr<Index> &csr, const Real *weight, const Stored *x, int64_t row,
                     Value (&total)[count]) {
    if (csr.order)
      gather_row<true>(csr, false, weight, x, width, row, total);
    else
      gather_row<false>(csr, false, weight, x, width, row, total);
  }

  // `targets` and `sources` are the rows of this thread; `scratch` holds kScratch states, and the
  // rates of a voltage, or the rounded gradients of narrow states.
  // `arranged` are the weights in the order of the sources or of their pairs, or null.
  static OUTLINED void backward(const Problem &p, const Backward &b, const Real *arranged, int64_t begin,
                       Range targets, Range sources, bool alone, Real *scratch, const Sums &sums) {
    const Csr<Index> by_target(p.by_target, p), by_source(p.by_source, p);
    const int64_t size = p.neurons * width;
    const Stored *tape = static_cast<const Stored *>(b.tape) + begin * (b.loops + 1) * p.neurons;
    Real *grad = scratch, *next = scratch + size;
    Real *grad_drive = b.grad_drive.data ? scratch + 2 * size : nullptr;
    Fused<Real> fused(b.fused);
    Csr<Index> back(by_source);
    if (arranged) back.order = nullptr;
    const Real *weight = arranged ? arranged : static_cast<const Real *>(b.weight);
    Real *rest = nullptr;
    if (fused.leak) rest = scratch + 3 * size;
    if (b.fused.drive.data && needs_argument(b.fused)) {
      Of::template pack<false>(b.fused.drive, begin, targets, scratch + 4 * size);
      fused.drive = scratch + 4 * size;
    }
    Real *rates = fused.voltage ? scratch + kScratch * size : nullptr;
    clear(grad, targets);
    if (grad_drive) clear(grad_drive, targets);
    // f' needs a pass of its own only where more than the sum over synapses comes before or after it.
    const bool direct = !narrow && sums.weight && !rates && !grad_drive && !needs_argument(b.fused);
    const Slope<Real> slope{fused.activation, sums.bias, size};
    bool settled = false;
    for (int64_t loop = b.loops; loop > 0; --loop) {
      const Stored *before = tape + (loop - 1) * size;
      const Stored *sent = before;
      Stored *local;
      if constexpr (narrow)
        local = reinterpret_cast<Stored *>(scratch + kScratch * size);
      else
        local = grad;
      if constexpr (!narrow)
        if (rates) sent = rates;
      if (!settled) {
        if (b.grads[loop - 1].data) Of::template pack<true>(b.grads[loop - 1], begin, targets, grad);
        if constexpr (!narrow)
          if (rates) {
            fire_rows(before, targets, rates, fused.activation);
            if (!alone && rest) barrier();
          }
        const Stored *after = tape + loop * size;
        if (rates)
          descend<true>(by_target, targets, b, fused, after, before, sent, grad, local, rest,
                        grad_drive, sums);
        else
          descend<false>(by_target, targets, b, fused, after, before, sent, grad, local, rest,
                         grad_drive, sums);
        if (!alone) barrier();
      }
      settled = direct && loop > 1 && !b.grads[loop - 2].data;
      ascend(back, b.pairs, sources, weight, local, sent, rates ? nullptr : rest,
             settled ? &slope : nullptr, next, sums.weight);
      if constexpr (!narrow)
        if (rates) chain(sources, fused.activation, before, rates, rest, next);
      if (!alone) barrier();
      Real *const done = grad;
      grad = next;
      next = done;
    }
    // Rows of the targets were gathered by whoever has them as sources.
    unpack(grad, targets, begin, b.grad_state);
    if (grad_drive) unpack(grad_drive, targets, begin, b.grad_drive);
    if (!alone) barrier();
  }
};

}  // namespace
}  // namespace sparsebrain
