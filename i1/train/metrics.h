// The record of a run: one line of CSV every so many steps, and its loss as a picture.
#pragma once

#include <filesystem>

#include "i1/train/trainer.h"

namespace i1 {

/// Means over the steps since the last line.
class MetricMeans {
 public:
  void add(const StepMetrics& metrics);
  /// The last step's metrics, with loss and gradient norm averaged. At least one was added.
  StepMetrics mean() const;
  int64_t count() const { return count_; }

 private:
  StepMetrics last_;
  double loss_ = 0, gradient_norm_ = 0;
  int64_t count_ = 0;
};

class MetricsLog {
 public:
  /// RUN/metrics.csv; its lines behind `step` are dropped: the run that wrote them went on from
  /// there.
  MetricsLog(const std::filesystem::path& run, int64_t step);

  void append(const StepMetrics& metrics, double pictures_a_second);

 private:
  std::filesystem::path path_;
};

/// Draws RUN/metrics.csv as RUN/loss.png: loss over pictures seen, both logarithmic. Does nothing
/// with fewer than two lines. Throws UserError for a damaged file.
void draw_loss_curve(const std::filesystem::path& run, int64_t pictures_a_step);

}  // namespace i1
