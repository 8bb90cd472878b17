// Points in cells of equal size, and the cells within reach of a point.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "arrays.hpp"

namespace compiled {

using Points = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Reals = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr int kMostAxes = 3;
constexpr int64_t kMostCells = int64_t(1) << 20;  // along an axis; three fit into int64
// Much larger than all rounding errors, and too small to add noticeable work.
constexpr double kCellSlack = 1e-6;

struct Axis {
  double scale, period, low, side, per_side;
  int64_t cells;
  bool wraps;
};

class Grid {
 public:
  // Sorts points into cells with the reach as side length, or smaller cells if points are dense.
  void fill(const Points &points, const Reals &scale, const Reals &period, double reach) {
    neurons_ = int64_t(points.shape(0));
    dimensions_ = int(points.shape(1));
    for (int a = 0; a < dimensions_; ++a) set_axis(a, points, scale.data()[a], period.data()[a]);
    // Smaller cells approximate the reach better, but must hold enough neurons each.
    for (int64_t parts = 1; parts <= 8; parts *= 2) {
      const int64_t filled = sort(points, reach, parts);
      if (neurons_ < (int64_t(8) << dimensions_) * filled) break;
    }
    for (int a = 0; a < dimensions_; ++a) {
      at_[a].resize(size_t(neurons_));
      for (int64_t k = 0; k < neurons_; ++k)
        at_[a][k] = points.data()[int64_t(order_[k]) * dimensions_ + a];
    }
  }

  int dimensions() const { return dimensions_; }
  const Axis &axis(int a) const { return axes_[a]; }
  // The numbers of the neurons in the order of their cells, and their coordinates along an axis.
  const std::vector<uint32_t> &order() const { return order_; }
  const float *at(int a) const { return at_[a].data(); }

  // Calls visit(first, last, least) for every cell within the distance sqrt(outer), with the range
  // of its neurons and a lower bound of their squared scaled distance.
  template <class Visit>
  void around(int64_t place, double outer, Visit &visit) const {
    lines(0, 0, 0, place, outer, visit);
  }

 private:
  void set_axis(int a, const Points &points, double scale, double period) {
    Axis &axis = axes_[a];
    axis = {scale, period, 0, 0, 0, 1, std::isfinite(period)};
    if (!(scale > 0) || !(period > 0)) throw std::invalid_argument("scales and periods must be > 0");
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (int64_t at = a; at < neurons_ * dimensions_; at += dimensions_) {
      low = std::min(low, double(points.data()[at]));
      high = std::max(high, double(points.data()[at]));
    }
    if (axis.wraps && neurons_ && (low < 0 || high >= period))
      throw std::invalid_argument("points must lie within the period");
    axis.low = axis.wraps || neurons_ == 0 ? 0 : low;
    span_[a] = axis.wraps ? period : std::max(high - low, 0.0);
  }

  // Returns the number of nonempty cells.
  int64_t sort(const Points &points, double reach, int64_t parts) {
    int64_t cells = 1;
    for (int a = 0; a < dimensions_; ++a) {
      Axis &axis = axes_[a];
      axis.side = std::max(reach * axis.scale / parts, span_[a] / kMostCells);
      if (axis.wraps) {
        axis.cells = std::max<int64_t>(1, int64_t(std::min(span_[a] / axis.side, 1.0 * kMostCells)));
        axis.side = span_[a] / axis.cells;
      } else {
        axis.cells = 1 + int64_t(std::min(span_[a] / axis.side, 1.0 * kMostCells));
      }
      axis.per_side = 1 / axis.side;
      cells *= axis.cells;
    }
    std::vector<int64_t> key(neurons_, 0);
    for (int64_t neuron = 0; neuron < neurons_; ++neuron)
      for (int a = 0; a < dimensions_; ++a)
        key[neuron] = key[neuron] * axes_[a].cells +
                      cell(axes_[a], points.data()[neuron * dimensions_ + a]);
    order_.resize(neurons_);
    keys_.clear();
    // If there are few cells, the table contains all of them, including empty ones.
    return cells <= 4 * neurons_ + 64 ? count(key, cells) : list(key);
  }

  int64_t count(const std::vector<int64_t> &key, int64_t cells) {
    starts_.assign(cells + 1, 0);
    for (const int64_t each : key) ++starts_[each + 1];
    const int64_t empty = std::count(starts_.begin() + 1, starts_.end(), 0);
    for (int64_t at = 0; at < cells; ++at) starts_[at + 1] += starts_[at];
    std::vector<int64_t> next(starts_.begin(), starts_.end() - 1);
    for (int64_t neuron = 0; neuron < neurons_; ++neuron)
      order_[next[key[neuron]]++] = uint32_t(neuron);
    return cells - empty;
  }

