// From a model's text to the program that is run: completions are cut where they leave the function, chat
// answers are unpacked from their code block.
#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "acceptance/grade.h"

namespace kakeya::acceptance {
namespace {

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }
bool is_space(char c) { return c == ' ' || c == '\t'; }
bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == line.npos; }

// Steps over one line, newline included.
std::string_view next_line(std::string_view& text) {
  const std::string_view line = first_line(text);
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

// True when a triple-quoted string is open after `line`; `quote` is its quote or 0.
void follow_quotes(std::string_view line, char& quote) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (quote == 0 && line[i] == '#') return;
    if (line[i] == '\\') {
      ++i;
    } else if ((line[i] == '"' || line[i] == '\'') && line.substr(i, 3) == std::string(3, line[i])) {
      if (quote == 0) {
        quote = line[i];
      } else if (quote == line[i]) {
        quote = 0;
      }
      i += 2;
    } else if (quote == 0 && (line[i] == '"' || line[i] == '\'')) {
      const std::size_t close = line.find(line[i], i + 1);
      if (close == line.npos) return;
      i = close;
    }
  }
}

// The text up to the first line that starts at the left margin, outside strings and closing brackets.
std::string cut_body(std::string_view text) {
  std::string body;
  char quote = 0;
  for (bool first = true; !text.empty(); first = false) {
    const std::string_view line = next_line(text);
    const bool leaves = quote == 0 && !is_blank(line) && !is_space(line[0]) && line[0] != ')' &&
                        line[0] != ']' && line[0] != '}';
    if (leaves && !first) break;
    follow_quotes(line, quote);
    body.append(line).push_back('\n');
  }
  return body;
}

bool defines(std::string_view code, const std::string& function) {
  const std::string head = "def " + function;
  for (std::size_t at = code.find(head); at != code.npos; at = code.find(head, at + 1)) {
    const bool starts_line = at == 0 || code[at - 1] == '\n' || code.substr(0, at).ends_with("async ");
    const std::size_t end = at + head.size();
    if (starts_line && end < code.size() && (code[end] == '(' || is_space(code[end]))) return true;
  }
  return false;
}

// Contents of the ``` blocks, in order; one that is not closed runs to the end.
std::vector<std::string> code_blocks(std::string_view text) {
  std::vector<std::string> blocks;
  bool inside = false;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    const std::size_t start = line.find_first_not_of(" \t");
    if (start != line.npos && line.substr(start).starts_with("```")) {
      inside = !inside;
      if (inside) blocks.emplace_back();
    } else if (inside) {
      blocks.back().append(line).push_back('\n');
    }
  }
  return blocks;
}

// What stands above the entry point in the prompt: imports and helpers that an answer may rely on.
std::string above_entry_point(const Problem& problem) {
  const std::size_t at = problem.prompt.rfind("def " + problem.entry_point);
  return at == std::string::npos ? "" : problem.prompt.substr(0, at);
}

}  // namespace

std::string code_solution(const Problem& problem, const std::string& output) {
  std::string_view text = output;
  if (const std::size_t end = text.rfind("</think>"); end != text.npos) text.remove_prefix(end + 8);
  while (!text.empty() && is_blank(first_line(text)) && text.find('\n') != text.npos) next_line(text);
  const bool completes = !text.empty() && is_space(text[0]);
  if (!completes) {
    const std::vector<std::string> blocks = code_blocks(text);
    for (const std::string& block : blocks) {
      if (defines(block, problem.entry_point)) return above_entry_point(problem) + block;
    }
    if (!blocks.empty()) return problem.prompt + blocks.front();
    if (defines(text, problem.entry_point)) return above_entry_point(problem) + std::string(text);
  }
  return problem.prompt + cut_body(text);
}

}  // namespace kakeya::acceptance
