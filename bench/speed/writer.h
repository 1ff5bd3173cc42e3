// The formats of results: Markdown, CSV, JSON and JSON lines, with llama-bench's field names and ours behind
// them.
#pragma once
#include <iosfwd>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "speed/result.h"

namespace kakeya::speed {

class Writer {
 public:
  virtual ~Writer() = default;
  // Results that belong together, as soon as they are there.
  virtual void add(std::span<const TestResult> results) = 0;
  // Closes what add() has opened; nothing where nothing was added.
  virtual void end() {}
};

// "md", "csv", "json" or "jsonl"; null for anything else. `out` outlives the writer.
std::unique_ptr<Writer> make_writer(std::string_view format, std::ostream& out);

// All fields of a result in order; the samples at its end.
nlohmann::ordered_json to_json(const TestResult& result);

}  // namespace kakeya::speed
