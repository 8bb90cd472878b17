// Loops whose neurons join what their synapses carry otherwise than by one sum.
#pragma once

#include "kernels.hpp"

namespace sparsebrain {

// The numbers are those of joins.py.
enum class Join : int { largest_message = 0, smallest_message = 1, largest_sum = 2 };

// Weights are [pieces, synapses], in the order of the synapses; only the largest of several sums has
// more than one piece. Its bias is [pieces, neurons], and is added to the sums.
struct JoinForward {
  Join join;
  int64_t pieces;
  Forward loop;
};

struct JoinBackward {
  Join join;
  int64_t pieces;
  Backward loop;
};

}  // namespace sparsebrain
