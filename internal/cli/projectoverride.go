package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/api"
	"reqpm/internal/client"
	"reqpm/internal/pep508"
	"reqpm/internal/service"
	"reqpm/internal/textdiff"
)

func (a *app) newProjectOverrideCommand() *cobra.Command {
	return a.group("override", "List, show and change what a project's settings say of single packages",
		`What a project on a server says of packages beside the files in its repository, and before them: versions, build and run-time requirements,
and all else that overrides/NAME.toml may have. It counts from the next run on.`,
		"  reqpm project override list app\n  reqpm project override set app lxml --version '>=5,<6' --dry-run\n  reqpm project override unset app lxml",
		a.newOverrideListCommand(), a.newOverrideShowCommand(), a.newOverrideSetCommand(), a.newOverrideUnsetCommand())
}

// saidEntry is one thing that an override says; Target is "" for all of them.
type saidEntry struct {
	Target string `json:"target,omitempty"`
	Key    string `json:"key"`
	Text   string `json:"text"`
}

// saidEntries are what a text says. One that this program cannot read, because the server's is newer, has none.
func saidEntries(o api.Override) []saidEntry {
	set, err := service.ReadOverrides(map[string]string{o.Package: o.Text})
	entries := []saidEntry{}
	if err != nil {
		return entries
	}
	for _, l := range set.Layers() {
		for _, e := range l.Entries() {
			entries = append(entries, saidEntry{l.Target, e.Key, e.Text})
		}
	}
	return entries
}

func (e saidEntry) String() string {
	if e.Target != "" {
		return "[" + e.Target + "] " + e.Key + " = " + e.Text
	}
	return e.Key + " = " + e.Text
}

// shownOverride is an override with what it says, taken apart.
type shownOverride struct {
	api.Override
	Says []saidEntry `json:"says"`
}

func (a *app) newOverrideListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list PROJECT", Short: "List what a project's settings say of packages", Args: cobra.ExactArgs(1), Example: "  reqpm project override list app\n  reqpm project override list app --json",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			all, err := c.Overrides(ctx, args[0])
			if err != nil {
				return err
			}
			list, rows := []shownOverride{}, [][]string{{"PACKAGE", "SAYS"}}
			for _, o := range all {
				shown := shownOverride{o, saidEntries(o)}
				list = append(list, shown)
				texts := []string{}
				for _, e := range shown.Says {
					texts = append(texts, e.String())
				}
				if len(texts) == 0 {
					texts = []string{firstLine(o.Text)}
				}
				rows = append(rows, []string{o.Package, strings.Join(texts, "; ")})
			}
			switch {
			case a.global.json:
				return a.printJSON(map[string]any{"overrides": list})
			case len(list) == 0:
				a.say("the settings of %s say nothing of packages; 'reqpm project override set' has them do so", args[0])
			default:
				a.table(rows)
			}
			return nil
		}),
	}
}

func (a *app) newOverrideShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show PROJECT PACKAGE", Short: "Print what a project's settings say of a package, as overrides/NAME.toml", Args: cobra.ExactArgs(2),
		Example:           "  reqpm project override show app lxml\n  reqpm project override show app lxml >lxml.toml",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			o, _, err := c.Override(ctx, args[0], pep508.NormalizeName(args[1]))
			if err != nil {
				return err
			}
			if o.Text == "" {
				return usagef("the settings of %s say nothing of %s", args[0], o.Package)
			}
			if a.global.json {
				return a.printJSON(shownOverride{o, saidEntries(o)})
			}
			_, err = io.WriteString(a.stdout, plainText(strings.TrimRight(o.Text, "\n")+"\n"))
			return err
		}),
	}
}

// overrideOptions are the fields that an override can be given by flags.
type overrideOptions struct {
	fields service.OverrideFields
	extras []string
	file   string
	dryRun bool
	run    bool
	watch  watchOptions
}

// overrideKeys are the keys that have flags; those of lists and texts are taken as they are in overrides/NAME.toml.
var overrideKeys = []string{"version", "build-requires", "drop-build-requires", "requires", "drop-requires", "extra", "wheel", "allow-pure", "memory"}

func (o *overrideOptions) register(cmd *cobra.Command, done string) {
	f := cmd.Flags()
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would change, in the text and in the plan, and change nothing")
	f.BoolVar(&o.run, "run", false, "start a run "+done+"; --wait and --follow do so, too")
	o.watch.register(cmd)
}

func (o *overrideOptions) check() error {
	if o.dryRun && (o.run || o.watch.any()) {
		return usagef("--dry-run changes nothing, and starts no run: give neither --run nor --wait nor --follow with it")
	}
	return nil
}

