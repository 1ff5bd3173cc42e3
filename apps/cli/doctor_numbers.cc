// Whether the numbers are right: kernels against scalar, the embedded pair against golden data.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <kakeya/codec.h>
#include <kakeya/estimate.h>
#include <kakeya/session.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "acceptance/files.h"
#include "cli/doctor_checks.h"
#include "cli/model_setup.h"
#include "cli/places.h"
#include "hub/json_text.h"

namespace kakeya::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kHeadDim = 128, kRows = 64;
constexpr std::size_t kMaxGoldenBytes = std::size_t{16} << 20;
// Variants sum in another order, so logits of a bf16 model differ in the last bits: measured below 1e-4 of
// the largest logit; a wrong kernel is off by far more.
constexpr double kLogitTolerance = 2e-3;
constexpr double kClearGap = 0.1;  // golden cases whose two best logits lie closer may part elsewhere
constexpr std::size_t kGoldenCases = 4;
constexpr int kMaxTokens = 128;
constexpr const char* kReport = "please report it with the output of kakeya-llm doctor --json";

// Ordinary rows, and those that go wrong first: zeros, one spike, large and tiny norms.
std::vector<float> probe_rows() {
  std::mt19937 random(1);
  std::vector<float> x(kRows * kHeadDim);
  // Sums of uniform numbers: the same on every system, unlike std::normal_distribution.
  for (float& v : x) {
    float sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<float>(random() >> 8) / 16777216.0f - 0.5f;
    v = sum;
  }
  std::fill_n(x.begin(), kHeadDim, 0.0f);
  for (std::size_t j = 0; j < kHeadDim; ++j) {
    x[kHeadDim + j] = j == 5 ? 40.0f : 0.0f;
    x[2 * kHeadDim + j] *= 1e4f;
    x[3 * kHeadDim + j] *= 1e-4f;
  }
  return x;
}

Result<std::vector<float>> coded(const std::string& channel, const std::string& isa,
                                 const std::vector<float>& x) {
  KAKEYA_ASSIGN(const auto codec, Codec::create(channel, kHeadDim, isa));
  KAKEYA_TRY(codec->encode(x));
  return codec->decode();
}

Check codec_check(const std::string& isa) {
  Check check{"channels on " + isa, Level::kOk, "", "", {}};
  const std::vector<float> x = probe_rows();
  std::vector<std::string> right, wrong;
  for (const std::string& channel : example_channels("bf16")) {
    const auto want = coded(channel, "scalar", x), got = coded(channel, isa, x);
    (want.ok() && got.ok() && *want == *got ? right : wrong).push_back(channel);
  }
  check.detail = {{"equal", right}, {"different", wrong}};
  check.found = fmt::format("{} channels, {} rows: the bits of scalar", right.size(), kRows);
  if (wrong.empty()) return check;
  check.level = Level::kFail;
  check.found = fmt::format("other bits than scalar: {}", fmt::join(wrong, ", "));
  check.next_step = fmt::format("--isa scalar works around it; {}", kReport);
  return check;
}

EngineOptions embedded(const DoctorOptions& options, const std::string& isa, bool draft) {
  EngineOptions out;
  out.share_dir = options.share_dir;
  out.isa = isa;
  out.threads = options.threads;
  if (draft) out.draft = "tiny";
  return out;
}

Result<std::vector<float>> logits_of(const DoctorOptions& options, const std::string& isa) {
  KAKEYA_ASSIGN(const auto engine, Engine::open(embedded(options, isa, false)));
  KAKEYA_ASSIGN(const auto session, engine->new_session({}));
  KAKEYA_ASSIGN(const auto ids, engine->encode("Tom has 3 bags of 4 apples. How many apples?", false));
  KAKEYA_ASSIGN(LogitResult result, session->logits(ids, LogitSelection::kAll, false));
  return std::move(result.logits);
}

Check logits_check(const DoctorOptions& options, const std::string& isa,
                   const Result<std::vector<float>>& want) {
  Check check{"logits on " + isa, Level::kOk, "", "", {}};
  const auto got = logits_of(options, isa);
  if (!want.ok() || !got.ok()) {
    check.level = Level::kFail;
    check.found = (want.ok() ? got : want).error().message;
    check.next_step = "kakeya-llm doctor needs the embedded pair: see share directory";
    return check;
  }
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < want->size() && i < got->size(); ++i) {
    largest = std::max(largest, std::abs(double{(*want)[i]}));
    difference = std::max(difference, std::abs(double{(*want)[i]} - double{(*got)[i]}));
  }
  const double relative = difference / largest;
  check.found = fmt::format("{:.1e} of the largest logit off scalar", relative);
  check.detail = {{"relative_difference", relative}, {"tolerance", kLogitTolerance}};
  if (want->size() == got->size() && relative <= kLogitTolerance) return check;  // false for NaN too
  check.level = Level::kFail;
  check.next_step = fmt::format("--isa scalar works around it; {}", kReport);
  return check;
}

