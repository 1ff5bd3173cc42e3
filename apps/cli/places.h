// What the environment says about models: the store, the hub, its token.
#pragma once
#include <string>

#include "hub/hub_api.h"
#include "hub/model_names.h"
#include "hub/store.h"

namespace kakeya::cli {

// KAKEYA_HOME, else XDG_DATA_HOME/kakeya, else ~/.local/share/kakeya (macOS: ~/Library/Application
// Support/kakeya). Errors: kInvalidArgument when none of them is set.
Result<hub::Store> open_store();

// HF_ENDPOINT; the token from HF_TOKEN, else HF_TOKEN_PATH, else HF_HOME/token, else
// ~/.cache/huggingface/token.
hub::HubAccess hub_access();

// XDG_CONFIG_HOME/kakeya, else ~/.config/kakeya; and XDG_STATE_HOME/kakeya, else ~/.local/state/kakeya. Empty
// when neither variable is set.
std::string config_directory();
std::string state_directory();

// For --target, --draft and the like: a path, "tiny", "random:...", or a pulled model by id or alias.
Result<hub::ResolvedModel> resolve_name(const std::string& name);
// Replaces a name by its path. Errors: as resolve_name.
Status resolve_in_place(std::string& name);

}  // namespace kakeya::cli
