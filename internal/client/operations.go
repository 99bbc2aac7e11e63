package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"reqpm/internal/api"
)

// RunDetail is a run with its steps that are no builds.
type RunDetail struct {
	api.Run
	Steps []api.Step `json:"steps,omitempty"`
}

// BuildDetail is a build with its attempts.
type BuildDetail struct {
	api.Build
	Attempts []api.Attempt `json:"attempts"`
}

// NewProject is what a project is created with.
type NewProject struct {
	api.ProjectFields
	NoRun bool `json:"no_run,omitempty"`
}

// NewRun is what a run is started with; a zero field leaves it to the project.
type NewRun struct {
	Ref     string   `json:"ref,omitempty"`
	Targets []string `json:"targets,omitempty"`
	Refresh bool     `json:"refresh,omitempty"`
}

// pageSize is what lists are fetched by.
const pageSize = 200

// list yields all items of a list, page after page. A nil query is that of a list which has no pages.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if query != nil {
			query.Set("limit", strconv.Itoa(pageSize))
		}
		for {
			var page struct {
				Items []T    `json:"items"`
				Next  string `json:"next"`
			}
			address := path
			if len(query) > 0 {
				address += "?" + query.Encode()
			}
			if err := c.call(ctx, http.MethodGet, address, nil, &page); err != nil {
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" || page.Next == query.Get("cursor") {
				return
			}
			query.Set("cursor", page.Next)
		}
	}
}

// Collect takes at most n items of a list; n < 1: all.
func Collect[T any](items iter.Seq2[T, error], n int) ([]T, error) {
	all := []T{}
	for item, err := range items {
		if err != nil {
			return all, err
		}
		if all = append(all, item); n > 0 && len(all) == n {
			break
		}
	}
	return all, nil
}

// values are the parameters that have one.
func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

func dryRun(path string, dry bool) string {
	if dry {
		return path + "?dry_run=true"
	}
	return path
}

// Projects are those that the token may see; text is a part of the name or address.
func (c *Client) Projects(ctx context.Context, text string) iter.Seq2[api.Project, error] {
	return list[api.Project](ctx, c, "/projects", values("q", text))
}

// Project is one, by id or name.
func (c *Client) Project(ctx context.Context, name string) (p api.Project, err error) {
	return p, c.call(ctx, http.MethodGet, "/projects/"+url.PathEscape(name), nil, &p)
}

// CreateProject creates one, and with it a run unless that says otherwise; with dry it is only checked.
func (c *Client) CreateProject(ctx context.Context, want NewProject, dry bool) (p api.Project, err error) {
	return p, c.call(ctx, http.MethodPost, dryRun("/projects", dry), want, &p)
}

// DeleteProject deletes one and everything of it.
func (c *Client) DeleteProject(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/projects/"+url.PathEscape(name), nil, nil)
}

// Repositories are what a project has published.
func (c *Client) Repositories(ctx context.Context, project string) ([]api.Repository, error) {
	return Collect(list[api.Repository](ctx, c, "/projects/"+url.PathEscape(project)+"/repositories", nil), 0)
}

// Outdated is what the last update check of a project found, by target.
func (c *Client) Outdated(ctx context.Context, project string) ([]api.Outdated, error) {
	return Collect(list[api.Outdated](ctx, c, "/projects/"+url.PathEscape(project)+"/outdated", nil), 0)
}

// TakeNewer has a project take the newer versions that fit of some packages, of all where none is named, and starts a run; with dry it is
// only said what the project would say.
func (c *Client) TakeNewer(ctx context.Context, project string, packages []string, dry bool) (t api.TakenNewer, err error) {
	body := struct {
		Packages []string `json:"packages,omitempty"`
		All      bool     `json:"all,omitempty"`
	}{packages, len(packages) == 0}
	return t, c.call(ctx, http.MethodPost, dryRun("/projects/"+url.PathEscape(project)+"/outdated/take", dry), body, &t)
}

