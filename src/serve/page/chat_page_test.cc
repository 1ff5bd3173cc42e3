#include "serve/page/chat_page.h"

#include <gtest/gtest.h>
#include <fstream>
#include <sstream>
#include <string>

namespace kakeya::serve::page {
namespace {

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(ChatPage, IsTheFileByteForByte) {
  std::ifstream file(std::string(KAKEYA_SOURCE_DIR) + "/src/serve/page/chat.html", std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(chat_page(), text.str());
}

TEST(ChatPage, NeedsNothingFromOutsideAndMakesNoMarkupOfText) {
  const std::string_view page = chat_page();
  EXPECT_EQ(count(page, "<script"), 1u);
  for (const char* part : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                           "new Function", " src=", "@import", "url(", " style=\"", " onclick=\""}) {
    EXPECT_EQ(count(page, part), 0u) << part;
  }
}

TEST(ChatPagePolicy, AllowsItsScriptAndStyleByHashAndNothingElse) {
  const std::string_view policy = chat_page_policy();
  EXPECT_TRUE(policy.starts_with("default-src 'none'; script-src 'sha256-"));
  EXPECT_EQ(count(policy, "'sha256-"), 2u);
  EXPECT_EQ(count(policy, "unsafe"), 0u);
}

TEST(AcceptsPage, TellsBrowsersFromApiClients) {
  EXPECT_TRUE(accepts_page("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
  EXPECT_TRUE(accepts_page("Text/HTML"));
  EXPECT_FALSE(accepts_page("*/*"));
  EXPECT_FALSE(accepts_page("application/json, text/plain, */*"));
  EXPECT_FALSE(accepts_page("text/html;q=0, */*"));
  EXPECT_FALSE(accepts_page(""));
}

}  // namespace
}  // namespace kakeya::serve::page
