// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Which nodes of a graph mixed precision leaves in f32, on the smallest graphs that have a trunk and branches.
#include "backends/openvino/mixed.hpp"

#include <gtest/gtest.h>
#include <openvino/openvino.hpp>
#include <openvino/opsets/opset13.hpp>

#include <algorithm>
#include <cmath>

namespace medsam::backends {
namespace {

namespace op = ov::opset13;
using Value = ov::Output<ov::Node>;
constexpr std::size_t kWidth = 8;

Value weights(float scale) {
  std::vector<float> values(kWidth * kWidth);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = scale * std::sin(static_cast<float>(i));
  return op::Constant::create(ov::element::f32, {kWidth, kWidth}, values);
}

Value named(Value value, const char* name) {
  value.get_node()->set_friendly_name(name);
  return value;
}

Value product(const Value& x, const char* name) { return named(std::make_shared<op::MatMul>(x, weights(0.3f)), name); }

Value sum(const Value& a, const Value& b, const char* name) { return named(std::make_shared<op::Add>(a, b), name); }

// stem, x + gelu(x w), merge, x' + relu(...) in another layout, neck.
std::shared_ptr<ov::Model> network() {
  auto image = std::make_shared<op::Parameter>(ov::element::f32, ov::Shape{1, 6, kWidth});
  const Value stem = product(image, "stem");
  const Value branch = named(std::make_shared<op::Gelu>(product(stem, "first")), "gelu");
  const Value block = sum(stem, branch, "block");
  const Value merge = product(block, "merge");
  const auto order = op::Constant::create(ov::element::i64, {3}, {0, 2, 1});
  const Value turned = named(std::make_shared<op::Transpose>(merge, order), "turned");
  const Value second = named(std::make_shared<op::Relu>(product(merge, "second")), "relu");
  const Value back = named(std::make_shared<op::Transpose>(second, order), "back");
  const Value last = sum(turned, back, "last");
  const Value neck = product(named(std::make_shared<op::Transpose>(last, order), "for neck"), "neck");
  return std::make_shared<ov::Model>(ov::OutputVector{neck}, ov::ParameterVector{image});
}

ov::element::Type type_of(const ov::Model& model, const std::string& name) {
  for (const auto& node : model.get_ops()) {
    if (node->get_friendly_name() == name) return node->get_output_element_type(0);
  }
  ADD_FAILURE() << "no node " << name;
  return ov::element::dynamic;
}

TEST(Bf16Mixed, TheTrunkStaysInF32) {
  const auto model = network();
  retype_to_bf16_mixed(*model);
  for (const char* name : {"stem", "block", "merge", "turned", "last", "for neck"}) {
    EXPECT_EQ(type_of(*model, name), ov::element::f32) << name;
  }
  EXPECT_EQ(model->input().get_element_type(), ov::element::f32);
  EXPECT_EQ(model->output().get_element_type(), ov::element::f32);
}

TEST(Bf16Mixed, BranchesAndTheNeckAreInBf16) {
  const auto model = network();
  retype_to_bf16_mixed(*model);
  for (const char* name : {"first", "gelu", "second", "relu", "back", "neck"}) {
    EXPECT_EQ(type_of(*model, name), ov::element::bf16) << name;
  }
}

TEST(Bf16Mixed, ABlockAroundBlocksIsTrunk) {
  auto image = std::make_shared<op::Parameter>(ov::element::f32, ov::Shape{1, 6, kWidth});
  const Value stem = product(image, "stem");
  const Value inner = sum(stem, product(stem, "inner branch"), "inner");
  const Value between = product(inner, "between");
  const Value outer = sum(stem, between, "outer");
  const auto model = std::make_shared<ov::Model>(ov::OutputVector{outer}, ov::ParameterVector{image});
  retype_to_bf16_mixed(*model);
  EXPECT_EQ(type_of(*model, "inner branch"), ov::element::bf16);
  for (const char* name : {"stem", "inner", "between", "outer"}) {
    EXPECT_EQ(type_of(*model, name), ov::element::f32) << name;
  }
}

TEST(Bf16Mixed, AConvolutionsBranchStaysInF32) {
  auto image = std::make_shared<op::Parameter>(ov::element::f32, ov::Shape{1, 1, kWidth, kWidth});
  const auto kernel = op::Constant::create(ov::element::f32, {1, 1, 1, 1}, {0.7f});
  const auto convolved = std::make_shared<op::Convolution>(image, kernel, ov::Strides{1, 1}, ov::CoordinateDiff{0, 0},
                                                           ov::CoordinateDiff{0, 0}, ov::Strides{1, 1});
  const Value block = sum(image, named(convolved, "convolved"), "block");
  const Value last = sum(block, product(block, "product"), "last");
  const auto model = std::make_shared<ov::Model>(ov::OutputVector{last}, ov::ParameterVector{image});
  retype_to_bf16_mixed(*model);
  EXPECT_EQ(type_of(*model, "convolved"), ov::element::f32);
  EXPECT_EQ(type_of(*model, "product"), ov::element::bf16);
}

TEST(Bf16Mixed, InterpolatesScalesStayF32) {
  auto image = std::make_shared<op::Parameter>(ov::element::f32, ov::Shape{1, 2, 4, 4});
  const auto scales = op::Constant::create(ov::element::f32, {2}, {2.0f, 2.0f});
  const auto axes = op::Constant::create(ov::element::i64, {2}, {2, 3});
  op::Interpolate::InterpolateAttrs attributes;
  attributes.mode = op::Interpolate::InterpolateMode::LINEAR;
  attributes.shape_calculation_mode = op::Interpolate::ShapeCalcMode::SCALES;
  const auto resized = std::make_shared<op::Interpolate>(image, scales, axes, attributes);
  const auto model = std::make_shared<ov::Model>(ov::OutputVector{resized}, ov::ParameterVector{image});
  retype_to_bf16_mixed(*model);
  EXPECT_EQ(resized->get_input_element_type(0), ov::element::bf16);
  EXPECT_EQ(resized->get_input_element_type(1), ov::element::f32);
  EXPECT_EQ(model->output().get_element_type(), ov::element::f32);
}

std::vector<float> answer(const std::shared_ptr<ov::Model>& model, ov::element::Type precision) {
  ov::Core core;
  ov::InferRequest request =
      core.compile_model(model, "CPU", ov::hint::inference_precision(precision)).create_infer_request();
  auto* input = request.get_input_tensor().data<float>();
  for (std::size_t i = 0; i < 6 * kWidth; ++i) input[i] = std::cos(static_cast<float>(i)) * 3;
  request.infer();
  const ov::Tensor output = request.get_output_tensor();
  return {output.data<float>(), output.data<float>() + output.get_size()};
}

TEST(Bf16Mixed, ComputesTheSameFunction) {
  const auto exact = network(), mixed = network();
  retype_to_bf16_mixed(*mixed);
  const std::vector<float> a = answer(exact, ov::element::f32), b = answer(mixed, ov::element::f32);
  ASSERT_EQ(a.size(), b.size());
  float largest = 0, difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(a[i]));
    difference = std::max(difference, std::abs(a[i] - b[i]));
  }
  EXPECT_GT(difference, 0);                // something was rounded, also where the processor has no bf16
  EXPECT_LT(difference, 0.02f * largest);  // bf16 has 8 bits
}

}  // namespace
}  // namespace medsam::backends
