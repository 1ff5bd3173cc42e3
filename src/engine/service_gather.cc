// Which rows go into the next pass.
#include <algorithm>

#include "engine/service_loop.h"
#include "engine/shared_drafts.h"

namespace kakeya::engine {
namespace {

// Rows of a prompt in a pass that others decode in: about what keeps their next token from waiting long.
constexpr std::size_t kSharedPromptRows = 64;
// Rows that decoding leaves to prompts: however wide the blocks are, nobody's first token waits for their
// ends.
constexpr std::size_t kPromptRows = 16;

}  // namespace

void ServiceLoop::add(Slot& slot, std::size_t prompt_rows, std::vector<Entry>& entries) {
  const bool prompt = slot.decoder().in_prompt();
  const auto feed = slot.decoder().prepare(prompt_rows);
  if (!feed.ok()) {
    fail(slot, feed.error());
    return;
  }
  entries.push_back({&slot, slot.target().stage(feed->tokens, feed->rows, feed->taps), prompt});
}

std::vector<Slot*> ServiceLoop::plan_cycles() {
  std::vector<Slot*> chosen, planned;
  decode::Others all;
  const bool prompts = std::ranges::any_of(
      slots_, [](const auto& slot) { return slot->busy() && slot->decoder().in_prompt(); });
  const std::size_t limit = model::kMaxChunkRows - (prompts ? kPromptRows : 0);
  std::size_t rows = 0;
  for (std::size_t i = 0; i < slots_.size() && chosen.size() < model::kMaxSequences; ++i) {
    Slot& slot = *slots_[(turn_ + i) % slots_.size()];
    if (!slot.busy() || slot.decoder().in_prompt()) continue;
    const std::size_t due = slot.decoder().rows_due();
    if (rows > 0 && rows + due > limit) continue;
    rows += due;
    all.add(slot.decoder().usual());
    chosen.push_back(&slot);
  }
  turn_ = (turn_ + 1) % slots_.size();
  // Each chooses by what the others usually take, or have taken now.
  std::size_t room = limit - std::min(rows, limit);
  for (Slot* slot : chosen) {
    decode::SpeculativeDecoder& decoder = slot->decoder();
    all.remove(decoder.usual());
    const std::size_t due = decoder.rows_due();
    if (const Status status = decoder.plan(all, due + room); !status.ok()) {
      fail(*slot, status.error());
      continue;
    }
    const decode::Others own = decoder.usual();
    room -= std::min(room, own.all.rows - std::min(own.all.rows, due));
    all.add(own);
    planned.push_back(slot);
  }
  sums_.shared_draft_passes += draft_together(planned);
  return planned;
}

// Decoding rows first, as many requests as fit, in turns; prompts share what is left, the oldest first.
void ServiceLoop::gather(std::vector<Entry>& entries) {
  const std::size_t limit = model::kMaxChunkRows;
  std::size_t rows = 0;
  for (Slot* slot : plan_cycles()) {
    add(*slot, 0, entries);
    if (!entries.empty() && entries.back().slot == slot) rows += entries.back().request.tokens.size();
  }
  std::vector<Slot*> prompts;
  for (const auto& slot : slots_) {
    if (slot->busy() && slot->decoder().in_prompt()) prompts.push_back(slot.get());
  }
  std::ranges::sort(prompts, {}, &Slot::last_used);
  std::size_t room = std::min(limit - std::min(rows, limit), rows > 0 ? kSharedPromptRows : limit);
  for (Slot* slot : prompts) {
    if (room == 0 || entries.size() == model::kMaxSequences) break;
    add(*slot, room, entries);
    if (!entries.empty() && entries.back().slot == slot)
      room -= std::min(room, entries.back().request.tokens.size());
  }
}

}  // namespace kakeya::engine
