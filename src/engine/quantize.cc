// kakeya::quantize: reads, converts and writes one tensor after the other, a few megabytes at a time.
#include <fmt/format.h>
#include <kakeya/quantize.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "base/output_file.h"
#include "base/thread_pool.h"
#include "engine/model_place.h"
#include "engine/quantize_metadata.h"
#include "engine/quantize_plan.h"
#include "formats/gguf.h"
#include "kernels/blocks.h"

namespace kakeya {
namespace {

using engine::PlannedTensor;
using kernels::WeightType;

constexpr std::size_t kChunkBytes = std::size_t{8} << 20;  // of output

// Row of the source that becomes row `row` of the file: GGUF files of the llama architecture have the two
// members of a rotated pair side by side.
std::size_t source_row(const PlannedTensor& tensor, std::size_t row) {
  if (tensor.paired_heads == 0) return row;
  const std::size_t dim = tensor.shape[0] / tensor.paired_heads;
  const std::size_t head = row / dim, i = row % dim;
  return head * dim + i % 2 * (dim / 2) + i / 2;
}

void store_row(WeightType type, const float* x, std::size_t n, std::byte* out) {
  if (type == WeightType::kF32) {
    std::memcpy(out, x, n * sizeof(float));
  } else if (type == WeightType::kF16) {
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint16_t bits = base::f32_to_f16(std::clamp(x[i], -65504.0f, 65504.0f));
      std::memcpy(out + 2 * i, &bits, 2);
    }
  } else {
    kernels::quantise_row(type, x, n, out);
  }
}

class Converter {
 public:
  Converter(base::ThreadPool& pool, formats::GgufWriter& writer) : pool_(pool), writer_(writer) {}

  Status convert(const std::string& what, const PlannedTensor& tensor) {
    const std::size_t cols = tensor.shape.back();
    const std::size_t rows = tensor.shape.size() == 2 ? tensor.shape[0] : 1;
    const std::size_t in_bytes = kernels::row_bytes(tensor.source_type, cols);
    const std::size_t out_bytes = kernels::row_bytes(tensor.type, cols);
    const std::size_t step = std::max<std::size_t>(1, kChunkBytes / out_bytes);
    floats_.resize(static_cast<std::size_t>(pool_.threads()) * cols);
    chunk_.resize(std::min(step, rows) * out_bytes);
    for (std::size_t first = 0; first < rows; first += step) {
      const std::size_t count = std::min(step, rows - first);
      std::atomic<bool> finite = true;
      pool_.parallel_for(count, [&](std::size_t i, int thread) {
        float* x = floats_.data() + static_cast<std::size_t>(thread) * cols;
        const std::size_t row = source_row(tensor, first + i);
        kernels::dequantise_row(tensor.source_type, tensor.source->bytes.data() + row * in_bytes, cols, x);
        if (!std::all_of(x, x + cols, [](float v) { return std::isfinite(v); })) finite = false;
        if (finite) store_row(tensor.type, x, cols, chunk_.data() + i * out_bytes);
      });
      if (!finite) {
        return Error{
            ErrorCode::kNumeric,
            fmt::format("{}: tensor {} holds NaN or infinity, expected finite numbers", what, tensor.name)};
      }
      KAKEYA_TRY(writer_.write({chunk_.data(), count * out_bytes}));
    }
    return {};
  }

