// The kernels as Python functions of addresses. Whoever passes one checks the tensor first: native.py,
// and sparsebrain/error_diffusion/step.py for `diffuse`.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "joins_module.hpp"
#include "kernels.hpp"
#include "pairs_module.hpp"
#include "plastic_spikes_module.hpp"
#include "spikes_module.hpp"
#include "views.hpp"

namespace nb = nanobind;
using namespace sparsebrain;

namespace {

std::vector<std::string> instruction_sets() {
  std::vector<std::string> found{"baseline"};
#if defined(HAS_X86_SETS)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back("avx2");
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
    found.push_back("avx512");
#endif
  return found;
}

Kernels kernels_of(const std::string &set) {
#if defined(HAS_X86_SETS)
  if (set == "avx2") return kernels_of_avx2();
  if (set == "avx512") return kernels_of_avx512();
#endif
  if (set == "baseline") return kernels_of_baseline();
  throw std::invalid_argument("there is no instruction set '" + set + "'");
}

// All that stays the same between the calls on one structure and batch.
struct Call {
  Call(const std::string &set, bool twofold_, const std::vector<Address> &rows, bool wide,
       int64_t neurons, int64_t synapses, int64_t batch, int64_t tile, int threads)
      : kernels(kernels_of(set)), twofold(twofold_) {
    if (rows.size() != 6) throw std::invalid_argument("expected six index arrays");
    problem = {{at(rows[0]), at(rows[1]), at(rows[2])},
               {at(rows[3]), at(rows[4]), at(rows[5])},
               wide,
               neurons,
               synapses,
               batch,
               tile,
               threads < 1 ? 1 : threads};
  }

  template <class Pick, class Task>
  void run(Pick pick, const Task &task) const {
    Outcome outcome;
    {
      nb::gil_scoped_release unlocked;
      outcome =
          twofold ? pick(kernels.twofold)(problem, task) : pick(kernels.single)(problem, task);
    }
    check(outcome);
  }

  static void check(Outcome outcome) {
    if (outcome == Outcome::no_memory) throw std::bad_alloc();
    if (outcome == Outcome::refused)
      throw std::invalid_argument(
          "the index arrays of the structure lead to neurons or synapses that it does not have: "
          "they were changed after they were made; make another by Structure(edge_index, num_nodes)");
  }

