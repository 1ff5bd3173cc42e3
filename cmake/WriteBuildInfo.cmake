# Run at build time: writes OUTPUT with the commit of SOURCE_DIR; left alone when nothing changed.
execute_process(COMMAND git -C ${SOURCE_DIR} rev-parse --short HEAD OUTPUT_VARIABLE commit ERROR_QUIET
                OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed OR commit STREQUAL "")
  set(commit "unknown")
endif()
set(KAKEYA_BUILD_COMMIT ${commit})
configure_file(${SOURCE_DIR}/src/engine/build_info.h.in ${OUTPUT} @ONLY)
