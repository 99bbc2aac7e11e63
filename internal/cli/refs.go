package cli

import (
	"github.com/spf13/cobra"

	"reqpm/internal/source"
)

func (a *app) newRefsCommand() *cobra.Command {
	var o projectOptions
	cmd := &cobra.Command{
		Use: "refs URL", Short: "List the branches and tags of a repository", Args: cobra.ExactArgs(1),
		Example: "  reqpm refs https://git.example.org/team/app.git",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			state, err := a.stateDir()
			if err != nil {
				return err
			}
			refs, err := source.Refs(cmd.Context(), o.request(args[0], state).Source)
			if err != nil {
				return err
			}
			if a.global.json {
				return a.printJSON(map[string]any{"refs": refs})
			}
			rows := [][]string{{"KIND", "NAME", "COMMIT"}}
			for _, r := range refs {
				rows = append(rows, []string{r.Kind, r.Name, r.Commit[:min(12, len(r.Commit))]})
			}
			a.table(rows)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.tokenFile, "token-file", "", "file with the access token of a private repository")
	f.StringVar(&o.user, "git-user", "", "user name that goes with the token")
	f.StringVar(&o.sshKey, "ssh-key", "", "private key for an ssh repository")
	f.StringSliceVar(&o.allowSource, "allow-source", nil, "also take sources from: local (file:///…), loopback (loopback and private addresses), http")
	return cmd
}
