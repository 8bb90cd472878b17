#include "ends.hpp"

// Also compiled for AVX2, if the dynamic loader can select the version.
#if defined(__GLIBC__) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define FOR_WIDER_PROCESSORS __attribute__((target_clones("avx2", "default")))
#else
#define FOR_WIDER_PROCESSORS
#endif

namespace compiled {

// Only the signs of sums and differences are used, so that SSE2, which has no 64-bit comparison,
// can process several synapses at a time. They may wrap around if an end is not a neuron, in which
// case the other results are not used.
FOR_WIDER_PROCESSORS Seen look_through(const Ends &all) {
  if (all.size == 0) return {true, true, 0};
  const uint64_t last = uint64_t(all.neurons) - 1;
  const auto from = [&all](int64_t at) { return uint64_t(all.source[at]); };
  const auto to = [&all](int64_t at) { return uint64_t(all.target[at]); };
  uint64_t outside = uint64_t(all.neurons == 0) << 63, falls = 0, apart = 0;
  const auto look = [&](int64_t at) {
    outside |= from(at) | (last - from(at)) | to(at) | (last - to(at));
    const uint64_t between = from(at) - to(at);
    apart += (between | (0 - between)) >> 63;
  };
  look(0);
  for (int64_t at = 1; at < all.size; ++at) {
    look(at);
    falls |= 2 * (to(at) - to(at - 1)) - 1 + ((from(at - 1) - from(at)) >> 63);
  }
  return {!(outside >> 63), !(falls >> 63), all.size - int64_t(apart)};
}

}  // namespace compiled
