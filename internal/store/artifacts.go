package store

import (
	"context"
	"time"
)

// Artifact is a file that a step made.
type Artifact struct {
	ID      int64
	Run     int64
	Step    int64
	Kind    string // rpm, srpm, spec, log, manifest
	Name    string // of the file
	Blob    string
	Size    int64
	SHA256  string
	Created time.Time
}

const artifactColumns = "id, run, step, kind, name, blob, size, sha256, created"

func scanArtifact(row scanner) (a Artifact, err error) {
	err = row.Scan(&a.ID, &a.Run, &a.Step, &a.Kind, &a.Name, &a.Blob, &a.Size, &a.SHA256, timeColumn{&a.Created})
	return a, err
}

// PutArtifact notes a file. A step that is done again notes the same file again: the newer counts.
func (q Queries) PutArtifact(ctx context.Context, a Artifact) (Artifact, error) {
	a.Created = now()
	var err error
	a.ID, err = q.insert(ctx, "note the artifact "+a.Name, `INSERT INTO artifacts (run, step, kind, name, blob, size, sha256, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (run, step, kind, name) DO UPDATE SET blob = excluded.blob, size = excluded.size, sha256 = excluded.sha256, created = excluded.created`,
		a.Run, a.Step, a.Kind, a.Name, a.Blob, a.Size, a.SHA256, millis(a.Created))
	return a, err
}

// Artifact is ErrNotFound where there is none.
func (q Queries) Artifact(ctx context.Context, id int64) (Artifact, error) {
	return one(ctx, q, "read an artifact", scanArtifact, "SELECT "+artifactColumns+" FROM artifacts WHERE id = $1", id)
}

// ArtifactFilter chooses artifacts; a zero field chooses all.
type ArtifactFilter struct {
	Run, Step int64
	Kinds     []string
	Blob      string
}

// Artifacts lists artifacts; sorted by id or name.
func (q Queries) Artifacts(ctx context.Context, f ArtifactFilter, p Page) (Part[Artifact], error) {
	var w where
	if f.Run != 0 {
		w.add("run = ?", f.Run)
	}
	if f.Step != 0 {
		w.add("step = ?", f.Step)
	}
	in(&w, "kind", f.Kinds)
	if f.Blob != "" {
		w.add("blob = ?", f.Blob)
	}
	return listing[Artifact]{
		what: "list artifacts", query: "SELECT " + artifactColumns + " FROM artifacts", id: "id", scan: scanArtifact,
		orders: map[string]order{"name": {"name", false}},
		key:    func(a Artifact, _ string) (any, int64) { return a.Name, a.ID },
	}.page(ctx, q, w, p)
}

// Snapshot is one immutable published state of a repository.
type Snapshot struct {
	ID       int64
	Project  int64
	Run      int64
	Target   string
	Path     string // of its directory
	Packages int64
	Size     int64
	Proof    string // what the proof of installability said; "": not proven
	Created  time.Time
}

const snapshotColumns = "id, project, run, target, path, packages, size, proof, created"

func scanSnapshot(row scanner) (s Snapshot, err error) {
	err = row.Scan(&s.ID, &s.Project, &s.Run, &s.Target, &s.Path, &s.Packages, &s.Size, &s.Proof, timeColumn{&s.Created})
	return s, err
}

// AddSnapshot notes a published state; the same path again is the same snapshot.
func (q Queries) AddSnapshot(ctx context.Context, s Snapshot) (Snapshot, error) {
	s.Created = now()
	var err error
	s.ID, err = q.insert(ctx, "note a snapshot", `INSERT INTO snapshots (project, run, target, path, packages, size, proof, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (project, target, path) DO UPDATE SET packages = excluded.packages, size = excluded.size`,
		s.Project, s.Run, s.Target, s.Path, s.Packages, s.Size, s.Proof, millis(s.Created))
	return s, err
}

// SetProof notes what the proof of a snapshot said, which is named by its path.
func (q Queries) SetProof(ctx context.Context, project int64, target, path, proof string) error {
	return q.must(ctx, "note a snapshot's proof", "UPDATE snapshots SET proof = $4 WHERE project = $1 AND target = $2 AND path = $3", project, target, path, proof)
}

