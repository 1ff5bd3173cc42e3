// Fields of llama-server, vLLM and others that this server does not have.
#pragma once
#include "serve/openai/generation_fields.h"

namespace kakeya::serve::openai {

// Refuses by name what would change the answer, unless its value switches it off. Fields that only ask for
// more output are not among them.
void refuse_foreign(Fields& fields, Dialect dialect);

}  // namespace kakeya::serve::openai
