package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/textdiff"
)

// SpecRevision is one text of a package's spec file on a target.
type SpecRevision struct {
	ID      int64     `json:"id"`
	Target  string    `json:"target"`
	Package string    `json:"package" doc:"NAME==VERSION"`
	Kind    string    `json:"kind" enum:"generated,own,back" doc:"written by ReqPM; saved by somebody; from here on what ReqPM writes counts again"`
	File    string    `json:"file,omitempty" doc:"what the spec file is called"`
	InUse   bool      `json:"in_use" doc:"builds take it"`
	Older   bool      `json:"older" doc:"it is somebody's own, in use, and ReqPM has written another one since: compare them"`
	Message string    `json:"message"`
	Author  string    `json:"author"`
	SHA256  string    `json:"sha256,omitempty"`
	At      time.Time `json:"at"`
}

func specKind(k store.SpecKind) string {
	if k == store.SpecWritten {
		return "generated"
	}
	return string(k)
}

func specRevisionView(r store.SpecRevision) SpecRevision {
	v := SpecRevision{ID: r.ID, Target: r.Target, Package: r.Package, Kind: specKind(r.Kind), Message: r.Message, Author: r.Author, SHA256: r.SHA256, At: r.At}
	if r.Kind != store.SpecBack {
		v.File = service.RevisionFile(r)
	}
	return v
}

// SpecPath names a revision of a project.
type SpecPath struct {
	ProjectPath
	Revision int64 `path:"revision" minimum:"1" doc:"id of the revision"`
}

func (a *API) specOperations() {
	const path = "/projects/{id}/specs"
	register(a, operation{method: http.MethodGet, about: aboutProject, path: path, id: "list-specs", summary: "Revisions of a project's spec files, the newest first", role: auth.Viewer, tag: "specs", sorts: []string{"package"}}, a.listSpecs)
	register(a, operation{method: http.MethodGet, about: aboutProject, path: path + "/{revision}", id: "read-spec", summary: "A revision with its text", role: auth.Viewer, tag: "specs", errors: []int{http.StatusGone}}, a.readSpec)
	register(a, operation{method: http.MethodGet, about: aboutProject, path: path + "/{revision}/diff", id: "compare-spec", summary: "What a revision has otherwise than what ReqPM wrote last, or than another revision", role: auth.Viewer, tag: "specs", errors: []int{http.StatusGone}}, a.compareSpec)
	register(a, operation{method: http.MethodPost, about: aboutProject, path: path, id: "save-spec", summary: "Save a spec file of your own; the next run builds with it", role: auth.Maintainer, tag: "specs", status: http.StatusCreated}, a.saveSpec)
	register(a, operation{method: http.MethodPost, about: aboutProject, path: path + "/{revision}/restore", id: "restore-spec", summary: "Save the text of an earlier revision again, as a new one", role: auth.Maintainer, tag: "specs", status: http.StatusCreated, errors: []int{http.StatusGone}}, a.restoreSpec)
	register(a, operation{method: http.MethodPost, about: aboutProject, path: path + "/drop", id: "drop-spec", summary: "Have builds take what ReqPM writes again; your own stays among the revisions", role: auth.Maintainer, tag: "specs", status: http.StatusCreated}, a.dropSpec)
}

type listSpecsInput struct {
	ProjectPath
	Page
	Target  string `query:"target" maxLength:"100"`
	Package string `query:"package" maxLength:"200" doc:"NAME==VERSION, or NAME for every version"`
}

func (a *API) listSpecs(ctx context.Context, in *listSpecsInput) (*listOf[SpecRevision], error) {
	p, err := a.project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	part, err := a.cfg.Store.SpecRevisions(ctx, p.ID, in.Target, in.Package, in.store())
	if err != nil {
		return nil, err
	}
	use, err := a.specsInUse(ctx, p.ID, in.Target, in.Package)
	return newList(part, use.view), err
}

// usedSpecs are the revisions that builds take, by id.
type usedSpecs map[int64]store.SpecRevision

func (a *API) specsInUse(ctx context.Context, project int64, target, pkg string) (usedSpecs, error) {
	all, err := a.cfg.Store.SpecsInUse(ctx, project, target, pkg)
	use := usedSpecs{}
	for _, r := range all {
		use[r.ID] = r
	}
	return use, err
}

func (u usedSpecs) view(r store.SpecRevision) SpecRevision {
	v := specRevisionView(r)
	_, v.InUse = u[r.ID]
	return v
}

type specOutput struct{ Body SpecRevision }

// SpecText is a revision with its text.
type SpecText struct {
	SpecRevision
	Text string `json:"text"`
}

type specTextOutput struct{ Body SpecText }

