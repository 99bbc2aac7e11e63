-- One schema for both databases. {{ID}}, {{SORTED}} and {{BYTES}} are what they call a number given by the
-- database, a text that sorts by its bytes, and bytes (migrate.go). Times are UTC in milliseconds since
-- 1970, 0 is never. Lists and settings are JSON texts. Nothing but an optional reference is NULL.

CREATE TABLE projects (
  id {{ID}},
  name {{SORTED}} NOT NULL UNIQUE,
  git_url TEXT NOT NULL,
  ref TEXT NOT NULL,
  requirement_files TEXT NOT NULL,
  targets TEXT NOT NULL,
  settings TEXT NOT NULL,
  sync BOOLEAN NOT NULL,
  last_commit TEXT NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL
);

CREATE TABLE runs (
  id {{ID}},
  project BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  number BIGINT NOT NULL,
  commit_id TEXT NOT NULL,
  ref TEXT NOT NULL,
  targets TEXT NOT NULL,
  options TEXT NOT NULL,
  state TEXT NOT NULL,
  cancel_wanted BOOLEAN NOT NULL,
  reason TEXT NOT NULL,
  message TEXT NOT NULL,
  lock_blob TEXT NOT NULL,
  plan_blob TEXT NOT NULL,
  created BIGINT NOT NULL,
  started BIGINT NOT NULL,
  finished BIGINT NOT NULL,
  UNIQUE (project, number)
);
CREATE INDEX runs_project ON runs (project, id);
CREATE INDEX runs_state ON runs (state, id);

-- Steps of one project, kind, target and labels queue in one lane, so that whoever asks for work looks at
-- the first of each and not at all of them.
CREATE TABLE lanes (
  id {{ID}},
  project BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  labels TEXT NOT NULL,
  UNIQUE (project, kind, target, labels)
);

CREATE TABLE workers (
  id {{ID}},
  name {{SORTED}} NOT NULL,
  host TEXT NOT NULL,
  pid BIGINT NOT NULL,
  slots BIGINT NOT NULL,
  labels TEXT NOT NULL,
  versions TEXT NOT NULL,
  disk_free BIGINT NOT NULL,
  state TEXT NOT NULL,
  message TEXT NOT NULL,
  lease_ms BIGINT NOT NULL,
  beats BIGINT NOT NULL,
  beat BIGINT NOT NULL,
  started BIGINT NOT NULL
);
CREATE INDEX workers_name ON workers (name, id);
CREATE INDEX workers_living ON workers (id) WHERE state <> 'gone';

CREATE TABLE steps (
  id {{ID}},
  run BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  project BIGINT NOT NULL,
  lane BIGINT NOT NULL,
  step_key TEXT NOT NULL,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  package {{SORTED}} NOT NULL,
  labels TEXT NOT NULL,
  exclusive BOOLEAN NOT NULL,
  state TEXT NOT NULL,
  waiting BIGINT NOT NULL,
  priority DOUBLE PRECISION NOT NULL,
  expected_seconds DOUBLE PRECISION NOT NULL,
  attempt BIGINT NOT NULL,
  worker BIGINT NOT NULL,
  avoid TEXT NOT NULL,
  retry_at BIGINT NOT NULL,
  infra_failures BIGINT NOT NULL,
  losses BIGINT NOT NULL,
  cancel_wanted BOOLEAN NOT NULL,
  created BIGINT NOT NULL,
  ready BIGINT NOT NULL,
  started BIGINT NOT NULL,
  finished BIGINT NOT NULL,
  cause TEXT NOT NULL,
  root TEXT NOT NULL,
  root_step BIGINT NOT NULL,
  input TEXT NOT NULL,
  result TEXT NOT NULL,
  UNIQUE (run, step_key)
);
CREATE INDEX steps_ready ON steps (lane, priority DESC, id) WHERE state = 'ready';
CREATE INDEX steps_running ON steps (worker, id) WHERE state = 'running';
CREATE INDEX steps_retry ON steps (retry_at) WHERE retry_at > 0;
CREATE INDEX steps_run ON steps (run, state, kind);
CREATE INDEX steps_project ON steps (project, kind, id);
CREATE INDEX steps_project_state ON steps (project, kind, state, id);
CREATE INDEX steps_kind_id ON steps (kind, id);
CREATE INDEX steps_kind ON steps (kind, state, id);
CREATE INDEX steps_package ON steps (kind, package, id);

-- step waits for needs. A soft edge waits for its end, a hard one for its success.
CREATE TABLE edges (
  step BIGINT NOT NULL REFERENCES steps (id) ON DELETE CASCADE,
  needs BIGINT NOT NULL REFERENCES steps (id) ON DELETE CASCADE,
  soft BOOLEAN NOT NULL,
  PRIMARY KEY (step, needs)
);
CREATE INDEX edges_needs ON edges (needs, step);

CREATE TABLE attempts (
  step BIGINT NOT NULL REFERENCES steps (id) ON DELETE CASCADE,
  attempt BIGINT NOT NULL,
  worker BIGINT NOT NULL,
  worker_name TEXT NOT NULL,
  log TEXT NOT NULL,
  state TEXT NOT NULL,
  cause TEXT NOT NULL,
  infrastructure BOOLEAN NOT NULL,
  started BIGINT NOT NULL,
  finished BIGINT NOT NULL,
  PRIMARY KEY (step, attempt)
);

