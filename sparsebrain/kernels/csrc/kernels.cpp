// The loops over synapses in single precision, compiled once for each instruction set. Everything here
// has internal linkage and nothing of the standard library is instantiated: a template shared between
// the sets could end up with instructions that a machine lacks. Further files fill in the rest of the
// table; in a single one, they would take too much memory to compile.
#include "algorithms.hpp"

namespace sparsebrain {

#define JOIN(a, b) a##b
#define NAME(set) JOIN(kernels_of_, set)

#define ADD(what, set) JOIN(what, set)

Kernels NAME(INSTRUCTION_SET)() {
  Kernels kernels;
  Entry<float>::add_to(kernels.single);
  ADD(add_twofold_of_, INSTRUCTION_SET)(kernels);
  ADD(add_narrow_of_, INSTRUCTION_SET)(kernels);
  ADD(add_diffusion_of_, INSTRUCTION_SET)(kernels);
  ADD(add_sequences_of_, INSTRUCTION_SET)(kernels);
  ADD(add_gibbs_of_, INSTRUCTION_SET)(kernels);
  ADD(add_joins_of_, INSTRUCTION_SET)(kernels);
  return kernels;
}

}  // namespace sparsebrain
