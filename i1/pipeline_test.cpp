// From prompt to picture with a tiny random model.
#include "i1/pipeline.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "i1/pipeline_testing.h"

namespace i1 {
namespace {

using namespace i1::testing;

Pipeline tiny_pipeline(Precision precision = at::kFloat) {
  return Pipeline(tiny_bundle(precision), at::kCPU, precision);
}

Request request_of(const std::string& prompt) {
  Request request;
  request.prompt = prompt;
  request.guidance_scale = 3;
  return request;
}

std::vector<uint8_t> draw(const Pipeline& pipeline, const Request& request) {
  return pipeline.generate({pipeline.complete(request)}, 1).at(0).pixels;
}

TEST(Pipeline, APromptBecomesAPictureAndTheSameOneAgain) {
  const Pipeline pipeline = tiny_pipeline();
  const Request request = pipeline.complete(request_of("a red square"));
  const std::vector<Image> images = pipeline.generate({request}, 1);
  ASSERT_EQ(images.size(), 1u);
  EXPECT_EQ(images[0].width, 32);
  EXPECT_EQ(images[0].height, 32);
  EXPECT_EQ(images[0].channels, 3);
  const auto [low, high] = std::minmax_element(images[0].pixels.begin(), images[0].pixels.end());
  EXPECT_GT(*high - *low, 50);
  EXPECT_EQ(images[0].pixels, draw(tiny_pipeline(), request));
  EXPECT_TRUE(pipeline.generate({}, 4).empty());
}

TEST(Pipeline, PicturesAreOfTheSizeThatIsAskedFor) {
  const Pipeline pipeline = tiny_pipeline();
  Request request = request_of("wide");
  for (const auto& [width, height] : {std::pair{16, 16}, {64, 16}, {16, 48}}) {
    request.width = width;
    request.height = height;
    const Image image = pipeline.generate({pipeline.complete(request)}, 1)[0];
    EXPECT_EQ(image.width, width);
    EXPECT_EQ(image.height, height);
  }
}

TEST(Pipeline, EveryPartOfARequestChangesThePicture) {
  const Pipeline pipeline = tiny_pipeline();
  const Request request = request_of("a red square");
  const std::vector<uint8_t> picture = draw(pipeline, request);
  const auto changes = [&](auto&& change) {
    Request other = request;
    change(other);
    return draw(pipeline, other) != picture;
  };
  EXPECT_TRUE(changes([](Request& r) { r.prompt = "a blue bar"; }));
  EXPECT_TRUE(changes([](Request& r) { r.negative_prompt = "a blue bar"; }));
  EXPECT_TRUE(changes([](Request& r) { r.seed = 1; }));
  EXPECT_TRUE(changes([](Request& r) { r.prompt_index = 1; }));
  EXPECT_TRUE(changes([](Request& r) { r.image_index = 1; }));
  EXPECT_TRUE(changes([](Request& r) { r.num_steps = 5; }));
  EXPECT_TRUE(changes([](Request& r) { r.guidance_scale = 8; }));
  EXPECT_TRUE(changes([](Request& r) { r.guidance_rescale = 0; }));
  EXPECT_TRUE(changes([](Request& r) { r.guidance_start = 0.5; }));
  EXPECT_TRUE(changes([](Request& r) { r.schedule = "uniform"; }));
  EXPECT_TRUE(changes([](Request& r) { r.timestep_shift = 0.9; }));
  EXPECT_FALSE(changes([](Request& r) { r.model = "another name"; }));
}

TEST(Pipeline, APictureDoesNotDependOnItsBatch) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Pipeline pipeline = tiny_pipeline(dtype);
    std::vector<Request> requests;
    for (const char* prompt :
         {"a red square", "", "a prompt of more tokens than fit in", "a bar"}) {
      for (int64_t image = 0; image < 2; ++image) {
        Request request = pipeline.complete(request_of(prompt));
        request.prompt_index = static_cast<int64_t>(requests.size()) / 2;
        request.image_index = image;
        if (requests.size() % 3 == 2) request.negative_prompt = "a green cross";
        requests.push_back(request);
      }
    }
    std::vector<std::vector<uint8_t>> alone;
    for (const Request& request : requests) alone.push_back(draw(pipeline, request));
    EXPECT_NE(alone[0], alone[1]);
    for (const int64_t batch_size : {1, 2, 3, 8, 100}) {
      const std::vector<Image> images = pipeline.generate(requests, batch_size);
      ASSERT_EQ(images.size(), requests.size());
      for (size_t i = 0; i < images.size(); ++i)
        EXPECT_EQ(images[i].pixels, alone[i]) << i << " in batches of " << batch_size;
    }
  }
}

