#include "i1/pipeline.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/chunk.h>
#include <ATen/ops/stack.h>

#include <cmath>
#include <cstring>

#include "i1/core/error.h"
#include "i1/core/interrupt.h"
#include "i1/core/random.h"

namespace i1 {
namespace {

constexpr int64_t kPixelsPerLatent = 8, kLargestSide = 4096;

Captions to_captions(const PackedText& text) {
  Captions captions{text.hidden, {0}, text.key_bias};
  for (const PackedPrompt& prompt : text.prompts) {
    captions.row_offsets.push_back(prompt.begin + prompt.num_tokens + prompt.num_padding_rows);
  }
  return captions;
}

Image to_image(const at::Tensor& bytes) {  // (H, W, 3) uint8
  Image image = make_image(static_cast<int>(bytes.size(1)), static_cast<int>(bytes.size(0)));
  std::memcpy(image.pixels.data(), bytes.const_data_ptr(), image.pixels.size());
  return image;
}

void check_side(const char* name, int64_t side, int64_t multiple) {
  check_user(side > 0 && side <= kLargestSide && side % multiple == 0, name, " is ", side,
             " pixels; expected a multiple of ", multiple, " up to ", kLargestSide);
}

}  // namespace

Pipeline::Pipeline(Bundle bundle, at::Device device, at::ScalarType dtype)
    : bundle_(std::move(bundle)), device_(device), dtype_(dtype) {}

Request Pipeline::complete(Request request) const {
  const BundleConfig& config = bundle_.config;
  if (request.width == 0) request.width = config.model.resolution;
  if (request.height == 0) request.height = config.model.resolution;
  if (request.num_steps == 0) request.num_steps = config.num_steps;
  request.compute_dtype = dtype_ == at::kFloat ? "float32" : "bfloat16";
  const int64_t multiple = kPixelsPerLatent * config.model.patch_size;
  check_side("width", request.width, multiple);
  check_side("height", request.height, multiple);
  check_user(request.num_steps > 0 && request.num_steps <= kMaxSteps, "number of steps is ",
             request.num_steps, ", expected 1 to ", kMaxSteps);
  check_user(std::abs(request.guidance_scale) <= kMaxGuidance, "guidance scale is ",
             request.guidance_scale, ", expected at most ", kMaxGuidance);
  check_user(request.guidance_start >= 0 && request.guidance_start <= 1, "guidance start is ",
             request.guidance_start, ", expected 0 to 1");
  check_user(request.timestep_shift <= kMaxShift, "timestep shift is ", request.timestep_shift,
             ", expected at most ", kMaxShift);
  make_timesteps(request.num_steps, request.schedule, request.timestep_shift);
  check_user(request.guidance_rescale >= 0 && request.guidance_rescale <= 1, "guidance rescale is ",
             request.guidance_rescale, ", expected 0 to 1");
  return request;
}

at::Tensor picture_noise(const Request& request, int64_t latent_channels) {
  const RandomStream stream = RandomStream{request.seed, fnv1a("picture")}.child(
      "noise", static_cast<uint64_t>(request.prompt_index),
      static_cast<uint64_t>(request.image_index));
  return normal_tensor(
      {latent_channels, request.height / kPixelsPerLatent, request.width / kPixelsPerLatent},
      stream);
}

// The conditional half of the batch, then, where guidance needs it, the unconditional one: the null
// caption under each prompt's own mask, or the negative prompt where there is one.
Condition Pipeline::encode(const std::vector<Request>& requests, bool is_guided) const {
  const int64_t T = bundle_.config.model.num_text_tokens;
  std::vector<std::vector<int64_t>> ids;
  const auto add = [&](const std::string& prompt) {
    ids.push_back(bundle_.tokenizer.encode(prompt, static_cast<size_t>(T)));
  };
  for (const Request& request : requests) add(request.prompt);
  if (is_guided) {
    for (const Request& request : requests) add(request.negative_prompt);
  }
  TextEncoderOptions options;
  options.compute_dtype = dtype_;
  const PackedText text = encode_text(bundle_.text_encoder, ids, T, options);
  const Adapter& adapter = bundle_.backbone.text_encoder_adapter;
  Captions captions = to_captions(text);
  if (is_guided) captions = join(captions, captions_from_padded(adapter.learnable_null_caption));
  const at::Tensor adapted = adapt(adapter, bundle_.config.model, captions);  // (R, D)

  const int64_t null_begin = captions.row_offsets[ids.size()];
  const size_t B = requests.size();
  std::vector<CaptionRows> rows;
  for (size_t i = 0; i < ids.size(); ++i) {
    const bool is_null = i >= B && requests[i - B].negative_prompt.empty();
    if (is_null) {
      rows.push_back({null_begin, text.prompts[i - B].num_tokens});
    } else {
      rows.push_back({text.prompts[i].begin, text.prompts[i].num_tokens});
    }
  }
  return gather_condition(adapted, rows);
}

at::Tensor Pipeline::sample(const std::vector<Request>& requests,
                            const StepObserver& on_step) const {
  const Request& first = requests.front();
  const bool is_guided = first.guidance_scale != 1;  // else guidance is the conditional half itself
  const Condition condition = encode(requests, is_guided);
  const Layout layout = make_layout(bundle_.backbone, first.height / kPixelsPerLatent,
                                    first.width / kPixelsPerLatent, condition);
  const Guidance guidance = {first.guidance_scale, first.guidance_rescale, first.guidance_start};
  std::vector<at::Tensor> noise;
  for (const Request& request : requests)
    noise.push_back(picture_noise(request, bundle_.config.model.latent_channels));
  const auto guided_velocity = [&](const at::Tensor& x_t, double t) {
    if (!is_guided) return velocity(bundle_.backbone, x_t, condition, layout);  // (B, C, h, w)
    const at::Tensor both =
        velocity(bundle_.backbone, at::cat({x_t, x_t}), condition, layout);  // (2B, C, h, w)
    const std::vector<at::Tensor> halves = at::chunk(both, 2);
    return guide(halves[0], halves[1], t, guidance);
  };
  const std::vector<float> timesteps =
      make_timesteps(first.num_steps, first.schedule, first.timestep_shift);
  return euler(at::stack(noise).to(device_), timesteps, guided_velocity, on_step);  // (B, C, h, w)
}

std::vector<Image> Pipeline::generate(const std::vector<Request>& requests, int64_t batch_size,
                                      const GenerateProgress& on_progress) const {
  const at::NoGradGuard no_grad;
  std::vector<Image> images;
  int64_t done = 0;
  int64_t total = 0;
  for (size_t begin = 0; begin < requests.size(); begin += static_cast<size_t>(batch_size)) {
    total += requests.front().num_steps;
  }
  for (size_t begin = 0; begin < requests.size(); begin += static_cast<size_t>(batch_size)) {
    const size_t end = std::min(requests.size(), begin + static_cast<size_t>(batch_size));
    const std::vector<Request> batch(requests.begin() + static_cast<int64_t>(begin),
                                     requests.begin() + static_cast<int64_t>(end));
    const at::Tensor latents = sample(batch, [&](int64_t, const at::Tensor&) {
      check_interrupt();
      if (on_progress) on_progress(++done, total);
    });
    for (int64_t i = 0; i < latents.size(0);
         ++i) {  // one by one: a picture must not depend on its neighbours
      images.push_back(
          to_image(to_bytes(bundle_.vae.decode(latents.narrow(0, i, 1))).squeeze(0).to(at::kCPU)));
    }
  }
  return images;
}

}  // namespace i1
