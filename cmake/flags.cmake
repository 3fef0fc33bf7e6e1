# SPDX-License-Identifier: MIT
# Compiler flags of STYLE "Mechanics", in one place. Options: BERTH_SANITIZE (address, thread),
# BERTH_FUZZ, BERTH_COVERAGE, BERTH_WERROR.
option(BERTH_WERROR "Warnings are errors" OFF)
option(BERTH_FUZZ "Build libFuzzer targets (clang)" OFF)
option(BERTH_COVERAGE "Instrument for coverage" OFF)
set(BERTH_SANITIZE "" CACHE STRING "address or thread")
set(BERTH_PROFILE "" CACHE STRING "generate or use, by tools/pgo")

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(CURL REQUIRED)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(CODINGS REQUIRED IMPORTED_TARGET zlib libbrotlidec libzstd)
find_library(ARGON2_LIBRARY argon2 REQUIRED)
find_library(HPDF_LIBRARY hpdf REQUIRED) # it brings no file for pkg-config
if(BUILD_TESTING) # in no program that is installed
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
  pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
endif()

add_compile_options(
  -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes
  -Wcast-qual -Wcast-align -Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef -Wvla -Walloca
  -Wswitch-enum -Wnull-dereference -Wdouble-promotion -Wfloat-equal -Wimplicit-fallthrough
  -fvisibility=hidden -fno-common -fno-strict-aliasing -fstack-protector-strong
  -ftrivial-auto-var-init=zero)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options(-fcf-protection=full -fstack-clash-protection)
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wbidi-chars=any
                      -Wtrampolines)
  # gcc 12's -Wnull-dereference misfires across inlining with the address sanitizer.
  if(BERTH_SANITIZE)
    add_compile_options(-Wno-null-dereference)
  endif()
  # Clear and copy structures with plain stores: gcc's own choice, rep stosq, starts slowly, and a
  # request clears a dozen of them.
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    add_compile_options(-mmemset-strategy=vector_loop:512:noalign,libcall:-1:noalign
                        -mmemcpy-strategy=vector_loop:512:noalign,libcall:-1:noalign)
  endif()
else()
  add_compile_options(-Wno-unknown-warning-option -Wcomma -Wunreachable-code-break)
  # clang before 16 zeroes automatic variables only when asked twice.
  if(CMAKE_C_COMPILER_VERSION VERSION_LESS 16)
    add_compile_options(-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang)
  endif()
endif()
if(BERTH_WERROR)
  add_compile_options(-Werror)
endif()
add_compile_definitions(_GNU_SOURCE)

if(BERTH_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer
                      -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
elseif(BERTH_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_definitions(_FORTIFY_SOURCE=3)
endif()
if(BERTH_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
# Two steps of tools/pgo. What the traffic did not reach is optimised as without a profile.
if(BERTH_PROFILE AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  set(profile_options -fprofile-dir=${CMAKE_BINARY_DIR}/profile)
  if(BERTH_PROFILE STREQUAL "generate")
    list(APPEND profile_options -fprofile-generate -fprofile-update=prefer-atomic)
  else()
    list(APPEND profile_options -fprofile-use -fprofile-correction -fprofile-partial-training
         -Wno-missing-profile -Wno-coverage-mismatch)
  endif()
  add_compile_options(${profile_options})
  add_link_options(${profile_options})
endif()
if(BERTH_COVERAGE)
  add_compile_options(--coverage -fprofile-update=prefer-atomic) # threads count, too
  add_compile_definitions(BERTH_SEPARATE) # lib/base: each piece is malloc's, so that it can fail in a test
  add_link_options(--coverage)
endif()
add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
