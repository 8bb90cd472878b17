// Synapses between neurons within reach of each other, which are found with cell lists. A synapse s
// -> t exists if its draw, a hash of a number of s and a number of t, is below its probability.
// Only NumPy computes probabilities, because exp() differs in the last bit between libraries. This
// code has a table of bounds on them; pairs with draws between the bounds are left open for NumPy
// to decide.
#include "grid.hpp"
#include "keys.hpp"
#include "shares.hpp"

namespace compiled {
namespace {

using Flags = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Draws = nb::ndarray<const uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr int64_t kShares = 64;
constexpr uint64_t kLargest = (uint64_t(1) << 53) - 1;  // largest draw
constexpr double kSlack = 1e-9;  // allows for rounding

// A pair that NumPy has to decide.
struct Open {
  int64_t source;
  double square, draw;
  bool operator<(const Open &other) const { return source < other.source; }
};

struct Entry {
  int64_t at, target;
};

struct Found {
  int64_t first, last;                // range of targets, in the order of their cells
  std::vector<uint32_t> sources;      // sources of these targets, concatenated
  std::vector<Entry> open;            // the pairs that NumPy has to decide
  std::vector<double> squares, draws;  // of the open pairs
};

// Consecutive neurons, and the smallest draw for which none of them is connected.
struct Span {
  int64_t first, last;
  uint64_t highest;
};

// Buffers of one thread: the current row, and its candidates, of which the first `kept` are valid.
struct Scratch {
  std::vector<int64_t> row, spare, near;
  std::vector<double> square;
  std::vector<Open> open;
  size_t kept = 0;

  void make_room(size_t more) {
    if (near.size() >= kept + more) return;
    near.resize(2 * (kept + more));
    square.resize(near.size());
  }
};

class Cells {
 public:
  Cells(const Points &points, const Reals &scale, const Reals &period, double reach,
        const Draws &sends, const Draws &receives, const Draws &certain, const Draws &possible,
        bool directed, bool self_loops)
      : neurons_(points.shape(0)), directed_(directed), self_loops_(self_loops),
        certain_(certain.data(), certain.data() + certain.size()),
        possible_(possible.data(), possible.data() + possible.size()), envelope_(possible_) {
    const int64_t axes = int64_t(points.shape(1));
    if (axes < 1 || axes > kMostAxes || int64_t(scale.size()) != axes ||
        int64_t(period.size()) != axes || int64_t(sends.size()) != neurons_ ||
        int64_t(receives.size()) != neurons_ || certain.size() != possible.size() ||
        certain.size() == 0 || !(reach > 0) || !std::isfinite(reach * reach))
      throw std::invalid_argument("points, scales, draws and bounds do not fit together");
    if (neurons_ > int64_t(UINT32_MAX)) throw std::invalid_argument("too many neurons");
    while (2 * neurons_ >> bits_) ++bits_;
    for (int64_t at = 0; at < neurons_ * axes; ++at)
      if (!std::isfinite(points.data()[at])) throw std::invalid_argument("points must be finite");
    inner_ = reach * reach * (1 - kSlack);
    outer_ = reach * reach * (1 + kSlack);
    bins_ = double(certain_.size()) / (reach * reach);
    for (size_t at = envelope_.size() - 1; at-- > 0;)
      envelope_[at] = std::max(envelope_[at], envelope_[at + 1]);
    nb::gil_scoped_release unlocked;
    grid_.fill(points, scale, period, reach);
    const size_t size = size_t(neurons_);
    counts_.resize(size);
    sends_.resize(size);
    receives_.resize(size);
    for (int64_t k = 0; k < neurons_; ++k) {
      sends_[k] = sends.data()[grid_.order()[k]];
      receives_[k] = receives.data()[grid_.order()[k]];
    }
  }

  // Continues the search up to target `last`, in the order of the cells. Returns the squared
  // distances and the draws of the open pairs.
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
        for (int64_t place = part.first; place < part.last; ++place) add_row(place, scratch, part);
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

