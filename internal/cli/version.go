package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func (a *app) newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.global.json {
				return a.printJSON(map[string]string{"version": a.version, "go": runtime.Version()})
			}
			_, err := fmt.Fprintf(a.stdout, "reqpm %s (%s)\n", a.version, runtime.Version())
			return err
		},
	}
}
