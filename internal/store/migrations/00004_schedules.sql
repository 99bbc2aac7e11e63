-- Schedules say who wants them run now, how often they were started (who runs one that was started
-- again has lost it), and what went wrong last.
ALTER TABLE schedules ADD COLUMN asked TEXT NOT NULL DEFAULT '';
ALTER TABLE schedules ADD COLUMN starts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE schedules ADD COLUMN last_error TEXT NOT NULL DEFAULT '';

-- What the update check found of a project's set for one target, when it looked last.
CREATE TABLE outdated (
  project BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  target TEXT NOT NULL,
  run BIGINT NOT NULL,
  packages BIGINT NOT NULL,
  found TEXT NOT NULL,
  problem TEXT NOT NULL,
  checked BIGINT NOT NULL,
  PRIMARY KEY (project, target)
);
