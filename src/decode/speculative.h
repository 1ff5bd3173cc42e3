// The draft-verify loop, one cycle at a time: propose, verify in one pass of the target, accept, cut, roll
// back. Plain decoding is the same loop with a block of one. Knows ids only; text and events belong to
// engine/.
//
// Between calls the target's cache holds every token of the sequence but the newest, the anchor; after
// settle() the drafter has observed the same tokens. Under a policy the drafter observes late, in batches:
// only when drafts are due or kPrefillRows rows wait. Its rows do not depend on that.
#pragma once
#include <kakeya/session.h>

#include <optional>
#include <vector>

#include "decode/accept.h"
#include "decode/clock.h"
#include "decode/drafter.h"
#include "decode/policy.h"
#include "decode/row_rules.h"
#include "decode/stop.h"
#include "decode/target_run.h"

namespace kakeya::decode {

// Largest block or verify width that is taken; bounds what a flag can make us allocate.
inline constexpr std::size_t kMaxBlock = kMaxBlockSize;

struct BlockPlan {
  std::size_t block = 1;  // positions the draft fills, anchor included; 1 = plain decoding
  std::size_t width = 1;  // rows the target verifies, anchor included; <= block
};

// Block and width in effect: 0 stands for the draft's own block, and for width = block.
// Errors: kInvalidArgument when the width is larger than the block (a draft proposes block - 1 tokens, there
// is nothing else to verify) or either is beyond kMaxBlock.
Result<BlockPlan> plan_block(std::size_t draft_block, std::size_t block_size, std::size_t verify_width);

struct DecodePlan {
  BlockPlan block;
  std::size_t max_tokens = 1;  // emitted at most; 0 = nothing follows the prompt
  SamplingOptions sampling;
  AcceptRule rule = AcceptRule::kTargetSample;
  StopRules stops;
  TokenRules rules;
  int logprobs = -1, prompt_logprobs = -1;  // as GenerateOptions; the latter needs kept == 0
  // Chooses the width of each cycle, at most block.width; outlives the decoder.
  WidthPolicy* policy = nullptr;
  Clock clock = steady_clock_ms;
};

// What the target's next pass is to read for one sequence; views that stand until absorb().
struct Feed {
  std::span<const Token> tokens;
  model::LogitRows rows = model::LogitRows::kNone;
  std::span<const std::size_t> taps;
};

// How long a pass took. `shared`: it had rows of other sequences too, and `ms` is this one's part.
struct PassTime {
  double ms = 0;
  bool shared = false;
  std::size_t rows = 0;    // of a shared pass, all of them; 0 when prompts were among them
  std::uint64_t pass = 0;  // of shared passes, which
  std::size_t sequences = 1;
  double drafted_ms = 0;  // what the draft took for all sequences of the pass
};

// The draft's part of a cycle: rows that it is to observe first, and what it is to propose then.
struct DraftPart {
  std::span<const Token> tokens;
  Rows<const float> taps;  // [tokens, taps * hidden]
  ProposeRequest request;  // block 0: nothing to propose
};
struct DraftTime {
  double ms = 0;
  std::size_t rows = 0;  // of a pass of the draft over rows of several sequences; 0: this one's own
};

class SpeculativeDecoder {
 public:
  // `target` and `drafter` (null = plain decoding) outlive the decoder.
  SpeculativeDecoder(TargetRun& target, Drafter* drafter, DecodePlan plan);

  // Runs the prompt; returns the first token. Called once, first.
  Result<Token> start(std::span<const Token> prompt);
  // One cycle; returns its tokens, cut at the first stop and at the budget. Not after finished().
  // A full block is verified while the cache has room, even when the budget is smaller: the counts of the
  // last cycle then mean the same as those of every other one.
  Result<std::span<const Token>> step();

