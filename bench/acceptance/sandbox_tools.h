// Where bubblewrap and Python are, and the command line of a sandbox.
#pragma once
#include <kakeya/result.h>

#include <string>
#include <vector>

#include "acceptance/grade.h"

namespace kakeya::acceptance {

struct SandboxTools {
  std::string bwrap, python;              // absolute paths; python without links
  std::vector<std::string> python_homes;  // folders of the standard library outside the system's own
};

// Errors: kUnsupported with what to install.
Result<SandboxTools> find_sandbox_tools(const Grader& grader);

// bubblewrap running `source` in Python, with a seccomp filter read from filter_fd (-1 = none). `label` shows
// in the process list.
std::vector<std::string> sandbox_command(const SandboxTools& tools, const std::string& source,
                                         const std::string& label, int filter_fd);

}  // namespace kakeya::acceptance
