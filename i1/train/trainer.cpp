#include "i1/train/trainer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "i1/core/compute_dtype.h"
#include "i1/core/error.h"
#include "i1/model/weights.h"

namespace i1 {

at::Tensor batch_loss(const DualStream& model, const NoisyBatch& batch) {
  const at::Tensor adapted =
      adapt(model.text_encoder_adapter, model.config, batch.captions);  // (R, D)
  const Condition condition = gather_condition(adapted, batch.rows);
  const at::Tensor x_t = mix(batch.noise, batch.image_latents, batch.t);  // (B, C, h, w)
  const Layout layout = make_layout(model, x_t.size(2), x_t.size(3), condition);
  return velocity_loss(velocity(model, x_t, condition, layout),
                       velocity_target(batch.noise, batch.image_latents));
}

Optimizer::Optimizer(const TrainConfig& config, TrainState& state, Net& compute)
    : config_(config), state_(state) {
  const auto collect = [](Net& net) {
    std::vector<at::Tensor*> tensors;
    for_each_tensor(net, "",
                    [&](const std::string&, at::Tensor& tensor) { tensors.push_back(&tensor); });
    return tensors;
  };
  const auto leaves = collect(compute), ema = collect(state.ema), mu = collect(state.mu),
             nu = collect(state.nu);
  size_t i = 0;
  std::vector<AdamParameter>
      frozen;  // their average moves all the same, and they count in the norms
  for_each_tensor(state.weights, "", [&](const std::string& key, at::Tensor& weight) {
    if (is_trained(key)) {
      keys_.push_back(key);
      if (key.starts_with("backbone.")) num_backbone_ = keys_.size();
      leaves_.push_back(*leaves[i]);
      const bool is_copy =
          leaves[i]->scalar_type() != at::kFloat;  // float32 leaves share the weight's memory
      parameters_.push_back(
          {weight, {}, *mu[i], *nu[i], *ema[i], is_copy ? leaves[i]->detach() : at::Tensor()});
    } else {
      frozen.push_back({weight, {}, {}, {}, *ema[i], {}});
    }
    ++i;
  });
  parameters_.insert(parameters_.end(), frozen.begin(), frozen.end());
  gradients_.resize(leaves_.size());
}

void Optimizer::accumulate(const at::Tensor& loss) {
  const double share = 1.0 / static_cast<double>(config_.num_accumulation_steps);
  loss_ += loss.item<double>() * share;
  const at::Tensor scaled = config_.num_accumulation_steps == 1 ? loss : loss * share;
  const auto gradients = torch::autograd::grad({scaled}, leaves_, {}, std::nullopt,
                                               /*create_graph=*/false, /*allow_unused=*/true);
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined()) continue;
    if (config_.num_accumulation_steps == 1) {
      gradients_[i] = gradients[i].contiguous();
    } else if (gradients_[i].defined()) {
      gradients_[i] += gradients[i];
    } else {
      gradients_[i] = gradients[i].to(at::kFloat).contiguous();
    }
  }
}

std::map<std::string, at::Tensor> Optimizer::gradients() const {
  std::map<std::string, at::Tensor> named;
  for (size_t i = 0; i < keys_.size(); ++i) named[keys_[i]] = gradients_[i];
  return named;
}

void Optimizer::check_finite(double norm) const {
  check_machine(std::isfinite(loss_), "step ", state_.step + 1, ": the loss is ", loss_);
  if (std::isfinite(norm)) return;
  for (size_t i = 0; i < keys_.size(); ++i) {
    const bool is_finite =
        !gradients_[i].defined() || at::isfinite(gradients_[i]).all().item<bool>();
    check_machine(is_finite, "step ", state_.step + 1, ": the gradient of ", keys_[i],
                  " is not finite");
  }
  throw Failure(concat("step ", state_.step + 1, ": the gradient norm overflows"));
}

StepMetrics Optimizer::step() {
  const double norm = std::sqrt(sum_of_squares(gradients_));
  check_finite(norm);
  const double scale = clip_scale(norm, config_.max_gradient_norm);
  ++state_.step;
  const double rate = learning_rate_at(config_, state_.step);
  for (size_t i = 0; i < gradients_.size(); ++i) parameters_[i].gradient = gradients_[i];
  AdamSquares squares;
  const auto update = [&](size_t begin, size_t end, double own_rate) {
    const auto first = parameters_.begin();
    const AdamSquares part =
        adam_step({first + begin, first + end},
                  {own_rate, config_.beta1, config_.beta2, config_.eps, config_.ema_decay},
                  state_.step, scale);
    squares.update += part.update;
    squares.weight += part.weight;
    squares.ema += part.ema;
  };
  update(0, num_backbone_, rate);
  update(num_backbone_, keys_.size(), rate * config_.text.learning_rate_scale);
  update(keys_.size(), parameters_.size(), 0);  // the frozen ones
  const StepMetrics metrics = {state_.step,
                               loss_,
                               norm,
                               std::sqrt(squares.update),
                               std::sqrt(squares.weight),
                               std::sqrt(squares.ema),
                               rate};
  loss_ = 0;
  for (at::Tensor& gradient : gradients_) gradient = at::Tensor();
  for (AdamParameter& parameter : parameters_) parameter.gradient = at::Tensor();
  return metrics;
}

