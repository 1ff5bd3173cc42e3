// The flags of `serve`.
#pragma once
#include <kakeya/service.h>

#include <string>
#include <vector>

#include "cli/command.h"
#include "serve/options.h"

namespace kakeya::cli {

struct ServeFlags {
  EngineFlags engine;
  std::string model_argument;  // the target, as run and chat take it
  ServiceOptions service;
  serve::Options server;
  std::vector<std::string> hosts, names;
  std::string template_file, profile;
  std::string speculation;  // of requests that name none; empty = the profile's, else auto
  std::size_t verify_width = 0;
  std::int64_t timeout_s = 0, grace_s = 30;
  bool quiet = false, list_devices = false, no_profile = false, no_slots = false, no_metrics = false;
};

void add_serve_flags(CLI::App* command, ServeFlags& flags);

}  // namespace kakeya::cli
