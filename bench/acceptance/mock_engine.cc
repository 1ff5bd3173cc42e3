#include "acceptance/mock_engine.h"

#include <fmt/format.h>
#include <kakeya/codec.h>

#include <algorithm>
#include <cmath>

#include "acceptance/files.h"

namespace kakeya::acceptance {
namespace {

constexpr std::size_t kLayers = 36, kKvHeads = 8,
                      kHeadDim = 128;  // the shape of Qwen3-8B, which the theory is about
constexpr std::size_t kTheoryBlock = 16;

std::uint64_t mix(std::uint64_t x) {  // the finaliser of SplitMix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

std::uint64_t hash_ids(const std::vector<Token>& ids, std::uint64_t seed) {
  std::uint64_t h = mix(seed + 0x9e3779b97f4a7c15ULL);
  for (const Token id : ids) h = mix(h ^ static_cast<std::uint64_t>(id) * 0x100000001b3ULL);
  return h;
}

// The chance p that one more draft token stands, such that 1 + p + ... + p^15 = tau.
double survival(double tau) {
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double p = (low + high) / 2;
    double sum = 0, power = 1;
    for (std::size_t k = 0; k < kTheoryBlock; ++k, power *= p) sum += power;
    (sum < tau ? low : high) = p;
  }
  return (low + high) / 2;
}

// Tokens a cycle at block `width`, were every draft token to stand with the chance that theory implies at 16.
double tau_at(double tau16, std::size_t width) {
  const double p = survival(tau16);
  double sum = 0, power = 1;
  for (std::size_t k = 0; k < width; ++k, power *= p) sum += power;
  return sum;
}

// Accepted tokens at one position: spread by at most 4 around tau, so that a handful of cycles already shows
// the theory. The same u for every channel, so a better channel never accepts less.
std::uint32_t accepted_at(double tau, std::uint64_t prompt_hash, std::size_t position,
                          std::uint32_t proposed) {
  const double u =
      static_cast<double>(mix(prompt_hash + 0x9e3779b97f4a7c15ULL * (position + 1)) >> 11) * 0x1p-53;
  const double spread = std::min({tau - 1, proposed + 1 - tau, 4.0});
  const double length = std::round(tau + spread * (2 * u - 1));
  return static_cast<std::uint32_t>(std::clamp<double>(length - 1, 0, proposed));
}

class MockEngine final : public BenchEngine {
 public:
  explicit MockEngine(std::size_t block_size) {
    target_ = {.id = "mock-target",
               .path = "",
               .sha256 = std::string(64, '0'),
               .dtype = "none",
               .architecture = "mock",
               .layers = kLayers,
               .kv_heads = kKvHeads,
               .head_dim = kHeadDim,
               .context = 40960};
    draft_ = target_;
    draft_.id = "mock-draft";
    draft_.layers = 5;
    draft_.block_size = block_size;
  }

  const char* kind() const override { return "mock"; }
  const ModelFacts& target() const override { return target_; }
  const ModelFacts& draft() const override { return draft_; }
  int threads() const override { return 1; }
  std::string isa() const override { return "none"; }
  const std::vector<Token>& stop_ids() const override { return stop_ids_; }

  Result<ChannelFacts> channel(const std::string& name, const GenerationSettings& settings) const override {
    KAKEYA_ASSIGN(const ChannelInfo info, channel_info(name, kHeadDim));
    KAKEYA_TRY(channel_info(settings.draft_channel, kHeadDim));
    ChannelFacts facts{info.name,         info.lattice,      info.q_range,           info.bits_allocated,
                       info.bits_formula, settings.boundary, settings.draft_channel, {}};
    for (std::size_t layer = 0; layer < kLayers; ++layer) {
      const auto edge = static_cast<std::size_t>(settings.boundary);
      facts.layers.push_back(layer < edge || layer + edge >= kLayers ? "bf16" : info.name);
    }
    return facts;
  }

