#include "acceptance/identity.h"

#include <fmt/format.h>
#include <kakeya/version.h>

#include <nlohmann/json.hpp>

#include "acceptance/files.h"

namespace kakeya::acceptance {
namespace {

using Json = nlohmann::ordered_json;

std::string selection_sha256(const Dataset& dataset) {
  std::string text;
  for (const Problem& problem : dataset.problems)
    text += fmt::format("{}\n{}\n", problem.index, problem.prompt);
  return sha256_text(text);
}

}  // namespace

Json cell_identity(const RunOptions& options, const BenchEngine& engine, const Dataset& dataset,
                   const ChannelFacts& channel, const GenerationSettings& settings) {
  // What a user chooses comes first: the first difference is the one that is named.
  return {
      {"engine", engine.kind()},
      {"protocol", options.protocol},
      {"params",
       {{"n_samples", options.n_samples},
        {"max_tokens", options.max_tokens},
        {"seed", options.seed},
        {"block_size", settings.block_size},
        {"verify_width", settings.verify_width},
        {"temperature", static_cast<double>(options.temperature)},
        {"anchors", options.anchors},
        {"prompt_style", to_string(prompt_style(options))},
        {"context_tokens", settings.context_tokens}}},
      {"channel",
       {{"name", channel.name}, {"boundary", channel.boundary}, {"draft_channel", channel.draft_channel}}},
      {"dataset",
       {{"name", dataset.name},
        {"source", dataset.source},
        {"sha256", dataset.sha256},
        {"seed", dataset.seed},
        {"selection_sha256", selection_sha256(dataset)}}},
      {"target", {{"id", engine.target().id}, {"sha256", engine.target().sha256}}},
      {"draft", {{"id", engine.draft().id}, {"sha256", engine.draft().sha256}}},
      {"kakeya", {{"version", version()}, {"commit", build_commit()}, {"build", build_type()}}},
      {"machine", {{"isa", engine.isa()}, {"threads", engine.threads()}}}};
}

std::string identity_difference(const Json& there, const Json& now) {
  if (there == now) return {};
  const Json flat_there = there.flatten(), flat_now = now.flatten();
  for (const auto& [key, value] : flat_now.items()) {
    const Json found = flat_there.contains(key) ? flat_there.at(key) : Json("nothing");
    if (found == value) continue;
    std::string name = key.substr(1);
    for (char& c : name) c = c == '/' ? '.' : c;
    return fmt::format("{}: {} there, {} now", name, found.dump(), value.dump());
  }
  for (const auto& [key, value] : flat_there.items()) {
    if (!flat_now.contains(key)) return fmt::format("{}: {} there, nothing now", key.substr(1), value.dump());
  }
  return "order of the fields";
}

}  // namespace kakeya::acceptance
