// A service that refuses prompts longer than the server's own limit, and is the other one otherwise.
#pragma once
#include <kakeya/service.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kakeya::serve {

class LimitedService : public Service {
 public:
  // limit 0 = none. `inner` outlives this.
  LimitedService(Service& inner, std::size_t limit) : inner_(inner), limit_(limit) {}

  Result<std::unique_ptr<Answer>> submit(ServiceRequest request) override {
    KAKEYA_TRY(check(request.prompt.size()));
    return inner_.submit(std::move(request));
  }
  Result<std::vector<float>> embed(std::span<const Token> ids) override {
    KAKEYA_TRY(check(ids.size()));
    return inner_.embed(ids);
  }
  Result<std::size_t> save_slot(int slot, const std::string& path) override {
    return inner_.save_slot(slot, path);
  }
  Result<std::size_t> restore_slot(int slot, const std::string& path) override {
    return inner_.restore_slot(slot, path);
  }
  Status erase_slot(int slot) override { return inner_.erase_slot(slot); }
  void drain(std::chrono::milliseconds grace) override { inner_.drain(grace); }
  ServiceStats stats() const override { return inner_.stats(); }
  const ServiceOptions& options() const override { return inner_.options(); }

 private:
  Status check(std::size_t tokens) const {
    if (limit_ == 0 || tokens <= limit_) return {};
    return Error{ErrorCode::kContextOverflow,
                 "This model's maximum context length is limited to prompts of " + std::to_string(limit_) +
                     " tokens here (--max-prompt). However, your messages resulted in " +
                     std::to_string(tokens) + " tokens. Please reduce the length of the messages."};
  }

  Service& inner_;
  const std::size_t limit_;
};

}  // namespace kakeya::serve
