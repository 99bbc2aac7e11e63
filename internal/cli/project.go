package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/api"
	"reqpm/internal/client"
	"reqpm/internal/service"
)

func (a *app) newProjectCommand() *cobra.Command {
	return a.group("project", "Create, list, show, sync and delete the projects of a server; their newer versions, secrets, spec files and overrides",
		"Projects of a server: a Git URL with its settings. PROJECT is a name, or an id.",
		"  reqpm project create app https://git.example.org/team/app.git --target el9 --follow\n  reqpm project list\n  reqpm project sync app",
		a.newProjectCreateCommand(), a.newProjectListCommand(), a.newProjectShowCommand(), a.newProjectSyncCommand(), a.newProjectDeleteCommand(), a.newProjectOutdatedCommand(), a.newProjectSecretCommand(), a.newProjectSpecCommand(), a.newProjectOverrideCommand())
}

type projectCreateOptions struct {
	fields       client.NewProject
	options      []string
	channel      string
	proofCommand string
	noProof      bool
	dryRun       bool
	watch        watchOptions
}

func (a *app) newProjectCreateCommand() *cobra.Command {
	var o projectCreateOptions
	cmd := &cobra.Command{
		Use:   "create NAME GIT_URL",
		Short: "Create a project; its first run starts by itself",
		Long: `Create a project. Its first run starts by itself, and ends with a repository at /repos/NAME/CHANNEL/TARGET/ of the server.
--option takes those of 'reqpm build' that a project may set, without dashes: extra=postgres, no-project=true.
--dry-run has the server check everything and make the plan, which takes as long as resolving the project does, and shows it.

` + exitCodesHelp,
		Example: `  reqpm project create app https://git.example.org/team/app.git --target el9,el10
  reqpm project create app https://git.example.org/team/app.git -t el9 -r requirements/prod.txt --option extra=postgres --follow
  reqpm project create app https://git.example.org/team/app.git -t el9 --dry-run`,
		Args: cobra.ExactArgs(2),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			o.fields.Name, o.fields.GitURL = args[0], args[1]
			return a.createProject(ctx, c, o)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&o.fields.Ref, "ref", "", "branch, tag or commit; default: the repository's own branch")
	f.StringArrayVarP(&o.fields.RequirementFiles, "requirement", "r", nil, "requirement file in the repository; repeatable; default: found by itself")
	f.StringSliceVarP(&o.fields.Targets, "target", "t", []string{"local"}, "release to build for; repeatable, or with commas")
	f.StringArrayVar(&o.options, "option", nil, "NAME=VALUE, an option of 'reqpm build'; repeatable")
	f.StringVar(&o.channel, "channel", "", "channel to publish to (default stable)")
	f.StringVar(&o.proofCommand, "proof-command", "", "shell command that must succeed in the fresh root")
	f.BoolVar(&o.noProof, "no-proof", false, "publish without the proof")
	f.BoolVar(&o.fields.Sync, "sync", false, "let a new commit make a run")
	f.BoolVar(&o.fields.NoRun, "no-run", false, "start no run")
	f.BoolVar(&o.dryRun, "dry-run", false, "show the plan that its first run would have, and create nothing")
	o.watch.register(cmd)
	return cmd
}

func (a *app) createProject(ctx context.Context, c *client.Client, o projectCreateOptions) error {
	if (o.fields.NoRun || o.dryRun) && o.watch.any() {
		return usagef("--wait and --follow are about a run, and none is started")
	}
	o.fields.Settings = service.Settings{Options: map[string][]string{}, Channel: o.channel, ProofCommand: o.proofCommand, NoProof: o.noProof}
	for _, text := range o.options {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return usagef("--option %q is not NAME=VALUE, as in extra=postgres", text)
		}
		o.fields.Settings.Options[name] = append(o.fields.Settings.Options[name], value)
	}
	p, err := c.CreateProject(ctx, o.fields, o.dryRun)
	if err != nil {
		return err
	}
	if o.dryRun {
		return a.previewProject(ctx, c, o.fields, p)
	}
	if o.watch.any() && p.LastRun != nil {
		return a.watchRun(ctx, c, p.LastRun.ID, o.watch, anyStep)
	}
	if a.global.json {
		return a.printJSON(p)
	}
	switch {
	case p.LastRun == nil:
		a.say("created %s; 'reqpm run start %s' starts a run", p.Name, p.Name)
	default:
		a.say("created %s; its run %s/%d has begun: 'reqpm run follow %s/%d' shows it", p.Name, p.Name, p.LastRun.Number, p.Name, p.LastRun.Number)
	}
	return nil
}

// previewProject shows the plan of a project that the server would create.
func (a *app) previewProject(ctx context.Context, c *client.Client, fields client.NewProject, p api.Project) error {
	plan, err := c.PreviewPlan(ctx, api.PlanFields{GitURL: fields.GitURL, Ref: fields.Ref, RequirementFiles: fields.RequirementFiles, Targets: p.Targets, Settings: fields.Settings})
	if err == nil {
		plan, err = a.awaitPlan(ctx, c, plan)
	}
	if err != nil {
		return err
	}
	end := planEnd(ctx, plan)
	if a.global.json {
		err := a.printJSON(struct {
			api.Project
			Plan api.Plan `json:"plan"`
		}{p, plan})
		if err != nil || end == nil {
			return err
		}
		return silent{end}
	}
	a.showPlan(plan)
	if end == nil {
		a.say("the server would create %s for %s; nothing was created", p.Name, strings.Join(p.Targets, ", "))
	}
	return end
}

