// Loops with a join as Python functions of addresses, which native.py checks.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <vector>

#include "joins.hpp"
#include "views.hpp"

namespace sparsebrain {

// Which join, of how many pieces.
struct JoinChoice {
  JoinChoice(int number, int64_t pieces_) : join(static_cast<Join>(number)), pieces(pieces_) {
    const bool of_sums = join == Join::largest_sum;
    if (number < 0 || number > 2 || pieces < 1 || (pieces > 1) != of_sums)
      throw std::invalid_argument("there is no join of this number and as many pieces");
  }

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
  call.run([](const auto &table) { return table.join_loop; },
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
  call.run([](const auto &table) { return table.join_loop_backward; },
           JoinBackward{choice.join, choice.pieces, loop});
}

template <class Call>
void add_joins(nanobind::module_ &m) {
  nanobind::class_<JoinChoice>(m, "Join").def(nanobind::init<int, int64_t>());
  m.def("join_loop", &join_loop<Call>);
  m.def("join_loop_backward", &join_loop_backward<Call>);
}

}  // namespace sparsebrain
