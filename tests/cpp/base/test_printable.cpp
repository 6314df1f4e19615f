// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Whatever a file or a caller puts into a name, what the library says about it is one printable line of bounded length.
#include "medsam/printable.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "base/edge.hpp"
#include "bundle/bundle.hpp"
#include "bundle/profile.hpp"
#include "medsam/error.hpp"
#include "support/engine_test.hpp"

namespace medsam {
namespace {

using nlohmann::json;
using testing::tiny_manifest;

// A line of its own, a terminal's title (OSC), a cleared screen, C1's CSI, text that runs backwards, half a character.
const std::string kHostile =
    "a\nERROR: forged\r\x1b]0;title\x07\x1b[2J\x7f\xc2\x9b[31m\xe2\x80\xae"
    "evil\xe2\x80\xa8\xff";

bool one_printable_line(const std::string& text) {
  return text.size() <= 2000 && printable(text) == text &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable(kHostile),
            "a\\nERROR: forged\\r\\x1b]0;title\\x07\\x1b[2J\\x7f\\u{009b}[31m\\u{202e}evil\\u{2028}\\xff");
  EXPECT_EQ(printable(std::string("a\0b\t", 4)), "a\\x00b\\t");
  EXPECT_EQ(printable("\xe2\x81\xa6|\xef\xbb\xbf|\xe2\x80\x8b|\xf3\xa0\x81\x81"),
            "\\u{2066}|\\u{feff}|\\u{200b}|\\u{e0041}");
}

TEST(Printable, LeavesTextAsItIs) {
  for (const std::string text :
       {"", "plain, \"quoted\" \\n C:\\x1b", "Niere \xc3\xa4\xc3\xb6\xc3\xbc \xe2\x82\xac", "\xe8\x82\x9d\xe8\x84\x8f",
        "\xf0\x9f\xab\x80", "\xd7\x9c\xd7\x91", "\xd9\x82\xd9\x84\xd8\xa8"}) {
    EXPECT_EQ(printable(text), text);
  }
}

TEST(Printable, TakesNothingForUtf8ThatIsNot) {
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf") << "too long a form of /";
  EXPECT_EQ(printable("\xe0\x80\x8a"), "\\xe0\\x80\\x8a") << "too long a form of a newline";
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond U+10FFFF";
  EXPECT_EQ(printable("\xf0\x9f\xab"), "\\xf0\\x9f\\xab") << "cut off";
  EXPECT_EQ(printable("\x80\xbf"), "\\x80\\xbf");
}

TEST(Printable, EveryByteAndEveryPairTwiceIsAsOnce) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string once = printable(std::string{static_cast<char>(first), static_cast<char>(second)});
      ASSERT_EQ(printable(once), once);
      ASSERT_TRUE(one_printable_line(once)) << first << " " << second;
    }
  }
}

TEST(Printable, IsBoundedAndKeepsBothEnds) {
  for (const std::string& part :
       std::vector<std::string>{"x", "\x1b", "\xe8\x82\x9d", "\xf0\x9f\xab\x80", "\xff", "\xe2\x80\xae"}) {
    std::string text = "begin ";
    for (int i = 0; i < 5000; ++i) text += part;
    text += "; remedy";
    for (const std::size_t most : {64U, 65U, 66U, 67U, 68U, 2000U}) {
      const std::string shown = printable(text, most);
      EXPECT_LE(shown.size(), most);
      EXPECT_EQ(printable(shown, most), shown);
      EXPECT_EQ(shown.rfind("begin ", 0), 0U) << shown;
      EXPECT_NE(shown.find(" [...] "), std::string::npos);
      EXPECT_EQ(shown.substr(shown.size() - 8), "; remedy");
    }
  }
  EXPECT_EQ(printable(std::string(100, 'x'), 3).size(), 64U);
}

TEST(Printable, EveryErrorOfTheLibraryGoesThroughIt) {
  EXPECT_TRUE(one_printable_line(InvalidArgument(kHostile).what()));
  EXPECT_TRUE(one_printable_line(ModelError(kHostile).what()));
  EXPECT_TRUE(one_printable_line(BackendError(std::string(1 << 20, '\n')).what()));
  EXPECT_TRUE(one_printable_line(OutOfMemory(kHostile).what()));
  EXPECT_TRUE(one_printable_line(Unsupported(kHostile).what()));
  EXPECT_TRUE(one_printable_line(Cancelled(kHostile).what()));
  EXPECT_TRUE(
      one_printable_line(message_of([] { at_edge("reading", []() -> void { throw std::runtime_error(kHostile); }); })));
}