func (a *app) newOverrideSetCommand() *cobra.Command {
	var o overrideOptions
	cmd := &cobra.Command{
		Use: "set PROJECT PACKAGE", Short: "Say something of a package, by flags or from a file", Args: cobra.ExactArgs(2),
		Long: `Have a project's settings say something of a package, for all its targets. A flag takes the place of what its key said, and what other keys say
stays. --file takes the place of all of it: what there are no flags for (environment, config settings, checks, single targets) is said so.
--dry-run has the server make the plan as it is and with it, which takes as long as resolving the project does.

` + exitCodesHelp,
		Example: `  reqpm project override set app lxml --version '>=5,<6' --dry-run
  reqpm project override set app lxml --build-requires 'cython<3.1' --build-requires rpm:libxml2-devel --follow
  reqpm project override set app celery --extra redis
  reqpm project override set app lxml --file lxml.toml`,
		ValidArgsFunction: a.completing(completeProject),
	}
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, args []string) error {
		var given []string
		for _, key := range overrideKeys {
			if cmd.Flags().Changed(key) {
				given = append(given, key)
			}
		}
		return a.setOverride(ctx, c, args[0], pep508.NormalizeName(args[1]), given, o)
	})
	f := cmd.Flags()
	f.StringVar(&o.fields.Version, "version", "", "specifiers that every choice of a version keeps to; '' takes them away")
	f.StringArrayVar(&o.fields.BuildRequires, "build-requires", nil, "what the build needs more: 'cython<3.1', rpm:libxml2-devel; repeatable")
	f.StringArrayVar(&o.fields.DropBuildRequires, "drop-build-requires", nil, "name of what the build must not ask for; repeatable")
	f.StringArrayVar(&o.fields.Requires, "requires", nil, "what the package needs more to run; repeatable")
	f.StringArrayVar(&o.fields.DropRequires, "drop-requires", nil, "name of what it does not need to run; repeatable")
	f.StringSliceVar(&o.extras, "extra", nil, "extra of the package that the project needs, too; repeatable, or with commas")
	f.BoolVar(&o.fields.Wheel, "wheel", false, "it may be packaged from its wheel; --wheel=false takes that back")
	f.BoolVar(&o.fields.AllowPure, "allow-pure", false, "it may come out without its compiled parts; --allow-pure=false takes that back")
	f.StringVar(&o.fields.Memory, "memory", "", "bound of the memory of its build: 4GiB; '' takes it away")
	f.StringVar(&o.file, "file", "", "file that says all of it, as overrides/NAME.toml; - is standard input")
	o.register(cmd, "with it")
	return cmd
}

func (a *app) setOverride(ctx context.Context, c *client.Client, project, name string, given []string, o overrideOptions) error {
	switch err := o.check(); {
	case err != nil:
		return err
	case o.file == "" && len(given) == 0:
		return usagef("say something of %s: --version, --build-requires and the like, or --file", name)
	case o.file != "" && len(given) > 0:
		return usagef("--file says all of it: give no --%s with it", given[0])
	}
	now, tag, err := c.Override(ctx, project, name)
	if err != nil {
		return err
	}
	var text string
	if o.file != "" {
		text, err = readText(a.stdin, o.file, "override", mostOverride)
	} else {
		text, err = editOverride(now, given, o)
	}
	if err != nil {
		return err
	}
	return a.changeOverride(ctx, c, project, now, tag, text, o)
}

// mostOverride is the most that a server takes of an override, in bytes.
const mostOverride = 64 << 10

// editOverride is what is said of a package with the keys that were given as the options have them.
func editOverride(now api.Override, given []string, o overrideOptions) (string, error) {
	f, err := service.OverrideFieldsOf(now.Package, now.Text)
	if err != nil {
		return "", usageError{fmt.Errorf("what is said of %s now cannot be changed by flags, take --file: %w", now.Package, err)}
	}
	for _, key := range given {
		switch key {
		case "version":
			f.Version = o.fields.Version
		case "build-requires":
			f.BuildRequires = withoutEmpty(o.fields.BuildRequires)
		case "drop-build-requires":
			f.DropBuildRequires = withoutEmpty(o.fields.DropBuildRequires)
		case "requires":
			f.Requires = withoutEmpty(o.fields.Requires)
		case "drop-requires":
			f.DropRequires = withoutEmpty(o.fields.DropRequires)
		case "extra":
			f.Extras = withoutEmpty(o.extras)
		case "wheel":
			f.Wheel = o.fields.Wheel
		case "allow-pure":
			f.AllowPure = o.fields.AllowPure
		case "memory":
			f.Memory = o.fields.Memory
		}
	}
	text, err := service.EditOverride(now.Package, now.Text, f)
	if err != nil {
		return "", usageError{err}
	}
	return text, nil
}

func withoutEmpty(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return strings.TrimSpace(s) == "" })
}

