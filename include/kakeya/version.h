// Version of the SDK and of the build.
#pragma once

namespace kakeya {
const char* version();       // "0.1.0"
const char* build_commit();  // short git hash, "unknown" outside a checkout
const char* build_type();    // CMake build type, compiler and version
}  // namespace kakeya
