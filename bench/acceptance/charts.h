// The pictures of report.html, each a complete <svg>.
#pragma once
#include <string>
#include <vector>

#include "acceptance/cell.h"

namespace kakeya::acceptance {

// Drop of acceptance_rate per data set and channel, with interval, zero line and margin.
std::string drop_chart(const Run& run);
// tau against allocated bits a vector, with intervals; cells of one data set.
std::string tau_bits_chart(const Run& run, const std::vector<const Cell*>& cells);
// Share of cycles in which draft position i stood.
std::string position_chart(const Run& run, const std::vector<const Cell*>& cells);
// Share of cycles by length, a panel per channel, bf16 as an outline behind the others.
std::string histogram_chart(const Run& run, const std::vector<const Cell*>& cells);
std::string speed_chart(const Run& run, const std::vector<const Cell*>& cells);
std::string memory_chart(const Run& run);

// Place of a channel's colour and marker: its order in the run.
std::size_t series_of(const Run& run, const std::string& channel);

}  // namespace kakeya::acceptance
