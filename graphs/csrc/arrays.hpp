// NumPy arrays in and out: nanobind checks dtype, axes and contiguity before a function is entered.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <initializer_list>
#include <memory>

namespace compiled {

namespace nb = nanobind;

using Index = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using NewIndex = nb::ndarray<nb::numpy, int64_t>;

// Memory that becomes a NumPy array of its own.
template <class Value>
class Fresh {
 public:
  explicit Fresh(size_t size) : values_(new Value[size]) {}
  Value *get() { return values_.get(); }
  nb::ndarray<nb::numpy, Value> as(std::initializer_list<size_t> shape) {
    Value *values = values_.release();
    nb::capsule owner(values, [](void *each) noexcept { delete[] static_cast<Value *>(each); });
    return nb::ndarray<nb::numpy, Value>(values, shape, owner);
  }

 private:
  std::unique_ptr<Value[]> values_;
};

}  // namespace compiled
