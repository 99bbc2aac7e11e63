package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"

	"reqpm/internal/pipeline"
	"reqpm/internal/repo"
)

type buildOptions struct {
	projectOptions
	name, channel, keyFile string
	proofCommand           string
	noProof, dryRun        bool
}

func (a *app) newBuildCommand() *cobra.Command {
	var o buildOptions
	cmd := &cobra.Command{
		Use:   "build [URL|DIR]",
		Short: "From a Git URL or a folder to a signed, proven dnf repository",
		Long: `Check out a project, find its requirements, resolve them, build every package from source
in dependency order, publish a signed repository, and prove it: dnf installs the whole set
into a fresh root, checking every signature, and everything is imported there.

One failed package blocks its dependents and nothing else. What was built is kept and shared
by all projects of this machine: the same command again builds only what changed. Ctrl-C stops;
the same command goes on from there.

For several targets each package is built for each of them, all from the same slots, and each target has
a repository of its own. What goes wrong on one stops no other; the exit status is that of the
worst.

` + exitCodesHelp,
		Example: `  reqpm build https://git.example.org/team/app.git --ref v2.1
  reqpm build ./checkout -r requirements/base.txt -r requirements/prod.txt --target el9
  reqpm build ./checkout --target el9,el10
  reqpm build . --proof-command 'python3 -m app --version'`,
		Args: maxOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.follow(cmd.Context(), &o.projectOptions, firstArg(args), true); err != nil {
				return err
			}
			return a.runBuild(cmd.Context(), o, firstArg(args))
		},
	}
	o.register(cmd)
	o.registerLocked(cmd)
	o.registerBuild(cmd)
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "name of the project's repository (default: from the address)")
	f.StringVar(&o.channel, "channel", "stable", "channel to publish to")
	f.StringVar(&o.keyFile, "key", "", "armored OpenPGP private key to sign with (default: one of ReqPM's own, made at first use)")
	f.StringVar(&o.proofCommand, "proof-command", "", "shell command that must succeed in the fresh root, with only loopback as network")
	f.BoolVar(&o.noProof, "no-proof", false, "publish without the proof")
	f.BoolVar(&o.dryRun, "dry-run", false, "plan only: same as 'reqpm plan'")
	return cmd
}

func (a *app) runBuild(ctx context.Context, o buildOptions, where string) error {
	if o.dryRun {
		return a.runPlan(ctx, planOptions{projectOptions: o.projectOptions}, where)
	}
	if err := o.check(); err != nil {
		return err
	}
	state, err := a.stateDir()
	if err != nil {
		return err
	}
	progress := a.newProgress(&o.projectOptions)
	defer progress.Close()
	pipelines, err := a.openPipelines(ctx, o.projectOptions, progress.Event)
	if err != nil {
		return err
	}
	defer closeAll(pipelines)
	req := o.request(where, state)
	req.Name, req.Channel, req.KeyFile, req.ProofCommand, req.NoProof = o.name, o.channel, o.keyFile, o.proofCommand, o.noProof
	endings, err := pipeline.RunAll(ctx, pipelines, req)
	progress.Close()
	switch {
	case err != nil:
		return err
	case len(endings) > 1:
		return a.endAll(ctx, endings)
	}
	summary, err := endings[0].Summary, endings[0].Err
	if summary.Logs == "" { // it ended before there was anything to sum up
		return err
	}
	end := verdict(summary, err)
	if !a.global.json {
		a.printSummary("", summary)
		return end
	}
	_ = a.printJSON(summaryJSON(ctx, endings[0])) // the last line, whatever happened
	if end != nil {
		return silent{end}
	}
	return nil
}

// ended is a summary with how it ended.
type ended struct {
	pipeline.Summary
	Exit  int    `json:"exit"`
	Error string `json:"error,omitempty"`
}

func summaryJSON(ctx context.Context, e pipeline.Ending) ended {
	return ended{e.Summary, exitCode(ctx, verdict(e.Summary, e.Err)), errorText(e.Err)}
}

// verdict is how a run ends: by what stopped it, else by its builds, else by its proof.
func verdict(s pipeline.Summary, err error) error {
	switch {
	case err != nil:
		return err
	case len(s.Failed)+len(s.Blocked) > 0:
		return errBuilds
	case !s.OK():
		return fmt.Errorf("%w: %s", errProof, proofText(s.Proof))
	}
	return nil
}

