# Writes chat.html as C++ bytes, with the content security policy that lets its one script and one style run.
# usage: cmake -DPAGE=chat.html -DOUT=chat_page_data.cc -P embed.cmake
function(content_between name open close)
  string(FIND "${page}" "${open}" from)
  string(FIND "${page}" "${close}" to)
  string(FIND "${page}" "${open}" last REVERSE)
  if(from EQUAL -1 OR to LESS from OR NOT from EQUAL last)
    message(FATAL_ERROR "${PAGE}: found no or several ${open}, expected one")
  endif()
  string(LENGTH "${open}" length)
  math(EXPR from "${from} + ${length}")
  math(EXPR count "${to} - ${from}")
  string(SUBSTRING "${page}" ${from} ${count} text)
  set(${name} "${text}" PARENT_SCOPE)
endfunction()

# 'sha256-...' of a text. Three hexadecimal digits are two digits of base64; 64 digits and "00" make 22 such
# groups, whose last digit stands for the padding "=".
function(source_hash name text)
  string(SHA256 hex "${text}")
  set(digits "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  set(hex "${hex}00")
  set(result "")
  foreach(group RANGE 21)
    math(EXPR at "${group} * 3")
    string(SUBSTRING "${hex}" ${at} 3 part)
    math(EXPR high "0x${part} / 64")
    math(EXPR low "0x${part} % 64")
    string(SUBSTRING "${digits}" ${high} 1 high)
    string(SUBSTRING "${digits}" ${low} 1 low)
    string(APPEND result "${high}${low}")
  endforeach()
  string(SUBSTRING "${result}" 0 43 result)
  set(${name} "'sha256-${result}='" PARENT_SCOPE)
endfunction()

file(READ "${PAGE}" page)
content_between(script "<script>" "</script>")
content_between(style "<style>" "</style>")
source_hash(script_hash "${script}")
source_hash(style_hash "${style}")
set(policy "default-src 'none'; script-src ${script_hash}; style-src ${style_hash}; img-src data:; \
connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")

file(READ "${PAGE}" bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "((0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,))" "\\1\n" bytes "${bytes}")
file(WRITE "${OUT}" "// Made from chat.html by embed.cmake.
#include \"serve/page/chat_page_data.h\"

namespace kakeya::serve::page {
const unsigned char kChatPageBytes[] = {\n${bytes}};
const std::size_t kChatPageSize = sizeof(kChatPageBytes);
const char kChatPagePolicy[] = \"${policy}\";
}  // namespace kakeya::serve::page
")
