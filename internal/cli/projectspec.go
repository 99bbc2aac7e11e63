package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/api"
	"reqpm/internal/client"
)

func (a *app) newProjectSpecCommand() *cobra.Command {
	return a.group("spec", "List, show, compare and change the spec files that a project's builds take",
		`Spec files of a project on a server. ReqPM writes one for each package and target and keeps a revision whenever its text is another one. A spec file
of your own is saved as a revision, too, for one version of a package on one target; builds take it from the next run on, until you drop it.
PACKAGE is NAME, or NAME==VERSION where the project has several.`,
		"  reqpm project spec list app lxml\n  reqpm project spec show app lxml >lxml.spec\n  reqpm project spec save app lxml lxml.spec -m \"Build against the newer library\"",
		a.newSpecListCommand(), a.newSpecShowCommand(), a.newSpecDiffCommand(), a.newSpecCheckCommand(), a.newSpecSaveCommand(), a.newSpecRestoreCommand(), a.newSpecDropCommand())
}

// specOptions say which spec file is meant, and what a change of it says.
type specOptions struct {
	target         string
	revision, with int64
	file           string
	message        string
	base           int64 // -1: whatever there is
	dryRun         bool
}

func (o *specOptions) registerTarget(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&o.target, "target", "t", "", "release it is for; needed where the project builds the package for several")
}

func (o *specOptions) registerRevision(cmd *cobra.Command) {
	cmd.Flags().Int64Var(&o.revision, "revision", 0, "its id, as 'project spec list' shows it; default: the one that builds take")
}

func (o *specOptions) registerChange(cmd *cobra.Command, message string) {
	cmd.Flags().StringVarP(&o.message, "message", "m", "", message)
	cmd.Flags().Int64Var(&o.base, "base", -1, "newest revision that you have seen: refused when somebody saved another one since (default: whatever there is)")
}

func (o *specOptions) change() api.SpecChange {
	c := api.SpecChange{Message: o.message}
	if o.base >= 0 {
		c.Base = &o.base
	}
	return c
}

// findSpec is the revision that builds of a package take, as the options narrow it down.
func findSpec(ctx context.Context, c *client.Client, project, pkg string, o specOptions) (api.SpecRevision, error) {
	all, err := client.Collect(c.Specs(ctx, project, client.SpecFilter{Target: o.target, Package: pkg}), 0)
	if err != nil {
		return api.SpecRevision{}, err
	}
	var used []api.SpecRevision
	var targets, packages []string
	for _, r := range all {
		if r.InUse {
			used = append(used, r)
			targets, packages = append(targets, r.Target), append(packages, r.Package)
		}
	}
	targets, packages = slices.Compact(slices.Sorted(slices.Values(targets))), slices.Compact(slices.Sorted(slices.Values(packages)))
	switch {
	case len(used) == 0:
		return api.SpecRevision{}, usagef("no run of %s has written a spec of %s: 'reqpm project spec list %s' shows what there is", project, pkg, project)
	case len(targets) > 1:
		return api.SpecRevision{}, usagef("%s has one for each of %s: name it with --target", pkg, strings.Join(targets, ", "))
	case len(packages) > 1:
		return api.SpecRevision{}, usagef("there are %s: name one of them", strings.Join(packages, ", "))
	}
	return used[0], nil
}

// whichSpec is the revision that --revision names, or findSpec's.
func whichSpec(ctx context.Context, c *client.Client, project, pkg string, o specOptions) (int64, error) {
	if o.revision > 0 {
		return o.revision, nil
	}
	r, err := findSpec(ctx, c, project, pkg, o)
	return r.ID, err
}

