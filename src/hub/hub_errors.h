// What a hub's refusal means, and what to do about it.
#pragma once
#include <kakeya/result.h>

#include <string>

#include "hub/hub_api.h"

namespace kakeya::hub {

// "get URL: found status 404 ..., expected 200", with the server's words and the next step. Hubs say by
// X-Error-Code why: kNotFound for RepoNotFound, RevisionNotFound and EntryNotFound, kUnsupported where only
// another token or name helps, else kNetwork: the same request may pass later.
Error status_error(const HubAccess& access, const ModelId& id, const std::string& url,
                   const HttpReply& reply);

std::string base_of(const HubAccess& access);  // the endpoint without a slash at its end

}  // namespace kakeya::hub
