// Rules, limits and the routes that are no dialog, on a loopback socket.
#include <gmock/gmock.h>

#include "serve/server_test_support.h"

namespace kakeya::serve {
namespace {

using namespace test;  // NOLINT: a fixture and its helpers
using testing::HasSubstr;

TEST_F(Served, KeepsAConnectionAfterErrors) {
  world_.options.api_keys = {"sk-local"};
  start();
  RawClient client(server_->port());
  client.send(post("/v1/chat/completions", kHi));
  EXPECT_EQ(status_of(client.read_response()), 401);
  client.send(get("/nothing", "Authorization: Bearer sk-local\r\n"));
  EXPECT_EQ(status_of(client.read_response()), 404);
  client.send(post("/v1/chat/completions", "{", "x-api-key: sk-local\r\n"));
  EXPECT_EQ(status_of(client.read_response()), 400);
  client.send(post("/v1/chat/completions", kHi, "api-key: sk-local\r\n"));
  EXPECT_EQ(status_of(client.read_response()), 200);
}

TEST_F(Served, AppliesItsRulesToEveryRoute) {
  world_.options.api_keys = {"sk-local"};
  start();
  std::string response = ask(post("/v1/chat/completions", kHi, "Origin: app://obsidian.md\r\n"));
  EXPECT_EQ(status_of(response), 401);
  EXPECT_THAT(response, HasSubstr("Access-Control-Allow-Origin: app://obsidian.md"));
  response =
      ask("OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: x\r\nOrigin: tauri://localhost\r\n"
          "Access-Control-Request-Headers: authorization\r\n\r\n");
  EXPECT_EQ(status_of(response), 200);
  EXPECT_THAT(response, HasSubstr("Access-Control-Allow-Headers: authorization"));
  EXPECT_EQ(status_of(ask(get("/health"))), 200);
}

TEST_F(Served, RefusesWrongMethodsTypesAndPaths) {
  start();
  EXPECT_EQ(status_of(ask(get("/v1/chat/completions"))), 405);
  EXPECT_EQ(body_of(ask(get("/v1/nothing")))["error"]["code"], "unknown_url");
  EXPECT_EQ(
      status_of(ask("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
                    "Content-Length: 2\r\n\r\n{}")),
      415);
  EXPECT_EQ(status_of(ask("GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n")), 403);
  EXPECT_EQ(status_of(ask("POST /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")), 405);
}

TEST_F(Served, BoundsWhatItReads) {
  world_.options.max_body_bytes = 200'000;
  start();
  const std::string large(100'000, 'x');
  const std::string body = R"({"messages":[{"role":"user","content":")" + large + R"("}]})";
  EXPECT_EQ(status_of(ask(post("/v1/chat/completions", body))), 200) << "100 kB are fine";
  std::string response = ask(post("/v1/chat/completions", body + large + large));
  EXPECT_EQ(status_of(response), 413);
  EXPECT_EQ(body_of(response)["error"]["code"], "request_too_large");
  RawClient chunked(server_->port());
  chunked.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 8; ++i) chunked.send("c350\r\n" + std::string(0xc350, 'y') + "\r\n");
  EXPECT_EQ(status_of(chunked.read_response()), 413) << "a chunked body has the same limit";
  RawClient little(server_->port());
  little.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n");
  little.send("30d41\r\n" + std::string(0x30d41, 'y') + "\r\n0\r\n\r\n");
  EXPECT_EQ(status_of(little.read_response()), 413) << "one byte more than may be, with its end";
  RawClient both(server_->port());
  both.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n");
  EXPECT_EQ(status_of(both.read_response()), 400);
}

TEST_F(Served, RefusesMoreConnectionsThanItMayHave) {
  world_.options.max_connections = 2;
  start();
  RawClient first(server_->port()), second(server_->port());
  first.send(get("/health"));
  second.send(get("/health"));
  EXPECT_EQ(status_of(first.read_response()), 200);
  EXPECT_EQ(status_of(second.read_response()), 200);
  RawClient third(server_->port());
  EXPECT_EQ(status_of(third.read_until("}}")), 503);
}

TEST_F(Served, ListsItsModelUnderEveryPath) {
  start();
  for (const char* path : {"/v1/models", "/models", "/v1//models"}) {
    const json body = body_of(ask(get(path)));
    EXPECT_EQ(body["object"], "list") << path;
    EXPECT_EQ(body["data"][0]["id"], "qwen3/tiny:test");
    EXPECT_EQ(body["data"][0]["max_model_len"], 512);
  }
  EXPECT_EQ(body_of(ask(get("/v1/models/qwen3%2Ftiny%3Atest")))["object"], "model");
  EXPECT_EQ(body_of(ask(get("/v1/models/other")))["error"]["code"], "model_not_found");
}

TEST_F(Served, CompletesTexts) {
  world_.script.parts = {started(), text_part(AnswerPart::Kind::kContent, "cd"),
                         finished_part(FinishReason::kLength, 2, 2)};
  start();
  const json body = body_of(ask(post("/v1/completions", R"({"prompt":["ab","xy"],"echo":true,"n":2})")));
  EXPECT_EQ(body["object"], "text_completion");
  ASSERT_EQ(body["choices"].size(), 4u);
  EXPECT_EQ(body["choices"][2]["text"], "xycd");
  EXPECT_EQ(body["choices"][2]["finish_reason"], "length");
  EXPECT_EQ(body["usage"]["prompt_tokens"], 4);
  EXPECT_EQ(body["usage"]["completion_tokens"], 8);
  const auto events = events_of(ask_stream(post("/v1/completions", R"({"prompt":"ab","stream":true})")));
  EXPECT_EQ(json::parse(events[0])["choices"][0]["text"], "cd");
}

TEST_F(Served, EmbedsAsNumbersAndAsBase64) {
  start();
  const json plain = body_of(ask(post("/v1/embeddings", R"({"input":["a","bc"]})")));
  // (1, 0.5, -1, 2) has length 2.5.
  EXPECT_EQ(plain["data"][0]["embedding"],
            json::parse("[0.4000000059604645,0.20000000298023224,-0.4000000059604645,0.800000011920929]"));
  EXPECT_EQ(plain["usage"]["total_tokens"], 3);
  const json coded = body_of(ask(post("/v1/embeddings", R"({"input":[97],"encoding_format":"base64"})")));
  // Python: base64.b64encode(struct.pack("<4f", .4, .2, -.4, .8))
  EXPECT_EQ(coded["data"][0]["embedding"], "zczMPs3MTD7NzMy+zcxMPw==");
  EXPECT_EQ(body_of(ask(post("/v1/embeddings", R"({"input":"a","dimensions":8})")))["error"]["param"],
            "dimensions");
}

TEST_F(Served, KeepsSlotsInFilesOfItsOwnFolderAlone) {
  start();
  EXPECT_EQ(status_of(ask(post("/slots/0?action=save", R"({"filename":"a"})"))), 400) << "no folder given";
  server_->drain();
  world_.options.slot_save_path = "/tmp/slots";
  start();
  EXPECT_EQ(body_of(ask(post("/slots/0?action=save", R"({"filename":"a.bin"})")))["n_saved"], 7);
  EXPECT_EQ(world_.service.last_path, "/tmp/slots/a.bin");
  for (const char* name : {"../a", "/etc/passwd", "", ".hidden", "a\\\\b", "a\\u0000b"}) {
    const auto response = ask(post("/slots/0?action=save", std::string(R"({"filename":")") + name + "\"}"));
    EXPECT_EQ(body_of(response)["error"]["param"], "filename") << name;
  }
  EXPECT_EQ(body_of(ask(post("/slots/0?action=erase", "{}")))["id_slot"], 0);
}

TEST_F(Served, CountsForPrometheus) {
  world_.service.stats_.accepted_at[0] = 5;
  start();
  ask(post("/v1/chat/completions", kHi));
  const std::string text = ask(get("/metrics"));
  EXPECT_THAT(text, HasSubstr("vllm:spec_decode_num_accepted_tokens_per_pos_total{model_name=\"qwen3/"
                              "tiny:test\",position=\"0\"} 5"));
  EXPECT_THAT(
      text,
      HasSubstr("vllm:request_success_total{model_name=\"qwen3/tiny:test\",finished_reason=\"stop\"} 1"));
  EXPECT_THAT(text, HasSubstr("kakeya_http_requests_total{route=\"/v1/chat/completions\",status=\"200\"} 1"));
  EXPECT_THAT(text, HasSubstr("vllm:time_to_first_token_seconds_count"));
}

TEST_F(Served, TokenisesAndRendersBothWays) {
  start();
  EXPECT_EQ(body_of(ask(post("/tokenize", R"({"content":"ab"})")))["tokens"], json::parse("[97,98]"));
  EXPECT_EQ(body_of(ask(post("/tokenize", R"({"prompt":"ab"})")))["count"], 2);
  EXPECT_EQ(body_of(ask(post("/detokenize", R"({"tokens":[97,98]})")))["content"], "ab");
  EXPECT_EQ(body_of(ask(post("/apply-template", kHi)))["prompt"], "user: hi\n");
}

TEST_F(Served, DrainsAndThenNoLongerListens) {
  start();
  const int port = server_->port();
  server_->drain();
  EXPECT_TRUE(world_.service.drained);
  EXPECT_FALSE(RawClient(port).connected());
}

TEST(Tripwire, FiresWhenDraftsAreAcceptedTooRarelyAndOnlyThen) {
  const auto completion = [](std::uint32_t accepted) {
    Completion done;
    done.cycles.assign(40, {7, accepted, accepted + 1});
    return done;
  };
  Metrics metrics(3.0);
  metrics.finished(completion(4), 1);
  EXPECT_DOUBLE_EQ(metrics.rolling_acceptance(), 5.0);
  EXPECT_FALSE(metrics.tripped());
  for (int i = 0; i < 8; ++i) metrics.finished(completion(0), 1);
  EXPECT_TRUE(metrics.tripped());
  EXPECT_THAT(metrics.text({}, 1, 1, "m"), HasSubstr("kakeya_tripwire_total{model_name=\"m\"} 1"));
  Metrics off;
  off.finished(completion(0), 1);
  EXPECT_FALSE(off.tripped());
}

TEST(ServerStart, RefusesOtherAddressesWithoutAKeyAndPortsInUse) {
  World world;
  Options options;
  options.hosts = {"0.0.0.0"};
  const auto ask = ask_of(world.script);
  const auto open = Server::start(world.engine, world.service, options, ask);
  ASSERT_FALSE(open.ok());
  EXPECT_THAT(open.error().message, HasSubstr("--api-key"));
  options.hosts = {"127.0.0.1"};
  options.port = 0;
  const auto first = Server::start(world.engine, world.service, options, ask);
  ASSERT_TRUE(first.ok());
  options.port = (*first)->port();
  const auto second = Server::start(world.engine, world.service, options, ask);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message, HasSubstr("in use"));
}

}  // namespace
}  // namespace kakeya::serve
