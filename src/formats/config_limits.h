// What sizes of models are believed, whatever file states them. For the .cc files of formats/ only.
#pragma once
#include "formats/config_reader.h"

namespace kakeya::formats {

inline constexpr UintRange kVocabRange = {1, std::uint64_t{1} << 24};
inline constexpr UintRange kHiddenRange = {1, std::uint64_t{1} << 17};
inline constexpr UintRange kIntermediateRange = {1, std::uint64_t{1} << 20};
inline constexpr UintRange kLayerRange = {1, 1024};
inline constexpr UintRange kHeadRange = {1, 1024};
inline constexpr UintRange kHeadDimRange = {2, 1024};
inline constexpr UintRange kPositionRange = {1, std::uint64_t{1} << 27};
inline constexpr UintRange kBlockRange = {2, 1024};
inline constexpr RealRange kThetaRange = {1, 1e12};
inline constexpr RealRange kEpsRange = {1e-12, 0.1};
inline constexpr std::size_t kMaxTaps = 64;

}  // namespace kakeya::formats
