// Pairs of neurons in reach of each other, found through cells, and most of them decided at once.
//
// A synapse s -> t exists where its draw, a number mixed of one of s and one of t, lies below its
// probability. The probability is NumPy's alone, as exp() differs in the last bit between libraries;
// here there is a table of bounds on it. What lies between the bounds is left open.
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "keys.hpp"
#include "shares.hpp"

namespace compiled {
namespace {

using Points = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Reals = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Flags = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Draws = nb::ndarray<const uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr int64_t kMostCells = int64_t(1) << 20;  // along an axis, so that three make one number
constexpr int64_t kShares = 64;
constexpr int kMostAxes = 3;
// Far wider than any rounding here, and far narrower than what would cost time.
constexpr double kSlack = 1e-9, kCellSlack = 1e-6;

struct Axis {
  double scale, period, low, side;
  int64_t cells;
  bool wraps;
};

// A pair that NumPy has to decide.
struct Open {
  int64_t source;
  double square, draw;
  bool operator<(const Open &other) const { return source < other.source; }
};

struct Place {
  int64_t at, target;
};

struct Found {
  int64_t first, last;                // of the targets
  std::vector<uint32_t> sources;      // of all of them, one after the other
  std::vector<Place> open;            // which of them NumPy has to decide
  std::vector<double> squares, draws;  // of the open ones
};

// What the rows of a thread are made in.
struct Scratch {
  std::vector<int64_t> row, spare;
  std::vector<Open> open;
};

class Cells {
 public:
  Cells(const Points &points, const Reals &scale, const Reals &period, double reach,
        const Draws &sends, const Draws &receives, const Draws &certain, const Draws &possible,
        bool directed, bool self_loops)
      : neurons_(points.shape(0)), dimensions_(int(points.shape(1))), directed_(directed),
        self_loops_(self_loops), certain_(certain.data(), certain.data() + certain.size()),
        possible_(possible.data(), possible.data() + possible.size()), envelope_(possible_) {
    if (dimensions_ < 1 || dimensions_ > kMostAxes || int(scale.size()) != dimensions_ ||
        int(period.size()) != dimensions_ || int64_t(sends.size()) != neurons_ ||
        int64_t(receives.size()) != neurons_ || certain.size() != possible.size() ||
        certain.size() == 0 || !(reach > 0) || !std::isfinite(reach * reach))
      throw std::invalid_argument("points, scales, draws and bounds do not fit together");
    if (neurons_ > int64_t(UINT32_MAX)) throw std::invalid_argument("too many neurons");
    while (2 * neurons_ >> bits_) ++bits_;
    for (int64_t at = 0; at < neurons_ * dimensions_; ++at)
      if (!std::isfinite(points.data()[at])) throw std::invalid_argument("points must be finite");
    inner_ = reach * reach * (1 - kSlack);
    outer_ = reach * reach * (1 + kSlack);
    bins_ = double(certain_.size()) / (reach * reach);
    for (size_t at = envelope_.size() - 1; at-- > 0;)
      envelope_[at] = std::max(envelope_[at], envelope_[at + 1]);
    nb::gil_scoped_release unlocked;
    for (int a = 0; a < dimensions_; ++a) set_axis(a, points, scale.data()[a], period.data()[a]);
    // Small cells fit the reach better, and hold too few neurons where there are few in reach.
    for (int64_t parts = 1; parts <= 8; parts *= 2) {
      sort(points, reach, parts);
      if (neurons_ < (int64_t(8) << dimensions_) * int64_t(keys_.size())) break;
    }
    const size_t size = size_t(neurons_);
    counts_.resize(size);
    place_.resize(size);
    for (int a = 0; a < dimensions_; ++a) at_[a].resize(size);
    sends_.resize(size);
    receives_.resize(size);
    for (int64_t k = 0; k < neurons_; ++k) {
      const int64_t neuron = order_[k];
      place_[neuron] = uint32_t(k);
      for (int a = 0; a < dimensions_; ++a) at_[a][k] = points.data()[neuron * dimensions_ + a];
      sends_[k] = sends.data()[neuron];
      receives_[k] = receives.data()[neuron];
    }
  }

