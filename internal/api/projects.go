package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/secret"
	"reqpm/internal/service"
	"reqpm/internal/source"
	"reqpm/internal/store"
)

// Project is a project as answers have it.
type Project struct {
	ID               int64            `json:"id"`
	Name             string           `json:"name"`
	GitURL           string           `json:"git_url"`
	Ref              string           `json:"ref"`
	RequirementFiles []string         `json:"requirement_files"`
	Targets          []string         `json:"targets"`
	Settings         service.Settings `json:"settings"`
	Sync             bool             `json:"sync"`
	LastCommit       string           `json:"last_commit,omitempty"`
	Created          time.Time        `json:"created"`
	Updated          time.Time        `json:"updated"`
	LastRun          *Run             `json:"last_run,omitempty"`
}

func projectView(p store.Project) Project {
	v := Project{ID: p.ID, Name: p.Name, GitURL: source.Redacted(p.GitURL), Ref: p.Ref, RequirementFiles: p.RequirementFiles, Targets: p.Targets,
		Sync: p.Sync, LastCommit: p.LastCommit, Created: p.Created, Updated: p.Updated}
	if v.RequirementFiles == nil {
		v.RequirementFiles = []string{} // answers have no null
	}
	_ = json.Unmarshal(p.Settings, &v.Settings) // what was checked when it was written
	return v
}

// ProjectPath names a project by its id or its name.
type ProjectPath struct {
	ID string `path:"id" maxLength:"64" doc:"id or name of the project"`
}

func (a *API) project(ctx context.Context, name string) (store.Project, error) {
	if id, err := strconv.ParseInt(name, 10, 64); err == nil {
		return a.cfg.Store.Project(ctx, id)
	}
	return a.cfg.Store.ProjectNamed(ctx, name)
}

// ProjectFields are what people say of a project.
type ProjectFields struct {
	Name             string           `json:"name" minLength:"1" maxLength:"64" pattern:"^[a-z0-9][a-z0-9._-]*$" doc:"lower-case letters, digits and . _ -; names its repositories"`
	GitURL           string           `json:"git_url" minLength:"1" maxLength:"2000"`
	Ref              string           `json:"ref,omitempty" maxLength:"255" doc:"branch, tag or commit; absent: the repository's default branch"`
	RequirementFiles []string         `json:"requirement_files,omitempty" maxItems:"100" nullable:"false" doc:"absent: those that are found"`
	Targets          []string         `json:"targets,omitempty" minItems:"1" maxItems:"40" nullable:"false" doc:"absent: the default_targets of the server's settings"`
	Settings         service.Settings `json:"settings,omitempty"`
	Sync             bool             `json:"sync,omitempty" doc:"a new commit makes a run"`
}

type projectInput struct {
	DryRun bool `query:"dry_run" doc:"check everything, create nothing"`
	Body   struct {
		ProjectFields
		NoRun bool `json:"no_run,omitempty" doc:"create it without starting a run"`
	}
}

type projectOutput struct {
	Status int
	ETag   string `header:"ETag"`
	Body   Project
}

// projectVersion names the state of what people change; runs come and go meanwhile.
func projectVersion(p store.Project) string {
	p.LastCommit, p.Updated = "", time.Time{}
	if p.RequirementFiles == nil {
		p.RequirementFiles = []string{}
	}
	return versionOf(p)
}

// projectName is what a project may be called: it becomes a folder, a part of addresses and of an RPM's name.
var projectName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

