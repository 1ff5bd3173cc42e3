// Which keywords of a tool's schema are dropped. The refusals are those of the engine's own grammar.
#include "dialog/loose_tool.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace kakeya::dialog {
namespace {

using Json = nlohmann::ordered_json;

const Engine& engine() {
  static const std::unique_ptr<Engine> engine = [] {
    EngineOptions options;
    options.threads = 1;
    auto opened = Engine::open(options);
    if (!opened.ok()) ADD_FAILURE() << opened.error().message;
    return std::move(opened).value();
  }();
  return *engine;
}

struct Loose {
  Json parameters;
  std::vector<std::string> places;
};

Loose loosened(const char* parameters) {
  ConstraintSpec spec;
  spec.kind = ConstraintKind::kToolCalls;
  spec.tools_json = {R"({"type":"function","function":{"name":"f","parameters":)" + std::string(parameters) +
                     "}}"};
  const auto refused = engine().new_constraint(spec);
  EXPECT_FALSE(refused.ok()) << parameters;
  if (refused.ok()) return {};
  const LooseTool loose = loosen(engine(), spec, refused.error());
  spec.tools_json = {loose.json};
  EXPECT_TRUE(engine().new_constraint(spec).ok()) << loose.json;
  return {Json::parse(loose.json)["function"]["parameters"], loose.places};
}

using Places = std::vector<std::string>;

TEST(LooseTool, LosesTheKeywordAloneHoweverDeepItIs) {
  const Loose loose =
      loosened(R"({"type":"object","properties":{"a":{"type":"integer","multipleOf":5,"minimum":1},
      "b":{"type":"array","items":{"type":"object","properties":{"not":{"type":"string"}},"patternProperties":{}}},
      "c: d":{"type":"array","uniqueItems":true,"items":{"enum":["x"]}}},"required":["a"],"additionalProperties":false})");
  EXPECT_EQ(loose.parameters,
            Json::parse(R"({"type":"object","properties":{"a":{"type":"integer","minimum":1},
      "b":{"type":"array","items":{"type":"object","properties":{"not":{"type":"string"}}}},
      "c: d":{"type":"array","items":{"enum":["x"]}}},"required":["a"],"additionalProperties":false})"));
  EXPECT_EQ(loose.places, (Places{"#/properties/a/multipleOf", "#/properties/b/items/patternProperties",
                                  "#/properties/c: d/uniqueItems"}));
}

TEST(LooseTool, FollowsReferences) {
  const Loose loose = loosened(R"({"type":"object","properties":{"a":{"$ref":"#/$defs/t"}},
      "$defs":{"t":{"type":"string","maxLength":4,"not":{"const":"x"}}}})");
  EXPECT_EQ(loose.places, Places{"#/$defs/t/not"});
  EXPECT_EQ(loose.parameters["$defs"]["t"], Json::parse(R"({"type":"string","maxLength":4})"));
}

TEST(LooseTool, OneOfThatCannotBeToldApartIsAnyOf) {
  const Loose loose = loosened(
      R"({"type":"object","properties":{"a":{"oneOf":[{"type":"string","maxLength":4},{"type":"string"}]}}})");
  EXPECT_EQ(loose.places, Places{"#/properties/a/oneOf"});
  EXPECT_EQ(loose.parameters["properties"]["a"],
            Json::parse(R"({"anyOf":[{"type":"string","maxLength":4},{"type":"string"}]})"));
}

TEST(LooseTool, WhatIsNoSchemaMayBeAnything) {
  const Loose loose =
      loosened(R"({"type":"object","properties":{"a":5,"b":{"type":"nonsense"},"c":{"type":"integer"}}})");
  EXPECT_EQ(loose.parameters["properties"], Json::parse(R"({"a":{},"b":{},"c":{"type":"integer"}})"));
  EXPECT_EQ(loose.places, (Places{"#/properties/a", "#/properties/b/type"}));
  const Loose all = loosened(R"({"type":"string"})");  // arguments are objects
  EXPECT_EQ(all.places, Places{"#"});
  EXPECT_EQ(all.parameters, Json::parse(R"({"type":"object"})"));
}

}  // namespace
}  // namespace kakeya::dialog
