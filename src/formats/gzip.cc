#include "formats/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

namespace kakeya::formats {

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

Result<std::string> gunzip(const std::string& name, std::string_view bytes, std::uint64_t max_bytes) {
  if (bytes.size() > std::numeric_limits<uInt>::max()) {
    return corrupt_data("unpack " + name + ": " + std::to_string(bytes.size()) +
                        " bytes, expected less than 4 GiB");
  }
  z_stream stream{};
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  if (inflateInit2(&stream, kGzipOnly) != Z_OK)
    return Error{ErrorCode::kOutOfMemory, "unpack " + name + ": zlib"};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  char buffer[1 << 16];
  int code = Z_OK;
  while (code == Z_OK && out.size() <= max_bytes) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof buffer;
    code = inflate(&stream, Z_NO_FLUSH);
    out.append(buffer, sizeof buffer - stream.avail_out);
  }
  const bool all_read = stream.avail_in == 0;
  inflateEnd(&stream);
  if (out.size() > max_bytes) {
    return corrupt_data("unpack " + name + ": larger than the limit of " + std::to_string(max_bytes) +
                        " bytes");
  }
  if (code != Z_STREAM_END) {
    return corrupt_data("unpack " + name + ": the gzip data is damaged or cut after " +
                        std::to_string(out.size()) + " bytes");
  }
  if (!all_read) return corrupt_data("unpack " + name + ": found bytes behind the end of the gzip data");
  return out;
}

}  // namespace kakeya::formats
