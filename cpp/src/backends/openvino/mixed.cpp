// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "backends/openvino/mixed.hpp"

#include <openvino/op/add.hpp>
#include <openvino/op/broadcast.hpp>
#include <openvino/op/concat.hpp>
#include <openvino/op/constant.hpp>
#include <openvino/op/convert.hpp>
#include <openvino/op/convolution.hpp>
#include <openvino/op/group_conv.hpp>
#include <openvino/op/interpolate.hpp>
#include <openvino/op/parameter.hpp>
#include <openvino/op/reshape.hpp>
#include <openvino/op/result.hpp>
#include <openvino/op/slice.hpp>
#include <openvino/op/squeeze.hpp>
#include <openvino/op/transpose.hpp>
#include <openvino/op/unsqueeze.hpp>
#include <openvino/op/util/pad_base.hpp>
#include <openvino/op/variadic_split.hpp>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace medsam::backends {

namespace {

using Nodes = std::unordered_set<const ov::Node*>;

template <class... Op>
bool is_any(const ov::Node& node) {
  return (ov::is_type<Op>(&node) || ...);
}

bool computes_f32(const ov::Node& node) {
  return node.get_output_size() > 0 && node.get_output_element_type(0) == ov::element::f32 &&
         !is_any<ov::op::v0::Constant, ov::op::v0::Result>(node);
}

// Moves values without changing them, so it has the type of what it moves.
bool is_layout(const ov::Node& node) {
  return is_any<ov::op::v1::Reshape, ov::op::v1::Transpose, ov::op::v8::Slice, ov::op::v1::VariadicSplit,
                ov::op::v0::Concat, ov::op::v3::Broadcast, ov::op::v0::Squeeze, ov::op::v0::Unsqueeze,
                ov::op::util::PadBase>(node);
}

bool is_constant(const ov::Node& node) {
  if (is_any<ov::op::v0::Constant>(node)) return true;
  return is_layout(node) && is_constant(*node.get_input_node_ptr(0));
}

// The graph in an order in which each node comes after its inputs.
class Residuals {
 public:
  explicit Residuals(const ov::Model& model) : order_(model.get_ordered_ops()) {
    for (std::size_t i = 0; i < order_.size(); ++i) position_[order_[i].get()] = i;
    for (const auto& node : order_) {
      if (!is_any<ov::op::v1::Add>(*node) || !computes_f32(*node)) continue;
      if (is_constant(*node->get_input_node_ptr(0)) || is_constant(*node->get_input_node_ptr(1))) continue;
      for (std::size_t side = 0; side < 2; ++side) {
        if (add_block(*node, side)) break;
      }
    }
    find_trunk();
  }

  [[nodiscard]] bool in_trunk(const ov::Node& node) const { return trunk_.count(&node) != 0; }

 private:
  // A block is x + f(x): the sum's input on `side` is x, or x in another layout, and its other input comes from x.
  bool add_block(const ov::Node& sum, std::size_t side) {
    const ov::Node* x = sum.get_input_node_ptr(side);
    Nodes moved;
    while (is_layout(*x) && x->output(0).get_target_inputs().size() == 1) {
      moved.insert(x);
      x = x->get_input_node_ptr(0);
    }
    const Nodes inside = between(*x, *sum.get_input_node_ptr(1 - side));
    if (inside.empty()) return false;
    skips_.insert(x);
    skips_.insert(moved.begin(), moved.end());
    last_sum_ = std::max(last_sum_, position_.at(&sum));
    // A block around other blocks is trunk itself: theirs are its branches.
    const bool keep = std::any_of(inside.begin(), inside.end(), [&](const ov::Node* node) {
      return sums_.count(node) != 0 || is_any<ov::op::v1::Convolution, ov::op::v1::GroupConvolution>(*node);
    });
    if (!keep) branches_.insert(inside.begin(), inside.end());
    sums_.insert(&sum);
    return true;
  }

