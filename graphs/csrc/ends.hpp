// The ends of synapses, which are checked in one pass before they are used.
#pragma once

#include "rows.hpp"

namespace compiled {

struct Ends {
  const int64_t *source, *target;
  int64_t size, neurons;
  bool apart(int64_t at) const { return source[at] != target[at]; }
};

inline Ends ends(const Index &source, const Index &target, int64_t neurons) {
  if (neurons < 0 || source.size() != target.size())
    throw std::invalid_argument("source and target must be of one length, neurons not negative");
  return {source.data(), target.data(), int64_t(source.size()), neurons};
}

inline bool is_neuron(int64_t end, int64_t neurons) { return uint64_t(end) < uint64_t(neurons); }

struct Seen {
  bool inside;         // all ends are neurons
  bool rising;         // (target, source) increases from each synapse to the next; valid if `inside`
  int64_t self_loops;  // number of synapses from a neuron to itself
};

Seen look_through(const Ends &all);

inline Seen checked(const Ends &all) {
  const Seen seen = look_through(all);
  if (!seen.inside) throw std::out_of_range("an end of a synapse is not a neuron");
  return seen;
}

inline void check_sizes(const Ends &all) {
  if (all.neurons > std::numeric_limits<int32_t>::max() ||
      all.size > std::numeric_limits<int32_t>::max() / 2)
    throw std::invalid_argument("more neurons or synapses than 32-bit numbers count");
}

// Sources of each target in the order of the synapses, without self-loops; sorted if `rising`.
inline Rows incoming(const Ends &all, const Seen &seen) {
  Rows rows{std::vector<int64_t>(all.neurons + 1, 0), Many<int32_t>(all.size - seen.self_loops)};
  int64_t kept = 0;
  if (seen.rising) {
    for (int64_t at = 0; at < all.size; ++at)
      if (all.apart(at)) {
        rows.index[kept++] = int32_t(all.source[at]);
        rows.pointer[all.target[at] + 1] = kept;
      }
    for (int64_t row = 0; row < all.neurons; ++row)
      rows.pointer[row + 1] = std::max(rows.pointer[row], rows.pointer[row + 1]);
    return rows;
  }
  for (int64_t at = 0; at < all.size; ++at) rows.pointer[all.target[at] + 1] += all.apart(at);
  for (int64_t row = 0; row < all.neurons; ++row) rows.pointer[row + 1] += rows.pointer[row];
  std::vector<int64_t> next(rows.pointer.begin(), rows.pointer.end() - 1);
  for (int64_t at = 0; at < all.size; ++at)
    if (all.apart(at)) rows.index[next[all.target[at]]++] = int32_t(all.source[at]);
  return rows;
}

}  // namespace compiled
