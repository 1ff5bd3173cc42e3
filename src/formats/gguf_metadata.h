// The keys of one architecture in a GGUF file. For the gguf_*.cc files of this folder.
#pragma once
#include <kakeya/result.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "formats/config_reader.h"
#include "formats/gguf.h"
#include "formats/gguf_config.h"

namespace kakeya::formats {

// Typed access to the keys of one architecture.
class GgufMetadata {
 public:
  GgufMetadata(const GgufFile& file, std::string arch)
      : file_(file), object_(gguf_metadata_json(file)), reader_(file.name, object_), arch_(std::move(arch)) {}
  GgufMetadata(const GgufMetadata&) = delete;
  GgufMetadata& operator=(const GgufMetadata&) = delete;

  const GgufFile& file() const { return file_; }
  const ConfigReader& reader() const { return reader_; }
  const std::string& arch() const { return arch_; }
  std::string key(const char* suffix) const { return arch_ + "." + suffix; }
  const nlohmann::json* find(const char* suffix) const { return reader_.find(key(suffix).c_str()); }
  Result<std::uint64_t> uint(const char* suffix, UintRange range) const {
    return reader_.uint(key(suffix).c_str(), range);
  }
  Result<std::uint64_t> uint_or(const char* suffix, UintRange range, std::uint64_t fallback) const {
    return reader_.uint_or(key(suffix).c_str(), range, fallback);
  }
  Error refuse(const char* suffix, const std::string& found, const std::string& expected) const {
    return reader_.refuse(key(suffix), found, expected);
  }
  Error corrupt(const char* suffix, const std::string& found, const std::string& expected) const {
    return reader_.corrupt(key(suffix), found, expected);
  }

 private:
  const GgufFile& file_;
  nlohmann::json object_;
  ConfigReader reader_;
  std::string arch_;
};

// Block size, tapped layers and mask token of a draft; `config` has the sizes and windows already.
Result<DFlashConfig> gguf_dflash_config(const GgufMetadata& metadata, const ModelConfig& config);

}  // namespace kakeya::formats
