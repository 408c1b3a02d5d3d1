#include "i1/train/metrics.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/io/image.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "metrics.csv";
constexpr const char* kHeader =
    "step,loss,gradient_norm,update_norm,weight_norm,ema_norm,learning_rate,pictures_a_second";

// The lines up to `step`, without the header.
std::vector<std::string> lines_up_to(const fs::path& path, int64_t step) {
  std::vector<std::string> lines;
  std::istringstream text(read_file(path));
  std::string line;
  check_user(std::getline(text, line) && line == kHeader, path.string(), ": begins with \"", line,
             "\", expected \"", kHeader, "\"");
  // A line without its end was cut off by a full disk or a lost machine.
  while (std::getline(text, line) && !text.eof() && std::atoll(line.c_str()) <= step)
    lines.push_back(line);
  return lines;
}

struct Point {
  double pictures, loss;
};

// Where a value lies on a logarithmic axis from `first` to `last`, in pixels.
struct LogAxis {
  double first, last, begin, end;

  double operator()(double value) const {
    return begin + (end - begin) * std::log(value / first) / std::log(last / first);
  }
  std::vector<double> ticks() const {  // 1, 2, 5, 10, ...; closer where few of those lie between
    std::vector<double> closer(90);
    for (int i = 0; i < 90; ++i) closer[i] = (10 + i) / 10.0;
    std::vector<double> values = ticks({1, 2, 5});
    if (values.size() < 3) values = ticks({1, 2, 3, 4, 5, 6, 7, 8, 9});
    return values.size() < 3 ? ticks(closer) : values;
  }
  std::vector<double> ticks(const std::vector<double>& digits) const {
    std::vector<double> values;
    for (double power = std::pow(10, std::floor(std::log10(first))); power <= last; power *= 10) {
      for (const double digit : digits) {
        if (power * digit >= first && power * digit <= last) values.push_back(power * digit);
      }
    }
    return values;
  }
};

std::string short_number(double value) {
  std::ostringstream out;
  if (value >= 1e6) {
    out << value / 1e6 << " M";
  } else if (value >= 1e3) {
    out << value / 1e3 << " k";
  } else {
    out << value;
  }
  return out.str();
}

std::string curve_svg(const std::vector<Point>& points, int width, int height) {
  constexpr double kLeft = 70, kRight = 30, kTop = 30, kBottom = 60;
  const auto by_loss = [](const Point& a, const Point& b) { return a.loss < b.loss; };
  const auto [low, high] = std::minmax_element(points.begin(), points.end(), by_loss);
  const LogAxis x{points.front().pictures, points.back().pictures, kLeft, width - kRight},
      y{low->loss * 0.95, high->loss * 1.05, height - kBottom, kTop};
  std::ostringstream svg;
  svg << "<svg xmlns='http://www.w3.org/2000/svg' width='" << width << "' height='" << height
      << "' font-family='sans-serif' font-size='15'><rect width='100%' height='100%' fill='white'/>"
      << "<g stroke='#ddd' fill='#444'>";
  for (const double tick : x.ticks()) {
    svg << "<line x1='" << x(tick) << "' x2='" << x(tick) << "' y1='" << y.begin << "' y2='"
        << y.end << "'/><text stroke='none' text-anchor='middle' x='" << x(tick) << "' y='"
        << y.begin + 22 << "'>" << short_number(tick) << "</text>";
  }
  for (const double tick : y.ticks()) {
    svg << "<line x1='" << x.begin << "' x2='" << x.end << "' y1='" << y(tick) << "' y2='"
        << y(tick) << "'/><text stroke='none' text-anchor='end' x='" << x.begin - 8 << "' y='"
        << y(tick) + 5 << "'>" << short_number(tick) << "</text>";
  }
  svg << "</g><polyline fill='none' stroke='#c2410c' stroke-width='2.5' points='";
  for (const Point& point : points) svg << x(point.pictures) << ',' << y(point.loss) << ' ';
  svg << "'/><text fill='#111' x='" << x.begin << "' y='" << height - 12
      << "'>loss over pictures seen; last: " << points.back().loss << " at "
      << short_number(points.back().pictures) << "</text></svg>";
  return svg.str();
}

}  // namespace

void MetricMeans::add(const StepMetrics& metrics) {
  last_ = metrics;
  loss_ += metrics.loss;
  gradient_norm_ += metrics.gradient_norm;
  ++count_;
}

StepMetrics MetricMeans::mean() const {
  StepMetrics mean = last_;
  mean.loss = loss_ / static_cast<double>(count_);
  mean.gradient_norm = gradient_norm_ / static_cast<double>(count_);
  return mean;
}

MetricsLog::MetricsLog(const fs::path& run, int64_t step) : path_(run / kFile) {
  std::string text = std::string(kHeader) + "\n";
  if (fs::exists(path_)) {
    for (const std::string& line : lines_up_to(path_, step)) text += line + "\n";
  }
  write_file_atomically(path_, text);
}

void MetricsLog::append(const StepMetrics& m, double pictures_a_second) {
  std::ofstream out(path_, std::ios::app);
  out << m.step << ',' << m.loss << ',' << m.gradient_norm << ',' << m.update_norm << ','
      << m.weight_norm << ',' << m.ema_norm << ',' << m.learning_rate << ',' << pictures_a_second
      << '\n';
  check_machine(out.flush().good(), path_.string(), ": cannot be written");
}

void draw_loss_curve(const fs::path& run, int64_t pictures_a_step) {
  constexpr int kWidth = 960, kHeight = 540;
  const fs::path path = run / kFile;
  std::vector<Point> points;
  for (const std::string& line : lines_up_to(path, INT64_MAX)) {
    double step = 0, loss = 0;
    check_user(std::sscanf(line.c_str(), "%lf,%lf", &step, &loss) == 2 && step > 0 && loss > 0,
               path.string(), ": not a line of metrics: ", line);
    points.push_back({step * static_cast<double>(pictures_a_step), loss});
  }
  if (points.size() < 2) return;
  const Image image =
      render_svg(curve_svg(points, kWidth, kHeight), kWidth, kHeight, path.string());
  write_png(run / "loss.png", composite(image, 255, 255, 255));
}

}  // namespace i1