// Snapshots are those of a repository that are there, the one that was published last first.
func (c *Client) Snapshots(ctx context.Context, r api.Repository) ([]api.Snapshot, error) {
	return Collect(list[api.Snapshot](ctx, c, repositoryPath(r)+"/snapshots", nil), 0)
}

// RollBack has clients of a repository get a snapshot from now on; "": the one before. With dry it is only said which.
func (c *Client) RollBack(ctx context.Context, r api.Repository, snapshot string, dry bool) (s api.SwitchedRepository, err error) {
	body := struct {
		Snapshot string `json:"snapshot,omitempty"`
	}{snapshot}
	return s, c.call(ctx, http.MethodPost, dryRun(repositoryPath(r)+"/rollback", dry), body, &s)
}

// Unpin has clients of a repository get what was published last.
func (c *Client) Unpin(ctx context.Context, r api.Repository) (s api.SwitchedRepository, err error) {
	return s, c.call(ctx, http.MethodPost, repositoryPath(r)+"/unpin", nil, &s)
}

func repositoryPath(r api.Repository) string {
	return fmt.Sprintf("/projects/%d/repositories/%d", r.Project, r.ID)
}

// Discovered is what a Git address has.
type Discovered struct {
	Refs   []api.Ref `json:"refs"`
	Commit string    `json:"commit"`
}

// Discover asks a Git address for its refs, and for the commit of one.
func (c *Client) Discover(ctx context.Context, gitURL, ref string) (d Discovered, err error) {
	return d, c.call(ctx, http.MethodGet, "/discover?"+values("git_url", gitURL, "ref", ref).Encode(), nil, &d)
}

// DiscoverProject asks the address of a project, with its secrets.
func (c *Client) DiscoverProject(ctx context.Context, project string) (d Discovered, err error) {
	return d, c.call(ctx, http.MethodGet, "/projects/"+url.PathEscape(project)+"/discover", nil, &d)
}

// Secrets are what a project has secrets for, without their values.
func (c *Client) Secrets(ctx context.Context, project string) iter.Seq2[api.Secret, error] {
	return list[api.Secret](ctx, c, "/projects/"+url.PathEscape(project)+"/secrets", nil)
}

// SetSecret sets a secret of a project.
func (c *Client) SetSecret(ctx context.Context, project, name string, fields api.SecretFields) (s api.Secret, err error) {
	return s, c.call(ctx, http.MethodPut, "/projects/"+url.PathEscape(project)+"/secrets/"+url.PathEscape(name), fields, &s)
}

// DeleteSecret deletes one.
func (c *Client) DeleteSecret(ctx context.Context, project, name string) error {
	return c.call(ctx, http.MethodDelete, "/projects/"+url.PathEscape(project)+"/secrets/"+url.PathEscape(name), nil, nil)
}

// SpecFilter chooses revisions of a project's spec files; an empty field chooses all.
type SpecFilter struct {
	Target  string
	Package string // NAME or NAME==VERSION
}

// NewSpec is a spec file to be saved.
type NewSpec struct {
	api.SpecPlace
	api.SpecChange
	Text string `json:"text"`
}

func specs(project string) string { return "/projects/" + url.PathEscape(project) + "/specs" }

// Specs are the revisions of a project's spec files, the newest first.
func (c *Client) Specs(ctx context.Context, project string, f SpecFilter) iter.Seq2[api.SpecRevision, error] {
	return list[api.SpecRevision](ctx, c, specs(project), values("target", f.Target, "package", f.Package))
}

// Spec is a revision with its text.
func (c *Client) Spec(ctx context.Context, project string, revision int64) (s api.SpecText, err error) {
	return s, c.call(ctx, http.MethodGet, fmt.Sprintf("%s/%d", specs(project), revision), nil, &s)
}

