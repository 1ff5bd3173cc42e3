// Data set files in both layouts, and model answers in which a number is looked for.
#include "acceptance/dataset_records.h"
#include "acceptance/grade.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(data, size);
  for (const char* name : {"gsm8k", "humaneval"}) {
    const auto problems = kakeya::acceptance::parse_jsonl_problems(name, "fuzz.jsonl", text);
    if (!problems.ok()) {
      FUZZ_CHECK(problems.error().message.find("fuzz.jsonl") != std::string::npos);
      continue;
    }
    for (const auto& problem : *problems) FUZZ_CHECK(!problem.task_id.empty());
  }
  (void)kakeya::acceptance::final_number(std::string(text));
  return 0;
}
