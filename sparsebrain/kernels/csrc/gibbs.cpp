// Gibbs sampling, compiled once for each instruction set. As in kernels.cpp, everything has internal
// linkage and nothing of the standard library is instantiated.
//
// Many chains run side by side, 32 in the bits of a word per neuron, so that a synapse is a load, a
// masked addition and nothing else. Few chains run one by one, and then a vector holds neurons of one
// color.
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "activations.hpp"
#include "counter.hpp"
#include "teams.hpp"

namespace sparsebrain {
namespace {

constexpr int kBits = 32;          // chains of a word
constexpr int kFewChains = 12;     // as many chains one by one take the time of a word
constexpr int64_t kWorthTeam = 100'000;

// u < 1 / (1 + exp(-field)) without the division, one bit a lane.
template <class Real, int lanes>
INLINE uint32_t fires(typename Vector<Real, lanes>::type field,
                      typename Words<lanes>::type hash) {
  using V = Vector<Real, lanes>;
  const auto u = uniform_of<Real, lanes>(hash);
  const auto odds = u + u * exponential<Real, lanes>(-field);
#if defined(__AVX512F__)
  if constexpr (sizeof(Real) == 4)
    return _mm512_cmp_ps_mask((__m512)odds, (__m512)V::all(1), _CMP_LT_OQ);
  else
    return _mm512_cmp_pd_mask((__m512d)odds, (__m512d)V::all(1), _CMP_LT_OQ);
#elif defined(__AVX2__)
  const auto below = odds < V::all(1);
  if constexpr (sizeof(Real) == 4)
    return uint32_t(_mm256_movemask_ps((__m256)below));
  else
    return uint32_t(_mm256_movemask_pd((__m256d)below));
#else
  const auto below = odds < V::all(1);
  uint32_t word = 0;
  for (int lane = 0; lane < lanes; ++lane) word |= uint32_t(below[lane] & 1) << lane;
  return word;
#endif
}

// Adds a weight to the lanes whose bits are set.
template <class Real, int lanes, int count>
INLINE void add_where(typename Vector<Real, lanes>::type (&field)[count], uint32_t word, Real weight) {
  using V = Vector<Real, lanes>;
  const auto w = V::all(weight);
  for (int v = 0; v < count; ++v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(Real) == 4)
      field[v] = (typename V::type)_mm512_mask_add_ps((__m512)field[v], __mmask16(word >> (16 * v)),
                                                      (__m512)field[v], (__m512)w);
    else
      field[v] = (typename V::type)_mm512_mask_add_pd((__m512d)field[v], __mmask8(word >> (8 * v)),
                                                      (__m512d)field[v], (__m512d)w);
#else
    typename V::mask bit;
    for (int lane = 0; lane < lanes; ++lane)
      bit[lane] = typename Whole<Real>::type(1u << (v * lanes + lane));
    const auto chosen = ((typename V::mask{} + word) & bit) == bit;
    field[v] += V::value(V::bits(w) & (typename V::mask)chosen);
#endif
  }
}

// The synapses into the free neurons, in the order in which these are updated. With `lanes` above 1,
// rows of one color lie side by side, as many as a vector holds, and the shorter ones are filled up
// with weights of zero.
template <class Real, class Index, int lanes>
struct Rows32 {
  explicit Rows32(const Csr<Index> &csr_, const Sampling &s_)
      : csr(csr_), s(s_), neuron(csr_.neurons + int64_t(lanes) * (s_.colors + 1)),
        of_color(s_.colors + 1) {
    if (!neuron || !of_color) return;
    slices = places = 0;
    for (int64_t color = 0; color < s.colors; ++color) {
      of_color[color] = slices;
      list(s.start[color], s.start[color + 1]);
    }
    of_color[s.colors] = slices;
  }

  // Lists the free neurons of one color and counts the places that they need.
  void list(int64_t begin, int64_t end) {
    int64_t first = slices * lanes, many = first;
    for (int64_t at = begin; at < end; ++at) {
      const int32_t each = s.neuron[at];
      if (!s.clamped || !s.clamped[each]) neuron[many++] = each;
    }
    if (lanes > 1) sort(neuron.get() + first, many - first);
    while (many % lanes) neuron[many++] = -1;
    for (int64_t at = first; at < many; at += lanes, ++slices) {
      int64_t longest = 0;
      for (int lane = 0; lane < lanes; ++lane) {
        const int64_t size = neuron[at + lane] < 0 ? 0 : length(neuron[at + lane]);
        longest = size > longest ? size : longest;
      }
      places += longest * lanes;
    }
  }