// CompareSpec compares a revision with another one, or with what ReqPM wrote last where that is 0.
func (c *Client) CompareSpec(ctx context.Context, project string, revision, with int64) (d api.SpecDiff, err error) {
	return d, c.call(ctx, http.MethodGet, fmt.Sprintf("%s/%d/diff?with=%d", specs(project), revision, with), nil, &d)
}

// SaveSpec saves a spec file; with dry it is only looked at, and compared with what ReqPM wrote last.
func (c *Client) SaveSpec(ctx context.Context, project string, s NewSpec, dry bool) (saved api.SavedSpec, err error) {
	return saved, c.call(ctx, http.MethodPost, dryRun(specs(project), dry), s, &saved)
}

// RestoreSpec saves the text of an earlier revision again.
func (c *Client) RestoreSpec(ctx context.Context, project string, revision int64, change api.SpecChange) (r api.SpecRevision, err error) {
	return r, c.call(ctx, http.MethodPost, fmt.Sprintf("%s/%d/restore", specs(project), revision), change, &r)
}

// DropSpec has builds of a package take what ReqPM writes again.
func (c *Client) DropSpec(ctx context.Context, project string, place api.SpecPlace, change api.SpecChange) (r api.SpecRevision, err error) {
	return r, c.call(ctx, http.MethodPost, specs(project)+"/drop", struct {
		api.SpecPlace
		api.SpecChange
	}{place, change}, &r)
}

// CheckSpec has a worker look at a spec file in the build root; with build it is built once, too.
func (c *Client) CheckSpec(ctx context.Context, project string, s NewSpec, build bool) (check api.SpecCheck, err error) {
	return check, c.call(ctx, http.MethodPost, "/projects/"+url.PathEscape(project)+"/spec-checks", struct {
		api.SpecPlace
		Text  string `json:"text"`
		Build bool   `json:"build,omitempty"`
	}{s.SpecPlace, s.Text, build}, &check)
}

// SpecCheck is how a check goes.
func (c *Client) SpecCheck(ctx context.Context, project string, id int64) (check api.SpecCheck, err error) {
	return check, c.call(ctx, http.MethodGet, fmt.Sprintf("/projects/%s/spec-checks/%d", url.PathEscape(project), id), nil, &check)
}

// CancelSpecCheck cancels a check.
func (c *Client) CancelSpecCheck(ctx context.Context, project string, id int64) (check api.SpecCheck, err error) {
	return check, c.call(ctx, http.MethodPost, fmt.Sprintf("/projects/%s/spec-checks/%d/cancel", url.PathEscape(project), id), nil, &check)
}

// RunFilter chooses runs; an empty field chooses all.
type RunFilter struct {
	Project string // id or name
	Number  int64
	States  string // by comma
}

// Runs are the newest first.
func (c *Client) Runs(ctx context.Context, f RunFilter) iter.Seq2[api.Run, error] {
	number := ""
	if f.Number > 0 {
		number = strconv.FormatInt(f.Number, 10)
	}
	return list[api.Run](ctx, c, "/runs", values("project", f.Project, "number", number, "state", f.States))
}

// Run is one, with its steps.
func (c *Client) Run(ctx context.Context, id int64) (r RunDetail, err error) {
	return r, c.call(ctx, http.MethodGet, fmt.Sprintf("/runs/%d", id), nil, &r)
}

// StartRun starts a run of a project.
func (c *Client) StartRun(ctx context.Context, project string, want NewRun) (r RunDetail, err error) {
	return r, c.call(ctx, http.MethodPost, "/projects/"+url.PathEscape(project)+"/runs", want, &r)
}

// CancelRun cancels one; one that has ended stays as it is.
func (c *Client) CancelRun(ctx context.Context, id int64) (r RunDetail, err error) {
	return r, c.call(ctx, http.MethodPost, fmt.Sprintf("/runs/%d/cancel", id), nil, &r)
}

