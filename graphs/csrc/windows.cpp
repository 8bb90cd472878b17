// Synapses within a window around each lattice point, written directly in canonical order.
#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "shares.hpp"

namespace compiled {
namespace {

using Table = nb::ndarray<const int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Flags = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Row = std::vector<std::pair<int64_t, int64_t>>;  // source and kind

constexpr int64_t kShares = 64;

struct Axis {
  int64_t side, stride, low, high;  // sources are in [low, high)
  bool wraps;
  int64_t nearest, farthest;  // the range of the window's offsets along this axis
};

class Window {
 public:
  Window(const Index &sides, const Flags &wraps, const Index &margins, const Table &offsets,
         const Index &kinds)
      : axes_(sides.size()), kinds_(kinds.data(), kinds.data() + kinds.size()),
        offsets_(offsets.data(), offsets.data() + offsets.size()), count_(kinds.size()) {
    if (axes_.empty() || wraps.size() != axes_.size() || margins.size() != axes_.size() ||
        offsets.shape(1) != axes_.size() || offsets.shape(0) != kinds.size())
      throw std::invalid_argument("sides, wraps, margins and offsets must have the same axes");
    for (size_t a = axes_.size(); a-- > 0;) {
      const int64_t side = sides.data()[a], margin = margins.data()[a];
      if (side < 1 || margin < 0 || neurons_ > (int64_t(1) << 60) / side)
        throw std::invalid_argument("sides must be positive and not too long, margins not negative");
      axes_[a] = {side, neurons_, std::min(margin, side), side - std::min(margin, side),
                  wraps.data()[a], 0, 0};
      neurons_ *= side;
    }
    steps_.assign(count_, 0);
    for (int64_t kind = 0; kind < count_; ++kind)
      for (size_t a = 0; a < axes_.size(); ++a) {
        const int64_t offset = offsets_[kind * axes_.size() + a];
        if (offset <= -axes_[a].side || offset >= axes_[a].side)
          throw std::out_of_range("an offset leaves the lattice");
        axes_[a].nearest = std::min(axes_[a].nearest, offset);
        axes_[a].farthest = std::max(axes_[a].farthest, offset);
        steps_[kind] += offset * axes_[a].stride;
      }
  }

  int64_t neurons() const { return neurons_; }

  // Calls `inner(target)` if the whole window fits around the target without wrapping, and
  // `border(target, row)` otherwise.
  template <class Inner, class Border>
  void visit(int64_t first, int64_t last, Inner inner, Border border) const {
    std::vector<int64_t> at(axes_.size());
    Row row;
    for (size_t a = 0; a < axes_.size(); ++a) at[a] = first / axes_[a].stride % axes_[a].side;
    for (int64_t target = first; target < last; ++target) {
      bool whole = true;
      for (size_t a = 0; a < axes_.size(); ++a)
        whole = whole && at[a] - axes_[a].farthest >= axes_[a].low &&
                at[a] - axes_[a].nearest < axes_[a].high;
      if (whole) {
        inner(target);
      } else {
        collect(at, row);
        border(target, row);
      }
      for (size_t a = axes_.size(); a-- > 0 && ++at[a] == axes_[a].side;) at[a] = 0;
    }
  }

  int64_t inner_count() const { return count_; }

  // Offsets increase, so sources decrease.
  void write_inner(int64_t target, int64_t *source, int64_t *kind) const {
    for (int64_t at = 0; at < count_; ++at) {
      source[at] = target - steps_[count_ - 1 - at];
      kind[at] = kinds_[count_ - 1 - at];
    }
  }

 private:
  void collect(const std::vector<int64_t> &at, Row &row) const {
    row.clear();
    bool around = false;
    for (int64_t each = count_; each-- > 0;) {
      int64_t source = 0;
      bool inside = true;
      for (size_t a = 0; a < axes_.size() && inside; ++a) {
        const Axis &axis = axes_[a];
        int64_t here = at[a] - offsets_[each * axes_.size() + a];
        if (axis.wraps && (here < 0 || here >= axis.side)) {
          here += here < 0 ? axis.side : -axis.side;
          around = true;
        }
        inside = here >= axis.low && here < axis.high;
        source += here * axis.stride;
      }
      if (inside) row.emplace_back(source, kinds_[each]);
    }
    if (around) std::sort(row.begin(), row.end());
  }

  std::vector<Axis> axes_;
  // Copies, because they are used without Python's lock.
  std::vector<int64_t> kinds_, offsets_;
  int64_t count_, neurons_ = 1;
  std::vector<int64_t> steps_;
};

nb::tuple window_edges(const Index &sides, const Flags &wraps, const Index &margins,
                       const Table &offsets, const Index &kinds) {
  const Window window(sides, wraps, margins, offsets, kinds);
  const int64_t neurons = window.neurons();
  std::unique_ptr<Fresh<int64_t>> edges, types;
  int64_t size = 0;
  {
    nb::gil_scoped_release unlocked;
    std::vector<int64_t> pointer(neurons + 1, 0);
    for_shares(neurons, kShares, [&](int64_t, int64_t first, int64_t last) {
      window.visit(
          first, last, [&](int64_t target) { pointer[target + 1] = window.inner_count(); },
          [&](int64_t target, const Row &row) { pointer[target + 1] = int64_t(row.size()); });
    });
    for (int64_t target = 0; target < neurons; ++target) pointer[target + 1] += pointer[target];
    size = pointer[neurons];
    edges = std::make_unique<Fresh<int64_t>>(2 * size);
    types = std::make_unique<Fresh<int64_t>>(size);
    int64_t *source = edges->get(), *kind = types->get();
    for_shares(neurons, kShares, [&](int64_t, int64_t first, int64_t last) {
      window.visit(
          first, last,
          [&](int64_t target) {
            window.write_inner(target, source + pointer[target], kind + pointer[target]);
          },
          [&](int64_t target, const Row &row) {
            for (size_t at = 0; at < row.size(); ++at) {
              source[pointer[target] + at] = row[at].first;
              kind[pointer[target] + at] = row[at].second;
            }
          });
      for (int64_t target = first; target < last; ++target)
        std::fill(source + size + pointer[target], source + size + pointer[target + 1], target);
    });
  }
  return nb::make_tuple(edges->as({2, size_t(size)}), types->as({size_t(size)}));
}

// Rows of a honeycomb; the first neuron of each row has the axial coordinate `start`.
struct Honeycomb {
  std::vector<int64_t> starts, lengths, first;
  bool wraps_down, wraps_along;
  std::vector<int64_t> offsets;  // (row, axial) pairs in increasing order

