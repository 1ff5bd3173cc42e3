// Hubs that err, lie, stall, flood and redirect.
#include <chrono>

#include "hub/pull_test_support.h"

namespace kakeya::hub {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Seconds = std::chrono::duration<double>;

class HostileHub : public PullTest {
 protected:
  void SetUp() override {
    PullTest::SetUp();
    request_.patterns.include = {"*.safetensors"};
  }
  std::string pulled() {
    const auto result = run();
    EXPECT_TRUE(result.ok()) << result.error().message;
    return result.ok() ? read(fs::path(result->path) / "model.safetensors") : "";
  }
};

TEST_F(HostileHub, CutConnectionsAreContinued) {
  hub_.trouble.cut_after = {100'000, 50'000};
  EXPECT_EQ(pulled(), weights(300'000));
  EXPECT_EQ(hub_.seen().back().range, "bytes=150000-");
}

TEST_F(HostileHub, ConnectionsThatAlwaysEndAreGivenUp) {
  hub_.trouble.cut_after = std::vector<std::int64_t>(50, 10);
  EXPECT_THAT(failure(), HasSubstr("tried 5 times"));
  EXPECT_EQ(hub_.file_requests(), 5);
}

TEST_F(HostileHub, IgnoredRangeStartsTheFileOver) {
  hub_.trouble.cut_after = {100'000};
  hub_.trouble.ignore_range = true;
  EXPECT_EQ(pulled(), weights(300'000));
  EXPECT_EQ(hub_.seen().back().range, "bytes=100000-");
}

TEST_F(HostileHub, AnotherRangeThanAskedForStartsTheFileOver) {
  hub_.trouble.cut_after = {100'000};
  hub_.trouble.wrong_range = true;
  EXPECT_EQ(pulled(), weights(300'000));
  EXPECT_EQ(hub_.seen().back().range, "");
}

TEST_F(HostileHub, WrongBytesOnceAreLoadedAgain) {
  hub_.trouble.wrong_times = 1;
  EXPECT_EQ(pulled(), weights(300'000));
}

TEST_F(HostileHub, WrongBytesTwiceAreRefusedWithBothDigests) {
  hub_.trouble.wrong_times = 2;
  const std::string wrong(64, 'e');
  hub_.files["model.safetensors"].listed_sha256 = wrong;
  EXPECT_THAT(failure(), AllOf(HasSubstr("sha256"), HasSubstr("expected " + wrong)));
  EXPECT_FALSE(installed());
}

TEST_F(HostileHub, FilesOutsideLfsAreCheckedByTheirGitId) {
  request_.patterns.include = {"config.json"};
  hub_.files["config.json"].listed_oid = std::string(40, 'b');
  EXPECT_THAT(failure(), AllOf(HasSubstr("git blob"), HasSubstr(std::string(40, 'b'))));
}

TEST_F(HostileHub, SizesThatAreNotThoseListedAreRefused) {
  hub_.files["model.safetensors"].listed_size = 299'999;
  EXPECT_THAT(failure(), HasSubstr("found 300000 bytes to come, expected 299999"));
  EXPECT_EQ(hub_.file_requests(), 1);
  hub_.files["model.safetensors"].listed_size = 300'001;
  EXPECT_THAT(failure(), HasSubstr("expected 300001"));
}

TEST_F(HostileHub, EndlessBodyEndsWhereTheFileShould) {
  hub_.trouble.endless = true;
  EXPECT_THAT(failure(), HasSubstr("found more than 300000 bytes"));
  EXPECT_EQ(hub_.file_requests(), 1);
}

TEST_F(HostileHub, StalledConnectionsAreLeft) {
  access_.slow_s = 1;
  access_.retry.attempts = 1;
  hub_.trouble.stall_ms = 20'000;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(failure(), HasSubstr("tried 1 times"));
  EXPECT_LT(Seconds(std::chrono::steady_clock::now() - begin).count(), 12.0);
}

TEST_F(HostileHub, TemporaryRefusalsAreTriedAgain) {
  hub_.trouble.statuses = {429, 500, 503};
  EXPECT_EQ(pulled(), weights(300'000));
  EXPECT_EQ(hub_.file_requests(), 4);
}

TEST_F(HostileHub, RetryAfterIsHonouredAndTooLongOnesAreNot) {
  hub_.trouble.statuses = {429};
  hub_.trouble.retry_after = "1";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(pulled(), weights(300'000));
  EXPECT_GE(Seconds(std::chrono::steady_clock::now() - begin).count(), 1.0);
  request_.force = true;
  hub_.trouble.statuses = {503};
  hub_.trouble.retry_after = "86400";
  EXPECT_THAT(failure(), AllOf(HasSubstr("status 503"), HasSubstr("86400 s")));
}

TEST_F(HostileHub, LastingRefusalsAreNamedAtOnce) {
  for (const int status : {400, 401, 403, 404}) {
    hub_.trouble.statuses = {status};
    const int before = hub_.file_requests();
    EXPECT_THAT(failure(), AllOf(HasSubstr("status " + std::to_string(status)), HasSubstr("go away")));
    EXPECT_EQ(hub_.file_requests(), before + 1);
  }
}

TEST_F(HostileHub, RefusedListingsSayWhatToDo) {
  hub_.listing_status = 401;
  EXPECT_THAT(failure(), AllOf(HasSubstr("not you"), HasSubstr("/org/model"), HasSubstr("HF_TOKEN")));
  access_.token = "t";
  hub_.listing_status = 403;
  EXPECT_THAT(failure(), HasSubstr("the token gives no access"));
  hub_.listing_status = 404;
  EXPECT_THAT(failure(), HasSubstr("no such model"));
}

TEST_F(HostileHub, TokenGoesToTheHubAndNotToWhereItRedirects) {
  FakeHub store;
  store.files = hub_.files;
  store.trouble.cut_after = {100'000};
  access_.token = "secret-token";
  hub_.trouble.redirect = "http://localhost:" + std::to_string(store.port());
  EXPECT_EQ(pulled(), weights(300'000));
  for (const auto& request : hub_.seen()) EXPECT_EQ(request.authorization, "Bearer secret-token");
  ASSERT_EQ(store.seen().size(), 2u);
  EXPECT_EQ(store.seen().back().range, "bytes=100000-");
  for (const auto& request : store.seen()) EXPECT_EQ(request.authorization, "");
}

TEST_F(HostileHub, TokenIsNotSentOverPlainHttp) {
  access_.token = "secret-token";
  access_.endpoint = "http://hub.invalid";
  EXPECT_THAT(failure(), HasSubstr("not sent unencrypted"));
  access_.endpoint = "http://127.0.0.1.hub.invalid";
  EXPECT_THAT(failure(), HasSubstr("not sent unencrypted"));
}

TEST_F(HostileHub, EndlessRedirectsEnd) {
  hub_.trouble.redirect = hub_.address();
  EXPECT_THAT(failure(), HasSubstr("redirect"));
  EXPECT_LE(hub_.file_requests(), 6);
}

TEST_F(HostileHub, PathsOutOfTheRepositoryAreRefused) {
  for (const char* path : {"../x.safetensors", "a/../../x.safetensors", "/etc/x.safetensors", "a//b", "./a",
                           "a/..", "a\\..\\b", "a\nb",
                           "a\xc2\x9b"
                           "b",
                           "..", ""}) {
    hub_.files = {{path, {"x"}}};
    EXPECT_THAT(failure(), HasSubstr("found the file name"));
  }
  EXPECT_EQ(hub_.file_requests(), 0);
  EXPECT_FALSE(fs::exists(dir_ / "store"));
}

TEST_F(HostileHub, ListingsThatCannotBeAreRefused) {
  const std::string sha = R"("sha": "0123456789abcdef0123456789abcdef01234567")";
  const std::string oid = R"("blobId": "0123456789abcdef0123456789abcdef01234567")";
  for (const std::string& text :
       {std::string("<html>"), std::string("[]"), std::string(100'000, '['), "{" + sha + "}",
        "{" + sha + R"(, "siblings": [{"rfilename": "a", "size": 1}]})",
        "{" + sha + R"(, "siblings": [{"rfilename": "a", )" + oid + "}]}",
        "{" + sha + R"(, "siblings": [{"rfilename": "a", "size": -1, )" + oid + "}]}",
        "{" + sha + R"(, "siblings": [{"rfilename": "a", "size": 1, "lfs": {"sha256": "zz"}}]})",
        "{" + sha + R"(, "siblings": [{"rfilename": 5}]})",
        std::string(R"({"sha": "../../../x", "siblings": []})"),
        "{" + sha + R"(, "siblings": [{"rfilename": "a", "size": 1, )" + oid +
            R"(}, {"rfilename": "a", "size": 1, )" + oid + "}]}"}) {
    hub_.raw_listing = text;
    EXPECT_THAT(failure(), HasSubstr("read " + hub_.address())) << text.substr(0, 200);
  }
}

TEST_F(HostileHub, ListingsAreReadWhateverTheDepthOfTheirNesting) {
  const std::string sha(40, 'a'), deep = std::string(2'000'000, '[') + std::string(2'000'000, ']');
  const std::string names = R"(, "siblings": [{"rfilename": "a", )";
  for (const std::string& text :
       {R"({"sha": )" + deep + R"(, "siblings": []})",
        R"({"sha": ")" + sha + '"' + names + R"("size": )" + deep + "}]}",
        R"({"sha": ")" + sha + '"' + names + R"("size": 1, "lfs": )" + deep + "}]}",
        R"({"sha": ")" + sha + '"' + names + R"("size": 1, "lfs": {"sha256": )" + deep + "}}]}"}) {
    hub_.raw_listing = text;
    EXPECT_THAT(failure(), HasSubstr("read " + hub_.address()));
  }
}

TEST_F(HostileHub, SizesThatAddUpToNothingUsableAreRefused) {
  // 2^50 bytes a file are let through alone; the sum of 2^14 of them is 2^64, which is 0 again.
  std::string text = R"({"sha": ")" + std::string(40, 'a') + R"(", "siblings": [)";
  for (int i = 0; i < 1 << 14; ++i) {
    text += (i == 0 ? "" : ", ") + (R"({"rfilename": ")" + std::to_string(i)) +
            R"(.safetensors", "size": 1125899906842624, "blobId": ")" + std::string(40, 'b') + "\"}";
  }
  hub_.raw_listing = text + "]}";
  EXPECT_THAT(failure(), HasSubstr("more bytes in all"));
  EXPECT_EQ(hub_.file_requests(), 0);
}

TEST_F(HostileHub, RevisionsThatAreNoneAreRefusedBeforeTheyAreAskedFor) {
  for (const char* revision : {"../main", "a b", "", "main?x=1", "a/../b"}) {
    request_.revision = revision;
    EXPECT_THAT(failure(), HasSubstr("revision: found")) << revision;
  }
  EXPECT_TRUE(hub_.seen().empty());
}

}  // namespace
}  // namespace kakeya::hub
