#include "i1/data/resample.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "i1/data/resample.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace i1::HWY_NAMESPACE {
#if HWY_TARGET == HWY_SCALAR || !HWY_ARCH_X86  // without AVX2
using reference::resample_column;
using reference::resample_row;
#else
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int kBits = 22;  // of a weight

template <class D>
HWY_INLINE hn::Vec<D> load_bytes(D d, const uint8_t* bytes) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<uint8_t, D>(), bytes));
}

template <class D>
HWY_INLINE void store_bytes(D d, hn::Vec<D> sums, uint8_t* bytes) {
  const hn::Rebind<uint8_t, D> narrow;
  hn::StoreU(hn::DemoteTo(narrow, hn::ShiftRight<kBits>(sums)), narrow, bytes);  // saturates
}

}  // namespace

// Four taps at a time, as pairs of 16 bits: bytes R0 R1 R2 R3 G0 .. of four pixels, times the upper
// and the lower 11 bits of their weights. Sums of pairs of products are exact in 32 bits, modulo
// 2^32 for the lower halves of very many taps, and so is what both add up to.
void resample_row(const uint8_t* in, int channels, const Taps& taps, uint8_t* out) {
  const hn::CappedTag<uint8_t, 32> bytes;
  const hn::CappedTag<int16_t, 16> halves;
  const hn::CappedTag<int32_t, 8> sums;
  const hn::CappedTag<uint64_t, 4> groups;
  alignas(32) uint8_t places[32];
  for (int c = 0; c < 4; ++c) {
    for (int tap = 0; tap < 4; ++tap) {
      places[8 * c + 2 * tap] = static_cast<uint8_t>(c < channels ? tap * channels + c : 0x80);
      places[8 * c + 2 * tap + 1] = 0x80;  // gives 0
    }
  }
  const auto table = hn::Load(bytes, places);
  const int first = taps.first();
  for (const Taps::Window& window : taps.windows) {
    const uint8_t* tap = in + static_cast<ptrdiff_t>(window.begin - first) * channels;
    const size_t begin = window.first_group, end = begin + window.num_groups();
    auto high = hn::Zero(sums), low = hn::Zero(sums), none = hn::Zero(sums);
    for (size_t i = begin; i < end; ++i, tap += 4 * channels) {
      const auto pixels =
          hn::BitCast(halves, hn::TableLookupBytesOr0(hn::LoadDup128(bytes, tap), table));
      const auto upper = hn::BitCast(halves, hn::Set(groups, taps.upper[i]));
      const auto lower = hn::BitCast(halves, hn::Set(groups, taps.lower[i]));
      high = hn::ReorderWidenMulAccumulate(sums, pixels, upper, high, none);
      low = hn::ReorderWidenMulAccumulate(sums, pixels, lower, low, none);
    }
    auto sum = hn::Add(hn::ShiftLeft<Taps::kLowerBits>(high), low);
    sum = hn::Add(sum, hn::Shuffle2301(sum));  // both halves of a channel
    sum = hn::ShiftRight<kBits>(hn::Add(sum, hn::Set(sums, 1 << (kBits - 1))));
    const hn::CappedTag<uint8_t, 8> narrow;
    uint64_t twice;  // every channel
    hn::StoreU(hn::DemoteTo(narrow, sum), narrow, reinterpret_cast<uint8_t*>(&twice));
    for (int c = 0; c < channels; ++c) *out++ = static_cast<uint8_t>(twice >> 16 * c);
  }
}

