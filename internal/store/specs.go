package store

import (
	"context"
	"fmt"
	"time"
)

// SpecKind says who a revision of a spec file is of.
type SpecKind string

// The kinds. Of a package on a target, the newest revision that is not Written says what its builds take.
const (
	SpecWritten SpecKind = ""     // by ReqPM, for a run
	SpecOwn     SpecKind = "own"  // saved by somebody: it is built from
	SpecBack    SpecKind = "back" // from here on what ReqPM writes counts again; it has no text
)

// SpecRevision is one text of a package's spec file.
type SpecRevision struct {
	ID      int64
	Project int64
	Target  string
	Package string // NAME==VERSION
	Kind    SpecKind
	Blob    string
	SHA256  string
	Message string
	Author  string
	At      time.Time
}

const revisionColumns = "id, project, target, package, kind, blob, sha256, message, author, at"

func scanRevision(row scanner) (r SpecRevision, err error) {
	err = row.Scan(&r.ID, &r.Project, &r.Target, &r.Package, &r.Kind, &r.Blob, &r.SHA256, &r.Message, &r.Author, timeColumn{&r.At})
	return r, err
}

// AddSpecRevision keeps one more text.
func (q Queries) AddSpecRevision(ctx context.Context, r SpecRevision) (SpecRevision, error) {
	r.At = now()
	var err error
	r.ID, err = q.insert(ctx, "keep a spec's revision", "INSERT INTO spec_revisions (project, target, package, kind, blob, sha256, message, author, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		r.Project, r.Target, r.Package, string(r.Kind), r.Blob, r.SHA256, r.Message, r.Author, millis(r.At))
	return r, err
}

// SpecRevision is ErrNotFound where there is none.
func (q Queries) SpecRevision(ctx context.Context, id int64) (SpecRevision, error) {
	return one(ctx, q, fmt.Sprintf("read revision %d of a spec", id), scanRevision, "SELECT "+revisionColumns+" FROM spec_revisions WHERE id = $1", id)
}

// SpecRevisions lists the texts of a package's spec for a target: of one version, or with a bare name of every one; of
// all packages when pkg is "", all targets when target is "".
func (q Queries) SpecRevisions(ctx context.Context, project int64, target, pkg string, p Page) (Part[SpecRevision], error) {
	var w where
	w.add("project = ?", project)
	if target != "" {
		w.add("target = ?", target)
	}
	if pkg != "" {
		w.addPackage("package", pkg)
	}
	return listing[SpecRevision]{
		what: "list a spec's revisions", query: "SELECT " + revisionColumns + " FROM spec_revisions", id: "id", scan: scanRevision,
		orders: map[string]order{"package": {"package", false}},
		key:    func(r SpecRevision, _ string) (any, int64) { return r.Package, r.ID },
	}.page(ctx, q, w, p)
}

// OwnSpecs are the spec files of people that the builds of a project take on a target; on all of its targets when target
// is "".
func (q Queries) OwnSpecs(ctx context.Context, project int64, target string) ([]SpecRevision, error) {
	var w where
	w.add("project = ?", project)
	w.add("kind = 'own'")
	if target != "" {
		w.add("target = ?", target)
	}
	w.add("NOT EXISTS (SELECT 1 FROM spec_revisions newer WHERE newer.project = spec_revisions.project AND newer.target = spec_revisions.target AND newer.package = spec_revisions.package AND newer.kind <> '' AND newer.id > spec_revisions.id)")
	return many(ctx, q, "read the spec files of people", scanRevision, "SELECT "+revisionColumns+" FROM spec_revisions"+w.String()+" ORDER BY target, package", w.args...)
}

// SpecsInUse are the revisions that the builds of a project take: the spec files of people (OwnSpecs), and of the others what
// ReqPM wrote last. On all targets when target is "", of all packages when pkg is "", of every version with a bare name.
func (q Queries) SpecsInUse(ctx context.Context, project int64, target, pkg string) ([]SpecRevision, error) {
	const same = "newer.project = s.project AND newer.target = s.target AND newer.package = s.package"
	const own = "kind = 'own' AND NOT EXISTS (SELECT 1 FROM spec_revisions b WHERE b.project = s.project AND b.target = s.target AND b.package = s.package AND b.kind <> '' AND b.id > "
	var w where
	w.add("s.project = ?", project)
	if target != "" {
		w.add("s.target = ?", target)
	}
	if pkg != "" {
		w.addPackage("s.package", pkg)
	}
	w.add("(s." + own + "s.id) OR s.kind = '' AND NOT EXISTS (SELECT 1 FROM spec_revisions newer WHERE " + same + " AND newer.kind = '' AND newer.id > s.id)" +
		" AND NOT EXISTS (SELECT 1 FROM spec_revisions newer WHERE " + same + " AND newer." + own + "newer.id)))")
	return many(ctx, q, "read the spec files in use", scanRevision, "SELECT "+revisionColumns+" FROM spec_revisions s"+w.String()+" ORDER BY s.target, s.package", w.args...)
}