  int64_t length(int32_t row) const { return csr.pointer[row + 1] - csr.pointer[row]; }

  // By rising length, so that neighbors need little filling.
  void sort(int32_t *values, int64_t many) const {
    for (int64_t gap = many / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11)
      for (int64_t i = gap; i < many; ++i) {
        const int32_t moved = values[i];
        int64_t j = i;
        for (; j >= gap && length(values[j - gap]) > length(moved); j -= gap)
          values[j] = values[j - gap];
        values[j] = moved;
      }
  }

  // Copies sources and weights; `begin` [slices + 1] is where each slice begins.
  void fill(int64_t *begin, int32_t *source, Real *weight) const {
    const Real *given = static_cast<const Real *>(s.weight);
    int64_t at = 0;
    for (int64_t slice = 0; slice < slices; ++slice) {
      begin[slice] = at;
      int64_t longest = 0;
      for (int lane = 0; lane < lanes; ++lane) {
        const int32_t row = neuron[slice * lanes + lane];
        const int64_t size = row < 0 ? 0 : length(row);
        longest = size > longest ? size : longest;
      }
      for (int lane = 0; lane < lanes; ++lane) {
        const int32_t row = neuron[slice * lanes + lane];
        const int64_t size = row < 0 ? 0 : length(row), first = row < 0 ? 0 : csr.pointer[row];
        for (int64_t k = 0; k < longest; ++k) {
          const int64_t place = at + k * lanes + lane, synapse = first + k;
          source[place] = k < size ? int32_t(csr.neuron[synapse]) : 0;
          weight[place] =
              k < size ? given[csr.order ? int64_t(csr.order[synapse]) : synapse] : Real(0);
        }
      }
      at += longest * lanes;
    }
    begin[slices] = at;
  }

  const Csr<Index> &csr;
  const Sampling &s;
  Buffer<int32_t> neuron;
  Buffer<int64_t> of_color;
  int64_t slices = 0, places = 0;
};

template <class Real, class Index>
struct Sampler {
  static constexpr int kLanes = kBytes / int(sizeof(Real));

  static Outcome run(const Problem &p, const Sampling &s) {
    const Csr<Index> csr(p.by_target, p);
    if (!csr.is_sound(p.threads) || !is_listed(p, s)) return Outcome::refused;
    return p.batch > kFewChains ? chosen<1>(p, s, csr) : chosen<kLanes>(p, s, csr);
  }

  // Whether colors name neurons that are there, each once.
  static bool is_listed(const Problem &p, const Sampling &s) {
    if (s.start[0] != 0 || s.start[s.colors] != p.neurons) return false;
    for (int64_t color = 0; color < s.colors; ++color)
      if (s.start[color + 1] < s.start[color]) return false;
    return Csr<int32_t>::is_below(s.neuron, 0, p.neurons, p.neurons);
  }

  template <int lanes>
  static Outcome chosen(const Problem &p, const Sampling &s, const Csr<Index> &csr) {
    const Rows32<Real, Index, lanes> rows(csr, s);
    if (!rows.neuron || !rows.of_color) return Outcome::no_memory;
    const Buffer<int64_t> begin(rows.slices + 1);
    const Buffer<int32_t> source(rows.places);
    const Buffer<Real> weight(rows.places), bias(rows.slices * lanes);
    if (!begin || !source || !weight || !bias) return Outcome::no_memory;
    rows.fill(begin.get(), source.get(), weight.get());
    for (int64_t at = 0; at < rows.slices * lanes; ++at)
      bias[at] = rows.neuron[at] < 0 ? Real(0) : static_cast<const Real *>(s.bias)[rows.neuron[at]];
    const Wired wired{p,           s,           rows.neuron.get(), rows.of_color.get(), rows.slices,
                      begin.get(), source.get(), weight.get(),      bias.get()};
    if constexpr (lanes == 1)
      return many(wired);
    else
      return few(wired);
  }

