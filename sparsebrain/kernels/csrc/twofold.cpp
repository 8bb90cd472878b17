// The loops over synapses in double precision, compiled once for each instruction set as kernels.cpp.
#include "algorithms.hpp"

namespace sparsebrain {

#define JOIN(a, b) a##b
#define NAME(set) JOIN(add_twofold_of_, set)

void NAME(INSTRUCTION_SET)(Kernels &kernels) { Entry<double>::add_to(kernels.twofold); }

}  // namespace sparsebrain
