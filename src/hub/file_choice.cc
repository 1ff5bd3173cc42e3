#include "hub/file_choice.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

namespace kakeya::hub {
namespace {

constexpr std::size_t kShownFiles = 40;
constexpr std::size_t kPartSuffix = sizeof("-00001-of-00002") - 1;

std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }
bool at_top(const HubFile& file) { return file.path.find('/') == std::string::npos; }
bool is_safetensors(const HubFile& file) { return ends_with(file.path, ".safetensors"); }

// A language model in GGUF: not the projector of a vision model, not an importance matrix.
bool is_gguf(const HubFile& file) {
  const std::string name = upper(name_of(file.path));
  return ends_with(name, ".GGUF") && name.rfind("MMPROJ", 0) != 0 &&
         name.find("IMATRIX") == std::string::npos;
}

// "...-00001-of-00003.gguf"
bool is_in_parts(const std::string& path) {
  const std::string stem = path.substr(0, path.size() - 5);
  return stem.size() > kPartSuffix && fnmatch("-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9]",
                                              stem.c_str() + stem.size() - kPartSuffix, 0) == 0;
}

bool matches(const std::vector<std::string>& patterns, const std::string& path) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return fnmatch((ends_with(pattern, "/") ? pattern + "*" : pattern).c_str(), path.c_str(), 0) == 0;
  });
}

template <class Keep>
std::vector<HubFile> those(const std::vector<HubFile>& files, Keep keep) {
  std::vector<HubFile> out;
  std::copy_if(files.begin(), files.end(), std::back_inserter(out), keep);
  return out;
}

std::string listed(const std::vector<HubFile>& files, bool as_quants) {
  std::string out;
  for (std::size_t i = 0; i < std::min(files.size(), kShownFiles); ++i) {
    out += fmt::format("{}{} ({})", i == 0 ? "" : ", ", as_quants ? quant_of(files[i].path) : files[i].path,
                       readable_bytes(files[i].size));
  }
  if (files.size() > kShownFiles) out += fmt::format(" and {} more", files.size() - kShownFiles);
  return out.empty() ? "nothing" : out;
}

Result<std::vector<HubFile>> whole_file(const ModelId& id, const HubFile& file) {
  if (!is_in_parts(file.path)) return std::vector<HubFile>{file};
  return unsupported(fmt::format("pull {}: {} is one part of a GGUF file, expected a file in one part",
                                 id.text(), file.path));
}

Result<std::vector<HubFile>> choose_quant(const ModelId& id, const std::vector<HubFile>& ggufs) {
  const auto exact = those(ggufs, [&](const HubFile& file) { return quant_of(file.path) == id.variant; });
  if (!exact.empty()) {
    if (exact.size() == 1 || is_in_parts(exact.front().path)) return whole_file(id, exact.front());
    return invalid_argument(
        fmt::format("pull {}: found {} files of {} ({}), expected one: name it with --include", id.text(),
                    exact.size(), id.variant, listed(exact, false)));
  }
  return not_found(fmt::format("pull {}: no GGUF file of {} there; there is {}", id.text(), id.variant,
                               listed(ggufs, true)));
}

std::vector<HubFile> choose_safetensors(const std::vector<HubFile>& files) {
  // Some repositories hold the same weights twice, once under the names of another loader.
  const bool twice = std::any_of(files.begin(), files.end(), [](const HubFile& file) {
    return at_top(file) && is_safetensors(file) && file.path.rfind("consolidated", 0) != 0;
  });
  return those(files, [&](const HubFile& file) {
    if (!at_top(file) || (twice && file.path.rfind("consolidated", 0) == 0)) return false;
    return is_safetensors(file) || ends_with(file.path, ".json") || ends_with(file.path, ".jinja");
  });
}

Result<std::vector<HubFile>> choose_default(const ModelId& id, const std::vector<HubFile>& files) {
  const auto ggufs = those(files, is_gguf);
  if (!id.variant.empty()) return choose_quant(id, ggufs);
  if (std::any_of(files.begin(), files.end(),
                  [](const HubFile& f) { return at_top(f) && is_safetensors(f); })) {
    return choose_safetensors(files);
  }
  if (ggufs.size() == 1) return whole_file(id, ggufs.front());
  if (ggufs.empty()) {
    return unsupported(fmt::format("pull {}: found {}, expected safetensors at the top or a GGUF file",
                                   id.text(), listed(files, false)));
  }
  return invalid_argument(
      fmt::format("pull {}: found {} GGUF files, expected one to be named: {}; for example {}:{}", id.text(),
                  ggufs.size(), listed(ggufs, true), id.text(), quant_of(ggufs.front().path)));
}

}  // namespace

std::string quant_of(const std::string& path) {
  std::string stem = name_of(path);
  if (ends_with(upper(stem), ".GGUF")) stem.resize(stem.size() - 5);
  if (is_in_parts(stem + ".gguf")) stem.resize(stem.size() - kPartSuffix);
  const std::size_t mark = stem.find_last_of("-.");
  return upper(mark == std::string::npos ? stem : stem.substr(mark + 1));
}

std::string readable_bytes(std::uint64_t bytes) {
  const auto n = static_cast<double>(bytes);
  if (bytes < 1000) return fmt::format("{} B", bytes);
  if (bytes < 1000 * 1000) return fmt::format("{:.0f} kB", n / 1e3);
  if (bytes < 1000 * 1000 * 1000) return fmt::format("{:.1f} MB", n / 1e6);
  return fmt::format("{:.2f} GB", n / 1e9);
}

Result<std::vector<HubFile>> choose_files(const ModelId& id, const std::vector<HubFile>& files,
                                          const Patterns& patterns) {
  std::vector<HubFile> chosen;
  if (patterns.include.empty()) {
    KAKEYA_ASSIGN(chosen, choose_default(id, files));
  } else {
    chosen = those(files, [&](const HubFile& file) { return matches(patterns.include, file.path); });
  }
  chosen = those(chosen, [&](const HubFile& file) { return !matches(patterns.exclude, file.path); });
  if (!chosen.empty()) return chosen;
  return invalid_argument(fmt::format("pull {}: --include and --exclude leave no file; there is {}",
                                      id.text(), listed(files, false)));
}

}  // namespace kakeya::hub
