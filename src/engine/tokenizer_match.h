// Whether two models call the same ids by the same texts.
#pragma once
#include <kakeya/result.h>

#include <string>

namespace kakeya::engine {

// The first id whose text differs, as a sentence with both; "" when all that both files have are the same, or
// one of them has no tokenizer. Ids that only one of them has do not count: embeddings are padded. Errors:
// those of reading the target's; of the draft's, which no one needs, they are the sentence.
Result<std::string> other_tokenizer(const std::string& target, const std::string& draft);

}  // namespace kakeya::engine
