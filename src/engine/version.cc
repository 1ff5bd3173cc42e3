// What this build is.
#include <kakeya/version.h>

#include "build_info.h"

namespace kakeya {
const char* version() { return KAKEYA_VERSION; }
const char* build_commit() { return KAKEYA_BUILD_COMMIT; }
const char* build_type() { return KAKEYA_BUILD_TYPE; }
}  // namespace kakeya
