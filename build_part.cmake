# Builds one target while the project is installed. If this fails, adds the compiler's first error to
# the target's report. CMakeLists.txt sets `target`, its `file`, `report`, `build_dir` and `config`.
file(REMOVE "${file}")
execute_process(
  COMMAND ${CMAKE_COMMAND} --build ${build_dir} --target ${target} --config "${config}"
  RESULT_VARIABLE failed
  OUTPUT_VARIABLE output ERROR_VARIABLE output
  ECHO_OUTPUT_VARIABLE ECHO_ERROR_VARIABLE)
file(STRINGS "${report}" lines REGEX "^compiler:")
set(found "${lines}\n")
if(failed)
  string(REGEX MATCH "[^\n]*error[: ][^\n]*" error "${output}")
  if(NOT error)
    string(REGEX MATCH "[^\n]+\n*$" error "${output}")
  endif()
  # Folders of the machine that builds say nothing to the reader of a report.
  string(REGEX REPLACE "[^ ]*/" "" error "${error}")
  string(STRIP "${error}" error)
  message(WARNING "${target} is left out: ${error}")
  string(APPEND found "error: ${error}\n")
endif()
file(WRITE "${report}" "${found}")
