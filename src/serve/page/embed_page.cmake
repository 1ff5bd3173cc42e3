# Included by src/serve/CMakeLists.txt: the chat page as a source of kakeya_serve.
set(chat_page_dir ${CMAKE_CURRENT_SOURCE_DIR}/page)
set(chat_page_data ${CMAKE_CURRENT_BINARY_DIR}/chat_page_data.cc)
add_custom_command(
  OUTPUT ${chat_page_data}
  COMMAND ${CMAKE_COMMAND} -DPAGE=${chat_page_dir}/chat.html -DOUT=${chat_page_data} -P ${chat_page_dir}/embed.cmake
  DEPENDS ${chat_page_dir}/chat.html ${chat_page_dir}/embed.cmake
  COMMENT "Embedding the chat page")
target_sources(kakeya_serve PRIVATE ${chat_page_data})