  Result<Prompt> prompt(const Problem& problem, PromptStyle) const override {
    Prompt prompt;
    prompt.template_name = "raw";
    for (const unsigned char c : problem.prompt) prompt.ids.push_back(c);
    return prompt;
  }

  Result<FreePart> free_run(const std::string& name, const Prompt& prompt, std::size_t max_tokens,
                            const GenerationSettings& settings, const StopSignal& stop) override {
    if (stop()) return Error{ErrorCode::kCancelled, "stopped"};
    KAKEYA_ASSIGN(const ChannelFacts facts, channel(name, settings));
    const std::uint64_t h = hash_ids(prompt.ids, settings.seed);
    const std::uint32_t proposed = proposed_per_cycle(settings);
    const double tau = tau_at(mock_tau16(facts), proposed + 1);
    const std::size_t wanted = 96 + h % 160;  // where this answer would end by itself

    FreePart part;
    const std::size_t length = std::min(max_tokens, wanted);
    part.finish_reason = wanted <= max_tokens ? "stop" : "length";
    for (std::size_t i = 0; i < length; ++i) part.output_ids.push_back(static_cast<Token>(mix(h + i) % 4000));
    for (std::size_t at = 0; at + 1 < length;) {
      Cycle cycle{proposed, accepted_at(tau, h, at, proposed), 0};
      cycle.emitted = static_cast<std::uint32_t>(std::min<std::size_t>(cycle.length(), length - 1 - at));
      at += cycle.emitted;
      part.cycles.push_back(cycle);
    }
    part.target_forwards = part.cycles.size();
    part.text = fmt::format("MOCK output of {} tokens", length);
    part.grade_detail = "mock output is not graded";
    part.ttft_ms = 0.5 * static_cast<double>(prompt.ids.size());
    part.decode_ms = 40.0 * static_cast<double>(part.cycles.size());
    part.draft_ms = part.decode_ms / 4;
    part.verify_ms = part.decode_ms - part.draft_ms;
    part.memory = memory(facts, settings, prompt.ids.size() + length);
    return part;
  }

  Result<ForcedPart> forced_run(const std::string& name, const Prompt& prompt,
                                const std::vector<Token>& reference, const std::vector<std::size_t>& anchors,
                                const GenerationSettings& settings) override {
    KAKEYA_ASSIGN(const ChannelFacts facts, channel(name, settings));
    const std::uint64_t h = hash_ids(prompt.ids, settings.seed);
    const double tau = mock_tau16(facts);
    const std::uint32_t proposed = proposed_per_cycle(settings);
    const double tau_here = tau_at(tau, proposed + 1);
    ForcedPart part;
    part.reference_sha256 = ids_sha256(reference);
    part.reference_tokens = reference.size();
    for (const std::size_t at : anchors) {
      part.anchors.push_back({at, proposed, accepted_at(tau_here, h, at, proposed)});
    }
    const double loss = std::max(0.0, (mock_baseline_tau() - tau) / mock_baseline_tau());  // 0 for bf16
    part.positions = reference.size();
    const auto wrong = static_cast<std::size_t>(loss * 0.1 * static_cast<double>(part.positions));
    part.top1_agree = part.positions - wrong;
    part.kl_sum = loss * 0.05 * static_cast<double>(part.positions);
    part.nll_baseline_sum = 0.25 * static_cast<double>(part.positions);
    part.nll_sum = part.nll_baseline_sum * (1 + loss * 0.1);
    part.first_divergence = wrong == 0 ? -1 : static_cast<std::ptrdiff_t>(part.positions / (wrong + 1));
    return part;
  }

 private:
  static double mock_baseline_tau() { return 15; }

  std::uint32_t proposed_per_cycle(const GenerationSettings& settings) const {
    const std::size_t block = settings.block_size != 0 ? settings.block_size : draft_.block_size;
    const std::size_t width = settings.verify_width != 0 ? std::min(settings.verify_width, block) : block;
    return static_cast<std::uint32_t>(width - 1);
  }

