// Where a file that is written beside its name and renamed into place may go.
#pragma once
#include <kakeya/result.h>

#include <string>

namespace kakeya::base {

// The name to rename onto: `path`, or where its chain of symbolic links ends, so that a link stays a link.
// Nothing or a regular file may be there. Errors: kInvalidArgument: a directory, device, pipe or socket,
// which a rename would refuse or replace; kIo: links in a circle.
Result<std::string> output_file(const std::string& path);

}  // namespace kakeya::base