  // The same with the target's pass left to the caller, who may share it among sequences: begin() once, then
  // prepare(), the pass into target.result(), absorb(), until finished(). `kept` < prompt.size() tokens of
  // the prompt are in the target's cache, and in the drafter's when there is one. `prompt` outlives the
  // prompt's passes.
  void begin(std::span<const Token> prompt, std::size_t kept);
  // What to feed: at most `prompt_rows` tokens of a prompt, or a cycle, for which the draft works first.
  Result<Feed> prepare(std::size_t prompt_rows = kPrefillRows);
  // Rows that a cycle needs at least; of a prompt, all that is left.
  std::size_t rows_due() const;
  // The draft's work left to the caller in the same way, not in a prompt: plan() chooses the cycle, of at
  // most `max_rows` >= rows_due() rows. What is then left of part() may be done for several sequences at
  // once and handed in by observed() and drafted(); prepare() does the rest.
  Status plan(const Others& others = {}, std::size_t max_rows = kMaxBlock);
  const DraftPart& part() const { return part_; }
  void observed(const DraftTime& time);
  void drafted(const Proposal& proposal, const DraftTime& time);
  // What the next cycle is, or is likely to be by those before it.
  Others usual() const;
  // The new tokens; none while the prompt is not done, nor when none were asked for.
  Result<std::span<const Token>> absorb(const PassTime& time);
  bool in_prompt() const { return !prompt_.empty(); }
  std::size_t prompt_done() const { return target_.length(); }

  // Lets the drafter observe what is settled. step() does it by itself; call it after the last one.
  Status settle();
  // The same when its policy affords it while others wait; otherwise the rows stay in the target run, put
  // aside.
  Status settle_or_leave();

  // Why no further step is due; nothing while one is.
  std::optional<FinishReason> finished() const { return finished_; }
  std::span<const TokenLogprob> logprobs() const { return logprobs_; }  // of the last tokens, when asked for
  std::span<const TokenLogprob> prompt_logprobs() const { return prompt_logprobs_; }  // so far
  std::size_t accepted() const { return accepted_; }  // how many of the last tokens came from the draft
  const std::vector<Cycle>& cycles() const { return cycles_; }  // empty without drafting and without a policy
  std::uint64_t target_forwards() const { return target_.forwards() - prompt_forwards_; }
  double draft_ms() const { return draft_ms_; }    // observe + propose, the prompt's last piece included
  double verify_ms() const { return verify_ms_; }  // passes of the target after the prompt

 private:
  bool drafting() const { return drafter_ != nullptr && plan_.block.width > 1; }
  Status pass(std::span<const Token>& out);  // prepare, feed, absorb
  Status absorb_piece(const PassTime& time);
  void first_token();
  Status absorb_cycle(const PassTime& time);
  // Block and width of the next cycle, {1, 1} for a plain step.
  BlockPlan next_block(const Others& others, std::size_t max_rows);
  // Fills `part` with the rows that wait to be observed, all of them.
  Status wait_for_observing(DraftPart& part);
  void forget_waiting();
  Status draft_alone();  // what is left of part_
  Verdict judge(Rows<const float> q, std::size_t position);
  // Leaves the unsettled rows for later, or observes what waits when there is no room for them.
  Status put_aside();
  Status observe(std::span<const Token> tokens, Rows<const float> taps);
  void emit();
  void record(const Verdict& verdict, const PassTime& time);
  void note_logprobs(std::size_t first_row);  // of the row that the first emitted token comes from
  void note_prompt_logprobs();

  TargetRun& target_;
  Drafter* drafter_;
  DecodePlan plan_;
  std::span<const Token> prompt_;  // what is left of it
  PromptCost prompt_cost_;
  RowRules rules_;
  Rows<const float> drawn_from_;  // what the drafts of this cycle were drawn from
  std::size_t piece_ = 0;         // tokens of the prompt in the pass at hand
  std::vector<Token> unsettled_;  // in the cache, not yet observed: the first rows of the last feed
  std::vector<Token> block_;      // anchor, drafts
  std::vector<Token> emitted_;    // of the last cycle
  std::vector<float> scratch_;
  std::vector<Cycle> cycles_;
  std::vector<TokenLogprob> logprobs_, prompt_logprobs_;
  // Of the cycle at hand.
  DraftPart part_;
  DraftTime draft_time_, observe_time_;
  bool planned_ = false;
  std::size_t accepted_ = 0;
  std::size_t emitted_total_ = 0, steps_ = 0;
  std::uint64_t prompt_forwards_ = 0;
  std::optional<FinishReason> finished_;
  double draft_ms_ = 0, verify_ms_ = 0;
};

}  // namespace kakeya::decode
