#include "formats/safetensors_header.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "formats/json_text.h"

namespace kakeya::formats {
namespace {

using nlohmann::json;

// Walks the header as events, so that a hostile one costs no more memory than the entries it may have.
class HeaderReader : public nlohmann::json_sax<json> {
 public:
  explicit HeaderReader(std::string name) : name_(std::move(name)) {}

  std::vector<HeaderEntry> take() { return std::move(entries_); }
  const std::string& problem() const { return problem_; }
  bool complete() const { return state_ == State::kDone; }

  bool start_object(std::size_t) override {
    switch (state_) {
      case State::kStart:
        state_ = State::kTop;
        return true;
      case State::kTopValue:
        if (current_.name == "__metadata__") {
          if (metadata_seen_) return fail("\"__metadata__\" appears twice");
          metadata_seen_ = true;
          state_ = State::kMetadata;
        } else {
          state_ = State::kTensor;
        }
        return true;
      default:
        return unexpected("an object");
    }
  }

  bool key(string_t& text) override {
    switch (state_) {
      case State::kTop:
        return open_entry(text);
      case State::kMetadata:
        return true;
      case State::kTensor:
        return open_field(text);
      default:
        return unexpected("a key");
    }
  }

  bool end_object() override {
    switch (state_) {
      case State::kTop:
        state_ = State::kDone;
        return true;
      case State::kMetadata:
        state_ = State::kTop;
        return true;
      case State::kTensor:
        return close_entry();
      default:
        return unexpected("the end of an object");
    }
  }

  bool string(string_t& text) override {
    if (state_ == State::kMetadata) return true;
    if (state_ != State::kDtype) return unexpected("a string");
    current_.dtype = text;
    state_ = State::kTensor;
    return true;
  }

  bool start_array(std::size_t) override {
    switch (state_) {
      case State::kShapeValue:
        state_ = State::kShape;
        return true;
      case State::kOffsetsValue:
        state_ = State::kOffsets;
        return true;
      default:
        return unexpected("a list");
    }
  }

  bool end_array() override {
    if (state_ == State::kOffsets && offsets_ != 2) {
      return fail_tensor("data_offsets has " + std::to_string(offsets_) + " numbers, expected 2");
    }
    if (state_ != State::kOffsets && state_ != State::kShape) return unexpected("the end of a list");
    state_ = State::kTensor;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ == State::kShape) {
      if (current_.shape.size() == kMaxTensorRank) {
        return fail_tensor("shape has more than " + std::to_string(kMaxTensorRank) + " numbers");
      }
      current_.shape.push_back(value);
      return true;
    }
    if (state_ != State::kOffsets) return unexpected("a number");
    if (offsets_ == 2) return fail_tensor("data_offsets has more than 2 numbers, expected 2");
    (offsets_++ == 0 ? current_.begin : current_.end) = value;
    return true;
  }

