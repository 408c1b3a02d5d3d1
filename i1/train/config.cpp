#include "i1/train/config.h"

#include <cmath>
#include <numbers>

#include "i1/core/error.h"

namespace i1 {

void check_train_config(const TrainConfig& config) {
  const std::string where = "recipe " + config.recipe;
  check_user(!config.recipe.empty() && config.recipe.find('/') == std::string::npos &&
                 !config.recipe.starts_with('.'),
             where, ": a stage's name is that of its folder: not empty, no /, not hidden");
  check_model_config(config.model, where);
  check_user(!config.text.is_trained || config.text.config.hidden_size == config.model.text_width,
             where, ": text.config.hidden_size is ", config.text.config.hidden_size,
             ", but model.text_width is ", config.model.text_width);
  check_user(!config.data_sets.empty(), where, ": data_sets is empty");
  check_user(config.data_weights.empty() || config.data_weights.size() == config.data_sets.size(),
             where, ": ", config.data_weights.size(), " data_weights for ", config.data_sets.size(),
             " data_sets");
  check_user(config.num_steps > 0 && config.num_steps < 1'000'000'000, where, ": num_steps is ",
             config.num_steps, ", expected 1 to 999999999");
  check_user(config.num_accumulation_steps > 0 && config.global_batch_size > 0 &&
                 config.global_batch_size % config.num_accumulation_steps == 0,
             where, ": global_batch_size ", config.global_batch_size,
             " is not a multiple of num_accumulation_steps ", config.num_accumulation_steps);
  check_user(config.global_batch_size <= 1'000'000, where, ": global_batch_size is ",
             config.global_batch_size, ", expected at most 1000000");
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, int64_t>>{
           {"num_warmup_steps", config.num_warmup_steps},
           {"log_every", config.log_every},
           {"sample_every", config.sample_every},
           {"checkpoint_every", config.checkpoint_every},
           {"keep_every", config.keep_every},
           {"max_caption_tokens", config.max_caption_tokens}}) {
    check_user(value >= 0, where, ": ", name, " is ", value, ", expected 0 (never, none) or more");
  }
  check_user(config.sample_every == 0 || !config.sample_prompts.empty(), where,
             ": sample_every without sample_prompts");
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, double>>{
           {"learning_rate", config.learning_rate}, {"eps", config.eps}}) {
    check_user(value > 0, where, ": ", name, " is ", value, ", expected a positive number");
  }
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, double>>{
           {"max_gradient_norm", config.max_gradient_norm},
           {"text.learning_rate_scale", config.text.learning_rate_scale},
           {"time.t_std", config.time.t_std},
           {"time.train_timestep_shift", config.time.train_timestep_shift}}) {
    check_user(value >= 0, where, ": ", name, " is ", value, ", expected 0 or more");
  }
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, double>>{
           {"beta1", config.beta1}, {"beta2", config.beta2}, {"ema_decay", config.ema_decay}}) {
    check_user(value >= 0 && value < 1, where, ": ", name, " is ", value,
               ", expected 0 to below 1");
  }
  check_user(config.caption_dropout >= 0 && config.caption_dropout <= 1, where,
             ": caption_dropout is ", config.caption_dropout, ", expected 0 to 1");
  check_user(config.decay_start >= 0 && config.decay_start <= 1, where, ": decay_start is ",
             config.decay_start, ", expected 0 to 1");
  for (const auto& [name, value] :
       std::initializer_list<std::pair<const char*, const std::string&>>{
           {"first_moment_dtype", config.first_moment_dtype},
           {"compute_dtype", config.compute_dtype}}) {
    check_user(value == "bfloat16" || value == "float32" ||
                   (value == "auto" && &value == &config.compute_dtype),
               where, ": ", name, " is \"", value, "\", expected bfloat16 or float32");
  }
}

double learning_rate_at(const TrainConfig& config, int64_t step) {
  double rate = config.learning_rate;
  if (step <= config.num_warmup_steps) {
    rate *= static_cast<double>(step) / static_cast<double>(config.num_warmup_steps);
  }
  const double decay_begin = config.decay_start * static_cast<double>(config.num_steps);
  const double tail = static_cast<double>(config.num_steps) - decay_begin;
  const double into_tail = static_cast<double>(step) - decay_begin;
  if (tail <= 0 || into_tail <= 0) return rate;
  return rate * 0.5 * (1 + std::cos(std::numbers::pi * std::min(into_tail / tail, 1.0)));
}

bool Due::operator()(int64_t step) const {
  if (every <= 0) return false;
  if (at_first && step == 1) return true;
  if (at_last && step == last_step) return true;
  const bool is_multiple = step % every == 0;
  const bool is_close_to_last = std::abs(static_cast<double>(step - last_step)) <
                                drop_close_to_last * static_cast<double>(every);
  return is_multiple && !is_close_to_last;
}

}  // namespace i1
