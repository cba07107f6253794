/// What one SQL text may do, as far as its own words and the catalogue tell. A value without behaviour: the
/// session and the gate decide by it.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgtandem {

enum class StatementKind : std::uint8_t {
  empty,  ///< no statement at all
  /// Proven to write nothing and to take no lock that outlives it: one SELECT, VALUES, TABLE, SHOW, EXPLAIN
  /// (without ANALYZE, or of a read) or COPY ... TO STDOUT of a plain table or a read; no locking clause, no
  /// INTO, no writing CTE, nothing volatile save for harmless functions of PostgreSQL's own (hard point 22).
  read,
  /// Touches this session alone, or nothing that clients see: SET, RESET, LISTEN, UNLISTEN, PREPARE,
  /// DEALLOCATE, DISCARD, CLOSE, LOAD, CHECKPOINT, SET CONSTRAINTS ... DEFERRED, and what would be a read but
  /// for set_config or setseed. Look at names_isolation.
  session,
  begin,
  savepoint,
  release,
  rollback_to,
  commit,
  rollback,
  prepare_transaction,
  finish_prepared,  ///< COMMIT PREPARED, ROLLBACK PREPARED
  cursor,           ///< DECLARE: see inner_reads
  fetch,            ///< FETCH and MOVE of `name`
  execute,          ///< EXECUTE of `name`: a read if inner_reads is set here and in the PREPARE
  /// May write; can be undone by a savepoint and tried again: INSERT, UPDATE, DELETE, MERGE, a SELECT not
  /// proven to be a read, NOTIFY, GRANT, COMMENT, SET CONSTRAINTS ... IMMEDIATE (runs what was deferred), and
  /// DDL without a lock in conflict with readers (a new table, a function).
  write,
  /// A write that takes locks in conflict with readers, or waits for their snapshots: ALTER and DROP of
  /// relations, TRUNCATE, LOCK in ACCESS EXCLUSIVE mode, CREATE INDEX, REINDEX, CLUSTER, VACUUM FULL, ...
  ddl,
  copy_in,  ///< COPY ... FROM STDIN
  opaque,   ///< may commit inside, or unknown: several statements, CALL, DO, text that cannot be parsed
};

/// The word as the enumerator is written.
std::string_view to_string(StatementKind kind);

/// Which rows of one relation a statement locks, where its WHERE compares columns with values: enough to
/// guess, before it is tried, that another transaction is in its way. Never a proof.
struct RowTarget {
  struct Term {
    enum class Source : std::uint8_t {
      number,     ///< the whole number of the text with this index (whole_numbers())
      parameter,  ///< $n, index n - 1
      fixed,      ///< `text`
    };
    std::string column;
    Source source = Source::fixed;
    std::size_t index = 0;
    std::string text = {};

    friend bool operator==(const Term&, const Term&) = default;
  };
  static constexpr std::size_t kMostTerms = 8;

  std::string relation;     ///< without its schema
  std::vector<Term> terms;  ///< the first kMostTerms

  friend bool operator==(const RowTarget&, const RowTarget&) = default;
};

/// What a row-local statement needs so that both servers do the same (row-local.h).
enum class RowOrder : std::uint8_t {
  tried,    ///< what it finds may depend on the order: it has to be undone where the two servers differ
  claimed,  ///< it names one row by a key and nothing else, and changes no key: enough that nobody else has
            ///< the row
  free,     ///< new rows of a relation without unique keys: nobody is in its way
};

struct Statement {
  StatementKind kind = StatementKind::opaque;
  /// Cannot run inside a transaction block: VACUUM, CREATE DATABASE, CREATE INDEX CONCURRENTLY, ... Where
  /// that depends on what the text does not say (a subscription's slot), it is set.
  bool refuses_block = false;
  /// An error, or a warning without effect, outside of a block: LOCK, DECLARE without HOLD, SET LOCAL, the
  /// savepoint family, SET TRANSACTION, SET CONSTRAINTS, PREPARE TRANSACTION, ... AND CHAIN.
  bool needs_block = false;
  /// PREPARE, DECLARE, EXPLAIN ANALYZE: the inner query is a proven read. EXECUTE: the parameters are. The
  /// other facts of these statements include the inner query's.
  bool inner_reads = false;
  /// May move a sequence: INSERT, COPY FROM, MERGE, a function that is not proven, UPDATE or DELETE of a
  /// relation with triggers, rules or cascading keys (or of an unknown one), DDL that creates or fills
  /// relations.
  bool may_use_sequences = false;
  /// The text names, anywhere, lock_timeout, statement_timeout, idle_in_transaction_session_timeout,
  /// idle_session_timeout, pg_settings or set_config; or is RESET ALL, DISCARD ALL, SHOW ALL, SET ROLE, SET
  /// SESSION AUTHORIZATION, ALTER ROLE or DATABASE ... SET.
  bool names_settings = false;
  /// Sets the isolation level: in BEGIN, SET TRANSACTION (SNAPSHOT included), SET SESSION CHARACTERISTICS, by
  /// default_transaction_isolation or transaction_isolation in any way, RESET ALL, DISCARD ALL.
  bool names_isolation = false;
  /// DDL after which the copy of the catalogue is no longer true: from here to the end of the transaction
  /// classify with a null catalogue, after its commit read a new one.
  bool changes_catalogue = false;
  bool shared_objects =
      false;                ///< roles, databases, tablespaces, ...: concerns all databases (hard point 24)
  bool parameters = false;  ///< has a $n that the extended protocol would have to bind
  bool chain = false;       ///< COMMIT or ROLLBACK AND CHAIN
  bool read_only_deferrable = false;  ///< BEGIN READ ONLY DEFERRABLE whose level is SERIALIZABLE or not named
  bool advisory_locks = false;  ///< calls an advisory lock function: a failed attempt may leave locks behind
  bool large_objects = false;   ///< calls a function that makes a large object, whose oid each server chooses
  /// Of PREPARE, EXECUTE, DEALLOCATE, DECLARE, FETCH, CLOSE, SAVEPOINT, RELEASE and ROLLBACK TO, folded and
  /// cut as the server does it; the identifier of PREPARE TRANSACTION and COMMIT or ROLLBACK PREPARED. Empty
  /// for ALL.
  std::string name = {};
  /// Empty for reads. Sources of divergence in what this writes (hard point 23), each once, to be shown in
  /// the log: "now", "clock_timestamp", "random", "uuid" (those the relay may rewrite), "LIMIT without ORDER
  /// BY", "ctid", ...
  std::vector<std::string> flags = {};
  /// Of UPDATE, DELETE and SELECT with a locking clause that waits; without terms where it cannot be told.
  RowTarget row_target = {};
  /// A write, or a locking read, of single rows that it names by a unique key, or a row of constants: what it
  /// does follows from the rows' own last versions, and whoever else wants them meets its locks
  /// (row-local.h).
  bool row_local = false;
  RowOrder row_order = RowOrder::tried;  ///< of what is row-local
  /// COPY FROM STDIN into a relation whose rows run nothing (no trigger, no rule): all that it does follows
  /// from its data.
  bool plain_copy = false;

  friend bool operator==(const Statement&, const Statement&) = default;
};

}  // namespace pgtandem