  int64_t rows() const { return int64_t(starts.size()); }

  // Calls `found(target, row of sources and kinds)` for all neurons of a range of lattice rows.
  template <class Each>
  void visit(int64_t low, int64_t high, Each found) const {
    Row row;
    for (int64_t target_row = low; target_row < high; ++target_row)
      for (int64_t at = 0; at < lengths[target_row]; ++at) {
        row.clear();
        bool around = false;
        for (int64_t kind = int64_t(offsets.size()) / 2; kind-- > 0;) {
          const int64_t there = target_row - offsets[2 * kind];
          int64_t here = there;
          if (there < 0 || there >= rows()) {
            if (!wraps_down) continue;
            here = (there % rows() + rows()) % rows();
            around = true;
          }
          // Wrapping around the rows of a sheet shifts the axial coordinate by half of their
          // number.
          int64_t column =
              starts[target_row] + at - offsets[2 * kind + 1] - starts[here] - (here - there) / 2;
          const int64_t width = lengths[here];
          if (column < 0 || column >= width) {
            if (!wraps_along) continue;
            column = (column % width + width) % width;
            around = true;
          }
          row.emplace_back(first[here] + column, kind);
        }
        if (around) std::sort(row.begin(), row.end());
        found(first[target_row] + at, row);
      }
  }
};

Honeycomb honeycomb(const Index &starts, const Index &lengths, bool down, bool along,
                    const Table &offsets) {
  if (starts.size() != lengths.size() || offsets.shape(1) != 2)
    throw std::invalid_argument("there must be one length for each start, and two axes");
  Honeycomb made{{starts.data(), starts.data() + starts.size()},
                 {lengths.data(), lengths.data() + lengths.size()},
                 {0},
                 down,
                 along,
                 {offsets.data(), offsets.data() + offsets.size()}};
  constexpr int64_t most = int64_t(1) << 40;
  for (const int64_t length : made.lengths) {
    if (length < 1 || length > most || made.first.back() > most)
      throw std::invalid_argument("lengths must be positive and not too long");
    made.first.push_back(made.first.back() + length);
  }
  for (const std::vector<int64_t> *values : {&made.starts, &made.offsets})
    for (const int64_t value : *values)
      if (value < -most || value > most) throw std::out_of_range("an offset leaves the lattice");
  return made;
}

nb::tuple honeycomb_edges(const Index &starts, const Index &lengths, bool down, bool along,
                          const Table &offsets) {
  const Honeycomb lattice = honeycomb(starts, lengths, down, along, offsets);
  const int64_t neurons = lattice.first.back();
  std::unique_ptr<Fresh<int64_t>> edges, types;
  std::vector<int64_t> pointer(neurons + 1, 0);
  int64_t size = 0;
  {
    nb::gil_scoped_release unlocked;
    for_shares(lattice.rows(), kShares, [&](int64_t, int64_t low, int64_t high) {
      lattice.visit(low, high, [&](int64_t target, const Row &row) {
        pointer[target + 1] = int64_t(row.size());
      });
    });
    for (int64_t target = 0; target < neurons; ++target) pointer[target + 1] += pointer[target];
    size = pointer[neurons];
    edges = std::make_unique<Fresh<int64_t>>(2 * size);
    types = std::make_unique<Fresh<int64_t>>(size);
    for_shares(lattice.rows(), kShares, [&](int64_t, int64_t low, int64_t high) {
      lattice.visit(low, high, [&](int64_t target, const Row &row) {
        int64_t at = pointer[target];
        for (const auto &[source, kind] : row) {
          edges->get()[at] = source;
          edges->get()[size + at] = target;
          types->get()[at++] = kind;
        }
      });
    });
  }
  return nb::make_tuple(edges->as({2, size_t(size)}), types->as({size_t(size)}));
}

}  // namespace

void register_windows(nb::module_ &m) {
  m.def("window_edges", &window_edges, nb::arg("sides").noconvert(),
        nb::arg("wraps").noconvert(), nb::arg("margins").noconvert(),
        nb::arg("offsets").noconvert(), nb::arg("kinds").noconvert(),
        "Edges [2, E] by (target, source, kind) and kinds [E]; offsets [T, D] in increasing order.");
  m.def("honeycomb_edges", &honeycomb_edges, nb::arg("starts").noconvert(),
        nb::arg("lengths").noconvert(), nb::arg("down"), nb::arg("along"),
        nb::arg("offsets").noconvert(),
        "Edges [2, E] by (target, source) and kinds [E]; offsets [T, 2] in increasing order.");
}

}  // namespace compiled
