-- What forges tell of pushes, and what became of it; runs that wait for another run to end.

CREATE TABLE push_hooks (
  project BIGINT PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
  sealed {{BYTES}} NOT NULL,
  branches TEXT NOT NULL,
  tags TEXT NOT NULL,
  paths TEXT NOT NULL,
  created BIGINT NOT NULL,
  rotated BIGINT NOT NULL,
  refused BIGINT NOT NULL,
  refused_from TEXT NOT NULL,
  refused_why TEXT NOT NULL
);

CREATE TABLE push_deliveries (
  id {{ID}},
  project BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  delivery TEXT NOT NULL,
  forge TEXT NOT NULL,
  event TEXT NOT NULL,
  ref TEXT NOT NULL,
  commit_id TEXT NOT NULL,
  address TEXT NOT NULL,
  decision TEXT NOT NULL,
  why TEXT NOT NULL,
  run BIGINT NOT NULL,
  times BIGINT NOT NULL,
  at BIGINT NOT NULL,
  UNIQUE (project, delivery)
);
CREATE INDEX push_deliveries_project ON push_deliveries (project, id);
CREATE INDEX push_deliveries_at ON push_deliveries (at);

-- The run that has to end before this one may begin; 0: none.
ALTER TABLE runs ADD COLUMN behind BIGINT NOT NULL DEFAULT 0;
CREATE INDEX runs_behind ON runs (behind) WHERE behind > 0;
