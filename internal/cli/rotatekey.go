package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"reqpm/internal/auth"
)

func (a *app) newRotateKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-key",
		Short: "Add a key to secrets.key, which seals the secrets from the next start on",
		Long: `Add a key to secrets.key in the state directory. From their next start on processes seal secrets with it, and the server seals anew
what the older keys have sealed: tokens and keys of projects, secrets of push hooks, passwords of channels. The older keys stay in
the file, so that nothing is lost meanwhile. Copy the file to the machines that have a copy, then start all processes again.

` + exitCodesHelp,
		Example: "  reqpm rotate-key --state /var/lib/reqpm",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			state, err := a.stateDir()
			if err != nil {
				return err
			}
			if err := auth.RotateKey(state); err != nil {
				return err
			}
			file := filepath.Join(state, auth.KeyFile)
			if a.global.json {
				return a.printJSON(map[string]string{"file": file})
			}
			a.say("%s has a new key; start the server again, which seals all secrets with it", file)
			return nil
		},
	}
}
