// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A request of the native decoder takes inputs by their shapes: whatever it is given, it refuses in one line or reads
// what it was given and no more (AddressSanitizer looks on).
#include <functional>

#include "bundle/variant.hpp"
#include "medsam/error.hpp"
#include "support/raised.hpp"
#include "support/sam_decoder_test.hpp"

namespace medsam::testing {
namespace {

using backends::Request;
using backends::Shape;

class SamRequest : public ::testing::Test {
 protected:
  void SetUp() override {
    request_ = model_->create_request();
    expected_ = decode(*request_, sizes_, embedding_, prompts_);
  }
  /// Everything as it should be, then `change`, then a run: refused with these words in one line. The request is as
  /// good as before.
  void refuses(const std::function<void(Request&)>& change, const std::string& words) {
    const std::string message = raised<BackendError>([&] {
      fill_prompts(*request_, sizes_, prompts_);
      request_->bind(0, embedding_);
      change(*request_);
      static_cast<void>(request_->run());
    });
    EXPECT_NE(message.find(words), std::string::npos) << message << "\nexpected " << words;
    EXPECT_EQ(message.find("native decoder: "), 0U) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_EQ(decode(*request_, sizes_, embedding_, prompts_), expected_) << "after: " << words;
  }
  /// The same of one input whose shape is another.
  void refuses_shape(std::size_t index, const Shape& shape, const std::string& words) {
    refuses([&](Request& request) { static_cast<void>(request.input(index, shape)); }, words);
  }

  SamSizes sizes_;
  SamModel model_ = sam_model(random_sam_checkpoint(sizes_), kF32Fused);
  SamPrompts prompts_ = random_sam_prompts(sizes_, 2, 3, {0, 1});
  backends::TensorPtr embedding_ = embedding_tensor(sizes_, random_sam_embedding(sizes_));
  std::unique_ptr<Request> request_;
  SamOutput expected_;
};

TEST_F(SamRequest, RefusesShapesThatDoNotFit) {
  refuses_shape(1, {2, 3, 3}, "point_coords: got shape (2, 3, 3), expected (2, 3, 2)");
  refuses_shape(1, {2, 6}, "point_coords: got shape (2, 6), expected (prompts, tokens, 2)");
  refuses_shape(1, {}, "point_coords: got shape (), expected (prompts, tokens, 2)");
  refuses_shape(1, {0, 3, 2}, "point_coords: got shape (0, 3, 2), expected (prompts, tokens, 2)");
  refuses_shape(1, {2, 0, 2}, "point_coords: got shape (2, 0, 2), expected (prompts, tokens, 2)");
  refuses_shape(1, {4, 3, 2}, "point_labels: got shape (2, 3), expected (4, 3)");
  refuses_shape(2, {2, 4}, "point_labels: got shape (2, 4), expected (2, 3)");
  refuses_shape(2, {6}, "point_labels: got shape (6), expected (2, 3)");
  refuses_shape(3, {1, 2}, "mask_index: got shape (1, 2), expected (2)");
  refuses_shape(3, {0}, "mask_index: got none, expected at least one");
  refuses_shape(4, {2, 16, 16}, "mask_input: got shape (2, 16, 16), expected (2, 1, 16, 16)");
  refuses_shape(4, {1, 1, 16, 16}, "mask_input: got shape (1, 1, 16, 16), expected (2, 1, 16, 16)");
}

// An input that no memory holds leaves nothing behind that a run takes for one: neither the shape, with as many
// values behind it, nor the values of the run before.
TEST_F(SamRequest, AnInputThatWasRefusedIsNone) {
  const std::int64_t wide = std::int64_t{1} << 62;
  const std::vector<Shape> shapes = {{}, {2, wide, 2}, {2, wide}, {wide}, {2, 1, wide, 4}};
  for (const std::size_t index : {1U, 2U, 3U, 4U}) {
    for (const Shape& shape : {shapes[index], Shape{wide, wide, wide}, Shape{-3, 2}}) {
      refuses([&](Request& request) { EXPECT_ANY_THROW(static_cast<void>(request.input(index, shape))); },
              "got shape (), expected (");
    }
  }
  refuses(
      [&](Request& request) {
        for (const std::size_t index : {1U, 2U, 3U, 4U}) {
          EXPECT_ANY_THROW(static_cast<void>(request.input(index, shapes[index])));
        }
      },
      "point_coords: got shape (), expected (prompts, tokens, 2)");
}

TEST_F(SamRequest, RefusesWhatIsInNoTable) {
  for (const std::int32_t label : {-2, 4, 2147483647}) {
    refuses(
        [&](Request& request) {
          fill<std::int32_t>(request, 2, {2, 3}, {0, 1, 2, 3, -1, label});
        },
        "point_labels: got " + std::to_string(label) + ", expected -1 to 3");
  }
  for (const std::int32_t index : {-1, 4, -2147483647}) {
    refuses(
        [&](Request& request) {
          fill<std::int32_t>(request, 3, {2}, {0, index});
        },
        "mask_index: got " + std::to_string(index) + ", expected 0 to 3");
  }
}

TEST_F(SamRequest, RefusesAnotherEmbedding) {
  const auto bind = [](Shape shape) {
    return [=](Request& request) { request.bind(0, std::make_shared<backends::HostTensor>(shape)); };
  };
  const std::string expected = ", expected (1, 256, 4, 4)";
  refuses(bind({1, 256, 8, 2}), "image_embedding: got shape (1, 256, 8, 2)" + expected);
  refuses(bind({2, 256, 4, 4}), "image_embedding: got shape (2, 256, 4, 4)" + expected);
  refuses([](Request& request) { request.bind(0, nullptr); }, "image_embedding: got none" + expected);
  refuses(
      [](Request& request) {
        static_cast<void>(request.run());
        request.run();
      },
      "image_embedding: got none" + expected);  // it belongs to one run
}

TEST_F(SamRequest, RefusesInputsThatItDoesNotHave) {
  refuses_shape(0, {1, 256, 4, 4}, "an embedding is bound, not written");
  refuses_shape(5, {1}, "got an input that it does not have");
  refuses([&](Request& request) { request.bind(1, embedding_); }, "only an embedding can be bound");
  refuses([&](Request& request) { request.bind(17, embedding_); }, "got an input that it does not have");
  EXPECT_NE(raised<BackendError>([&] { static_cast<void>(model_->create_request()->run()); }).find("point_coords"),
            std::string::npos)
      << "nothing was given";
}

// Finite or not, numbers are not places in memory: what comes out is for the engine to look at.
TEST_F(SamRequest, NumbersThatAreNoneStayNumbers) {
  for (const float value : {std::nanf(""), INFINITY, -3e38F}) {
    SamPrompts prompts = prompts_;
    prompts.coords[0] = value;
    prompts.mask_input[5] = value;
    const SamOutput output = decode(*request_, sizes_, embedding_, prompts);
    EXPECT_EQ(output.logits.size(), expected_.logits.size());
    EXPECT_EQ(output.only(1, 2), expected_.only(1, 2)) << "the other prompt is as it was";
  }
  EXPECT_EQ(decode(*request_, sizes_, embedding_, prompts_), expected_);
}

}  // namespace
}  // namespace medsam::testing
