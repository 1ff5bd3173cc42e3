// From a Hugging Face directory to one GGUF file with quantised weights, which llama.cpp reads as well.
#pragma once
#include <kakeya/result.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace kakeya {

// "q8_0": 8.5 bits a weight. "q4_0": 4.5 bits, the output matrix in Q6_K. "q4_k_m": 4.5 to 5 bits, Q4_K with
// the output, and attn_v and ffn_down of half the layers, in Q6_K. The mixes are llama.cpp's.
std::vector<std::string> quantize_types();

struct QuantizeOptions {
  std::string in;         // directory in Hugging Face layout (bf16, f16 or f32), or "tiny"
  std::string out;        // the file to make; it appears when it is complete
  std::string type;       // one of quantize_types()
  bool pure = false;      // the one type for every matrix, without the mix
  std::string tokenizer;  // directory; empty = `in`. A draft has none of its own: name its target's
  int threads = 0;        // 0 = every core this process may use
};

struct QuantizeProgress {
  std::string tensor;  // its name in the file
  std::size_t index = 0, count = 0;
  std::uint64_t done_bytes = 0, total_bytes = 0;  // of the source
};
// Called after every tensor; false stops the work (kCancelled, no file is left).
using QuantizeSink = std::function<bool(const QuantizeProgress&)>;

struct QuantizeResult {
  std::string architecture;
  std::size_t tensors = 0, parameters = 0;
  std::uint64_t bytes_before = 0, bytes_after = 0;  // tensors of the source, whole file
  double seconds = 0;
  std::map<std::string, std::size_t> tensors_of_type;  // by ggml's names
  std::vector<std::string> notes;                      // what a reader of the file should know
};

// Errors: kInvalidArgument (type), kNotFound, kCorruptData, kUnsupported (architecture, dtype, something GGUF
// cannot say), kNumeric (NaN or infinity, naming the tensor), kIo (disk full and so on), kCancelled.
Result<QuantizeResult> quantize(const QuantizeOptions& options, const QuantizeSink& sink = {});

}  // namespace kakeya