CREATE TABLE limits (
  scope TEXT NOT NULL,
  name TEXT NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (scope, name)
);

CREATE TABLE events (
  id {{ID}},
  at BIGINT NOT NULL,
  kind TEXT NOT NULL,
  project BIGINT NOT NULL,
  run BIGINT NOT NULL,
  step BIGINT NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX events_at ON events (at);

CREATE TABLE artifacts (
  id {{ID}},
  run BIGINT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  step BIGINT NOT NULL,
  kind TEXT NOT NULL,
  name {{SORTED}} NOT NULL,
  blob TEXT NOT NULL,
  size BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  created BIGINT NOT NULL,
  UNIQUE (run, step, kind, name)
);
CREATE INDEX artifacts_step ON artifacts (step, id);
CREATE INDEX artifacts_blob ON artifacts (blob);

CREATE TABLE snapshots (
  id {{ID}},
  project BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  run BIGINT NOT NULL,
  target TEXT NOT NULL,
  path TEXT NOT NULL,
  packages BIGINT NOT NULL,
  size BIGINT NOT NULL,
  proof TEXT NOT NULL,
  created BIGINT NOT NULL,
  UNIQUE (project, target, path)
);

-- A repository is a channel of a project for one target, and points at one snapshot.
CREATE TABLE repositories (
  id {{ID}},
  project BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  channel TEXT NOT NULL,
  target TEXT NOT NULL,
  snapshot BIGINT NOT NULL REFERENCES snapshots (id),
  checked BIGINT NOT NULL,
  problem TEXT NOT NULL,
  updated BIGINT NOT NULL,
  UNIQUE (project, channel, target)
);
CREATE INDEX repositories_snapshot ON repositories (snapshot);

CREATE TABLE schedules (
  name TEXT PRIMARY KEY,
  every TEXT NOT NULL,
  enabled BOOLEAN NOT NULL,
  next BIGINT NOT NULL,
  running_until BIGINT NOT NULL,
  last_started BIGINT NOT NULL,
  last_finished BIGINT NOT NULL,
  last_ok BOOLEAN NOT NULL,
  last_result TEXT NOT NULL
);

CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL,
  updated BIGINT NOT NULL
);

CREATE TABLE log_entries (
  id {{ID}},
  project BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  run BIGINT NOT NULL,
  step BIGINT NOT NULL,
  level TEXT NOT NULL,
  message TEXT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX log_entries_project ON log_entries (project, id);
CREATE INDEX log_entries_run ON log_entries (run, id);
CREATE INDEX log_entries_at ON log_entries (at);

CREATE TABLE spec_revisions (
  id {{ID}},
  project BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  target TEXT NOT NULL,
  package {{SORTED}} NOT NULL,
  blob TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  message TEXT NOT NULL,
  author TEXT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX spec_revisions_package ON spec_revisions (project, target, package, id);

CREATE TABLE durations (
  id {{ID}},
  kind TEXT NOT NULL,
  package TEXT NOT NULL,
  target TEXT NOT NULL,
  seconds DOUBLE PRECISION NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX durations_package ON durations (kind, package, target, id);

CREATE TABLE users (
  id {{ID}},
  name {{SORTED}} NOT NULL UNIQUE,
  hash TEXT NOT NULL,
  role TEXT NOT NULL,
  disabled BOOLEAN NOT NULL,
  created BIGINT NOT NULL
);

-- members raise a user's role for one project.
CREATE TABLE members (
  user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  project BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  role TEXT NOT NULL,
  PRIMARY KEY (user_id, project)
);
CREATE INDEX members_project ON members (project);

CREATE TABLE tokens (
  id {{ID}},
  hash TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  owner BIGINT NULL REFERENCES users (id) ON DELETE CASCADE,
  role TEXT NOT NULL,
  project BIGINT NULL REFERENCES projects (id) ON DELETE CASCADE,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  last_used BIGINT NOT NULL
);
CREATE INDEX tokens_owner ON tokens (owner);
CREATE INDEX tokens_project ON tokens (project);

CREATE TABLE sessions (
  hash TEXT PRIMARY KEY,
  user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE audit (
  id {{ID}},
  at BIGINT NOT NULL,
  who TEXT NOT NULL,
  address TEXT NOT NULL,
  action TEXT NOT NULL,
  object TEXT NOT NULL,
  project BIGINT NOT NULL,
  detail TEXT NOT NULL
);
CREATE INDEX audit_project ON audit (project, id);

-- Sealed by whoever stores them: the database never has the plain text.
CREATE TABLE secrets (
  project BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  sealed {{BYTES}} NOT NULL,
  updated BIGINT NOT NULL,
  PRIMARY KEY (project, name)
);

CREATE TABLE idempotency_keys (
  owner TEXT NOT NULL,
  name TEXT NOT NULL,
  request TEXT NOT NULL,
  status BIGINT NOT NULL,
  answer TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (owner, name)
);
CREATE INDEX idempotency_keys_at ON idempotency_keys (at);