  Kernels kernels;
  bool twofold;
  Problem problem;
};

std::map<std::string, int> activations() {
  return {
#define ENTRY(name, number) {#name, number},
      EACH_ACTIVATION(ENTRY)
#undef ENTRY
  };
}

Activation activation_of(int number) {
  switch (number) {
#define ENTRY(name, number) case number: return Activation::name;
    EACH_ACTIVATION(ENTRY)
#undef ENTRY
  }
  throw std::invalid_argument("there is no activation of number " + std::to_string(number));
}

Response response(int activation, bool voltage, const Strided &drive, Address bias, Address leak,
                  int64_t key, int64_t first, double std, bool narrow) {
  return {activation_of(activation), voltage, at(bias), at(leak), view(drive),
          {static_cast<uint64_t>(key), first, std}, narrow};
}

void loop(const Call &call, const Response &fused, Address weight, bool arranged,
          const Strided &state, const std::vector<Strided> &out, bool keep, Address tape,
          int64_t loops, const std::array<Address, 3> &pairs) {
  const std::vector<View> states = views(out);
  const Weights read{at(weight), arranged};
  const Forward task{loops, fused, read, view(state), states.data(), keep, at(tape),
                     pairs_of(call.problem, pairs)};
  call.run([&](const auto &table) {
    return fused.narrow && table.narrow_loop ? table.narrow_loop : table.loop;
  }, task);
}

void loop_backward(const Call &call, const Response &fused, Address weight, Address tape,
                   const std::vector<Strided> &grads, Address grad_weight,
                   const Strided &grad_state, const Strided &grad_drive, Address grad_bias,
                   Address grad_leak, int64_t segment, const std::vector<Strided> &starts,
                   const std::array<Address, 3> &pairs) {
  const std::vector<View> outside = views(grads), kept = views(starts);
  const int64_t segments = segment > 0 ? (int64_t(grads.size()) + segment - 1) / segment : 0;
  if (segment < 0 || int64_t(kept.size()) != segments)
    throw std::invalid_argument("expected a state before each segment");
  const Backward task{static_cast<int64_t>(grads.size()),
                      fused,
                      at(weight),
                      at(tape),
                      outside.data(),
                      at(grad_weight),
                      at(grad_bias),
                      at(grad_leak),
                      view(grad_drive),
                      view(grad_state),
                      segment,
                      kept.data(),
                      pairs_of(call.problem, pairs)};
  call.run([&](const auto &table) {
    return fused.narrow && table.narrow_loop_backward ? table.narrow_loop_backward
                                                      : table.loop_backward;
  }, task);
}

// Address and what lies between two steps, neurons and samples; an address of 0 where there is none.
using Stepped = std::array<int64_t, 4>;

Steps steps_of(const Stepped &given) {
  return {at(static_cast<Address>(given[0])), given[1], given[2], given[3]};
}

void sequence(const Call &call, const Response &fused, Address weight,
              const std::array<int64_t, 2> &steps_and_loops, const Stepped &drive,
              const Strided &state, const Stepped &out, Address tape) {
  const auto [steps, loops] = steps_and_loops;
  const Sequence task{steps,           loops,         fused,    at(weight), steps_of(drive),
                      view(state), steps_of(out), at(tape)};
  call.run([](const auto &table) { return table.sequence; }, task);
}

void sequence_backward(const Call &call, const Response &fused, Address weight, Address tape,
                       const std::array<int64_t, 2> &steps_and_loops, const Stepped &drive,
                       const Stepped &grads, const Strided &grad_last, Address grad_weight,
                       Address grad_bias, Address grad_leak, const Stepped &grad_drive,
                       const Strided &grad_state) {
  const auto [steps, loops] = steps_and_loops;
  const SequenceBackward task{steps,
                              loops,
                              fused,
                              at(weight),
                              at(tape),
                              steps_of(drive),
                              steps_of(grads),
                              view(grad_last),
                              at(grad_weight),
                              at(grad_bias),
                              at(grad_leak),
                              steps_of(grad_drive),
                              view(grad_state)};
  call.run([](const auto &table) { return table.sequence_backward; }, task);
}

void propagate(const Call &call, Address weight, bool arranged, Address x, Address y,
               bool transpose, Address bias, Address drive) {
  const Product task{{at(weight), arranged}, at(x), at(y), transpose, at(bias), at(drive)};
  call.run([](const auto &table) { return table.propagate; }, task);
}

// Brings weights into the order of the rows or pairs, unless `key` says that `data` holds them already.
void arrange(const Call &call, Address weight, Address data, Address key, bool transpose,
             const std::array<Address, 3> &pairs) {
  const Arrangement task{at(weight), at(data), static_cast<uint32_t *>(at(key)), transpose,
                         pairs_of(call.problem, pairs)};
  call.run([](const auto &table) { return table.arrange; }, task);
}

void correlate(const Call &call, Address post, Address pre, Address out) {
  const Correlation task{at(post), at(pre), at(out)};
  call.run([](const auto &table) { return table.correlate; }, task);
}

void gibbs(const Call &call, const std::array<Address, 6> &arrays, int64_t colors, int64_t sweeps,
           uint64_t seed, int64_t offset) {
  const auto [weight, bias, state, neuron, start, clamped] = arrays;
  const Sampling task{at(weight),
                      at(bias),
                      static_cast<uint8_t *>(at(state)),
                      static_cast<const int32_t *>(at(neuron)),
                      static_cast<const int32_t *>(at(start)),
                      colors,
                      static_cast<const uint8_t *>(at(clamped)),
                      sweeps,
                      seed,
                      offset};
  call.run([](const auto &table) { return table.gibbs; }, task);
}

void draw(const Call &call, int64_t key, int64_t loop, double std, const Strided &out) {
  const Draw task{{static_cast<uint64_t>(key), loop, std}, view(out)};
  call.run([](const auto &table) { return table.draw; }, task);
}

// Whether it was done; false where an input is negative or a label no class.
bool diffuse(const std::string &set, bool twofold, const std::array<Address, 7> &arrays,
             const std::array<int64_t, 5> &sizes, double slope, double bias_value,
             const std::array<bool, 5> &flags, int threads) {
  const auto [layers, index, x, y, strength, grad, loss] = arrays;
  const auto [depth, networks, features, batch, synapses] = sizes;
  const auto [bias, linear, fold, entropy, mean] = flags;
  const Kernels kernels = kernels_of(set);
  const Diffusion task{static_cast<const Layer *>(at(layers)),
                       depth,
                       static_cast<const int32_t *>(at(index)),
                       networks,
                       features,
                       batch,
                       synapses,
                       at(x),
                       static_cast<const int64_t *>(at(y)),
                       at(strength),
                       at(grad),
                       at(loss),
                       slope,
                       bias_value,
                       bias,
                       linear,
                       fold,
                       entropy,
                       mean,
                       threads < 1 ? 1 : threads};
  Outcome outcome;
  {
    nb::gil_scoped_release unlocked;
    outcome = twofold ? kernels.twofold.diffuse(task) : kernels.single.diffuse(task);
  }
  if (outcome == Outcome::no_memory) throw std::bad_alloc();
  return outcome == Outcome::done;
}

}  // namespace

NB_MODULE(_native, m) {
  // Structures that live until the interpreter ends hold a Call, which is then no leak to report.
  nb::set_leak_warnings(false);
  m.doc() = "Compiled kernels; those who call them check what they are given.";
#if defined(_OPENMP)
  m.attr("openmp") = true;
#else
  m.attr("openmp") = false;
#endif
  m.def("instruction_sets", &instruction_sets, "Those of this machine, the widest last.");
  nb::class_<Call>(m, "Call").def(
      nb::init<const std::string &, bool, const std::vector<Address> &, bool, int64_t, int64_t,
               int64_t, int64_t, int>());
  nb::class_<Response>(m, "Response");
  m.def("activations", &activations, "The number of each activation that is compiled in.");
  m.def("response", &response);
  m.def("loop", &loop);
  m.def("loop_backward", &loop_backward);
  m.def("sequence", &sequence);
  m.def("sequence_backward", &sequence_backward);
  m.def("propagate", &propagate);
  m.def("correlate", &correlate);
  m.def("arrange", &arrange);
  m.def("gibbs", &gibbs);
  m.def("draw", &draw);
  m.attr("key_chunk") = kKeyChunk;
  m.attr("key_words") = kKeyWords;
  m.def("diffuse", &diffuse);
  add_joins<Call>(m);
  add_pairs<Call>(m);
  add_spikes<Call>(m);
  add_plastic_spikes<Call>(m);
}
