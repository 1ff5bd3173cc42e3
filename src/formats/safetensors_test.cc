// Safetensors files as written by others, and every way to lie in one.
#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "formats/safetensors_header.h"

namespace kakeya::formats {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string length_prefix(std::uint64_t n) {
  std::string out(8, '\0');
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(n >> (8 * i));
  return out;
}

std::string file_of(const std::string& header, std::size_t data_bytes) {
  std::string data(data_bytes, '\0');
  for (std::size_t i = 0; i < data_bytes; ++i) data[i] = static_cast<char>(i);
  return length_prefix(header.size()) + header + data;
}

Result<std::map<std::string, TensorView>> parse(const std::string& file) {
  return parse_safetensors("w.safetensors", std::as_bytes(std::span(file.data(), file.size())));
}

// Two tensors back to back: a [2, 3] F32 in bytes 0..24, b [4] BF16 in 24..32.
const std::string kTwo =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
    R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}})";

TEST(Safetensors, ReadsTensorsInPlace) {
  const std::string file = file_of(kTwo, 32);
  const auto parsed = parse(file);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  ASSERT_EQ(parsed->size(), 2u);
  const TensorView& a = parsed->at("a");
  EXPECT_EQ(a.dtype, Dtype::kF32);
  EXPECT_EQ(a.dtype_name, "F32");
  EXPECT_THAT(a.shape, ElementsAre(2, 3));
  EXPECT_EQ(a.bytes.size(), 24u);
  EXPECT_EQ(static_cast<const void*>(a.bytes.data()), file.data() + 8 + kTwo.size());
  const TensorView& b = parsed->at("b");
  EXPECT_EQ(b.dtype, Dtype::kBf16);
  EXPECT_EQ(std::to_integer<int>(b.bytes[0]), 24);
}

TEST(Safetensors, AcceptsScalarsEmptyTensorsPaddingAndUnusualDtypes) {
  const auto parsed = parse(file_of(
      R"({"scalar":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"none":{"dtype":"F16","shape":[0,7],"data_offsets":[8,8]},)"
      R"("fp8":{"data_offsets":[8,11],"shape":[3],"dtype":"F8_E4M3"},"fp4":{"dtype":"F4","shape":[4],"data_offsets":[11,13]}}     )",
      13));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->at("scalar").dtype, Dtype::kOther);
  EXPECT_TRUE(parsed->at("none").bytes.empty());
  EXPECT_EQ(parsed->at("fp8").dtype_name, "F8_E4M3");
}

TEST(Safetensors, RefusesAFileCutAtAnyByte) {
  const std::string file = file_of(kTwo, 32);
  for (std::size_t n = 0; n < file.size(); ++n) {
    // A copy on the heap with no spare byte: a sanitizer sees any read beyond it.
    const std::vector<std::byte> cut(reinterpret_cast<const std::byte*>(file.data()),
                                     reinterpret_cast<const std::byte*>(file.data()) + n);
    const auto parsed = parse_safetensors("w.safetensors", cut);
    ASSERT_FALSE(parsed.ok()) << "cut at " << n;
    EXPECT_EQ(parsed.error().code, ErrorCode::kCorruptData);
    EXPECT_THAT(parsed.error().message, HasSubstr("w.safetensors"));
  }
}

TEST(Safetensors, NeverCrashesOnOneChangedByte) {
  const std::string file = file_of(kTwo, 32);
  std::size_t refused = 0;
  for (std::size_t i = 0; i < file.size() - 32; ++i) {
    for (const int flip : {1, 2, 16, 32, 128, 255}) {
      std::string changed = file;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      const auto parsed = parse(changed);
      refused += parsed.ok() ? 0 : 1;
      if (!parsed.ok()) continue;
      for (const auto& [name, view] : *parsed) {
        ASSERT_GE(reinterpret_cast<const char*>(view.bytes.data()), changed.data());
        ASSERT_LE(reinterpret_cast<const char*>(view.bytes.data() + view.bytes.size()),
                  changed.data() + changed.size());
      }
    }
  }
  EXPECT_GT(refused, file.size());  // most changes break the file
}

struct Lie {
  const char* name;
  std::string file;
  const char* expected;  // a piece of the message
};
void PrintTo(const Lie& lie, std::ostream* os) { *os << lie.name; }

std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}
std::string pair_of(const std::string& a, const std::string& b) {
  return R"({"a":{"dtype":"U8","shape":[8],"data_offsets":)" + a +
         R"(},"b":{"dtype":"U8","shape":[8],"data_offsets":)" + b + "}}";
}