// One case of models/tiny/golden.json, from PyTorch.
struct Golden {
  std::vector<Token> prompt, ids;
  std::vector<std::uint32_t> lengths;  // one per cycle
};

Result<std::vector<Golden>> golden_cases(const std::string& share_dir) {
  const std::string path = share_dir + "/models/tiny/golden.json";
  KAKEYA_ASSIGN(const std::string text, acceptance::read_whole_file(path, kMaxGoldenBytes));
  KAKEYA_ASSIGN(const Json root, hub::parse_json_text(path, text));
  std::vector<Golden> out;
  try {
    for (const Json& item : root.at("cases")) {
      if (out.size() == kGoldenCases) break;
      if (item.at("smallest_gap").get<double>() < kClearGap) continue;
      out.push_back({item.at("prompt_ids").get<std::vector<Token>>(),
                     item.at("dflash_ids").get<std::vector<Token>>(),
                     item.at("acceptance_lengths").get<std::vector<std::uint32_t>>()});
    }
  } catch (const nlohmann::json::exception& error) {
    return corrupt_data(fmt::format("read {}: {}", path, error.what()));
  }
  if (out.empty()) return corrupt_data(fmt::format("read {}: no cases, expected some", path));
  return out;
}

Result<Generation> generate(const Engine& engine, const std::string& kv, const std::vector<Token>& prompt,
                            bool draft) {
  SessionOptions session_options;
  session_options.kv = kv;
  if (kv == "f32") session_options.draft_kv = kv;
  KAKEYA_ASSIGN(const auto session, engine.new_session(session_options));
  GenerateOptions options;
  options.max_tokens = kMaxTokens;
  options.speculation = draft ? Speculation::kFixed : Speculation::kOff;
  return session->generate(prompt, options);
}

double mean_length(const std::vector<std::uint32_t>& lengths) {
  double sum = 0;
  for (const std::uint32_t length : lengths) sum += length;
  return lengths.empty() ? 0 : sum / static_cast<double>(lengths.size());
}

std::vector<std::uint32_t> lengths_of(const Generation& out) {
  std::vector<std::uint32_t> lengths;
  for (const Cycle& cycle : out.cycles) lengths.push_back(cycle.length());
  return lengths;
}

// Ids and every cycle's acceptance length, under the exact channel, as PyTorch had them.
Result<Check> tau_check(const Engine& engine, const std::vector<Golden>& cases) {
  std::vector<std::uint32_t> found, expected;
  std::size_t same_ids = 0;
  for (const Golden& golden : cases) {
    KAKEYA_ASSIGN(const Generation out, generate(engine, "f32", golden.prompt, true));
    const auto lengths = lengths_of(out);
    found.insert(found.end(), lengths.begin(), lengths.end());
    expected.insert(expected.end(), golden.lengths.begin(), golden.lengths.end());
    same_ids += out.ids == golden.ids ? 1 : 0;
  }
  Check check{"acceptance length", Level::kOk, "", "", {}};
  check.found = fmt::format("{:.3f} on {} prompts, {:.3f} in the golden data; {} of {} texts equal",
                            mean_length(found), cases.size(), mean_length(expected), same_ids, cases.size());
  check.detail = {{"found", mean_length(found)},
                  {"expected", mean_length(expected)},
                  {"cycles", found.size()},
                  {"equal_texts", same_ids},
                  {"texts", cases.size()}};
  if (found == expected && same_ids == cases.size()) return check;
  check.level = Level::kFail;
  check.next_step =
      fmt::format("the pair's files or this build are not what they should be: reinstall; {}", kReport);
  return check;
}

Result<Check> lossless_check(const Engine& engine, const std::vector<Golden>& cases, const std::string& kv) {
  Check check{"draft changes no token, " + kv, Level::kOk, "", "", {}};
  std::size_t same = 0, passes = 0, tokens = 0;
  for (const Golden& golden : cases) {
    KAKEYA_ASSIGN(const Generation plain, generate(engine, kv, golden.prompt, false));
    KAKEYA_ASSIGN(const Generation drafted, generate(engine, kv, golden.prompt, true));
    same += plain.ids == drafted.ids ? 1 : 0;
    passes += drafted.target_forwards;
    tokens += drafted.ids.size();
  }
  check.found =
      fmt::format("{} of {} texts equal; {} passes for {} tokens", same, cases.size(), passes, tokens);
  check.detail = {{"equal", same}, {"texts", cases.size()}, {"passes", passes}, {"tokens", tokens}};
  if (same == cases.size()) return check;
  check.level = Level::kFail;
  check.next_step = kReport;
  return check;
}

