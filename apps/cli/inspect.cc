// kakeya-llm inspect: what a model is and what it needs in memory, from the headers of its files.
#include <fmt/format.h>
#include <kakeya/codec.h>
#include <kakeya/estimate.h>
#include <kakeya/speed.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/model_setup.h"
#include "cli/number_flags.h"
#include "cli/places.h"
#include "hub/file_choice.h"

namespace kakeya::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kGiB = 1024.0 * 1024 * 1024;
constexpr double kMostGiB = 1e9;  // its bytes fit 64 bits

struct InspectFlags {
  std::string model_argument, model = "tiny", draft;
  bool no_draft = false, json = false;
  std::size_t tokens = 0;  // 0 = the model's context
  double memory_gib = 0;   // 0 = what is free now
  std::vector<std::string> channels;
  std::string draft_kv = "bf16";
  int boundary = 0;
};

struct Subject {
  ModelSummary target;
  std::optional<ModelSummary> draft;
  std::vector<std::string> odd;  // what runs, but is not what a draft made for the target has
  const ModelSummary* draft_or_null() const { return draft ? &*draft : nullptr; }
};

// One line of the table.
struct Row {
  std::string channel;
  double bits = 0;  // allocated, a vector
  MemoryNeed need;
  std::uint64_t most_tokens = 0;  // that fit
};

struct Answer {
  std::size_t tokens = 0;
  std::uint64_t memory_bytes = 0;
  bool memory_given = false;
  std::vector<Row> rows;
  std::vector<std::string> refused;  // channels that this model cannot have, with the reason
};

Result<Subject> open_target(const InspectFlags& flags) {
  Subject subject;
  std::string path = flags.model;
  KAKEYA_TRY(resolve_in_place(path));
  KAKEYA_ASSIGN(subject.target, summarize_model(path, ModelRole::kTarget, ""));
  return subject;
}

Status add_draft(const InspectFlags& flags, Subject& subject) {
  ModelFlags chosen;
  chosen.model = flags.model;
  chosen.draft = flags.draft;
  chosen.no_draft = flags.no_draft;
  KAKEYA_ASSIGN(std::string name, choose_draft(chosen, false));
  if (name.empty()) return {};
  KAKEYA_TRY(resolve_in_place(name));
  KAKEYA_ASSIGN(subject.draft, summarize_model(name, ModelRole::kDraft, ""));
  auto odd = kakeya::check_pair(subject.target.info.path, name, "");
  if (!odd.ok()) {
    // The model is there: what is not found is a tensor in it.
    const ErrorCode code = odd.error().code;
    return Error{code == ErrorCode::kNotFound ? ErrorCode::kCorruptData : code, odd.error().message};
  }
  subject.odd = std::move(*odd);
  return {};
}

// Tokens that fit the memory, no more than the model's context.
std::uint64_t most_tokens(const Subject& subject, const MemoryNeed& need, std::uint64_t memory) {
  const std::uint64_t fixed = need.weights + need.draft_weights + need.scratch;
  const double a_token = need.kv_per_token + need.draft_kv_per_token;
  if (memory <= fixed) return 0;
  const auto fits = static_cast<std::uint64_t>(static_cast<double>(memory - fixed) / a_token);
  return std::min<std::uint64_t>(fits, subject.target.info.max_position_embeddings);
}

Result<Answer> answer_for(const InspectFlags& flags, const Subject& subject) {
  Answer out;
  const ModelInfo& target = subject.target.info;
  out.tokens = flags.tokens != 0 ? flags.tokens : target.max_position_embeddings;
  if (out.tokens > target.max_position_embeddings) {
    return invalid_argument(fmt::format("--tokens {}: expected at most {}, the context of {}", out.tokens,
                                        target.max_position_embeddings, target.id));
  }
  out.memory_given = flags.memory_gib > 0;
  out.memory_bytes = out.memory_given ? static_cast<std::uint64_t>(flags.memory_gib * kGiB)
                                      : process_memory().available_bytes;
  const bool named = !flags.channels.empty();
  for (const std::string& name : named ? flags.channels : example_channels("bf16")) {
    MemoryQuestion question{name, flags.draft_kv, flags.boundary, out.tokens};
    const auto need = estimate_memory(subject.target, subject.draft_or_null(), question);
    if (!need.ok() && (named || need.error().code != ErrorCode::kUnsupported)) return need.error();
    if (!need.ok()) {
      out.refused.push_back(need.error().message);
      continue;
    }
    KAKEYA_ASSIGN(const ChannelInfo info, channel_info(name, target.head_dim));
    out.rows.push_back({name, info.bits_allocated, *need, most_tokens(subject, *need, out.memory_bytes)});
  }
  return out;
}

