#include "hub/file_choice.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <map>

#include "base/split_name.h"

namespace kakeya::hub {
namespace {

constexpr std::size_t kShownFiles = 40;

std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// "Model-8B-Q4_K_M" of "dir/Model-8B-Q4_K_M-00001-of-00002.gguf".
std::string stem_of(const std::string& path) {
  if (const auto split = base::parse_split_name(path)) return name_of(split->prefix);
  const std::string name = name_of(path);
  return ends_with(upper(name), ".GGUF") ? name.substr(0, name.size() - 5) : name;
}

bool at_top(const HubFile& file) { return file.path.find('/') == std::string::npos; }
bool is_safetensors(const HubFile& file) { return ends_with(file.path, ".safetensors"); }

// A language model in GGUF: not the projector of a vision model, not an importance matrix.
bool is_gguf(const HubFile& file) {
  const std::string name = upper(name_of(file.path));
  return ends_with(name, ".GGUF") && name.rfind("MMPROJ", 0) != 0 &&
         name.find("IMATRIX") == std::string::npos;
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

// A model in GGUF: one file, or all parts of a split one.
struct GgufModel {
  std::vector<HubFile> files;  // that are there
  std::uint32_t parts = 1;     // that belong to it

  const std::string& path() const { return files.front().path; }
  std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const HubFile& file : files) sum += file.size;
    return sum;
  }
};

std::vector<GgufModel> gguf_models(const std::vector<HubFile>& files) {
  std::map<std::string, const HubFile*> by_path;
  std::vector<std::string> paths;
  for (const HubFile& file : files) {
    if (!is_gguf(file)) continue;
    by_path.emplace(file.path, &file);
    paths.push_back(file.path);
  }
  std::vector<GgufModel> out;
  for (const base::FileGroup& group : base::group_split_files(paths)) {
    GgufModel& model = out.emplace_back(GgufModel{{}, group.count});
    for (const std::string& path : group.paths) model.files.push_back(*by_path.at(path));
  }
  return out;
}

std::string listed(const std::vector<HubFile>& files) {
  std::string out;
  for (std::size_t i = 0; i < std::min(files.size(), kShownFiles); ++i) {
    out += fmt::format("{}{} ({})", i == 0 ? "" : ", ", files[i].path, readable_bytes(files[i].size));
  }
  if (files.size() > kShownFiles) out += fmt::format(" and {} more", files.size() - kShownFiles);
  return out.empty() ? "nothing" : out;
}

std::string listed(const std::vector<GgufModel>& models, bool as_quants) {
  std::string out;
  for (std::size_t i = 0; i < std::min(models.size(), kShownFiles); ++i) {
    const GgufModel& model = models[i];
    out += fmt::format("{}{} ({}{})", i == 0 ? "" : ", ", as_quants ? quant_of(model.path()) : model.path(),
                       readable_bytes(model.bytes()),
                       model.parts > 1 ? fmt::format(" in {} parts", model.parts) : "");
  }
  if (models.size() > kShownFiles) out += fmt::format(" and {} more", models.size() - kShownFiles);
  return out.empty() ? "nothing" : out;
}

Result<std::vector<HubFile>> whole_model(const ModelId& id, const GgufModel& model) {
  if (model.files.size() == model.parts) return model.files;
  for (std::uint32_t part = 1; part <= model.parts; ++part) {
    const std::string path = base::parse_split_name(model.path())->path_of(part);
    const bool there = std::any_of(model.files.begin(), model.files.end(),
                                   [&](const HubFile& file) { return file.path == path; });
    if (!there) {
      return not_found(
          fmt::format("pull {}: found {} of {} parts, expected {} too, which the repository does "
                      "not have; take another file or --revision",
                      id.text(), model.files.size(), model.parts, path));
    }
  }
  return model.files;
}

Result<std::vector<HubFile>> choose_quant(const ModelId& id, const std::vector<GgufModel>& models) {
  std::vector<GgufModel> fitting;
  std::copy_if(models.begin(), models.end(), std::back_inserter(fitting),
               [&](const GgufModel& model) { return is_of_quant(model.path(), id.variant); });
  if (fitting.size() == 1) return whole_model(id, fitting.front());
  if (!fitting.empty()) {
    return invalid_argument(
        fmt::format("pull {}: found {} files of {} ({}), expected one: name it with --include", id.text(),
                    fitting.size(), id.variant, listed(fitting, false)));
  }
  return not_found(fmt::format("pull {}: no GGUF file of {} there; there is {}", id.text(), id.variant,
                               listed(models, true)));
}

// With every part that was included its others; a split model in pieces is none.
std::vector<HubFile> with_all_parts(const std::vector<HubFile>& files, std::vector<HubFile> chosen) {
  for (const GgufModel& model : gguf_models(files)) {
    const auto taken = [&](const HubFile& file) {
      return std::any_of(chosen.begin(), chosen.end(),
                         [&](const HubFile& other) { return other.path == file.path; });
    };
    if (std::none_of(model.files.begin(), model.files.end(), taken)) continue;
    for (const HubFile& file : model.files) {
      if (!taken(file)) chosen.push_back(file);
    }
  }
  return chosen;
}

Status check_parts(const ModelId& id, const std::vector<HubFile>& files, const std::vector<HubFile>& chosen) {
  const std::vector<GgufModel> all = gguf_models(files);
  for (const GgufModel& model : gguf_models(chosen)) {
    const auto whole = std::find_if(all.begin(), all.end(), [&](const GgufModel& other) {
      return std::any_of(other.files.begin(), other.files.end(),
                         [&](const HubFile& file) { return file.path == model.path(); });
    });
    KAKEYA_TRY(whole_model(id, *whole));
    if (model.files.size() == model.parts) continue;
    return invalid_argument(
        fmt::format("pull {}: --exclude leaves {} of the {} parts of {}, expected all or none", id.text(),
                    model.files.size(), model.parts, model.path()));
  }
  return {};
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
  const auto ggufs = gguf_models(files);
  if (!id.variant.empty()) return choose_quant(id, ggufs);
  if (std::any_of(files.begin(), files.end(),
                  [](const HubFile& f) { return at_top(f) && is_safetensors(f); })) {
    return choose_safetensors(files);
  }
  if (ggufs.size() == 1) return whole_model(id, ggufs.front());
  if (ggufs.empty()) {
    return unsupported(fmt::format("pull {}: found {}, expected safetensors at the top or a GGUF file",
                                   id.text(), listed(files)));
  }
  return invalid_argument(
      fmt::format("pull {}: found {} GGUF models, expected one to be named: {}; for example {}:{}", id.text(),
                  ggufs.size(), listed(ggufs, true), id.text(), quant_of(ggufs.front().path())));
}

}  // namespace

std::string quant_of(const std::string& path) {
  const std::string stem = stem_of(path);
  const std::size_t mark = stem.find_last_of("-.");
  return upper(mark == std::string::npos ? stem : stem.substr(mark + 1));
}

bool is_of_quant(const std::string& path, const std::string& quant) {
  const std::string stem = upper(stem_of(path)), wanted = upper(quant);
  if (!ends_with(stem, wanted)) return false;
  return stem.size() == wanted.size() || stem[stem.size() - wanted.size() - 1] == '-' ||
         stem[stem.size() - wanted.size() - 1] == '.';
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
    chosen = with_all_parts(
        files, those(files, [&](const HubFile& file) { return matches(patterns.include, file.path); }));
  }
  chosen = those(chosen, [&](const HubFile& file) { return !matches(patterns.exclude, file.path); });
  if (chosen.empty()) {
    return invalid_argument(
        fmt::format("pull {}: --include and --exclude leave no file; there is {}", id.text(), listed(files)));
  }
  KAKEYA_TRY(check_parts(id, files, chosen));
  return chosen;
}

}  // namespace kakeya::hub
