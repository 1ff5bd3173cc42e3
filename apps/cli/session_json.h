// Generations and memory ledgers as JSON.
#pragma once
#include <kakeya/session.h>

#include "cli/command.h"

namespace kakeya::cli {

nlohmann::ordered_json ledger_json(const KvLedger& ledger);
nlohmann::ordered_json policy_json(const PolicyReport& policy);
nlohmann::ordered_json memory_json(const MemoryLedger& ledger);
nlohmann::ordered_json generation_json(const Engine& engine, const std::vector<Token>& prompt,
                                       const Generation& out, const MemoryLedger& ledger);

}  // namespace kakeya::cli
