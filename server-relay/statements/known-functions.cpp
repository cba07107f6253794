#include "server-relay/statements/known-functions.h"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace pgtandem {
namespace {

/// Sorted, for binary search (a static_assert below).
constexpr std::array kHarmless{
    std::string_view("clock_timestamp"),
    std::string_view("current_query"),
    std::string_view("currval"),
    std::string_view("gen_random_uuid"),
    std::string_view("lastval"),
    std::string_view("lo_get"),
    std::string_view("pg_blocking_pids"),
    std::string_view("pg_collation_actual_version"),
    std::string_view("pg_control_checkpoint"),
    std::string_view("pg_control_init"),
    std::string_view("pg_control_recovery"),
    std::string_view("pg_control_system"),
    std::string_view("pg_current_logfile"),
    std::string_view("pg_current_wal_flush_lsn"),
    std::string_view("pg_current_wal_insert_lsn"),
    std::string_view("pg_current_wal_lsn"),
    std::string_view("pg_database_collation_actual_version"),
    std::string_view("pg_database_size"),
    std::string_view("pg_get_backend_memory_contexts"),
    std::string_view("pg_get_shmem_allocations"),
    std::string_view("pg_get_wal_replay_pause_state"),
    std::string_view("pg_hba_file_rules"),
    std::string_view("pg_ident_file_mappings"),
    std::string_view("pg_indexes_size"),
    std::string_view("pg_is_in_recovery"),
    std::string_view("pg_is_wal_replay_paused"),
    std::string_view("pg_isolation_test_session_is_blocked"),
    std::string_view("pg_jit_available"),
    std::string_view("pg_last_committed_xact"),
    std::string_view("pg_last_wal_receive_lsn"),
    std::string_view("pg_last_wal_replay_lsn"),
    std::string_view("pg_last_xact_replay_timestamp"),
    std::string_view("pg_lock_status"),
    std::string_view("pg_notification_queue_usage"),
    std::string_view("pg_partition_ancestors"),
    std::string_view("pg_partition_tree"),
    std::string_view("pg_prepared_xact"),
    std::string_view("pg_relation_size"),
    std::string_view("pg_safe_snapshot_blocking_pids"),
    std::string_view("pg_sequence_last_value"),
    std::string_view("pg_show_all_file_settings"),
    std::string_view("pg_show_replication_origin_status"),
    std::string_view("pg_sleep"),
    std::string_view("pg_sleep_for"),
    std::string_view("pg_sleep_until"),
    std::string_view("pg_stat_get_recovery_prefetch"),
    std::string_view("pg_stat_get_xact_blocks_fetched"),
    std::string_view("pg_stat_get_xact_blocks_hit"),
    std::string_view("pg_stat_get_xact_function_calls"),
    std::string_view("pg_stat_get_xact_function_self_time"),
    std::string_view("pg_stat_get_xact_function_total_time"),
    std::string_view("pg_stat_get_xact_numscans"),
    std::string_view("pg_stat_get_xact_tuples_deleted"),
    std::string_view("pg_stat_get_xact_tuples_fetched"),
    std::string_view("pg_stat_get_xact_tuples_hot_updated"),
    std::string_view("pg_stat_get_xact_tuples_inserted"),
    std::string_view("pg_stat_get_xact_tuples_returned"),
    std::string_view("pg_stat_get_xact_tuples_updated"),
    std::string_view("pg_table_size"),
    std::string_view("pg_tablespace_size"),
    std::string_view("pg_total_relation_size"),
    std::string_view("pg_xact_commit_timestamp"),
    std::string_view("pg_xact_status"),
    std::string_view("random"),
    std::string_view("timeofday"),
    std::string_view("txid_status"),
};
static_assert(std::ranges::is_sorted(kHarmless));

using Reasons = std::unordered_map<std::string_view, std::string_view>;

const Reasons& reasons() {
  static const Reasons all{
      {"now", "now"},
      {"transaction_timestamp", "now"},
      {"statement_timestamp", "now"},
      {"age", "now"},  // of one argument: counted from the current date
      {"clock_timestamp", "clock_timestamp"},
      {"timeofday", "clock_timestamp"},
      {"random", "random"},
      {"random_normal", "random"},
      {"gen_random_uuid", "uuid"},
      {"uuidv4", "uuid"},
      {"uuidv7", "uuid"},
      {"uuid_generate_v1", "uuid"},
      {"uuid_generate_v1mc", "uuid"},
      {"uuid_generate_v4", "uuid"},
      {"gen_random_bytes", "gen_random_bytes"},
      {"gen_salt", "gen_salt"},
      {"txid_current", "txid_current"},
      {"txid_current_if_assigned", "txid_current"},
      {"txid_current_snapshot", "txid_current"},
      {"pg_current_xact_id", "txid_current"},
      {"pg_current_xact_id_if_assigned", "txid_current"},
      {"pg_current_snapshot", "txid_current"},
      {"pg_backend_pid", "pg_backend_pid"},
      {"pg_blocking_pids", "pg_backend_pid"},
      {"pg_postmaster_start_time", "pg_postmaster_start_time"},
      {"pg_conf_load_time", "pg_postmaster_start_time"},
      {"inet_server_addr", "address of the server"},
      {"inet_server_port", "address of the server"},
      {"inet_client_addr", "address of the client"},
      {"inet_client_port", "address of the client"},
      {"version", "version of the server"},
      {"pg_current_wal_lsn", "place in the WAL"},
      {"pg_current_wal_insert_lsn", "place in the WAL"},
      {"pg_current_wal_flush_lsn", "place in the WAL"},
      {"pg_relation_size", "size on disk"},
      {"pg_table_size", "size on disk"},
      {"pg_indexes_size", "size on disk"},
      {"pg_total_relation_size", "size on disk"},
      {"pg_database_size", "size on disk"},
      {"pg_tablespace_size", "size on disk"},
      {"pg_relation_filenode", "oid"},
      {"pg_export_snapshot", "exported snapshot"},
  };
  return all;
}

template <std::size_t N>
bool is_one_of(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

bool is_harmless_volatile(std::string_view name) {
  return std::ranges::binary_search(kHarmless, name);
}

bool changes_session_only(std::string_view name) {
  return name == "set_config" || name == "setseed";
}

bool runs_given_query(std::string_view name) {
  return name.starts_with("table_to_xml") || name.starts_with("schema_to_xml") ||
         name.starts_with("database_to_xml");
}

std::string_view divergence_of_function(std::string_view name) {
  const auto found = reasons().find(name);
  return found == reasons().end() ? std::string_view() : found->second;
}

bool is_order_dependent(std::string_view name) {
  using namespace std::string_view_literals;
  static constexpr std::array kNames{"array_agg"sv,       "string_agg"sv,       "json_agg"sv, "jsonb_agg"sv,
                                     "json_object_agg"sv, "jsonb_object_agg"sv, "xmlagg"sv};
  return is_one_of(name, kNames);
}

bool is_order_window(std::string_view name) {
  using namespace std::string_view_literals;
  static constexpr std::array kNames{"row_number"sv,  "ntile"sv,      "lag"sv,      "lead"sv,
                                     "first_value"sv, "last_value"sv, "nth_value"sv};
  return is_one_of(name, kNames);
}

bool is_session_advisory_lock(std::string_view name) {
  return name.starts_with("pg_advisory_lock") || name.starts_with("pg_try_advisory_lock") ||
         name.starts_with("pg_advisory_unlock");
}

bool makes_large_object(std::string_view name) {
  return name == "lo_create" || name == "lo_creat" || name == "lo_from_bytea" || name == "lo_import";
}

}  // namespace pgtandem