std::string readable_count(std::size_t n) {
  const double millions = static_cast<double>(n) / 1e6;
  return millions < 1000 ? fmt::format("{:.2f} million", millions)
                         : fmt::format("{:.2f} billion", millions / 1000);
}

void print_model(const char* role, const ModelSummary& summary) {
  const ModelInfo& m = summary.info;
  fmt::print("{:<8} {} ({})\n", role, m.id, m.path);
  fmt::print("         {}, {} layers, hidden {}, {} heads of {} ({} for K and V), vocabulary {}\n",
             m.architecture, m.layers, m.hidden_size, m.heads, m.head_dim, m.kv_heads, m.vocab_size);
  fmt::print("         {} parameters in {}, {}{}{}\n", readable_count(m.parameters), m.dtype,
             hub::readable_bytes(m.weight_bytes),
             summary.files > 1 ? fmt::format(" in {} files", summary.files) : "",
             m.random_weights ? " (random weights: for measuring only)" : "");
  if (m.block_size > 0) {
    fmt::print("         blocks of {}, reads the target's layers {}\n", m.block_size,
               fmt::join(m.target_layer_ids, ", "));
  } else {
    fmt::print("         context {} tokens\n", m.max_position_embeddings);
  }
}

void print_table(const Subject& subject, const Answer& answer) {
  fmt::print("\n{:<10} {:>9} {:>12} {:>12} {:>12} {:>12}  {}\n", "KV", "bits", "bytes/token",
             subject.draft ? "+ draft" : "", "KV in all", "everything", "fits");
  for (const Row& row : answer.rows) {
    const bool fits = row.need.total() <= answer.memory_bytes;
    fmt::print("{:<10} {:>9.0f} {:>12.0f} {:>12} {:>12} {:>12}  {}\n", row.channel, row.bits,
               row.need.kv_per_token, subject.draft ? fmt::format("{:.0f}", row.need.draft_kv_per_token) : "",
               hub::readable_bytes(row.need.kv + row.need.draft_kv), hub::readable_bytes(row.need.total()),
               fits ? "yes" : fmt::format("no, {} tokens do", row.most_tokens));
  }
  for (const std::string& reason : answer.refused) fmt::print("left out: {}\n", reason);
  const MemoryNeed& first = answer.rows.front().need;
  fmt::print(
      "\nfor {} tokens in {} ({}): weights {}, work buffers {}, KV as above; bits are of one vector of K or "
      "V, allocated\n",
      answer.tokens, hub::readable_bytes(answer.memory_bytes), answer.memory_given ? "--memory" : "free now",
      hub::readable_bytes(first.weights + first.draft_weights), hub::readable_bytes(first.scratch));
}

Json model_json(const ModelSummary& summary) {
  const ModelInfo& m = summary.info;
  Json out = {{"id", m.id},
              {"path", m.path},
              {"architecture", m.architecture},
              {"dtype", m.dtype},
              {"parameters", m.parameters},
              {"weight_bytes", m.weight_bytes},
              {"tensors", summary.tensors},
              {"files", summary.files},
              {"layers", m.layers},
              {"hidden_size", m.hidden_size},
              {"heads", m.heads},
              {"kv_heads", m.kv_heads},
              {"head_dim", m.head_dim},
              {"vocab_size", m.vocab_size},
              {"context", m.max_position_embeddings},
              {"random_weights", m.random_weights}};
  if (m.block_size > 0) {
    out["block_size"] = m.block_size;
    out["target_layer_ids"] = m.target_layer_ids;
  }
  return out;
}