func (a *app) newOverrideUnsetCommand() *cobra.Command {
	var o overrideOptions
	cmd := &cobra.Command{
		Use: "unset PROJECT PACKAGE [KEY…]", Short: "Say nothing of a package any more, or nothing of some keys", Args: cobra.MinimumNArgs(2),
		Long: `Have a project's settings say nothing of a package any more; with KEY nothing of these keys, for all targets: ` + strings.Join(overrideKeys, ", ") + `.
What the files of the project say stays.

` + exitCodesHelp,
		Example:           "  reqpm project override unset app lxml --dry-run\n  reqpm project override unset app lxml version build-requires",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.unsetOverride(ctx, c, args[0], pep508.NormalizeName(args[1]), args[2:], o)
		}),
	}
	o.register(cmd, "without it")
	return cmd
}

func (a *app) unsetOverride(ctx context.Context, c *client.Client, project, name string, keys []string, o overrideOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	for _, key := range keys {
		if !slices.Contains(overrideKeys, key) {
			return usagef("%q is none of %s; all else is changed with 'project override set --file'", key, strings.Join(overrideKeys, ", "))
		}
	}
	now, tag, err := c.Override(ctx, project, name)
	if err != nil {
		return err
	}
	if now.Text == "" {
		return usagef("the settings of %s say nothing of %s", project, name)
	}
	text := ""
	if len(keys) > 0 {
		if text, err = editOverride(now, keys, overrideOptions{}); err != nil {
			return err
		}
	}
	return a.changeOverride(ctx, c, project, now, tag, text, o)
}

// changedOverride is the answer of set and unset: api.SaidOverride and what came or would come of it.
type changedOverride struct {
	api.SaidOverride
	DryRun  bool                 `json:"dry_run"`
	Run     *client.RunDetail    `json:"run,omitempty"`
	Now     *api.Plan            `json:"now,omitempty"`  // of a dry run: the plan as it is
	Plan    *api.Plan            `json:"plan,omitempty"` // and with it
	Changes []service.PlanChange `json:"changes,omitempty"`
}

// changeOverride makes text what a project says of a package, which is now as the ETag says, or shows what that would change.
func (a *app) changeOverride(ctx context.Context, c *client.Client, project string, now api.Override, tag, text string, o overrideOptions) error {
	if strings.TrimSpace(text) == "" {
		text = ""
	}
	answer := changedOverride{SaidOverride: api.SaidOverride{Package: now.Package, Text: text, Was: now.Text}, DryRun: o.dryRun}
	var err error
	switch {
	case text != "":
		answer.SaidOverride, err = c.SetOverride(ctx, project, now.Package, text, tag, o.dryRun)
	case now.Text == "":
		return usagef("nothing would be said of %s, and nothing is", now.Package)
	case !o.dryRun:
		err = c.DeleteOverride(ctx, project, now.Package, tag)
	}
	if err != nil {
		return err
	}
	if o.dryRun {
		return a.previewOverride(ctx, c, project, answer)
	}
	if o.run || o.watch.any() {
		run, err := c.StartRun(ctx, project, client.NewRun{})
		if err != nil {
			return err
		}
		if o.watch.any() {
			return a.watchRun(ctx, c, run.ID, o.watch, anyStep)
		}
		answer.Run = &run
	}
	switch {
	case a.global.json:
		return a.printJSON(answer)
	case text == "":
		a.say("the settings of %s say nothing of %s any more", project, now.Package)
	default:
		a.say("of %s the settings of %s say from now on:\n%s", now.Package, project, indented(plainText(answer.Text)))
	}
	if answer.Run == nil {
		a.say("'reqpm run start %s' goes by it", project)
	} else {
		a.say("the run %s/%d has begun: 'reqpm run follow %s/%d' shows it", project, answer.Run.Number, project, answer.Run.Number)
	}
	return nil
}

// previewOverride shows what a text would change: in what is said, and in the plan.
func (a *app) previewOverride(ctx context.Context, c *client.Client, project string, answer changedOverride) error {
	if !a.global.json {
		_, _ = io.WriteString(a.stdout, plainText(textdiff.Unified(textdiff.Lines(textdiff.Split(answer.Was), textdiff.Split(answer.Text), 3))))
	}
	var plans [2]api.Plan
	for i, overrides := range []map[string]string{nil, {answer.Package: answer.Text}} { // the server makes one at a time
		p, err := c.PreviewProjectPlan(ctx, project, overrides)
		if err == nil {
			p, err = a.awaitPlan(ctx, c, p)
		}
		if err != nil {
			return err
		}
		plans[i] = p
	}
	answer.Now, answer.Plan, answer.Changes = &plans[0], &plans[1], service.PlanChanges(plans[0].Targets, plans[1].Targets)
	end := planEnd(ctx, plans[1])
	if a.global.json {
		if err := a.printJSON(answer); err != nil || end == nil {
			return err
		}
		return silent{end}
	}
	a.showPlanChanges(plans[0], plans[1], answer.Changes)
	a.say("nothing was changed")
	return end
}
