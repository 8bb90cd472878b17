// Loops with a join as Python functions of addresses, which native.py checks.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "joins.hpp"
#include "views.hpp"

namespace sparsebrain {

inline JoinKernels join_kernels_of(const std::string &set) {
#if defined(HAS_X86_SETS)
  if (set == "avx2") return join_kernels_of_avx2();
  if (set == "avx512") return join_kernels_of_avx512();
#endif
  if (set == "baseline") return join_kernels_of_baseline();
  throw std::invalid_argument("there is no instruction set '" + set + "'");
}

// Which join, of how many pieces, by the kernels of which instruction set.
struct JoinChoice {
  JoinChoice(const std::string &set, int number, int64_t pieces_)
      : kernels(join_kernels_of(set)), join(static_cast<Join>(number)), pieces(pieces_) {
    const bool of_sums = join == Join::largest_sum;
    if (number < 0 || number > 2 || pieces < 1 || (pieces > 1) != of_sums)
      throw std::invalid_argument("there is no join of this number and as many pieces");
  }

  template <class Call, class Pick, class Task>
  void run(const Call &call, Pick pick, const Task &task) const {
    Outcome outcome;
    {
      nanobind::gil_scoped_release unlocked;
      outcome = call.twofold ? pick(kernels.twofold)(call.problem, task)
                             : pick(kernels.single)(call.problem, task);
    }
    Call::check(outcome);
  }

  JoinKernels kernels;
  Join join;
  int64_t pieces;
};

// The arguments after the first are those of the loop of sums, of which these kernels need neither
// arranged weights nor segments.
template <class Call>
void join_loop(const JoinChoice &choice, const Call &call, const Response &fused, Address weight,
               bool /* arranged */, const Strided &state, const std::vector<Strided> &out,
               bool keep, Address tape, int64_t loops) {
  const std::vector<View> states = views(out);
  const Forward loop{loops,        fused, {at(weight), false}, view(state), states.data(), keep,
                     at(tape)};
  choice.run(call, [](const auto &table) { return table.loop; },
             JoinForward{choice.join, choice.pieces, loop});
}

template <class Call>
void join_loop_backward(const JoinChoice &choice, const Call &call, const Response &fused,
                        Address weight, Address tape, const std::vector<Strided> &grads,
                        Address grad_weight, const Strided &grad_state, const Strided &grad_drive,
                        Address grad_bias, Address grad_leak, int64_t /* segment */,
                        const std::vector<Strided> & /* starts */) {
  const std::vector<View> outside = views(grads);
  const Backward loop{static_cast<int64_t>(grads.size()),
                      fused,
                      at(weight),
                      at(tape),
                      outside.data(),
                      at(grad_weight),
                      at(grad_bias),
                      at(grad_leak),
                      view(grad_drive),
                      view(grad_state),
                      0,
                      nullptr};
  choice.run(call, [](const auto &table) { return table.loop_backward; },
             JoinBackward{choice.join, choice.pieces, loop});
}

template <class Call>
void add_joins(nanobind::module_ &m) {
  nanobind::class_<JoinChoice>(m, "Join").def(nanobind::init<const std::string &, int, int64_t>());
  m.def("join_loop", &join_loop<Call>);
  m.def("join_loop_backward", &join_loop_backward<Call>);
}

}  // namespace sparsebrain
