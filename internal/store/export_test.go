package store

import "context"

// ForceVersion says that the schema is of a version.
func (s *Store) ForceVersion(ctx context.Context, version int) error {
	_, err := s.exec(ctx, "force the version", "INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, TRUE)", version)
	return err
}

// Spoil runs a statement that no program of ours would, for tests of what mends that.
func (s *Store) Spoil(ctx context.Context, query string) error {
	_, err := s.exec(ctx, "spoil the database", query)
	return err
}
