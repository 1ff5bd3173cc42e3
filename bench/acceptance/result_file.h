// Reads result files back: for --resume and for whoever compares runs. Refuses what it does not understand.
#pragma once
#include <kakeya/result.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "acceptance/records.h"

namespace kakeya::acceptance {

struct ResultFile {
  std::string engine;  // "kakeya" or "mock"
  std::vector<Record> records;
};

// "b2-dflash-kakeya-v1" and later minor versions ("-v1.3") are read; another name or major version is
// refused.
Status check_schema(const std::string& schema);

// Errors: kUnsupported (schema), kCorruptData (names the field), kNotFound, kIo. `identity` receives the
// identity.
Result<ResultFile> read_result_file(const std::string& path, nlohmann::ordered_json& identity);

}  // namespace kakeya::acceptance
