#include "i1/io/pickle.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

#include "i1/core/error.h"

namespace i1 {
namespace {

using Kind = PickleObject::Kind;

constexpr size_t kLongestPickle = 4'000'000;  // about 35,000 tensors

// What may be called, and classes without behaviour.
constexpr std::string_view kOrderedDict = "collections OrderedDict",
                           kRebuildTensor = "torch._utils _rebuild_tensor_v2",
                           kRebuildParameter = "torch._utils _rebuild_parameter",
                           kSize = "torch Size";
constexpr std::string_view kNames[] = {
    kOrderedDict,         kRebuildTensor,          kRebuildParameter,     kSize,
    "argparse Namespace", "types SimpleNamespace", "torch DoubleStorage", "torch FloatStorage",
    "torch HalfStorage",  "torch BFloat16Storage", "torch LongStorage",   "torch IntStorage",
    "torch ShortStorage", "torch CharStorage",     "torch ByteStorage",   "torch BoolStorage"};

// Made empty and filled afterwards.
bool is_record(std::string_view name) {
  return name == "argparse Namespace" || name == "types SimpleNamespace" || name == kOrderedDict;
}

// The opcodes that Python writes from protocol 2 on; pickletools.py is their reference.
// clang-format off
enum Opcode : uint8_t {
  kMark = '(', kStop = '.', kPop = '0', kPopMark = '1', kDup = '2',
  kBinFloat = 'G', kBinInt = 'J', kBinInt1 = 'K', kBinInt2 = 'M', kNone = 'N',
  kBinPersistentId = 'Q', kReduce = 'R', kBinString = 'T', kShortBinString = 'U',
  kBinUnicode = 'X', kAppend = 'a', kBuild = 'b', kGlobal = 'c', kDict = 'd', kEmptyDict = '}',
  kAppends = 'e', kBinGet = 'h', kLongBinGet = 'j', kList = 'l', kEmptyList = ']',
  kBinPut = 'q', kLongBinPut = 'r', kSetItem = 's', kTuple = 't', kEmptyTuple = ')',
  kSetItems = 'u', kBinBytes = 'B', kShortBinBytes = 'C',
  kProtocol = 0x80, kNewObject = 0x81, kTuple1 = 0x85, kTuple2 = 0x86, kTuple3 = 0x87,
  kNewTrue = 0x88, kNewFalse = 0x89, kLong1 = 0x8a, kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d, kBinBytes8 = 0x8e, kStackGlobal = 0x93, kMemoize = 0x94, kFrame = 0x95,
};
// clang-format on

class Machine {
 public:
  Machine(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  Pickle run() {
    for (;;) {
      const auto opcode = static_cast<Opcode>(number<uint8_t>());
      if (opcode == kStop) break;
      if (!push_constant(opcode) && !move_stack(opcode) && !fill_container(opcode))
        make_object(opcode);
    }
    result_.root = pop();
    return std::move(result_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw UserError(concat(where_, ": a damaged pickle: ", what, " at byte ", position_));
  }

  // Reading.

  std::string_view take(uint64_t size) {
    if (size > bytes_.size() - position_) fail("it ends early");
    position_ += size;
    return bytes_.substr(position_ - size, size);
  }

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  std::string_view line() {
    const size_t end = bytes_.find('\n', position_);
    if (end == std::string_view::npos) fail("it ends early");
    const std::string_view content = take(end - position_);
    ++position_;
    return content;
  }

  // Stack and memo.

  PickleObject& push(Kind kind) {
    result_.objects.push_back({});
    result_.objects.back().kind = kind;
    stack_.push_back(static_cast<uint32_t>(result_.objects.size() - 1));
    return result_.objects.back();
  }

  // Not below the last mark: what lies there belongs to a container that is still open.
  uint32_t pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("nothing on its stack");
    const uint32_t top = stack_.back();
    stack_.pop_back();
    return top;
  }

  uint32_t peek() {
    const uint32_t top = pop();
    stack_.push_back(top);
    return top;
  }

  std::vector<uint32_t> pop_to_mark() {
    if (marks_.empty()) fail("no mark on its stack");
    std::vector<uint32_t> items(stack_.begin() + static_cast<ptrdiff_t>(marks_.back()),
                                stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }

  PickleObject& object(uint32_t index) { return result_.objects[index]; }

  PickleObject& top_of_kind(Kind kind, const char* expected) {
    PickleObject& top = object(peek());
    if (top.kind != kind) fail(expected);
    return top;
  }

  void get(uint32_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) fail("an object that was not stored");
    stack_.push_back(found->second);
  }

  // Opcodes, in groups. Each returns whether the opcode was one of its own.

  // clang-format off
  bool push_constant(Opcode opcode) {
    switch (opcode) {
      case kNone: push(Kind::kNone); return true;
      case kNewTrue: push(Kind::kBool).integer = 1; return true;
      case kNewFalse: push(Kind::kBool); return true;
      case kBinInt: push(Kind::kInteger).integer = number<int32_t>(); return true;
      case kBinInt1: push(Kind::kInteger).integer = number<uint8_t>(); return true;
      case kBinInt2: push(Kind::kInteger).integer = number<uint16_t>(); return true;
      case kLong1: push_long(number<uint8_t>()); return true;
      case kBinFloat:  // big-endian, unlike everything else
        push(Kind::kFloat).number = std::bit_cast<double>(__builtin_bswap64(number<uint64_t>()));
        return true;
      case kShortBinUnicode: push_bytes(Kind::kText, number<uint8_t>()); return true;
      case kBinUnicode: push_bytes(Kind::kText, number<uint32_t>()); return true;
      case kBinUnicode8: push_bytes(Kind::kText, number<uint64_t>()); return true;
      case kShortBinString: push_bytes(Kind::kText, number<uint8_t>()); return true;
      case kBinString: push_bytes(Kind::kText, number<uint32_t>()); return true;
      case kShortBinBytes: push_bytes(Kind::kBytes, number<uint8_t>()); return true;
      case kBinBytes: push_bytes(Kind::kBytes, number<uint32_t>()); return true;
      case kBinBytes8: push_bytes(Kind::kBytes, number<uint64_t>()); return true;
      default: return false;
    }
  }

  // clang-format on
  void push_bytes(Kind kind, uint64_t size) {
    const std::string_view content = take(size);
    push(kind).text = content;
  }

  void push_long(size_t size) {
    const std::string_view digits = take(size);  // little-endian, two's complement
    if (size > sizeof(int64_t)) fail("an integer of more than 64 bits");
    uint64_t value = size > 0 && static_cast<int8_t>(digits.back()) < 0 ? ~uint64_t{0} : 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(digits[i]);
    push(Kind::kInteger).integer = static_cast<int64_t>(value);
  }

  // clang-format off
  bool move_stack(Opcode opcode) {
    switch (opcode) {
      case kProtocol: number<uint8_t>(); return true;
      case kFrame: number<uint64_t>(); return true;
      case kMark: marks_.push_back(stack_.size()); return true;
      case kPop: pop(); return true;
      case kPopMark: pop_to_mark(); return true;
      case kDup: stack_.push_back(peek()); return true;
      case kBinPut: memo_[number<uint8_t>()] = peek(); return true;
      case kLongBinPut: memo_[number<uint32_t>()] = peek(); return true;
      case kMemoize: memo_[static_cast<uint32_t>(memo_.size())] = peek(); return true;
      case kBinGet: get(number<uint8_t>()); return true;
      case kLongBinGet: get(number<uint32_t>()); return true;
      default: return false;
    }
  }

  bool fill_container(Opcode opcode) {
    switch (opcode) {
      case kEmptyDict: push(Kind::kDict); return true;
      case kEmptyList: push(Kind::kList); return true;
      case kEmptyTuple: push(Kind::kTuple); return true;
      case kTuple1: wrap(1); return true;
      case kTuple2: wrap(2); return true;
      case kTuple3: wrap(3); return true;
      case kTuple: push_items(Kind::kTuple, pop_to_mark()); return true;
      case kList: push_items(Kind::kList, pop_to_mark()); return true;
      case kDict: push_items(Kind::kDict, pop_to_mark()); return true;
      case kAppend: extend(Kind::kList, {pop()}); return true;
      case kAppends: extend(Kind::kList, pop_to_mark()); return true;
      case kSetItems: extend(Kind::kDict, pop_to_mark()); return true;
      case kSetItem: {
        const uint32_t value = pop(), key = pop();
        extend(Kind::kDict, {key, value});
        return true;
      }
      default: return false;
    }
  }

  // clang-format on
  void push_items(Kind kind, std::vector<uint32_t> items) {
    if (kind == Kind::kDict && items.size() % 2 != 0) fail("a key without a value");
    push(kind).children = std::move(items);
  }

  void wrap(size_t count) {
    std::vector<uint32_t> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    push_items(Kind::kTuple, std::move(items));
  }

  void extend(Kind kind, const std::vector<uint32_t>& items) {
    PickleObject& container = top_of_kind(kind, "items for what holds none");
    if (kind == Kind::kDict && items.size() % 2 != 0) fail("a key without a value");
    container.children.insert(container.children.end(), items.begin(), items.end());
  }

  void make_object(Opcode opcode) {
    switch (opcode) {
      case kGlobal: {
        const std::string_view module = line(), name = line();
        return push_name(module, name);
      }
      case kStackGlobal: {
        const std::string_view name = object(pop()).text, module = object(pop()).text;
        return push_name(module, name);
      }
      case kBinPersistentId: {
        const uint32_t id = pop();
        if (object(id).kind != Kind::kTuple) fail("a storage without a description");
        return push_copy(Kind::kStorage, id);
      }
      case kNewObject:
      case kReduce:
        return call(opcode);
      case kBuild:
        return set_state();
      default:
        fail(concat("opcode ", static_cast<int>(opcode), ", which torch.save does not write,"));
    }
  }

  void push_name(std::string_view module, std::string_view name) {
    const std::string full = concat(module, " ", name);
    const auto known = std::find(std::begin(kNames), std::end(kNames), full);
    check_user(known != std::end(kNames), where_, ": holds an object of type \"", module, ".", name,
               "\", which is refused; a checkpoint may hold tensors, numbers, texts, lists, tuples "
               "and dictionaries");
    push(Kind::kName).text = *known;
  }

  void call(Opcode opcode) {
    const uint32_t arguments = pop(), name = pop();
    if (object(arguments).kind != Kind::kTuple || object(name).kind != Kind::kName)
      fail("a call of what is no name");
    const std::string_view callee = object(name).text;
    const std::vector<uint32_t>& given = object(arguments).children;
    if (is_record(callee) && given.empty()) {
      push(Kind::kDict).integer = callee != kOrderedDict;
    } else if (opcode == kReduce && callee == kRebuildTensor && given.size() >= 4) {
      push_copy(Kind::kTensor, arguments);
    } else if (opcode == kReduce && callee == kRebuildParameter && !given.empty() &&
               object(given[0]).kind == Kind::kTensor) {
      stack_.push_back(given[0]);
    } else if (callee == kSize && given.size() == 1) {
      stack_.push_back(given[0]);
    } else {
      fail(concat("unexpected arguments of ", callee));
    }
  }

  // Copies are counted: a few bytes of pickle could ask for any number of long ones.
  void push_copy(Kind kind, uint32_t source) {
    std::vector<uint32_t> children = object(source).children;
    num_copied_ += children.size();
    if (num_copied_ > bytes_.size()) fail("more references than bytes");
    push(kind).children = std::move(children);
  }

  // A namespace's attributes become its entries; of a dictionary they are dropped (state dicts
  // carry version numbers there).
  void set_state() {
    const uint32_t state = pop();
    const PickleObject& target = top_of_kind(Kind::kDict, "attributes of what has none");
    if (object(state).kind != Kind::kDict) fail("attributes that are no dictionary");
    if (target.integer == 0) return;
    pop();
    push_copy(Kind::kDict, state);
  }

  std::string_view bytes_;
  const std::string& where_;
  size_t position_ = 0;
  Pickle result_;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;
  std::map<uint32_t, uint32_t> memo_;
  size_t num_copied_ = 0;
};

}  // namespace

Pickle parse_pickle(std::string_view bytes, const std::string& where) {
  check_user(bytes.size() <= kLongestPickle, where, ": a pickle of ", bytes.size(),
             " bytes; at most ", kLongestPickle, " are read");
  return Machine(bytes, where).run();
}

}  // namespace i1
