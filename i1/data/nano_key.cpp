#include "i1/data/nano_key.h"

namespace i1 {
namespace {

uint64_t mix(uint64_t value, uint64_t first, uint64_t second, int a, int b, int c) {
  value = (value ^ (value >> a)) * first;
  value = (value ^ (value >> b)) * second;
  return value ^ (value >> c);
}

}  // namespace

uint64_t key_hash(std::string_view key) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char byte : key) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  return mix(hash, 0xff51afd7ed558ccdu, 0xc4ceb9fe1a85ec53u, 33, 33, 33);
}

double key_share(std::string_view key) {
  return static_cast<double>(key_hash(key) >> 11) * 0x1p-53;
}

uint64_t KeyDraws::bits() {
  state_ += 0x9e3779b97f4a7c15u;
  return mix(state_, 0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu, 30, 27, 31);
}

double KeyDraws::uniform(double low, double high) {
  return low + (high - low) * (static_cast<double>(bits() >> 11) * 0x1p-53);
}

int64_t KeyDraws::index(int64_t size) {
  return static_cast<int64_t>(uniform() * static_cast<double>(size));
}

}  // namespace i1
