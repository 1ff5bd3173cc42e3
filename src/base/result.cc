#include <kakeya/result.h>

namespace kakeya {

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid argument";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kCorruptData:
      return "corrupt data";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kIo:
      return "i/o error";
    case ErrorCode::kNetwork:
      return "network error";
    case ErrorCode::kOutOfMemory:
      return "out of memory";
    case ErrorCode::kNumeric:
      return "numeric error";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kContextOverflow:
      return "context overflow";
    case ErrorCode::kUnavailable:
      return "unavailable";
  }
  return "unknown error";
}

}  // namespace kakeya
