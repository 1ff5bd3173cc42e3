// The network tier against a server on the loopback address that behaves, errs, lies, hangs and floods.
#include "acceptance/hub_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "acceptance/files.h"

namespace kakeya::acceptance {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Seconds = std::chrono::duration<double>;

std::string question(std::size_t i) { return "How many is " + std::to_string(i) + " \xE2\x80\x99s?"; }

// One page as the dataset viewer documents it.
json page(std::size_t offset, std::size_t count, std::size_t total) {
  json rows = json::array();
  for (std::size_t i = offset; i < std::min(offset + count, total); ++i) {
    rows.push_back({{"row_idx", i},
                    {"row",
                     {{"question", question(i)},
                      {"answer", "It is " + std::to_string(i) + "\n#### " + std::to_string(i)}}},
                    {"truncated_cells", json::array()}});
  }
  return {{"features", json::array()},
          {"rows", rows},
          {"num_rows_total", total},
          {"num_rows_per_page", 100},
          {"partial", false}};
}

class Hub : public ::testing::Test {
 protected:
  using Handler =
      std::function<void(const httplib::Request&, httplib::Response&, int call, std::size_t offset)>;

  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "kakeya-hub-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    server_.Get("/rows", [this](const httplib::Request& request, httplib::Response& response) {
      const int call = calls_++;
      last_ = request;
      handler_(request, response, call, std::stoul(request.get_param_value("offset")));
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    options_.hub_url = "http://127.0.0.1:" + std::to_string(port_);
    options_.cache_dir = dir_ / "cache";
    options_.n_samples = 1000;
    options_.hub_limits.backoff_ms = 5;
    options_.hub_limits.page_ms = 2000;
    options_.hub_limits.total_ms = 20000;
    serve_rows(250);
  }
  void TearDown() override {
    stopping_ = true;
    server_.stop();
    if (thread_.joinable()) thread_.join();
    fs::remove_all(dir_);
  }
  void serve_rows(std::size_t total) {
    handler_ = [total](const auto& request, auto& response, int, std::size_t offset) {
      send(response, page(offset, std::stoul(request.get_param_value("length")), total));
    };
  }
  static void send(httplib::Response& response, const json& body) {
    response.set_content(body.dump(), "application/json");
  }
  static void fail(httplib::Response& response, int status,
                   const std::string& body = "{\"error\": \"not now\"}") {
    response.status = status;
    response.set_content(body, "application/json");
  }
  // The message of a load that must fail and leave no cache.
  std::string failure() {
    const auto set = load_dataset("gsm8k", options_);
    EXPECT_FALSE(set.ok());
    EXPECT_FALSE(fs::exists(dir_ / "cache/gsm8k.jsonl"));
    return set.ok() ? "" : set.error().message;
  }

  fs::path dir_;
  httplib::Server server_;
  std::thread thread_;
  Handler handler_;
  httplib::Request last_;
  std::atomic<int> calls_ = 0;
  std::atomic<bool> stopping_ = false;
  int port_ = 0;
  DatasetOptions options_;
};

TEST_F(Hub, DownloadsEveryPageAndKeepsThemInTheCache) {
  const auto set = load_dataset("gsm8k", options_);
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(set->source, "huggingface");
  EXPECT_EQ(set->path, options_.hub_url + "/rows?dataset=openai/gsm8k&config=main&split=test");
  EXPECT_EQ(set->n_available, 250u);
  EXPECT_EQ(calls_, 3);
  EXPECT_EQ(last_.get_param_value("dataset"), "openai/gsm8k");
  EXPECT_EQ(last_.get_param_value("length"), "100");
  for (const Problem& problem : set->problems) {
    EXPECT_EQ(problem.prompt, question(problem.index));
    EXPECT_EQ(problem.answer, std::to_string(problem.index));
  }
  const std::string line = "{\"question\": \"How many is 0 \\u2019s?\", \"answer\": \"It is 0\\n#### 0\"}\n";
  const auto cached = read_whole_file((dir_ / "cache/gsm8k.jsonl").string(), 1 << 20);
  ASSERT_TRUE(cached.ok());
  EXPECT_EQ(cached->substr(0, line.size()), line);  // json.dumps of Python
  EXPECT_EQ(set->sha256, sha256_text(*cached));

  options_.allow_network = false;
  const auto again = load_dataset("gsm8k", options_);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(calls_, 3);
  EXPECT_EQ(again->sha256, set->sha256);
  EXPECT_EQ(again->path, set->path);
  EXPECT_EQ(again->source, "huggingface");
  EXPECT_EQ(again->problems.at(7).prompt, set->problems.at(7).prompt);
}