  // Looks up the sources of the targets up to `last`, on from where the last call ended, and returns
  // the squares of the distances and the draws of those that are open.
  nb::tuple search(int64_t last) {
    if (last < done_ || last > neurons_) throw std::out_of_range("targets must be neurons");
    if (unsettled_ != found_.size()) throw std::invalid_argument("open pairs must be settled first");
    std::vector<int64_t> starts(kShares + 1, 0);
    std::unique_ptr<Fresh<double>> squares, draws;
    {
      nb::gil_scoped_release unlocked;
      std::vector<Found> fresh(kShares);
      for_shares(last - done_, kShares, [&](int64_t number, int64_t low, int64_t high) {
        Found &part = fresh[number];
        part.first = done_ + low;
        part.last = done_ + high;
        Scratch scratch;
        for (int64_t target = part.first; target < part.last; ++target)
          counts_[target] = add_row(target, scratch, part);
        part.sources.shrink_to_fit();
      });
      for (int64_t number = 0; number < kShares; ++number)
        starts[number + 1] = starts[number] + int64_t(fresh[number].open.size());
      squares = std::make_unique<Fresh<double>>(starts[kShares]);
      draws = std::make_unique<Fresh<double>>(starts[kShares]);
      for (int64_t number = 0; number < kShares; ++number) {
        Found &part = fresh[number];
        std::copy(part.squares.begin(), part.squares.end(), squares->get() + starts[number]);
        std::copy(part.draws.begin(), part.draws.end(), draws->get() + starts[number]);
        part.squares = part.draws = {};
        found_.push_back(std::move(part));
      }
      done_ = last;
    }
    const size_t open = size_t(starts[kShares]);
    return nb::make_tuple(squares->as({open}), draws->as({open}));
  }

  // Drops the open pairs of the last search that are not connected.
  void settle(const Flags &connected) {
    const int64_t parts = int64_t(found_.size() - unsettled_);
    std::vector<int64_t> starts(parts + 1, 0);
    for (int64_t number = 0; number < parts; ++number)
      starts[number + 1] = starts[number] + int64_t(found_[unsettled_ + number].open.size());
    if (starts[parts] != int64_t(connected.size()))
      throw std::invalid_argument("there must be one flag for each open pair");
    nb::gil_scoped_release unlocked;
    for_shares(parts, parts, [&](int64_t number, int64_t, int64_t) {
      Found &part = found_[unsettled_ + number];
      const bool *flag = connected.data() + starts[number];
      auto to = part.sources.begin(), from = to;
      for (const Place &place : part.open) {
        if (*flag++) continue;
        --counts_[place.target];
        to = std::copy(from, part.sources.begin() + place.at, to);
        from = part.sources.begin() + place.at + 1;
      }
      part.sources.erase(std::copy(from, part.sources.end(), to), part.sources.end());
      part.open = {};
    });
    unsettled_ = found_.size();
  }

  // All synapses, once every target is searched and settled; they are handed out once.
  NewIndex edges() {
    if (done_ != neurons_ || unsettled_ != found_.size())
      throw std::invalid_argument("all targets must be searched and settled first");
    std::vector<int64_t> pointer(neurons_ + 1, 0);
    for (int64_t target = 0; target < neurons_; ++target)
      pointer[target + 1] = pointer[target] + counts_[target];
    const int64_t size = pointer[neurons_], parts = int64_t(found_.size());
    Fresh<int64_t> edges(2 * size);
    {
      nb::gil_scoped_release unlocked;
      std::vector<Found> found = std::move(found_);
      std::fill(counts_.begin(), counts_.end(), 0);
      found_.clear();
      unsettled_ = 0;
      for_shares(parts, parts, [&](int64_t number, int64_t, int64_t) {
        Found &part = found[number];
        std::copy(part.sources.begin(), part.sources.end(), edges.get() + pointer[part.first]);
        part.sources = {};
        for (int64_t target = part.first; target < part.last; ++target)
          std::fill(edges.get() + size + pointer[target], edges.get() + size + pointer[target + 1],
                    target);
      });
    }
    return edges.as({2, size_t(size)});
  }

