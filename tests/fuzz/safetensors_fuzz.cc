// safetensors bytes, as they are and with a truthful header length put in front.
#include <algorithm>
#include <vector>

#include "formats/safetensors.h"
#include "fuzz.h"

namespace {

void parse(std::span<const std::byte> file) {
  const auto tensors = kakeya::formats::parse_safetensors("fuzz.safetensors", file);
  if (!tensors.ok()) {
    FUZZ_CHECK(tensors.error().message.find("fuzz.safetensors") != std::string::npos);
    return;
  }
  std::size_t bytes = 0;
  for (const auto& [name, view] : *tensors) {
    FUZZ_CHECK(view.bytes.empty() || (view.bytes.data() >= file.data() &&
                                      view.bytes.data() + view.bytes.size() <= file.data() + file.size()));
    bytes += view.bytes.size();
  }
  FUZZ_CHECK(bytes <= file.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  parse(file);
  // The header up to the first NUL, what follows as data.
  const auto end = std::find(file.begin(), file.end(), std::byte{0});
  const auto length = static_cast<std::uint64_t>(end - file.begin());
  std::vector<std::byte> framed;
  for (int i = 0; i < 8; ++i) framed.push_back(static_cast<std::byte>(length >> (8 * i)));
  framed.insert(framed.end(), file.begin(), end);
  if (end != file.end()) framed.insert(framed.end(), end + 1, file.end());
  parse(framed);
  return 0;
}