  static KvFacts cache(double bits, std::size_t layers, std::size_t context, std::size_t stored, bool coded) {
    const std::size_t per_token = 2 * kKvHeads * layers;
    KvFacts kv;
    kv.vectors_capacity = per_token * context;
    kv.vectors_stored = per_token * stored;
    kv.codes_bytes = static_cast<std::uint64_t>(bits / 8 * static_cast<double>(kv.vectors_capacity));
    kv.peak_bytes = kv.codes_bytes;
    const FiredCount all{stored, 2 * kKvHeads * stored};
    (coded ? kv.codec_fired : kv.skip_fired).assign(layers, all);
    (coded ? kv.skip_fired : kv.codec_fired).assign(layers, {});
    return kv;
  }

  MemoryFacts memory(const ChannelFacts& facts, const GenerationSettings& settings,
                     std::size_t stored) const {
    const std::size_t context = std::max(settings.context_tokens, stored);
    const double draft_bits = channel_info(settings.draft_channel, kHeadDim).value().bits_allocated;
    return {cache(facts.bits_allocated, kLayers, context, stored, facts.name != "bf16"),
            cache(draft_bits, draft_.layers, context, stored, settings.draft_channel != "bf16"), 0, 0};
  }

  ModelFacts target_, draft_;
  std::vector<Token> stop_ids_;
};

}  // namespace

std::unique_ptr<BenchEngine> make_mock_engine(std::size_t block_size) {
  return std::make_unique<MockEngine>(block_size);
}

double mock_tau16(const ChannelFacts& channel) {
  if (channel.name == "bf16") return 15;
  if (channel.q_range > 0) {
    // The proposal gives three points; between them linear in log2 of the range, D4 a little below E8.
    const double x = std::log2(static_cast<double>(channel.q_range));
    const double x4 = 2, x10 = std::log2(10.0), x38 = std::log2(38.0);
    double tau = x < x10 ? 8 + (x - x4) / (x10 - x4) * 4 : 12 + (x - x10) / (x38 - x10) * 2;
    tau = std::clamp(tau, 2.0, 14.8);
    return channel.lattice == "d4" ? tau * 0.98 : tau;
  }
  // Other codecs by their size: 8 bits a value keeps most, 3 bits loses about half.
  const double bits_per_value = channel.bits_allocated / static_cast<double>(kHeadDim);
  return std::clamp(14.5 - 0.9 * std::pow(std::max(0.0, 8.5 - bits_per_value), 1.25), 2.0, 14.8);
}

Result<Dataset> mock_dataset(const std::string& name, std::size_t n_samples, std::uint64_t seed) {
  const std::vector<std::string> known = dataset_names();
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    return invalid_argument(fmt::format("unknown data set '{}': known are {}", name, fmt::join(known, ", ")));
  }
  const bool code = name == "humaneval" || name == "py-mini";
  Dataset set;
  set.name = name;
  set.source = "synthetic";
  set.path = "mock";
  set.n_available = n_samples;
  set.seed = seed;
  std::string all;
  for (std::size_t i = 0; i < n_samples; ++i) {
    const std::uint64_t h = mix(seed * 1000003 + i + 1);
    Problem problem;
    problem.index = i;
    problem.task_id = fmt::format("mock-{}/{}", name, i);
    problem.kind = code ? TaskKind::kCode : TaskKind::kMath;
    const auto a = 2 + h % 50, b = 2 + (h >> 8) % 50;
    if (code) {
      problem.entry_point = fmt::format("add_{}", i);
      problem.prompt = fmt::format("def add_{}(x):\n    \"\"\"Return x plus {}.\"\"\"\n", i, a);
      problem.test = fmt::format("def check(candidate):\n    assert candidate({}) == {}\n", b, a + b);
    } else {
      problem.prompt = fmt::format("Ann has {} pens and buys {} more. How many pens has she now?", a, b);
      problem.answer = std::to_string(a + b);
    }
    all += problem.prompt;
    set.problems.push_back(std::move(problem));
  }
  set.sha256 = sha256_text(all);
  return set;
}

}  // namespace kakeya::acceptance
