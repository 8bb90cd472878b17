// NumPy arrays as arguments and results. nanobind checks dtype, axes and contiguity of arguments.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace compiled {

namespace nb = nanobind;

using Index = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using NewIndex = nb::ndarray<nb::numpy, int64_t>;

// Requests huge pages for large arrays, as NumPy does; each small page costs a microsecond.
inline void prefer_large_pages(void *memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
  constexpr size_t least = size_t(4) << 20, page = 4096;
  if (bytes < least) return;
  const size_t skipped = (page - uintptr_t(memory) % page) % page;
  madvise(static_cast<char *>(memory) + skipped, (bytes - skipped) / page * page, MADV_HUGEPAGE);
#else
  (void)memory, (void)bytes;
#endif
}

template <class Value>
struct LargePages {
  using value_type = Value;
  LargePages() = default;
  template <class Other>
  LargePages(const LargePages<Other> &) {}
  Value *allocate(size_t size) {
    Value *values = std::allocator<Value>().allocate(size);
    prefer_large_pages(values, size * sizeof(Value));
    return values;
  }
  void deallocate(Value *values, size_t size) { std::allocator<Value>().deallocate(values, size); }
  bool operator==(const LargePages &) const { return true; }
  bool operator!=(const LargePages &) const { return false; }
};

// A vector with a value for each synapse.
template <class Value>
using Many = std::vector<Value, LargePages<Value>>;

// Uninitialized memory that becomes a NumPy array.
template <class Value>
class Fresh {
 public:
  explicit Fresh(size_t size) : values_(new Value[size]) {
    prefer_large_pages(values_.get(), size * sizeof(Value));
  }
  Value *get() { return values_.get(); }
  nb::ndarray<nb::numpy, Value> as(std::initializer_list<size_t> shape) {
    Value *values = values_.release();
    nb::capsule owner(values, [](void *each) noexcept { delete[] static_cast<Value *>(each); });
    return nb::ndarray<nb::numpy, Value>(values, shape, owner);
  }

 private:
  std::unique_ptr<Value[]> values_;
};

// Converts a vector to a NumPy array without a copy.
template <class Value>
nb::ndarray<nb::numpy, Value> handed_out(Many<Value> &&values) {
  auto kept = std::make_unique<Many<Value>>(std::move(values));
  Many<Value> &held = *kept;
  nb::capsule owner(kept.get(), [](void *each) noexcept { delete static_cast<Many<Value> *>(each); });
  kept.release();
  return nb::ndarray<nb::numpy, Value>(held.data(), {held.size()}, owner);
}

}  // namespace compiled
