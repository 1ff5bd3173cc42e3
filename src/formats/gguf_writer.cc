#include "formats/gguf_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "base/output_file.h"

namespace kakeya::formats {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is written in memory order");

template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_string(std::string& out, std::string_view text) {
  append(out, std::uint64_t{text.size()});
  out.append(text);
}

std::uint64_t aligned(std::uint64_t n) { return (n + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment; }

Error system_error(const std::string& what, int number) {
  return io_error(what + ": " + std::strerror(number));
}

}  // namespace

GgufWriter::~GgufWriter() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(temporary_.c_str());
  }
}

void GgufWriter::begin_value(const std::string& key, GgufValue type) {
  ++metadata_count_;
  append_string(metadata_, key);
  append(metadata_, static_cast<std::uint32_t>(type));
}

void GgufWriter::set(const std::string& key, std::uint32_t value) {
  begin_value(key, GgufValue::kU32);
  append(metadata_, value);
}
void GgufWriter::set(const std::string& key, float value) {
  begin_value(key, GgufValue::kF32);
  append(metadata_, value);
}
void GgufWriter::set(const std::string& key, bool value) {
  begin_value(key, GgufValue::kBool);
  append(metadata_, static_cast<std::uint8_t>(value));
}
void GgufWriter::set(const std::string& key, std::string_view value) {
  begin_value(key, GgufValue::kString);
  append_string(metadata_, value);
}
void GgufWriter::set(const std::string& key, const std::vector<std::string>& values) {
  begin_value(key, GgufValue::kArray);
  append(metadata_, static_cast<std::uint32_t>(GgufValue::kString));
  append(metadata_, std::uint64_t{values.size()});
  for (const std::string& value : values) append_string(metadata_, value);
}
void GgufWriter::set(const std::string& key, std::span<const std::int32_t> values) {
  begin_value(key, GgufValue::kArray);
  append(metadata_, static_cast<std::uint32_t>(GgufValue::kI32));
  append(metadata_, std::uint64_t{values.size()});
  for (const std::int32_t value : values) append(metadata_, value);
}
void GgufWriter::set(const std::string& key, const std::vector<bool>& values) {
  begin_value(key, GgufValue::kArray);
  append(metadata_, static_cast<std::uint32_t>(GgufValue::kBool));
  append(metadata_, std::uint64_t{values.size()});
  for (const bool value : values) append(metadata_, static_cast<std::uint8_t>(value));
}

void GgufWriter::add_tensor(const std::string& name, const GgmlType& type, std::vector<std::uint64_t> shape) {
  KAKEYA_CHECK(fd_ < 0 && !shape.empty() && shape.back() % type.block_values == 0);
  Tensor tensor{name, &type, std::move(shape), type.block_bytes, aligned(data_bytes_)};
  for (const std::uint64_t n : tensor.shape) tensor.bytes *= n;
  tensor.bytes /= type.block_values;
  data_bytes_ = tensor.offset + tensor.bytes;
  tensors_.push_back(std::move(tensor));
}

std::string GgufWriter::header() const {
  std::string out;
  append(out, kGgufMagic);
  append(out, kGgufVersion);
  append(out, std::uint64_t{tensors_.size()});
  append(out, metadata_count_);
  out += metadata_;
  for (const Tensor& tensor : tensors_) {
    append_string(out, tensor.name);
    append(out, static_cast<std::uint32_t>(tensor.shape.size()));
    for (std::size_t i = tensor.shape.size(); i-- > 0;) append(out, tensor.shape[i]);
    append(out, tensor.type->number);
    append(out, tensor.offset);
  }
  out.resize(aligned(out.size()));
  return out;
}

std::uint64_t GgufWriter::file_bytes() const { return header().size() + aligned(data_bytes_); }

Status GgufWriter::write_raw(const void* data, std::size_t n) {
  const char* at = static_cast<const char*>(data);
  while (n > 0) {
    const ssize_t done = ::write(fd_, at, n);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return system_error("write " + path_, done < 0 ? errno : ENOSPC);
    at += done;
    n -= static_cast<std::size_t>(done);
    position_ += static_cast<std::uint64_t>(done);
  }
  return {};
}

Status GgufWriter::pad() {
  const char zeros[kGgufAlignment] = {};
  return write_raw(zeros, aligned(position_) - position_);
}

Status GgufWriter::begin() {
  KAKEYA_CHECK(fd_ < 0);
  KAKEYA_ASSIGN(path_, base::output_file(path_));
  temporary_ = path_ + ".tmp." + std::to_string(::getpid());
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) return system_error("create " + temporary_, errno);
  const std::string text = header();
  return write_raw(text.data(), text.size());
}

Status GgufWriter::write(std::span<const std::byte> bytes) {
  KAKEYA_CHECK(fd_ >= 0 && current_ < tensors_.size());
  KAKEYA_CHECK(bytes.size() <= tensors_[current_].bytes - in_tensor_);
  KAKEYA_TRY(write_raw(bytes.data(), bytes.size()));
  in_tensor_ += bytes.size();
  if (in_tensor_ < tensors_[current_].bytes) return {};
  ++current_;
  in_tensor_ = 0;
  return pad();
}

Status GgufWriter::finish() {
  KAKEYA_CHECK(fd_ >= 0 && current_ == tensors_.size());
  if (::fsync(fd_) != 0) return system_error("sync " + path_, errno);
  const int closed = ::close(fd_);
  fd_ = -1;
  Status status;
  if (closed != 0) status = system_error("close " + path_, errno);
  if (status.ok() && ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    status = system_error("rename to " + path_, errno);
  }
  if (!status.ok()) ::unlink(temporary_.c_str());
  return status;
}

}  // namespace kakeya::formats
