#include "acceptance/jsonl.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace kakeya::acceptance {
namespace {

// Brackets open at once outside strings: checked before parsing, so that depth cannot cost memory or stack.
std::size_t nesting_depth(std::string_view text) {
  std::size_t depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

struct Inflater {
  z_stream stream{};
  bool ready = inflateInit2(&stream, 15 + 16) == Z_OK;  // 16: gzip wrapper
  Inflater() = default;
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream); }
};

}  // namespace

std::string quoted_excerpt(std::string_view bytes, std::size_t max_chars) {
  std::string out = "\"";
  for (const char c : bytes.substr(0, max_chars)) out += c >= ' ' && c <= '~' ? c : '?';
  return out + (bytes.size() > max_chars ? "\"..." : "\"");
}

Result<nlohmann::json> parse_json(std::string_view text, const std::string& where) {
  if (const std::size_t depth = nesting_depth(text); depth > kMaxJsonDepth) {
    return corrupt_data(
        fmt::format("parse {}: found brackets {} deep, expected at most {}", where, depth, kMaxJsonDepth));
  }
  try {
    return nlohmann::json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::exception& e) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..." without its tag
    std::string_view what = e.what();
    if (const auto close = what.find("] "); close != what.npos) what.remove_prefix(close + 2);
    std::string reason = quoted_excerpt(what, 200);
    return corrupt_data(fmt::format("parse {}: found invalid JSON ({}), expected an object", where,
                                    reason.substr(1, reason.rfind('"') - 1)));
  }
}

Result<std::string> string_field(const nlohmann::json& object, const char* key, const std::string& where) {
  const auto it = object.find(key);
  if (it == object.end()) {
    return corrupt_data(fmt::format("read {}: field \"{}\" is missing, expected a string", where, key));
  }
  if (!it->is_string()) {
    return corrupt_data(
        fmt::format("read {}: field \"{}\": found {}, expected a string", where, key, it->type_name()));
  }
  return it->get<std::string>();
}

bool is_gzip(std::string_view bytes) { return bytes.size() >= 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b'; }

Result<std::string> gunzip(std::string_view bytes, std::size_t max_bytes, const std::string& where) {
  Inflater inflater;
  if (!inflater.ready)
    return Error{ErrorCode::kOutOfMemory, fmt::format("gunzip {}: no memory for zlib", where)};
  z_stream& z = inflater.stream;
  std::string out;
  std::array<char, 65536> buffer;
  std::size_t taken = 0;
  for (int state = Z_OK; taken < bytes.size() || state != Z_STREAM_END;) {
    if (state == Z_STREAM_END) inflateReset(&z);  // another member follows
    const std::string_view rest = bytes.substr(taken);
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest.data()));
    z.avail_in = static_cast<uInt>(std::min<std::size_t>(rest.size(), 1u << 30));
    const uInt offered = z.avail_in;
    z.next_out = reinterpret_cast<Bytef*>(buffer.data());
    z.avail_out = static_cast<uInt>(buffer.size());
    state = inflate(&z, Z_NO_FLUSH);
    taken += offered - z.avail_in;
    const std::size_t made = buffer.size() - z.avail_out;
    if (state == Z_BUF_ERROR || (state == Z_OK && taken == bytes.size() && made == 0)) {
      return corrupt_data(fmt::format("gunzip {}: found the end after {} bytes, expected more (cut file)",
                                      where, bytes.size()));
    }
    if (state != Z_OK && state != Z_STREAM_END) {
      return corrupt_data(fmt::format("gunzip {}: found damaged data before byte {} ({})", where, taken,
                                      z.msg != nullptr ? z.msg : "zlib error"));
    }
    if (made > max_bytes - out.size()) {
      return corrupt_data(
          fmt::format("gunzip {}: found more than {} bytes, expected at most that", where, max_bytes));
    }
    out.append(buffer.data(), made);
  }
  return out;
}

}  // namespace kakeya::acceptance
