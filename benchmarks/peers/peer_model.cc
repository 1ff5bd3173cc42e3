#include "peer_model.h"

#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "peer_state.h"

namespace peers {
namespace {

constexpr int kSeedTokens = 256;  // real tokens whose cached rows deeper contexts repeat
constexpr int kChunkCells = 512;  // rows restored at once: bounds the buffer beside the cache
constexpr int kMicroBatch = 512;
constexpr int kBatch = 2048;

double wall_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double cpu_ms() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return 1e3 * static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_nsec);
}

ggml_type cache_type(const std::string& name) {
  if (name == "f16") return GGML_TYPE_F16;
  if (name == "bf16") return GGML_TYPE_BF16;
  if (name == "f32") return GGML_TYPE_F32;
  if (name == "q8_0") return GGML_TYPE_Q8_0;
  if (name == "q4_0") return GGML_TYPE_Q4_0;
  throw std::runtime_error("--kv " + name + ", expected f32, f16, bf16, q8_0 or q4_0");
}

// One lasting pool for the context, as the peer's own tools attach. It lives as long as the process.
void attach_pool(llama_context* context, int threads) {
  ggml_backend_reg_t reg =
      ggml_backend_dev_backend_reg(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
  using NewPool = ggml_threadpool* (*)(ggml_threadpool_params*);
  const auto make = reinterpret_cast<NewPool>(ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_new"));
  ggml_threadpool_params params = ggml_threadpool_params_default(threads);
  ggml_threadpool* pool = make != nullptr ? make(&params) : nullptr;
  if (pool == nullptr) throw std::runtime_error("peer: no thread pool");
  llama_attach_threadpool(context, pool, pool);
}

void log_errors(ggml_log_level level, const char* message, void*) {
  if (level == GGML_LOG_LEVEL_ERROR) std::fputs(message, stderr);
}

}  // namespace

std::uint64_t status_bytes(const char* key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(std::string(key) + ":"))
      return std::stoull(line.substr(std::strlen(key) + 1)) * 1024;
  }
  throw std::runtime_error(std::string("/proc/self/status: no ") + key);
}

PeerModel::PeerModel(const PeerOptions& options) {
  llama_log_set(log_errors, nullptr);
  ggml_backend_load_all_from_path(options.libraries.c_str());
  llama_backend_init();
  llama_model_params model = llama_model_default_params();
  model.n_gpu_layers = 0;
  model_ = llama_model_load_from_file(options.model.c_str(), model);
  if (model_ == nullptr) throw std::runtime_error("peer: cannot load " + options.model);
  vocabulary_ = llama_vocab_n_tokens(llama_model_get_vocab(model_));

  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(std::max(options.context, kSeedTokens));
  params.n_batch = kBatch;
  params.n_ubatch = kMicroBatch;
  params.n_seq_max = 2;  // sequence 1 only carries restored rows over to sequence 0
  params.kv_unified = true;
  params.n_threads = params.n_threads_batch = options.threads;
  params.flash_attn_type =
      options.flash_attention ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
  params.type_k = params.type_v = cache_type(options.kv);
  params.no_perf = true;
  context_ = llama_init_from_model(model_, params);
  if (context_ == nullptr) throw std::runtime_error("peer: cannot make a context with --kv " + options.kv);
  attach_pool(context_, options.threads);
  memory_ = llama_get_memory(context_);
  batch_limit_ = std::min<int>(kBatch, static_cast<int>(llama_n_ctx(context_)));
  batch_ = llama_batch_init(kBatch, 0, 1);
}

PeerModel::~PeerModel() {
  llama_batch_free(batch_);
  if (context_ != nullptr) llama_free(context_);
  if (model_ != nullptr) llama_model_free(model_);
}

void PeerModel::fill(int from, int count, bool all_logits) {
  if (count < 1 || count > batch_limit_) {
    throw std::runtime_error("peer: " + std::to_string(count) + " rows, expected 1 to " +
                             std::to_string(batch_limit_));
  }
  batch_.n_tokens = count;
  for (int i = 0; i < count; ++i) {
    random_ = random_ * 1664525U + 1013904223U;
    batch_.token[i] = static_cast<llama_token>((random_ >> 8) % static_cast<std::uint32_t>(vocabulary_ - 2));
    batch_.pos[i] = from + i;
    batch_.n_seq_id[i] = 1;
    batch_.seq_id[i][0] = 0;
    batch_.logits[i] = all_logits || i == count - 1;
  }
}

