// Names of answers and requests.
#pragma once
#include <string>

namespace kakeya::serve {

std::string random_id();  // 24 characters, letters and digits; not a secret

}  // namespace kakeya::serve