  // The nodes on the ways from `from` to `to`: with `to`, without `from`; none where there is no way.
  [[nodiscard]] Nodes between(const ov::Node& from, const ov::Node& to) const {
    const std::size_t begin = position_.at(&from), end = position_.at(&to);
    Nodes ancestors, found;
    std::vector<const ov::Node*> open{&to};
    while (!open.empty()) {
      const ov::Node* node = open.back();
      open.pop_back();
      if (position_.at(node) <= begin || !ancestors.insert(node).second) continue;
      for (std::size_t i = 0; i < node->get_input_size(); ++i) open.push_back(node->get_input_node_ptr(i));
    }
    for (std::size_t i = begin + 1; i <= end; ++i) {
      const ov::Node* node = order_[i].get();
      if (ancestors.count(node) == 0) continue;
      for (std::size_t k = 0; k < node->get_input_size(); ++k) {
        const ov::Node* input = node->get_input_node_ptr(k);
        if (input == &from || found.count(input) != 0) found.insert(node);
      }
    }
    return found.count(&to) != 0 ? found : Nodes{};
  }

  // After the last sum nothing amplifies a rounding any more.
  void find_trunk() {
    if (sums_.empty()) return;
    for (std::size_t i = 0; i <= last_sum_; ++i) {
      const ov::Node* node = order_[i].get();
      if (computes_f32(*node) && (branches_.count(node) == 0 || skips_.count(node) != 0)) trunk_.insert(node);
    }
  }

  std::vector<std::shared_ptr<ov::Node>> order_;
  std::unordered_map<const ov::Node*, std::size_t> position_;
  Nodes skips_, branches_, sums_, trunk_;
  std::size_t last_sum_ = 0;
};

class Retyping {
 public:
  explicit Retyping(ov::Model& model) : model_(model), order_(model.get_ordered_ops()) {
    const Residuals residuals(model);
    for (const auto& node : order_) {
      if (computes_f32(*node)) choose_type(*node, residuals);
    }
  }

  void apply() {
    for (const auto& node : order_) {
      const auto chosen = types_.find(node.get());
      const bool result = is_any<ov::op::v0::Result>(*node);
      if (!result && chosen == types_.end()) continue;
      const ov::element::Type type = result ? ov::element::f32 : chosen->second;
      for (std::size_t i = 0; i < values(*node); ++i) retype(node->input(i), type);
    }
    model_.validate_nodes_and_infer_types();
  }

 private:
  void choose_type(const ov::Node& node, const Residuals& residuals) {
    // A Convert's type is its own; its input may be of any.
    if (is_any<ov::op::v0::Convert>(node)) return;
    bool f32 = is_any<ov::op::v0::Parameter>(node) || residuals.in_trunk(node);
    if (!f32 && is_layout(node)) f32 = moves_f32_only(node);
    types_[&node] = f32 ? ov::element::f32 : ov::element::bf16;
  }

  [[nodiscard]] bool moves_f32_only(const ov::Node& node) const {
    for (std::size_t i = 0; i < node.get_input_size(); ++i) {
      const auto type = types_.find(node.get_input_node_ptr(i));
      if (type != types_.end() && type->second != ov::element::f32) return false;
    }
    return true;
  }

  // Interpolate's scales are f32 whatever it resizes.
  static std::size_t values(const ov::Node& node) {
    return is_any<ov::op::util::InterpolateBase>(node) ? 1 : node.get_input_size();
  }

  void retype(ov::Input<ov::Node> input, ov::element::Type type) {
    const ov::Output<ov::Node> source = input.get_source_output();
    if (source.get_element_type() != ov::element::f32) return;
    const auto known = types_.find(source.get_node());
    const ov::element::Type has = known != types_.end() ? known->second : ov::element::Type(ov::element::f32);
    if (has == type) return;
    auto& converted = converts_[{source.get_node(), source.get_index()}];
    if (!converted) converted = std::make_shared<ov::op::v0::Convert>(source, type);
    input.replace_source_output(converted->output(0));
  }

  ov::Model& model_;
  std::vector<std::shared_ptr<ov::Node>> order_;
  std::unordered_map<const ov::Node*, ov::element::Type> types_;
  std::map<std::pair<const ov::Node*, std::size_t>, std::shared_ptr<ov::Node>> converts_;  // a value has one other type
};

}  // namespace

void retype_to_bf16_mixed(ov::Model& model) { Retyping(model).apply(); }

}  // namespace medsam::backends