func (a *app) newSpecListCommand() *cobra.Command {
	var o specOptions
	cmd := &cobra.Command{
		Use: "list PROJECT [PACKAGE]", Short: "List the revisions of spec files, the newest first", Args: cobra.RangeArgs(1, 2),
		Example:           "  reqpm project spec list app\n  reqpm project spec list app lxml --target el9 --json",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			f := client.SpecFilter{Target: o.target}
			if len(args) > 1 {
				f.Package = args[1]
			}
			all, err := client.Collect(c.Specs(ctx, args[0], f), 0)
			if err != nil {
				return err
			}
			if a.global.json {
				return a.printJSON(map[string]any{"specs": all})
			}
			if len(all) == 0 {
				a.say("no run of %s has written a spec of that", args[0])
				return nil
			}
			rows := [][]string{{"REVISION", "PACKAGE", "TARGET", "KIND", "IN USE", "SAVED", "BY", "MESSAGE"}}
			for _, r := range all {
				used := ""
				if r.InUse {
					used = "yes"
				}
				rows = append(rows, []string{fmt.Sprint(r.ID), r.Package, r.Target, r.Kind, used, when(&r.At), r.Author, r.Message})
			}
			a.table(rows)
			return nil
		}),
	}
	o.registerTarget(cmd)
	return cmd
}

func (a *app) newSpecShowCommand() *cobra.Command {
	var o specOptions
	cmd := &cobra.Command{
		Use: "show PROJECT PACKAGE", Short: "Print the spec file that builds take, or another revision", Args: cobra.ExactArgs(2),
		Long: `Print a spec file to standard output. Which revision it is goes to standard error: give it as --base when you save what you made of it.

` + exitCodesHelp,
		Example:           "  reqpm project spec show app lxml --target el9 >lxml.spec\n  reqpm project spec show app lxml --revision 17",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			id, err := whichSpec(ctx, c, args[0], args[1], o)
			if err != nil {
				return err
			}
			s, err := c.Spec(ctx, args[0], id)
			if err != nil {
				return err
			}
			if a.global.json {
				return a.printJSON(s)
			}
			a.say("revision %d of %s on %s, %s, by %s: %s", s.ID, s.Package, s.Target, s.Kind, s.Author, s.Message)
			if s.Older {
				a.say("ReqPM has written another one since: 'reqpm project spec diff %s %s -t %s' compares", args[0], s.Package, s.Target)
			}
			_, err = io.WriteString(a.stdout, plainText(s.Text))
			return err
		}),
	}
	o.registerTarget(cmd)
	o.registerRevision(cmd)
	return cmd
}

func (a *app) newSpecDiffCommand() *cobra.Command {
	var o specOptions
	cmd := &cobra.Command{
		Use: "diff PROJECT PACKAGE", Short: "Compare a spec file with what ReqPM wrote last, or with another revision", Args: cobra.ExactArgs(2),
		Long: `Print what a spec file has otherwise, as diff -u does: than what ReqPM wrote last of the package, or than --with REVISION. With --file it is a
file here, before it is saved.

` + exitCodesHelp,
		Example:           "  reqpm project spec diff app lxml\n  reqpm project spec diff app lxml --revision 17 --with 12\n  reqpm project spec diff app lxml --file lxml.spec",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			d, err := a.diffSpec(ctx, c, args[0], args[1], o)
			if err != nil {
				return err
			}
			if a.global.json {
				return a.printJSON(d)
			}
			switch {
			case d.Old == nil && o.with == 0:
				a.say("what ReqPM wrote is not known any more: all is new")
			case d.Diff == "":
				a.say("they are the same, line by line")
			}
			_, err = io.WriteString(a.stdout, plainText(d.Diff))
			return err
		}),
	}
	o.registerTarget(cmd)
	o.registerRevision(cmd)
	cmd.Flags().Int64Var(&o.with, "with", 0, "revision to compare with (default: what ReqPM wrote last)")
	cmd.Flags().StringVar(&o.file, "file", "", "spec file to compare in place of a revision; - is standard input")
	return cmd
}

func (a *app) diffSpec(ctx context.Context, c *client.Client, project, pkg string, o specOptions) (api.SpecDiff, error) {
	if o.file == "" {
		id, err := whichSpec(ctx, c, project, pkg, o)
		if err != nil {
			return api.SpecDiff{}, err
		}
		return c.CompareSpec(ctx, project, id, o.with)
	}
	if o.with != 0 || o.revision != 0 {
		return api.SpecDiff{}, usagef("--file is compared with what ReqPM wrote last: give neither --revision nor --with")
	}
	o.base = -1 // nothing is saved
	s, err := a.newSpec(ctx, c, project, pkg, o.file, o)
	if err != nil {
		return api.SpecDiff{}, err
	}
	saved, err := c.SaveSpec(ctx, project, s, true)
	return saved.Changes, err
}