TEST(Pipeline, TheTextEncoderIsLetGoAndLoadedAgain) {
  const Bundle bundle = tiny_bundle();
  int num_loads = 0;
  const Lazy<T5GemmaEncoder> encoder{[&] {
    ++num_loads;
    return bundle.text_encoder.get();
  }};
  const Pipeline pipeline({bundle.config, bundle.backbone, encoder, bundle.tokenizer, bundle.vae},
                          at::kCPU, at::kFloat);
  EXPECT_EQ(num_loads, 0);
  const Request request = pipeline.complete(request_of("a red square"));
  const std::vector<uint8_t> picture = draw(pipeline, request);
  EXPECT_EQ(num_loads, 1);
  EXPECT_EQ(draw(pipeline, request), picture);
  EXPECT_EQ(num_loads, 2);
}

TEST(Pipeline, PicturesAreGivenInOrderAsTheyAreDone) {
  const Pipeline pipeline = tiny_pipeline();
  const std::vector<Request> requests(5, pipeline.complete(request_of("a bar")));
  std::vector<size_t> indices;
  int64_t num_steps = 0;
  pipeline.generate(
      requests, 2,
      [&](size_t index, const Image& image) {
        EXPECT_EQ(num_steps, static_cast<int64_t>(index / 2 + 1) * 4);
        EXPECT_EQ(image.width, 32);
        indices.push_back(index);
      },
      [&](int64_t done, int64_t) { num_steps = done; });
  EXPECT_EQ(indices, (std::vector<size_t>{0, 1, 2, 3, 4}));
}

TEST(Pipeline, Int8WeightsGiveNearlyTheSamePicture) {
  const Request request = request_of("a red square");
  const std::vector<uint8_t> exact = draw(tiny_pipeline(), request);
  const std::vector<uint8_t> rounded = draw(tiny_pipeline({at::kFloat, true}), request);
  EXPECT_NE(exact, rounded);
  double sum = 0;
  for (size_t i = 0; i < exact.size(); ++i) sum += std::pow(exact[i] - rounded[i], 2);
  constexpr double kDecibels = 32;
  EXPECT_GT(10 * std::log10(255 * 255 * static_cast<double>(exact.size()) / sum), kDecibels);
}

TEST(Pipeline, NoiseIsNamedBySeedPromptAndPicture) {
  Request request = request_of("a");
  request.width = 64;
  request.height = 48;
  const at::Tensor noise = picture_noise(request, 32);
  EXPECT_EQ(noise.sizes(), (std::vector<int64_t>{32, 6, 8}));
  // Five standard errors.
  EXPECT_NEAR(noise.mean().item<double>(), 0, 5 / std::sqrt(noise.numel()));
  EXPECT_NEAR(noise.std().item<double>(), 1, 5 / std::sqrt(2 * noise.numel()));
  request.prompt = "b";
  request.num_steps = 9;
  EXPECT_TRUE(at::equal(picture_noise(request, 32), noise));
  for (auto change :
       {+[](Request& r) { r.seed = UINT64_MAX; }, +[](Request& r) { r.prompt_index = 1; },
        +[](Request& r) { r.image_index = 1; }}) {
    Request other = request;
    change(other);
    EXPECT_FALSE(at::equal(picture_noise(other, 32), noise));
  }
}

// So that the same command gives the same bytes whatever memory is free, and the plan is true.
TEST(Pipeline, HowManyRowsAreDecodedAtATimeIsPartOfTheRequest) {
  const Pipeline pipeline = tiny_pipeline();
  Request open = request_of("a red square");
  open.decode_rows = -1;
  const Request at_once = pipeline.complete(open);
  EXPECT_EQ(at_once.decode_rows, 0);  // this machine has so much
  Request in_rows = at_once;
  in_rows.decode_rows = 2;
  EXPECT_EQ(pipeline.complete(in_rows).decode_rows, 2);
  EXPECT_LT(pipeline.plan(in_rows, 1).decode, pipeline.plan(at_once, 1).decode);
  EXPECT_EQ(draw(pipeline, in_rows), draw(pipeline, at_once));  // TAEF2 is exact in bands
}

// What the pipeline should do at a guidance scale of 1, step by step.
std::vector<uint8_t> conditional_picture(const Bundle& bundle, const Request& request) {
  const at::NoGradGuard no_grad;
  const ModelConfig& model = bundle.config.model;
  const PackedText text =
      encode_text(bundle.text_encoder.get(), {bundle.tokenizer.encode(request.prompt, 8)},
                  model.num_text_tokens);
  const Captions captions{text.hidden, {0, text.hidden.size(0)}, text.key_bias};
  const Condition condition =
      gather_condition(adapt(bundle.backbone->text_encoder_adapter, model, captions),
                       {{0, text.prompts[0].num_tokens}});
  const Layout layout = make_layout(bundle.backbone.get(), 4, 4, condition);
  const at::Tensor latents =
      euler(picture_noise(request, model.latent_channels).unsqueeze(0),
            make_timesteps(request.num_steps, request.schedule, request.timestep_shift),
            [&](const at::Tensor& x_t, double) {
              return velocity(bundle.backbone.get(), x_t, condition, layout);
            });
  const at::Tensor bytes = to_bytes(bundle.vae.decode(latents)).contiguous();
  const auto* data = bytes.const_data_ptr<uint8_t>();
  return {data, data + bytes.numel()};
}

