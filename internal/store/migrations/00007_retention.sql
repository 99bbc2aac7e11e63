-- Runs that somebody wants kept, and results of builds that nobody refers to any more.
ALTER TABLE runs ADD COLUMN pinned BOOLEAN NOT NULL DEFAULT FALSE;

-- The name is the content key of a build. It is marked for a while before its blobs are deleted, so that whoever
-- has just found them there may say that he uses them.
CREATE TABLE blob_marks (
  name TEXT PRIMARY KEY,
  marked BIGINT NOT NULL,
  deleting BOOLEAN NOT NULL
);
