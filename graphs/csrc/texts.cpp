// The cells of a table as texts, and the numbers that they are, for graphs/io/cells.py and known.py.
// A text is a row of words of 8 bytes, padded with zeros. Everything unusual is left to Python.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <stdexcept>

#include "arrays.hpp"

namespace compiled {
namespace {

using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Places = nb::ndarray<const int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Words = nb::ndarray<const uint64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Slots = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr int64_t kWord = 8;

// The positions of delimiters and line ends.
NewIndex separators(const Bytes &text, int delimiter) {
  const uint8_t *byte = text.data(), *last = byte + text.size(), between = uint8_t(delimiter);
  const auto separates = [=](uint8_t each) { return (each == between) | (each == '\n'); };
  int64_t count = 0;
  for (const uint8_t *at = byte; at < last; ++at) count += separates(*at);
  // One more, because a position is written before it is known to be one.
  Fresh<int64_t> places(count + 1);
  int64_t *next = places.get();
  for (const uint8_t *at = byte; at < last; ++at) {
    *next = at - byte;
    next += separates(*at);
  }
  return places.as({size_t(count)});
}

// The texts of one column. After each start, `text` must have room for the words of the longest one.
nb::ndarray<nb::numpy, uint64_t> words(const Bytes &text, const Places &starts, const Places &ends,
                                       int64_t column, int64_t most) {
  const int64_t rows = int64_t(starts.shape(0)), columns = int64_t(starts.shape(1));
  if (ends.shape(0) != starts.shape(0) || ends.shape(1) != starts.shape(1) || column < 0 || column >= columns)
    throw std::out_of_range("starts and ends must have one shape and the column");
  int64_t longest = 1, furthest = 0;
  bool inside = true;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t start = starts.data()[row * columns + column], end = ends.data()[row * columns + column];
    inside &= (start >= 0) & (start <= end);
    longest = std::max(longest, end - start);
    furthest = std::max(furthest, start);
  }
  const int64_t width = (longest + kWord - 1) / kWord;
  if (width > most) throw std::invalid_argument("a text has too many words");
  if (!inside || furthest + width * kWord > int64_t(text.size()))
    throw std::out_of_range("a text is not inside");
  Fresh<uint64_t> found(rows * width);
  uint64_t *word = found.get();
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t start = starts.data()[row * columns + column], end = ends.data()[row * columns + column];
    for (int64_t at = start; at < start + width * kWord; at += kWord, ++word) {
      uint64_t each;
      std::memcpy(&each, text.data() + at, kWord);
      const int64_t left = std::min(std::max<int64_t>(end - at, 0), kWord);
      // The first byte of a text is the lowest one of its first word.
      *word = left == kWord ? each : each & ((uint64_t(1) << (8 * left)) - 1);
    }
  }
  return found.as({size_t(rows), size_t(width)});
}

// The places of texts in a hash table with linear probing, -1 for those that are not in it.
nb::ndarray<nb::numpy, int32_t> find(const Words &texts, const Words &hashes, const Words &known,
                                     const Slots &slots, int64_t most_steps) {
  const int64_t rows = int64_t(texts.shape(0)), width = int64_t(texts.shape(1));
  const uint64_t size = slots.size();
  if (size < 2 || (size & (size - 1)) || int64_t(known.shape(1)) != width || int64_t(hashes.shape(0)) != rows ||
      hashes.shape(1) != 1)
    throw std::out_of_range("texts, hashes and slots do not fit together");
  int shift = 64;
  while (uint64_t(1) << (64 - shift) < size) --shift;
  Fresh<int32_t> found(rows);
  for (int64_t row = 0; row < rows; ++row) {
    const uint64_t *text = texts.data() + row * width;
    uint64_t slot = hashes.data()[row] >> shift;
    int32_t place = slots.data()[slot];
    for (int64_t steps = 0; place >= 0; ++steps) {
      if (uint64_t(place) >= known.shape(0)) throw std::out_of_range("a slot leads outside");
      if (std::equal(text, text + width, known.data() + place * width)) break;
      if (steps == most_steps) throw std::invalid_argument("too many texts have one hash");
      slot = (slot + 1) & (size - 1);
      place = slots.data()[slot];
    }
    found.get()[row] = place;
  }
  return found.as({size_t(rows)});
}

#if defined(__cpp_lib_to_chars) && __cpp_lib_to_chars >= 201611L
#define HAS_REALS

// The numbers that texts are, correctly rounded, or None if Python has to read one of them.
nb::object reals(const Words &texts) {
  const int64_t rows = int64_t(texts.shape(0)), bytes = int64_t(texts.shape(1)) * kWord;
  Fresh<double> values(rows);
  for (int64_t row = 0; row < rows; ++row) {
    const char *text = reinterpret_cast<const char *>(texts.data()) + row * bytes;
    const char *end = text + bytes;
    while (end > text && end[-1] == 0) --end;
    // Excludes the words for infinity and for what is not a number.
    const char *digit = text + (text != end && *text == '-');
    if (digit == end || !((*digit >= '0' && *digit <= '9') || *digit == '.')) return nb::none();
    const auto [stop, error] = std::from_chars(text, end, values.get()[row]);
    if (stop != end || error != std::errc()) return nb::none();
  }
  return nb::cast(values.as({size_t(rows)}));
}
#endif

}  // namespace

void register_texts(nb::module_ &m) {
  m.def("separators", &separators, nb::arg("text").noconvert(), nb::arg("delimiter"),
        "The positions of delimiters and line ends.");
  m.def("words", &words, nb::arg("text").noconvert(), nb::arg("starts").noconvert(),
        nb::arg("ends").noconvert(), nb::arg("column"), nb::arg("most"),
        "The texts of one column as words of 8 bytes, padded with zeros, [rows, words].");
  m.def("find", &find, nb::arg("texts").noconvert(), nb::arg("hashes").noconvert(),
        nb::arg("known").noconvert(), nb::arg("slots").noconvert(), nb::arg("most_steps"),
        "The places of texts in a hash table, -1 for those that are not in it.");
#ifdef HAS_REALS
  m.def("reals", &reals, nb::arg("texts").noconvert(),
        "The numbers that texts are, or None if one of them is not a plain number.");
#endif
}

}  // namespace compiled
