// Errors as values. Nothing in the SDK throws; every call that can fail because of the outside world
// (a file, a request, a flag) returns Result<T> with a message: operation, file or field, found, expected.
#pragma once
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace kakeya {

enum class ErrorCode {
  kInvalidArgument,  // the caller's flag, option or value is wrong
  kNotFound,         // a file, tensor, model or record does not exist
  kCorruptData,      // a file or message contradicts its own format
  kUnsupported,      // understood and refused: an architecture, dtype or combination we do not run
  kIo,               // the operating system refused to read or write
  kNetwork,          // a remote end failed or lied
  kOutOfMemory,      // an allocation would not fit
  kNumeric,          // NaN or infinity where a number must be
  kCancelled,        // the caller asked to stop
  kContextOverflow,  // prompt and output do not fit the context
  kUnavailable,      // busy, full or closing: the same call may work later
};

// "invalid argument", "not found", ...: stable text for logs and JSON.
const char* to_string(ErrorCode code);

struct Error {
  ErrorCode code;
  std::string message;
};

// Either a value or an Error. Reading the wrong one ends the process: check ok() first.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return held(std::get_if<0>(&state_)); }
  const T& value() const& { return held(std::get_if<0>(&state_)); }
  T&& value() && { return std::move(value()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return held(std::get_if<1>(&state_)); }

 private:
  template <class U>
  static U& held(U* alternative) {
    if (alternative == nullptr) std::abort();
    return *alternative;
  }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design
  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    if (!error_.has_value()) std::abort();
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

inline Error invalid_argument(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}
inline Error not_found(std::string message) { return {ErrorCode::kNotFound, std::move(message)}; }
inline Error corrupt_data(std::string message) { return {ErrorCode::kCorruptData, std::move(message)}; }
inline Error unsupported(std::string message) { return {ErrorCode::kUnsupported, std::move(message)}; }
inline Error io_error(std::string message) { return {ErrorCode::kIo, std::move(message)}; }

}  // namespace kakeya

// Leaves the calling function with the error of `expr` (a Status or Result).
#define KAKEYA_TRY(expr)                                                                   \
  do {                                                                                     \
    if (auto kakeya_status_ = (expr); !kakeya_status_.ok()) return kakeya_status_.error(); \
  } while (false)

#define KAKEYA_CONCAT_INNER_(a, b) a##b
#define KAKEYA_CONCAT_(a, b) KAKEYA_CONCAT_INNER_(a, b)
// KAKEYA_ASSIGN(auto x, f()): x is the value of f(), or the calling function returns its error.
#define KAKEYA_ASSIGN(lhs, expr) KAKEYA_ASSIGN_INNER_(KAKEYA_CONCAT_(kakeya_result_, __LINE__), lhs, expr)
#define KAKEYA_ASSIGN_INNER_(tmp, lhs, expr) \
  auto tmp = (expr);                         \
  if (!tmp.ok()) return tmp.error();         \
  lhs = std::move(tmp).value()