TEST_F(Hub, RowsOfThePublishedFilesGiveTheirDigests) {
  const char* shared = std::getenv("KAKEYA_SHARED");
  const std::string data = std::string(shared != nullptr ? shared : KAKEYA_SOURCE_DIR "/../shared") + "/data";
  const auto published = read_whole_file(data + "/gsm8k/test.jsonl", 64 << 20);
  if (!published.ok()) GTEST_SKIP() << published.error().message << "; set KAKEYA_SHARED";
  std::vector<json> rows;
  std::istringstream lines(*published);
  for (std::string line; std::getline(lines, line);) rows.push_back(json::parse(line));
  handler_ = [&](const auto&, auto& response, int, std::size_t offset) {
    json reply = {{"rows", json::array()}, {"num_rows_total", rows.size()}};
    for (std::size_t i = offset; i < std::min(offset + 100, rows.size()); ++i)
      reply["rows"].push_back({{"row_idx", i}, {"row", rows[i]}});
    send(response, reply);
  };
  const auto set = load_dataset("gsm8k", options_);
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(set->sha256, "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14");
}

TEST_F(Hub, PagesShorterThanAskedAreContinued) {
  handler_ = [](const auto&, auto& response, int, std::size_t offset) {
    send(response, page(offset, 37, 150));
  };
  const auto set = load_dataset("gsm8k", options_);
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(set->n_available, 150u);
  EXPECT_EQ(calls_, 5);
}

TEST_F(Hub, AnswersWithoutATotalEndAtTheEmptyPage) {
  handler_ = [](const auto&, auto& response, int, std::size_t offset) {
    json reply = page(offset, 100, 120);
    reply.erase("num_rows_total");
    send(response, reply);
  };
  const auto set = load_dataset("gsm8k", options_);
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(set->n_available, 120u);
}

TEST_F(Hub, TemporaryErrorsAreTriedAgain) {
  for (const int status : {429, 500, 502, 503, 504}) {
    fs::remove_all(dir_ / "cache");
    calls_ = 0;
    handler_ = [status](const auto&, auto& response, int call, std::size_t offset) {
      if (call % 3 != 2) return fail(response, status);
      send(response, page(offset, 100, 110));
    };
    const auto set = load_dataset("gsm8k", options_);
    ASSERT_TRUE(set.ok()) << set.error().message;
    EXPECT_EQ(calls_, 6);
  }
}

TEST_F(Hub, RetryAfterIsHonoured) {
  handler_ = [](const auto&, auto& response, int call, std::size_t offset) {
    if (call == 0) {
      response.set_header("Retry-After", "1");
      return fail(response, 429);
    }
    send(response, page(offset, 100, 100));
  };
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(load_dataset("gsm8k", options_).ok());
  EXPECT_GE(Seconds(std::chrono::steady_clock::now() - begin).count(), 1.0);
}

TEST_F(Hub, RetryAfterBeyondOurPatienceEndsAtOnce) {
  handler_ = [](const auto&, auto& response, int, std::size_t) {
    response.set_header("Retry-After", "86400");
    fail(response, 503);
  };
  EXPECT_THAT(failure(), AllOf(HasSubstr("status 503"), HasSubstr("86400 s")));
  EXPECT_EQ(calls_, 1);
}

TEST_F(Hub, LastingErrorsAreNamedWithTheServersWords) {
  handler_ = [](const auto&, auto& response, int, std::size_t) { fail(response, 500); };
  EXPECT_THAT(failure(), AllOf(HasSubstr("status 500"), HasSubstr("not now"), HasSubstr("tried 5 times")));
  EXPECT_EQ(calls_, 5);
  for (const int status : {400, 401, 403, 404, 422}) {
    calls_ = 0;
    handler_ = [status](const auto&, auto& response, int, std::size_t) {
      fail(response, status, "<html>\x01 no");
    };
    EXPECT_THAT(failure(), AllOf(HasSubstr("status " + std::to_string(status)), HasSubstr("<html>? no")));
    EXPECT_EQ(calls_, 1);
  }
}

