#include "tests/unit/bootstrap/support/copy-place.h"

namespace pgtandem::bootstrap::testing {

std::string tool_path() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "bootstrap-test-tool";
}

CopyPlace::CopyPlace(const Options& options)
    : source(folder, "source"),
      target(folder, "target", {}, options.target_data),
      sshd(folder, options.sshd_options),
      token_file_(folder.write("token", "test-token\n")) {}

std::vector<std::string> CopyPlace::common() const {
  return {tool_path(),           "--control",          std::to_string(control.port()),
          "--token-file",        token_file_,          "bootstrap",
          "--abort-clients",     "--progress",         "json",
          "--service-user",      "pgtandem",           "--pg-bin",
          kPostgresBin,          "--remote-pg-bin",    kPostgresBin,
          "--source-postmaster", source.address(),     "--target-postmaster",
          target.address(),      "--service-passfile", source.passfile(),
          "--target-passfile",   target.passfile()};
}

std::vector<std::string> CopyPlace::command(const std::vector<std::string>& more) const {
  std::vector<std::string> argv = common();
  argv.insert(argv.end(), {"--target-host", "127.0.0.1", "--ssh-user", "root", "--ssh-port",
                           std::to_string(sshd.port()), "--ssh-key", sshd.client_key(), "--known-hosts",
                           sshd.known_hosts(), "--remote-pgtandem", tool_path()});
  argv.insert(argv.end(), more.begin(), more.end());
  return argv;
}

std::vector<std::string> CopyPlace::local_command(const std::vector<std::string>& more) const {
  std::vector<std::string> argv = common();
  argv.emplace_back("--local");
  argv.insert(argv.end(), more.begin(), more.end());
  return argv;
}

std::string CopyPlace::spoiled_loader(const std::string& filter) const {
  const std::string tool = tool_path();
  return folder.write("spoiled-loader",
                      "#!/bin/sh\necho $$ > " + folder.path("loader.pid") +
                          "\ncase \" $* \" in *\" --stream \"*)\n  " + tool + " " + filter + " | " + tool +
                          " \"$@\" ;;\n*) exec " + tool + " \"$@\" ;;\nesac\n",
                      0755);
}

bool CopyPlace::target_is_busy() const {
  return target.sql(
             "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgtandem bootstrap%'") !=
         "0";
}

std::vector<std::string> fill_with_everything(const TestServer& server) {
  server.sql(R"(CREATE ROLE app LOGIN PASSWORD 'app-password' CONNECTION LIMIT 7;
                CREATE ROLE "Re""aders; --" NOLOGIN; CREATE ROLE old_md5 LOGIN;
                GRANT "Re""aders; --" TO app WITH ADMIN OPTION;
                ALTER ROLE app SET statement_timeout = '5min';
                ALTER ROLE app VALID UNTIL '2099-01-01 00:00:00+00';
                COMMENT ON ROLE app IS 'the application''s; CREATE ROLE ghost;')");
  server.sql("SET password_encryption = md5; ALTER ROLE old_md5 PASSWORD 'old'");
  server.sql("CREATE DATABASE \"we ird\"\"db\" OWNER app TEMPLATE template0 CONNECTION LIMIT 50");
  server.sql("CREATE DATABASE \"it's=a\\name\" TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
  server.sql("CREATE DATABASE pattern IS_TEMPLATE true");
  server.sql("ALTER DATABASE \"we ird\"\"db\" SET work_mem = '8MB'");
  server.sql("ALTER ROLE app IN DATABASE \"we ird\"\"db\" SET lock_timeout = '1min'");
  const std::string odd = "we ird\"db";
  server.sql(R"(CREATE EXTENSION hstore; CREATE SCHEMA "S ch" AUTHORIZATION app;
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'hap''py'); CREATE TYPE pair AS (x int, y text);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE TABLE parent(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m mood DEFAULT 'ok', p pair, ms mood[], h hstore);
    CREATE TABLE "S ch"."T able"(id bigserial PRIMARY KEY, parent int REFERENCES parent, a positive NOT NULL,
      twice int GENERATED ALWAYS AS (a * 2) STORED, b bytea, j jsonb, t text COLLATE "C", UNIQUE (a, parent));
    CREATE TABLE parts(id int, v text) PARTITION BY RANGE (id);
    CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
    CREATE TABLE parts_high PARTITION OF parts DEFAULT;
    CREATE INDEX ON parts (v);
    CREATE UNLOGGED TABLE scratch(x int);
    CREATE MATERIALIZED VIEW mv AS SELECT count(*) AS n FROM parent;
    CREATE VIEW v AS SELECT * FROM parent WHERE m = 'sad';
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN NEW.t := coalesce(NEW.t, '\. $f'); RETURN NEW; END $f$;
    CREATE TRIGGER touch BEFORE INSERT ON "S ch"."T able" FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE SEQUENCE far START 100 INCREMENT 7 CACHE 5; SELECT nextval('far');
    CREATE SEQUENCE untouched START 9;
    COMMENT ON TABLE parent IS E'two\nlines; \\! touch /tmp/x'; COMMENT ON DATABASE "we ird""db" IS 'odd';
    GRANT SELECT ON parent TO "Re""aders; --"; GRANT UPDATE (m) ON parent TO app;
    ALTER TABLE parent ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON parent FOR SELECT TO app USING (m <> 'sad');
    ALTER DEFAULT PRIVILEGES IN SCHEMA "S ch" GRANT SELECT ON TABLES TO app;
    CREATE STATISTICS st ON id, v FROM parts_low;
    CREATE PUBLICATION pub FOR TABLE parent;)",
             odd);
  server.sql(
      R"(INSERT INTO parent(m, p, ms, h) SELECT 'hap''py', ROW(i, E'\\.\n\ttab')::pair, ARRAY['sad', 'ok']::mood[], hstore('k', i::text)
                  FROM generate_series(1, 50) i;
                INSERT INTO "S ch"."T able"(parent, a, b, j, t) SELECT i % 50 + 1, i, decode(md5(i::text), 'hex'), jsonb_build_object('i', i),
                  CASE WHEN i % 3 = 0 THEN NULL ELSE repeat(md5(i::text), 3) END FROM generate_series(1, 20000) i;
                INSERT INTO parts SELECT i, 'v' || i FROM generate_series(1, 500) i;
                REFRESH MATERIALIZED VIEW mv;
                SELECT lo_from_bytea(0, decode(repeat('00ff', 5000), 'hex')), lo_from_bytea(0, 'second');)",
      odd);
  server.sql("CREATE TABLE latin(t text); INSERT INTO latin VALUES ('Gr\u00fc\u00dfe')", "it's=a\\name");
  server.sql("CREATE TABLE in_postgres AS SELECT generate_series(1, 10) AS i");
  return {"postgres", odd, "it's=a\\name", "pattern"};
}

}  // namespace pgtandem::bootstrap::testing
