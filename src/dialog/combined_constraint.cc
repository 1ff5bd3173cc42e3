#include "dialog/combined_constraint.h"

#include <algorithm>

namespace kakeya::dialog {
namespace {

bool has(std::span<const std::uint64_t> bits, Token id) {
  const auto at = static_cast<std::size_t>(id);
  return at / 64 < bits.size() && (bits[at / 64] >> (at % 64) & 1) != 0;
}

class Either final : public TokenConstraint {
 public:
  Either(std::unique_ptr<TokenConstraint> first, std::unique_ptr<TokenConstraint> second)
      : first_(std::move(first)), second_(std::move(second)) {}

  void allowed(std::span<std::uint64_t> bits) override {
    if (!first_ || !second_) return (first_ ? first_ : second_)->allowed(bits);
    ask(bits.size());
    for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = first_bits_[i] | second_bits_[i];
  }
  void accept(Token id) override {
    if (first_ && second_) {
      // accept() may come without allowed() before it: the answer to the last question may be old.
      ask(std::max(first_bits_.size(), static_cast<std::size_t>(id) / 64 + 1));
      const bool in_first = has(first_bits_, id), in_second = has(second_bits_, id);
      if (in_first && !in_second) second_.reset();
      if (in_second && !in_first) first_.reset();
    }
    if (first_) first_->accept(id);
    if (second_) second_->accept(id);
  }

 private:
  void ask(std::size_t words) {
    first_bits_.resize(words);
    second_bits_.resize(words);
    first_->allowed(first_bits_);
    second_->allowed(second_bits_);
  }
  std::unique_ptr<TokenConstraint> first_, second_;  // one of them may be null
  std::vector<std::uint64_t> first_bits_, second_bits_;
};

void allow_all(const Engine& engine, std::span<std::uint64_t> bits) {
  const std::size_t vocab = engine.target().vocab_size;
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const std::size_t from = i * 64;
    const std::size_t count = std::min<std::size_t>(64, vocab > from ? vocab - from : 0);
    bits[i] = count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
  }
}

class CallsIfBegun final : public TokenConstraint {
 public:
  CallsIfBegun(const Engine& engine, std::unique_ptr<TokenConstraint> calls)
      : engine_(engine), calls_(std::move(calls)) {}

  void allowed(std::span<std::uint64_t> bits) override {
    begun_ ? calls_->allowed(bits) : allow_all(engine_, bits);
  }
  void accept(Token id) override {
    if (begun_) return calls_->accept(id);
    if (!calls_) return;
    const std::string bytes = engine_.token_bytes(id);
    if (quotes_ == 0 && bytes == "<|python_tag|>") return;  // says that a call follows, and is no part of it
    bits_.resize((engine_.target().vocab_size + 63) / 64);
    calls_->allowed(bits_);
    if (!has(bits_, id)) return calls_.reset();
    calls_->accept(id);
    // While the text is in the form, its first four quotes are those of "name" and of a tool's name.
    quotes_ += std::count(bytes.begin(), bytes.end(), '"');
    begun_ = quotes_ >= 4;
  }

 private:
  const Engine& engine_;
  std::unique_ptr<TokenConstraint> calls_;  // null: the text is something else
  std::vector<std::uint64_t> bits_;
  std::ptrdiff_t quotes_ = 0;
  bool begun_ = false;
};

class FreeUntil final : public TokenConstraint {
 public:
  FreeUntil(const Engine& engine, std::string marker, std::unique_ptr<TokenConstraint> inner)
      : engine_(engine), marker_(std::move(marker)), inner_(std::move(inner)) {}

  void allowed(std::span<std::uint64_t> bits) override {
    seen_ ? inner_->allowed(bits) : allow_all(engine_, bits);
  }
  void accept(Token id) override {
    if (seen_) return inner_->accept(id);
    tail_ += engine_.token_bytes(id);
    seen_ = tail_.find(marker_) != std::string::npos;
    if (tail_.size() >= marker_.size()) tail_.erase(0, tail_.size() - (marker_.size() - 1));
  }

 private:
  const Engine& engine_;
  std::string marker_;
  std::unique_ptr<TokenConstraint> inner_;
  std::string tail_;  // the newest bytes, fewer than the marker has
  bool seen_ = false;
};

}  // namespace

std::unique_ptr<TokenConstraint> either(std::unique_ptr<TokenConstraint> first,
                                        std::unique_ptr<TokenConstraint> second) {
  return std::make_unique<Either>(std::move(first), std::move(second));
}

std::unique_ptr<TokenConstraint> calls_if_begun(const Engine& engine,
                                                std::unique_ptr<TokenConstraint> calls) {
  return std::make_unique<CallsIfBegun>(engine, std::move(calls));
}

std::unique_ptr<TokenConstraint> free_until(const Engine& engine, std::string marker,
                                            std::unique_ptr<TokenConstraint> inner) {
  return std::make_unique<FreeUntil>(engine, std::move(marker), std::move(inner));
}

}  // namespace kakeya::dialog
