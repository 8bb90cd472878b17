// Rows of a sparse matrix, checked and stored as 32-bit numbers, which halves the memory traffic.
#pragma once

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <vector>

#include "arrays.hpp"

namespace compiled {

struct Rows {
  std::vector<int64_t> pointer;
  Many<int32_t> index;
  int64_t size() const { return int64_t(pointer.size()) - 1; }
  const int32_t *begin(int64_t row) const { return index.data() + pointer[row]; }
  const int32_t *end(int64_t row) const { return index.data() + pointer[row + 1]; }
  int64_t length(int64_t row) const { return pointer[row + 1] - pointer[row]; }
};

using Columns = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Returns the square matrix of CSR arrays, or throws an error that describes what is wrong.
inline Rows checked(const Index &pointer, const Columns &index) {
  const int64_t rows = int64_t(pointer.size()) - 1, size = int64_t(index.size());
  if (rows < 0 || rows > std::numeric_limits<int32_t>::max())
    throw std::invalid_argument("pointers must be one more than neurons, below 2^31");
  const int64_t *at = pointer.data();
  int64_t wrong = at[0] != 0 || at[rows] != size;
  for (int64_t row = 0; row < rows; ++row) wrong += at[row] > at[row + 1];
  if (wrong) throw std::invalid_argument("pointers must rise from 0 to the number of synapses");
  const int32_t *columns = index.data();
  Rows kept{std::vector<int64_t>(at, at + rows + 1), Many<int32_t>(columns, columns + size)};
  for (int32_t column : kept.index) wrong += column < 0 || column >= rows;
  if (wrong) throw std::out_of_range("an end of a synapse is not a neuron");
  return kept;
}

inline bool sorted(const Rows &rows) {
  bool rising = true;
  for (int64_t row = 0; row < rows.size(); ++row)
    rising = rising && std::is_sorted(rows.begin(row), rows.end(row));
  return rising;
}

// Returns the transposed matrix with sorted rows.
inline Rows transposed(const Rows &rows) {
  const int64_t neurons = rows.size();
  Rows turned{std::vector<int64_t>(neurons + 1, 0), Many<int32_t>(rows.index.size())};
  for (int32_t column : rows.index) ++turned.pointer[column + 1];
  for (int64_t row = 0; row < neurons; ++row) turned.pointer[row + 1] += turned.pointer[row];
  std::vector<int64_t> next(turned.pointer.begin(), turned.pointer.end() - 1);
  for (int64_t row = 0; row < neurons; ++row)
    for (const int32_t *column = rows.begin(row); column != rows.end(row); ++column)
      turned.index[next[*column]++] = int32_t(row);
  return turned;
}

inline void check_neurons(const Index &chosen, int64_t neurons) {
  const int64_t *first = chosen.data();
  if (std::any_of(first, first + chosen.size(),
                  [neurons](int64_t each) { return each < 0 || each >= neurons; }))
    throw std::out_of_range("a chosen number is not a neuron");
}

}  // namespace compiled
