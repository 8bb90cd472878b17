// The maximum number of threads and the number of the current one; one thread without OpenMP.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

namespace compiled {

inline int threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

inline int thread() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

}  // namespace compiled