  struct Wired {
    const Problem &p;
    const Sampling &s;
    const int32_t *neuron;
    const int64_t *of_color;
    int64_t slices;
    const int64_t *begin;
    const int32_t *source;
    const Real *weight;
    const Real *bias;  // of each listed neuron
  };

  // Words of 32 chains; threads share the words.
  static Outcome many(const Wired &w) {
    const int64_t words = (w.p.batch + kBits - 1) / kBits;
    const int threads = int(words < w.p.threads ? words : w.p.threads);
    const Buffer<uint32_t> state(w.p.neurons * words);
    if (!state) return Outcome::no_memory;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (int64_t word = 0; word < words; ++word) {
      uint32_t *own = state.get() + word * w.p.neurons;
      pack(w, word, own);
      for (int64_t sweep = 0; sweep < w.s.sweeps; ++sweep) sweep_words(w, word, own, sweep);
      unpack(w, word, own);
    }
    return Outcome::done;
  }

  static void sweep_words(const Wired &w, int64_t word, uint32_t *state, int64_t sweep) {
    using V = Vector<Real, kLanes>;
    constexpr int count = kBits / kLanes;
    const uint64_t of_step = key_of_step(w.s.seed, w.s.offset + sweep);
    for (int64_t row = 0; row < w.slices; ++row) {
      const int32_t neuron = w.neuron[row];
      typename V::type field[count] = {};
      for (int64_t at = w.begin[row]; at < w.begin[row + 1]; ++at)
        add_where<Real, kLanes, count>(field, state[w.source[at]], w.weight[at]);
      const uint64_t key = key_of_neuron(of_step, neuron);
      uint32_t bits = 0;
      for (int v = 0; v < count; ++v) {
        const auto hash = hashes<kLanes>(key, uint32_t(word * kBits + v * kLanes));
        bits |= fires<Real, kLanes>(field[v] + w.bias[row], hash) << (v * kLanes % kBits);
      }
      state[neuron] = bits;
    }
  }

  static int64_t chains_of(const Wired &w, int64_t word) {
    const int64_t rest = w.p.batch - word * kBits;
    return rest < kBits ? rest : kBits;
  }

  static void pack(const Wired &w, int64_t word, uint32_t *state) {
    const int64_t chains = chains_of(w, word);
    for (int64_t neuron = 0; neuron < w.p.neurons; ++neuron) {
      const uint8_t *from = w.s.state + neuron * w.p.batch + word * kBits;
      uint32_t bits = 0;
      for (int64_t chain = 0; chain < chains; ++chain) bits |= uint32_t(from[chain] & 1) << chain;
      state[neuron] = bits;
    }
  }

  static void unpack(const Wired &w, int64_t word, const uint32_t *state) {
    const int64_t chains = chains_of(w, word);
    for (int64_t neuron = 0; neuron < w.p.neurons; ++neuron) {
      uint8_t *to = w.s.state + neuron * w.p.batch + word * kBits;
      for (int64_t chain = 0; chain < chains; ++chain) to[chain] = state[neuron] >> chain & 1;
    }
  }

  // One chain after the other; threads share chains, or else the neurons of a color.
  static Outcome few(const Wired &w) {
    const int64_t batch = w.p.batch;
    const bool shared = batch < w.p.threads && w.p.synapses > kWorthTeam;
    const int threads = shared ? w.p.threads : int(batch < w.p.threads ? batch : w.p.threads);
    const Buffer<Real> state(w.p.neurons * batch);
    if (!state) return Outcome::no_memory;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
      const int self = thread_number(), team = team_size();
      for (int64_t chain = shared ? 0 : self; chain < batch; chain += shared ? 1 : team) {
        Real *own = state.get() + chain * w.p.neurons;
        if (!shared || self == 0)
          for (int64_t i = 0; i < w.p.neurons; ++i) own[i] = Real(w.s.state[i * batch + chain] & 1);
        if (shared) barrier();
        for (int64_t sweep = 0; sweep < w.s.sweeps; ++sweep) {
          const uint64_t of_step = key_of_step(w.s.seed, w.s.offset + sweep);
          for (int64_t color = 0; color < w.s.colors; ++color) {
            const int64_t first = w.of_color[color], size = w.of_color[color + 1] - first;
            const int64_t begin = shared ? first + size * self / team : first;
            const int64_t end = shared ? first + size * (self + 1) / team : first + size;
            for (int64_t slice = begin; slice < end; ++slice)
              update_slice(w, slice, own, of_step, uint32_t(chain));
            if (shared) barrier();
          }
        }
        if (!shared || self == 0)
          for (int64_t i = 0; i < w.p.neurons; ++i) w.s.state[i * batch + chain] = own[i] != 0;
      }
    }
    return Outcome::done;
  }

