// Constraints of a request: response_format and the fields of llama-server and vLLM that mean the same.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "serve/failures.h"
#include "serve/openai/generation_fields.h"

namespace kakeya::serve::openai {
namespace {

std::string plain(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

ConstraintSpec schema_spec(const Json& schema) {
  ConstraintSpec spec;
  spec.kind = ConstraintKind::kJsonSchema;
  spec.text = plain(schema);
  return spec;
}

std::optional<ConstraintSpec> read_response_format(const Json& format, Fields& fields) {
  if (!format.is_object()) {
    fields.fail("response_format", fmt::format("found {}, expected an object.", describe(format)));
    return {};
  }
  const Json* type = field(format, "type");
  const std::string name = type != nullptr && type->is_string() ? type->get<std::string>() : "";
  if (name == "text") return {};
  const Json* schema = field(format, "schema");
  if (name == "json_object") return schema != nullptr ? schema_spec(*schema) : ConstraintSpec{};
  if (name != "json_schema") {
    fields.fail("response_format",
                fmt::format("type: found '{}', expected text, json_object or json_schema.", name));
    return {};
  }
  const Json* inner = field(format, "json_schema");
  if (inner != nullptr && inner->is_object()) {
    schema = field(*inner, "schema");
  } else if (inner != nullptr || schema == nullptr) {
    fields.fail("response_format", fmt::format("json_schema: found {}, expected an object.",
                                               inner == nullptr ? "nothing" : describe(*inner)));
    return {};
  }
  if (schema == nullptr) return ConstraintSpec{};  // the standard's default: any object
  if (!schema->is_object() && !schema->is_boolean()) {
    fields.fail("response_format",
                fmt::format("json_schema.schema: found {}, expected an object.", describe(*schema)));
  }
  return schema_spec(*schema);
}

void set(Fields& fields, const char* name, ConstraintSpec spec, dialog::DialogRequest& out) {
  if (out.format) {
    fields.fail(name,
                "the request has another constraint already; expected one of response_format, json_schema, "
                "grammar, structured_outputs.");
  }
  out.format = std::move(spec);
  out.format_name = fields.name_of(name);
}

void read_grammar(Fields& fields, const char* name, dialog::DialogRequest& out) {
  const auto text = fields.text(name);
  if (!text || text->empty()) return;
  ConstraintSpec spec;
  spec.kind = ConstraintKind::kGrammar;
  spec.text = *text;
  set(fields, name, std::move(spec), out);
}

void read_schema(Fields& fields, const char* name, dialog::DialogRequest& out) {
  const Json* value = fields.find(name);
  if (value == nullptr) return;
  if (value->is_string())
    return set(fields, name, {ConstraintKind::kJsonSchema, value->get<std::string>(), {}, true, {}, false},
               out);
  if (!value->is_object())
    return fields.fail(name, fmt::format("found {}, expected a schema.", describe(*value)));
  set(fields, name, schema_spec(*value), out);
}

}  // namespace

void read_format(Fields& fields, dialog::DialogRequest& out) {
  if (const Json* format = fields.find("response_format")) {
    if (auto spec = read_response_format(*format, fields))
      set(fields, "response_format", std::move(*spec), out);
  }
  read_schema(fields, "json_schema", out);
  read_schema(fields, "guided_json", out);
  read_grammar(fields, "grammar", out);
  read_grammar(fields, "guided_grammar", out);
  const Json* outputs = fields.object("structured_outputs");
  if (outputs == nullptr) return;
  Fields structured(*outputs, "structured_outputs.");
  for (const char* name : {"regex", "choice", "structural_tag"}) {
    if (structured.find(name) != nullptr) structured.refuse(name, "expected json, json_object or grammar.");
  }
  read_schema(structured, "json", out);
  read_grammar(structured, "grammar", out);
  if (structured.boolean("json_object", false)) set(structured, "json_object", ConstraintSpec{}, out);
  fields.merge(structured);
}

}  // namespace kakeya::serve::openai
