/// When a node may begin or cease to use a witness, and what its record there has to be. Pure.
///
/// What is to be kept away is a standby that listens to a witness on which its master does not write: a
/// record that entitles it would make it take over from a master that serves. So while a witness is being
/// added the standby's relay comes first and the pair's key must be empty, since what an earlier time left
/// there would be taken for the master's word; and while one is removed the standby's relay comes first too.
/// Only where the witness gives no authority the master comes first: its right rests on the promise of a
/// standby that uses the witness.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "common/control/status-view.h"

namespace pgtandem::tool {

/// What the two nodes have to agree on; the addresses of the members may differ.
struct WitnessPlace {
  std::string identity;  ///< of its cluster, as StatusView::Witness has it
  std::string key;
  std::uint64_t term_ms = 0;
};

/// The pair's record at the witness.
struct RecordFacts {
  std::uint64_t revision = 0;  ///< 0: there is none
  std::string flaw;            ///< why it cannot be read; the rest is empty then
  Epoch epoch = 0;
  Node master = Node::none;
  std::string generation;
  bool sync = false;
};

/// What the two relays say; null where one does not answer.
struct NodesSeen {
  Node self = Node::none;  ///< this host's
  const StatusView* own = nullptr;
  const StatusView* peer = nullptr;
};

struct Verdict {
  enum class Kind {
    go,
    replace_first,  ///< once the record that is there has been deleted
    refused,
  };
  Kind kind = Kind::go;
  std::string text;        ///< why not
  std::string what_to_do;  ///< instead
};

/// May this node's file name that witness?
Verdict judge_add(const NodesSeen& nodes, const WitnessPlace& wanted, const RecordFacts& record);
/// May the witness be taken out of this node's file?
Verdict judge_remove(const NodesSeen& nodes);
/// May the record at that witness be deleted, for good?
Verdict judge_erase(const NodesSeen& nodes, const std::string& key);

/// Why a switchover to the other node should not be: the master uses a witness and that node does not. Empty:
/// nothing.
std::string switchover_obstacle(const StatusView& master, const StatusView* target);

/// The record in words, for people.
std::string record_text(const RecordFacts& record, const std::string& key);

}  // namespace pgtandem::tool
