// For tests only: the golden files of tests/golden/lattice (made by running the public reference) and
// tests/golden/lattice_odd_q (made by tools/golden/make_lattice_odd_q.py). Byte order is little-endian.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "lattice/lattice.h"

namespace kakeya::lattice {

inline std::string golden_text(const std::string& name) {
  auto text = base::read_file(std::string(KAKEYA_SOURCE_DIR) + "/tests/golden/" + name, 1 << 24);
  if (!text.ok()) ADD_FAILURE() << text.error().message;
  return text.ok() ? *text : std::string();
}

template <class T>
std::vector<T> golden_values(const std::string& name) {
  const std::string bytes = golden_text(name);
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

// One set of codes with what they were computed from. All rows; norms that overflow fp16 are `nonfinite`.
struct GoldenCodes {
  std::string folder, file;  // "lattice", "codes2_e8_d128_q38.i16"
  Kind kind;
  std::size_t dim;
  int q;
  std::set<std::size_t> order_sensitive, nonfinite;
  double rel_mse = 0;  // 0 when unknown
  std::string path(const std::string& stem, const std::string& suffix) const {
    return folder + "/" + stem + "_d" + std::to_string(dim) + suffix;
  }
};

inline std::vector<GoldenCodes> golden_codes() {
  std::vector<GoldenCodes> out;
  for (const char* folder : {"lattice", "lattice_odd_q"}) {
    const auto manifest = nlohmann::json::parse(golden_text(std::string(folder) + "/manifest.json"));
    for (const auto& f : manifest["files"]) {
      const std::string name = f["file"];
      if (!name.starts_with("codes2_")) continue;
      GoldenCodes codes{folder, name, f["lattice"] == "e8" ? Kind::kE8 : Kind::kD4, f["D"], f["Q"], {}, {}};
      const std::string stem = name.substr(0, name.find('.')).substr(7);
      for (const auto& g : manifest["files"]) {
        if (g["file"] != name && g["file"] != "xhat_" + stem + ".f32") continue;
        for (std::size_t row : g.value("order_sensitive_rows", std::vector<std::size_t>())) {
          codes.order_sensitive.insert(row);
        }
        for (std::size_t row : g.value("nonfinite_row_list", std::vector<std::size_t>())) {
          codes.nonfinite.insert(row);
        }
        codes.rel_mse = g.value("rel_mse", codes.rel_mse);
      }
      out.push_back(std::move(codes));
    }
  }
  return out;
}

}  // namespace kakeya::lattice