// spec is a revision of a project as answers have it, and its text; 410 where retention took that.
func (a *API) spec(ctx context.Context, project string, id int64) (SpecText, store.SpecRevision, error) {
	p, err := a.project(ctx, project)
	if err != nil {
		return SpecText{}, store.SpecRevision{}, err
	}
	r, err := service.ProjectRevision(ctx, a.cfg.Store.Queries, p.ID, id)
	if err != nil {
		return SpecText{}, r, err
	}
	use, err := a.specsInUse(ctx, p.ID, r.Target, r.Package)
	if err != nil {
		return SpecText{}, r, err
	}
	v := SpecText{SpecRevision: use.view(r)}
	if v.InUse && r.Kind == store.SpecOwn {
		written, _, known, err := service.WrittenSpec(ctx, a.cfg.Store.Queries, a.cfg.Blobs, p.ID, r.Target, r.Package)
		if err != nil {
			return v, r, err
		}
		v.Older = known && written.ID > r.ID
	}
	v.Text, err = service.ReadRevision(ctx, a.cfg.Blobs, r)
	return v, r, specGone(err)
}

func specGone(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return huma.Error410Gone("retention has removed the text of the revision with its run")
	}
	return err
}

func (a *API) readSpec(ctx context.Context, in *SpecPath) (*specTextOutput, error) {
	v, _, err := a.spec(ctx, in.ID, in.Revision)
	return &specTextOutput{v}, err
}

// SpecDiff is what two spec files have otherwise.
type SpecDiff struct {
	Old     *SpecRevision `json:"old,omitempty" doc:"absent: what ReqPM wrote is not known any more, and all is new"`
	New     *SpecRevision `json:"new,omitempty" doc:"absent: a text that is not saved"`
	Added   int           `json:"added" doc:"lines"`
	Removed int           `json:"removed" doc:"lines"`
	Diff    string        `json:"diff" doc:"as diff -u writes it, without file names; empty: they are the same"`
}

func specDiff(older, newer string) SpecDiff {
	lines := textdiff.Lines(textdiff.Split(older), textdiff.Split(newer), 3)
	d := SpecDiff{Diff: textdiff.Unified(lines)}
	d.Added, d.Removed = textdiff.Counts(lines)
	return d
}

type compareSpecInput struct {
	SpecPath
	With int64 `query:"with" minimum:"0" doc:"id of another revision of the project; absent: what ReqPM wrote last of the same package on the same target"`
}

type specDiffOutput struct{ Body SpecDiff }

func (a *API) compareSpec(ctx context.Context, in *compareSpecInput) (*specDiffOutput, error) {
	newer, r, err := a.spec(ctx, in.ID, in.Revision)
	if err != nil {
		return nil, err
	}
	if in.With != 0 {
		older, _, err := a.spec(ctx, in.ID, in.With)
		if err != nil {
			return nil, err
		}
		out := &specDiffOutput{specDiff(older.Text, newer.Text)}
		out.Body.Old, out.Body.New = &older.SpecRevision, &newer.SpecRevision
		return out, nil
	}
	out, err := a.againstWritten(ctx, r.Project, r.Target, r.Package, newer.Text)
	if err == nil {
		out.New = &newer.SpecRevision
	}
	return &specDiffOutput{out}, err
}

// againstWritten compares a text with what ReqPM wrote last.
func (a *API) againstWritten(ctx context.Context, project int64, target, pkg, text string) (SpecDiff, error) {
	written, generated, known, err := service.WrittenSpec(ctx, a.cfg.Store.Queries, a.cfg.Blobs, project, target, pkg)
	if err != nil {
		return SpecDiff{}, err
	}
	d := specDiff(generated, text)
	if known {
		v := specRevisionView(written)
		d.Old = &v
	}
	return d, nil
}

// SpecPlace says what a spec file is of.
type SpecPlace struct {
	Target  string `json:"target" minLength:"1" maxLength:"100"`
	Package string `json:"package" minLength:"1" maxLength:"200" doc:"NAME==VERSION, as list-specs has it"`
}

// SpecChange is what every change of a spec file says beside its text.
type SpecChange struct {
	Message string `json:"message,omitempty" maxLength:"500" doc:"what the change is for; a save must have one"`
	Base    *int64 `json:"base,omitempty" minimum:"0" doc:"the newest revision of the package on the target that you have seen, 0 for none: 409 when there is another one since. Absent: whatever there is"`
}

type saveSpecInput struct {
	ProjectPath
	DryRun bool `query:"dry_run" doc:"check the text as far as no rpm is needed, say what it changes, and save nothing"`
	Body   struct {
		SpecPlace
		SpecChange
		Text string `json:"text" minLength:"1" maxLength:"262144" doc:"the spec file, at most 256 KiB of UTF-8"`
	}
}

