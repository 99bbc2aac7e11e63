package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"reqpm/internal/target"
)

func (a *app) newTargetsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "targets", Short: "List the releases that can be built for", Args: cobra.NoArgs,
		Example: "  reqpm targets\n  reqpm targets --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			own, err := a.ownTargets()
			if err != nil {
				return err
			}
			list := append(target.All(), own...)
			if local, err := target.Local(cmd.Context()); err == nil {
				list = append([]target.Target{local}, list...)
			} else {
				a.say("local: %v", err)
			}
			if a.global.json {
				return a.printJSON(map[string]any{"targets": list})
			}
			rows := [][]string{{"TARGET", "ARCH", "PYTHON", "RPM", "DIST", "BASE"}}
			for _, t := range list {
				base := "this machine's own root"
				if t.Kind == target.DNF {
					base = fmt.Sprintf("%d repositories", len(t.Repos))
				}
				rows = append(rows, []string{t.Name, t.Arch, t.Python.Version, t.RPM.Version, t.Dist, base})
			}
			a.table(rows)
			return nil
		},
	}
}
