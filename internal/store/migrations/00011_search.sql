-- For Search: builds by package and project, files by their names, runs by the beginning of their commits.
CREATE INDEX steps_package_project ON steps (kind, package, project, id);
CREATE INDEX artifacts_name ON artifacts (kind, name, id);
CREATE INDEX runs_commit ON runs (commit_id, id);
