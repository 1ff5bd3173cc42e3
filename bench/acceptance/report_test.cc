// Cells, checks and reports from records made by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "acceptance/cell.h"
#include "acceptance/findings.h"
#include "acceptance/html_report.h"
#include "acceptance/prompt_style.h"
#include "acceptance/summary.h"
#include "acceptance/svg.h"

namespace kakeya::acceptance {
namespace {

using testing::HasSubstr;
using testing::Not;

// Free run and forced run over the same cycles of 7 proposed.
Record record_of(std::size_t index, const std::vector<std::uint32_t>& accepted) {
  Record record;
  record.index = index;
  record.free.emplace();
  record.free->output_ids = {1};
  record.forced.emplace();
  std::size_t at = 0;
  for (const std::uint32_t a : accepted) {
    record.free->cycles.push_back({7, a, a + 1});
    record.forced->anchors.push_back({at, 7, a});
    record.free->output_ids.insert(record.free->output_ids.end(), a + 1, 1);
    at += a + 1;
  }
  record.forced->positions = record.forced->top1_agree = record.free->output_ids.size();
  return record;
}

Run two_cells() {
  Run run;
  run.engine_kind = "kakeya";
  run.target.id = "target";
  run.draft.id = "draft";
  run.target.layers = run.target.kv_heads = 2;
  run.options.target = "somewhere";
  run.options.resamples = 200;
  Dataset set;
  set.name = "gsm8k";
  set.source = "local";
  set.problems.resize(12);
  run.datasets = {set};
  for (const char* channel : {"bf16", "e8-q38"}) {
    Cell cell;
    cell.channel.name = channel;
    cell.channel.bits_allocated = 2048;
    for (std::size_t i = 0; i < 12; ++i)
      cell.records.push_back(record_of(i, {static_cast<std::uint32_t>(i % 8), 2}));
    run.cells.push_back(std::move(cell));
  }
  return run;
}

TEST(Evaluate, FindsEqualChannelsNonInferiorAndItsChecksPassed) {
  acceptance::Run run = two_cells();
  evaluate(run);
  EXPECT_EQ(run.channel_verdict("e8-q38"), Verdict::kNonInferior);
  EXPECT_EQ(run.channel_fidelity("e8-q38"), Fidelity::kSame);
  for (const Cell& cell : run.cells) {
    for (const Check& check : cell.checks) {
      if (check.name.find("smaller") != std::string::npos) continue;  // these records have no memory figures
      EXPECT_TRUE(check.passed) << check.name;
    }
  }
}

TEST(Evaluate, NoticesTokensThatNoCycleEmitted) {
  acceptance::Run run = two_cells();
  run.cells[1].records[4].free->output_ids.push_back(9);
  evaluate(run);
  EXPECT_FALSE(run.cells[1].checks[0].passed);
  EXPECT_TRUE(run.cells[0].checks[0].passed);
  EXPECT_THAT(findings_markdown(run), HasSubstr("**FAILED**, gsm8k e8-q38: tokens equal"));
  EXPECT_THAT(html_report(run), HasSubstr("Check failed, gsm8k e8-q38"));
  EXPECT_THAT(summary_table(run), HasSubstr("CHECK FAILED, gsm8k e8-q38"));
}

TEST(Evaluate, NoticesABaselineThatContradictsItself) {
  acceptance::Run run = two_cells();
  run.cells[0].records[4].forced->anchors[0].accepted += 1;
  evaluate(run);
  EXPECT_THAT(findings_markdown(run), HasSubstr("**FAILED**, gsm8k bf16: bf16 forced along its own text"));
}

TEST(Evaluate, NoticesACacheThatIsNotSmaller) {
  acceptance::Run run = two_cells();
  for (Cell& cell : run.cells) {
    for (Record& record : cell.records) {
      record.free->memory.target.codes_bytes = 1000;
      record.free->memory.target.vectors_capacity = 10;
      record.free->memory.target.vectors_stored = 5;
    }
  }
  evaluate(run);
  EXPECT_THAT(summary_table(run), HasSubstr("CHECK FAILED, gsm8k e8-q38: the cache is smaller than bf16's"));
}

TEST(Findings, AnswersInWordsAndSaysWhatIsTheoryPublishedAndMeasured) {
  acceptance::Run run = two_cells();
  evaluate(run);
  const std::string text = findings_markdown(run);
  EXPECT_THAT(text,
              HasSubstr("**e8-q38**: acceptance is non-inferior to bf16; fidelity: says the same as bf16"));
  EXPECT_THAT(text, HasSubstr("theory inside a mock"));
  EXPECT_THAT(text, HasSubstr("6.54 (GSM8K), 6.50 (HumanEval)"));
  EXPECT_THAT(text, HasSubstr("measured, this run"));
  EXPECT_THAT(text, Not(HasSubstr("MOCK")));
}

TEST(Report, EscapesWhatComesFromOutside) {
  acceptance::Run run = two_cells();
  run.target.id = "<script>alert(1)</script>";
  run.notes = {"a & b"};
  evaluate(run);
  const std::string page = html_report(run);
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;"));
  EXPECT_THAT(page, HasSubstr("a &amp; b"));
}

TEST(Report, SurvivesChannelsWithoutASingleCycle) {
  acceptance::Run run = two_cells();
  for (Cell& cell : run.cells) {
    for (Record& record : cell.records) {
      record.free->cycles.clear();
      record.free->output_ids = {1};
      record.forced->anchors.clear();
    }
  }
  evaluate(run);
  EXPECT_EQ(run.channel_verdict("e8-q38"), Verdict::kInconclusive);
  EXPECT_THAT(html_report(run), Not(HasSubstr("nan")));
  EXPECT_THAT(findings_markdown(run), Not(HasSubstr("nan")));
}

TEST(Ticks, AreRoundAndInside) {
  EXPECT_EQ(nice_ticks(0, 100, 5), (std::vector<double>{0, 20, 40, 60, 80, 100}));
  EXPECT_EQ(nice_ticks(-1, 3, 4), (std::vector<double>{-1, 0, 1, 2, 3}));
  for (const double tick : nice_ticks(7.2, 16.1, 6)) {
    EXPECT_GE(tick, 7.2);
    EXPECT_LE(tick, 16.1);
  }
}

TEST(PromptText, IsTheReferencesWordingOrThePlainQuestion) {
  Problem maths;
  maths.kind = TaskKind::kMath;
  maths.prompt = "How many?";
  Problem code;
  code.kind = TaskKind::kCode;
  code.prompt = "def f():\n";
  EXPECT_EQ(prompt_text(maths, PromptStyle::kPlain).text, "How many?");
  EXPECT_TRUE(prompt_text(maths, PromptStyle::kPlain).chat);
  EXPECT_EQ(prompt_text(code, PromptStyle::kPlain).text, "def f():\n");
  EXPECT_FALSE(prompt_text(code, PromptStyle::kPlain).chat);
  EXPECT_EQ(prompt_text(maths, PromptStyle::kReference).text,
            "How many?\nPlease reason step by step, and put your final answer within \\boxed{}.");
  EXPECT_THAT(prompt_text(code, PromptStyle::kReference).text, HasSubstr("```python\ndef f():\n\n```"));
  EXPECT_TRUE(prompt_text(code, PromptStyle::kReference).chat);
}

}  // namespace
}  // namespace kakeya::acceptance
