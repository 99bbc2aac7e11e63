-- Spec files that people save are built from: of the revisions with a kind the newest counts.
ALTER TABLE spec_revisions ADD COLUMN kind TEXT NOT NULL DEFAULT '';
CREATE INDEX spec_revisions_own ON spec_revisions (project, target, package, id) WHERE kind <> '';
