#include "cli/chat_session.h"

#include <fmt/format.h>
#include <kakeya/codec.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "cli/command.h"
#include "hub/file_choice.h"

namespace kakeya::cli {
namespace {

constexpr std::size_t kPrefixBytes = std::size_t{256}
                                     << 20;  // of other channels and branches, to come back to

// Figures after the last answer: its end is told before the sums are.
ServiceStats settled(const Service& service) {
  ServiceStats stats = service.stats();
  for (int i = 0; i < 500 && stats.running + stats.waiting > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    stats = service.stats();
  }
  return stats;
}

}  // namespace

std::string cache_path(const std::string& path) { return path + ".kv"; }

Result<std::unique_ptr<ChatSession>> ChatSession::create(OpenModel model, Conversation conversation,
                                                         bool colour) {
  std::unique_ptr<ChatSession> session(new ChatSession(std::move(model), std::move(conversation), colour));
  KAKEYA_TRY(session->open_service());
  return session;
}

// A service whose slot begins in the conversation's channels.
Status ChatSession::open_service() {
  ServiceOptions options;
  options.session = model_.session;
  options.session.kv = settings().kv;
  options.session.draft_kv = settings().draft_kv;
  options.slots = 1;
  options.prefix_bytes = kPrefixBytes;
  const std::size_t head_dim = engine().target().head_dim;
  for (const std::string& name : example_channels(settings().kv)) {
    if (channel_info(name, head_dim).ok()) options.kv_allowed.push_back(name);
  }
  KAKEYA_ASSIGN(auto service, engine().new_service(options));
  service_ = std::move(service);
  return {};
}

dialog::DialogRequest ChatSession::request() const {
  const ChatSettings& settings = conversation_.settings;
  dialog::DialogRequest request;
  ChatRequest chat;
  if (!conversation_.system.empty()) chat.messages.push_back({"system", conversation_.system, {}, {}});
  chat.messages.insert(chat.messages.end(), conversation_.messages.begin(), conversation_.messages.end());
  if (settings.thinking) chat.enable_thinking = true;
  request.input = std::move(chat);
  request.sampling = settings.sampling;
  request.max_tokens = settings.max_tokens;
  request.stop_strings = settings.stop;
  request.speculation = settings.speculation;
  request.verify_width = settings.speculation == Speculation::kFixed ? settings.verify_width : 0;
  request.kv = settings.kv;
  request.draft_kv = settings.draft_kv;
  request.slot = 0;
  return request;
}

Status ChatSession::answer() {
  KAKEYA_ASSIGN(const auto reply, dialog::ask(engine(), *service_, request()));
  ViewOptions view;
  view.reasoning = settings().thinking;
  view.acceptance = settings().show_acceptance;
  view.colour = colour_;
  KAKEYA_ASSIGN(Answered answered, follow(engine(), *reply, view));
  fmt::print("\n");
  std::fflush(stdout);
  ChatMessage message{"assistant", answered.content, {}, {}};
  if (!answered.reasoning.empty()) message.reasoning_content = answered.reasoning;
  conversation_.messages.push_back(std::move(message));
  last_ = std::move(answered);
  return {};
}

Status ChatSession::ask(const std::string& question) {
  conversation_.messages.push_back({"user", question, {}, {}});
  const Status answered = answer();
  const bool nothing = answered.ok() && last_->content.empty() && last_->reasoning.empty() &&
                       last_->summary.completion.finish == FinishReason::kCancelled;
  if (nothing) conversation_.messages.pop_back();
  if (nothing || !answered.ok()) conversation_.messages.pop_back();
  if (!answered.ok()) return answered;
  const Completion& done = last_->summary.completion;
  if (done.finish == FinishReason::kCancelled) {
    fmt::print(stderr, "[stopped{}]\n", nothing ? "; the question is taken back" : "");
  } else if (done.finish == FinishReason::kLength && !settings().max_tokens) {
    fmt::print(stderr, "[the context of {} tokens is full; /clear starts over]\n",
               service_->options().session.max_tokens);
  }
  return {};
}

Status ChatSession::regenerate() {
  auto& messages = conversation_.messages;
  std::size_t at = messages.size();
  if (at > 0 && messages[at - 1].role == "assistant") --at;
  if (at == 0 || messages[at - 1].role != "user") {
    return invalid_argument("regen: found no question yet, expected one to answer again");
  }
  const std::vector<ChatMessage> before = messages;
  const std::string question = before[at - 1].content;
  messages.resize(at - 1);
  const Status asked = ask(question);
  if (messages.size() < at) {  // it failed, or was stopped before the first token
    messages = before;
    fmt::print(stderr, "[the question and its answer stay as they were]\n");
  }
  return asked;
}

void ChatSession::clear() {
  conversation_.messages.clear();
  last_.reset();
  const Status erased = service_->erase_slot(0);
  if (!erased.ok()) fmt::print(stderr, "note: {}\n", erased.error().message);
}

Status ChatSession::use_channel(const std::string& kv) {
  KAKEYA_TRY(channel_info(kv, engine().target().head_dim));
  const std::string before = std::exchange(settings().kv, kv);
  const auto& allowed = service_->options().kv_allowed;
  if (std::ranges::find(allowed, kv) != allowed.end() || kv == service_->options().session.kv) return {};
  const Status opened = open_service();  // a channel that is no example of the registry's
  if (!opened.ok()) settings().kv = before;
  return opened;
}

std::string ChatSession::channel_cost(const std::string& kv) const {
  const ModelInfo& target = model_.engine->target();
  const auto info = channel_info(kv, target.head_dim);
  if (!info.ok()) return fmt::format("{}: {}", kv, info.error().message);
  const double a_token = info->bits_allocated / 8 * 2 * static_cast<double>(target.layers) *
                         static_cast<double>(target.kv_heads);
  const std::size_t tokens = settled(*service_).kv_tokens;
  return fmt::format("{}: {:.0f} bits a vector, {:.0f} bytes a token; the {} tokens held take {}", kv,
                     info->bits_allocated, a_token, tokens,
                     hub::readable_bytes(static_cast<std::uint64_t>(a_token * static_cast<double>(tokens))));
}

Result<std::string> ChatSession::save(const std::string& path) {
  SavedConversation saved;
  saved.conversation = conversation_;
  saved.target = engine().target().id;
  if (engine().draft() != nullptr) saved.draft = engine().draft()->id;
  // Of the cache at hand: after /kv the next answer makes one in the new channel.
  const std::vector<SlotInfo> slots = settled(*service_).slots;
  std::string& kv = saved.conversation.settings.kv;
  if (!slots.empty() && !slots.front().kv.empty() && slots.front().cached > 0) kv = slots.front().kv;
  KAKEYA_TRY(write_conversation(path, saved));
  const std::size_t messages = conversation_.messages.size();
  const auto tokens = service_->save_slot(0, cache_path(path));
  if (tokens.ok()) {
    return fmt::format("saved {} messages, and {} tokens of KV cache ({}) in {}", messages, *tokens, kv,
                       cache_path(path));
  }
  std::error_code ignored;
  std::filesystem::remove(cache_path(path), ignored);  // of an earlier save: it would not fit
  return fmt::format("saved {} messages; no KV cache beside them ({})", messages, tokens.error().message);
}

Result<std::string> ChatSession::load(const std::string& path) {
  const ModelInfo* draft = engine().draft();
  KAKEYA_ASSIGN(SavedConversation saved,
                read_conversation(path, draft != nullptr ? draft->block_size : kWidestBlock));
  ChatSettings& loaded = saved.conversation.settings;
  const std::string saved_kv = loaded.kv;
  loaded.kv = settings().kv;
  loaded.draft_kv = settings().draft_kv;
  conversation_ = std::move(saved.conversation);
  last_.reset();
  KAKEYA_TRY(open_service());  // an empty slot in the channels of this conversation
  std::string text = fmt::format("loaded {} messages", conversation_.messages.size());
  if (saved.target != engine().target().id) {
    text += fmt::format(" of a conversation with {}", saved.target);
  }
  const auto tokens = service_->restore_slot(0, cache_path(path));
  if (tokens.ok()) return text + fmt::format(", and {} tokens of KV cache", *tokens);
  text += fmt::format("; their KV cache is computed again ({})", tokens.error().message);
  if (saved_kv != settings().kv) {
    text += fmt::format("\n/kv {} before /load takes the saved cache, which is in that channel", saved_kv);
  }
  return text;
}

std::string ChatSession::stats() const {
  const ServiceStats stats = settled(*service_);
  const std::size_t bytes = stats.kv_bytes + stats.draft_kv_bytes;
  std::string out = last_ ? "last answer: " + stats_line(*last_, bytes) + "\n" : "no answer yet\n";
  out += fmt::format("all answers: {} prompt tokens ({} from the cache), {} made, {} passes of the model\n",
                     stats.prompt_tokens, stats.cached_tokens, stats.output_tokens, stats.passes);
  if (stats.drafts > 0) {
    const double length = 1 + static_cast<double>(stats.accepted) / static_cast<double>(stats.drafts);
    out += fmt::format("drafts: {} blocks, {} of {} tokens accepted, acceptance length {:.2f}\n",
                       stats.drafts, stats.accepted, stats.proposed, length);
    if (const std::string band = band_words(model_.profile, length); !band.empty()) out += band + "\n";
  }
  out += fmt::format("memory: KV {}, draft KV {}, kept prefixes {}; {} of {} tokens of context in use",
                     hub::readable_bytes(stats.kv_bytes), hub::readable_bytes(stats.draft_kv_bytes),
                     hub::readable_bytes(stats.prefix_bytes), stats.kv_tokens,
                     service_->options().session.max_tokens);
  return out;
}

}  // namespace kakeya::cli