func (a *API) projectOperations() {
	register(a, operation{method: http.MethodGet, many: true, path: "/projects", id: "list-projects", summary: "List projects", role: auth.Viewer, tag: "projects", sorts: []string{"name", "updated"}}, a.listProjects)
	register(a, operation{method: http.MethodPost, path: "/projects", id: "create-project", summary: "Create a project; its first run starts by itself", role: auth.Maintainer, status: http.StatusCreated, tag: "projects"}, a.createProject)
	register(a, operation{method: http.MethodGet, about: aboutProject, path: "/projects/{id}", id: "get-project", summary: "One project", role: auth.Viewer, tag: "projects"}, a.getProject)
	register(a, operation{method: http.MethodPatch, about: aboutProject, path: "/projects/{id}", id: "change-project", summary: "Change a project; what is absent stays", role: auth.Maintainer, tag: "projects", errors: []int{http.StatusPreconditionFailed}}, a.changeProject)
	register(a, operation{method: http.MethodDelete, about: aboutProject, path: "/projects/{id}", id: "delete-project", summary: "Delete a project and everything of it", role: auth.Maintainer, status: http.StatusNoContent, tag: "projects"}, a.deleteProject)
	register(a, operation{method: http.MethodPost, about: aboutProject, path: "/projects/{id}/runs", id: "start-run", summary: "Start a run", role: auth.Builder, status: http.StatusCreated, tag: "runs"}, a.startRun)
	register(a, operation{method: http.MethodGet, about: aboutProject, path: "/projects/{id}/log", id: "project-log", summary: "What happened, newest first", role: auth.Viewer, tag: "projects"}, a.projectLog)
	register(a, operation{method: http.MethodGet, about: aboutProject, path: "/projects/{id}/repositories", id: "project-repositories", summary: "Published repositories", role: auth.Viewer, tag: "repositories"}, a.projectRepositories)
	register(a, operation{method: http.MethodGet, path: "/discover", id: "discover", summary: "Branches, tags and requirement files of a Git address", role: auth.Builder, tag: "projects", errors: []int{http.StatusBadGateway}}, a.discover)
	register(a, operation{method: http.MethodPost, path: "/discover", id: "discover-private", summary: "The same with a token or key, which is kept nowhere", role: auth.Builder, tag: "projects", errors: []int{http.StatusBadGateway}, unkeyed: true}, a.discoverWith)
	register(a, operation{method: http.MethodGet, about: aboutProject, path: "/projects/{id}/discover", id: "discover-project", summary: "Branches, tags and requirement files of a project's own address, with its secrets", role: auth.Builder, tag: "projects", errors: []int{http.StatusBadGateway}}, a.discoverProject)
}

type listProjectsInput struct {
	Page
	Search string `query:"q" maxLength:"200" doc:"part of name or address"`
}