// SavedSpec is what comes of a save.
type SavedSpec struct {
	DryRun   bool          `json:"dry_run"`
	Revision *SpecRevision `json:"revision,omitempty" doc:"the new one; absent in a dry run"`
	Changes  SpecDiff      `json:"changes" doc:"against what ReqPM wrote last"`
}

type savedSpecOutput struct {
	Status int
	Body   SavedSpec
}

// edit is a change of a spec as the service takes it. Where it is about a target, that must be one of the project.
func (a *API) edit(ctx context.Context, project, target string, c SpecChange) (service.SpecEdit, error) {
	p, err := a.project(ctx, project)
	if err != nil {
		return service.SpecEdit{}, err
	}
	if target != "" && !slices.Contains(p.Targets, target) {
		return service.SpecEdit{}, invalid("target", "the project has no target %q, it has %s", target, strings.Join(p.Targets, ", "))
	}
	e := service.SpecEdit{Project: p.ID, Target: target, Message: c.Message, Author: auth.FromContext(ctx).String(), Base: -1}
	if c.Base != nil {
		e.Base = *c.Base
	}
	return e, nil
}

// auditSpec notes a change of a spec, in its transaction.
func (a *API) auditSpec(ctx context.Context, action string) func(tx *store.Tx, r store.SpecRevision) error {
	return func(tx *store.Tx, r store.SpecRevision) error {
		return auth.FromContext(ctx).Audit(ctx, tx, auth.Change{Action: action, Object: r.Package, Project: r.Project, Detail: map[string]any{"target": r.Target, "revision": r.ID, "message": r.Message}})
	}
}

// specProblem is 422 for what is no spec, and 409 for what somebody has changed meanwhile.
func specProblem(err error) error {
	if changed, ok := errors.AsType[*service.SpecChangedError](err); ok {
		return conflict("%v; the newest revision is %d", changed, changed.Newest.ID)
	}
	if errors.Is(err, service.ErrSpec) {
		return invalid("", "%v", err)
	}
	return specGone(err)
}

func (a *API) saveSpec(ctx context.Context, in *saveSpecInput) (*savedSpecOutput, error) {
	e, err := a.edit(ctx, in.ID, in.Body.Target, in.Body.SpecChange)
	if err != nil {
		return nil, err
	}
	e.Package, e.Text = in.Body.Package, service.SpecText(in.Body.Text)
	out := &savedSpecOutput{Status: http.StatusCreated, Body: SavedSpec{DryRun: in.DryRun}}
	if in.DryRun {
		out.Status, e.Message = http.StatusOK, cmp.Or(e.Message, "not saved")
		if err := service.CheckSpec(ctx, a.cfg.Store.Queries, e); err != nil {
			return nil, specProblem(err)
		}
	} else {
		r, err := service.SaveSpec(ctx, a.cfg.Store, a.cfg.Blobs, e, a.auditSpec(ctx, "spec.save"))
		if err != nil {
			return nil, specProblem(err)
		}
		v := specRevisionView(r)
		v.InUse = true
		out.Body.Revision = &v
	}
	out.Body.Changes, err = a.againstWritten(ctx, e.Project, e.Target, e.Package, e.Text)
	return out, err
}

type restoreSpecInput struct {
	SpecPath
	Body *SpecChange
}

func (a *API) restoreSpec(ctx context.Context, in *restoreSpecInput) (*specOutput, error) {
	var c SpecChange
	if in.Body != nil {
		c = *in.Body
	}
	e, err := a.edit(ctx, in.ID, "", c)
	if err != nil {
		return nil, err
	}
	r, err := service.RestoreSpec(ctx, a.cfg.Store, a.cfg.Blobs, e, in.Revision, a.auditSpec(ctx, "spec.restore"))
	if err != nil {
		return nil, specProblem(err)
	}
	v := specRevisionView(r)
	v.InUse = true
	return &specOutput{v}, nil
}

type dropSpecInput struct {
	ProjectPath
	Body struct {
		SpecPlace
		SpecChange
	}
}

func (a *API) dropSpec(ctx context.Context, in *dropSpecInput) (*specOutput, error) {
	e, err := a.edit(ctx, in.ID, in.Body.Target, in.Body.SpecChange)
	if err != nil {
		return nil, err
	}
	e.Package, e.Message = in.Body.Package, cmp.Or(e.Message, "Back to the generated spec")
	r, err := service.DropSpec(ctx, a.cfg.Store, e, a.auditSpec(ctx, "spec.back"))
	if err != nil {
		return nil, specProblem(err)
	}
	return &specOutput{specRevisionView(r)}, nil
}
