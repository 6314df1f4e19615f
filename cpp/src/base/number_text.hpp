// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Numbers as text with a decimal point, whatever locale the host has chosen: printf and std::to_string follow it.
#pragma once

#include <optional>
#include <string>

namespace medsam {

/// At most 10 significant digits, as printf's %.10g in the C locale.
std::string number_text(double value);

/// Exactly `decimals` (0 to 17) digits after the point, as printf's %.*f in the C locale.
std::string fixed_text(double value, int decimals);

/// As few digits as tell it from every other number.
std::string exact_text(double value);

/// All of `text` as a number in decimal notation, "inf" and "nan" among them; nothing for any other text, a leading "+"
/// or space, and what a double cannot hold.
std::optional<double> read_number(const std::string& text);

}  // namespace medsam