void resample_column(const uint8_t* in, size_t row_bytes, const Taps& taps, size_t position,
                     uint8_t* out) {
  const hn::ScalableTag<int32_t> d;
  const size_t L = hn::Lanes(d);
  const Taps::Window& window = taps.windows[position];
  const int32_t* weight = taps.weights.data() + window.first_weight;
  size_t x = 0;
  for (; x + L <= row_bytes; x += L) {
    auto sums = hn::Set(d, 1 << (kBits - 1));
    const uint8_t* tap = in + x;
    for (int i = 0; i < window.count; ++i, tap += row_bytes)
      sums = hn::Add(sums, hn::Mul(load_bytes(d, tap), hn::Set(d, weight[i])));
    store_bytes(d, sums, out + x);
  }
  for (; x < row_bytes; ++x) {
    int32_t sum = 1 << (kBits - 1);
    for (int i = 0; i < window.count; ++i)
      sum += weight[i] * in[x + static_cast<size_t>(i) * row_bytes];
    out[x] = static_cast<uint8_t>(std::clamp(sum >> kBits, 0, 255));
  }
}

#endif

}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace i1 {
HWY_EXPORT(resample_row);
HWY_EXPORT(resample_column);

void resample_row(const uint8_t* in, int channels, const Taps& taps, uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(resample_row)(in, channels, taps, out);
}
void resample_column(const uint8_t* in, size_t row_bytes, const Taps& taps, size_t position,
                     uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(resample_column)(in, row_bytes, taps, position, out);
}

namespace {

constexpr int kPrecisionBits = 22;

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

void pack(const Taps::Window& window, Taps& taps) {
  for (int i = 0; i < window.count; i += 4) {
    uint64_t upper = 0, lower = 0;
    for (int k = 0; k < std::min(4, window.count - i); ++k) {
      const auto weight =
          static_cast<uint64_t>(taps.weights[window.first_weight + static_cast<size_t>(i + k)]);
      upper |= weight >> Taps::kLowerBits << 16 * k;
      lower |= (weight & ((1 << Taps::kLowerBits) - 1)) << 16 * k;
    }
    taps.upper.push_back(upper);
    taps.lower.push_back(lower);
  }
}

}  // namespace

// In doubles and in this order of operations: the fixed-point weights depend on the last bit.
Taps triangle_taps(const Axis& axis) {
  const double scale = static_cast<double>(axis.in_size) / axis.out_size;
  const double reduction = std::max(scale, 1.0), inverse = 1.0 / reduction;
  Taps taps;
  std::vector<double> weights;
  for (int out = axis.begin; out < axis.begin + axis.size; ++out) {
    const double centre = (out + 0.5) * scale;
    const int begin = std::max(0, static_cast<int>(centre - reduction + 0.5));
    const int end = std::min(axis.in_size, static_cast<int>(centre + reduction + 0.5));
    weights.clear();
    double sum = 0;
    for (int i = begin; i < end; ++i) {
      weights.push_back(std::max(0.0, 1.0 - std::abs((i - centre + 0.5) * inverse)));
      sum += weights.back();
    }
    taps.windows.push_back({begin, end - begin, taps.weights.size(), taps.upper.size()});
    for (const double weight : weights) {
      taps.weights.push_back(static_cast<int32_t>(0.5 + weight / sum * (1 << kPrecisionBits)));
    }
    pack(taps.windows.back(), taps);
  }
  return taps;
}

void reference::resample_row(const uint8_t* in, int channels, const Taps& taps, uint8_t* out) {
  for (const Taps::Window& window : taps.windows) {
    for (int c = 0; c < channels; ++c) {
      int32_t sum = 1 << (kPrecisionBits - 1);
      for (int i = 0; i < window.count; ++i)
        sum += taps.weights[window.first_weight + static_cast<size_t>(i)] *
               in[(window.begin - taps.first() + i) * channels + c];
      *out++ = to_byte(sum);
    }
  }
}

void reference::resample_column(const uint8_t* in, size_t row_bytes, const Taps& taps,
                                size_t position, uint8_t* out) {
  const Taps::Window& window = taps.windows[position];
  for (size_t x = 0; x < row_bytes; ++x) {
    int32_t sum = 1 << (kPrecisionBits - 1);
    for (int i = 0; i < window.count; ++i)
      sum += taps.weights[window.first_weight + static_cast<size_t>(i)] *
             in[static_cast<size_t>(i) * row_bytes + x];
    out[x] = to_byte(sum);
  }
}

}  // namespace i1
#endif