Check failed_check(std::string name, const Error& error, std::string next_step) {
  return {std::move(name), Level::kFail, error.message, std::move(next_step), {}};
}

void add(Result<Check> check, const char* name, Checks& out) {
  out.push_back(check.ok() ? std::move(*check) : failed_check(name, check.error(), kReport));
}

void check_embedded(const DoctorOptions& options, Checks& out) {
  const auto share = find_share_dir(options.share_dir);
  if (!share.ok()) return;  // said already
  const auto cases = golden_cases(*share);
  if (!cases.ok()) {
    out.push_back(failed_check("golden data", cases.error(), "reinstall share/kakeya"));
    return;
  }
  const auto engine = Engine::open(embedded(options, options.isa, true));
  if (!engine.ok()) {
    out.push_back(failed_check("embedded pair", engine.error(), "reinstall share/kakeya"));
    return;
  }
  add(tau_check(**engine, *cases), "acceptance length", out);
  for (const char* kv : {"bf16", "e8-q10"})
    add(lossless_check(**engine, *cases, kv), "draft changes no token", out);
}

// Whether the draft fits, from headers alone: a large model is not loaded for a pair that cannot run. False:
// not.
bool check_fit(const ModelFlags& flags, Checks& out) {
  auto draft = choose_draft(flags, false);
  std::string target = flags.model;
  if (!draft.ok() || draft->empty() || !resolve_in_place(target).ok() || !resolve_in_place(*draft).ok())
    return true;
  const auto odd = kakeya::check_pair(target, *draft, "");
  if (!odd.ok()) {
    if (odd.error().code == ErrorCode::kNotFound) return true;  // said where the model is opened
    out.push_back(failed_check("pair", odd.error(), "--draft NAME takes a draft made for this model"));
    return false;
  }
  Check check{"pair", Level::kOk, fmt::format("the draft {} fits the target by its headers", *draft), "", {}};
  check.detail = {{"notes", *odd}};
  if (!odd->empty()) {
    check.level = Level::kWarn;
    check.found += fmt::format(", but: {}", fmt::join(*odd, "; "));
    check.next_step = "a draft made for another model is accepted seldom: --draft NAME takes another";
  }
  out.push_back(std::move(check));
  return true;
}

// The user's own pair opens, fits and writes.
void check_model(const DoctorOptions& options, Checks& out) {
  ModelFlags flags;
  flags.model = options.model;
  flags.draft = options.draft;
  flags.threads = options.threads;
  if (!check_fit(flags, out)) return;
  Context context;
  context.isa = options.isa;
  const auto model = open_model(flags, context);
  if (!model.ok()) {
    out.push_back(
        failed_check("model " + options.model, model.error(), "kakeya-llm inspect says what lies there"));
    return;
  }
  const Engine& engine = *model->engine;
  const ModelInfo* draft = engine.draft();
  Check check{"model " + engine.target().id, Level::kOk, "", "", {}};
  check.found = draft != nullptr
                    ? fmt::format("the draft {} fits, blocks of {}", draft->id, draft->block_size)
                    : std::string("opens; no draft");
  check.detail = {{"target", engine.target().id}, {"draft", draft != nullptr ? Json(draft->id) : Json()}};
  if (draft == nullptr) {
    check.level = Level::kWarn;
    check.next_step = "a DFlash draft trained for it makes it faster: --draft NAME";
  }
  if (engine.template_family() == "none" && !engine.target().random_weights) {
    check.level = Level::kWarn;
    check.next_step = "its chat template is not known: run and chat refuse it, generate --prompt works";
  }
  out.push_back(std::move(check));
}

}  // namespace

void check_variants(const DoctorOptions& options, Checks& out) {
  const auto want = logits_of(options, "scalar");
  for (const std::string& isa : available_isas()) {
    if (isa == "scalar") continue;
    out.push_back(codec_check(isa));
    out.push_back(logits_check(options, isa, want));
  }
}

void check_pair(const DoctorOptions& options, Checks& out) {
  check_embedded(options, out);
  if (!options.model.empty()) check_model(options, out);
}

}  // namespace kakeya::cli