  static void update_slice(const Wired &w, int64_t slice, Real *state, uint64_t of_step,
                           uint32_t chain) {
    using V = Vector<Real, kLanes>;
    using Many = typename Words<kLanes>::type;
    const int32_t *neuron = w.neuron + slice * kLanes;
    auto field = V::all(0);
    for (int64_t at = w.begin[slice]; at < w.begin[slice + 1]; at += kLanes)
      field += V::load(w.weight + at) * gathered(state, w.source + at);
    // A place at the end of a color may be empty, and is then -1.
    typename Words<kLanes>::whole places;
    std::memcpy(&places, neuron, sizeof places);
    typedef uint64_t Keys __attribute__((vector_size(8 * kLanes)));
    Keys key = __builtin_convertvector(places, Keys);
    key = (key + 1) * kGolden + of_step;
    key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9;
    key = (key ^ (key >> 27)) * 0x94D049BB133111EB;
    key = key ^ (key >> 31);
    const Many low = __builtin_convertvector(key, Many) + chain * 0x9E3779B9u;
    const Keys upper = key >> 32;
    const Many high = __builtin_convertvector(upper, Many);
    const uint32_t bits = fires<Real, kLanes>(field + V::load(w.bias + slice * kLanes),
                                              mixed<Many>(low, high));
    scatter(state, places, bits);
  }

  static INLINE void scatter(Real *to, typename Words<kLanes>::whole places, uint32_t bits) {
#if defined(__AVX512F__)
    if constexpr (sizeof(Real) == 4) {
      const auto there = _mm512_cmpge_epi32_mask((__m512i)places, _mm512_setzero_si512());
      const __m512 values = _mm512_maskz_mov_ps(__mmask16(bits), _mm512_set1_ps(1));
      _mm512_mask_i32scatter_ps(to, there, (__m512i)places, values, 4);
    } else {
      const auto there = _mm256_cmpge_epi32_mask((__m256i)places, _mm256_setzero_si256());
      const __m512d values = _mm512_maskz_mov_pd(__mmask8(bits), _mm512_set1_pd(1));
      _mm512_mask_i32scatter_pd(to, there, (__m256i)places, values, 8);
    }
#else
    for (int lane = 0; lane < kLanes; ++lane)
      if (places[lane] >= 0) to[places[lane]] = Real(bits >> lane & 1);
#endif
  }

  static INLINE typename Vector<Real, kLanes>::type gathered(const Real *from, const int32_t *place) {
#if defined(__AVX512F__)
    using Type = typename Vector<Real, kLanes>::type;
    if constexpr (sizeof(Real) == 4)
      return (Type)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), 0xffff, _mm512_loadu_si512(place),
                                            (const float *)from, 4);
    else
      return (Type)_mm512_mask_i32gather_pd(_mm512_setzero_pd(), 0xff,
                                            _mm256_loadu_si256((const __m256i *)place),
                                            (const double *)from, 8);
#else
    typename Vector<Real, kLanes>::type found;
    for (int lane = 0; lane < kLanes; ++lane) found[lane] = from[place[lane]];
    return found;
#endif
  }
};

template <class Real>
Outcome gibbs(const Problem &p, const Sampling &s) {
  return p.wide ? Sampler<Real, int64_t>::run(p, s) : Sampler<Real, int32_t>::run(p, s);
}

}  // namespace

#define JOIN(a, b) a##b
#define NAME(set) JOIN(add_gibbs_of_, set)

void NAME(INSTRUCTION_SET)(Kernels &kernels) {
  kernels.single.gibbs = gibbs<float>;
  kernels.twofold.gibbs = gibbs<double>;
}

}  // namespace sparsebrain
