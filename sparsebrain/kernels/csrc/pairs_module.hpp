// How rows are paired, and what of it Python calls.
#pragma once

#include <nanobind/nanobind.h>

#include <array>
#include <cstdint>
#include <stdexcept>

#include "index.hpp"

namespace sparsebrain {
namespace {

// Calls `shared(a, b)` for each two places of the rows [a, second) and [second, end) that have the same
// neuron, and `first(a)` or `second(b)` for each other place; in the order of the neurons where the
// rows are.
template <class Shared, class First, class Second>
void merge(const Csr<int32_t> &csr, int64_t row, const Shared &shared, const First &first,
           const Second &second) {
  int32_t a = csr.pointer[row], b = csr.pointer[row + 1];
  const int32_t end_of_first = b, end = row + 1 < csr.neurons ? csr.pointer[row + 2] : b;
  while (a < end_of_first && b < end) {
    if (csr.neuron[a] == csr.neuron[b])
      shared(a++, b++);
    else if (csr.neuron[a] < csr.neuron[b])
      first(a++);
    else
      second(b++);
  }
  while (a < end_of_first) first(a++);
  while (b < end) second(b++);
}

inline int64_t count_shared(const Csr<int32_t> &csr) {
  if (!csr.is_sound(1)) return 0;
  int64_t found = 0;
  const auto pass = [](int32_t) {};
  for (int64_t row = 0; row < csr.neurons; row += 2)
    merge(csr, row, [&](int32_t, int32_t) { ++found; }, pass, pass);
  return found;
}

// Writes the pairs of all rows, and the neuron and the synapse at each of their places; false where
// the index leads nowhere.
inline bool lay_out(const Csr<int32_t> &csr, RowPair *pair, int32_t *neuron, int32_t *order) {
  if (!csr.is_sound(1)) return false;
  const auto put = [&](int32_t to, int32_t from) {
    neuron[to] = csr.neuron[from];
    order[to] = csr.order ? csr.order[from] : from;
  };
  for (int64_t row = 0; row < csr.neurons; row += 2, ++pair) {
    *pair = {csr.pointer[row], 0, 0};
    int32_t others = 0;
    merge(csr, row, [&](int32_t, int32_t) { ++pair->shared; }, [&](int32_t) { ++pair->first; }, [&](int32_t) { ++others; });
    const int32_t both = pair->begin + 2 * pair->shared;
    const int32_t turns = pair->first < others ? pair->first : others;
    const auto place = [&](int32_t number, int32_t side) {
      return both + (number < turns ? 2 * number + side : number + turns);
    };
    int32_t shared = pair->begin, one = 0, two = 0;
    merge(
        csr, row,
        [&](int32_t a, int32_t b) {
          put(shared++, a);
          put(shared++, b);
        },
        [&](int32_t a) { put(place(one++, 0), a); }, [&](int32_t b) { put(place(two++, 1), b); });
  }
  *pair = {int32_t(csr.synapses), 0, 0};
  return true;
}

inline Csr<int32_t> rows_of(const Problem &p, bool transpose) {
  if (p.wide) throw std::invalid_argument("rows with 64-bit indices are not read in pairs");
  return {transpose ? p.by_source : p.by_target, p};
}

inline Pairs pairs_of(const Problem &p, const std::array<uintptr_t, 3> &addresses) {
  if (p.wide && addresses[0])
    throw std::invalid_argument("rows with 64-bit indices are not read in pairs");
  return {reinterpret_cast<const RowPair *>(addresses[0]),
          reinterpret_cast<const int32_t *>(addresses[1]),
          reinterpret_cast<const int32_t *>(addresses[2])};
}

template <class Call>
void add_pairs(nanobind::module_ &m) {
  m.def("count_shared", [](const Call &call, bool transpose) {
    return count_shared(rows_of(call.problem, transpose));
  }, "The neurons that both rows of a pair read, of all pairs.");
  m.def("pair_rows", [](const Call &call, bool transpose, const std::array<uintptr_t, 3> &to) {
    return lay_out(rows_of(call.problem, transpose), reinterpret_cast<RowPair *>(to[0]),
                   reinterpret_cast<int32_t *>(to[1]), reinterpret_cast<int32_t *>(to[2]));
  });
}

}  // namespace
}  // namespace sparsebrain
