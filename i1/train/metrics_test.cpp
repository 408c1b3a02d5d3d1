#include "i1/train/metrics.h"

#include <gtest/gtest.h>

#include "i1/core/testing.h"
#include "i1/io/image.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

StepMetrics at_step(int64_t step, double loss) {
  StepMetrics metrics;
  metrics.step = step;
  metrics.loss = loss;
  metrics.gradient_norm = 2 * loss;
  return metrics;
}

TEST(Metrics, MeansCoverTheStepsSinceTheLastLine) {
  MetricMeans means;
  means.add(at_step(1, 1));
  means.add(at_step(2, 3));
  EXPECT_EQ(means.mean().step, 2);
  EXPECT_EQ(means.mean().loss, 2);
  EXPECT_EQ(means.mean().gradient_norm, 4);
}

TEST(Metrics, LinesBehindTheResumedStepAreDropped) {
  const fs::path run = fresh_folder("resumed");
  {
    MetricsLog log(run, 0);
    for (int64_t step = 10; step <= 50; step += 10) log.append(at_step(step, 1), 7);
  }
  MetricsLog log(run, 30);
  log.append(at_step(40, 0.5), 7);
  const std::string text = read_file(run / "metrics.csv");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5);  // header, 10, 20, 30, 40
  EXPECT_NE(text.find("\n40,0.5,"), std::string::npos);
  EXPECT_EQ(text.find("\n50,"), std::string::npos);
}

TEST(Metrics, TheCurveFallsFromLeftToRight) {
  const fs::path run = fresh_folder("curve");
  MetricsLog log(run, 0);
  draw_loss_curve(run, 64);
  EXPECT_FALSE(fs::exists(run / "loss.png"));
  for (int64_t step = 1; step <= 1000; ++step)
    log.append(at_step(step, 2 / std::sqrt(static_cast<double>(step))), 90);
  draw_loss_curve(run, 64);
  const Image image = read_image(run / "loss.png");
  const auto first_line_row = [&](int x) {  // the curve is the only thing that is not grey
    for (int y = 0; y < image.height; ++y) {
      const uint8_t* pixel = image.row(y) + 3 * x;
      if (pixel[0] - pixel[2] > 100) return y;
    }
    return -1;
  };
  EXPECT_GT(first_line_row(200), 0);
  EXPECT_LT(first_line_row(200), first_line_row(500));
  EXPECT_LT(first_line_row(500), first_line_row(800));
}

TEST(Metrics, AForeignFileIsRefused) {
  const fs::path run = fresh_folder("foreign");
  write_file_atomically(run / "metrics.csv", "a,b\n1,2\n");
  EXPECT_THROW(MetricsLog(run, 0), UserError);
}

}  // namespace
}  // namespace i1
