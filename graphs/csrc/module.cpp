// The Python module; each file registers its own functions.
#include <nanobind/nanobind.h>

namespace compiled {
void register_cells(nanobind::module_ &m);
void register_components(nanobind::module_ &m);
void register_compressing(nanobind::module_ &m);
void register_counts(nanobind::module_ &m);
void register_drawing(nanobind::module_ &m);
void register_growth(nanobind::module_ &m);
void register_moving(nanobind::module_ &m);
void register_shortcuts(nanobind::module_ &m);
void register_simple(nanobind::module_ &m);
void register_sorting(nanobind::module_ &m);
void register_texts(nanobind::module_ &m);
void register_triangles(nanobind::module_ &m);
void register_walks(nanobind::module_ &m);
void register_windows(nanobind::module_ &m);
}

NB_MODULE(_compiled, m) {
  m.doc() = "Compiled helpers, which graphs.compiled loads if they were built.";
  compiled::register_cells(m);
  compiled::register_components(m);
  compiled::register_compressing(m);
  compiled::register_counts(m);
  compiled::register_drawing(m);
  compiled::register_growth(m);
  compiled::register_moving(m);
  compiled::register_shortcuts(m);
  compiled::register_simple(m);
  compiled::register_sorting(m);
  compiled::register_texts(m);
  compiled::register_triangles(m);
  compiled::register_walks(m);
  compiled::register_windows(m);
}
