package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"reqpm/internal/backup"
	"reqpm/internal/store"
)

const databaseHelp = "postgres://… or the path of an SQLite file (default: reqpm.db in the state directory; REQPM_DATABASE)"

// databaseOf is the database that a flag means, and the state directory.
func (a *app) databaseOf(flag string) (state, database string, err error) {
	if state, err = a.stateDir(); err != nil {
		return "", "", err
	}
	if flag == "" {
		flag = filepath.Join(state, "reqpm.db")
	}
	return state, flag, nil
}

func (a *app) newBackupCommand() *cobra.Command {
	var database string
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Put everything the service keeps into one file, while it works",
		Long: `Write the database, the artifacts and logs, the published repositories and the keys to a new file, while the
service works. The database is as it is at one moment; runs that go on then go on from there after a restore. The file
has private keys: it is readable by its owner alone. Caches are not in it, nor artifacts that are in S3.

` + exitCodesHelp,
		Example: `  reqpm backup /var/backups/reqpm-$(date +%F).tar
  reqpm backup /var/backups/reqpm.tar --database postgres://reqpm@db.example.org/reqpm`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runBackup(cmd.Context(), args[0], database) },
	}
	cmd.Flags().StringVar(&database, "database", os.Getenv("REQPM_DATABASE"), databaseHelp)
	return cmd
}

// backedUp is the answer of backup and restore.
type backedUp struct {
	File    string    `json:"file"`
	Created time.Time `json:"created"`
	Program string    `json:"program"`
	backup.Summary
}

func (a *app) runBackup(ctx context.Context, file, flag string) error {
	state, database, err := a.databaseOf(flag)
	if err != nil {
		return err
	}
	s, err := a.openThere(ctx, database, false)
	if err != nil {
		return err
	}
	sum, err := backup.Write(ctx, s, state, file, a.version)
	if err = errors.Join(err, s.Close()); errors.Is(err, os.ErrExist) {
		return usageError{err}
	} else if err != nil {
		return err
	}
	return a.tellBackup(backedUp{File: file, Created: time.Now().UTC(), Program: a.version, Summary: sum}, "written")
}

// openThere opens a database that is there already: none is made by looking for it.
func (a *app) openThere(ctx context.Context, database string, server bool) (*store.Store, error) {
	if store.IsFile(database) {
		if _, err := os.Stat(database); err != nil {
			return nil, usagef("there is no database: %w", err)
		}
	}
	s, err := store.Open(ctx, store.Config{URL: database, Server: server, Log: a.logger()})
	if errors.Is(err, store.ErrInUse) {
		return nil, usagef("%w: stop it first", err)
	}
	return s, err
}

func (a *app) tellBackup(b backedUp, done string) error {
	if a.global.json {
		return a.printJSON(b)
	}
	a.say("%s %s: %d files, %.1f MB", b.File, done, b.Files, float64(b.Bytes)/1e6)
	return nil
}

func (a *app) newRestoreCommand() *cobra.Command {
	var database string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put what 'reqpm backup' wrote into an empty state directory",
		Long: `Unpack a backup into the state directory, and into the database: an SQLite file, or with --database an empty
PostgreSQL, whichever the backup was made of. Neither may have anything yet. A backup of an older program is brought forward,
one of a newer program is refused. Runs that were going on go on when the server starts.

` + exitCodesHelp,
		Example: `  reqpm restore /var/backups/reqpm.tar --state /var/lib/reqpm
  reqpm restore /var/backups/reqpm.tar --database postgres://reqpm@db.example.org/reqpm`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runRestore(cmd.Context(), args[0], database) },
	}
	cmd.Flags().StringVar(&database, "database", os.Getenv("REQPM_DATABASE"), databaseHelp)
	return cmd
}

func (a *app) runRestore(ctx context.Context, file, flag string) error {
	state, database, err := a.databaseOf(flag)
	if err != nil {
		return err
	}
	m, sum, err := backup.Restore(ctx, file, state, database)
	switch {
	case errors.Is(err, backup.ErrFull), errors.Is(err, backup.ErrFormat), errors.Is(err, backup.ErrShort), errors.Is(err, os.ErrNotExist), errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNewer):
		return usageError{err}
	case err != nil:
		return err
	}
	return a.tellBackup(backedUp{File: file, Created: m.Created, Program: m.Program, Summary: sum}, "of "+m.Created.Format(time.DateTime)+" UTC restored")
}

func (a *app) newDatabaseCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use: "database", Short: "Copy the service's database to another one", Example: "  reqpm database copy postgres://reqpm@db.example.org/reqpm",
		Long: `Move a service from SQLite to PostgreSQL, or back.

` + exitCodesHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	copyCmd := &cobra.Command{
		Use: "copy TO", Short: "Copy everything into an empty database",
		Long: `Copy everything of the database into another one, which must be empty: postgres://…, or the path of an SQLite
file. Stop the server and the workers first; start them with --database TO. Artifacts, logs, repositories and keys
stay where they are. Runs that were going on go on.`,
		Example: `  reqpm database copy postgres://reqpm@db.example.org/reqpm
  reqpm database copy /var/lib/reqpm/reqpm.db --database postgres://reqpm@db.example.org/reqpm`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.copyDatabase(cmd.Context(), from, args[0]) },
	}
	copyCmd.Flags().StringVar(&from, "database", os.Getenv("REQPM_DATABASE"), databaseHelp)
	cmd.AddCommand(copyCmd)
	return cmd
}

func (a *app) copyDatabase(ctx context.Context, flag, to string) (err error) {
	_, database, err := a.databaseOf(flag)
	if err != nil {
		return err
	}
	from, err := a.openThere(ctx, database, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	into, err := store.Open(ctx, store.Config{URL: to, Server: true, Log: a.logger()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, into.Close()) }()
	if err := from.CopyTo(ctx, into); errors.Is(err, store.ErrConflict) {
		return usagef("%w: TO must be empty", err)
	} else if err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(map[string]string{"from": from.Name(), "to": into.Name()})
	}
	a.say("copied from %s to %s; start the server with --database %s", from.Name(), into.Name(), store.Shown(to))
	return nil
}