TEST(Pipeline, WithoutGuidanceOnlyTheConditionalHalfIsComputed) {
  Bundle bundle = tiny_bundle();
  bundle.backbone->text_encoder_adapter.learnable_null_caption.fill_(NAN);  // nobody may read it
  const Pipeline pipeline(bundle, at::kCPU, at::kFloat);
  Request request = pipeline.complete(request_of("a red square"));
  request.guidance_scale = 1;
  EXPECT_EQ(draw(pipeline, request), conditional_picture(bundle, request));
  request.guidance_scale = 2;
  expect_error("learnable_null_caption", [&] { draw(pipeline, request); });
}

TEST(Pipeline, ABatchTakesItsLatentsWhetherItPassesAtOnceOrNot) {
  const Pipeline pipeline = tiny_pipeline();
  Request request = request_of("a red square");
  const auto step = [&](int64_t side, int64_t batch_size) {
    request.width = request.height = side;
    return pipeline.plan(pipeline.complete(request), batch_size).step;
  };
  EXPECT_EQ(step(64, 9), 9 * step(64, 1));
  const int64_t large = sample_bytes(pipeline.config().model, 92, 92);
  EXPECT_EQ(step(736, 9), step(736, 1) + 16 * large);
  EXPECT_GT(large, 6 * 4 * 32 * 92 * 92);
}

TEST(Pipeline, GuidanceVanishesWhereBothHalvesAreEqualAndBeforeItsStart) {
  const Pipeline pipeline = tiny_pipeline();
  Request request = request_of("a red square");
  request.guidance_scale = 1;
  const std::vector<uint8_t> conditional = draw(pipeline, request);
  request.guidance_scale = 7;
  EXPECT_NE(draw(pipeline, request), conditional);
  request.guidance_start = 1;  // no step begins there
  EXPECT_EQ(draw(pipeline, request), conditional);
  request.guidance_start = 0;
  request.negative_prompt = request.prompt;
  EXPECT_EQ(draw(pipeline, request), conditional);
}

TEST(Pipeline, ProgressCountsTheStepsOfAllBatches) {
  const Pipeline pipeline = tiny_pipeline();
  const std::vector<Request> requests(5, pipeline.complete(request_of("a bar")));
  std::vector<int64_t> steps;
  pipeline.generate(requests, 2, [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 3 * 4);
    steps.push_back(done);
  });
  EXPECT_EQ(steps, (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
}

TEST(Pipeline, WhatARequestLeavesOpenComesFromTheModel) {
  const Request filled = tiny_pipeline(at::kBFloat16).complete(request_of("a bar"));
  EXPECT_EQ(filled.width, 32);
  EXPECT_EQ(filled.height, 32);
  EXPECT_EQ(filled.num_steps, 4);
  EXPECT_EQ(filled.compute_dtype, "bfloat16");
  Request request = request_of("a bar");
  request.width = 64;
  request.num_steps = 9;
  const Request kept = tiny_pipeline().complete(request);
  EXPECT_EQ(kept.width, 64);
  EXPECT_EQ(kept.height, 32);
  EXPECT_EQ(kept.num_steps, 9);
  EXPECT_EQ(kept.compute_dtype, "float32");
}

TEST(Pipeline, WhatCannotBeDrawnGetsOneLine) {
  const Pipeline pipeline = tiny_pipeline();
  const auto refuses = [&](const std::string& expected, auto&& change) {
    Request request = request_of("a bar");
    change(request);
    expect_error(expected, [&] { pipeline.complete(request); });
  };
  refuses("width is 24 pixels; expected a multiple of 16 up to 4096",
          [](Request& r) { r.width = 24; });
  refuses("height is -16 pixels", [](Request& r) { r.height = -16; });
  refuses("height is 4112 pixels", [](Request& r) { r.height = 4112; });
  refuses("number of steps is -1, expected 1 to 10000", [](Request& r) { r.num_steps = -1; });
  refuses("number of steps is 10001", [](Request& r) { r.num_steps = 10001; });
  refuses("schedule \"linear\": expected shifted or uniform",
          [](Request& r) { r.schedule = "linear"; });
  for (const double number : {double{NAN}, double{INFINITY}, -2e3}) {
    refuses("guidance scale is ", [&](Request& r) { r.guidance_scale = number; });
    refuses("timestep shift is ", [&](Request& r) { r.timestep_shift = number; });
    refuses("guidance rescale is ", [&](Request& r) { r.guidance_rescale = number; });
    refuses("guidance start is ", [&](Request& r) { r.guidance_start = number; });
  }
}

}  // namespace
}  // namespace i1
