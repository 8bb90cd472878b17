// Hashing and sorting of the numbers of pairs of neurons.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace compiled {

// The finalizer of SplitMix64 (variant 13 of D. Stafford), as in graphs/generators/proximity.py.
inline uint64_t mixed(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

// Up to this number, values are sorted by insertion.
constexpr int64_t kShort = 24;

template <class Each>
void insert_sorted(Each *first, Each *last) {
  for (Each *at = first; at < last; ++at) {
    const Each value = *at;
    Each *place = at;
    for (; place > first && value < place[-1]; --place) *place = place[-1];
    *place = value;
  }
}

template <class Each>
void sort_short(Each *first, Each *last) {
  if (last - first > kShort && !std::is_sorted(first, last)) return std::sort(first, last);
  if (last - first <= kShort) insert_sorted(first, last);
}

// Sorts numbers below 2^bits by radix sort. Comparisons would cost a hundred times as much as
// additions, because their branches cannot be predicted.
inline void sort_row(std::vector<int64_t> &row, std::vector<int64_t> &spare, int bits) {
  if (row.size() < 48) return sort_short(row.data(), row.data() + row.size());
  spare.resize(row.size());
  for (int shift = 0; shift < bits; shift += 8) {
    uint32_t starts[257] = {0};
    for (const int64_t each : row) ++starts[((each >> shift) & 255) + 1];
    for (int digit = 0; digit < 256; ++digit) starts[digit + 1] += starts[digit];
    for (const int64_t each : row) spare[starts[(each >> shift) & 255]++] = each;
    row.swap(spare);
  }
}

}  // namespace compiled