  // Removes the open pairs of the last search that are not connected.
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
      for (const Entry &entry : part.open) {
        if (*flag++) continue;
        --counts_[entry.target];
        to = std::copy(from, part.sources.begin() + entry.at, to);
        from = part.sources.begin() + entry.at + 1;
      }
      part.sources.erase(std::copy(from, part.sources.end(), to), part.sources.end());
      part.open = {};
    });
    unsettled_ = found_.size();
  }

  // Returns all synapses after all targets were searched and settled. Can be called only once.
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
        const uint32_t *next = part.sources.data();
        for (int64_t place = part.first; place < part.last; ++place) {
          const int64_t target = grid_.order()[place], first = pointer[target];
          const int64_t length = pointer[target + 1] - first;
          std::copy(next, next + length, edges.get() + first);
          std::fill_n(edges.get() + size + first, length, target);
          next += length;
        }
        part.sources = {};
      });
    }
    return edges.as({2, size_t(size)});
  }

 private:
  size_t bin(double square) const {
    return size_t(int64_t(std::min(square * bins_, double(certain_.size() - 1))));
  }

  void add_row(int64_t place, Scratch &scratch, Found &found) {
    const int64_t target = grid_.order()[place];
    std::vector<int64_t> &row = scratch.row;
    scratch.open.clear();
    scratch.kept = 0;
    Span span{0, 0, 0};
    const auto visit = [&](int64_t first, int64_t last, double least) {
      const uint64_t highest = envelope_[bin(least)];
      if (first == span.last && highest == span.highest) {
        span.last = last;
        return;
      }
      refuse(span, place, scratch);
      span = {first, last, highest};
    };
    grid_.around(place, outer_, visit);
    refuse(span, place, scratch);
    measure(place, scratch);
    decide(place, scratch);
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
    counts_[target] = int64_t(row.size());
  }

  uint64_t drawn(int64_t k, int64_t place) const {
    const bool forward = directed_ || grid_.order()[k] < grid_.order()[place];
    return mixed(forward ? sends_[k] + receives_[place] : sends_[place] + receives_[k]) >> 11;
  }

  // Keeps the neurons whose draw is below `highest`. A branch could not be predicted, so every
  // neuron is written, and only the next write position depends on the draw.
  void refuse(const Span &span, int64_t place, Scratch &scratch) const {
    scratch.make_room(size_t(span.last - span.first));
    int64_t *near = scratch.near.data();
    size_t kept = scratch.kept;
    if (span.highest > kLargest)
      for (int64_t k = span.first; k < span.last; ++k) near[kept++] = k;
    else
      for (int64_t k = span.first; k < span.last; ++k) {
        near[kept] = k;
        kept += drawn(k, place) < span.highest;
      }
    scratch.kept = kept;
  }

  // Keeps the neurons within reach, except for the neuron itself.
  void measure(int64_t place, Scratch &scratch) const {
    int64_t *near = scratch.near.data();
    double *square = scratch.square.data();
    for (int a = 0; a < grid_.dimensions(); ++a) {
      const Axis &axis = grid_.axis(a);
      const float *at = grid_.at(a);
      const double x = at[place];
      for (size_t each = 0; each < scratch.kept; ++each) {
        double apart = std::abs(double(at[near[each]]) - x);
        if (axis.wraps) apart = std::min(apart, axis.period - apart);
        if (axis.scale != 1) apart /= axis.scale;
        square[each] = a == 0 ? apart * apart : square[each] + apart * apart;
      }
    }
    size_t kept = 0;
    for (size_t each = 0; each < scratch.kept; ++each) {
      near[kept] = near[each];
      square[kept] = square[each];
      kept += (square[each] <= outer_) & (near[each] != place);
    }
    scratch.kept = kept;
  }

  void decide(int64_t place, Scratch &scratch) const {
    const uint32_t *order = grid_.order().data();
    scratch.row.resize(scratch.kept);
    int64_t *next = scratch.row.data();
    for (size_t each = 0; each < scratch.kept; ++each) {
      const double square = scratch.square[each];
      const uint64_t draw = drawn(scratch.near[each], place);
      const size_t slot = bin(square);
      const uint32_t source = order[scratch.near[each]];
      const bool connected = draw < possible_[slot];
      const bool open = connected & ((draw >= certain_[slot]) | (square > inner_));
      *next = int64_t(source) * 2 + open;
      next += connected;
      if (open) scratch.open.push_back({source, square, double(draw) * 0x1p-53});
    }
    scratch.row.resize(size_t(next - scratch.row.data()));
  }

  int64_t neurons_;
  bool directed_, self_loops_;
  double inner_, outer_, bins_;
  // Thresholds of draws by squared distance. Below `certain` there is a synapse; from `possible` on
  // there is none; from `envelope` on there is none at this or any greater distance.
  std::vector<uint64_t> certain_, possible_, envelope_;
  int bits_ = 1;  // number of bits of 2 * (largest neuron number) + 1
  Grid grid_;
  // The numbers that are hashed, in the order of the cells.
  std::vector<uint64_t> sends_, receives_;
  // Progress: all targets before done_ were searched, and the parts before unsettled_ were settled.
  int64_t done_ = 0;
  size_t unsettled_ = 0;
  std::vector<int64_t> counts_;
  std::vector<Found> found_;
};

}  // namespace

void register_cells(nb::module_ &m) {
  nb::class_<Cells>(m, "Cells", "Neurons in cells, for the search of pairs within reach.")
      .def(nb::init<const Points &, const Reals &, const Reals &, double, const Draws &,
                    const Draws &, const Draws &, const Draws &, bool, bool>(),
           nb::arg("points").noconvert(), nb::arg("scale").noconvert(),
           nb::arg("period").noconvert(), nb::arg("reach"), nb::arg("sends").noconvert(),
           nb::arg("receives").noconvert(), nb::arg("certain").noconvert(),
           nb::arg("possible").noconvert(),
           nb::arg("directed"), nb::arg("self_loops"))
      .def("search", &Cells::search, nb::arg("last"),
           "Continue up to a target; return squared distances and draws of the open pairs.")
      .def("settle", &Cells::settle, nb::arg("connected").noconvert(),
           "Set which open pairs are connected.")
      .def("edges", &Cells::edges, "All synapses [2, E] by (target, source).");
}

}  // namespace compiled
