#include "i1/check/t5gemma.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/any.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/index.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <map>

#include "i1/check/golden_files.h"
#include "i1/core/error.h"
#include "i1/core/fields.h"
#include "i1/text/t5gemma.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

// goldens/t5gemma/README.md, "Tolerances".
constexpr double kTolerance = 1e-4, kLongSdpaTolerance = 1e-3;
constexpr double kBfloat16RelativeRms = 0.06, kBfloat16RowCosine = 0.98;

struct Variant {
  const char* name;
  TextEncoderOptions options;
  bool only_defined_rows;
};
const std::vector<Variant> kVariants = {{"jax", {at::kFloat, PaddingMode::kJax, true}, false},
                                        {"sdpa", {at::kFloat, PaddingMode::kTorch, false}, false},
                                        {"eager", {at::kFloat, PaddingMode::kTorch, true}, true}};

class Case {
 public:
  Case(const fs::path& path, T5GemmaEncoder encoder, at::Device device, CheckReport& report)
      : path_(path.string()),
        name_(path.stem().string()),
        tensors_(read_golden(path, report)),
        encoder_(std::move(encoder)),
        device_(device),
        report_(report) {
    for (auto& [key, tensor] : tensors_) tensor = tensor.to(device);
    // Some cases were made with a window that never binds; only the rows that see no key tell.
    const at::Tensor visible = visible_keys((*this)["attention_mask"], true,
                                            encoder_.config.sliding_window, PaddingMode::kTorch);
    if (!at::equal(at::any(visible, -1), (*this)["undefined_rows"] == 0))
      encoder_.config.sliding_window = std::max<int64_t>(4096, (*this)["input_ids"].size(1));
  }

  void run() {
    check_masks();
    for (const Variant& variant : kVariants) {
      if (!has(std::string(variant.name) + ".last_hidden_state")) continue;
      check_variant(variant);
      if (!variant.only_defined_rows) check_packed(variant);
      check_bfloat16(variant);
    }
  }

 private:
  bool has(const std::string& key) const { return tensors_.contains(key); }
  const at::Tensor& operator[](const std::string& key) const { return take(tensors_, key, path_); }
  at::Tensor valid_rows() const { return (*this)["attention_mask"] != 0; }
  double tolerance(const Variant& variant) const {
    const bool is_long = (*this)["input_ids"].size(1) >= 256;
    return variant.name == std::string("sdpa") && is_long ? kLongSdpaTolerance : kTolerance;
  }

  void check_masks() {
    for (const bool is_sliding : {false, true}) {
      const std::string key = is_sliding ? "mask.sliding_attention" : "mask.full_attention";
      if (!has(key)) continue;
      const at::Tensor visible = visible_keys((*this)["attention_mask"], is_sliding,
                                              encoder_.config.sliding_window, PaddingMode::kTorch);
      report_.exact(path_, name_, key, ((*this)[key] != visible).sum().item<int64_t>());
    }
  }

  // Every stored stage, on the rows that are defined: (B, T, ...) or, for what attention computes
  // between two rows, (B, H, T, T).
  void check_variant(const Variant& variant) {
    std::map<std::string, std::string> keys;  // by stage
    for (const auto& [key, tensor] : tensors_) {
      const std::string prefix = std::string(variant.name) + ".";
      if (key.starts_with(prefix)) keys[key.substr(prefix.size())] = key;
      if (variant.only_defined_rows && key.starts_with("debug."))
        keys[key.substr(std::string("debug.").size())] = key;
    }
    const auto rows = [&](const at::Tensor& x) {
      if (!variant.only_defined_rows) return x;
      const bool has_heads_first = x.dim() == 4 && x.size(2) == x.size(3);
      return (has_heads_first ? x.transpose(1, 2) : x).index({(*this)["undefined_rows"] == 0});
    };
    const Observer observer = [&](const std::string& stage, const at::Tensor& value) {
      const auto found = keys.extract(stage);
      // An eager run of an empty prompt defines nothing.
      if (found.empty() || rows(value).numel() == 0) return;
      const std::string& key = found.mapped();
      report_.compare(path_, name_, key, rows(value), rows((*this)[key]), tolerance(variant));
    };
    encode_padded_text(encoder_, (*this)["input_ids"], (*this)["attention_mask"], variant.options,
                       &observer);
    for (const auto& [stage, key] : keys)
      report_.fail(path_, name_, key, "the encoder has no such stage");
  }

  // Prompts whose tokens come first, in the form that the pipeline uses.
  void check_packed(const Variant& variant) {
    const at::Tensor ids = (*this)["input_ids"].to(at::kCPU, at::kLong);
    const at::Tensor mask = (*this)["attention_mask"].to(at::kCPU, at::kLong);
    std::vector<std::vector<int64_t>> prompts;
    for (int64_t b = 0; b < ids.size(0); ++b) {
      const int64_t num_tokens = mask[b].sum().item<int64_t>();
      const at::Tensor tokens = ids[b].narrow(0, 0, num_tokens).contiguous();
      const bool is_prefix = mask[b].narrow(0, 0, num_tokens).sum().item<int64_t>() == num_tokens;
      const bool is_padded =
          (ids[b].narrow(0, num_tokens, ids.size(1) - num_tokens) != encoder_.config.pad_token_id)
              .sum()
              .item<int64_t>() == 0;
      if (!is_prefix || !is_padded) return;
      prompts.emplace_back(tokens.data_ptr<int64_t>(), tokens.data_ptr<int64_t>() + num_tokens);
    }
    const PackedText packed = encode_text(encoder_, prompts, ids.size(1), variant.options);
    const std::string key = std::string(variant.name) + ".last_hidden_state";
    std::vector<at::Tensor> rows;
    for (size_t b = 0; b < prompts.size(); ++b) {
      const PackedPrompt& prompt = packed.prompts[b];
      const int64_t num_padding = ids.size(1) - prompt.num_tokens;
      at::Tensor padding =
          packed.hidden.narrow(0, prompt.begin + prompt.num_tokens, prompt.num_padding_rows);
      if (variant.options.padding == PaddingMode::kJax)
        padding = padding.expand({num_padding, -1});  // one row stands for all
      rows.push_back(at::cat({packed.hidden.narrow(0, prompt.begin, prompt.num_tokens), padding}));
    }
    report_.compare(path_, name_, "packed." + key, at::stack(rows), (*this)[key],
                    tolerance(variant));
  }

