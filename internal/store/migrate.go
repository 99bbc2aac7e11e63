package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// A migration is a file NNNNN_what.sql, for both databases: a statement ends with ";" at the end of
// a line. A released one is never changed; the next one brings the schema forward.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema forward, or only looks whether it is this program's. only is a version to bring it to; 0 is
// the newest.
func migrate(ctx context.Context, db *sql.DB, d *dialect, forward bool, only int64, log *slog.Logger) error {
	steps, err := readMigrations(d)
	if err != nil {
		return err
	}
	options := []goose.ProviderOption{goose.WithGoMigrations(steps...), goose.WithDisableGlobalRegistry(true), goose.WithSlog(log)}
	kind := goose.DialectSQLite3
	if d == postgresDialect {
		kind = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker() // two servers may start at once
		if err != nil {
			return fmt.Errorf("lock the schema: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(kind, db, nil, options...)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	current, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	switch {
	case current > newest:
		return fmt.Errorf("%w: its schema is version %d, this program knows %d; use the newer program, or a backup from before the upgrade", ErrNewer, current, newest)
	case current < newest && !forward:
		return fmt.Errorf("its schema is version %d and the server that has it is older than this program, which needs %d: stop the server first", current, newest)
	}
	if only > 0 {
		newest = only
	}
	if _, err := provider.UpTo(ctx, newest); err != nil {
		return fmt.Errorf("bring the schema from version %d to %d: %w", current, newest, err)
	}
	return nil
}

func readMigrations(d *dialect) ([]*goose.Migration, error) {
	files, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	var all []*goose.Migration
	for _, file := range files {
		number, _, _ := strings.Cut(file.Name(), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the migration %s has no number", file.Name())
		}
		text, err := fs.ReadFile(migrations, "migrations/"+file.Name())
		if err != nil {
			return nil, err
		}
		statements := strings.Split(d.words.Replace(string(text)), ";\n")
		all = append(all, goose.NewGoMigration(version, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			for _, statement := range statements {
				if strings.TrimSpace(statement) == "" {
					continue
				}
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return errors.Join(fmt.Errorf("%s: %.200s", file.Name(), strings.TrimSpace(statement)), err)
				}
			}
			return nil
		}}, nil))
	}
	return all, nil
}