// newSpec is a file as a spec of a package.
func (a *app) newSpec(ctx context.Context, c *client.Client, project, pkg, file string, o specOptions) (client.NewSpec, error) {
	s := client.NewSpec{SpecChange: o.change()}
	text, err := readText(a.stdin, file, "spec file", mostSpec)
	if err != nil {
		return s, err
	}
	used, err := findSpec(ctx, c, project, pkg, o)
	s.Text, s.SpecPlace = text, api.SpecPlace{Target: used.Target, Package: used.Package}
	return s, err
}

// mostSpec is the most that a server takes of a spec file, in bytes.
const mostSpec = 256 << 10

// readText reads a file of at most so many bytes; - is stdin. what names it in an error.
func readText(stdin io.Reader, file, what string, most int64) (string, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", usageError{err}
		}
		defer f.Close()
		stdin = f
	}
	text, err := io.ReadAll(io.LimitReader(stdin, most+1))
	if err != nil {
		return "", usageError{fmt.Errorf("read the %s %s: %w", what, file, err)}
	}
	if int64(len(text)) > most {
		return "", usageError{fmt.Errorf("%s: a %s has at most %d KiB", file, what, most>>10)}
	}
	return string(text), nil
}

func (a *app) newSpecSaveCommand() *cobra.Command {
	var o specOptions
	cmd := &cobra.Command{
		Use: "save PROJECT PACKAGE FILE", Short: "Save a spec file of your own; the next run builds with it", Args: cobra.ExactArgs(3),
		Long: `Save FILE as a new revision of the package's spec file; - is standard input. It is for this version on this target, and builds take it from the next
run on. --dry-run has the server look at it, says what it changes against what ReqPM wrote last, and saves nothing.

` + exitCodesHelp,
		Example:           "  reqpm project spec save app lxml lxml.spec -m \"Build against the newer library\"\n  reqpm project spec save app lxml lxml.spec -m \"Newer library\" --base 17\n  reqpm project spec save app lxml lxml.spec --dry-run",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			if o.message == "" && !o.dryRun {
				return usagef("say with -m what the change is for")
			}
			s, err := a.newSpec(ctx, c, args[0], args[1], args[2], o)
			if err != nil {
				return err
			}
			saved, err := c.SaveSpec(ctx, args[0], s, o.dryRun)
			if err != nil {
				return err
			}
			if a.global.json {
				return a.printJSON(saved)
			}
			changes := fmt.Sprintf("%d lines more and %d less than what ReqPM wrote last", saved.Changes.Added, saved.Changes.Removed)
			if saved.Revision == nil {
				a.say("it would be saved for %s on %s: %s", s.Package, s.Target, changes)
				return nil
			}
			a.say("saved as revision %d of %s on %s, %s; 'reqpm run start %s' builds with it", saved.Revision.ID, s.Package, s.Target, changes, args[0])
			return nil
		}),
	}
	o.registerTarget(cmd)
	o.registerChange(cmd, "what the change is for")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what it changes, and save nothing")
	return cmd
}

func (a *app) newSpecRestoreCommand() *cobra.Command {
	var o specOptions
	cmd := &cobra.Command{
		Use: "restore PROJECT REVISION", Short: "Save the text of an earlier revision again, as a new one", Args: cobra.ExactArgs(2),
		Example:           "  reqpm project spec restore app 12\n  reqpm project spec restore app 12 -m \"The newer library is not there yet\"",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			id := whole(args[1])
			if id == 0 {
				return usagef("%q is no revision: 'reqpm project spec list %s' shows them", args[1], args[0])
			}
			r, err := c.RestoreSpec(ctx, args[0], id, o.change())
			if err != nil {
				return err
			}
			if a.global.json {
				return a.printJSON(r)
			}
			a.say("restored as revision %d of %s on %s; 'reqpm run start %s' builds with it", r.ID, r.Package, r.Target, args[0])
			return nil
		}),
	}
	o.registerChange(cmd, "what it is restored for (default: the message of the revision)")
	return cmd
}

