package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"reqpm/internal/diagnose"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

type diagnoseOptions struct {
	pkg, python string
	all         bool
}

func (a *app) newDiagnoseCommand() *cobra.Command {
	var o diagnoseOptions
	cmd := &cobra.Command{
		Use:   "diagnose LOG…",
		Short: "Say what is wrong in the log of a failed build, and what could be changed",
		Long: `Read logs of failed builds, from ReqPM, rpmbuild, mock or Koji, and say what went wrong: the lines that show
it, and what could be changed, the likeliest first. "-" is standard input. Nothing is changed, and nobody is asked.

` + exitCodesHelp,
		Example: `  reqpm diagnose build.log
  reqpm diagnose root.log build.log --package lxml==6.0.2 --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("%s takes the paths of logs, or - for standard input", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.runDiagnose(cmd.InOrStdin(), o, args) },
	}
	f := cmd.Flags()
	f.StringVar(&o.pkg, "package", "", "the package that was built, NAME or NAME==VERSION")
	f.StringVar(&o.python, "python", "", "the Python it was built for, X.Y")
	f.BoolVar(&o.all, "all", false, "show everything found, not the likeliest three")
	return cmd
}

// diagnosisJSON is what is said about one log.
type diagnosisJSON struct {
	Log      string             `json:"log"`
	Findings []diagnose.Finding `json:"findings"`
}

func (o diagnoseOptions) facts() (diagnose.Facts, error) {
	f := diagnose.Facts{Python: o.python}
	if o.python != "" {
		if _, err := pep440.Parse(o.python); err != nil {
			return f, usagef("--python %q: X.Y, such as 3.12", o.python)
		}
	}
	if o.pkg != "" {
		r, err := pep508.Parse(o.pkg)
		if err != nil {
			return f, usagef("--package: %w", err)
		}
		f.Name = r.Key()
		for _, c := range r.Specifiers.Clauses() {
			if v, err := pep440.Parse(c.Version); c.Op == "==" && err == nil {
				f.Version = v.String()
			}
		}
	}
	return f, nil
}

func (a *app) runDiagnose(stdin io.Reader, o diagnoseOptions, paths []string) error {
	facts, err := o.facts()
	if err != nil {
		return err
	}
	var list []diagnosisJSON
	for _, path := range paths {
		found, err := diagnoseFile(stdin, path, facts)
		if err != nil {
			return err
		}
		list = append(list, diagnosisJSON{path, found})
	}
	if a.global.json {
		return a.printJSON(map[string]any{"logs": list})
	}
	for _, d := range list {
		if len(list) > 1 {
			fmt.Fprintf(a.stdout, "%s\n", d.Log)
		}
		for i, x := range d.Findings {
			if i == 3 && !o.all {
				fmt.Fprintf(a.stdout, "%d more with --all\n", len(d.Findings)-i)
				break
			}
			printFinding(a.stdout, x)
		}
	}
	return nil
}

func diagnoseFile(stdin io.Reader, path string, facts diagnose.Facts) ([]diagnose.Finding, error) {
	if path == "-" {
		return diagnose.Read(stdin, facts)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, usageError{fmt.Errorf("the log: %w", err)}
	}
	defer f.Close()
	return diagnose.Read(f, facts)
}

// printFinding is one finding for people.
func printFinding(w io.Writer, x diagnose.Finding) {
	fmt.Fprintf(w, "%s: %s\n", x.Cause, x.Title)
	for _, l := range x.Evidence {
		fmt.Fprintf(w, "  %6d | %s\n", l.Number, l.Text)
	}
	for i, c := range x.Changes {
		tried := ""
		switch {
		case i > 0 || !x.Safe:
		case c.Do == diagnose.AddNative:
			tried = " (reqpm build tries this by itself where the target has a package of it)"
		default:
			tried = " (reqpm build tries this by itself)"
		}
		fmt.Fprintf(w, "  change: %s%s\n", c, tried)
	}
	for _, text := range x.Advice {
		fmt.Fprintf(w, "  or: %s\n", text)
	}
}