void PeerModel::decode(const char* what) {
  if (llama_decode(context_, batch_) != 0) throw std::runtime_error(std::string("peer: ") + what + " failed");
  llama_synchronize(context_);
}

void PeerModel::decode_random(int from, int count) {
  fill(from, count, false);
  decode("filling the cache");
  filled_ = from + count;
}

void PeerModel::take_seed() {
  shrink_to(0);
  decode_random(0, kSeedTokens);
  seed_.resize(llama_state_seq_get_size(context_, 0));
  seed_.resize(llama_state_seq_get_data(context_, seed_.data(), seed_.size(), 0));
}

// A restore empties its own sequence first, so rows go into sequence 1 and are handed to sequence 0 from
// there.
void PeerModel::append_copies(int count) {
  const RepeatRange range{static_cast<std::uint32_t>(filled_), static_cast<std::uint32_t>(count)};
  const std::vector<std::uint8_t> state = repeat_state(seed_, range);
  if (llama_state_seq_set_data(context_, state.data(), state.size(), 1) == 0) {
    throw std::runtime_error("peer: restoring cached rows failed");
  }
  llama_memory_seq_cp(memory_, 1, 0, -1, -1);
  llama_memory_seq_rm(memory_, 1, -1, -1);
  filled_ += count;
}

void PeerModel::shrink_to(int depth) {
  if (depth == 0) {
    llama_memory_clear(memory_, false);
  } else if (!llama_memory_seq_rm(memory_, 0, depth, -1)) {
    throw std::runtime_error("peer: removing cached rows failed");
  }
  filled_ = depth;
}

void PeerModel::go_to(int depth) {
  if (depth < filled_) shrink_to(depth);
  if (depth == filled_) return;
  peak_before_fill_ = std::max(peak_before_fill_, status_bytes("VmHWM"));
  if (depth > kSeedTokens && seed_.empty()) take_seed();
  if (filled_ < kSeedTokens) decode_random(filled_, std::min(depth, kSeedTokens) - filled_);
  while (filled_ < depth) append_copies(std::min(kChunkCells, depth - filled_));
  malloc_trim(0);
  // The buffers of this shortcut are not the peer's: its peak is counted anew from here.
  std::ofstream("/proc/self/clear_refs") << "5";
}

Timing PeerModel::step(int rows, int depth, bool all_logits) {
  if (rows < 1 || depth < 0 || depth + rows > static_cast<int>(llama_n_ctx(context_))) {
    throw std::runtime_error("peer: depth " + std::to_string(depth) + " and " + std::to_string(rows) +
                             " rows, expected at most " + std::to_string(llama_n_ctx(context_)) +
                             " in all (--ctx)");
  }
  go_to(depth);
  fill(depth, rows, all_logits);
  const double wall = wall_ms(), cpu = cpu_ms();
  decode("a step");
  const float sample = llama_get_logits_ith(context_, -1)[0];
  const Timing timing{wall_ms() - wall, cpu_ms() - cpu};
  if (!std::isfinite(sample)) throw std::runtime_error("peer: logits are not finite");
  filled_ = depth + rows;
  shrink_to(depth);
  return timing;
}

std::vector<float> PeerModel::logits(const std::vector<llama_token>& ids) {
  shrink_to(0);
  fill(0, static_cast<int>(ids.size()), true);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocabulary_)
      throw std::runtime_error("peer: id " + std::to_string(ids[i]) + " is no token");
    batch_.token[i] = ids[i];
  }
  decode("computing logits");
  std::vector<float> out;
  out.reserve(ids.size() * static_cast<std::size_t>(vocabulary_));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const float* row = llama_get_logits_ith(context_, static_cast<int>(i));
    if (row == nullptr) throw std::runtime_error("peer: no logits for row " + std::to_string(i));
    out.insert(out.end(), row, row + vocabulary_);
  }
  shrink_to(0);
  return out;
}

std::string PeerModel::backend() const {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto at = line.rfind('/');
    if (at != std::string::npos && line.substr(at + 1).starts_with("libggml-cpu-"))
      return line.substr(at + 1);
  }
  return "unknown";
}

std::uint64_t PeerModel::peak_rss_bytes() const { return std::max(peak_before_fill_, status_bytes("VmHWM")); }

}  // namespace peers
