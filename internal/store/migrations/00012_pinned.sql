-- A repository that was rolled back stays at its snapshot, whatever is published, until somebody unpins it.
ALTER TABLE repositories ADD COLUMN pinned_by TEXT NOT NULL DEFAULT '';
ALTER TABLE repositories ADD COLUMN pinned_at BIGINT NOT NULL DEFAULT 0;
