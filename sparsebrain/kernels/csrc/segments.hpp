// The way back through loops that kept few states: the others are computed again, one segment of
// loops at a time and within a tile, so that its states stay in the cache.
#pragma once

#include "columns.hpp"

namespace sparsebrain {
namespace {

template <class Real, class Index, int width>
struct Segments {
  using Here = Columns<Real, Index, width>;

  // How many states of scratch a segment needs beside what the loops of both directions need: those
  // of its loops, the gradient that it passes on, and the gradients of the drive.
  static int64_t states(const Backward &b) { return b.segment + 1 + 1 + (b.grad_drive.data ? 2 : 0); }

  // As Columns::backward. `forth` are the weights that the loops forward read, in the order of the
  // targets if `arranged_forth`; `own` holds the states above, and `grads` a view for each loop of a
  // segment.
  static void backward(const Problem &p, const Backward &b, const Real *arranged, const Real *forth,
                       bool arranged_forth, int64_t begin, Range targets, Range sources, bool alone,
                       Real *scratch, Real *own, View *grads, const typename Here::Sums &sums) {
    const int64_t size = p.neurons * width;
    Real *const tape = own, *const passed = tape + (b.segment + 1) * size;
    Real *const drive = passed + size, *const all_drives = drive + size;
    const View between = here(passed, begin);
    if (b.grad_drive.data) Here::clear(all_drives, targets);
    int unused = 0;
    const int64_t last = (b.loops - 1) / b.segment;
    for (int64_t number = last; number >= 0; --number) {
      const int64_t first = number * b.segment;
      const int64_t loops = number < last ? b.segment : b.loops - first;
      Forward f{loops, b.fused, {forth, arranged_forth}, b.starts[number], nullptr, false,
                tape - begin * (loops + 1) * p.neurons, {}};
      f.fused.noise.first += first;
      Here::forward(p, f, begin, targets, alone, scratch, false, unused);
      for (int64_t loop = 0; loop < loops; ++loop) grads[loop] = b.grads[first + loop];
      if (number < last) {
        if (grads[loops - 1].data) Here::template pack<true>(grads[loops - 1], begin, targets, passed);
        grads[loops - 1] = between;
      }
      Backward part = b;
      part.loops = loops;
      part.tape = f.tape;
      part.grads = grads;
      part.grad_state = number ? between : b.grad_state;
      if (b.grad_drive.data) part.grad_drive = here(drive, begin);
      Here::backward(p, part, arranged, begin, targets, sources, alone, scratch, sums);
      if (b.grad_drive.data) add(drive, targets, all_drives);
    }
    if (b.grad_drive.data) Here::unpack(all_drives, targets, begin, b.grad_drive);
  }

  // The columns from `begin` on, kept in the order of a tile.
  static View here(Real *values, int64_t begin) { return {values - begin, width, 1}; }

  static void add(const Real *values, Range rows, Real *to) {
    for (int64_t at = rows.begin * width; at < rows.end * width; ++at) to[at] += values[at];
  }
};

}  // namespace
}  // namespace sparsebrain