std::vector<Lie> lies() {
  const std::string f32 = "\"F32\"";
  std::vector<Lie> out = {
      {"EmptyFile", "", "at least 8"},
      {"LengthOnly", length_prefix(0), "'{'"},
      {"HeaderLengthBeyondFile", length_prefix(1000) + "{}", "only 2 bytes follow"},
      {"HeaderLengthMaximum", length_prefix(~std::uint64_t{0}) + "{}", "expected at most"},
      {"HeaderLengthOverCap", length_prefix(kMaxHeaderBytes + 1) + "{}", "expected at most"},
      {"HeaderNotAnObject", file_of("[]", 0), "'{'"},
      {"HeaderWithLeadingSpace", file_of(" {}", 0), "'{'"},
      {"HeaderFollowedByGarbage", file_of("{} x", 0), "not valid JSON"},
      {"HeaderOfTwoObjects", file_of("{}{}", 0), "not valid JSON"},
      {"HeaderWithInvalidUtf8", file_of("{\"\xff\":{}}", 0), "not valid JSON"},
      {"DataWithoutTensors", file_of("{}", 4), "gap at the end"},
      {"TensorIsANumber", file_of(R"({"t":3})", 0), "expected an object"},
      {"TensorIsNull", file_of(R"({"t":null})", 0), "expected an object"},
      {"TensorIsAList", file_of(R"({"t":[]})", 0), "expected an object"},
      {"NameIsEmpty", file_of(R"({"":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4), "tensor name"},
      {"NameIsHuge",
       file_of("{\"" + std::string(5000, 'n') + R"(":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4),
       "tensor name of 5000 bytes"},
      {"NameTwice",
       file_of(
           R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
           2),
       "appears twice"},
      {"MetadataTwice", file_of(R"({"__metadata__":{},"__metadata__":{}})", 0), "appears twice"},
      {"MetadataWithANumber", file_of(R"({"__metadata__":{"a":1}})", 0), "__metadata__"},
      {"MetadataNested", file_of(R"({"__metadata__":{"a":{"b":"c"}}})", 0), "__metadata__"},
      {"FieldUnknown", file_of(R"({"t":{"dtype":"F32","shape":[],"data_offsets":[0,4],"x":1}})", 4),
       "unknown field"},
      {"FieldTwice", file_of(R"({"t":{"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4),
       "twice"},
      {"DtypeMissing", file_of(R"({"t":{"shape":[],"data_offsets":[0,4]}})", 4), "\"dtype\" is missing"},
      {"ShapeMissing", file_of(R"({"t":{"dtype":"F32","data_offsets":[0,4]}})", 4), "\"shape\" is missing"},
      {"OffsetsMissing", file_of(R"({"t":{"dtype":"F32","shape":[]}})", 4), "\"data_offsets\" is missing"},
      {"DtypeUnknown", file_of(tensor("\"F33\"", "[1]", "[0,4]"), 4), "\"F33\""},
      {"DtypeLowerCase", file_of(tensor("\"f32\"", "[1]", "[0,4]"), 4), "\"f32\""},
      {"DtypeIsANumber", file_of(tensor("32", "[1]", "[0,4]"), 4), "expected a string as dtype"},
      {"DtypeOfAnotherWidth", file_of(tensor("\"BF16\"", "[2,3]", "[0,24]"), 24),
       "expected 12 for BF16 [2, 3]"},
      {"ShapeNegative", file_of(tensor(f32, "[-1]", "[0,4]"), 4), "found -1"},
      {"ShapeFraction", file_of(tensor(f32, "[1.5]", "[0,6]"), 6), "found 1.5"},
      {"ShapeWholeFloat", file_of(tensor(f32, "[1.0]", "[0,4]"), 4), "found 1.0"},
      {"ShapeNaN", file_of(tensor(f32, "[NaN]", "[0,4]"), 4), "not valid JSON"},
      {"ShapeHugeFloat", file_of(tensor(f32, "[1e30]", "[0,4]"), 4), "found 1e30"},
      {"ShapeBeyond64Bits", file_of(tensor(f32, "[18446744073709551616]", "[0,4]"), 4),
       "found 18446744073709551616"},
      {"ShapeOverflows", file_of(tensor(f32, "[4294967296,4294967296]", "[0,4]"), 4), "overflows"},
      {"ShapeWrapsToSmall", file_of(tensor(f32, "[2305843009213693953]", "[0,4]"), 4), "overflows"},
      {"ShapeTooLargeForFile", file_of(tensor(f32, "[1000000]", "[0,4]"), 4), "expected 4000000"},
      {"ShapeNestedList", file_of(tensor(f32, "[[1]]", "[0,4]"), 4), "found a list"},
      {"ShapeIsANumber", file_of(tensor(f32, "1", "[0,4]"), 4), "a list as shape"},
      {"ShapeOfRank9", file_of(tensor(f32, "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4), "more than 8 numbers"},
      {"OddBits", file_of(tensor("\"F4\"", "[3]", "[0,2]"), 2), "whole number of bytes"},
      {"OffsetsReversed", file_of(tensor(f32, "[1]", "[4,0]"), 4), "inside the 4 data bytes"},
      {"OffsetsBeyondFile", file_of(tensor(f32, "[2]", "[0,8]"), 4), "inside the 4 data bytes"},
      {"OffsetsMaximum", file_of(tensor(f32, "[1]", "[0,18446744073709551615]"), 4),
       "inside the 4 data bytes"},
      {"OffsetsNegative", file_of(tensor(f32, "[1]", "[-4,0]"), 4), "found -4"},
      {"OffsetsFloat", file_of(tensor(f32, "[1]", "[0.0,4]"), 4), "found 0.0"},
      {"OffsetsOfOne", file_of(tensor(f32, "[1]", "[0]"), 4), "has 1 numbers"},
      {"OffsetsOfThree", file_of(tensor(f32, "[1]", "[0,4,8]"), 4), "more than 2 numbers"},
      {"OffsetsString", file_of(tensor(f32, "[1]", "\"0,4\""), 4), "a list as data_offsets"},
      {"Overlap", file_of(pair_of("[0,8]", "[4,12]"), 12), "(overlap)"},
      {"SameRange", file_of(pair_of("[0,8]", "[0,8]"), 8), "(overlap)"},
      {"GapBetween", file_of(pair_of("[0,8]", "[9,17]"), 17), "(gap)"},
      {"GapAtTheStart", file_of(tensor("\"U8\"", "[8]", "[1,9]"), 9), "(gap)"},
      {"GapAtTheEnd", file_of(tensor("\"U8\"", "[8]", "[0,8]"), 9), "gap at the end"},
      {"DeepLists", file_of("{\"t\":" + std::string(1000000, '['), 0), "nests deeper"},
      {"DeepObjects",
       file_of(
           [] {
             std::string text;
             for (int i = 0; i < 200000; ++i) text += "{\"a\":";
             return text;
           }(),
           0),
       "nests deeper"},
  };
  std::string many = "{";
  for (std::size_t i = 0; i <= kMaxTensorsPerFile; ++i) {
    many +=
        (i > 0 ? ",\"" : "\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  out.push_back({"TooManyTensors", file_of(many + "}", 0), "more than 65536 tensors"});
  return out;
}

class SafetensorsLie : public ::testing::TestWithParam<Lie> {};

TEST_P(SafetensorsLie, IsRefusedNamingTheFile) {
  const std::string& file = GetParam().file;
  const std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(file.data()),
                                     reinterpret_cast<const std::byte*>(file.data()) + file.size());
  const auto parsed = parse_safetensors("w.safetensors", bytes);
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().code, ErrorCode::kCorruptData);
  EXPECT_THAT(parsed.error().message, HasSubstr("w.safetensors"));
  EXPECT_THAT(parsed.error().message, HasSubstr(GetParam().expected));
  EXPECT_LT(parsed.error().message.size(), 500u);
}

INSTANTIATE_TEST_SUITE_P(All, SafetensorsLie, ::testing::ValuesIn(lies()),
                         [](const auto& lie) { return std::string(lie.param.name); });

class TensorStoreFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() /
                 ("kakeya_store_" + std::to_string(::getpid()) + "_" +
                  ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(directory_ / name, std::ios::binary) << bytes;
  }
  static std::string one(const std::string& tensor_name) {
    return file_of("{\"" + tensor_name + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4);
  }
  void expect_error(const std::string& piece, ErrorCode code = ErrorCode::kCorruptData) {
    const auto store = TensorStore::open(directory_);
    ASSERT_FALSE(store.ok());
    EXPECT_EQ(store.error().code, code) << store.error().message;
    EXPECT_THAT(store.error().message, HasSubstr(piece));
  }
  std::filesystem::path directory_;
};

constexpr const char* kIndex = "model.safetensors.index.json";

TEST_F(TensorStoreFiles, OpensOneFile) {
  write("model.safetensors", file_of(kTwo, 32));
  const auto store = TensorStore::open(directory_);
  ASSERT_TRUE(store.ok()) << store.error().message;
  EXPECT_EQ(store->tensors().size(), 2u);
  EXPECT_EQ(store->total_bytes(), 32u);
  ASSERT_NE(store->find("a"), nullptr);
  EXPECT_EQ(store->find("c"), nullptr);
  EXPECT_EQ(store->files().size(), 1u);
}

TEST_F(TensorStoreFiles, JoinsShardsInNameOrder) {
  write("m-2.safetensors", one("b"));
  write("m-1.safetensors", one("a"));
  write(kIndex,
        R"({"metadata":{"total_size":8},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})");
  const auto store = TensorStore::open(directory_);
  ASSERT_TRUE(store.ok()) << store.error().message;
  EXPECT_THAT(store->files(), ElementsAre(directory_ / "m-1.safetensors", directory_ / "m-2.safetensors"));
  EXPECT_NE(store->find("a"), nullptr);
  EXPECT_NE(store->find("b"), nullptr);
}

TEST_F(TensorStoreFiles, RefusesAnEmptyDirectory) { expect_error("neither", ErrorCode::kNotFound); }

TEST_F(TensorStoreFiles, RefusesShardNamesThatLeaveTheDirectory) {
  write("m.safetensors", one("a"));
  for (const char* bad :
       {"../m.safetensors", "/etc/m.safetensors", "x/../../m.safetensors", "sub/m.safetensors", "..", "",
        "..\\\\m.safetensors", "C:m.safetensors", ".m.safetensors", "m.bin", "m.safetensors\\u0000",
        "m\\u0000.safetensors", "a b.safetensors"}) {
    write(kIndex, std::string(R"({"weight_map":{"a":")") + bad + "\"}}");
    expect_error("expected a plain .safetensors file name");
  }
}

TEST_F(TensorStoreFiles, RefusesATensorMissingFromItsShard) {
  write("m-1.safetensors", one("a"));
  write(kIndex, R"({"weight_map":{"a":"m-1.safetensors","b":"m-1.safetensors"}})");
  expect_error("\"b\" should be in m-1.safetensors, found nowhere");
}

TEST_F(TensorStoreFiles, RefusesATensorInAnotherShardThanTheIndexSays) {
  write("m-1.safetensors", one("a"));
  write("m-2.safetensors", one("b"));
  write(kIndex, R"({"weight_map":{"a":"m-2.safetensors","b":"m-1.safetensors"}})");
  expect_error("found in m-1.safetensors");
}

TEST_F(TensorStoreFiles, RefusesATensorInTwoShards) {
  write("m-1.safetensors", one("a"));
  write("m-2.safetensors", one("a"));
  write(kIndex, R"({"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})");
  expect_error("is also in m-1.safetensors");
}

TEST_F(TensorStoreFiles, RefusesAMissingShard) {
  write(kIndex, R"({"weight_map":{"a":"m-1.safetensors"}})");
  expect_error("m-1.safetensors", ErrorCode::kNotFound);
}

TEST_F(TensorStoreFiles, RefusesABrokenIndex) {
  for (const char* bad : {"", "[]", "{}", R"({"weight_map":3})", R"({"weight_map":{}})",
                          R"({"weight_map":{"a":3}})", R"({"weight_map":{"a":null}})", R"({"weight_map":)"}) {
    write(kIndex, bad);
    expect_error(kIndex);
  }
  write(kIndex, std::string(100000, '['));
  expect_error("nests deeper");
}

// A file written by the safetensors library: the embedded target.
TEST(TensorStore, OpensTheEmbeddedPair) {
  std::string base = std::string(KAKEYA_SOURCE_DIR) + "/models/tiny";
  if (!std::filesystem::exists(base)) {
    const char* shared = std::getenv("KAKEYA_SHARED");
    base = (shared != nullptr ? std::string(shared) : std::string(KAKEYA_SOURCE_DIR) + "/../shared") +
           "/models/tiny";
  }
  if (!std::filesystem::exists(base + "/target/model.safetensors")) {
    GTEST_SKIP() << base << "/target/model.safetensors is missing";
  }
  const auto target = TensorStore::open(base + "/target");
  ASSERT_TRUE(target.ok()) << target.error().message;
  const TensorView* norm = target->find("model.norm.weight");
  ASSERT_NE(norm, nullptr);
  EXPECT_EQ(norm->shape.size(), 1u);
  const auto draft = TensorStore::open(base + "/draft");
  ASSERT_TRUE(draft.ok()) << draft.error().message;
  EXPECT_NE(draft->find("fc.weight"), nullptr);
}

}  // namespace
}  // namespace kakeya::formats