  bool number_integer(number_integer_t value) override { return unexpected(std::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override { return unexpected(printable(text)); }
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a truth value"); }
  bool binary(binary_t&) override { return unexpected("binary"); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    return fail(std::string("not valid JSON: ") + printable(error.what()));
  }

 private:
  enum class State {
    kStart,
    kTop,
    kTopValue,
    kMetadata,
    kTensor,
    kDtype,
    kShapeValue,
    kShape,
    kOffsetsValue,
    kOffsets,
    kDone
  };

  bool open_entry(const std::string& name) {
    if (name.empty() || name.size() > kMaxTensorNameBytes) {
      return fail("a tensor name of " + std::to_string(name.size()) + " bytes, expected 1 to " +
                  std::to_string(kMaxTensorNameBytes));
    }
    if (entries_.size() == kMaxTensorsPerFile) {
      return fail("more than " + std::to_string(kMaxTensorsPerFile) + " tensors");
    }
    current_ = HeaderEntry{};
    current_.name = name;
    has_dtype_ = has_shape_ = has_offsets_ = false;
    offsets_ = 0;
    state_ = State::kTopValue;
    return true;
  }

  bool open_field(const std::string& field) {
    bool* seen = nullptr;
    if (field == "dtype") {
      seen = &has_dtype_;
      state_ = State::kDtype;
    } else if (field == "shape") {
      seen = &has_shape_;
      state_ = State::kShapeValue;
    } else if (field == "data_offsets") {
      seen = &has_offsets_;
      state_ = State::kOffsetsValue;
    } else {
      return fail_tensor("unknown field \"" + printable(field) +
                         "\", expected dtype, shape and data_offsets");
    }
    if (*seen) return fail_tensor("field \"" + field + "\" appears twice");
    *seen = true;
    return true;
  }

  bool close_entry() {
    const char* missing = !has_dtype_     ? "dtype"
                          : !has_shape_   ? "shape"
                          : !has_offsets_ ? "data_offsets"
                                          : nullptr;
    if (missing != nullptr) return fail_tensor(std::string("field \"") + missing + "\" is missing");
    entries_.push_back(std::move(current_));
    state_ = State::kTop;
    return true;
  }

  const char* expected() const {
    switch (state_) {
      case State::kStart:
        return "an object of tensors";
      case State::kTopValue:
        return "an object with dtype, shape and data_offsets";
      case State::kMetadata:
        return "strings in __metadata__";
      case State::kDtype:
        return "a string as dtype";
      case State::kShapeValue:
        return "a list as shape";
      case State::kShape:
        return "whole numbers from 0 as shape";
      case State::kOffsetsValue:
        return "a list as data_offsets";
      case State::kOffsets:
        return "whole numbers from 0 as data_offsets";
      default:
        return "nothing more";
    }
  }

  bool unexpected(const std::string& found) {
    const std::string text = "found " + found + ", expected " + expected();
    return current_.name.empty() ? fail(text) : fail_tensor(text);
  }
  bool fail_tensor(const std::string& text) {
    return fail("tensor \"" + printable(current_.name) + "\": " + text);
  }
  bool fail(const std::string& text) {
    if (problem_.empty()) problem_ = "read " + name_ + ": " + text;
    return false;
  }

  std::string name_, problem_;
  State state_ = State::kStart;
  std::vector<HeaderEntry> entries_;
  HeaderEntry current_;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false, metadata_seen_ = false;
  int offsets_ = 0;
};

}  // namespace

Result<Header> read_safetensors_header(const std::string& name, std::span<const std::byte> file) {
  constexpr std::size_t kLengthBytes = 8;
  if (file.size() < kLengthBytes) {
    return corrupt_data("read " + name + ": " + std::to_string(file.size()) +
                        " bytes, expected at least 8 for the header length");
  }
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) length = length << 8 | std::to_integer<std::uint64_t>(file[i]);
  if (length > kMaxHeaderBytes) {
    return corrupt_data("read " + name + ": header length " + std::to_string(length) + ", expected at most " +
                        std::to_string(kMaxHeaderBytes));
  }
  if (length > file.size() - kLengthBytes) {
    return corrupt_data("read " + name + ": header length " + std::to_string(length) + ", but only " +
                        std::to_string(file.size() - kLengthBytes) + " bytes follow");
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  if (text.empty() || text.front() != '{') {
    return corrupt_data("read " + name + ": the header does not begin with '{'");
  }
  KAKEYA_TRY(check_json_bounds(name, text, {.max_depth = 4, .max_values = kMaxHeaderBytes}));
  HeaderReader reader(name);
  const bool parsed = json::sax_parse(text.begin(), text.end(), &reader);
  if (!parsed || !reader.complete()) {
    return corrupt_data(reader.problem().empty() ? "read " + name + ": the header is incomplete"
                                                 : reader.problem());
  }
  Header header;
  header.data_start = kLengthBytes + length;
  header.entries = reader.take();
  return header;
}

}  // namespace kakeya::formats
