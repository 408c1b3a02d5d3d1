#include "apps/training_run.h"

#include <ATen/core/grad_mode.h>

#include <chrono>
#include <cstdio>

#include "i1/core/compute_dtype.h"
#include "i1/core/config.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/core/mappings.h"
#include "i1/core/progress.h"
#include "i1/data/nano_sheet.h"
#include "i1/data/transform.h"
#include "i1/model/weights.h"
#include "i1/pipeline.h"
#include "i1/train/checkpoint.h"
#include "i1/train/metrics.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

// What small models look best at; a bundle's user may choose otherwise.
constexpr int64_t kExportedSteps = 50;
constexpr double kExportedGuidance = 4;
constexpr int kSheetColumns = 6, kSheetPicture = 160;
constexpr double kSecondsBetweenLines = 30;

void check_fits(const LatentCache& cache, const TrainConfig& config, const std::string& where) {
  const ModelConfig& model = config.model;
  const Buckets& found = cache.origin().buckets;
  check_user(found == config.buckets, where, ": has buckets of unit ", found.unit, " up to ",
             found.max_aspect, ", but the recipe of unit ", config.buckets.unit, " up to ",
             config.buckets.max_aspect, " (0: none); buckets.unit=", found.unit,
             " trains on these");
  const std::vector<ImageSize> sizes = bucket_sizes(config.buckets, model.resolution);
  const int64_t scale = model.resolution / model.latent_size;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const std::vector<int64_t> shape = cache.latent_shape(static_cast<int64_t>(i));
    const std::vector<int64_t> expected = {model.latent_channels, sizes[i].height / scale,
                                           sizes[i].width / scale};
    check_user(shape.empty() || shape == expected, where, ": latents of shape ",
               at::IntArrayRef(shape), ", but the recipe's model takes ",
               at::IntArrayRef(expected));
  }
  check_user(cache.origin().num_text_tokens <= model.num_text_tokens, where, ": captions of up to ",
             cache.origin().num_text_tokens, " tokens, but the recipe's model takes ",
             model.num_text_tokens);
}

CachedBatches open_data(const TrainConfig& config, const fs::path& data_root) {
  std::vector<LatentCache> caches;
  for (const std::string& name : config.data_sets) {
    caches.push_back(LatentCache::open(data_root / name));
    check_fits(caches.back(), config, (data_root / name).string());
    check_user(config.text.is_trained || caches.back().has_text_states(),
               (data_root / name).string(),
               ": holds no text states; add them with i1 data cache --text-encoder");
  }
  const std::vector<double> weights =
      config.data_weights.empty() ? std::vector<double>(caches.size(), 1) : config.data_weights;
  BatchOptions options;
  options.max_caption_tokens = config.max_caption_tokens;
  return CachedBatches(std::move(caches), weights, config.caption_dropout, config.seed, options);
}

// Step 0: initial weights, or those of an earlier stage or of an exported model.
TrainState first_state(const TrainConfig& config, const fs::path& output, at::Device device) {
  TrainState state = initial_state(config, device);
  if (config.init_from.empty()) return state;
  const at::NoGradGuard no_grad;
  const fs::path stage = output / config.init_from;
  if (!checkpoint_steps(stage).empty()) {
    const TrainState earlier = load_newest_state(stage, device);
    start_from(state, earlier.weights, earlier.ema, stage.string());
  } else {
    check_user(fs::exists(fs::path(config.init_from) / "bundle.json"),
               "init_from=", config.init_from, ": neither a stage with checkpoints in ",
               output.string(), " nor a folder of --export");
    const Bundle bundle = load_bundle(config.init_from, device, at::kFloat);
    const Net net{bundle.backbone.get(), widened(bundle.text_encoder.get())};
    start_from(state, net, net, config.init_from);
  }
  std::fprintf(stderr, "%s starts from %s\n", config.recipe.c_str(), config.init_from.c_str());
  return state;
}

T5GemmaEncoder text_encoder_of(const TrainConfig& config, const Net& net,
                               const fs::path& data_root) {
  return net.text_encoder ? *net.text_encoder
                          : widened(load_t5gemma(data_root / config.text.encoder));
}