// Snapshots lists a project's published states; for all targets when target is "".
func (q Queries) Snapshots(ctx context.Context, project int64, target string, p Page) (Part[Snapshot], error) {
	var w where
	w.add("project = ?", project)
	if target != "" {
		w.add("target = ?", target)
	}
	return listing[Snapshot]{
		what: "list snapshots", query: "SELECT " + snapshotColumns + " FROM snapshots", id: "id", scan: scanSnapshot,
		key: func(s Snapshot, _ string) (any, int64) { return s.ID, s.ID },
	}.page(ctx, q, w, p)
}

// Snapshot is ErrNotFound where there is none.
func (q Queries) Snapshot(ctx context.Context, id int64) (Snapshot, error) {
	return one(ctx, q, "read a snapshot", scanSnapshot, "SELECT "+snapshotColumns+" FROM snapshots WHERE id = $1", id)
}

// SnapshotAt is the one at a path: ErrNotFound.
func (q Queries) SnapshotAt(ctx context.Context, project int64, target, path string) (Snapshot, error) {
	return one(ctx, q, "read a snapshot", scanSnapshot, "SELECT "+snapshotColumns+" FROM snapshots WHERE project = $1 AND target = $2 AND path = $3", project, target, path)
}

// DeleteSnapshot is ErrReference when a repository points at it.
func (q Queries) DeleteSnapshot(ctx context.Context, id int64) error {
	return q.must(ctx, "delete a snapshot", "DELETE FROM snapshots WHERE id = $1", id)
}

// Repository is a channel of a project for one target; it points at one snapshot.
type Repository struct {
	ID       int64
	Project  int64
	Channel  string // testing, stable
	Target   string
	Snapshot int64
	Checked  time.Time // its metadata, last
	Problem  string    // that the check found; "": none
	Updated  time.Time
	PinnedBy string // who rolled it back to its snapshot; "": it is not pinned
	PinnedAt time.Time
}

const repositoryColumns = "id, project, channel, target, snapshot, checked, problem, updated, pinned_by, pinned_at"

func scanRepository(row scanner) (r Repository, err error) {
	err = row.Scan(&r.ID, &r.Project, &r.Channel, &r.Target, &r.Snapshot, timeColumn{&r.Checked}, &r.Problem, timeColumn{&r.Updated}, &r.PinnedBy, timeColumn{&r.PinnedAt})
	return r, err
}

// PointRepository makes a channel point at a snapshot; the channel is made where there is none.
func (tx *Tx) PointRepository(ctx context.Context, project int64, channel, target string, snapshot int64) (Repository, error) {
	r, err := one(ctx, tx.Queries, "switch the channel "+channel, scanRepository, `INSERT INTO repositories (project, channel, target, snapshot, checked, problem, updated) VALUES ($1, $2, $3, $4, 0, '', $5)
		ON CONFLICT (project, channel, target) DO UPDATE SET snapshot = excluded.snapshot, problem = '', updated = excluded.updated RETURNING `+repositoryColumns,
		project, channel, target, snapshot, millis(now()))
	if err != nil {
		return r, err
	}
	return r, tx.AddEvent(ctx, Event{Kind: "repository", Project: project})
}

// PinRepository makes a repository point at a snapshot and stay there, or by nobody ("") at one from which publications go
// on. ErrNotFound.
func (tx *Tx) PinRepository(ctx context.Context, id, snapshot int64, by string) (Repository, error) {
	at := int64(0)
	if by != "" {
		at = millis(now())
	}
	r, err := one(ctx, tx.Queries, "pin a repository", scanRepository, "UPDATE repositories SET snapshot = $2, problem = '', updated = $3, pinned_by = $4, pinned_at = $5 WHERE id = $1 RETURNING "+repositoryColumns,
		id, snapshot, millis(now()), by, at)
	if err != nil {
		return r, err
	}
	return r, tx.AddEvent(ctx, Event{Kind: "repository", Project: r.Project})
}

// Repositories are a project's; everybody's when project is 0.
func (q Queries) Repositories(ctx context.Context, project int64) ([]Repository, error) {
	var w where
	if project != 0 {
		w.add("project = ?", project)
	}
	return many(ctx, q, "list repositories", scanRepository, "SELECT "+repositoryColumns+" FROM repositories"+w.String()+" ORDER BY project, channel, target", w.args...)
}

// SetRepositoryCheck notes what a check of a repository's metadata found; "": nothing wrong.
func (q Queries) SetRepositoryCheck(ctx context.Context, id int64, problem string) error {
	return q.must(ctx, "note a repository's check", "UPDATE repositories SET checked = $2, problem = $3 WHERE id = $1", id, millis(now()), problem)
}
