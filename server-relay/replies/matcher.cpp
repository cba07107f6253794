#include "server-relay/replies/matcher.h"

namespace pgtandem {
namespace {

using Kind = Outcome::Kind;

bool is_read(const Outcome& o) {
  return (o.kind == Kind::complete && o.tag_class == TagClass::read && !o.wrote_what_it_selected()) ||
         o.kind == Kind::suspended || o.kind == Kind::empty_query;
}

bool same_rows(const Outcome& a, const Outcome& b) {
  return a.rows == b.rows && a.row_digest == b.row_digest && a.column_digest == b.column_digest;
}

/// The first thing in which two outcomes of one kind differ; empty: they agree.
std::string difference(const Outcome& master, const Outcome& standby) {
  if (master.kind == Kind::complete && !(master.text == standby.text)) return "the command tags differ";
  if (master.kind == Kind::error && !(master.sqlstate == standby.sqlstate)) return "the errors differ";
  if (master.kind == Kind::ready && master.status != standby.status) return "the transaction statuses differ";
  if (master.column_digest != standby.column_digest) return "the columns' names or types differ";
  if (master.rows != standby.rows) return "the numbers of rows differ";
  if (master.row_digest != standby.row_digest) return "the rows differ";
  return {};
}

}  // namespace

void Matcher::start_unit(bool statement_reads) {
  unit_reads_.push_back(statement_reads ? 1 : 0);
}

std::uint64_t Matcher::push(Leg leg, const Outcome& outcome) {
  Side& side = leg == Leg::master ? master_ : standby_;
  side.waiting.push_back(outcome);
  if (outcome.kind == Kind::ready) ++side.units;
  while (!master_.waiting.empty() && !standby_.waiting.empty()) compare_front();
  return side.pushed++;
}

std::optional<Mismatch> Matcher::next_mismatch() {
  if (mismatches_.empty()) return std::nullopt;
  std::optional<Mismatch> first = std::move(mismatches_.front());
  mismatches_.pop_front();
  return first;
}

void Matcher::compare_front() {
  const Outcome master = master_.waiting.front();
  const Outcome standby = standby_.waiting.front();
  const bool master_ready = master.kind == Kind::ready;
  const bool standby_ready = standby.kind == Kind::ready;
  if (master_ready != standby_ready) {
    compare_surplus(master_ready ? standby_ : master_, master_ready ? Leg::standby : Leg::master);
    return;
  }
  master_.waiting.pop_front();
  standby_.waiting.pop_front();
  ++matched_;
  if (master.kind != standby.kind) {
    report(kind_of(master, standby), "one server succeeded where the other did not", &master, &standby);
  } else if (std::string what = difference(master, standby); !what.empty()) {
    report(kind_of(master, standby), std::move(what), &master, &standby);
  }
  if (master.kind == Kind::suspended) {
    rows_differed_ = rows_differed_ || !same_rows(master, standby);
  } else if (master.kind == Kind::complete) {
    if (rows_differed_ && master.tag_class == TagClass::other) {
      report(MismatchKind::write, "the rows that a writing command returned in portions differ", &master,
             &standby);
    }
    rows_differed_ = false;
  }
  if (!master_ready) return;
  ++unit_;
  if (!unit_reads_.empty()) unit_reads_.pop_front();
}

/// One leg is ready, the other one has more to say in this unit: each outcome of that surplus stands alone.
void Matcher::compare_surplus(Side& longer, Leg leg) {
  const Outcome outcome = longer.waiting.front();
  longer.waiting.pop_front();
  if (leg == Leg::master) ++matched_;
  const MismatchKind kind =
      is_read(outcome) || outcome.kind == Kind::error ? MismatchKind::read : MismatchKind::write;
  const bool by_master = leg == Leg::master;
  report(kind, "only one server answered", by_master ? &outcome : nullptr, by_master ? nullptr : &outcome);
}

MismatchKind Matcher::kind_of(const Outcome& master, const Outcome& standby) const {
  if (master.kind == Kind::ready && standby.kind == Kind::ready) {
    return master.status != standby.status ? MismatchKind::write : MismatchKind::read;
  }
  if (is_read(master) || is_read(standby)) {
    const bool other_writes = (master.kind == Kind::complete && !is_read(master)) ||
                              (standby.kind == Kind::complete && !is_read(standby));
    return other_writes ? MismatchKind::write : MismatchKind::read;
  }
  if (master.kind == Kind::error && standby.kind == Kind::error) {
    return !unit_reads_.empty() && unit_reads_.front() != 0 ? MismatchKind::read : MismatchKind::write;
  }
  return MismatchKind::write;
}

void Matcher::report(MismatchKind kind, std::string what, const Outcome* master, const Outcome* standby) {
  mismatches_.push_back({kind, std::move(what), master != nullptr ? master->describe() : "nothing",
                         standby != nullptr ? standby->describe() : "nothing", unit_});
}

}  // namespace pgtandem
