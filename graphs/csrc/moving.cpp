// The inner step of Louvain's method: neurons move between groups while this increases modularity.
#include <deque>

#include "rows.hpp"

namespace compiled {
namespace {

// Visits all neurons in order, and again the neighbors of each neuron that moved. The Python
// version in measures/louvain.py documents the algorithm.
class Moving {
 public:
  Moving(const Rows &rows, const int64_t *weight, const int64_t *sent, const int64_t *received,
         double share, double least, int64_t *group)
      : rows_(rows), weight_(weight), sent_(sent), received_(received), share_(share),
        least_(least), group_(group), out_(sent, sent + rows.size()), in_(received, received + rows.size()),
        links_(rows.size(), 0), waits_(rows.size(), true) {}

  void run() {
    std::deque<int64_t> queue;
    for (int64_t each = 0; each < rows_.size(); ++each) queue.push_back(group_[each] = each);
    for (; !queue.empty(); queue.pop_front()) {
      const int64_t each = queue.front();
      waits_[each] = false;
      if (!moves(each)) continue;
      for (const int32_t *other = rows_.begin(each); other != rows_.end(each); ++other)
        if (group_[*other] != group_[each] && !waits_[*other]) {
          waits_[*other] = true;
          queue.push_back(*other);
        }
    }
  }

 private:
  bool moves(int64_t each) {
    const int64_t before = group_[each];
    near_.assign(1, before);
    for (int64_t at = rows_.pointer[each]; at < rows_.pointer[each + 1]; ++at) {
      const int64_t found = group_[rows_.index[at]];
      if (rows_.index[at] == each) continue;
      if (links_[found] == 0 && found != before) near_.push_back(found);
      links_[found] += weight_[at];
    }
    out_[before] -= sent_[each], in_[before] -= received_[each];
    // Ties are resolved in favor of the group that was found first.
    const double stays = worth(each, before);
    int64_t best = before;
    double most = stays;
    for (const int64_t one : near_) {
      if (const double found = worth(each, one); found > most) best = one, most = found;
      links_[one] = 0;
    }
    if (!(most > stays + least_)) best = before;
    out_[best] += sent_[each], in_[best] += received_[each];
    group_[each] = best;
    return best != before;
  }

  // The number of synapses to and from a group, minus the number expected by chance.
  double worth(int64_t each, int64_t one) const {
    return double(links_[one]) - share_ * double(sent_[each] * in_[one] + received_[each] * out_[one]);
  }

  const Rows &rows_;
  const int64_t *weight_, *sent_, *received_;
  const double share_, least_;
  int64_t *group_;
  std::vector<int64_t> out_, in_, links_, near_;
  std::vector<bool> waits_;
};

NewIndex moved(const Index &pointer, const Columns &index, const Index &weight, const Index &sent,
               const Index &received, double share, double least) {
  const size_t neurons = sent.size();
  if (pointer.size() != neurons + 1 || received.size() != neurons || weight.size() != index.size())
    throw std::invalid_argument("there must be a weight for each synapse, and sums for each neuron");
  Fresh<int64_t> group(neurons);
  {
    nb::gil_scoped_release unlocked;
    const Rows rows = checked(pointer, index);
    Moving(rows, weight.data(), sent.data(), received.data(), share, least, group.get()).run();
  }
  return group.as({neurons});
}

}  // namespace

void register_moving(nb::module_ &m) {
  m.def("moved", &moved, nb::arg("pointer").noconvert(), nb::arg("index").noconvert(),
        nb::arg("weight").noconvert(), nb::arg("sent").noconvert(), nb::arg("received").noconvert(),
        nb::arg("share"), nb::arg("least"),
        "The group of each neuron after all moves.");
}

}  // namespace compiled
