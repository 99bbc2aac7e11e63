package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"reqpm/internal/pep508"
)

func (a *app) newSpecCommand() *cobra.Command {
	var o projectOptions
	var out string
	cmd := &cobra.Command{
		Use:   "spec NAME[==VERSION]",
		Short: "Write the spec of one package, with its patches and sources",
		Long: `Choose a version of one package, read its source distribution, and write the spec file that ReqPM
would build it with, beside everything the spec needs.

` + exitCodesHelp,
		Example: `  reqpm spec markupsafe -o ./markupsafe
  reqpm spec 'django==5.2.*' --target el9 -o ./django`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("%s takes one requirement, NAME or NAME==VERSION", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.runSpec(cmd.Context(), o, args[0], out) },
	}
	f := cmd.Flags()
	o.registerTargets(cmd)
	f.StringVarP(&out, "output", "o", ".", "folder to write to; made when absent")
	f.StringArrayVar(&o.allowWheel, "allow-wheel", nil, "package NAME from its wheel when there is no source distribution; repeatable")
	o.registerIndex(cmd)
	return cmd
}

func (a *app) runSpec(ctx context.Context, o projectOptions, text, out string) error {
	req, err := pep508.Parse(text)
	if err != nil {
		return usageError{err}
	}
	progress := a.newProgress()
	defer progress.Close()
	p, err := a.openPipeline(ctx, o, progress.quiet(a.global.json))
	if err != nil {
		return err
	}
	defer p.Close()
	path, err := p.WriteSpec(ctx, req, out)
	progress.Close()
	if err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(map[string]string{"spec": path})
	}
	_, err = fmt.Fprintln(a.stdout, path)
	return err
}
