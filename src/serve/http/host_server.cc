#include "serve/http/host_server.h"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "serve/http/framing.h"
#include "serve/http/router.h"

namespace kakeya::serve::http {
namespace {

constexpr std::size_t kHeaderBytes = std::size_t{64} << 10;
constexpr std::size_t kSkippedBytes = std::size_t{1}
                                      << 20;  // of an unwanted body, before the connection is closed
constexpr std::size_t kRequestsPerConnection = 10'000;

// Counts an answer until its first byte is due.
class Unstarted {
 public:
  explicit Unstarted(std::atomic<std::size_t>& count) : count_(count) { ++count_; }
  ~Unstarted() { begin(); }
  Unstarted(const Unstarted&) = delete;
  Unstarted& operator=(const Unstarted&) = delete;
  void begin() {
    if (counted_) --count_;
    counted_ = false;
  }

 private:
  std::atomic<std::size_t>& count_;
  bool counted_ = true;
};

// A request on its way through cpp-httplib, which has no room for it. One a thread.
struct InFlight {
  Connection* connection = nullptr;
  Request request;
  bool handled = false;    // an application answer stands in the response
  bool close = false;      // the connection ends with this response
  std::size_t unread = 0;  // bytes of a body that nobody reads
  Framing framing;
  bool told_close = false;   // the client ends the connection, and cpp-httplib says it
  bool old_version = false;  // HTTP/1.0
  std::shared_ptr<Unstarted> unstarted;
};
thread_local InFlight g_in_flight;

class StreamWriter : public Writer {
 public:
  StreamWriter(httplib::DataSink& sink, Connection& connection) : sink_(sink), connection_(connection) {}
  bool write(std::string_view bytes) override {
    if (ok_ && !bytes.empty()) ok_ = !connection_.gone() && sink_.write(bytes.data(), bytes.size());
    return ok_;
  }
  bool gone() override { return !ok_ || connection_.gone(); }