  int64_t list(const std::vector<int64_t> &key) {
    std::vector<std::pair<int64_t, uint32_t>> order(neurons_);
    for (int64_t neuron = 0; neuron < neurons_; ++neuron) order[neuron] = {key[neuron], uint32_t(neuron)};
    std::sort(order.begin(), order.end());
    starts_.clear();
    for (int64_t k = 0; k < neurons_; ++k) {
      order_[k] = order[k].second;
      if (k > 0 && order[k].first == order[k - 1].first) continue;
      keys_.push_back(order[k].first);
      starts_.push_back(k);
    }
    starts_.push_back(neurons_);
    return int64_t(keys_.size());
  }

  // The table index of the cell with this key or of the next nonempty cell, and the key at an
  // index.
  int64_t found(int64_t key) const {
    return keys_.empty() ? key : std::lower_bound(keys_.begin(), keys_.end(), key) - keys_.begin();
  }
  int64_t key(int64_t at) const { return keys_.empty() ? at : keys_[at]; }

  static int64_t cell(const Axis &axis, double x) {
    return std::clamp<int64_t>(int64_t((x - axis.low) / axis.side), 0, axis.cells - 1);
  }

  static int64_t inside(const Axis &axis, int64_t cell) {
    return cell < 0 ? cell + axis.cells : cell >= axis.cells ? cell - axis.cells : cell;
  }

  // Avoids a library call. Cell numbers are small, so values are clamped to a range around them.
  static int64_t floor(double value) {
    const double most = double(kMostCells), near = std::min(std::max(value, -most), 2 * most);
    const int64_t whole = int64_t(near);
    return whole - (double(whole) > near);
  }

  struct Range {
    int64_t low, high;
    bool whole;  // the range covers the whole torus: each cell once
  };

  // The range of cells with neurons that may be within the distance `far` of x.
  static Range range(const Axis &axis, double x, double far) {
    const double at = (x - axis.low) * axis.per_side, wide = far * axis.per_side + kCellSlack;
    const int64_t low = floor(at - wide), high = floor(at + wide);
    if (!axis.wraps)
      return {std::max<int64_t>(low, 0), std::min(high, axis.cells - 1), false};
    if (high - low + 1 >= axis.cells) return {0, axis.cells - 1, true};
    return {low, high, false};
  }

  // A lower bound of the squared scaled distance from x to a cell.
  static double gap(const Axis &axis, double x, int64_t cell, bool whole) {
    if (whole) return 0;
    const double low = axis.low + cell * axis.side;
    const double away = std::max(low - x, x - (low + axis.side)) - kCellSlack * axis.side;
    if (away <= 0) return 0;
    const double scaled = away / axis.scale;
    return scaled * scaled;
  }

  // Iterates over the cells of all axes except the last, along which neighboring cells are
  // contiguous.
  template <class Visit>
  void lines(int a, int64_t first, double square, int64_t place, double outer, Visit &visit) const {
    const Axis &axis = axes_[a];
    const double x = at_[a][place];
    const Range cells = range(axis, x, std::sqrt(outer - square) * axis.scale);
    if (cells.low > cells.high) return;
    if (a + 1 < dimensions_) {
      for (int64_t each = cells.low; each <= cells.high; ++each) {
        const double more = square + gap(axis, x, each, cells.whole);
        if (more > outer) continue;
        lines(a + 1, (first + inside(axis, each)) * axes_[a + 1].cells, more, place, outer, visit);
      }
      return;
    }
    int64_t each = cells.low;
    while (each <= cells.high) {
      // The range ends where the torus wraps around.
      const int64_t here = inside(axis, each), shift = each - here;
      const int64_t last = std::min(cells.high, each + (axis.cells - 1 - here));
      const int64_t size = int64_t(starts_.size()) - 1;
      for (int64_t at = found(first + here); at < size && key(at) <= first + last - shift; ++at) {
        const double least = square + gap(axis, x, key(at) - first + shift, cells.whole);
        if (least <= outer) visit(starts_[at], starts_[at + 1], least);
      }
      each = last + 1;
    }
  }

  int64_t neurons_ = 0;
  int dimensions_ = 0;
  Axis axes_[kMostAxes];
  double span_[kMostAxes];
  std::vector<uint32_t> order_;
  // The start of each cell of the table, and the keys if the table contains only nonempty cells.
  std::vector<int64_t> starts_, keys_;
  std::vector<float> at_[kMostAxes];
};

}  // namespace compiled
