-- Where people want to be told of runs, and what was told.

CREATE TABLE channels (
  id {{ID}},
  project BIGINT NULL REFERENCES projects (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  events TEXT NOT NULL,
  settings TEXT NOT NULL,
  sealed {{BYTES}} NOT NULL,
  enabled BOOLEAN NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL
);
CREATE INDEX channels_project ON channels (project, id);

-- A message about the end of a run, for one channel. It is made in the transaction that ends the run. A run that is
-- done again ends again.
CREATE TABLE notifications (
  id {{ID}},
  channel BIGINT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
  project BIGINT NOT NULL,
  run BIGINT NOT NULL,
  ended BIGINT NOT NULL,
  event TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  replays BIGINT NOT NULL,
  next BIGINT NOT NULL,
  status TEXT NOT NULL,
  answer TEXT NOT NULL,
  created BIGINT NOT NULL,
  finished BIGINT NOT NULL,
  UNIQUE (channel, run, ended)
);
CREATE INDEX notifications_due ON notifications (next) WHERE state = 'waiting';
CREATE INDEX notifications_project ON notifications (project, id);
CREATE INDEX notifications_created ON notifications (created);
