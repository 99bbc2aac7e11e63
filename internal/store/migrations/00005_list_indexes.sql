-- Builds of one state, sorted by package: a page of them walks this index, however many there are.
CREATE INDEX steps_kind_package ON steps (kind, state, package, id);
