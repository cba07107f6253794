#include "server-relay/tool/witness-rules.h"

#include "server-relay/tool/text.h"

namespace pgtandem::tool {
namespace {

std::string node_name(Node node) {
  return "node " + std::string(to_string(node));
}

Verdict refuse(std::string text, std::string what_to_do) {
  return {Verdict::Kind::refused, std::move(text), std::move(what_to_do)};
}

const StatusView* master_of(const NodesSeen& nodes) {
  if (nodes.own->active() && (!nodes.peer->active() || nodes.own->role.epoch >= nodes.peer->role.epoch))
    return nodes.own;
  return nodes.peer->active() ? nodes.peer : nullptr;
}

bool never_initialised(const StatusView& view) {
  return view.role.epoch == 0 && view.role.state == "RECOVER";
}

/// Both relays have to be heard, whatever is asked.
Verdict unheard(const NodesSeen& nodes) {
  for (const Node node : {nodes.self, other(nodes.self)}) {
    const StatusView* view = node == nodes.self ? nodes.own : nodes.peer;
    if (view == nullptr) {
      return refuse("the relay of " + node_name(node) + " does not answer, so it cannot be seen what it uses",
                    "start it, then repeat this");
    }
    if (!view->pair_mode) return refuse("the relay of " + node_name(node) + " is no node of a pair", "");
  }
  return {};
}

/// Why the witness that this relay runs with is not the wanted one; empty: it is.
std::string difference(const StatusView& view, const WitnessPlace& wanted) {
  const StatusView::Witness& used = *view.witness;
  const std::string whose = "the relay of " + node_name(view.node);
  if (!used.answers) return whose + " does not hear its witness: " + printable(used.trouble);
  if (!used.flaw.empty()) return whose + " does not trust its witness: " + printable(used.flaw);
  if (used.identity != wanted.identity) return whose + " uses another etcd cluster";
  if (used.key != wanted.key)
    return whose + " uses the key '" + printable(used.key) + "', this would be '" + wanted.key + "'";
  if (used.term_ms != wanted.term_ms) {
    return whose + " has witness.term = " + std::to_string(used.term_ms) + "ms, this would be " +
           std::to_string(wanted.term_ms) + "ms";
  }
  return {};
}

bool is_kept_by(const RecordFacts& record, const StatusView& master) {
  return record.epoch == master.role.epoch && record.master == master.node &&
         record.generation == master.role.generation;
}

/// The master uses a witness: this one, and what it keeps there is what is there.
Verdict judge_beside_master(const StatusView& master, const WitnessPlace& wanted, const RecordFacts& record) {
  if (const std::string why = difference(master, wanted); !why.empty())
    return refuse(why, "name the same one, or see pgtandem status");
  if (is_kept_by(record, master)) return {};
  return refuse("the witness holds another record than " + node_name(master.node) +
                    " keeps: " + record_text(record, wanted.key),
                "repeat this in a moment; if it stays so, see pgtandem status of both nodes");
}

/// The standby uses it already, the master is next.
Verdict judge_master(const NodesSeen& nodes, const WitnessPlace& wanted, const RecordFacts& record) {
  const std::string standby = node_name(nodes.peer->node);
  const std::string first =
      "on the host of " + standby + " first: pgtandem witness add, and restart its relay";
  if (!nodes.peer->witness)
    return refuse(node_name(nodes.self) +
                      " is master, and the standby comes first: its relay runs without this witness",
                  first);
  if (const std::string why = difference(*nodes.peer, wanted); !why.empty())
    return refuse("the standby comes first: " + why, first + "; with the same prefix and term");
  if (!nodes.own->standby_joined)
    return refuse("the standby is not joined",
                  "wait until pgtandem status shows it joined, or pgtandem bootstrap");
  if (record.revision == 0) return {};
  return refuse(
      "the witness holds a record that the master does not keep, and the standby may take it for the "
      "master's: " +
          record_text(record, wanted.key),
      "on the host of " + standby +
          ": pgtandem witness remove, restart its relay, then pgtandem witness add "
          "--replace-record");
}

/// Nobody uses a witness that counts yet, and this node is first.
Verdict judge_first(const NodesSeen& nodes, const WitnessPlace& wanted, const RecordFacts& record) {
  if (record.revision == 0) return {};
  if (nodes.own->witness) {
    return refuse("the witness holds a record that nobody keeps, and this node's relay listens to it: " +
                      record_text(record, wanted.key),
                  "restart this node's relay, which then runs without the witness, and repeat this");
  }
  return {
      Verdict::Kind::replace_first,
      "the witness holds a record that this pair does not keep now, and the standby would take it for the "
      "master's: " +
          record_text(record, wanted.key),
      "if no other pair has this uuid: add --replace-record, or etcdctl del " + wanted.key};
}

Verdict no_master() {
  return refuse("no node is master, so it cannot be said which one comes first",
                "see pgtandem status; or stop both relays, edit [witness] in both files, and start them");
}

}  // namespace

std::string record_text(const RecordFacts& record, const std::string& key) {
  if (record.revision == 0) return "no record under " + key;
  const std::string place = key + ", revision " + std::to_string(record.revision) + ": ";
  if (!record.flaw.empty()) return place + printable(record.flaw);
  return place + "epoch " + std::to_string(record.epoch) + ", master " +
         std::string(to_string(record.master)) + (record.sync ? ", standby joined" : ", no standby");
}

Verdict judge_add(const NodesSeen& nodes, const WitnessPlace& wanted, const RecordFacts& record) {
  if (Verdict verdict = unheard(nodes); verdict.kind != Verdict::Kind::go) return verdict;
  if (never_initialised(*nodes.own) && never_initialised(*nodes.peer))
    return judge_first(nodes, wanted, record);
  const StatusView* master = master_of(nodes);
  if (master == nullptr) return no_master();
  if (master->witness) return judge_beside_master(*master, wanted, record);
  if (master == nodes.own) return judge_master(nodes, wanted, record);
  if (!master->standby_joined) {
    return refuse(node_name(nodes.self) + " is not joined, and the master uses no witness yet",
                  "pgtandem bootstrap first");
  }
  return judge_first(nodes, wanted, record);
}

Verdict judge_remove(const NodesSeen& nodes) {
  // What the relay does not use can go from its file.
  if (nodes.own != nullptr && !nodes.own->witness) return {};
  if (Verdict verdict = unheard(nodes); verdict.kind != Verdict::Kind::go) return verdict;
  if (!nodes.peer->witness) return {};
  const StatusView* master = master_of(nodes);
  if (master == nullptr) return no_master();
  const Node standby = other(master->node);
  if (master->witness->answers && master->witness->flaw.empty()) {
    if (nodes.self == standby) return {};
    return refuse(
        node_name(nodes.self) +
            " is master, and the standby comes first: one that listens to a witness on which its master no "
            "longer writes may take over",
        "on the host of " + node_name(standby) + " first: pgtandem witness remove, and restart its relay");
  }
  if (!master->standby_joined) {
    return refuse(
        "the witness gives no authority and the standby is not joined: restarted without it, the master "
        "might not serve again by itself",
        "mend the witness, or join the standby first");
  }
  if (nodes.self == master->node) return {};
  return refuse(
      "the witness gives no authority, so " + node_name(master->node) +
          " serves by this node's promise, which a relay without a witness does not give",
      "on the host of " + node_name(master->node) + " first: pgtandem witness remove, and restart its relay");
}

Verdict judge_erase(const NodesSeen& nodes, const std::string& key) {
  if (Verdict verdict = unheard(nodes); verdict.kind != Verdict::Kind::go) return verdict;
  for (const StatusView* view : {nodes.own, nodes.peer}) {
    if (!view->witness) continue;
    return refuse("the relay of " + node_name(view->node) + " still uses a witness; the record " + key +
                      " may be what it goes by",
                  "on its host: pgtandem witness remove, and restart its relay");
  }
  return {};
}

std::string switchover_obstacle(const StatusView& master, const StatusView* target) {
  if (!master.witness || target == nullptr || target->witness) return {};
  return node_name(target->node) + " does not use the witness that " + node_name(master.node) +
         " uses: as master it would not write there, and " + node_name(master.node) +
         " might take over again";
}

}  // namespace pgtandem::tool
