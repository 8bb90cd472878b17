// The loops over synapses whose states are kept as bfloat16, compiled once for each instruction set as
// kernels.cpp. They are there for 32-bit indices alone, and without segments.
#include "algorithms.hpp"

namespace sparsebrain {
namespace {

using Small = Algorithms<float, int32_t, Bfloat16>;

Outcome loop(const Problem &p, const Forward &f) {
  return p.wide ? Outcome::refused : Small::loop(p, f);
}

Outcome loop_backward(const Problem &p, const Backward &b) {
  return p.wide || b.segment ? Outcome::refused : Small::loop_backward(p, b);
}

}  // namespace

#define JOIN(a, b) a##b
#define NAME(set) JOIN(add_narrow_of_, set)

void NAME(INSTRUCTION_SET)(Kernels &kernels) {
  kernels.single.narrow_loop = loop;
  kernels.single.narrow_loop_backward = loop_backward;
}

}  // namespace sparsebrain