  // Ours in bfloat16 against the float32 golden: the bounds that the reference's own bfloat16 run
  // keeps with a margin.
  void check_bfloat16(const Variant& variant) {
    if (!has(std::string(variant.name) + "_bf16.last_hidden_state")) return;
    const at::Tensor valid = valid_rows();
    if (!valid.any().item<bool>()) return;
    TextEncoderOptions options = variant.options;
    options.compute_dtype = at::kBFloat16;
    const at::Tensor found =
        encode_padded_text(encoder_, (*this)["input_ids"], (*this)["attention_mask"], options)
            .index({valid})
            .to(at::kFloat);
    const std::string name = variant.name;
    const at::Tensor expected = (*this)[name + ".last_hidden_state"].index({valid});
    const at::Tensor zero = at::scalar_tensor(0, at::kFloat);
    report_.compare(path_, name_, name + "_bf16.relative_rms",
                    (found - expected).norm() / expected.norm(), zero, kBfloat16RelativeRms);
    report_.compare(path_, name_, name + "_bf16.1-row_cosine",
                    1 - at::cosine_similarity(found, expected, 1).min(), zero,
                    1 - kBfloat16RowCosine);
  }

  std::string path_, name_;
  TensorMap tensors_;
  T5GemmaEncoder encoder_;
  at::Device device_;
  CheckReport& report_;
};

// The weights lie beside the case, or in a folder beside it.
fs::path weights_folder(const fs::path& golden) {
  const auto is_model = [](const fs::path& folder) {
    return fs::exists(folder / "config.json") &&
           (fs::exists(folder / "model.safetensors") ||
            fs::exists(folder / "model.safetensors.index.json"));
  };
  const fs::path parent = fs::absolute(golden).parent_path();
  std::vector<fs::path> places = {parent};
  for (const auto& entry : fs::directory_iterator(parent)) places.push_back(entry.path());
  std::sort(places.begin(), places.end());
  for (const fs::path& place : places) {
    if (is_model(place)) return place;
  }
  throw UserError(golden.string() + ": no folder with config.json and model.safetensors beside it");
}

void check_tensor_list(const fs::path& file, CheckReport& report) {
  std::string config_path = file.string();
  const std::string ending = "_tensors.json";
  config_path.replace(config_path.size() - ending.size(), ending.size(), "_config.json");
  const nlohmann::json list = read_json(file, report);
  check_user(list.is_object() && list.contains("shapes") && list["shapes"].is_object(),
             file.string(), ": no object \"shapes\"");
  report.use(config_path);
  T5GemmaEncoder encoder = t5gemma_shapes(read_t5gemma_config(config_path));
  int64_t num_different = 0, num_tensors = 0, num_values = 0;
  for_each_tensor(encoder, "model.encoder", [&](const std::string& key, at::Tensor& tensor) {
    const nlohmann::json shape = list["shapes"].value(key, nlohmann::json());
    num_different += shape != nlohmann::json(tensor.sizes().vec());
    num_values += tensor.numel();
    ++num_tensors;
  });
  const int64_t num_listed = static_cast<int64_t>(list["shapes"].size());
  report.exact(file.string(), file.stem().string(), "names and shapes",
               num_different + std::abs(num_listed - num_tensors));
  report.exact(file.string(), file.stem().string(), "parameter_count",
               std::abs(num_values - list.value("parameter_count", int64_t{0})));
}

bool is_tensor_list(const fs::path& path) {
  return path.filename().string().ends_with("_tensors.json") &&
         has_keys(peek_json(path), {"shapes", "parameter_count"});
}

bool is_case(const fs::path& path) {
  const TensorNames file = peek_tensors(path);
  return file.has("input_ids") && file.has("attention_mask") && file.has("undefined_rows");
}

bool matches(const fs::path& path) { return is_tensor_list(path) || is_case(path); }

void run(const fs::path& path, const std::string& device, CheckReport& report) {
  if (is_tensor_list(path)) return check_tensor_list(path, report);
  const fs::path weights = weights_folder(path);
  for (const auto& entry : fs::directory_iterator(weights)) {
    const std::string name = entry.path().filename().string();
    if (name == "config.json" || name.starts_with("model")) report.use(entry.path());
  }
  Case(path, load_t5gemma(weights, at::Device(device)), at::Device(device), report).run();
}

}  // namespace

const CheckFamily kCheckT5Gemma = {"t5gemma", "the T5Gemma text encoder", matches, run};

}  // namespace i1