Trainer::Trainer(const TrainConfig& config, TrainState state, CachedBatches& batches,
                 at::Device device)
    : config_(config),
      device_(device),
      dtype_([&] {
        std::string why;
        return choose_compute_dtype(config.compute_dtype, device, why);
      }()),
      state_(std::move(state)),
      compute_(compute_net(state_.weights, dtype_)),
      batches_(batches),
      optimizer_(config_, state_, compute_) {}

PackedText Trainer::encode(const Batch& batch) const {
  std::vector<std::vector<int64_t>> prompts;
  for (const Draw& draw : batch.draws) {
    prompts.push_back(draw.caption < 0 ? std::vector<int64_t>()
                                       : batches_.caches()[draw.data_set].token_ids(draw.caption));
  }
  TextEncoderOptions options;
  options.compute_dtype = dtype_;
  return encode_text(*compute_.text_encoder, prompts, config_.model.num_text_tokens, options);
}

namespace {

// What encode_text gives, from the cache: one padding row stands for all of a caption's padding,
// its key carries the logarithm of their number.
PackedText cached_states(const Batch& batch, const std::vector<LatentCache>& caches,
                         int64_t num_text_tokens) {
  std::vector<at::Tensor> rows;
  std::vector<float> key_bias;
  PackedText text;
  for (const Draw& draw : batch.draws) {
    const LatentCache& cache = caches[draw.data_set];
    const auto begin = static_cast<int64_t>(key_bias.size());
    if (draw.caption >= 0) rows.push_back(cache.text_states(draw.caption));
    const int64_t num_tokens = draw.caption >= 0 ? rows.back().size(0) : 0;
    const int64_t num_padding = num_text_tokens - num_tokens;
    key_bias.resize(key_bias.size() + num_tokens, 0.0f);
    if (num_padding > 0) {
      rows.push_back(cache.padding_state().unsqueeze(0));
      key_bias.push_back(static_cast<float>(std::log(static_cast<double>(num_padding))));
    }
    text.prompts.push_back({begin, num_tokens, num_padding > 0 ? 1 : 0});
  }
  text.hidden = at::cat(rows);
  text.key_bias = at::tensor(key_bias, at::kFloat);
  return text;
}

Captions to_captions(const PackedText& text, at::Device device) {
  Captions captions{text.hidden.to(device), {0}, text.key_bias.to(device)};
  for (const PackedPrompt& prompt : text.prompts) {
    captions.row_offsets.push_back(prompt.begin + prompt.num_tokens + prompt.num_padding_rows);
  }
  return captions;
}

}  // namespace

NoisyBatch Trainer::make_noisy(const Batch& batch, int64_t micro_batch) {
  const int64_t B = batch.latents.size(0), T = config_.model.num_text_tokens;
  const RandomStream stream{config_.seed, fnv1a("train")};
  const auto index =
      static_cast<uint64_t>(state_.step * config_.num_accumulation_steps + micro_batch);
  NoisyBatch noisy;
  noisy.image_latents = batch.latents.to(device_);
  noisy.noise = normal_tensor(batch.latents.sizes(), stream.child("noise", index)).to(device_);
  at::Tensor samples = normal_tensor({B}, stream.child("t", index));
  if (config_.time.t_distribution == "uniform") fill_uniform(samples, stream.child("t", index));
  noisy.t = sample_times(samples, config_.time).to(device_);

  const PackedText text =
      config_.text.is_trained ? encode(batch) : cached_states(batch, batches_.caches(), T);
  noisy.captions = to_captions(text, device_);
  const int64_t null_begin = noisy.captions.row_offsets.back();
  bool any_dropped = false;
  for (int64_t b = 0; b < B;
       ++b) {  // a dropped sample keeps its mask: it takes as many rows of the null caption
    const bool is_dropped = batch.draws[b].is_dropped;
    noisy.rows.push_back(
        {is_dropped ? null_begin : text.prompts[b].begin, text.prompts[b].num_tokens});
    any_dropped |= is_dropped;
  }
  if (any_dropped) {
    const at::Tensor& null_caption = compute_.backbone.text_encoder_adapter.learnable_null_caption;
    noisy.captions = join(
        noisy.captions, captions_from_padded(null_caption.to(noisy.captions.states.scalar_type())));
  }
  return noisy;
}

StepMetrics Trainer::step() {
  const int64_t micro_batch_size = config_.global_batch_size / config_.num_accumulation_steps;
  for (int64_t i = 0; i < config_.num_accumulation_steps; ++i) {
    const Batch batch = batches_.next(micro_batch_size);
    const NoisyBatch noisy = make_noisy(batch, i);
    const at::Tensor loss = batch_loss(compute_.backbone, noisy);
    optimizer_.accumulate(loss);
  }
  const StepMetrics metrics = optimizer_.step();
  state_.data = batches_.position();
  return metrics;
}

}  // namespace i1
