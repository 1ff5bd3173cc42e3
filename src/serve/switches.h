// "kakeya" in a request: our own switches, the same on every route that generates.
#pragma once
#include "dialog/dialog.h"
#include "serve/context.h"
#include "serve/json.h"

namespace kakeya::serve {

// {kv, draft_kv, speculation, block_size, verify_width}, within what the server allows; other keys are
// refused. `drafted`: return_drafted is known too, and read elsewhere.
void read_switches(Fields& fields, const Context& context, dialog::DialogRequest& out, bool drafted = false);
// The same for a body whose "kakeya" was kept; null is none.
std::optional<http::ApiError> apply_switches(const Json& object, const Context& context,
                                             dialog::DialogRequest& out);

}  // namespace kakeya::serve
