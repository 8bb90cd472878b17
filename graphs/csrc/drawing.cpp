// Sorting of rows of random numbers. The caller redraws repeated numbers.
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "arrays.hpp"
#include "keys.hpp"

namespace compiled {
namespace {

// Bucket sort with as many buckets as numbers: linear time for uniform random numbers, and never
// worse than a comparison sort.
void sort_row(int64_t *row, int64_t size, std::vector<int64_t> &copy, std::vector<int64_t> &ends) {
  if (size <= kShort) return insert_sorted(row, row + size);
  const auto [low, high] = std::minmax_element(row, row + size);
  const double first = double(*low), scale = double(size) / (double(*high) - first + 1);
  const auto bucket = [=](int64_t value) {
    return std::min(int64_t((double(value) - first) * scale), size - 1);
  };
  copy.assign(row, row + size);
  ends.assign(size + 1, 0);
  for (int64_t value : copy) ++ends[bucket(value) + 1];
  for (int64_t at = 0; at < size; ++at) ends[at + 1] += ends[at];
  for (int64_t value : copy) row[ends[bucket(value)]++] = value;
  // Now ends[b] is the end of bucket b and the start of bucket b + 1.
  for (int64_t at = 0, start = 0; at < size; start = ends[at++])
    sort_short(row + start, row + ends[at]);
}

NewIndex sort_rows(nb::ndarray<int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> values,
                   const Index &pointer, const Index &rows) {
  const int64_t size = int64_t(values.size()), last = int64_t(pointer.size()) - 1;
  const int64_t *start = pointer.data();
  std::vector<int64_t> repeats;
  {
    nb::gil_scoped_release unlocked;
    for (size_t at = 0; at < rows.size(); ++at) {
      const int64_t row = rows.data()[at];
      if (row < 0 || row >= last || (at && row <= rows.data()[at - 1]) || start[row] < 0 ||
          start[row] > start[row + 1] || start[row + 1] > size ||
          (at && start[row] < start[rows.data()[at - 1] + 1]))
        throw std::out_of_range("rows must rise, and each lie within the values");
    }
#pragma omp parallel
    {
      std::vector<int64_t> copy, ends;
#pragma omp for schedule(dynamic, 256)
      for (int64_t at = 0; at < int64_t(rows.size()); ++at) {
        const int64_t row = rows.data()[at];
        sort_row(values.data() + start[row], start[row + 1] - start[row], copy, ends);
      }
    }
    for (size_t at = 0; at < rows.size(); ++at)
      for (int64_t place = start[rows.data()[at]] + 1; place < start[rows.data()[at] + 1]; ++place)
        if (values.data()[place] == values.data()[place - 1]) repeats.push_back(place);
  }
  Fresh<int64_t> found(repeats.size());
  std::copy(repeats.begin(), repeats.end(), found.get());
  return found.as({repeats.size()});
}

}  // namespace

void register_drawing(nb::module_ &m) {
  m.def("sort_rows", &sort_rows, nb::arg("values").noconvert(), nb::arg("pointer").noconvert(),
        nb::arg("rows").noconvert(),
        "Sort these rows, values[pointer[r]:pointer[r + 1]], in place; return positions of repeats.");
}

}  // namespace compiled
