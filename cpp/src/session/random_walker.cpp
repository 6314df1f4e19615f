// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "session/random_walker.hpp"

#include <algorithm>
#include <cmath>

namespace medsam::session {

namespace {

constexpr double kLeastWeight = 1e-3;  // so that no pixel is cut off
constexpr double kTolerance = 1e-4;
constexpr int kMostSteps = 40;

/// For each pixel a number for the step to its right and one for the step to its lower neighbor; 0 at the border.
struct Steps {
  std::vector<double> right, down;
};

Steps differences(const WalkerProblem& problem) {
  const std::size_t count = problem.target.size();
  const auto columns = static_cast<std::size_t>(problem.columns), channels = static_cast<std::size_t>(problem.channels);
  Steps steps{std::vector<double>(count), std::vector<double>(count)};
  const auto difference = [&](std::size_t i, std::size_t j) {
    double sum = 0;
    for (std::size_t c = 0; c < channels; ++c) {
      const double d = static_cast<double>(problem.image[i * channels + c]) - problem.image[j * channels + c];
      sum += d * d;
    }
    return sum / static_cast<double>(channels);
  };
  for (std::size_t i = 0; i < count; ++i) {
    if ((i + 1) % columns != 0) steps.right[i] = difference(i, i + 1);
    if (i + columns < count) steps.down[i] = difference(i, i + columns);
  }
  return steps;
}

/// The weights of the steps, from their differences.
Steps weights_of(const WalkerProblem& problem) {
  Steps steps = differences(problem);
  double right = 0, down = 0;
  for (const double d : steps.right) right += d;
  for (const double d : steps.down) down += d;
  const auto mean = [](double sum, std::int64_t n) { return n == 0 ? 0 : sum / static_cast<double>(n); };
  const double scale =
      (mean(right, problem.rows * (problem.columns - 1)) + mean(down, (problem.rows - 1) * problem.columns)) / 2 + 1e-3;
  const auto columns = static_cast<std::size_t>(problem.columns);
  for (std::size_t i = 0; i < steps.right.size(); ++i) {
    if ((i + 1) % columns != 0) steps.right[i] = std::exp(-steps.right[i] / scale) + kLeastWeight;
    if (i + columns < steps.down.size()) steps.down[i] = std::exp(-steps.down[i] / scale) + kLeastWeight;
  }
  return steps;
}

/// The matrix of the problem: pull on the diagonal and the graph's Laplacian.
class Matrix {
 public:
  explicit Matrix(const WalkerProblem& problem)
      : weights_(weights_of(problem)), columns_(static_cast<std::size_t>(problem.columns)), diagonal_(problem.pull) {
    for (std::size_t i = 0; i < diagonal_.size(); ++i) {
      diagonal_[i] += weights_.right[i] + weights_.down[i];
      if (i % columns_ != 0) diagonal_[i] += weights_.right[i - 1];
      if (i >= columns_) diagonal_[i] += weights_.down[i - columns_];
    }
  }
  /// At least a tiny number: a single pixel that nothing pulls has no row of its own.
  [[nodiscard]] double diagonal(std::size_t i) const { return std::max(diagonal_[i], 1e-12); }
  [[nodiscard]] double row(std::size_t i, const std::vector<double>& x) const {
    double sum = diagonal_[i] * x[i];
    if (weights_.right[i] != 0) sum -= weights_.right[i] * x[i + 1];
    if (weights_.down[i] != 0) sum -= weights_.down[i] * x[i + columns_];
    if (i % columns_ != 0) sum -= weights_.right[i - 1] * x[i - 1];
    if (i >= columns_) sum -= weights_.down[i - columns_] * x[i - columns_];
    return sum;
  }

 private:
  Steps weights_;
  std::size_t columns_;
  std::vector<double> diagonal_;
};

}  // namespace

std::vector<double> random_walk(const WalkerProblem& problem) {
  const std::size_t count = problem.target.size();
  std::vector<double> x = problem.target;
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < count; ++i) {
    if (problem.fixed[i] == 0) open.push_back(i);
  }
  const Matrix matrix(problem);
  std::vector<double> residual(count), scaled(count), direction(count), product(count);
  double rho = 0;
  // The residual after a step, and its largest entry once scaled.
  const auto measure = [&] {
    double largest = 0;
    rho = 0;
    for (const std::size_t i : open) {
      scaled[i] = residual[i] / matrix.diagonal(i);
      rho += residual[i] * scaled[i];
      largest = std::max(largest, std::abs(scaled[i]));
    }
    return largest;
  };
  for (const std::size_t i : open) residual[i] = problem.pull[i] * problem.target[i] - matrix.row(i, x);
  double largest = measure(), before = 0;
  for (int step = 0; step < kMostSteps && largest >= kTolerance; ++step) {
    const double turn = step == 0 ? 0 : rho / before;
    double curvature = 0;
    for (const std::size_t i : open) direction[i] = scaled[i] + turn * direction[i];
    for (const std::size_t i : open) {
      product[i] = matrix.row(i, direction);
      curvature += product[i] * direction[i];
    }
    const double length = rho / std::max(curvature, 1e-30);
    for (const std::size_t i : open) {
      x[i] += length * direction[i];
      residual[i] -= length * product[i];
    }
    before = rho;
    largest = measure();
  }
  return x;
}

}  // namespace medsam::session
