#include "serve/ollama/lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>

namespace kakeya::serve::ollama {
namespace {

using Kind = dialog::AnswerPart::Kind;

std::int64_t nanoseconds(double ms) { return std::max<std::int64_t>(1, static_cast<std::int64_t>(ms * 1e6)); }

}  // namespace

std::string time_text(std::int64_t ns) {
  const std::time_t seconds = ns / 1'000'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, ns % 1'000'000'000);
}

std::string now_text() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return time_text(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

Json Lines::object(const std::string& thinking, const std::string& content) const {
  Json line = {{"model", model_}, {"created_at", now_text()}};
  if (generate_) {
    line["response"] = content;
    if (!thinking.empty()) line["thinking"] = thinking;
  } else {
    Json message = {{"role", "assistant"}, {"content", content}};
    if (!thinking.empty()) message["thinking"] = thinking;
    line["message"] = std::move(message);
  }
  line["done"] = false;
  return line;
}

Json Lines::loaded(bool unload) const {
  Json line = object("", "");
  line["done"] = true;
  line["done_reason"] = unload ? "unload" : "load";
  return line;
}

// Ollama's calls are whole, with arguments as an object. A call that a limit cut is shown as text.
void Lines::end_call(std::vector<Json>& out) {
  if (call_name_.empty()) return;
  Json arguments = Json::parse(call_arguments_.empty() ? "{}" : call_arguments_, nullptr, false);
  if (!generate_ && arguments.is_object()) {
    Json call = {
        {"function", {{"index", calls_.size()}, {"name", call_name_}, {"arguments", std::move(arguments)}}}};
    Json line = object("", "");
    line["message"]["tool_calls"] = Json::array({call});
    calls_.push_back(std::move(call));
    out.push_back(std::move(line));
  } else {
    const std::string text = call_name_ + " " + call_arguments_;
    content_ += text;
    out.push_back(object("", text));
  }
  call_name_.clear();
  call_arguments_.clear();
}

Json Lines::last(const dialog::AnswerPart& part) const {
  Json line = object("", "");
  const Completion& done = part.summary->completion;
  line["done"] = true;
  line["done_reason"] = done.finish == FinishReason::kLength ? "length" : "stop";
  line["total_duration"] = nanoseconds(part.elapsed_ms);
  line["load_duration"] =
      nanoseconds(done.usage.queued_ms);  // the model is there; what passes before it is the queue
  line["prompt_eval_count"] = done.usage.prompt_tokens;
  line["prompt_eval_duration"] = nanoseconds(done.usage.prefill_ms);
  line["eval_count"] = done.usage.output_tokens;
  line["eval_duration"] = nanoseconds(done.usage.decode_ms);
  return line;
}

std::vector<Json> Lines::add(const dialog::AnswerPart& part, const Json& report) {
  std::vector<Json> out;
  switch (part.kind) {
    case Kind::kReasoning:
      thinking_ += part.text;
      if (!part.text.empty()) out.push_back(object(part.text, ""));
      break;
    case Kind::kContent:
      end_call(out);
      content_ += part.text;
      if (!part.text.empty()) out.push_back(object("", part.text));
      break;
    case Kind::kToolCall:
      end_call(out);
      call_name_ = part.tool_name;
      call_arguments_ = part.text;
      break;
    case Kind::kToolArguments:
      call_arguments_ += part.text;
      break;
    case Kind::kFinished:
      end_call(out);
      out.push_back(last(part));
      if (!report.is_null()) out.back()["kakeya"] = report;
      whole_ = out.back();
      if (generate_) {
        whole_["response"] = content_;
        if (!thinking_.empty()) whole_["thinking"] = thinking_;
      } else {
        whole_["message"]["content"] = content_;
        if (!thinking_.empty()) whole_["message"]["thinking"] = thinking_;
        if (!calls_.empty()) whole_["message"]["tool_calls"] = calls_;
      }
      break;
    case Kind::kFailed:
      out.push_back({{"error", part.error.message}});
      break;
    default:
      break;
  }
  return out;
}

}  // namespace kakeya::serve::ollama
