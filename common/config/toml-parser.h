/// toml++, with what it takes for granted checked. toml++ 3.3 asserts (or, without assertions, assumes) what
/// some wrong files violate, "[=]" for one: an exception it is. To be included in place of toml++'s own
/// header.
#pragma once
#include <exception>

// clang-format off
#include <toml++/impl/preprocessor.h>
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT_ASSUME(expr) ((expr) ? void() : pgtandem::config::break_off())
namespace pgtandem::config {
struct BrokenAssumption : std::exception {};
[[noreturn]] inline void break_off() { throw BrokenAssumption(); }
}  // namespace pgtandem::config
#include <toml++/toml.h>
// clang-format on
