# Cross compilation with zig: -DZIG=<path of the program> -DZIG_TARGET=<cpu>-<linux-gnu.2.17 | linux-musl | macos.11.0>.
# Everything of the C++ library is linked in and hidden; a binary needs only what its libc gives.
if(NOT ZIG OR NOT ZIG_TARGET)
  message(FATAL_ERROR "cmake/zig.cmake needs -DZIG=<path> and -DZIG_TARGET=<cpu>-<system>")
endif()
string(REGEX MATCH "^[^-]+" ZIG_CPU ${ZIG_TARGET})
set(CMAKE_SYSTEM_PROCESSOR ${ZIG_CPU})
if(ZIG_TARGET MATCHES "-macos")
  set(CMAKE_SYSTEM_NAME Darwin)
  # zig brings its own headers and stubs of the system, and takes the oldest version from the target.
  set(CMAKE_OSX_SYSROOT "" CACHE STRING "")
  set(CMAKE_OSX_ARCHITECTURES "" CACHE STRING "")
  set(CMAKE_OSX_DEPLOYMENT_TARGET "" CACHE STRING "")
else()
  set(CMAKE_SYSTEM_NAME Linux)
endif()
set(CMAKE_CXX_COMPILER ${ZIG} c++)
# Said rather than found out: probing links a program per target, for which zig first compiles its C++ library once more.
set(CMAKE_CXX_COMPILER_ID Clang)
set(CMAKE_CXX_COMPILER_ID_RUN TRUE)
set(CMAKE_CXX_COMPILER_VERSION 19.0)
set(CMAKE_CXX_COMPILER_FRONTEND_VARIANT GNU)
set(CMAKE_CXX_STANDARD_COMPUTED_DEFAULT 17)
set(CMAKE_CXX_COMPILER_FORCED TRUE)
set(CMAKE_SIZEOF_VOID_P 8)
set(CMAKE_HAVE_LIBC_PTHREAD TRUE CACHE BOOL "")
# -s: stripping afterwards would break the signature of arm64 Mach-O files.
set(CMAKE_CXX_FLAGS_INIT "-target ${ZIG_TARGET} -ffunction-sections -fdata-sections -ffile-prefix-map=${CMAKE_CURRENT_LIST_DIR}/..=.")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-s")
if(NOT ZIG_TARGET MATCHES "-macos")
  string(APPEND CMAKE_SHARED_LINKER_FLAGS_INIT " -Wl,--gc-sections -Wl,-z,relro")
  # Half of the symbols are never called, and to look them all up when it is loaded takes a twelfth of a process's first attach. Only
  # there: the loader of musl, which may be given the binary for the other libc to try, crashes over one for arm64 that is bound lazily.
  if(ZIG_TARGET MATCHES "^x86_64-linux-gnu")
    string(APPEND CMAKE_SHARED_LINKER_FLAGS_INIT " -Wl,-z,lazy")
  else()
    string(APPEND CMAKE_SHARED_LINKER_FLAGS_INIT " -Wl,-z,now")
  endif()
endif()