// folderName is what a project or a channel may be called: it becomes a folder, a part of a
// repository's name and of an RPM's.
var folderName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// check refuses before anything is built what would only be refused at the end.
func (o *buildOptions) check() error {
	for option, name := range map[string]string{"--name": o.name, "--channel": o.channel} {
		if name != "" && !folderName.MatchString(name) {
			return usagef("%s %q: lower-case letters, digits and . _ - only, 64 at most", option, name)
		}
	}
	if o.keyFile != "" {
		if _, err := repo.OpenKey("", o.keyFile); err != nil {
			return usageError{err}
		}
	}
	if o.noProof && o.proofCommand != "" {
		return usagef("--proof-command is run in the proof, which --no-proof leaves out")
	}
	return nil
}

// sayFindings tells what the log of a failed build shows, and what could be changed.
func (a *app) sayFindings(o *pipeline.Outcome) {
	for _, r := range o.Repairs {
		a.say("         tried: %s", r)
	}
	for _, x := range o.Findings[:min(len(o.Findings), 2)] {
		a.say("         %s: %s", x.Cause, x.Title)
		for _, l := range x.Evidence[:min(len(x.Evidence), 4)] {
			a.say("         %6d | %s", l.Number, l.Text)
		}
		for _, c := range x.Changes {
			a.say("         change: %s", c)
		}
		for _, text := range x.Advice {
			a.say("         or: %s", text)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func proofText(p *pipeline.Proof) string {
	if p.Command != nil && p.Command.Status != 0 {
		return fmt.Sprintf("the proof command ended with status %d:\n%s", p.Command.Status, p.Command.Output)
	}
	return "see " + p.Log
}

// printSummary is the last thing people read: what was built, reused, failed, blocked;
// where the repository is; the two lines to install from it. title says whose, where there are several.
func (a *app) printSummary(title string, s pipeline.Summary) {
	a.say("%s", title)
	for _, o := range s.Failed {
		a.say("failed   %s %s: %s", o.Name, o.Version, firstLine(o.Cause))
		if o.Log != "" {
			a.say("         log: %s", o.Log)
		}
		a.sayFindings(o)
	}
	for _, o := range append(s.Built, s.Reused...) {
		for _, r := range o.Repairs {
			a.say("repaired %s %s: %s", o.Name, o.Version, r)
		}
		if len(o.Repairs) > 0 {
			a.say("         keep it: %s", filepath.Join(s.Logs, "overrides", o.Name+".toml"))
		}
	}
	for _, o := range s.Blocked {
		a.say("blocked  %s %s: needs %s", o.Name, o.Version, o.Root)
	}
	if p := s.Proof; p != nil {
		for _, name := range sortedKeys(p.NotImport) {
			a.say("import   %s: %s (reported, not fatal)", name, p.NotImport[name])
		}
		if p.OK {
			a.say("proof    %d packages installed into a fresh root, %d imported", len(p.Installed), len(p.Imported))
		}
		if p.Command != nil && p.Command.Status == 0 && p.Command.Output != "" {
			a.say("command  %s", firstLine(p.Command.Output))
		}
	}
	for _, o := range s.Distro {
		a.say("reused   %s %s: %s of the distribution", o.Name, o.Version, o.NEVRA)
	}
	a.say("%d built, %d reused, %d failed, %d blocked in %s", len(s.Built), len(s.Reused)+len(s.Distro), len(s.Failed), len(s.Blocked), seconds(s.Seconds))
	if s.Repository == "" {
		if len(s.Failed) > 0 {
			a.say("Nothing was published: a repository holds the whole set or nothing. What was built is kept;\nmend what failed and run the same command again. Logs: %s", s.Logs)
		}
		return
	}
	fmt.Fprintf(a.stdout, "repository  %s\n", s.Repository)
	for _, line := range (repo.Install{RepoFile: s.RepoFile, Names: []string{s.SetName}, Apt: s.Apt, Foreign: s.Foreign}).Lines() {
		fmt.Fprintf(a.stdout, "  %s\n", line)
	}
}