 private:
  void set_axis(int a, const Points &points, double scale, double period) {
    Axis &axis = axes_[a];
    axis = {scale, period, 0, 0, 1, std::isfinite(period)};
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

  void sort(const Points &points, double reach, int64_t parts) {
    for (int a = 0; a < dimensions_; ++a) {
      Axis &axis = axes_[a];
      axis.side = std::max(reach * axis.scale / parts, span_[a] / kMostCells);
      if (axis.wraps) {
        axis.cells = std::max<int64_t>(1, int64_t(std::min(span_[a] / axis.side, 1.0 * kMostCells)));
        axis.side = span_[a] / axis.cells;
      } else {
        axis.cells = 1 + int64_t(std::min(span_[a] / axis.side, 1.0 * kMostCells));
      }
    }
    std::vector<std::pair<int64_t, uint32_t>> order(neurons_);
    for (int64_t neuron = 0; neuron < neurons_; ++neuron) {
      int64_t key = 0;
      for (int a = 0; a < dimensions_; ++a)
        key = key * axes_[a].cells + cell(axes_[a], points.data()[neuron * dimensions_ + a]);
      order[neuron] = {key, uint32_t(neuron)};
    }
    std::sort(order.begin(), order.end());
    keys_.clear();
    starts_.clear();
    order_.resize(neurons_);
    for (int64_t k = 0; k < neurons_; ++k) {
      order_[k] = order[k].second;
      if (k > 0 && order[k].first == order[k - 1].first) continue;
      keys_.push_back(order[k].first);
      starts_.push_back(k);
    }
    starts_.push_back(neurons_);
  }

  static int64_t cell(const Axis &axis, double x) {
    return std::clamp<int64_t>(int64_t((x - axis.low) / axis.side), 0, axis.cells - 1);
  }

  struct Range {
    int64_t low, high;
    bool whole;  // around a torus: all cells, each once
  };

  // Cells whose neurons may lie within `far` of x.
  static Range range(const Axis &axis, double x, double far) {
    const double from = (x - axis.low - far) / axis.side - kCellSlack;
    const double to = (x - axis.low + far) / axis.side + kCellSlack;
    const double most = double(kMostCells);
    const int64_t low = int64_t(std::floor(std::clamp(from, -most, 2 * most)));
    const int64_t high = int64_t(std::floor(std::clamp(to, -most, 2 * most)));
    if (!axis.wraps)
      return {std::max<int64_t>(low, 0), std::min(high, axis.cells - 1), false};
    if (high - low + 1 >= axis.cells) return {0, axis.cells - 1, true};
    return {low, high, false};
  }

  // Square of the least scaled distance from x to a cell, from below.
  static double gap(const Axis &axis, double x, int64_t cell, bool whole) {
    if (whole) return 0;
    const double low = axis.low + cell * axis.side;
    const double away = std::max(low - x, x - (low + axis.side)) - kCellSlack * axis.side;
    const double scaled = std::max(away, 0.0) / axis.scale;
    return scaled * scaled;
  }

  size_t bin(double square) const {
    const double at = square * bins_;
    return at < double(certain_.size()) ? size_t(at) : certain_.size() - 1;
  }

  int64_t add_row(int64_t target, Scratch &scratch, Found &found) const {
    std::vector<int64_t> &row = scratch.row;
    row.clear();
    scratch.open.clear();
    lines(0, 0, 0, target, place_[target], scratch);
    if (self_loops_) row.push_back(target * 2);
    sort_row(row, scratch.spare, bits_);
    std::sort(scratch.open.begin(), scratch.open.end());
    for (const int64_t entry : row) {
      if (entry & 1) found.open.push_back({int64_t(found.sources.size()), target});
      found.sources.push_back(uint32_t(entry >> 1));
    }
    for (const Open &each : scratch.open) {
      found.squares.push_back(each.square);
      found.draws.push_back(each.draw);
    }
    return int64_t(row.size());
  }

  // Goes along the first axes cell by cell; along the last, neighbouring cells stand side by side.
  void lines(int a, int64_t key, double square, int64_t target, int64_t place,
             Scratch &scratch) const {
    const Axis &axis = axes_[a];
    const double x = at_[a][place];
    const Range cells = range(axis, x, std::sqrt(outer_ - square) * axis.scale);
    if (cells.low > cells.high) return;
    if (a + 1 < dimensions_) {
      for (int64_t each = cells.low; each <= cells.high; ++each) {
        const double more = square + gap(axis, x, each, cells.whole);
        if (more > outer_) continue;
        lines(a + 1, (key + inside(axis, each)) * axes_[a + 1].cells, more, target, place,
              scratch);
      }
      return;
    }
    int64_t each = cells.low;
    while (each <= cells.high) {
      // Up to where the torus closes.
      const int64_t here = inside(axis, each);
      const int64_t last = std::min(cells.high, each + (axis.cells - 1 - here));
      const int64_t shift = each - here;
      auto at = std::lower_bound(keys_.begin(), keys_.end(), key + here) - keys_.begin();
      for (; at < int64_t(keys_.size()) && keys_[at] <= key + last - shift; ++at) {
        const double least = square + gap(axis, x, keys_[at] - key + shift, cells.whole);
        if (least <= outer_) scan(at, least, target, place, scratch);
      }
      each = last + 1;
    }
  }

  static int64_t inside(const Axis &axis, int64_t cell) {
    return cell < 0 ? cell + axis.cells : cell >= axis.cells ? cell - axis.cells : cell;
  }

  void scan(int64_t at, double least, int64_t target, int64_t place,
            Scratch &scratch) const {
    const uint64_t highest = envelope_[bin(least)];
    const uint64_t sent = sends_[place], received = receives_[place];
    for (int64_t k = starts_[at]; k < starts_[at + 1]; ++k) {
      // Far cells have low bounds, and few draws below them: those come first.
      const bool forward = directed_ || order_[k] < target;
      const uint64_t draw = mixed(forward ? sends_[k] + received : sent + receives_[k]) >> 11;
      if (draw >= highest || k == place) continue;
      double square = 0;
      for (int a = 0; a < dimensions_; ++a) {
        const Axis &axis = axes_[a];
        double apart = std::abs(double(at_[a][k]) - double(at_[a][place]));
        if (axis.wraps) apart = std::min(apart, axis.period - apart);
        if (axis.scale != 1) apart /= axis.scale;
        square = a == 0 ? apart * apart : square + apart * apart;
      }
      if (square > outer_) continue;
      const size_t slot = bin(square);
      if (draw >= possible_[slot]) continue;
      const bool open = draw >= certain_[slot] || square > inner_;
      scratch.row.push_back(int64_t(order_[k]) * 2 + open);
      if (open) scratch.open.push_back({order_[k], square, double(draw) * 0x1p-53});
    }
  }

  int64_t neurons_;
  int dimensions_;
  bool directed_, self_loops_;
  double inner_, outer_, bins_;
  // Thresholds of a draw for squares of the distance: below `certain` there is a synapse, from
  // `possible` on there is none, and from `envelope` on there is none at any greater distance.
  std::vector<uint64_t> certain_, possible_, envelope_;
  Axis axes_[kMostAxes];
  double span_[kMostAxes];
  int bits_ = 1;  // of twice the number of any neuron, and one
  // Neurons in the order of their cells; the cells that are not empty, and where each starts.
  std::vector<uint32_t> order_, place_;
  std::vector<int64_t> keys_, starts_;
  std::vector<float> at_[kMostAxes];
  std::vector<uint64_t> sends_, receives_;
  // What is found as yet: all targets before done_, and of these the parts before unsettled_ decided.
  int64_t done_ = 0;
  size_t unsettled_ = 0;
  std::vector<int64_t> counts_;
  std::vector<Found> found_;
};

}  // namespace

void register_cells(nb::module_ &m) {
  nb::class_<Cells>(m, "Cells", "Neurons in cells, among which pairs in reach are looked up.")
      .def(nb::init<const Points &, const Reals &, const Reals &, double, const Draws &,
                    const Draws &, const Draws &, const Draws &, bool, bool>(),
           nb::arg("points").noconvert(), nb::arg("scale").noconvert(),
           nb::arg("period").noconvert(), nb::arg("reach"), nb::arg("sends").noconvert(),
           nb::arg("receives").noconvert(), nb::arg("certain").noconvert(),
           nb::arg("possible").noconvert(),
           nb::arg("directed"), nb::arg("self_loops"))
      .def("search", &Cells::search, nb::arg("last"),
           "Look on up to a target; squares of distances and draws of the pairs left open.")
      .def("settle", &Cells::settle, nb::arg("connected").noconvert(),
           "Say which open pairs are connected.")
      .def("edges", &Cells::edges, "All synapses [2, E] by (target, source).");
}

}  // namespace compiled
