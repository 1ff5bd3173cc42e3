#include "serve/http/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace kakeya::serve::http {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSlice{100};  // a stop is noticed within
constexpr milliseconds kLinger{1000};

#ifdef MSG_NOSIGNAL
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;  // the server ignores SIGPIPE
#endif

#ifdef POLLRDHUP
constexpr short kPeerClosed = POLLRDHUP;
#else
constexpr short kPeerClosed = 0;
#endif

// Events of the socket within `wait`; 0 = none.
int poll_socket(int socket, short events, milliseconds wait) {
  pollfd entry{socket, events, 0};
  const int count = ::poll(&entry, 1, static_cast<int>(wait.count()));
  return count > 0 ? entry.revents : 0;
}

void address_of(bool remote, int socket, std::string& ip, int& port) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if ((remote ? getpeername(socket, generic, &size) : getsockname(socket, generic, &size)) != 0) return;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
    inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    port = ntohs(v4->sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
    inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    port = ntohs(v6->sin6_port);
  }
  ip = text.data();
}

}  // namespace

Connection::Connection(int socket, const ConnectionLimits& limits) : socket_(socket), limits_(limits) {}

void Connection::begin_request() {
  deadline_ = Clock::now() + limits_.read_timeout;
  budget_ = limits_.request_bytes;
  over_budget_ = false;
}

bool Connection::wait_for_request(milliseconds wait, const std::atomic<bool>& stopping) {
  const auto until = Clock::now() + wait;
  while (from_ == to_) {
    if (stopping || Clock::now() >= until) return false;
    if (poll_socket(socket_, POLLIN, kSlice) == 0) continue;
    return !gone();
  }
  return true;
}

bool Connection::gone() const {
  if (write_failed_) return true;
  const int events = poll_socket(socket_, POLLIN | kPeerClosed, milliseconds(0));
  if (events == 0) return false;
  // Also behind bytes that it sent and nobody read yet.
  if ((events & (kPeerClosed | POLLHUP | POLLERR)) != 0) return true;
  char byte = 0;
  const ssize_t got = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

bool Connection::fill() {
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline_ - Clock::now());
    if (left.count() <= 0) return false;
    if (poll_socket(socket_, POLLIN, left) == 0) continue;
    const ssize_t got = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got > 0) {
      from_ = 0;
      to_ = static_cast<std::size_t>(got);
      return true;
    }
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) return false;
  }
}

bool Connection::is_readable() const { return from_ < to_ || poll_socket(socket_, POLLIN, kSlice) != 0; }

// cpp-httplib asks before it writes; a full buffer is waited for in write().
bool Connection::is_writable() const { return !write_failed_ && !gone(); }

ssize_t Connection::read(char* bytes, std::size_t size) {
  if (budget_ == 0) {
    over_budget_ = true;
    return -1;
  }
  if (from_ == to_ && !fill()) return -1;
  const std::size_t count = std::min({size, to_ - from_, budget_});
  std::memcpy(bytes, buffer_.data() + from_, count);
  from_ += count;
  budget_ -= count;
  return static_cast<ssize_t>(count);
}

bool Connection::skip(std::size_t bytes) {
  while (bytes > 0) {
    if (from_ == to_ && !fill()) return false;
    const std::size_t count = std::min(bytes, to_ - from_);
    from_ += count;
    bytes -= count;
  }
  return true;
}

void Connection::finish() {
  ::shutdown(socket_, SHUT_WR);
  const auto until = Clock::now() + kLinger;
  while (!write_failed_ && Clock::now() < until) {
    if (poll_socket(socket_, POLLIN, kSlice) == 0) continue;
    const ssize_t got = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) return;
  }
}

ssize_t Connection::write(const char* bytes, std::size_t size) {
  std::size_t sent = 0;
  auto until = Clock::now() + limits_.write_timeout;
  while (sent < size && !write_failed_) {
    const ssize_t count = ::send(socket_, bytes + sent, size - sent, kNoSignal | MSG_DONTWAIT);
    if (count > 0) {
      sent += static_cast<std::size_t>(count);
      until = Clock::now() + limits_.write_timeout;
    } else if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
      write_failed_ = true;
    } else if (Clock::now() >= until) {
      write_failed_ = true;  // reads too slowly, or not at all
    } else {
      poll_socket(socket_, POLLOUT, kSlice);
    }
  }
  return write_failed_ ? -1 : static_cast<ssize_t>(sent);
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  address_of(true, socket_, ip, port);
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  address_of(false, socket_, ip, port);
}

}  // namespace kakeya::serve::http
