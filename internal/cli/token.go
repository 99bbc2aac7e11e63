package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

type tokenOptions struct {
	database, role, name, project string
	expires                       time.Duration
}

func (a *app) newTokenCommand() *cobra.Command {
	var o tokenOptions
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke tokens for the API",
		Long: `Tokens let programs in: Authorization: Bearer rqp_…. What a token is is shown once; the database has its hash only.
These commands work on the database itself, beside a running server, so whoever can read the state directory may use them.

` + exitCodesHelp,
		Example: `  reqpm token create --role builder --name ci --expires 2160h
  reqpm token list
  reqpm token revoke 3`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&o.database, "database", os.Getenv("REQPM_DATABASE"), "postgres://… or the path of an SQLite file (default: reqpm.db in the state directory; REQPM_DATABASE)")
	create := &cobra.Command{
		Use: "create", Short: "Make a token and print it", Example: "  reqpm token create --role admin --json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.createToken(cmd.Context(), o) },
	}
	f := create.Flags()
	f.StringVar(&o.role, "role", auth.Viewer.String(), "viewer, builder, maintainer or admin")
	f.StringVar(&o.name, "name", "command line", "what the token is for")
	f.StringVar(&o.project, "project", "", "good for this project alone")
	f.DurationVar(&o.expires, "expires", 90*24*time.Hour, "how long it is good for")
	list := &cobra.Command{
		Use: "list", Short: "List tokens", Example: "  reqpm token list --json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listTokens(cmd.Context(), o) },
	}
	revoke := &cobra.Command{
		Use: "revoke ID", Short: "Revoke a token", Example: "  reqpm token revoke 3", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.revokeToken(cmd.Context(), o, args[0]) },
	}
	cmd.AddCommand(create, list, revoke)
	return cmd
}

// withPeople opens the database beside a server, for what people may and may not.
func (a *app) withPeople(ctx context.Context, database string, do func(*auth.Auth, *store.Store) error) (err error) {
	if database == "" {
		state, err := a.stateDir()
		if err != nil {
			return err
		}
		database = filepath.Join(state, "reqpm.db")
	}
	s, err := store.Open(ctx, store.Config{URL: database, Log: a.logger()})
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := s.Close(); err == nil {
			err = closeErr
		}
	}()
	people, err := auth.New(auth.Config{Store: s, Log: a.logger()})
	if err != nil {
		return err
	}
	return do(people, s)
}

// tokenAnswer is a token in answers; Token is there once, when it is made.
type tokenAnswer struct {
	ID       int64      `json:"id"`
	Token    string     `json:"token,omitempty"`
	Name     string     `json:"name"`
	Role     string     `json:"role"`
	Project  int64      `json:"project,omitempty"`
	Expires  time.Time  `json:"expires"`
	LastUsed *time.Time `json:"last_used,omitempty"`
}

func newTokenAnswer(t store.Token, text string) tokenAnswer {
	answer := tokenAnswer{ID: t.ID, Token: text, Name: t.Name, Role: t.Role, Project: t.Project, Expires: t.Expires}
	if !t.LastUsed.IsZero() {
		answer.LastUsed = &t.LastUsed
	}
	return answer
}

func (a *app) createToken(ctx context.Context, o tokenOptions) error {
	role, err := auth.ParseRole(o.role)
	if err != nil {
		return usageError{err}
	}
	return a.withPeople(ctx, o.database, func(people *auth.Auth, s *store.Store) error {
		want := auth.NewToken{Name: o.name, Role: role, For: o.expires}
		if o.project != "" {
			p, err := s.ProjectNamed(ctx, o.project)
			if err != nil {
				return usagef("--project: %w", err)
			}
			want.Project = p.ID
		}
		text, t, err := people.CreateToken(ctx, auth.Local(), want)
		if err != nil {
			return err
		}
		if a.global.json {
			return a.printJSON(newTokenAnswer(t, text))
		}
		a.say("token %d, %s, until %s; it is not shown again:", t.ID, t.Role, t.Expires.Format(time.DateOnly))
		_, err = fmt.Fprintln(a.stdout, text)
		return err
	})
}

func (a *app) listTokens(ctx context.Context, o tokenOptions) error {
	return a.withPeople(ctx, o.database, func(people *auth.Auth, _ *store.Store) error {
		all, err := people.Tokens(ctx, auth.Local())
		if err != nil {
			return err
		}
		if a.global.json {
			list := []tokenAnswer{}
			for _, t := range all {
				list = append(list, newTokenAnswer(t, ""))
			}
			return a.printJSON(map[string]any{"tokens": list})
		}
		rows := [][]string{{"ID", "NAME", "ROLE", "EXPIRES"}}
		for _, t := range all {
			rows = append(rows, []string{strconv.FormatInt(t.ID, 10), t.Name, t.Role, t.Expires.Format(time.DateOnly)})
		}
		a.table(rows)
		return nil
	})
}

func (a *app) revokeToken(ctx context.Context, o tokenOptions, text string) error {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return usagef("%q is not the number of a token; see 'reqpm token list'", text)
	}
	return a.withPeople(ctx, o.database, func(people *auth.Auth, _ *store.Store) error {
		return people.RevokeToken(ctx, auth.Local(), id)
	})
}
