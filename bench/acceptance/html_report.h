// report.html: one self-contained page, inline SVG, no scripts, light and dark.
#pragma once
#include <string>

#include "acceptance/cell.h"

namespace kakeya::acceptance {

std::string html_report(const Run& run);

}  // namespace kakeya::acceptance
