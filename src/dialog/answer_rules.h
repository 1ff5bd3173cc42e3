// What an answer may look like, by tool_choice and format, as one constraint of the engine.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "dialog/dialog.h"

namespace kakeya::dialog {

struct AnswerRules {
  std::shared_ptr<TokenConstraint> constraint;  // null when anything goes
  std::vector<std::string> loosened;            // as Summary
};

//   tools, kRequired or kNamed: one or more calls, at once (after the reasoning); a format never applies.
//   tools, kAuto: free text; from <tool_call> on (outside the reasoning) calls by the tools' schemas. Where
//   calls have no tag (ToolFormat::kLlama3): a text that begins as a call is calls. tools, kAuto, and a
//   format: calls at once, or text in the format; free text is neither. a format alone, or with kNone: that.
// A schema that cannot be kept is refused where the tool says "strict": true; of other tools the keywords
// that cannot be kept are dropped, and named. Errors: kInvalidArgument (a choice without tools, a tool_name
// that is not among them, a tool that is no JSON object with a name), those of Engine::new_constraint.
Result<AnswerRules> build_rules(const Engine& engine, const DialogRequest& request, bool thinking);

}  // namespace kakeya::dialog
