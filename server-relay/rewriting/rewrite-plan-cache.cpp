#include "server-relay/rewriting/rewrite-plan-cache.h"

#include "server-relay/statements/lexical-scan.h"

namespace pgtandem {
namespace {

/// The text with what `other` makes of each of its numbers.
template <typename Other>
std::string with_other_numbers(std::string_view text, Other other) {
  std::string out;
  std::size_t at = 0;
  for (const std::string_view number : whole_numbers(text, text.size())) {
    const std::size_t begin = std::size_t(number.data() - text.data());
    out.append(text.substr(at, begin - at)).append(other(number));
    at = begin + number.size();
  }
  return out.append(text.substr(at));
}

bool holds_for(const std::string& other, const RewritePlan& plan, const RewriteRequest& request) {
  RewriteRequest again = request;
  again.text = other;
  const std::optional<RewritePlan> moved = plan.with_numbers_of(other);
  return moved && *moved == rewrite_plan(again);
}

/// Whether what the numbers are makes a difference is tried, once a text: it does as a precision, and where 0
/// has a meaning of its own.
bool holds_for_other_numbers(const RewritePlan& plan, const RewriteRequest& request) {
  const auto longer = [](std::string_view number) {
    return (number.starts_with('2') ? "4" : "2") + std::string(number);
  };
  const auto zero = [](std::string_view) { return std::string("0"); };
  return holds_for(with_other_numbers(request.text, longer), plan, request) &&
         holds_for(with_other_numbers(request.text, zero), plan, request);
}

}  // namespace

/// False: the text's plan is for this text alone.
bool RewritePlanCache::make_key(const RewriteRequest& request) {
  if (request.text.size() > kMaxText || !reads_alike(request.text, request.dialect)) return false;
  if (!generalise_numbers(request.text, key_)) return false;
  const RewriteClasses& classes = request.classes;
  for (const bool wanted : {classes.time, classes.volatile_values, classes.defaults})
    key_ += wanted ? '1' : '0';
  key_ += char('0' + int(request.width));
  key_ += request.catalogue == nullptr ? '0' : '1';
  return true;
}

RewritePlan RewritePlanCache::plan(const RewriteRequest& request,
                                   const std::shared_ptr<const RewriteCatalogue>& catalogue) {
  if (!make_key(request)) return rewrite_plan(request);
  if (catalogue != nullptr && catalogue != catalogue_) {
    plans_.clear();
    catalogue_ = catalogue;
  }
  if (const auto found = plans_.find(key_); found != plans_.end()) {
    std::optional<RewritePlan> plan = found->second.with_numbers_of(request.text);
    if (plan) {
      ++hits_;
      return *std::move(plan);
    }
  }
  RewritePlan plan = rewrite_plan(request);
  if (!plan.may_be_kept() || !holds_for_other_numbers(plan, request)) return plan;
  if (plans_.size() >= kMaxEntries) plans_.clear();
  plans_.insert_or_assign(key_, plan);
  return plan;
}

}  // namespace pgtandem
