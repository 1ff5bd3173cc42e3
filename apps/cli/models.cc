// kakeya-llm list and rm: the models in the store.
#include <fmt/format.h>
#include <kakeya/engine.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/places.h"
#include "hub/file_choice.h"

namespace kakeya::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Row {
  std::string name, type, revision, commit, modified, path, damage;
  std::uint64_t bytes = 0;
  bool complete = true, embedded = false;
};

// The pair that comes with the program, where it was installed.
std::vector<Row> embedded_pair() {
  const auto share = find_share_dir("");
  if (!share.ok()) return {};
  Row row;
  row.name = "tiny";
  row.type = "bfloat16";
  row.revision = "embedded";
  row.path = *share + "/models/tiny";
  row.embedded = true;
  for (const char* part : {"/target", "/draft"}) {
    std::error_code error;
    for (fs::directory_iterator it(row.path + part, error), end; !error && it != end; it.increment(error)) {
      std::error_code ignored;
      if (it->is_regular_file(ignored)) row.bytes += it->file_size(ignored);
    }
  }
  return {row};
}

Row row_of(const hub::Store::Entry& entry) {
  const hub::Manifest& manifest = entry.manifest;
  Row row{manifest.id.text(), entry.type, manifest.revision, manifest.commit, manifest.date, entry.path, ""};
  row.bytes = entry.bytes;
  row.complete = entry.complete;
  row.damage = entry.damage;
  return row;
}

Json row_json(const Row& row) {
  return {{"name", row.name},         {"bytes", row.bytes},
          {"type", row.type},         {"revision", row.revision},
          {"commit", row.commit},     {"modified", row.modified},
          {"complete", row.complete}, {"embedded", row.embedded},
          {"path", row.path},         {"damage", row.damage.empty() ? Json() : Json(row.damage)}};
}

// What is wrong with a model, and what helps.
std::string remark(const Row& row) {
  if (!row.damage.empty()) {
    return fmt::format("  broken: {}; kakeya-llm pull {} repairs it, kakeya-llm rm {} removes it", row.damage,
                       row.name, row.name);
  }
  return row.complete ? "" : "  incomplete: kakeya-llm pull " + row.name + " continues";
}

void print_rows(const std::vector<Row>& rows, const hub::Store& store) {
  std::size_t width = 4;
  for (const Row& row : rows) width = std::max(width, row.name.size());
  fmt::print("{:<{}}  {:>9}  {:<10} {:<22} {}\n", "NAME", width, "SIZE", "TYPE", "REVISION", "MODIFIED");
  for (const Row& row : rows) {
    const std::string revision =
        row.commit.empty() ? row.revision : fmt::format("{} ({})", row.revision, row.commit.substr(0, 8));
    fmt::print("{:<{}}  {:>9}  {:<10} {:<22} {}{}\n", row.name, width, hub::readable_bytes(row.bytes),
               row.type.empty() ? "-" : row.type, revision, row.modified.empty() ? "-" : row.modified,
               remark(row));
  }
  fmt::print(stderr, "store: {}\n", store.root());
}

int run_list(bool json) {
  const auto store = open_store();
  if (!store.ok()) return fail(store.error());
  const auto entries = store->list();
  if (!entries.ok()) return fail(entries.error());
  std::vector<Row> rows = embedded_pair();
  for (const hub::Store::Entry& entry : *entries) rows.push_back(row_of(entry));
  if (!json) {
    print_rows(rows, *store);
    return kOk;
  }
  Json models = Json::array();
  for (const Row& row : rows) models.push_back(row_json(row));
  print_json({{"store", store->root()}, {"models", std::move(models)}});
  return kOk;
}

// Asks on a terminal. Errors: kInvalidArgument where nobody can be asked.
Result<bool> confirmed(const std::string& name, bool yes) {
  if (yes) return true;
  if (::isatty(STDIN_FILENO) == 0) {
    return invalid_argument(fmt::format("rm {}: found no terminal to ask on, expected --yes", name));
  }
  fmt::print(stderr, "remove {}? [y/N] ", name);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

int run_rm(const std::string& name, bool yes) {
  const auto id = hub::id_of_name(name);
  if (!id) {
    return fail(
        invalid_argument(fmt::format(
            "rm: found '{}', expected the name of a pulled model; other files are not removed", name)),
        "kakeya-llm list shows the names");
  }
  const auto store = open_store();
  if (!store.ok()) return fail(store.error());
  if (!yes) {
    const auto found = store->removable(*id);
    if (!found.ok()) return fail(found.error(), "kakeya-llm list shows the names");
  }
  const auto sure = confirmed(id->text(), yes);
  if (!sure.ok()) return fail(sure.error());
  if (!*sure) {
    fmt::print("nothing removed\n");
    return kFailed;
  }
  const Status removed = store->remove(*id);
  if (!removed.ok()) return fail(removed.error(), "kakeya-llm list shows the names");
  fmt::print("removed {}\n", id->text());
  return kOk;
}

}  // namespace

void add_list_models(CLI::App& app, Context& context) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command =
      add_command(app, "list", "The pulled models", "  kakeya-llm list\n  kakeya-llm list --json");
  command->add_flag("--json", *json, "one JSON object");
  on_run(command, context, [json] { return run_list(*json); });
}

void add_rm(CLI::App& app, Context& context) {
  struct Flags {
    std::string name;
    bool yes = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      add_command(app, "rm", "Remove a pulled model, or the beginnings of one",
                  "  kakeya-llm rm Qwen/Qwen3-8B\n  kakeya-llm rm Qwen/Qwen3-8B-GGUF:Q4_K_M --yes");
  command->add_option("name", flags->name, "as 'list' shows it, or a short name")->required();
  command->add_flag("--yes", flags->yes, "do not ask");
  on_run(command, context, [flags] { return run_rm(flags->name, flags->yes); });
}

}  // namespace kakeya::cli