 private:
  base::ThreadPool& pool_;
  formats::GgufWriter& writer_;
  std::vector<float> floats_;
  std::vector<std::byte> chunk_;
};

// Metadata of model and tokenizer; notes where the file says less than it could.
Status set_metadata(const engine::ModelPlace& place, const formats::ModelConfig& config,
                    const QuantizeOptions& options, const engine::QuantizeMix& mix,
                    formats::GgufWriter& writer, std::vector<std::string>& notes) {
  KAKEYA_TRY(engine::set_model_metadata(place.directory, place.id, config, mix.file_type, writer));
  const std::string directory = options.tokenizer.empty() ? place.directory : options.tokenizer;
  const auto tokenizer = formats::load_tokenizer_file(directory);
  if (!tokenizer.ok()) {
    const bool absent = tokenizer.error().code == ErrorCode::kNotFound;
    if (!absent || !options.tokenizer.empty()) return tokenizer.error();
    writer.set("tokenizer.ggml.model", "none");
    notes.push_back(directory + ": no tokenizer.json, so the file has no tokenizer");
    return {};
  }
  std::vector<Token> eos_ids;
  if (!config.dflash) {
    KAKEYA_ASSIGN(const formats::GenerationConfig generation,
                  formats::load_generation_config(place.directory));
    eos_ids = generation.eos_token_ids;
  }
  return engine::set_tokenizer_metadata(directory, *tokenizer, config, eos_ids, writer);
}

Status write_tensors(const std::string& what, const engine::QuantizePlan& plan,
                     const formats::ModelConfig& config, const formats::TensorStore& store,
                     const QuantizeOptions& options, const QuantizeSink& sink, formats::GgufWriter& writer) {
  base::ThreadPool pool(options.threads > 0 ? options.threads : base::usable_cores());
  Converter converter(pool, writer);
  QuantizeProgress progress;
  progress.count = plan.tensors.size();
  for (const PlannedTensor& tensor : plan.tensors) {
    if (tensor.source != nullptr) progress.total_bytes += tensor.source->bytes.size();
  }
  for (const PlannedTensor& tensor : plan.tensors) {
    if (tensor.source == nullptr) {
      const std::vector<float> factors = engine::rope_factors(config);
      KAKEYA_TRY(writer.write(std::as_bytes(std::span(factors))));
    } else {
      KAKEYA_TRY(converter.convert(what, tensor));
      store.release(tensor.source->bytes);
      progress.done_bytes += tensor.source->bytes.size();
    }
    ++progress.index;
    progress.tensor = tensor.name;
    if (sink && !sink(progress)) return Error{ErrorCode::kCancelled, "quantize: cancelled, no file was made"};
  }
  return {};
}

Status check_options(const QuantizeOptions& options) {
  if (engine::find_mix(options.type) == nullptr) {
    std::string names;
    for (const std::string& name : quantize_types()) names += (names.empty() ? "" : ", ") + name;
    return invalid_argument(fmt::format("quantize: type '{}', expected one of: {}", options.type, names));
  }
  if (options.threads < 0) {
    return invalid_argument(fmt::format("quantize: threads {}, expected 0 or more", options.threads));
  }
  if (options.out.empty()) return invalid_argument("quantize: no output file was named");
  // Before the hours of work, and again by the writer.
  const auto out = base::output_file(options.out);
  if (!out.ok()) return Error{out.error().code, "quantize: " + out.error().message};
  return {};
}

}  // namespace

std::vector<std::string> quantize_types() {
  std::vector<std::string> out;
  for (const engine::QuantizeMix& mix : engine::quantize_mixes()) out.emplace_back(mix.name);
  return out;
}

Result<QuantizeResult> quantize(const QuantizeOptions& options, const QuantizeSink& sink) {
  const auto start = std::chrono::steady_clock::now();
  KAKEYA_TRY(check_options(options));
  const engine::QuantizeMix& mix = *engine::find_mix(options.type);
  KAKEYA_ASSIGN(const engine::ModelPlace place, engine::find_model(options.in, engine::Role::kTarget, ""));
  if (formats::is_gguf_file(place.directory)) {
    return unsupported(place.directory + ": a GGUF file, expected a directory in Hugging Face layout");
  }
  KAKEYA_ASSIGN(const formats::ModelConfig config, formats::load_model_config(place.directory));
  if (config.affine) {
    return unsupported(place.directory + ": weights are quantised already, expected bf16, f16 or f32");
  }
  KAKEYA_ASSIGN(const formats::TensorStore store, formats::TensorStore::open(place.directory));
  KAKEYA_ASSIGN(engine::QuantizePlan plan,
                engine::plan_quantize(place.directory, store, config, mix, options.pure));

  QuantizeResult result;
  formats::GgufWriter writer(options.out);
  KAKEYA_TRY(set_metadata(place, config, options, mix, writer, plan.notes));
  for (const PlannedTensor& tensor : plan.tensors) {
    const formats::GgmlType& type = engine::ggml_type(tensor.type);
    writer.add_tensor(tensor.name, type, tensor.shape);
    ++result.tensors_of_type[type.name];
    if (tensor.source == nullptr) continue;
    std::size_t values = 1;
    for (const std::uint64_t n : tensor.shape) values *= n;
    result.parameters += values;
    result.bytes_before += tensor.source->bytes.size();
  }
  KAKEYA_TRY(writer.begin());
  KAKEYA_TRY(write_tensors(place.directory, plan, config, store, options, sink, writer));
  KAKEYA_TRY(writer.finish());

  result.architecture = formats::to_string(config.architecture);
  result.tensors = plan.tensors.size();
  result.bytes_after = writer.file_bytes();
  result.notes = std::move(plan.notes);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace kakeya
