// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "medsam/printable.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace medsam {

namespace {

constexpr std::string_view kCut = " [...] ";

struct Range {
  char32_t first, last;
};

// Unicode 15.1: categories Cc, Zl, Zp, and of Cf what is invisible or changes the direction of text (UAX 9, UTS 55).
constexpr std::array kHidden = {
    Range{0x00, 0x1F},        // C0
    Range{0x7F, 0x9F},        // DEL, C1
    Range{0xAD, 0xAD},        // soft hyphen
    Range{0x061C, 0x061C},    // Arabic letter mark
    Range{0x180E, 0x180E},    // Mongolian vowel separator
    Range{0x200B, 0x200F},    // zero width, left-to-right and right-to-left marks
    Range{0x2028, 0x202E},    // separators of lines and paragraphs, embeddings and overrides
    Range{0x2060, 0x206F},    // invisible operators, isolates
    Range{0xFEFF, 0xFEFF},    // byte order mark
    Range{0xFFF9, 0xFFFB},    // interlinear annotation
    Range{0xE0000, 0xE0FFF},  // tags, variation selectors
};

struct Character {
  char32_t code = 0;
  std::size_t bytes = 0;  // 0: not UTF-8
};

// The character that `text` begins with; RFC 3629: no surrogate, nothing longer than needed, at most U+10FFFF.
Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  char32_t code = lead & (0x7FU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return {};
    code = code << 6 | (byte(i) & 0x3FU);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool valid = code >= kLeast[bytes] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
  return valid ? Character{code, bytes} : Character{};
}

bool hidden(char32_t code) {
  return std::any_of(kHidden.begin(), kHidden.end(), [&](Range r) { return code >= r.first && code <= r.last; });
}

std::string escape(char32_t code) {
  if (code == '\n') return "\\n";
  if (code == '\r') return "\\r";
  if (code == '\t') return "\\t";
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), code < 0x80 ? "\\x%02x" : "\\u{%04x}", static_cast<unsigned>(code));
  return text.data();
}

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character next = first_character(text);
    const std::size_t bytes = std::max<std::size_t>(1, next.bytes);
    if (next.bytes == 0) {
      std::array<char, 8> byte{};
      std::snprintf(byte.data(), byte.size(), "\\x%02x", static_cast<unsigned char>(text[0]));
      out += byte.data();
    } else if (hidden(next.code)) {
      out += escape(next.code);
    } else {
      out.append(text.substr(0, bytes));
    }
    text.remove_prefix(bytes);
  }
  return out;
}

bool continues_a_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

}  // namespace

std::string printable(std::string_view text, std::size_t most_bytes) {
  most_bytes = std::max<std::size_t>(most_bytes, 64);
  if (text.size() <= most_bytes) {
    std::string whole = escaped(text);
    if (whole.size() <= most_bytes) return whole;
  }
  // Escapes only make text longer, so no more than this of either end is ever shown, however long the text is. The end
  // of a message is what to do about it.
  const std::size_t tail_bytes = most_bytes / 4, head_bytes = most_bytes - tail_bytes - kCut.size();
  std::size_t begin = text.size() - std::min(text.size(), tail_bytes);
  while (begin < text.size() && continues_a_character(text[begin])) ++begin;
  std::string head = escaped(text.substr(0, head_bytes + 4));
  std::string tail = escaped(text.substr(begin));
  std::size_t cut = std::min(head.size(), head_bytes);
  while (cut > 0 && cut < head.size() && continues_a_character(head[cut])) --cut;
  head.resize(cut);
  std::size_t start = tail.size() - std::min(tail.size(), tail_bytes);
  while (start < tail.size() && continues_a_character(tail[start])) ++start;
  return head + std::string(kCut) + tail.substr(start);
}

}  // namespace medsam