class HostileNames : public EngineTest {
 protected:
  std::string message_of_bundle(const json& manifest) {
    const std::string path = testing::write_tiny_bundle(folder_.path("b"), manifest);
    return message_of([&] { static_cast<void>(read_bundle(path)); });
  }
  static void expect_refused(const std::string& message, const std::string& part) {
    EXPECT_TRUE(one_printable_line(message)) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
};

TEST_F(HostileNames, InAManifestAreRefusedInOneLine) {
  // JSON is UTF-8 throughout, or no JSON; NUL ends a C string early.
  const std::string text = kHostile.substr(0, kHostile.size() - 1);
  for (const std::string& name : {text, std::string("a\0b", 3),
                                  std::string("\xe2\x80\xae"
                                              "moc")}) {
    json manifest = tiny_manifest();
    manifest[name] = 1;
    expect_refused(message_of_bundle(manifest), "got a field");
    manifest = tiny_manifest();
    manifest["image"][name] = 1;
    expect_refused(message_of_bundle(manifest), "got a field");
    manifest = tiny_manifest();
    manifest["family"] = name;
    expect_refused(message_of_bundle(manifest), "\"family\"");
    manifest = tiny_manifest();
    manifest["profile"]["name"] = name;
    expect_refused(message_of_bundle(manifest), "\"name\"");
    manifest = tiny_manifest();
    manifest["models"][name] = manifest["models"]["encoder"];
    expect_refused(message_of_bundle(manifest), "models");
    manifest = tiny_manifest();
    manifest["models"]["encoder"]["file"] = "encoder.onnx" + name;
    expect_refused(message_of_bundle(manifest), "\"file\"");
    manifest = tiny_manifest();
    manifest["models"]["encoder"]["inputs"][0]["name"] = name;
    expect_refused(message_of_bundle(manifest), "\"name\"");
    manifest = tiny_manifest();
    manifest["experts"][name] = {{"encoder", "encoder"}};
    expect_refused(message_of_bundle(manifest), "experts");
    manifest = tiny_manifest();
    manifest["modality"]["index"][name] = 1;
    expect_refused(message_of_bundle(manifest), "modality");
    manifest = tiny_manifest();
    manifest["modality"]["fallback"] = name;
    expect_refused(message_of_bundle(manifest), "fallback");
  }
  json manifest = tiny_manifest();
  manifest["family"] = std::string(1 << 16, 'x');
  expect_refused(message_of_bundle(manifest), "\"family\"");
  manifest["family"] = "Lebermodell \xc3\xa4 \xe8\x82\x9d";
  EXPECT_EQ(message_of_bundle(manifest), "");
}

TEST_F(HostileNames, OfACallerAreShownInOneLine) {
  expect_refused(message_of([] { static_cast<void>(builtin_profile(kHostile)); }), "profile");
  const Engine engine(bundle_, options_);
  expect_refused(message_of([&] { static_cast<void>(engine.encode(image(), {kHostile})); }), "modality");
  expect_refused(message_of([] { static_cast<void>(Engine(kHostile)); }), "no such bundle folder");
  for (auto option : {&EngineOptions::device, &EngineOptions::precision, &EngineOptions::modality}) {
    EngineOptions options = options_;
    options.*option = kHostile + std::string(1 << 16, '\x1b');
    const std::string message = message_of([&] { static_cast<void>(Engine(bundle_, options)); });
    EXPECT_TRUE(one_printable_line(message)) << message;
  }
}

TEST_F(HostileNames, InALogAreOneLine) {
  std::vector<std::string> logged;
  testing::write_file(folder_.path("file"), "");
  options_.cache_dir = folder_.path("file/" + kHostile);
  options_.log = [&](LogLevel, const std::string& text) { logged.push_back(text); };
  const Engine engine(bundle_, options_);
  ASSERT_FALSE(logged.empty());
  for (const std::string& text : logged) EXPECT_TRUE(one_printable_line(text)) << text;
}

TEST_F(HostileNames, ALogThatThrowsCostsNothing) {
  testing::write_file(folder_.path("file"), "");
  options_.cache_dir = folder_.path("file/below");
  int called = 0;
  options_.log = [&](LogLevel, const std::string&) {
    ++called;
    throw 42;
  };
  const Engine engine(bundle_, options_);
  EXPECT_GT(called, 0);
  EXPECT_TRUE(engine.encode(image()).valid());
}

}  // namespace
}  // namespace medsam
