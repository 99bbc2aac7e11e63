package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"reqpm/internal/lockfile"
	"reqpm/internal/pipeline"
	"reqpm/internal/reqfile"
	"reqpm/internal/service"
	"reqpm/internal/source"
	"reqpm/internal/target"
)

// servedOptions are the options of 'reqpm build' that a project of a server may set. What is not here
// names files or variables of the machine, or is the server's own to decide.
var servedOptions = []string{
	"constraint", "constrain", "override", "extra", "group", "tool-env", "ignore", "no-project", "python", "exclude-newer", "min-age",
	"distribution", "distribution-tools", "reuse", "no-reuse", "replace", "no-distribution-packages",
	"allow-wheel", "allow-compiled-wheel", "allow-pure", "build-constraint", "drop-build-requirement",
	"timeout", "idle-timeout", "no-repair",
}

// served opens pipelines for the service: the settings of a project are options of 'reqpm build'.
type served struct {
	a           *app
	allowSource []string // what Git URLs may name beside https and ssh to public hosts
	builder     string
	slots       int // of the machine
	settings    func(ctx context.Context) (service.ServerSettings, error)
}

var _ service.Pipelines = served{}

// options are a subject's settings as the command line would have them.
func (s served) options(sub service.Subject) (projectOptions, error) {
	var o projectOptions
	cmd := &cobra.Command{}
	o.register(cmd)
	o.registerBuild(cmd)
	for _, name := range sortedKeys(sub.Settings.Options) {
		values := sub.Settings.Options[name]
		if !slices.Contains(servedOptions, name) {
			return o, usagef("option %q is none that a project can set; these are: %s", name, strings.Join(servedOptions, ", "))
		}
		if err := setFlag(cmd.Flags().Lookup(name), values); err != nil {
			return o, usagef("option %q: %w", name, err)
		}
	}
	o.ref, o.files, o.allowSource, o.builder, o.slots, o.refresh = sub.Ref, sub.Files, s.allowSource, s.builder, s.slots, sub.Refresh
	o.secrets = sub.Secrets
	if sub.Target != "" {
		o.targets = []string{sub.Target}
	}
	var err error
	if o.saidByServer, err = service.ReadOverrides(sub.Settings.Overrides); err != nil {
		return o, usagef("settings.overrides: %w", err)
	}
	o.saidByServer = o.saidByServer.And(sub.OwnOverrides())
	return o, o.check()
}

// setFlag gives a flag the values that a file or a request has for it.
func setFlag(f *pflag.Flag, values []string) error {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.Replace(values)
	}
	if len(values) != 1 {
		return fmt.Errorf("takes one value, not %d", len(values))
	}
	return f.Value.Set(values[0])
}

// Source implements service.Pipelines.
func (s served) Source(sub service.Subject) (source.Request, error) {
	state, err := s.a.stateDir()
	if err != nil {
		return source.Request{}, err
	}
	o, err := s.options(sub)
	if err != nil {
		return source.Request{}, err
	}
	return s.request(o, sub, state).Source, nil
}

// request is projectOptions.request, but for the one thing that a command line may do and a project may
// not: name a folder of this machine without being allowed to.
func (s served) request(o projectOptions, sub service.Subject, state string) pipeline.Request {
	req := o.request(sub.GitURL, state)
	req.Source.URL = sub.GitURL
	req.Source.Allow = req.References
	req.Source.Secrets = sub.Secrets
	req.Name = sub.Project
	return req
}

// Open implements service.Pipelines.
func (s served) Open(ctx context.Context, sub service.Subject, lock *lockfile.File, report func(pipeline.Event)) (*pipeline.Pipeline, pipeline.Request, error) {
	var none pipeline.Request
	state, err := s.a.stateDir()
	if err != nil {
		return nil, none, err
	}
	o, err := s.options(sub)
	if err != nil {
		return nil, none, err
	}
	o.locked = lock
	if err := s.lay(ctx, &o); err != nil {
		return nil, none, err
	}
	pipelines, err := s.a.openPipelines(ctx, o, report)
	if err != nil {
		return nil, none, err
	}
	if len(pipelines) != 1 {
		closeAll(pipelines)
		return nil, none, usagef("%q is not one target", sub.Target)
	}
	return pipelines[0], s.request(o, sub, state), nil
}

// lay puts what the server's settings say under the options of a project.
func (s served) lay(ctx context.Context, o *projectOptions) error {
	if s.settings == nil {
		return nil
	}
	now, err := s.settings(ctx)
	if err != nil {
		return err
	}
	o.minAge, o.distribution.policy = cmp.Or(o.minAge, now.MinAge), cmp.Or(o.distribution.policy, now.Distribution)
	o.blocked = now.Blocked
	return nil
}

// Check tells what is wrong with a project's settings, before anything runs.
func (s served) Check(ctx context.Context, sub service.Subject, targets []string) error {
	o, err := s.options(sub)
	if err != nil {
		return err
	}
	if sub.Project != "" { // else it is the server's settings that ask, which have no source
		if err := s.checkSource(o, sub); err != nil {
			return err
		}
	}
	o.targets = targets
	found, err := s.a.findTargets(ctx, o)
	if err != nil {
		return err
	}
	for _, t := range found {
		if !slices.Contains(targets, t.Name) {
			return usagef("name each target: %s is one of several", t.Name)
		}
	}
	_, err = s.a.pipelineConfig(ctx, o, nil)
	return err
}

// targets are what a project's name of a target means.
func (s served) targets(ctx context.Context, name string) ([]target.Target, error) {
	return s.a.findTargets(ctx, projectOptions{targets: []string{name}})
}

// checkSource refuses an address, a ref and paths that no run could do anything with.
func (s served) checkSource(o projectOptions, sub service.Subject) error {
	state, err := s.a.stateDir()
	if err != nil {
		return err
	}
	if err := source.Check(s.request(o, sub, state).Source); err != nil {
		return err
	}
	for _, file := range sub.Files {
		if !filepath.IsLocal(file) || strings.ContainsFunc(file, unicode.IsControl) {
			return usagef("requirement_files: %.100q is no path inside the repository", file)
		}
	}
	return nil
}

// Refs implements service.Projects.
func (s served) Refs(ctx context.Context, sub service.Subject) ([]source.Ref, error) {
	req, err := s.Source(sub)
	if err != nil {
		return nil, err
	}
	return source.Refs(ctx, req)
}

// Files implements service.Projects.
func (s served) Files(ctx context.Context, sub service.Subject) (commit string, files []service.File, err error) {
	req, err := s.Source(sub)
	if err != nil {
		return "", nil, err
	}
	if sub.Project == "" && len(sub.Secrets) > 0 { // given for this one question: nobody can use the checkout again
		if err := os.MkdirAll(req.Dir, 0o755); err != nil {
			return "", nil, err
		}
		if req.Dir, err = os.MkdirTemp(req.Dir, ".tmp-git-preview-"); err != nil {
			return "", nil, err
		}
		defer os.RemoveAll(req.Dir)
	}
	checkout, err := source.Fetch(ctx, req)
	if err != nil {
		return "", nil, err
	}
	tree, err := checkout.FS()
	if err != nil {
		return "", nil, err
	}
	found, err := reqfile.Discover(tree)
	for _, c := range found {
		files = append(files, service.File{Path: c.Path, Requirements: c.Count, Project: c.Project, Chosen: c.Chosen, Why: c.Why, Error: c.Error})
	}
	return checkout.Commit, files, err
}
