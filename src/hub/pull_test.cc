// What is on disk after pulls that work, are cut, run again, or meet other files and processes.
#include "hub/lock_file.h"
#include "hub/model_names.h"
#include "hub/pull_test_support.h"

namespace kakeya::hub {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(PullTest, TakesWeightsAndJsonAndWritesAManifest) {
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_FALSE(result->already_there);
  EXPECT_EQ(result->received, 300'000 + hub_.files["config.json"].content.size());
  EXPECT_EQ(fs::path(result->path).filename(), "model");
  EXPECT_EQ(read(fs::path(result->path) / "model.safetensors"), weights(300'000));
  EXPECT_FALSE(fs::exists(fs::path(result->path) / "README.md"));
  EXPECT_FALSE(fs::exists(model_dir() / ".partial"));
  const auto manifest = store().find(request_.id);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(manifest->commit, hub_.commit);
  ASSERT_EQ(manifest->files.size(), 2u);
  for (const HubFile& file : manifest->files) EXPECT_EQ(file.sha256.size(), 64u) << file.path;
}

TEST_F(PullTest, ASplitGgufModelIsOneModelNamedByItsFirstPart) {
  hub_.files.clear();
  for (const char* part : {"m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"}) {
    hub_.files[part] = {weights(10'000), true};
  }
  hub_.files["m-Q4_0.gguf"] = {weights(5'000), true};
  request_.patterns.include = {"m-Q8_0-00001-of-00002.gguf", "*Q4_0*"};
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->manifest.files.size(), 3u);
  // Pulled by patterns: the quantisation names the model, and the repository alone none.
  const auto split = resolve_model("org/model:q8_0", store());
  ASSERT_TRUE(split.ok()) << split.error().message;
  EXPECT_EQ(fs::path(split->path).filename(), "m-Q8_0-00001-of-00002.gguf");
  EXPECT_EQ(fs::path(resolve_model("org/model:Q4_0", store())->path).filename(), "m-Q4_0.gguf");
  EXPECT_FALSE(resolve_model("org/model:Q6_K", store()).ok());

  request_.id = *parse_model_id("org/model:Q8_0");
  request_.patterns = {};
  const auto alone = run();
  ASSERT_TRUE(alone.ok()) << alone.error().message;
  EXPECT_EQ(fs::path(alone->path).filename(), "m-Q8_0-00001-of-00002.gguf");
  const auto entries = store().list();
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[1].bytes, 20'000u);
  EXPECT_EQ((*entries)[1].type, "Q8_0");
}

TEST_F(PullTest, OfAModelThatIsThereAsksForNoFile) {
  ASSERT_TRUE(run().ok());
  const int before = hub_.file_requests();
  const auto again = run();
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(again->already_there);
  EXPECT_EQ(hub_.file_requests(), before);
}

TEST_F(PullTest, ContinuesAcrossRunsWhereTheConnectionEnded) {
  access_.retry.attempts = 1;
  request_.patterns.include = {"*.safetensors"};
  hub_.trouble.cut_after = {100'000};
  EXPECT_THAT(failure(), HasSubstr("/resolve/"));
  EXPECT_FALSE(installed());
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(hub_.seen().back().range, "bytes=100000-");
  EXPECT_EQ(result->received, 200'000u);
  EXPECT_EQ(read(fs::path(result->path) / "model.safetensors"), weights(300'000));
}

TEST_F(PullTest, DamagedBeginningsAreFoundByTheDigestAndLoadedAnew) {
  access_.retry.attempts = 1;
  request_.patterns.include = {"*.safetensors"};
  hub_.trouble.cut_after = {100'000};
  failure();
  for (const auto& entry : fs::recursive_directory_iterator(model_dir())) {
    if (entry.path().extension() == ".part") write(entry.path(), std::string(100'000, 'x'));
  }
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(read(fs::path(result->path) / "model.safetensors"), weights(300'000));
}

TEST_F(PullTest, FailedUpdateLeavesTheOldModelWhole) {
  const auto old = run();
  ASSERT_TRUE(old.ok());
  hub_.commit = std::string(40, 'a');
  hub_.files["model.safetensors"].content = weights(400'000);
  access_.retry.attempts = 1;
  hub_.trouble.cut_after = {1000, 1000, 1000};
  failure();
  const auto manifest = store().find(request_.id);
  ASSERT_TRUE(manifest.ok());
  EXPECT_EQ(store().model_path(*manifest), old->path);
  EXPECT_EQ(read(fs::path(old->path) / "model.safetensors"), weights(300'000));
}

TEST_F(PullTest, UpdateTakesOnlyWhatChangedAndRemovesTheOldSnapshot) {
  const auto old = run();
  ASSERT_TRUE(old.ok());
  hub_.commit = std::string(40, 'a');
  hub_.files["config.json"].content = "{}";
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->received, 2u);
  EXPECT_EQ(read(fs::path(result->path) / "config.json"), "{}");
  EXPECT_EQ(read(fs::path(result->path) / "model.safetensors"), weights(300'000));
  EXPECT_FALSE(fs::exists(old->path));
}

TEST_F(PullTest, CutBetweenItsLastTwoStepsIsFinishedWithoutTheNetwork) {
  const auto first = run();
  ASSERT_TRUE(first.ok());
  fs::remove(store().manifest_path(request_.id));
  write(store().manifest_path(request_.id) + ".tmp.123", "{");
  const int before = hub_.file_requests();
  const auto again = run();
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(hub_.file_requests(), before);
  EXPECT_EQ(again->path, first->path);
  EXPECT_FALSE(fs::exists(store().manifest_path(request_.id) + ".tmp.123"));
  EXPECT_EQ(read(fs::path(again->path) / "model.safetensors"), weights(300'000));
}

TEST_F(PullTest, MissingFileOfAPulledModelIsRestored) {
  const auto first = run();
  ASSERT_TRUE(first.ok());
  fs::remove(fs::path(first->path) / "config.json");
  const auto again = run();
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->received, hub_.files["config.json"].content.size());
  EXPECT_TRUE(fs::exists(fs::path(again->path) / "config.json"));
}

TEST_F(PullTest, ForceLoadsEverythingAgainAndMoreThanOnce) {
  for (int i = 0; i < 3; ++i) {
    request_.force = i > 0;
    const auto result = run();
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_GT(result->received, 300'000u);
    EXPECT_EQ(read(fs::path(result->path) / "model.safetensors"), weights(300'000));
  }
}

TEST_F(PullTest, SecondPullAtTheSameTimeIsRefused) {
  fs::create_directories(model_dir());
  const auto lock = LockFile::take(store().lock_path(request_.id));
  ASSERT_TRUE(lock.ok());
  const auto result = run();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(store().remove(request_.id).error().code, ErrorCode::kUnavailable);
}

TEST_F(PullTest, CancellingKeepsWhatCame) {
  request_.patterns.include = {"*.safetensors"};
  hub_.files["model.safetensors"].content = weights(8'000'000);
  bool stop = false;
  access_.cancelled = [&] { return stop; };
  const auto result = pull(store(), access_, request_, [&](const PullProgress& progress) {
    EXPECT_LE(progress.bytes_done, progress.bytes);
    stop = progress.bytes_done > 1'000'000;
  });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
  access_.cancelled = {};
  const auto rest = run();
  ASSERT_TRUE(rest.ok()) << rest.error().message;
  EXPECT_LT(rest->received, 7'000'000u);
}

TEST_F(PullTest, ModelThatDoesNotFitOnTheDiskIsRefusedBeforeItsFirstByte) {
  hub_.files["model.safetensors"].listed_size = std::int64_t{1} << 49;
  EXPECT_THAT(failure(), AllOf(HasSubstr("free in"), HasSubstr("562949.99 GB")));
  EXPECT_EQ(hub_.file_requests(), 0);
}

TEST_F(PullTest, IntoADirectoryNeedsANewOrEmptyOne) {
  request_.directory = (dir_ / "out").string();
  write(dir_ / "out/mine.txt", "mine");
  EXPECT_THAT(failure(), HasSubstr("not empty"));
  EXPECT_EQ(read(dir_ / "out/mine.txt"), "mine");
  fs::remove(dir_ / "out/mine.txt");
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(read(dir_ / "out/model.safetensors"), weights(300'000));
  EXPECT_TRUE(run()->already_there);
  EXPECT_FALSE(fs::exists(dir_ / "out.partial"));
}

TEST_F(PullTest, FilesInDirectoriesKeepTheirPlaces) {
  hub_.files["extra/deep/notes.txt"] = {"n"};
  request_.patterns.include = {"extra/"};
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(read(fs::path(result->path) / "extra/deep/notes.txt"), "n");
}

TEST_F(PullTest, VariantsOfOneRepositoryStandBesideEachOther) {
  hub_.files = {{"m-Q4_0.gguf", {weights(1000), true}}, {"m-Q8_0.gguf", {weights(2000), true}}};
  request_.id.variant = "Q4_0";
  const auto four = run();
  ASSERT_TRUE(four.ok()) << four.error().message;
  request_.id.variant = "Q8_0";
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(read(four->path), weights(1000));
  const auto list = store().list();
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->size(), 2u);
  EXPECT_EQ(list->at(0).type, "Q4_0");
  EXPECT_THAT(store().find_any(*parse_model_id("org/model")).error().message, HasSubstr("org/model:Q8_0"));
  ASSERT_TRUE(store().remove(request_.id).ok());
  EXPECT_EQ(read(four->path), weights(1000));
  EXPECT_EQ(store().find_any(*parse_model_id("org/model"))->id.variant, "Q4_0");
}

TEST_F(PullTest, BeginningsAreListedAndRemoved) {
  access_.retry.attempts = 1;
  hub_.trouble.cut_after = {1000, 1000, 1000};
  failure();
  const auto list = store().list();
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->size(), 1u);
  EXPECT_FALSE(list->front().complete);
  ASSERT_TRUE(store().remove(request_.id).ok());
  EXPECT_FALSE(fs::exists(dir_ / "store/models/org"));
}

TEST_F(PullTest, DamagedManifestIsNamedByListAndReplacedByPullOrRemoved) {
  ASSERT_TRUE(run().ok());
  const std::string path = store().manifest_path(request_.id);
  const std::string whole = read(path);
  for (const std::string& text : {std::string(), whole.substr(0, whole.size() / 2), std::string("[]"),
                                  std::string("{\"format\": \"kakeya-model-v1\"}")}) {
    write(path, text);
    const auto broken = store().list();
    ASSERT_TRUE(broken.ok() && broken->size() == 1u);
    EXPECT_THAT((*broken)[0].damage, HasSubstr(path));
    EXPECT_EQ((*broken)[0].manifest.id, request_.id);
    const int before = hub_.file_requests();
    EXPECT_TRUE(run().ok());
    EXPECT_EQ(hub_.file_requests(), before);
    EXPECT_EQ(store().list()->at(0).damage, "");
  }
  write(path, "{");
  EXPECT_TRUE(store().remove(request_.id).ok());
  EXPECT_FALSE(fs::exists(model_dir()));
}

TEST_F(PullTest, RemovingLeavesWhatADamagedManifestBesideItMayName) {
  ASSERT_TRUE(run().ok());
  ModelId other = request_.id;
  other.variant = "Q8_0";
  write(store().manifest_path(other), "{");
  fs::create_directories(model_dir() / "snapshot-of-the-other");
  EXPECT_TRUE(store().remove(request_.id).ok());
  EXPECT_FALSE(fs::exists(store().manifest_path(request_.id)));
  EXPECT_TRUE(fs::exists(model_dir() / "snapshot-of-the-other"));
  EXPECT_EQ(store().list()->size(), 1u);
  EXPECT_TRUE(store().remove(other).ok());
  EXPECT_FALSE(fs::exists(model_dir()));
}

TEST_F(PullTest, RemovingDoesNotFollowALinkOutOfTheStore) {
  write(dir_ / "precious/manifest.json", "x");
  fs::create_directories(dir_ / "store/models/org");
  fs::create_directory_symlink(dir_ / "precious", model_dir());
  EXPECT_THAT(store().remove(request_.id).error().message, HasSubstr("leads out of the store"));
  EXPECT_EQ(read(dir_ / "precious/manifest.json"), "x");
  EXPECT_FALSE(fs::exists(dir_ / "precious/.lock"));
}

}  // namespace
}  // namespace kakeya::hub
