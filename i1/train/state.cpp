#include "i1/train/state.h"

#include <ATen/ops/zeros_like.h>

#include <map>

#include "i1/core/error.h"
#include "i1/model/init.h"
#include "i1/model/weights.h"

namespace i1 {

bool is_trained(const std::string& key) {
  const std::string backbone = "backbone.";
  if (!key.starts_with(backbone)) return true;
  const std::string own = key.substr(backbone.size());
  return !is_frozen(own) && !own.starts_with("t_embedder.");
}

TrainState initial_state(const TrainConfig& config, at::Device device) {
  const RandomStream stream{config.seed, fnv1a("init")};
  TrainState state;
  state.weights.backbone = make_dual_stream(config.model);
  initialize(state.weights.backbone, stream.child("backbone"));
  if (config.text.is_trained)
    state.weights.text_encoder = init_t5gemma(config.text.config, stream.child("text"));
  for_each_tensor(state.weights, "", [&](const std::string&, at::Tensor& tensor) {
    tensor = tensor.to(device, at::kFloat).contiguous();
  });
  state.ema = state.mu = state.nu = state.weights;
  for_each_tensor(state.ema, "",
                  [](const std::string&, at::Tensor& tensor) { tensor = tensor.clone(); });
  const at::ScalarType moment =
      config.first_moment_dtype == "bfloat16" ? at::kBFloat16 : at::kFloat;
  const auto zero = [](Net& net, at::ScalarType dtype) {
    for_each_tensor(net, "", [&](const std::string& key, at::Tensor& tensor) {
      tensor =
          is_trained(key) ? at::zeros_like(tensor, tensor.options().dtype(dtype)) : at::Tensor();
    });
  };
  zero(state.mu, moment);
  zero(state.nu, at::kFloat);
  return state;
}

namespace {

void copy_trained(Net& to, const Net& from, const std::string& where) {
  std::map<std::string, at::Tensor> earlier;
  Net source = from;  // shares the values; fields need a mutable object
  for_each_tensor(source, "", [&](const std::string& key, at::Tensor& tensor) {
    if (tensor.defined()) earlier[key] = tensor;
  });
  for_each_tensor(to, "", [&](const std::string& key, at::Tensor& tensor) {
    if (!is_trained(key)) return;
    const auto found = earlier.find(key);
    check_user(found != earlier.end(), where, ": has no \"", key, "\", which this stage trains");
    check_user(found->second.sizes() == tensor.sizes(), where, ": \"", key, "\" has shape ",
               found->second.sizes(), ", this stage's has ", tensor.sizes());
    tensor.copy_(found->second);
  });
}

}  // namespace

void start_from(TrainState& state, const Net& weights, const Net& ema, const std::string& where) {
  copy_trained(state.weights, weights, where);
  copy_trained(state.ema, ema, where);
}

Net compute_net(const Net& weights, at::ScalarType dtype) {
  Net net = weights;
  for_each_tensor(net, "", [&](const std::string& key, at::Tensor& tensor) {
    const at::ScalarType own = stays_float32(key.substr(key.find('.') + 1)) ? at::kFloat : dtype;
    tensor = own == at::kFloat ? tensor.detach()
                               : tensor.detach().to(own);  // float32 shares the weight's memory
    if (is_trained(key)) tensor.set_requires_grad(true);
  });
  return net;
}

}  // namespace i1
