// The writers that have a file of their own, for make_writer alone.
#pragma once
#include "speed/writer.h"

namespace kakeya::speed {

std::unique_ptr<Writer> make_markdown_writer(std::ostream& out);

}  // namespace kakeya::speed
