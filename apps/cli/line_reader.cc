#include "cli/line_reader.h"

#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cwchar>
#include <filesystem>
#include <iostream>

#include "cli/command.h"

namespace kakeya::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kHistoryLines = 1000;
constexpr int kInterruptLookMs = 100;
constexpr const char* kMore = "... ";
constexpr std::string_view kQuotes = "\"\"\"";

// One character; libedit's own reader would swallow the first Ctrl-C.
int read_character(EditLine* /*editor*/, wchar_t* out) {
  std::mbstate_t state{};
  while (true) {
    // A Ctrl-C that came just before a read would leave it waiting: look at the flag now and then.
    pollfd input{STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(&input, 1, kInterruptLookMs);
    if (interrupted()) return -1;
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    char byte = 0;
    const ssize_t n = ::read(STDIN_FILENO, &byte, 1);
    if (n == 0) return 0;
    if (n < 0) {
      if (errno == EINTR && !interrupted()) continue;  // another signal
      return -1;
    }
    const std::size_t used = std::mbrtowc(out, &byte, 1, &state);
    if (used == static_cast<std::size_t>(-2)) continue;  // more bytes to come
    if (used != static_cast<std::size_t>(-1)) return 1;
    state = std::mbstate_t{};  // no character in this locale: left out
  }
}

class TerminalLines final : public LineReader {
 public:
  explicit TerminalLines(std::string history_file) : history_file_(std::move(history_file)) {
    if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
    editor_ = el_init("kakeya-llm", stdin, stdout, stderr);
    history_ = history_init();
    if (editor_ == nullptr || history_ == nullptr) return;
    HistEvent event;
    history(history_, &event, H_SETSIZE, kHistoryLines);
    history(history_, &event, H_SETUNIQUE, 1);
    if (!history_file_.empty()) history(history_, &event, H_LOAD, history_file_.c_str());
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_PROMPT, &TerminalLines::prompt_of);
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_HIST, history, history_);
    el_set(editor_, EL_GETCFN, &read_character);
    el_source(editor_, nullptr);  // ~/.editrc
  }
  ~TerminalLines() override {
    if (history_ != nullptr) history_end(history_);
    if (editor_ != nullptr) el_end(editor_);
  }
  TerminalLines(const TerminalLines&) = delete;
  TerminalLines& operator=(const TerminalLines&) = delete;

  bool ready() const { return editor_ != nullptr && history_ != nullptr; }
  bool interactive() const override { return true; }

  Outcome read(const std::string& prompt, std::string& line) override {
    prompt_ = prompt;
    rearm_interrupts();
    el_resize(editor_);
    // Before the prompt, not after it as el_gets does: what is typed at a prompt is the editor's.
    el_set(editor_, EL_PREP_TERM, 1);
    int count = 0;
    const char* text = el_gets(editor_, &count);
    if (interrupted()) {
      std::fputs("^C\n", stdout);
      return Outcome::kInterrupted;
    }
    if (text == nullptr || count <= 0) {
      std::fputs("\n", stdout);
      return Outcome::kEnd;
    }
    line.assign(text, static_cast<std::size_t>(count));
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
    remember(line);
    return Outcome::kLine;
  }

 private:
  static char* prompt_of(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return static_cast<TerminalLines*>(self)->prompt_.data();
  }

  // The file is written at once: the next Ctrl-C may end the program.
  void remember(const std::string& line) {
    if (line.find_first_not_of(" \t") == std::string::npos) return;
    HistEvent event;
    history(history_, &event, H_ENTER, line.c_str());
    if (history_file_.empty()) return;
    std::error_code ignored;
    const fs::path directory = fs::path(history_file_).parent_path();
    if (fs::create_directories(directory, ignored)) {
      fs::permissions(directory, fs::perms::owner_all, ignored);  // what people ask is theirs alone
    }
    history(history_, &event, H_SAVE, history_file_.c_str());
    fs::permissions(history_file_, fs::perms::owner_read | fs::perms::owner_write, ignored);
  }

  std::string history_file_, prompt_;
  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
};

class ScriptLines final : public LineReader {
 public:
  bool interactive() const override { return false; }
  Outcome read(const std::string& /*prompt*/, std::string& line) override {
    rearm_interrupts();
    if (!std::getline(std::cin, line)) return interrupted() ? Outcome::kInterrupted : Outcome::kEnd;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return Outcome::kLine;
  }
};

// Lines up to the one that ends with three quotes; those of the first line are gone already.
LineReader::Outcome read_block(LineReader& reader, std::string line, std::string& message) {
  using Outcome = LineReader::Outcome;
  while (!line.ends_with(kQuotes)) {
    message += line + "\n";
    const Outcome outcome = reader.read(kMore, line);
    if (outcome == Outcome::kInterrupted) return outcome;
    if (outcome == Outcome::kEnd) return Outcome::kLine;  // an unclosed block is what there was
  }
  line.resize(line.size() - kQuotes.size());
  message += line;
  return Outcome::kLine;
}

}  // namespace

std::unique_ptr<LineReader> make_line_reader(const std::string& history_file) {
  if (::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0) {
    auto lines = std::make_unique<TerminalLines>(history_file);
    if (lines->ready()) return lines;
  }
  return std::make_unique<ScriptLines>();
}

LineReader::Outcome read_message(LineReader& reader, const std::string& prompt, std::string& message) {
  using Outcome = LineReader::Outcome;
  message.clear();
  std::string line;
  Outcome outcome = reader.read(prompt, line);
  if (outcome != Outcome::kLine) return outcome;
  if (line.starts_with(kQuotes)) return read_block(reader, line.substr(kQuotes.size()), message);
  while (line.ends_with("\\")) {
    line.pop_back();
    message += line + "\n";
    outcome = reader.read(kMore, line);
    if (outcome == Outcome::kInterrupted) return outcome;
    if (outcome == Outcome::kEnd) line.clear();
  }
  message += line;
  return Outcome::kLine;
}

}  // namespace kakeya::cli
