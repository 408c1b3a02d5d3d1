// Pickles, read without running anything: Python's stack machine on numbers, texts, containers and
// the few names that torch.save writes. Every other name is refused, so that a checkpoint cannot
// run code.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace i1 {

/// One object of a pickle. Children are indices into Pickle::objects.
struct PickleObject {
  enum class Kind {
    kNone,
    kBool,
    kInteger,
    kFloat,
    kText,
    kBytes,
    kList,
    kTuple,
    kDict,     ///< children: key, value, key, value ...
    kName,     ///< a Python name: text = "module name"
    kStorage,  ///< children: what torch.save names it by (a tuple)
    kTensor,   ///< children: the arguments of torch._utils._rebuild_tensor_v2
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;    ///< also of a bool
  double number = 0;      ///< of a float
  std::string_view text;  ///< into the pickle's bytes; of texts, bytes and names
  std::vector<uint32_t> children;
};

struct Pickle {
  std::vector<PickleObject> objects;  ///< may refer to each other in circles
  uint32_t root = 0;

  const PickleObject& at(uint32_t index) const { return objects[index]; }
};

/// `bytes` must outlive the result. Throws UserError, opened by `where`: names the first object
/// that is refused, and the byte at which a pickle is damaged.
Pickle parse_pickle(std::string_view bytes, const std::string& where);

}  // namespace i1
