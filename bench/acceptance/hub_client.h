// A whole data set through the Hugging Face rows API: pages, retries, and doubt about every answer.
#pragma once
#include <kakeya/result.h>

#include <functional>
#include <string>

#include "acceptance/dataset.h"
#include "acceptance/dataset_records.h"

namespace kakeya::acceptance {

struct HubSource {
  std::string base_url;  // "https://datasets-server.huggingface.co"
  std::string token;
  std::size_t expected_rows = 0;  // another count is refused; 0 = any
  HubLimits limits;
  std::function<bool()> cancelled;
};

// The address of the set, without offset and length.
std::string hub_address(const DatasetSpec& spec, const HubSource& source);

// Every row as the bytes of the published jsonl file. All rows or an error: kNetwork, kCorruptData,
// kCancelled, kInvalidArgument (base_url).
Result<std::string> download_jsonl(const DatasetSpec& spec, const HubSource& source);

}  // namespace kakeya::acceptance
