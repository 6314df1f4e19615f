// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The random walk against Gaussian elimination on small grids.
#include "session/random_walker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace medsam::session {
namespace {

struct Edge {
  std::size_t i, j;
  double difference;
};

std::vector<Edge> edges_of(const WalkerProblem& problem, bool across) {
  std::vector<Edge> edges;
  const auto channels = static_cast<std::size_t>(problem.channels);
  for (std::int64_t y = 0; y < problem.rows - (across ? 0 : 1); ++y) {
    for (std::int64_t x = 0; x < problem.columns - (across ? 1 : 0); ++x) {
      const auto i = static_cast<std::size_t>(y * problem.columns + x);
      const std::size_t j = i + (across ? 1 : static_cast<std::size_t>(problem.columns));
      double sum = 0;
      for (std::size_t c = 0; c < channels; ++c) {
        const double d = static_cast<double>(problem.image[i * channels + c]) - problem.image[j * channels + c];
        sum += d * d / problem.channels;
      }
      edges.push_back({i, j, sum});
    }
  }
  return edges;
}

double mean_of(const std::vector<Edge>& edges) {
  double sum = 0;
  for (const Edge& edge : edges) sum += edge.difference / static_cast<double>(edges.size());
  return sum;
}

/// Solves the equations of the minimum: a row per pixel.
std::vector<double> dense(const WalkerProblem& problem) {
  const std::size_t n = problem.target.size();
  std::vector<Edge> edges = edges_of(problem, true);
  const std::vector<Edge> down = edges_of(problem, false);
  const double scale = (mean_of(edges) + mean_of(down)) / 2 + 1e-3;
  edges.insert(edges.end(), down.begin(), down.end());
  std::vector<std::vector<double>> rows(n, std::vector<double>(n + 1));
  for (const Edge& edge : edges) {
    const double weight = std::exp(-edge.difference / scale) + 1e-3;
    for (const auto& [a, b] : {std::pair{edge.i, edge.j}, std::pair{edge.j, edge.i}}) {
      rows[a][a] += weight;
      rows[a][b] -= weight;
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    rows[i][i] += problem.pull[i];
    rows[i][n] = problem.pull[i] * problem.target[i];
    if (problem.fixed[i] == 0) continue;
    std::fill(rows[i].begin(), rows[i].end(), 0.0);
    rows[i][i] = 1;
    rows[i][n] = problem.target[i];
  }
  for (std::size_t k = 0; k < n; ++k) {
    for (std::size_t i = 0; i < n; ++i) {
      if (i == k || rows[i][k] == 0) continue;
      const double share = rows[i][k] / rows[k][k];
      for (std::size_t j = k; j <= n; ++j) rows[i][j] -= share * rows[k][j];
    }
  }
  std::vector<double> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = rows[i][n] / rows[i][i];
  return x;
}

/// A random image, targets of 0 or 1, one pixel in `fixed_in` fixed, and a pull of up to `pull`.
WalkerProblem random_problem(std::int64_t rows, std::int64_t columns, int channels, std::uint32_t fixed_in, double pull,
                             std::uint32_t seed) {
  std::mt19937 random(seed);
  WalkerProblem problem;
  problem.rows = rows;
  problem.columns = columns;
  problem.channels = channels;
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    for (int c = 0; c < channels; ++c) problem.image.push_back(static_cast<float>(random() % 256));
    problem.target.push_back(random() % 2 == 0 ? 0 : 1);
    problem.pull.push_back(pull * static_cast<double>(random() % 1000) / 1000);
    problem.fixed.push_back(random() % fixed_in == 0 ? 1 : 0);
  }
  return problem;
}

TEST(RandomWalker, IsTheMinimum) {
  for (const auto& [rows, columns] : {std::pair{6, 7}, {1, 20}, {20, 1}, {2, 2}}) {
    for (const int channels : {1, 3}) {
      for (std::uint32_t seed = 1; seed < 6; ++seed) {
        const WalkerProblem problem = random_problem(rows, columns, channels, 4, 0.5, seed);
        const std::vector<double> walk = random_walk(problem), wanted = dense(problem);
        for (std::size_t i = 0; i < walk.size(); ++i) EXPECT_NEAR(walk[i], wanted[i], 0.01) << seed << ": " << i;
      }
    }
  }
}

TEST(RandomWalker, AConstantImageGivesTheHarmonicFunction) {
  for (const float value : {0.0f, 1.0f, 255.0f}) {
    WalkerProblem problem{
        1, 5, 1, std::vector<float>(5, value), {1, 0, 0, 0, 0}, std::vector<double>(5), {1, 0, 0, 0, 1}};
    const std::vector<double> walk = random_walk(problem);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(walk[i], 1 - 0.25 * static_cast<double>(i), 1e-3);
  }
}

TEST(RandomWalker, FixedPixelsStayAndTheOthersLieBetween) {
  for (const double pull : {0.0, 0.01, 10.0}) {
    const WalkerProblem problem = random_problem(16, 16, 1, 8, pull, 3);
    const std::vector<double> walk = random_walk(problem);
    for (std::size_t i = 0; i < walk.size(); ++i) {
      if (problem.fixed[i] != 0) {
        EXPECT_EQ(walk[i], problem.target[i]);
      }
      EXPECT_GE(walk[i], -0.01);
      EXPECT_LE(walk[i], 1.01);
    }
    EXPECT_EQ(random_walk(problem), walk) << "deterministic";
  }
}

TEST(RandomWalker, WithoutAnythingKnownTheTargetIsTheStartAndFlattens) {
  WalkerProblem problem = random_problem(5, 5, 1, 1, 0, 3);
  std::fill(problem.fixed.begin(), problem.fixed.end(), std::uint8_t{0});
  for (const double v : random_walk(problem)) {
    EXPECT_GE(v, -0.01);
    EXPECT_LE(v, 1.01);
  }
}

TEST(RandomWalker, OnePixel) {
  for (const std::uint8_t fixed : {std::uint8_t{0}, std::uint8_t{1}}) {
    for (const double pull : {0.0, 1.0}) {
      const WalkerProblem problem{1, 1, 1, {3}, {0.25}, {pull}, {fixed}};
      EXPECT_NEAR(random_walk(problem).at(0), 0.25, 1e-9);
    }
  }
}

TEST(RandomWalker, AllPixelsFixed) {
  WalkerProblem problem = random_problem(4, 3, 3, 1, 1, 5);
  EXPECT_EQ(random_walk(problem), problem.target);
}

TEST(RandomWalker, AnyFiniteImageGivesProbabilities) {
  for (const float scale : {1e-38f, 1e-10f, 1e10f, 1e36f}) {
    WalkerProblem problem = random_problem(5, 5, 1, 6, 0.1, 9);
    for (float& v : problem.image) v = (v - 128) * scale;
    for (const double v : random_walk(problem)) {
      EXPECT_GE(v, -0.01) << scale;
      EXPECT_LE(v, 1.01) << scale;
    }
  }
}

}  // namespace
}  // namespace medsam::session
