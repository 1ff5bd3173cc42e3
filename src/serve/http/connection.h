// One accepted socket as the stream that cpp-httplib reads and writes. Only listener.cc needs it.
#pragma once
#include <httplib.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>

namespace kakeya::serve::http {

struct ConnectionLimits {
  std::size_t request_bytes = 0;  // header and body
  std::chrono::milliseconds read_timeout{0}, write_timeout{0};
};

class Connection : public httplib::Stream {
 public:
  Connection(int socket, const ConnectionLimits& limits);

  // A request is about to be read: its time and bytes count from here.
  void begin_request();
  // Waits for the first byte of the next request. False: closed, `wait` passed, or `stopping`.
  bool wait_for_request(std::chrono::milliseconds wait, const std::atomic<bool>& stopping);
  bool over_budget() const { return over_budget_; }
  bool gone() const;  // the peer has closed its side
  // Reads and drops a body that nobody wanted, so that the next request starts where it should.
  bool skip(std::size_t bytes);
  // Says that nothing more comes, and takes what the peer is still sending for a moment: closing at once
  // would throw away the response that it has not read yet.
  void finish();

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* bytes, std::size_t size) override;
  ssize_t write(const char* bytes, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  // Not the real one: cpp-httplib only compares it with the limit of select(), which is not used here.
  socket_t socket() const override { return 0; }

 private:
  using Clock = std::chrono::steady_clock;
  bool fill();

  const int socket_;
  const ConnectionLimits limits_;
  std::array<char, 16384> buffer_;
  std::size_t from_ = 0, to_ = 0;
  std::size_t budget_ = 0;  // bytes that this request may still have
  bool over_budget_ = false;
  bool write_failed_ = false;
  Clock::time_point deadline_;
};

}  // namespace kakeya::serve::http
