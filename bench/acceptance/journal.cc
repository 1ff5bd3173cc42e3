#include "acceptance/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "acceptance/files.h"
#include "acceptance/identity.h"
#include "hub/json_text.h"

namespace kakeya::acceptance {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kJournalSchema = "b2-dflash-kakeya-journal-v1";
constexpr std::size_t kMaxJournalBytes = std::size_t{1} << 30;

Json part_line(const Record& record, const char* part, Json data) {
  return {{"part", part},
          {"index", record.index},
          {"task_id", to_valid_utf8(record.task_id)},
          {"prompt_tokens", record.prompt_tokens},
          {"max_tokens", record.max_tokens},
          {"data", std::move(data)}};
}

Result<Record> parse_part(const Json& line) {
  try {
    Record record;
    record.index = line.at("index").get<std::size_t>();
    record.task_id = line.at("task_id").get<std::string>();
    record.prompt_tokens = line.at("prompt_tokens").get<std::size_t>();
    record.max_tokens = line.at("max_tokens").get<std::size_t>();
    if (line.at("part") == "free") {
      KAKEYA_ASSIGN(record.free, free_from_json(line.at("data")));
    } else if (line.at("part") == "forced") {
      KAKEYA_ASSIGN(record.forced, forced_from_json(line.at("data")));
    } else {
      return corrupt_data(
          fmt::format("part: found {}, expected \"free\" or \"forced\"", line.at("part").dump()));
    }
    return record;
  } catch (const nlohmann::json::exception& exception) {
    return corrupt_data(exception.what());
  }
}

Status check_header(const std::string& path, const Json& header, const Json& identity) {
  if (!header.is_object() || !header.contains("schema") || header.at("schema") != kJournalSchema ||
      !header.contains("identity")) {
    return corrupt_data(fmt::format("read {}: line 1 is not the header of a {} file", path, kJournalSchema));
  }
  const std::string difference = identity_difference(header.at("identity"), identity);
  if (difference.empty()) return {};
  return invalid_argument(fmt::format(
      "resume {}: it belongs to another run ({}); use another --out-dir, or --overwrite", path, difference));
}

// Reads whole lines; `good_bytes` is where the last of them ends.
Status read_lines(const std::string& path, const std::string& content, const Json& identity,
                  std::vector<Record>& found, std::size_t& good_bytes) {
  good_bytes = 0;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < content.size();) {
    const std::size_t end = content.find('\n', begin);
    if (end == std::string::npos) break;  // half-written
    ++number;
    const auto parsed = hub::parse_json_text(fmt::format("{}: line {}", path, number),
                                             std::string_view(content).substr(begin, end - begin));
    const bool last = end + 1 == content.size();
    if (!parsed.ok()) {
      if (last) break;  // a torn write may still end in a newline
      return parsed.error();
    }
    const Json& line = *parsed;
    if (number == 1) {
      KAKEYA_TRY(check_header(path, line, identity));
    } else {
      Result<Record> record = parse_part(line);
      if (!record.ok())
        return corrupt_data(fmt::format("read {}: line {}: {}", path, number, record.error().message));
      merge_part(found, std::move(record).value());
    }
    begin = end + 1;
    good_bytes = begin;
  }
  return {};
}

}  // namespace

void merge_part(std::vector<Record>& records, Record part) {
  for (Record& record : records) {
    if (record.index != part.index) continue;
    if (part.free) record.free = std::move(part.free);
    if (part.forced) record.forced = std::move(part.forced);
    return;
  }
  records.push_back(std::move(part));
}

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path, const Json& identity,
                                               std::vector<Record>& found) {
  std::size_t good_bytes = 0;
  Result<std::string> content = read_whole_file(path, kMaxJournalBytes);
  if (content.ok()) {
    KAKEYA_TRY(read_lines(path, *content, identity, found, good_bytes));
  } else if (content.error().code != ErrorCode::kNotFound) {
    return content.error();
  }
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return io_error(fmt::format("create {}: {}", path, std::strerror(errno)));
  std::unique_ptr<Journal> journal(new Journal(path, fd));
  if (::ftruncate(fd, static_cast<off_t>(good_bytes)) != 0 || ::lseek(fd, 0, SEEK_END) < 0) {
    return io_error(fmt::format("cut {} to its last whole line: {}", path, std::strerror(errno)));
  }
  if (good_bytes == 0) {
    KAKEYA_TRY(journal->append({{"schema", kJournalSchema}, {"identity", identity}}));
  }
  return journal;
}

Journal::~Journal() {
  if (fd_ >= 0) ::close(fd_);
}

Status Journal::append_free(const Record& record) {
  return append(part_line(record, "free", to_json(*record.free)));
}

Status Journal::append_forced(const Record& record) {
  return append(part_line(record, "forced", to_json(*record.forced)));
}

Status Journal::append(const Json& line) {
  const std::string text = line.dump() + "\n";
  const off_t before = ::lseek(fd_, 0, SEEK_CUR);
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd_, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  if (done == text.size() && ::fsync(fd_) == 0) return {};
  const Error error = io_error(fmt::format("write {}: {}", path_, std::strerror(errno)));
  if (::ftruncate(fd_, before) == 0) ::lseek(fd_, before, SEEK_SET);
  return error;
}

}  // namespace kakeya::acceptance