// RetryRun does again what failed, or everything; with dry it only says what that would be.
func (c *Client) RetryRun(ctx context.Context, id int64, all, dry bool) (p api.RetryPlan, err error) {
	scope := "failed"
	if all {
		scope = "all"
	}
	return p, c.call(ctx, http.MethodPost, dryRun(fmt.Sprintf("/runs/%d/retry", id), dry), map[string]string{"scope": scope}, &p)
}

// RetryBuild does a build again, and maybe what needs it; with dry it only says what that would be.
func (c *Client) RetryBuild(ctx context.Context, id int64, dependents, dry bool) (p api.RetryPlan, err error) {
	return p, c.call(ctx, http.MethodPost, dryRun(fmt.Sprintf("/builds/%d/retry", id), dry), map[string]bool{"dependents": dependents}, &p)
}

// BuildFilter chooses builds; an empty field chooses all.
type BuildFilter struct {
	Run     int64
	Package string // NAME or NAME==VERSION
	Target  string
	States  string // by comma
}

// Builds of a run, or of all.
func (c *Client) Builds(ctx context.Context, f BuildFilter) iter.Seq2[api.Build, error] {
	run := ""
	if f.Run > 0 {
		run = strconv.FormatInt(f.Run, 10)
	}
	return list[api.Build](ctx, c, "/builds", values("run", run, "package", f.Package, "target", f.Target, "state", f.States))
}

// Build is one with its attempts.
func (c *Client) Build(ctx context.Context, id int64) (b BuildDetail, err error) {
	return b, c.call(ctx, http.MethodGet, fmt.Sprintf("/builds/%d", id), nil, &b)
}

// Queue is what runs and what could run now, the most urgent first; all kinds of steps.
func (c *Client) Queue(ctx context.Context) iter.Seq2[api.Build, error] {
	return list[api.Build](ctx, c, "/queue", url.Values{})
}

// Workers are all that ever were, each name once.
func (c *Client) Workers(ctx context.Context) ([]api.Worker, error) {
	return Collect(list[api.Worker](ctx, c, "/workers", nil), 0)
}

// DrainWorker has a worker take nothing new, or take work again.
func (c *Client) DrainWorker(ctx context.Context, id int64, drain bool) error {
	return c.call(ctx, http.MethodPost, fmt.Sprintf("/workers/%d/drain", id), map[string]bool{"drain": drain}, nil)
}

// Settings are the settings of the server.
func (c *Client) Settings(ctx context.Context) ([]api.Setting, error) {
	return Collect(list[api.Setting](ctx, c, "/settings", nil), 0)
}

// ChangeSettings sets values by name, and "reset" to names whose stored values are forgotten.
func (c *Client) ChangeSettings(ctx context.Context, change map[string]any) ([]api.Setting, error) {
	var answer struct {
		Items []api.Setting `json:"items"`
	}
	return answer.Items, c.call(ctx, http.MethodPatch, "/settings", change, &answer)
}

// Artifacts are the files of a run; kinds by comma, "" for all.
func (c *Client) Artifacts(ctx context.Context, run int64, kinds string) iter.Seq2[api.Artifact, error] {
	return list[api.Artifact](ctx, c, fmt.Sprintf("/runs/%d/artifacts", run), values("kind", kinds))
}

// Version is that of the server.
func (c *Client) Version(ctx context.Context) (string, error) {
	var document struct {
		Info struct {
			Title, Version string
		}
	}
	if err := c.call(ctx, http.MethodGet, "/openapi.json", nil, &document); err != nil {
		return "", err
	}
	if document.Info.Title != "ReqPM" {
		return "", fmt.Errorf("%s: %w: what answers there is no ReqPM server", c.base, ErrUnreachable)
	}
	return document.Info.Version, nil
}

// Search finds whatever has a text in its name, of what the token may see; limit is of each kind, 0: 10.
func (c *Client) Search(ctx context.Context, text string, limit int) ([]api.Hit, error) {
	v := values("q", text)
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	var found struct{ Items []api.Hit }
	err := c.call(ctx, http.MethodGet, "/search?"+v.Encode(), nil, &found)
	return found.Items, err
}
