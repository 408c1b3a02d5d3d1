#include "i1/pipeline.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "i1/core/error.h"
#include "i1/core/interrupt.h"
#include "i1/core/mappings.h"
#include "i1/core/memory.h"
#include "i1/core/random.h"
#include "i1/faults.h"
#include "i1/guided_velocity.h"

namespace i1 {
namespace {

constexpr int64_t kPixelsPerLatent = 8;
// Encoded before the text encoder is let go: 256 prompts of 256 tokens are 300 MB at most.
constexpr size_t kRequestsAtOnce = 256;

// Guidance of 1 is the conditional half itself.
bool is_guided(const Request& request) { return request.guidance_scale != 1; }

Image to_image(const at::Tensor& bytes) {  // (H, W, 3) uint8
  Image image = make_image(static_cast<int>(bytes.size(1)), static_cast<int>(bytes.size(0)));
  std::memcpy(image.pixels.data(), bytes.const_data_ptr(), image.pixels.size());
  return image;
}

void check_side(const char* name, int64_t side, int64_t multiple) {
  check_user(side > 0 && side <= kMaxSide && side % multiple == 0, name, " is ", side,
             " pixels; expected a multiple of ", multiple, " up to ", kMaxSide);
}

}  // namespace

Pipeline::Pipeline(Bundle bundle, at::Device device, Precision precision)
    : bundle_(std::move(bundle)), device_(device), precision_(precision) {}

Request Pipeline::complete(Request request) const {
  const BundleConfig& config = bundle_.config;
  if (request.width == 0) request.width = config.model.resolution;
  if (request.height == 0) request.height = config.model.resolution;
  if (request.num_steps == 0) request.num_steps = config.num_steps;
  request.compute_dtype = precision_.name();
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
  if (request.decode_rows < 0) request.decode_rows = choose_decode_rows(request);
  return request;
}

// All at once is up to twice as fast, a little of a picture's time; its memory may be more than all
// else. Of what the backbone leaves a tenth is left to others, and to the estimate's error.
int64_t Pipeline::choose_decode_rows(const Request& request) const {
  constexpr int64_t kAtOnceBytes = int64_t{5} << 28;  // FLUX.2 at 512 x 512 pixels takes 9/10 of it
  if (!device_.is_cpu()) return 0;
  const int64_t left = available_memory() - bundle_.memory.backbone;
  return decode_bytes(request, 0) <= std::min(kAtOnceBytes, left / 10 * 9) ? 0 : kBandRows;
}

int64_t Pipeline::decode_bytes(const Request& request, int64_t rows) const {
  return bundle_.vae.decode_bytes(
      {1, bundle_.config.model.latent_channels, request.height / kPixelsPerLatent,
       request.width / kPixelsPerLatent},
      rows);
}

MemoryPlan Pipeline::plan(const Request& request, int64_t batch_size) const {
  const int64_t height = request.height / kPixelsPerLatent,
                width = request.width / kPixelsPerLatent;
  const ModelConfig& model = bundle_.config.model;
  const int64_t num_samples = is_guided(request) ? 2 * batch_size : batch_size;
  const int64_t at_once = samples_a_pass(model, height, width, num_samples, device_);
  return {bundle_.memory, own_memory(),
          num_samples * sample_bytes(model, height, width) +
              step_bytes(model, at_once, height, width,
                         static_cast<int64_t>(c10::elementSize(precision_.dtype))),
          decode_bytes(request, request.decode_rows)};
}

at::Tensor picture_noise(const Request& request, int64_t latent_channels) {
  const RandomStream stream = RandomStream{request.seed, fnv1a("picture")}.child(
      "noise", static_cast<uint64_t>(request.prompt_index),
      static_cast<uint64_t>(request.image_index));
  return normal_tensor(
      {latent_channels, request.height / kPixelsPerLatent, request.width / kPixelsPerLatent},
      stream);
}

std::vector<Pipeline::EncodedPrompt> Pipeline::encode(const std::vector<std::string>& prompts,
                                                      const Observer* observer) const {
  const int64_t T = bundle_.config.model.num_text_tokens;
  std::vector<std::vector<int64_t>> ids;
  for (const std::string& prompt : prompts)
    ids.push_back(bundle_.tokenizer.encode(prompt, static_cast<size_t>(T)));
  TextEncoderOptions options;
  options.compute_dtype = precision_.dtype;
  const PackedText text = encode_text(bundle_.text_encoder.get(), ids, T, options, observer);
  std::vector<EncodedPrompt> encoded;
  for (const PackedPrompt& prompt : text.prompts) {
    const int64_t num_rows = prompt.num_tokens + prompt.num_padding_rows;
    encoded.push_back({text.hidden.narrow(0, prompt.begin, num_rows),
                       text.key_bias.narrow(0, prompt.begin, num_rows), prompt.num_tokens});
  }
  return encoded;
}

Pipeline::Jobs Pipeline::encode(const std::vector<Request>& requests, size_t begin, size_t end,
                                int64_t batch_size) const {
  Jobs jobs;
  for (size_t first = begin; first < end; first += static_cast<size_t>(batch_size)) {
    const size_t count = std::min(end - first, static_cast<size_t>(batch_size));
    std::vector<std::string> prompts;
    for (size_t i = 0; i < count; ++i) prompts.push_back(requests[first + i].prompt);
    const bool has_negative = is_guided(requests[first]);
    for (size_t i = 0; has_negative && i < count; ++i)
      prompts.push_back(requests[first + i].negative_prompt);
    const std::vector<EncodedPrompt> encoded = encode(prompts);
    for (size_t i = 0; i < count; ++i) {
      const Request& request = requests[first + i];
      jobs.push_back({&request, encoded[i], has_negative ? encoded[count + i] : EncodedPrompt{}});
      check_prompt(request, request.prompt, jobs.back().prompt);
      check_prompt(request, request.negative_prompt, jobs.back().negative_prompt);
    }
  }
  return jobs;
}

// The conditional half of the batch, then, where guidance needs it, the unconditional one: the null
// caption under each prompt's own mask, or the negative prompt where there is one.
Condition Pipeline::condition_of(const Jobs& jobs, const Observer* observer) const {
  Captions captions{{}, {0}, {}};
  std::vector<at::Tensor> states, key_biases;
  std::vector<CaptionRows> rows;
  const auto add = [&](const EncodedPrompt& prompt) {
    const int64_t begin = captions.row_offsets.back();
    states.push_back(prompt.states);
    key_biases.push_back(prompt.key_bias);
    captions.row_offsets.push_back(begin + prompt.states.size(0));
    rows.push_back({begin, prompt.num_tokens});
  };
  const Adapter& adapter = bundle_.backbone->text_encoder_adapter;
  for (const Job& job : jobs) add(job.prompt);
  const bool has_second_half = is_guided(*jobs.front().request);
  if (has_second_half) {
    for (const Job& job : jobs) add(job.negative_prompt);
  }
  captions.states = at::cat(states);
  captions.key_bias = at::cat(key_biases);
  if (has_second_half) {
    const int64_t null_begin = captions.row_offsets.back();
    captions = join(captions, captions_from_padded(adapter.learnable_null_caption));
    for (size_t i = 0; i < jobs.size(); ++i) {
      if (jobs[i].request->negative_prompt.empty())
        rows[jobs.size() + i] = {null_begin, jobs[i].prompt.num_tokens};
    }
  }
  return gather_condition(adapt(adapter, bundle_.config.model, captions, observer), rows);
}

void Pipeline::check_prompt(const Request& request, const std::string& prompt,
                            const EncodedPrompt& encoded) const {
  if (count_not_finite(encoded.states) == 0) return;
  check_mapped_files();
  FirstNotFinite stage;
  const Observer see = [&](const std::string& name, const at::Tensor& x) { stage.see(name, x); };
  encode({prompt}, &see);
  throw_not_finite(request, "values of the text encoder are not finite", stage, "text encoder",
                   first_weight_not_finite(bundle_.text_encoder.get()));
}

void Pipeline::check_condition(const Jobs& jobs, const Condition& condition) const {
  if (count_not_finite(condition.text_tokens) == 0) return;
  check_mapped_files();
  FirstNotFinite stage;
  const Observer see = [&](const std::string& name, const at::Tensor& x) { stage.see(name, x); };
  condition_of(jobs, &see);
  size_t sample = 0;
  const auto rows_of = [&](size_t b) {
    const int64_t begin = condition.text_offsets[b];
    return condition.text_tokens.narrow(0, begin, condition.text_offsets[b + 1] - begin);
  };
  while (count_not_finite(rows_of(sample)) == 0) ++sample;
  throw_not_finite(*jobs[sample % jobs.size()].request, "values of the adapter are not finite",
                   stage, "backbone", first_used_weight_not_finite(bundle_.backbone.get()));
}

at::Tensor Pipeline::sample(const Jobs& jobs, const StepObserver& on_step) const {
  const Request& first = *jobs.front().request;
  const DualStream& backbone = bundle_.backbone.get();
  const Condition condition = condition_of(jobs);
  check_condition(jobs, condition);
  const GuidedVelocity guided_velocity(  // of the backbone: i1/model/dual_stream.cpp
      backbone, condition, first.height / kPixelsPerLatent, first.width / kPixelsPerLatent,
      {first.guidance_scale, first.guidance_rescale, first.guidance_start}, is_guided(first));
  std::vector<at::Tensor> noise;
  for (const Job& job : jobs)
    noise.push_back(picture_noise(*job.request, bundle_.config.model.latent_channels));
  const std::vector<float> timesteps =
      make_timesteps(first.num_steps, first.schedule, first.timestep_shift);
  try {
    return euler(at::stack(noise).to(device_), timesteps, guided_velocity,
                 on_step);            // (B, C, h, w)
  } catch (const NotFinite& fault) {  // the same step again, watched
    check_mapped_files();
    const FirstNotFinite stage = guided_velocity.first_not_finite(fault.x_t, fault.t);
    int64_t picture = 0;
    while (count_not_finite(fault.x_next[picture]) == 0) ++picture;
    throw_not_finite(*jobs[static_cast<size_t>(picture)].request, fault.what(), stage, "backbone",
                     first_used_weight_not_finite(backbone));
  }
}

// latents: (1, C, h, w)
Image Pipeline::decode(const Request& request, const at::Tensor& latents) const {
  constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();  // the plan has been checked
  const at::Tensor image = bundle_.vae.decode(
      latents, {.memory_bytes = kNoLimit, .band_rows = request.decode_rows});  // (1, 3, H, W)
  if (count_not_finite(image) > 0) {
    check_mapped_files();
    FirstNotFinite stage;
    const Observer see = [&](const std::string& name, const at::Tensor& x) { stage.see(name, x); };
    bundle_.vae.decode(latents, {}, &see);
    throw_not_finite(request, "values of the autoencoder are not finite", stage, "autoencoder",
                     bundle_.vae.first_weight_not_finite());
  }
  return to_image(to_bytes(image).squeeze(0).to(at::kCPU));
}

void Pipeline::generate(const std::vector<Request>& requests, int64_t batch_size,
                        const TakeImage& on_image, const GenerateProgress& on_progress) const {
  const at::NoGradGuard no_grad;
  const size_t N = requests.size(), B = static_cast<size_t>(batch_size);
  const size_t window = (kRequestsAtOnce + B - 1) / B * B;  // whole batches
  const MemoryPlan memory = N == 0 ? MemoryPlan{} : plan(requests.front(), batch_size);
  int64_t done = 0;
  const int64_t total =
      N == 0 ? 0 : static_cast<int64_t>((N + B - 1) / B) * requests.front().num_steps;
  for (size_t begin = 0; begin < N; begin += window) {
    const Jobs jobs = encode(requests, begin, std::min(N, begin + window), batch_size);
    check_mapped_files();
    bundle_.text_encoder.release();
    return_free_memory();
    for (size_t first = 0; first < jobs.size(); first += B) {
      const Jobs batch(jobs.begin() + static_cast<int64_t>(first),
                       jobs.begin() + static_cast<int64_t>(std::min(jobs.size(), first + B)));
      const at::Tensor latents = sample(batch, [&](int64_t, const at::Tensor&) {
        check_interrupt();
        check_mapped_files();
        if (on_progress) on_progress(++done, total);
      });
      if (memory.lets_backbone_go()) bundle_.backbone.release();
      if (memory.is_large()) return_free_memory();  // decoding does not fit into the steps' pages
      for (size_t i = 0; i < batch.size(); ++i) {   // alone: it must not depend on its neighbours
        Image image = decode(*batch[i].request, latents.narrow(0, static_cast<int64_t>(i), 1));
        check_mapped_files();
        on_image(begin + first + i, std::move(image));
      }
    }
  }
}

std::vector<Image> Pipeline::generate(const std::vector<Request>& requests, int64_t batch_size,
                                      const GenerateProgress& on_progress) const {
  std::vector<Image> images(requests.size());
  generate(
      requests, batch_size, [&](size_t index, Image image) { images[index] = std::move(image); },
      on_progress);
  return images;
}

}  // namespace i1