// One picture a prompt from the averaged weights; the same noise each time.
void draw_samples(const TrainConfig& config, const RunFolders& folders, const Net& ema,
                  at::ScalarType dtype, at::Device device, const fs::path& path) {
  const at::NoGradGuard no_grad;
  T5GemmaEncoder text_encoder = text_encoder_of(config, ema, folders.data_root);
  for_each_tensor(text_encoder, "", [&](const std::string& key, at::Tensor& tensor) {
    tensor = tensor.to(device, stays_float32(key) ? at::kFloat : dtype);
  });
  const Pipeline pipeline(
      {bundle_config(config), compute_copy(ema.backbone, dtype, device), std::move(text_encoder),
       load_tokenizer(folders.data_root / config.text.tokenizer), Vae::load(folders.vae, device)},
      device, dtype);
  std::vector<Request> requests;
  for (const std::string& prompt : config.sample_prompts) {
    Request request;
    request.guidance_scale = kExportedGuidance;
    request.prompt = prompt;
    request.prompt_index = static_cast<int64_t>(requests.size());
    requests.push_back(pipeline.complete(request));
  }
  const std::vector<Image> images =
      pipeline.generate(requests, static_cast<int64_t>(requests.size()));
  std::vector<std::pair<Image, std::string>> sheet;
  for (size_t i = 0; i < images.size(); ++i) {
    sheet.emplace_back(resize_bilinear(images[i], kSheetPicture, kSheetPicture),
                       config.sample_prompts[i]);
  }
  make_folder(path.parent_path());
  write_png(path, make_sheet(sheet, kSheetColumns));
}

}  // namespace

BundleConfig bundle_config(const TrainConfig& config) {
  BundleConfig bundle;
  bundle.name = config.recipe;
  bundle.model = config.model;
  bundle.buckets = config.buckets;
  bundle.num_steps = kExportedSteps;
  bundle.guidance_scale = kExportedGuidance;
  return bundle;
}

void run_stage(const TrainConfig& config, const RunFolders& folders, at::Device device) {
  check_train_config(config);
  const fs::path run = folders.output / config.recipe;
  std::string why;
  const at::ScalarType dtype = choose_compute_dtype(config.compute_dtype, device, why);
  std::printf("%s\ncomputing in %s: %s\n", to_json(config).dump(1).c_str(), c10::toString(dtype),
              why.c_str());
  std::fflush(stdout);
  CachedBatches batches = open_data(config, folders.data_root);
  if (config.sample_every > 0) load_tokenizer(folders.data_root / config.text.tokenizer);
  make_folder(run);
  std::optional<TrainState> resumed = load_checkpoint(run, config, device);
  if (resumed) {
    std::fprintf(stderr, "resuming at step %ld\n", static_cast<long>(resumed->step));
    batches.restore(resumed->data);
  }
  Trainer trainer(config,
                  resumed ? std::move(*resumed) : first_state(config, folders.output, device),
                  batches, device);

  const int64_t first = trainer.state().step;
  const Due is_logged{config.log_every, config.num_steps},
      is_saved{config.checkpoint_every, config.num_steps},
      is_sampled{config.sample_every, config.num_steps};
  int64_t saved = first;
  const auto save = [&] {
    save_checkpoint(run, config, trainer.state());
    draw_loss_curve(run, config.global_batch_size);
    saved = trainer.state().step;
  };
  MetricsLog log(run, first);
  Progress progress(config.recipe, config.num_steps - first, "steps", kSecondsBetweenLines);
  MetricMeans means;
  auto begin = std::chrono::steady_clock::now();
  for (int64_t step = first + 1; step <= config.num_steps && !is_interrupted(); ++step) {
    means.add(trainer.step());
    check_lost_pages();  // of the data: nothing more is learned from zeros
    if (is_logged(step)) {
      const auto now = std::chrono::steady_clock::now();
      const double seconds = std::chrono::duration<double>(now - begin).count();
      const double rate = static_cast<double>(means.count() * config.global_batch_size) / seconds;
      const StepMetrics mean = means.mean();
      log.append(mean, rate);
      progress.update(step - first, concat("loss ", mean.loss, ", gradient norm ",
                                           mean.gradient_norm, ", ", rate, " pictures a second"));
      means = {};
      begin = now;
    }
    if (is_sampled(step)) {
      char name[32];
      std::snprintf(name, sizeof name, "%09ld.png", static_cast<long>(step));
      try {
        draw_samples(config, folders, trainer.ema(), dtype, device, run / "samples" / name);
      } catch (const Interrupted&) {  // saved below
      }
    }
    if (is_saved(step)) save();
  }
  if (!is_interrupted()) return;
  if (trainer.state().step > saved) save();
  throw Interrupted(concat("interrupted, and saved at step ", saved, " of ", config.num_steps,
                           "; the same command goes on from there"));
}

void export_stage(const TrainConfig& config, const RunFolders& folders, const fs::path& bundle) {
  const fs::path run = folders.output / config.recipe;
  const std::optional<TrainState> state = load_checkpoint(run, config, at::kCPU);
  check_user(state.has_value(), run.string(), ": no checkpoint to export");
  BundleConfig description = bundle_config(config);
  description.name = (bundle.has_filename() ? bundle : bundle.parent_path()).filename().string();
  // A relative path to a folder that is not there yet has no canonical form.
  description.vae = fs::relative(folders.vae, fs::absolute(bundle)).string();
  save_bundle(bundle, description, state->ema.backbone,
              text_encoder_of(config, state->ema, folders.data_root),
              folders.data_root / config.text.tokenizer);
  std::printf("%s: step %ld of %s\n", bundle.c_str(), static_cast<long>(state->step),
              config.recipe.c_str());
}

}  // namespace i1
