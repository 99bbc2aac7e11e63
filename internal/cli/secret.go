package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/api"
	"reqpm/internal/client"
	"reqpm/internal/secret"
)

type secretOptions struct {
	kind, origin, username, file, knownHosts string
}

func (a *app) newProjectSecretCommand() *cobra.Command {
	return a.group("secret", "Set, list and remove the tokens and keys that a project needs for private servers",
		`Secrets of a project open private Git servers and package indexes: for its checkouts and resolves, on every worker. Each is sent to one
server only. It is kept encrypted and never given back; builds do not see it.`,
		"  reqpm project secret set app git <token.txt\n  reqpm project secret list app\n  reqpm project secret remove app git",
		a.newSecretSetCommand(), a.newSecretListCommand(), a.newSecretRemoveCommand())
}

func (a *app) newSecretSetCommand() *cobra.Command {
	var o secretOptions
	cmd := &cobra.Command{
		Use:   "set PROJECT NAME",
		Short: "Set a secret; it is read from standard input, or from a file",
		Long: `Set a secret, in place of what NAME was before. The value is read from standard input or --file, never from the command line,
where everybody on the machine could read it.

  git-token  password or access token for a Git server, over https
  ssh-key    private key without a passphrase for a Git server, over ssh; needs --known-hosts with the server's own key
  index      password of --username for a package index; without --username a bearer token

` + exitCodesHelp,
		Example: `  reqpm project secret set app git <token.txt
  reqpm project secret set app deploy --kind ssh-key --file id_ed25519 --known-hosts known_hosts
  reqpm project secret set app index --kind index --origin https://index.example.org --username ci --file password.txt`,
		Args: cobra.ExactArgs(2),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.setSecret(ctx, c, args[0], args[1], o)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&o.kind, "kind", string(secret.GitToken), "git-token, ssh-key or index")
	f.StringVar(&o.origin, "origin", "", "any address on the server that it is for (default for Git: the project's own)")
	f.StringVar(&o.username, "username", "", "user name that goes with it (default for git-token: x-access-token)")
	f.StringVar(&o.file, "file", "", "file with the value (default: standard input)")
	f.StringVar(&o.knownHosts, "known-hosts", "", "file with the server's own key, as ssh-keyscan prints it")
	return cmd
}

func (a *app) setSecret(ctx context.Context, c *client.Client, project, name string, o secretOptions) error {
	fields := api.SecretFields{Kind: o.kind, Origin: o.origin, Username: o.username}
	var err error
	if fields.Value, err = readSecret(a.stdin, o.file); err != nil {
		return err
	}
	if o.knownHosts != "" {
		if fields.KnownHosts, err = readSecret(nil, o.knownHosts); err != nil {
			return err
		}
	}
	s, err := c.SetSecret(ctx, project, name, fields)
	if err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(s)
	}
	a.say("set %s of %s: a %s, sent to %s only", s.Name, project, s.Kind, s.Origin)
	return nil
}

// readSecret reads a file, or stdin where none is named.
func readSecret(stdin io.Reader, file string) (string, error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return "", usageError{err}
		}
		defer f.Close()
		stdin = f
	}
	text, err := io.ReadAll(io.LimitReader(stdin, secret.MaxValue+2))
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	value := strings.TrimSpace(string(text))
	if value == "" || len(value) > secret.MaxValue {
		return "", usageError{errors.New("there is no secret of at most 8,000 bytes in what was read")}
	}
	return value, nil
}

func (a *app) newSecretListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list PROJECT", Short: "List what a project has secrets for; no values", Args: cobra.ExactArgs(1), Example: "  reqpm project secret list app --json",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			all, err := client.Collect(c.Secrets(ctx, args[0]), 0)
			if err != nil {
				return err
			}
			if a.global.json {
				return a.printJSON(map[string]any{"secrets": all})
			}
			if len(all) == 0 {
				a.say("%s has no secrets", args[0])
				return nil
			}
			rows := [][]string{{"NAME", "KIND", "SERVER", "USER", "KNOWN BY", "SET", "BY"}}
			for _, s := range all {
				known := s.Fingerprint
				if s.Ends != "" {
					known = "…" + s.Ends
				}
				rows = append(rows, []string{s.Name, s.Kind, s.Origin, s.Username, known, when(&s.SetAt), s.SetBy})
			}
			a.table(rows)
			return nil
		}),
	}
}

func (a *app) newSecretRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove PROJECT NAME", Short: "Remove a secret", Args: cobra.ExactArgs(2), Example: "  reqpm project secret remove app git",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.DeleteSecret(ctx, args[0], args[1]); err != nil {
				return err
			}
			if a.global.json {
				return a.printJSON(map[string]any{"removed": args[1]})
			}
			a.say("removed %s of %s", args[1], args[0])
			return nil
		}),
	}
}