func (a *API) listProjects(ctx context.Context, in *listProjectsInput) (*listOf[Project], error) {
	part, err := a.cfg.Store.Projects(ctx, store.ProjectFilter{Text: in.Search, IDs: a.visible(ctx, 0)}, in.store())
	if err != nil {
		return nil, err
	}
	out := newList(part, projectView)
	for i := range out.Body.Items {
		if err := a.addLastRun(ctx, &out.Body.Items[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (a *API) addLastRun(ctx context.Context, p *Project) error {
	last, err := a.cfg.Store.Runs(ctx, store.RunFilter{Project: p.ID}, store.Page{Limit: 1})
	if err != nil || len(last.Items) == 0 {
		return err
	}
	run := runView(last.Items[0])
	p.LastRun = &run
	return nil
}

func (a *API) getProject(ctx context.Context, in *ProjectPath) (*projectOutput, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &projectOutput{Status: http.StatusOK, ETag: projectVersion(p), Body: projectView(p)}
	return out, a.addLastRun(ctx, &out.Body)
}

// check refuses what no run could begin with.
func (a *API) check(ctx context.Context, p ProjectFields) error {
	if !projectName.MatchString(p.Name) {
		return invalid("name", "%q: a project's name has lower-case letters, digits and . _ - only, 64 at most, and begins with a letter or digit", p.Name)
	}
	if p.Settings.Channel != "" && !projectName.MatchString(p.Settings.Channel) {
		return invalid("settings.channel", "%q: a channel's name has lower-case letters, digits and . _ - only", p.Settings.Channel)
	}
	sub := service.Subject{Project: p.Name, GitURL: p.GitURL, Ref: p.Ref, Files: p.RequirementFiles, Settings: p.Settings}
	if err := a.cfg.Projects.Check(ctx, sub, p.Targets); err != nil {
		return invalid("", "%v", err)
	}
	return nil
}

func (p ProjectFields) store() store.Project {
	settings, _ := json.Marshal(p.Settings)
	return store.Project{Name: p.Name, GitURL: p.GitURL, Ref: p.Ref, RequirementFiles: p.RequirementFiles, Targets: slices.Compact(slices.Sorted(slices.Values(p.Targets))), Settings: settings, Sync: p.Sync}
}

func (a *API) createProject(ctx context.Context, in *projectInput) (*projectOutput, error) {
	if len(in.Body.Targets) == 0 {
		now, err := a.cfg.Settings.Read(ctx, a.cfg.Store.Queries)
		if err != nil {
			return nil, err
		}
		in.Body.Targets = now.DefaultTargets
	}
	if err := a.check(ctx, in.Body.ProjectFields); err != nil {
		return nil, err
	}
	p := in.Body.store()
	if in.DryRun {
		return &projectOutput{Status: http.StatusOK, Body: projectView(p)}, nil
	}
	who := auth.FromContext(ctx)
	var run *Run
	err := a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		var err error
		if p, err = tx.CreateProject(ctx, p); err != nil {
			return err
		}
		if err := who.Audit(ctx, tx, auth.Change{Action: "project.create", Object: p.Name, Project: p.ID}); err != nil || in.Body.NoRun {
			return err
		}
		r, err := service.StartRun(ctx, tx, p, service.NewRun{Reason: "created by " + who.String()})
		v := runView(r)
		run = &v
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &projectOutput{Status: http.StatusCreated, ETag: projectVersion(p), Body: projectView(p)}
	out.Body.LastRun = run
	return out, nil
}

type changeProjectInput struct {
	ProjectPath
	IfMatch
	DryRun bool `query:"dry_run" doc:"check everything, change nothing"`
	Body   struct {
		GitURL           *string           `json:"git_url,omitempty" minLength:"1" maxLength:"2000"`
		Ref              *string           `json:"ref,omitempty" maxLength:"255"`
		RequirementFiles *[]string         `json:"requirement_files,omitempty" maxItems:"100"`
		Targets          *[]string         `json:"targets,omitempty" minItems:"1" maxItems:"40"`
		Settings         *service.Settings `json:"settings,omitempty"`
		Sync             *bool             `json:"sync,omitempty"`
	}
}

func (a *API) changeProject(ctx context.Context, in *changeProjectInput) (*projectOutput, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := in.IfMatch.check(projectVersion(p)); err != nil {
		return nil, err
	}
	f := ProjectFields{Name: p.Name, GitURL: p.GitURL, Ref: p.Ref, RequirementFiles: p.RequirementFiles, Targets: p.Targets, Settings: projectView(p).Settings, Sync: p.Sync}
	set(&f.GitURL, in.Body.GitURL)
	set(&f.Ref, in.Body.Ref)
	set(&f.RequirementFiles, in.Body.RequirementFiles)
	set(&f.Targets, in.Body.Targets)
	set(&f.Settings, in.Body.Settings)
	set(&f.Sync, in.Body.Sync)
	if err := a.check(ctx, f); err != nil {
		return nil, err
	}
	changed := f.store()
	changed.ID, changed.LastCommit, changed.Created, changed.Updated = p.ID, p.LastCommit, p.Created, p.Updated
	if !in.DryRun {
		who := auth.FromContext(ctx)
		err = a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
			switch now, err := tx.Project(ctx, p.ID); {
			case err != nil:
				return err
			case projectVersion(now) != projectVersion(p) && in.IfMatch.IfMatch != "":
				return in.IfMatch.check(projectVersion(now))
			case projectVersion(now) != projectVersion(p):
				return conflict("somebody has changed the project meanwhile: try again")
			default:
				changed.LastCommit = now.LastCommit
			}
			was := service.ProjectFacts(p)
			if err := tx.UpdateProject(ctx, changed); err != nil {
				return err
			}
			if changed, err = tx.Project(ctx, p.ID); err != nil {
				return err
			}
			return who.Audit(ctx, tx, auth.Change{Action: "project.change", Object: p.Name, Project: p.ID, Detail: auth.Differences(was, service.ProjectFacts(changed))})
		})
		if err != nil {
			return nil, err
		}
	}
	return &projectOutput{Status: http.StatusOK, ETag: projectVersion(changed), Body: projectView(changed)}, nil
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func (a *API) deleteProject(ctx context.Context, in *ProjectPath) (*struct{}, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	running, err := a.cfg.Store.Runs(ctx, store.RunFilter{Project: p.ID, States: []store.RunState{store.RunQueued, store.RunRunning}}, store.Page{Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(running.Items) > 0 {
		return nil, conflict("run %d of the project has not ended: cancel it first", running.Items[0].Number)
	}
	who := auth.FromContext(ctx)
	err = a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := who.Audit(ctx, tx, auth.Change{Action: "project.delete", Object: p.Name, Project: p.ID}); err != nil {
			return err
		}
		return tx.DeleteProject(ctx, p.ID)
	})
	return nil, err
}

// LogEntry is a line of a project's log.
type LogEntry struct {
	ID      int64     `json:"id"`
	Run     int64     `json:"run,omitempty"`
	Build   int64     `json:"build,omitempty"`
	Level   string    `json:"level"`
	Message string    `json:"message"`
	At      time.Time `json:"at"`
}

type projectLogInput struct {
	ProjectPath
	Page
	Level string `query:"level" maxLength:"60" pattern:"^((debug|info|warning|error)(,(debug|info|warning|error))*)?$" doc:"debug, info, warning, error; several by comma"`
	Text  string `query:"q" maxLength:"200"`
}

func (a *API) projectLog(ctx context.Context, in *projectLogInput) (*listOf[LogEntry], error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	part, err := a.cfg.Store.LogEntries(ctx, store.LogFilter{Project: p.ID, Levels: states[string](in.Level), Text: in.Text}, in.store())
	if err != nil {
		return nil, err
	}
	return newList(part, func(e store.LogEntry) LogEntry {
		return LogEntry{ID: e.ID, Run: e.Run, Build: e.Step, Level: e.Level, Message: e.Message, At: e.At}
	}), nil
}

// Repository is a channel of a project for one target.
type Repository struct {
	ID       int64      `json:"id"`
	Project  int64      `json:"project"`
	Channel  string     `json:"channel"`
	Target   string     `json:"target"`
	Path     string     `json:"path" doc:"below the server's address"`
	RepoFile string     `json:"repo_file"`
	Snapshot int64      `json:"snapshot"`
	Checked  *time.Time `json:"checked,omitempty"`
	Problem  string     `json:"problem,omitempty"`
	Updated  time.Time  `json:"updated"`
	Pinned   *time.Time `json:"pinned,omitempty" doc:"since when it stays at its snapshot, whatever is published"`
	PinnedBy string     `json:"pinned_by,omitempty"`
}

func (a *API) projectRepositories(ctx context.Context, in *ProjectPath) (*listOf[Repository], error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	all, err := a.cfg.Store.Repositories(ctx, p.ID)
	return newList(store.Part[store.Repository]{Items: all}, func(r store.Repository) Repository { return repositoryView(p, r) }), err
}

func repositoryView(p store.Project, r store.Repository) Repository {
	path := "/repos/" + p.Name + "/" + r.Channel + "/" + r.Target
	return Repository{ID: r.ID, Project: r.Project, Channel: r.Channel, Target: r.Target, Path: path + "/", RepoFile: path + ".repo",
		Snapshot: r.Snapshot, Checked: at(r.Checked), Problem: r.Problem, Updated: r.Updated, PinnedBy: r.PinnedBy, Pinned: at(r.PinnedAt)}
}

type discoverInput struct {
	GitURL string `query:"git_url" required:"true" minLength:"1" maxLength:"2000"`
	Ref    string `query:"ref" maxLength:"255" doc:"also look for requirement files there; HEAD: the default branch"`
}

type discoverOutput struct {
	Body struct {
		Refs   []Ref          `json:"refs"`
		Commit string         `json:"commit,omitempty"`
		Files  []service.File `json:"files"`
	}
}

// Ref is a branch or a tag.
type Ref struct {
	Name   string `json:"name"`
	Kind   string `json:"kind" enum:"branch,tag"`
	Commit string `json:"commit"`
}

func (a *API) discover(ctx context.Context, in *discoverInput) (*discoverOutput, error) {
	return a.lookAt(ctx, service.Subject{GitURL: in.GitURL, Ref: in.Ref})
}

type discoverProjectInput struct {
	ProjectPath
	Ref string `query:"ref" maxLength:"255" doc:"look for requirement files there; absent: at the project's own ref"`
}

// discoverProject asks the project's own address, with its secrets.
func (a *API) discoverProject(ctx context.Context, in *discoverProjectInput) (*discoverOutput, error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	sub := service.Subject{Project: p.Name, GitURL: p.GitURL, Ref: cmp.Or(in.Ref, p.Ref, "HEAD")}
	if sub.Secrets, err = a.cfg.Vault.ProjectSecrets(ctx, a.cfg.Store.Queries, p.ID); err != nil {
		return nil, err
	}
	return a.lookAt(ctx, sub)
}

type discoverWithInput struct {
	Body struct {
		GitURL   string `json:"git_url" minLength:"1" maxLength:"2000"`
		Ref      string `json:"ref,omitempty" maxLength:"255" doc:"also look for requirement files there; HEAD: the default branch"`
		Username string `json:"username,omitempty" maxLength:"200" pattern:"^[!-9;-~]*$" doc:"that goes with a token; absent: x-access-token"`
		SecretValue
	}
}

// discoverWith is discover with a secret that is kept nowhere.
func (a *API) discoverWith(ctx context.Context, in *discoverWithInput) (*discoverOutput, error) {
	kind := secret.GitToken
	if origin, err := secret.Origin(in.Body.GitURL); err == nil && strings.HasPrefix(origin, "ssh:") {
		kind = secret.SSHKey
	}
	s, err := secret.New("preview", kind, in.Body.GitURL, in.Body.Username, in.Body.Value, in.Body.KnownHosts)
	if err != nil {
		return nil, secretProblem(err)
	}
	s.Set(rand.Text(), "", time.Now())
	return a.lookAt(ctx, service.Subject{GitURL: in.Body.GitURL, Ref: in.Body.Ref, Secrets: []secret.Secret{s}})
}

// lookAt asks a Git server.
func (a *API) lookAt(ctx context.Context, sub service.Subject) (*discoverOutput, error) {
	out := &discoverOutput{}
	out.Body.Refs, out.Body.Files = []Ref{}, []service.File{}
	refs, err := a.cfg.Projects.Refs(ctx, sub)
	if err != nil {
		return nil, notReached(withoutSecrets(err, sub.Secrets))
	}
	for _, r := range refs {
		out.Body.Refs = append(out.Body.Refs, Ref{Name: r.Name, Kind: r.Kind, Commit: r.Commit})
	}
	if sub.Ref != "" {
		commit, files, err := a.cfg.Projects.Files(ctx, sub)
		if err != nil {
			return nil, notReached(withoutSecrets(err, sub.Secrets))
		}
		out.Body.Commit = commit
		out.Body.Files = append(out.Body.Files, files...)
	}
	return out, nil
}
