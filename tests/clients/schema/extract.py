#!/usr/bin/env python3
"""Takes the answers that we give out of OpenAI's OpenAPI document: the schemas below and what they refer to,
without prose. usage: extract.py openapi.json > openai.schema.json"""
import json
import sys

ROOTS = ["CreateChatCompletionResponse", "CreateChatCompletionStreamResponse", "CreateCompletionResponse",
         "CreateEmbeddingResponse", "ListModelsResponse", "Model", "ErrorResponse", "Response", "ResponseStreamEvent"]
PROSE = {"description", "title", "example", "examples", "externalDocs", "deprecated", "x-oaiMeta", "x-stainless-const",
         "x-oaiTypeLabel", "x-oaiExpandable", "default", "x-oaiSupportedSDKs"}


def slim(node, in_properties=False):
    """A schema without prose; `discriminator` goes too, oneOf says the same."""
    if isinstance(node, list):
        return [slim(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {}
    for key, value in node.items():
        if not in_properties and (key in PROSE or key in ("discriminator", "$recursiveAnchor", "$recursiveRef") or key.startswith("x-")):
            continue
        if key == "$ref" and not in_properties:
            kept[key] = value.replace("#/components/schemas/", "#/$defs/")
        elif key in ("const", "enum") and not in_properties:
            kept[key] = value
        else:
            kept[key] = slim(value, in_properties=(key == "properties" and not in_properties))
    # OpenAPI 3.0 way of null, still found in the 3.1 document.
    if kept.pop("nullable", False) is True and not in_properties:
        kept = {"anyOf": [kept, {"type": "null"}]}
    return kept


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value.rsplit("/", 1)[1]
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def main():
    schemas = json.load(open(sys.argv[1]))["components"]["schemas"]
    defs, wanted = {}, [name for name in ROOTS if name in schemas]
    missing = [name for name in ROOTS if name not in schemas]
    if missing:
        sys.exit("extract: not in the document: " + ", ".join(missing))
    while wanted:
        name = wanted.pop()
        if name in defs:
            continue
        defs[name] = slim(schemas[name])
        wanted += [other for other in references(defs[name]) if other not in defs]
    print(json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema",
                      "$comment": "Extracted by extract.py from openai/openai-openapi, MIT licence, Copyright (c) OpenAI; see README.md",
                      "$defs": dict(sorted(defs.items()))}, separators=(",", ":"), sort_keys=False))


main()
