// A tokenizer without weights.
#include <kakeya/engine.h>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace kakeya {
namespace {

class TextCodecImpl final : public TextCodec {
 public:
  explicit TextCodecImpl(std::unique_ptr<const text::Tokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)) {}

  Result<std::vector<Token>> encode(std::string_view text, bool parse_special) const override {
    return tokenizer_->encode(text, parse_special);
  }
  std::string decode(std::span<const Token> ids, bool skip_special) const override {
    return tokenizer_->decode(ids, skip_special);
  }
  Result<std::string> render_chat(const ChatRequest& request) const override {
    KAKEYA_ASSIGN(const auto family, text::detect_template(*tokenizer_));
    KAKEYA_ASSIGN(text::PromptText prompt, text::render_prompt(*tokenizer_, family, request));
    return std::move(prompt).text();
  }

 private:
  std::unique_ptr<const text::Tokenizer> tokenizer_;
};

}  // namespace

Result<std::unique_ptr<TextCodec>> TextCodec::open(const std::string& path) {
  KAKEYA_ASSIGN(auto file, formats::load_tokenizer_file(path));
  KAKEYA_ASSIGN(auto tokenizer, text::Tokenizer::create(std::move(file)));
  return std::unique_ptr<TextCodec>(std::make_unique<TextCodecImpl>(std::move(tokenizer)));
}

}  // namespace kakeya