func (a *app) newSpecDropCommand() *cobra.Command {
	var o specOptions
	cmd := &cobra.Command{
		Use: "drop PROJECT PACKAGE", Short: "Have builds take what ReqPM writes again", Args: cobra.ExactArgs(2),
		Long: `Have builds take what ReqPM writes again, from the next run on. Your own spec file stays among the revisions.

` + exitCodesHelp,
		Example:           "  reqpm project spec drop app lxml\n  reqpm project spec drop app lxml==5.4.0 -t el9 -m \"Mended upstream\"",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			used, err := findSpec(ctx, c, args[0], args[1], o)
			if err != nil {
				return err
			}
			r, err := c.DropSpec(ctx, args[0], api.SpecPlace{Target: used.Target, Package: used.Package}, o.change())
			if err != nil {
				return err
			}
			if a.global.json {
				return a.printJSON(r)
			}
			a.say("builds of %s on %s take what ReqPM writes again, from the next run on", r.Package, r.Target)
			return nil
		}),
	}
	o.registerTarget(cmd)
	o.registerChange(cmd, "why")
	return cmd
}

// errCheck: the findings were printed and say what is wrong.
var errCheck = errors.New("the spec file would not build")

func (a *app) newSpecCheckCommand() *cobra.Command {
	var o specOptions
	var build bool
	cmd := &cobra.Command{
		Use: "check PROJECT PACKAGE FILE", Short: "Have a worker look at a spec file in the build root, before it is saved", Args: cobra.ExactArgs(3),
		Long: `Have a worker look at FILE (- is standard input) in the build root of its target: whether rpm reads it with the target's macros, whether dnf finds
what it needs to be built, and what rpmlint says, where the target has it. With --build it is built once, too; nothing of that is kept or published. What the worker
does goes to standard error as it happens, the findings to standard output. Ctrl-C cancels the check. Status 1: something failed.

` + exitCodesHelp,
		Example:           "  reqpm project spec check app lxml lxml.spec\n  reqpm project spec check app lxml lxml.spec --build -t el9 --json",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			s, err := a.newSpec(ctx, c, args[0], args[1], args[2], o)
			if err != nil {
				return err
			}
			check, err := c.CheckSpec(ctx, args[0], s, build)
			if err != nil {
				return err
			}
			return a.watchCheck(ctx, c, args[0], check)
		}),
	}
	o.registerTarget(cmd)
	cmd.Flags().BoolVar(&build, "build", false, "build it once, too; nothing of it is kept")
	return cmd
}

// watchCheck follows a check to its end and says what it found.
func (a *app) watchCheck(ctx context.Context, c *client.Client, project string, check api.SpecCheck) error {
	clean := &cleanWriter{w: a.stderr}
	err := a.followLogs(ctx, c, stepRef{id: check.ID, name: "the check of " + check.Package, state: check.State}, logsOptions{}, clean)
	err = errors.Join(err, clean.flush())
	if ctx.Err() != nil { // it is nobody else's
		if _, cancelErr := c.CancelSpecCheck(context.WithoutCancel(ctx), project, check.ID); cancelErr != nil {
			a.say("the check %d goes on: %v", check.ID, cancelErr)
		}
	}
	if err != nil {
		return err
	}
	if check, err = c.SpecCheck(ctx, project, check.ID); err != nil {
		return err
	}
	switch {
	case a.global.json:
		err = a.printJSON(check)
	case check.OK == nil:
		a.say("it could not be looked at: %s %s", check.State, check.Cause)
	default:
		rows := [][]string{{"WHAT", "STATE", "SAID"}}
		for _, f := range check.Findings {
			rows = append(rows, []string{f.What, f.State, firstLine(f.Text)})
		}
		a.table(rows)
		for _, f := range check.Findings {
			if strings.Contains(f.Text, "\n") {
				a.say("\n%s:\n%s", f.What, f.Text)
			}
		}
	}
	if err == nil && (check.OK == nil || !*check.OK) {
		return errCheck
	}
	return err
}
