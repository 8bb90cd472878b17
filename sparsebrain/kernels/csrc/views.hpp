// Addresses and strides from Python, as the views of kernels.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace sparsebrain {

using Address = uintptr_t;

inline void *at(Address address) { return reinterpret_cast<void *>(address); }

// Address and both strides; an address of 0 where there is none.
using Strided = std::array<int64_t, 3>;

inline View view(const Strided &given) {
  return {at(static_cast<Address>(given[0])), given[1], given[2]};
}

inline std::vector<View> views(const std::vector<Strided> &given) {
  std::vector<View> made;
  for (const Strided &each : given) made.push_back(view(each));
  return made;
}

}  // namespace sparsebrain
