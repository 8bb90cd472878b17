// Steps of error diffusion, compiled once for each instruction set as kernels.cpp.
#include "diffusion.hpp"
#include "teams.hpp"

namespace sparsebrain {
namespace {

template <class Real>
struct DiffusionWork {
  Board<Real> &board;
  int64_t begin;
  int self, team;
  template <int width>
  void run() const {
    Diffuse<Real, width>{board, board.d, begin, self, team}.run();
  }
};

// Threads share the rows of each tile, so that no sum depends on how many there are.
template <class Real>
Outcome diffuse(const Diffusion &d) {
  constexpr int widest = 256 / sizeof(Real);
  const int threads = d.synapses * d.batch < kWorthThreads ? 1 : d.threads;
  int64_t rows = d.features + d.bias;
  for (int64_t number = 0; number < d.depth; ++number)
    rows += d.networks * (d.layers[number].targets + 2 * d.layers[number].bias);
  Buffer<Real> scratch((rows + d.networks) * widest);
  if (!scratch.get()) return Outcome::no_memory;
  Board<Real> board{d, scratch.get(), scratch.get() + rows * widest, 0, false};
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    const int self = thread_number(), team = team_size();
    Tile tile{0, 0};
    for (int64_t begin = 0; begin < d.batch; begin += tile.width) {
      tile = tile_at<Real, int32_t>(begin, d.batch, widest);
      with_width<Real, int32_t>(tile.width, DiffusionWork<Real>{board, begin, self, team});
    }
  }
  *static_cast<Real *>(d.loss) = Real(board.loss / double(d.batch));
  return board.refused ? Outcome::refused : Outcome::done;
}

}  // namespace

#define JOIN(a, b) a##b
#define NAME(set) JOIN(add_diffusion_of_, set)

void NAME(INSTRUCTION_SET)(Kernels &kernels) {
  kernels.single.diffuse = diffuse<float>;
  kernels.twofold.diffuse = diffuse<double>;
}

}  // namespace sparsebrain