 private:
  httplib::DataSink& sink_;
  Connection& connection_;
  bool ok_ = true;
};

// On the thread that accepts: the connection at hand got none of its own and is refused at once.
thread_local bool g_no_thread = false;

// A thread a connection, counted.
class Threads : public httplib::TaskQueue {
 public:
  void enqueue(std::function<void()> work) override {
    {
      const std::lock_guard lock(mutex_);
      ++running_;
    }
    const auto run = [this, work = std::move(work)] {
      work();
      const std::lock_guard lock(mutex_);
      if (--running_ == 0) idle_.notify_all();
    };
    try {
      std::thread(run).detach();
    } catch (const std::system_error&) {  // the system has no more threads
      g_no_thread = true;
      run();
      g_no_thread = false;
    }
  }
  void shutdown() override {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [&] { return running_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable idle_;
  std::size_t running_ = 0;
};

}  // namespace

HostServer::HostServer(const ListenOptions& options, Application& application, std::atomic<bool>& stopping,
                       std::atomic<std::size_t>& connections)
    : options_(options), application_(application), stopping_(stopping), connections_(connections) {
  new_task_queue = [] { return new Threads; };
  // Not SO_REUSEPORT, cpp-httplib's default: two servers on one port would share its clients.
  set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  set_payload_max_length(options.max_body_bytes);
  set_keep_alive_timeout(std::chrono::duration_cast<std::chrono::seconds>(options.idle_timeout).count());
  set_keep_alive_max_count(kRequestsPerConnection);
  set_pre_routing_handler([this](const httplib::Request&, httplib::Response& out) { return before(out); });
  const auto whole = [this](const httplib::Request& in, httplib::Response& out) {
    // A chunked body says its size only at its end; the byte budget before that has room for headers too.
    if (in.body.size() > options_.max_body_bytes) {
      g_in_flight.close = true;
      return send(application_.broken(g_in_flight.request, 413, too_large()), out);
    }
    g_in_flight.request.body = in.body;
    answer(out);
  };
  // Every path is "/" by now: see set_up().
  Post("/", whole).Put("/", whole).Patch("/", whole).Delete("/", whole);
  set_error_handler(
      HandlerWithResponse([this](const httplib::Request&, httplib::Response& out) { return fail(out); }));
}

// Overrides a private virtual: called with every accepted socket.
bool HostServer::process_and_close_socket(socket_t socket) {
  const int yes = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  {
    Connection connection(static_cast<int>(socket), {options_.max_body_bytes + kHeaderBytes,
                                                     options_.read_timeout, options_.write_timeout});
    if (++connections_ > options_.max_connections || g_no_thread) {
      refuse(connection);
    } else {
      serve(connection);
    }
    --connections_;
    if (!g_no_thread) connection.finish();
  }
  ::close(static_cast<int>(socket));
  return true;
}

void HostServer::lengthen_queue() { ::listen(svr_sock_, SOMAXCONN); }

void HostServer::close_listening() {
  const socket_t socket = svr_sock_.exchange(INVALID_SOCKET);
  if (socket != INVALID_SOCKET) ::close(socket);
}

void HostServer::refuse(Connection& connection) {
  ApiError error;
  error.status = 503;
  error.type = "unavailable_error";
  error.code = "too_many_connections";
  error.message = fmt::format("All {} connections are in use.", options_.max_connections);
  const std::string body = openai_error(error).body;
  connection.Stream::write(
      fmt::format("HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: "
                  "{}\r\nRetry-After: 2\r\nConnection: close\r\n\r\n{}",
                  body.size(), body));
}

void HostServer::serve(Connection& connection) {
  for (std::size_t served = 0; served < kRequestsPerConnection; ++served) {
    if (!connection.wait_for_request(options_.idle_timeout, stopping_)) return;
    g_in_flight = {};
    g_in_flight.connection = &connection;
    connection.begin_request();
    bool closed = false;
    const bool written =
        process_request(connection, stopping_, closed, [this](httplib::Request& in) { set_up(in); });
    const InFlight& done = g_in_flight;
    if (!written || closed || done.close || stopping_) return;
    if (done.unread > kSkippedBytes || !connection.skip(done.unread)) return;
  }
}

void HostServer::set_up(httplib::Request& in) {
  InFlight& now = g_in_flight;
  now.request.method = in.method;
  now.request.path = clean_path(in.target);
  now.request.remote = in.remote_addr;
  now.old_version = in.version == "HTTP/1.0";
  for (const auto& [name, value] : in.params) now.request.query.emplace(name, value);
  for (const auto& [name, value] : in.headers) now.request.headers.add(name, value);
  now.request.gone = [connection = now.connection] { return connection->gone(); };
  in.path = "/";
  in.ranges.clear();
  in.headers.erase("Accept-Encoding");  // compressing tokens one by one gains nothing
  now.framing = framing_of(now.request.headers, now.old_version);
  now.told_close = now.request.headers.get("connection") == "close";
  now.unread = now.framing.length;
  const bool chunked = now.framing.chunked;
  now.close = now.framing.refusal != 0 || chunked;  // until the body was read
  // Nobody is asked for a body that is refused.
  if (now.framing.refusal != 0 || now.unread > options_.max_body_bytes) in.headers.erase("Expect");
  if (body_expected(in.method) && !chunked && now.unread == 0) {
    in.headers.erase("Content-Length");
    in.headers.emplace("Content-Length", "0");  // cpp-httplib would wait for the end of the connection
  }
}

httplib::Server::HandlerResponse HostServer::before(httplib::Response& out) {
  InFlight& now = g_in_flight;
  if (now.framing.refusal != 0) {
    send(application_.broken(now.request, now.framing.refusal, now.framing.why), out);
    return HandlerResponse::Handled;
  }
  if (auto early = application_.before_body(now.request)) {
    send(std::move(*early), out);
    return HandlerResponse::Handled;
  }
  if (now.unread > options_.max_body_bytes) {
    now.close = true;
    send(application_.broken(now.request, 413, too_large()), out);
    return HandlerResponse::Handled;
  }
  if (!body_expected(now.request.method)) {
    answer(out);
    return HandlerResponse::Handled;
  }
  now.unread = 0;
  now.close = false;
  return HandlerResponse::Unhandled;
}

std::string HostServer::too_large() const {
  return fmt::format("The request's body is larger than {} bytes (--max-body).", options_.max_body_bytes);
}

// What cpp-httplib itself refuses: no request line, headers that are none, a body that ended early.
httplib::Server::HandlerResponse HostServer::fail(httplib::Response& out) {
  InFlight& now = g_in_flight;
  if (now.handled) return HandlerResponse::Unhandled;
  now.close = true;
  const bool large = out.status == 413 || now.connection->over_budget();
  const int status = large ? 413 : out.status == 414 ? 414 : out.status == 500 ? 500 : 400;
  send(application_.broken(now.request, status, large ? too_large() : "The request could not be read."), out);
  return HandlerResponse::Handled;
}

void HostServer::answer(httplib::Response& out) {
  InFlight& now = g_in_flight;
  now.unstarted = std::make_shared<Unstarted>(unstarted_);
  send(application_.handle(now.request), out);
  now.unstarted.reset();  // a stream holds it on
}

void HostServer::wait_for_streams(std::chrono::milliseconds patience) const {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (unstarted_ > 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void HostServer::send(Response response, httplib::Response& out) {
  InFlight& now = g_in_flight;
  now.handled = true;
  application_.finish(now.request, response);
  out.status = response.status;
  for (const auto& [name, value] : response.headers) out.set_header(name, value);
  // HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
  if (response.stream && now.old_version) now.close = true;
  if (now.close && !now.told_close) out.set_header("Connection", "close");
  if (!response.stream) {
    out.set_content(response.body, response.content_type);
    return;
  }
  const auto provider = [run = std::move(response.stream), connection = now.connection,
                         unstarted = now.unstarted](std::size_t, httplib::DataSink& sink) {
    if (unstarted) unstarted->begin();
    StreamWriter writer(sink, *connection);
    try {
      run(writer);
    } catch (const std::exception&) {
      return false;  // half an answer: the connection is cut, so that nobody takes it for a whole one
    }
    if (writer.gone()) return false;
    sink.done();
    return true;
  };
  if (now.old_version) {
    out.set_content_provider(response.content_type, provider);
  } else {
    out.set_chunked_content_provider(response.content_type, provider);
  }
}

}  // namespace kakeya::serve::http