Json row_json(const Row& row, std::uint64_t memory) {
  const MemoryNeed& need = row.need;
  return {{"channel", row.channel},
          {"bits_allocated", row.bits},
          {"bytes_per_token", need.kv_per_token},
          {"draft_bytes_per_token", need.draft_kv_per_token},
          {"weight_bytes", need.weights},
          {"draft_weight_bytes", need.draft_weights},
          {"kv_bytes", need.kv},
          {"draft_kv_bytes", need.draft_kv},
          {"scratch_bytes", need.scratch},
          {"total_bytes", need.total()},
          {"fits", need.total() <= memory},
          {"most_tokens", row.most_tokens}};
}

void print_answer(const InspectFlags& flags, const Subject& subject, const Answer& answer) {
  if (!flags.json) {
    print_model("target", subject.target);
    if (subject.draft) print_model("draft", *subject.draft);
    for (const std::string& note : subject.odd) fmt::print("note     {}\n", note);
    return print_table(subject, answer);
  }
  Json channels = Json::array();
  for (const Row& row : answer.rows) channels.push_back(row_json(row, answer.memory_bytes));
  print_json({{"target", model_json(subject.target)},
              {"draft", subject.draft ? model_json(*subject.draft) : Json()},
              {"pair_notes", subject.odd},
              {"tokens", answer.tokens},
              {"memory_bytes", answer.memory_bytes},
              {"memory", answer.memory_given ? "given" : "free now"},
              {"boundary", flags.boundary},
              {"draft_kv", flags.draft_kv},
              {"channels", std::move(channels)},
              {"left_out", answer.refused}});
}

std::string_view channel_step_of(const InspectFlags& flags, const Subject& subject) {
  const std::string_view step = channel_step(flags.channels, subject.target.info.head_dim);
  const ModelSummary& draft = subject.draft ? *subject.draft : subject.target;
  return step.empty() ? channel_step({flags.draft_kv}, draft.info.head_dim) : step;
}

int run(InspectFlags flags) {
  if (!flags.model_argument.empty()) flags.model = flags.model_argument;
  auto subject = open_target(flags);
  if (!subject.ok()) return fail(subject.error(), next_step_of(subject.error()));
  if (const Status added = add_draft(flags, *subject); !added.ok()) {
    const std::string_view step = next_step_of(added.error());
    return fail(added.error(),
                step.empty() ? "--draft NAME takes another draft, --no-draft shows the target alone" : step);
  }
  const auto answer = answer_for(flags, *subject);
  if (!answer.ok()) return fail(answer.error(), channel_step_of(flags, *subject));
  print_answer(flags, *subject, *answer);
  return kOk;
}

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  auto flags = std::make_shared<InspectFlags>();
  CLI::App* command =
      add_command(app, "inspect", "What a model is, and what it needs in memory",
                  "  kakeya-llm inspect\n"
                  "  kakeya-llm inspect Qwen/Qwen3-8B --tokens 32768 --memory 24\n"
                  "  kakeya-llm inspect random:qwen3-8b:q4_0 --draft random:qwen3-8b-dflash:q4_0\n"
                  "  kakeya-llm inspect ./model.gguf --kv e8-q10,bf16 --json\n"
                  "It reads the headers of the files and loads nothing.");
  command->add_option("model", flags->model_argument,
                      "'tiny', a short name, ORG/REPO, a GGUF file or a directory");
  command->add_option("-m,--model", flags->model, "model when none is named as an argument")
      ->capture_default_str();
  command->add_option("--draft", flags->draft,
                      "its DFlash draft. Default: the published one, where it was pulled");
  command->add_flag("--no-draft", flags->no_draft, "the target alone");
  command->add_option("--tokens", flags->tokens, "in the KV cache; 0 = the model's context")
      ->capture_default_str();
  command->add_option("--memory", flags->memory_gib, "GiB that there are; 0 = what is free now")
      ->check(number_between(0, kMostGiB))
      ->capture_default_str();
  command->add_option("--kv", flags->channels, "channels to show; default: one of each kind")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--draft-kv", flags->draft_kv, "KV channel of the draft")->capture_default_str();
  command->add_option("--boundary", flags->boundary, "first and last layers whose KV stays bf16")
      ->capture_default_str();
  command->add_flag("--json", flags->json, "one JSON object");
  on_run(command, context, [flags] { return run(*flags); });
}

}  // namespace kakeya::cli
