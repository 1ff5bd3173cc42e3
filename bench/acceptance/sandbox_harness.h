// The two Python programs of the sandbox. The tests run in one process and the model's program in another,
// which sees neither the tests nor the verdict: it is handed arguments and hands back values.
#pragma once
#include <string>

namespace kakeya::acceptance {

// fd 0: the program; fd 3: calls, one JSON object a line; fd 4: answers.
std::string program_harness();
// fd 0: {"setup", "test", "entry_point"}; fd 3: answers; fd 4: calls; fd 5: "begun" once the program's
// sandbox is up, then the verdict, one JSON object {"started": bool, "passed": bool, "detail": text,
// "broken": bool}; broken = the published problem itself does not run.
std::string tests_harness();

}  // namespace kakeya::acceptance