TEST_F(Hub, ErrorInTheMiddleLeavesNoCache) {
  handler_ = [](const auto&, auto& response, int, std::size_t offset) {
    if (offset >= 100) return fail(response, 404);
    send(response, page(offset, 100, 250));
  };
  EXPECT_THAT(failure(), HasSubstr("offset=100"));
  EXPECT_FALSE(fs::exists(dir_ / "cache"));
}

TEST_F(Hub, HangingServerIsLeftInTime) {
  options_.hub_limits.page_ms = 200;
  options_.hub_limits.attempts = 2;
  handler_ = [this](const auto&, auto& response, int, std::size_t) {
    for (int i = 0; i < 200 && !stopping_; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    response.status = 200;
  };
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(failure(), AllOf(HasSubstr("imed out"), HasSubstr("tried 2 times")));
  EXPECT_LT(Seconds(std::chrono::steady_clock::now() - begin).count(), 2.0);
}

TEST_F(Hub, TimeForTheWholeSetIsLimited) {
  options_.hub_limits.total_ms = 600;
  options_.hub_limits.attempts = 1000;
  options_.hub_limits.backoff_ms = 50;
  handler_ = [](const auto&, auto& response, int, std::size_t) { fail(response, 500); };
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(failure(), HasSubstr("600 ms"));
  EXPECT_LT(Seconds(std::chrono::steady_clock::now() - begin).count(), 3.0);
}

TEST_F(Hub, CancellingEndsTheDownload) {
  options_.hub_limits.backoff_ms = 10000;
  options_.cancelled = [this] { return calls_ > 0; };
  handler_ = [](const auto&, auto& response, int, std::size_t) { fail(response, 500); };
  options_.allow_synthetic = true;  // a cancelled run must not go on with the fixture
  const auto begin = std::chrono::steady_clock::now();
  const auto set = load_dataset("gsm8k", options_);
  ASSERT_FALSE(set.ok());
  EXPECT_EQ(set.error().code, ErrorCode::kCancelled);
  EXPECT_LT(Seconds(std::chrono::steady_clock::now() - begin).count(), 5.0);
}

TEST_F(Hub, HugeBodyIsCutOff) {
  options_.hub_limits.page_bytes = 100'000;
  handler_ = [](const auto&, auto& response, int, std::size_t) {
    response.set_content(std::string(200'000, ' '), "application/json");
  };
  EXPECT_THAT(failure(), HasSubstr("more than 100000 bytes"));
  calls_ = 0;
  handler_ = [this](const auto&, auto& response, int, std::size_t) {  // endless, without a length
    response.set_chunked_content_provider("application/json", [this](std::size_t, httplib::DataSink& sink) {
      const std::string spaces(65536, ' ');
      return !stopping_ && sink.write(spaces.data(), spaces.size());
    });
  };
  EXPECT_THAT(failure(), HasSubstr("more than 100000 bytes"));
  EXPECT_EQ(calls_, 1);
}

TEST_F(Hub, CutBodyIsTriedAgainAndThenRefused) {
  options_.hub_limits.attempts = 2;
  handler_ = [](const auto&, auto& response, int, std::size_t) {
    response.set_content_provider(1000, "application/json",
                                  [](std::size_t offset, std::size_t, httplib::DataSink& sink) {
                                    return offset == 0 && sink.write("{\"rows\"", 7);
                                  });
  };
  EXPECT_THAT(failure(), HasSubstr("tried 2 times"));
}

TEST_F(Hub, RedirectsAreFollowedAFewTimesOnly) {
  handler_ = [](const httplib::Request& request, auto& response, int, std::size_t) {
    response.set_redirect(request.target + "&again=1");
  };
  EXPECT_THAT(failure(), HasSubstr("redirect"));
  EXPECT_LE(calls_, 5);
  calls_ = 0;
  handler_ = [](const httplib::Request& request, auto& response, int, std::size_t offset) {
    if (!request.has_param("again")) return response.set_redirect(request.target + "&again=1");
    send(response, page(offset, 100, 80));
  };
  EXPECT_TRUE(load_dataset("gsm8k", options_).ok());
}

TEST_F(Hub, RedirectToAnotherSchemeIsRefused) {
  handler_ = [](const httplib::Request&, auto& response, int, std::size_t) {
    response.set_redirect("file:///etc/passwd");
  };
  EXPECT_THAT(failure(), HasSubstr("get http://127.0.0.1"));
}

TEST_F(Hub, TokenGoesToTheHubAndNotToWhereItRedirects) {
  options_.hub_token = "secret-token";
  std::string elsewhere = "unset", at_hub = "unset";
  httplib::Server other;
  other.Get("/rows", [&](const httplib::Request& request, httplib::Response& response) {
    elsewhere = request.get_header_value("Authorization");
    send(response, page(0, 100, 50));
  });
  const int port = other.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { other.listen_after_bind(); });
  handler_ = [&](const httplib::Request& request, auto& response, int, std::size_t) {
    at_hub = request.get_header_value("Authorization");
    response.set_redirect("http://localhost:" + std::to_string(port) + "/rows");
  };
  const auto set = load_dataset("gsm8k", options_);
  other.stop();
  thread.join();
  EXPECT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(at_hub, "Bearer secret-token");
  EXPECT_EQ(elsewhere, "");
}

TEST_F(Hub, UnreachableServerNamesEverythingThatWasTried) {
  options_.hub_limits.attempts = 1;
  options_.hub_url = "http://127.0.0.1:1";
  options_.data_dir = dir_ / "data";
  EXPECT_THAT(failure(),
              AllOf(HasSubstr("data/gsm8k/test.jsonl"), HasSubstr("no cache"), HasSubstr("127.0.0.1:1")));
  options_.allow_synthetic = true;
  const auto set = load_dataset("gsm8k", options_);
  ASSERT_TRUE(set.ok()) << set.error().message;
  EXPECT_EQ(set->source, "synthetic");
}

TEST_F(Hub, AddressesThatAreNotHttpAreRefused) {
  for (const char* address : {"file:///etc", "ftp://127.0.0.1", "127.0.0.1:80", ""}) {
    options_.hub_url = address;
    EXPECT_THAT(failure(), HasSubstr("expected http:// or https://"));
  }
}

TEST_F(Hub, DamagedCacheIsDownloadedAgainAndRefusedOffline) {
  ASSERT_TRUE(load_dataset("gsm8k", options_).ok());
  const std::string records = (dir_ / "cache/gsm8k.jsonl").string(),
                    note = (dir_ / "cache/gsm8k.source.json").string();
  const std::string whole = *read_whole_file(records, 1 << 20);
  const auto damage = [&](const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  };
  const std::function<void()> damages[] = {
      [&] { damage(records, whole.substr(0, whole.size() / 2)); },
      [&] { damage(records, ""); },
      [&] { damage(note, "{}"); },
      [&] { damage(note, "[1"); },
      [&] { fs::remove(records); },
      [&] { damage(note, R"({"format": "kakeya-dataset-cache-v2", "address": "x", "sha256": "y"})"); }};
  for (const auto& break_it : damages) {
    break_it();
    options_.allow_network = false;
    EXPECT_THAT(load_dataset("gsm8k", options_).error().message, HasSubstr("cache: "));
    options_.allow_network = true;
    const auto set = load_dataset("gsm8k", options_);
    ASSERT_TRUE(set.ok()) << set.error().message;
    EXPECT_EQ(*read_whole_file(records, 1 << 20), whole);
  }
}

TEST_F(Hub, CacheOfAnotherAddressIsNotTaken) {
  ASSERT_TRUE(load_dataset("gsm8k", options_).ok());
  options_.hub_url = "http://localhost:" + std::to_string(port_);
  calls_ = 0;
  ASSERT_TRUE(load_dataset("gsm8k", options_).ok());
  EXPECT_EQ(calls_, 3);
}

TEST_F(Hub, UnwritableCacheIsAnError) {
  std::ofstream(dir_ / "file") << "x";
  options_.cache_dir = dir_ / "file";
  EXPECT_THAT(load_dataset("gsm8k", options_).error().message, HasSubstr((dir_ / "file").string()));
}

TEST_F(Hub, AnotherCountThanExpectedIsRefused) {
  const DatasetSpec& spec = *find_dataset_spec("gsm8k");
  EXPECT_EQ(spec.hub_rows, 1319u);
  HubSource source{options_.hub_url, "", 1319, options_.hub_limits, {}};
  const auto short_set = download_jsonl(spec, source);
  ASSERT_FALSE(short_set.ok());
  EXPECT_THAT(short_set.error().message, HasSubstr("found 250, expected the 1319 rows"));
  serve_rows(1319);
  EXPECT_TRUE(download_jsonl(spec, source).ok());
}

struct Lie {
  const char* name;
  std::function<void(json&)> change;
  const char* said;
};
class LyingHub : public Hub, public ::testing::WithParamInterface<Lie> {};

TEST_P(LyingHub, IsRefusedWithTheReason) {
  handler_ = [](const auto&, auto& response, int, std::size_t offset) {
    json reply = page(offset, 100, 250);
    if (offset == 100) GetParam().change(reply);
    if (reply.is_string()) return response.set_content(reply.get<std::string>(), "text/html");
    send(response, reply);
  };
  EXPECT_THAT(failure(), AllOf(HasSubstr(GetParam().said), HasSubstr("/rows?dataset=openai/gsm8k")));
}

INSTANTIATE_TEST_SUITE_P(
    Hub, LyingHub,
    ::testing::Values(
        Lie{"OtherTotal", [](json& r) { r["num_rows_total"] = 249; }, "changed from 250 to 249"},
        Lie{"NoTotalAnyMore", [](json& r) { r.erase("num_rows_total"); }, "changed from 250"},
        Lie{"TotalTooLarge", [](json& r) { r["num_rows_total"] = 10'000'000'000u; }, "found \"10000000000\""},
        Lie{"NegativeTotal", [](json& r) { r["num_rows_total"] = -1; }, "found \"-1\""},
        Lie{"TextTotal", [](json& r) { r["num_rows_total"] = "250"; }, "num_rows_total"},
        Lie{"EmptyPage", [](json& r) { r["rows"] = json::array(); }, "empty page at row 100, expected 250"},
        Lie{"WrongRows", [](json& r) { r = page(0, 100, 250); }, "\"row_idx\": found \"0\", expected 100"},
        Lie{"TooManyRows", [](json& r) { r = page(100, 150, 250); }, "found 150 rows, asked for 100"},
        Lie{"CutCells", [](json& r) { r["rows"][3]["truncated_cells"] = {"answer"}; },
            "cells cut by the server"},
        Lie{"PartialSet", [](json& r) { r["partial"] = true; }, "\"partial\": found true"},
        Lie{"MissingField", [](json& r) { r["rows"][3]["row"].erase("answer"); },
            "row 103: field \"answer\" is missing"},
        Lie{"WrongType", [](json& r) { r["rows"][3]["row"]["answer"] = 5; },
            "row 103: field \"answer\": found number"},
        Lie{"RowIsNull", [](json& r) { r["rows"][3]["row"] = nullptr; }, "row 103: found null"},
        Lie{"RowsIsObject", [](json& r) { r["rows"] = json::object(); }, "array \"rows\""},
        Lie{"ItemIsNumber", [](json& r) { r["rows"][0] = 7; }, "field \"row\" is missing"},
        Lie{"Html", [](json& r) { r = "<html>log in</html>"; }, "invalid JSON"},
        Lie{"Nothing", [](json& r) { r = ""; }, "invalid JSON"},
        Lie{"InvalidUtf8", [](json& r) { r = "{\"rows\": [{\"row\": \"\xff\"}]}"; }, "UTF-8"},
        Lie{"DeepNesting", [](json& r) { r = std::string(100000, '['); }, "100000 deep"}),
    [](const auto& lie) { return std::string(lie.param.name); });

}  // namespace
}  // namespace kakeya::acceptance