func (a *app) newProjectListCommand() *cobra.Command {
	var search string
	cmd := &cobra.Command{
		Use: "list", Short: "List the projects of a server, with their last runs", Args: cobra.NoArgs, Example: "  reqpm project list\n  reqpm project list --search team/ --json",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ []string) error { return a.listProjects(ctx, c, search) }),
	}
	cmd.Flags().StringVar(&search, "search", "", "part of the name or address")
	return cmd
}

func (a *app) listProjects(ctx context.Context, c *client.Client, search string) error {
	all, err := client.Collect(c.Projects(ctx, search), 0)
	if err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(map[string]any{"projects": all})
	}
	if len(all) == 0 {
		a.say("there is no such project; 'reqpm project create' makes one")
		return nil
	}
	rows := [][]string{{"NAME", "TARGETS", "LAST RUN", "STATE", "BEGAN", "ADDRESS"}}
	for _, p := range all {
		run, state, began := "-", "", "-"
		if p.LastRun != nil {
			run, state, began = fmt.Sprintf("%s/%d", p.Name, p.LastRun.Number), string(p.LastRun.State), when(p.LastRun.Started)
		}
		rows = append(rows, []string{p.Name, strings.Join(p.Targets, ","), run, state, began, p.GitURL})
	}
	a.table(rows)
	return nil
}

func (a *app) newProjectShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show PROJECT", Short: "Show a project: settings, last run, repositories", Args: cobra.ExactArgs(1), Example: "  reqpm project show app\n  reqpm project show app --json",
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.showProject(ctx, c, args[0])
		}),
	}
}

func (a *app) showProject(ctx context.Context, c *client.Client, name string) error {
	p, err := c.Project(ctx, name)
	if err != nil {
		return err
	}
	repositories, err := c.Repositories(ctx, name)
	if err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(struct {
			api.Project
			Repositories []api.Repository `json:"repositories"`
		}{p, repositories})
	}
	rows := [][]string{{"name", p.Name}, {"address", p.GitURL}}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, value})
		}
	}
	add("ref", p.Ref)
	add("files", strings.Join(p.RequirementFiles, ", "))
	add("targets", strings.Join(p.Targets, ", "))
	for _, name := range sortedKeys(p.Settings.Options) {
		add("option", name+"="+strings.Join(p.Settings.Options[name], ","))
	}
	add("channel", p.Settings.Channel)
	add("proof command", p.Settings.ProofCommand)
	if p.Sync {
		add("sync", "a new commit makes a run")
	}
	add("last commit", p.LastCommit)
	if r := p.LastRun; r != nil {
		add("last run", fmt.Sprintf("%s/%d %s, began %s", p.Name, r.Number, r.State, when(r.Started)))
	}
	for _, r := range repositories {
		add("repository", c.Server()+r.RepoFile)
		add("", r.Problem)
	}
	a.table(rows)
	return nil
}

func (a *app) newProjectSyncCommand() *cobra.Command {
	var watch watchOptions
	cmd := &cobra.Command{
		Use: "sync PROJECT", Short: "Look for a new commit, and start a run when there is one", Args: cobra.ExactArgs(1), Example: "  reqpm project sync app\n  reqpm project sync app --wait",
		Long:              "Ask the project's Git address for the commit of its ref. A commit other than the last one built gets a run.\n\n" + exitCodesHelp,
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.syncProject(ctx, c, args[0], watch)
		}),
	}
	watch.register(cmd)
	return cmd
}

// syncProject asks through the server, which can reach the address and knows its secrets.
func (a *app) syncProject(ctx context.Context, c *client.Client, name string, watch watchOptions) error {
	p, err := c.Project(ctx, name)
	if err != nil {
		return err
	}
	found, err := c.DiscoverProject(ctx, p.Name)
	if err != nil {
		return err
	}
	answer := struct {
		Project string `json:"project"`
		Commit  string `json:"commit"`
		New     bool   `json:"new"`
		Run     int64  `json:"run,omitempty"`
	}{Project: p.Name, Commit: found.Commit, New: found.Commit != p.LastCommit}
	if answer.New {
		r, err := c.StartRun(ctx, p.Name, client.NewRun{})
		if err != nil {
			return err
		}
		if watch.any() {
			return a.watchRun(ctx, c, r.ID, watch, anyStep)
		}
		answer.Run = r.ID
		if !a.global.json {
			a.say("%s has a new commit %s: the run %s/%d has begun", p.Name, found.Commit, p.Name, r.Number)
		}
	} else if !a.global.json {
		a.say("%s has nothing new: %s is what was built last", p.Name, found.Commit)
	}
	if a.global.json {
		return a.printJSON(answer)
	}
	return nil
}

func (a *app) newProjectDeleteCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete PROJECT", Short: "Delete a project and everything of it", Args: cobra.ExactArgs(1), Example: "  reqpm project delete app\n  reqpm project delete app --yes",
		Long: `Say what a project has, and with --yes delete it: its runs, logs and artifacts. Runs must have ended.

` + exitCodesHelp,
		ValidArgsFunction: a.completing(completeProject),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.deleteProject(ctx, c, args[0], yes)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func (a *app) deleteProject(ctx context.Context, c *client.Client, name string, yes bool) error {
	p, err := c.Project(ctx, name)
	if err != nil {
		return err
	}
	if !yes {
		runs := int64(0)
		if p.LastRun != nil {
			runs = p.LastRun.Number
		}
		return usagef("%s (%s) has had %d runs. With --yes it is deleted, and all of them", p.Name, p.GitURL, runs)
	}
	if err := c.DeleteProject(ctx, name); err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(map[string]any{"deleted": p.Name})
	}
	a.say("deleted %s", p.Name)
	return nil
}
