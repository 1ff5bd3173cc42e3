// Mean pooling, piece by piece.
#include "decode/embed.h"

#include <algorithm>

namespace kakeya::decode {

Result<std::vector<float>> embed(TargetRun& target, const model::Model& model, kernels::Compute compute,
                                 std::span<const Token> ids) {
  KAKEYA_CHECK(!ids.empty());
  const std::size_t width = model.config().hidden_size, last_layer[] = {model.config().layers - 1};
  std::vector<double> sums(width, 0.0);
  target.begin();
  for (std::size_t done = 0; done < ids.size();) {
    const auto piece = ids.subspan(done, std::min(kPrefillRows, ids.size() - done));
    KAKEYA_TRY(target.feed(piece, model::LogitRows::kNone, last_layer));
    done += piece.size();
    target.keep(done);
    const Rows<float> states = target.mutable_taps();
    model.normalise(compute, states);
    for (std::size_t r = 0; r < states.rows; ++r) {
      const auto row = states.row(r);
      for (std::size_t c = 0; c < width; ++c) sums[c] += row[c];
    }
  }
  std::vector<float> mean(width);
  std::ranges::transform(sums, mean.begin(), [&](double sum) {
    return static_cast<float>(sum / static_cast<double>(ids.size()));
  });
  return mean;
}

}  // namespace kakeya::decode
