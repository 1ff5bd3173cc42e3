// One function per command; each file apps/cli/<command>.cc holds one.
#pragma once
#include "cli/command.h"

namespace kakeya::cli {

void add_generate(CLI::App& app, Context& context);
void add_tokenize(CLI::App& app, Context& context);
void add_detokenize(CLI::App& app, Context& context);
void add_render(CLI::App& app, Context& context);
void add_logits(CLI::App& app, Context& context);
void add_perplexity(CLI::App& app, Context& context);
void add_codec(CLI::App& app, Context& context);
void add_quantize(CLI::App& app, Context& context);
void add_serve(CLI::App& app, Context& context);
void add_bench_acceptance(CLI::App& app, Context& context);
void add_bench_speed(CLI::App& app, Context& context);
void add_pull(CLI::App& app, Context& context);
void add_list_models(CLI::App& app, Context& context);
void add_rm(CLI::App& app, Context& context);
void add_run(CLI::App& app, Context& context);
void add_chat(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_doctor(CLI::App& app, Context& context);
void add_tune(CLI::App& app, Context& context);
void add_completion(CLI::App& app, Context& context);
void add_man(CLI::App& app, Context& context);

}  // namespace kakeya::cli
