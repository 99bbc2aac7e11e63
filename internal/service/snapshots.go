package service

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"reqpm/internal/repo"
	"reqpm/internal/store"
)

// Repositories rolls published repositories back; Service is the one implementation, where the repositories are. Safe for
// concurrent use.
type Repositories interface {
	// Snapshots are those of a repository that clients could get, the one that was published last first.
	Snapshots(ctx context.Context, p store.Project, r store.Repository) ([]Snapshot, error)
	// Changes are the packages that clients would get otherwise if one of them took the place of the current one:
	// repo.ErrNoSnapshot.
	Changes(ctx context.Context, p store.Project, r store.Repository, snapshot string) ([]repo.Change, error)
	// RollBack makes one of them current and pins it: repo.ErrNoSnapshot, repo.ErrDamaged. note is called in the transaction that says so.
	RollBack(ctx context.Context, p store.Project, r store.Repository, snapshot, by string, note func(tx *store.Tx) error) (store.Repository, error)
	// Unpin makes the one current that was published last: repo.ErrNotPinned.
	Unpin(ctx context.Context, p store.Project, r store.Repository, by string, note func(tx *store.Tx) error) (store.Repository, error)
}

var _ Repositories = (*Service)(nil)

// Snapshot is a published state of a repository that is there.
type Snapshot struct {
	ID        string    `json:"id" doc:"digest of what is in it"`
	Run       int64     `json:"run,omitempty" doc:"that published it first; absent: retention has removed it"`
	Packages  int       `json:"packages" doc:"without source packages"`
	Size      int64     `json:"size,omitempty" doc:"bytes; absent: not known"`
	Proven    bool      `json:"proven" doc:"the whole set was installed from it in a clean root"`
	Created   time.Time `json:"created" doc:"when it was noted here first"`
	Published time.Time `json:"published" doc:"last"`
	Current   bool      `json:"current" doc:"clients get it"`
	Pinned    bool      `json:"pinned" doc:"and go on getting it, whatever is published"`
}

// snapshotPath is what the database calls a snapshot: its folder below that of all repositories.
func snapshotPath(project, channel, target, id string) string {
	return path.Join(project, channel, target, "snapshots", id)
}

// Snapshots implements Repositories.
func (s *Service) Snapshots(ctx context.Context, p store.Project, r store.Repository) ([]Snapshot, error) {
	kept, err := repo.Snapshots(s.repositoryRoot(p.Name, r.Channel, r.Target))
	if err != nil {
		return nil, err
	}
	noted := map[string]store.Snapshot{}
	page := store.Page{Limit: 500, Sort: "-id"}
	for range 20 { // the newest 10,000
		part, err := s.cfg.Store.Snapshots(ctx, p.ID, r.Target, page)
		if err != nil {
			return nil, err
		}
		for _, known := range part.Items {
			noted[known.Path] = known
		}
		if page.Cursor = part.Next; page.Cursor == "" {
			break
		}
	}
	all := []Snapshot{}
	for _, k := range kept {
		known, ok := noted[snapshotPath(p.Name, r.Channel, r.Target, k.ID)]
		if !ok { // the database is older than the repositories
			packages, err := repo.SnapshotPackages(s.repositoryRoot(p.Name, r.Channel, r.Target), k.ID)
			if err != nil {
				continue // damaged, or removed just now
			}
			known.Packages, known.Created = int64(len(packages)), k.Published
		}
		all = append(all, Snapshot{ID: k.ID, Run: known.Run, Packages: int(known.Packages), Size: known.Size, Proven: known.Proof != "", Created: known.Created, Published: k.Published, Current: k.Current, Pinned: k.Pinned})
	}
	return all, nil
}

// Changes implements Repositories.
func (s *Service) Changes(_ context.Context, p store.Project, r store.Repository, snapshot string) ([]repo.Change, error) {
	return repo.Changes(s.repositoryRoot(p.Name, r.Channel, r.Target), snapshot)
}

// RollBack implements Repositories.
func (s *Service) RollBack(ctx context.Context, p store.Project, r store.Repository, snapshot, by string, note func(tx *store.Tx) error) (store.Repository, error) {
	if err := repo.RollBack(ctx, s.repositoryRoot(p.Name, r.Channel, r.Target), snapshot); err != nil {
		return r, err
	}
	return s.noteSwitch(ctx, p, r, snapshot, by, fmt.Sprintf("repository %s/%s: rolled back to the snapshot %s by %s; it stays there, whatever is published, until it is unpinned", r.Channel, r.Target, snapshot, by), note)
}

// Unpin implements Repositories.
func (s *Service) Unpin(ctx context.Context, p store.Project, r store.Repository, by string, note func(tx *store.Tx) error) (store.Repository, error) {
	snapshot, err := repo.Unpin(ctx, s.repositoryRoot(p.Name, r.Channel, r.Target))
	if err != nil {
		return r, err
	}
	return s.noteSwitch(ctx, p, r, snapshot, "", fmt.Sprintf("repository %s/%s: unpinned by %s; clients get the snapshot %s, which was published last", r.Channel, r.Target, by, snapshot), note)
}

// noteSwitch notes which snapshot clients get, after the link was switched. Where this fails the switch counts, and asking
// once more notes it.
func (s *Service) noteSwitch(ctx context.Context, p store.Project, r store.Repository, snapshot, pinnedBy, text string, note func(tx *store.Tx) error) (store.Repository, error) {
	packages, err := repo.SnapshotPackages(s.repositoryRoot(p.Name, r.Channel, r.Target), snapshot)
	if err != nil {
		return r, err
	}
	name := snapshotPath(p.Name, r.Channel, r.Target, snapshot)
	return r, s.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		// The snapshot is known, unless the database is older than the repositories.
		known, err := tx.SnapshotAt(ctx, p.ID, r.Target, name)
		if errors.Is(err, store.ErrNotFound) {
			known, err = tx.AddSnapshot(ctx, store.Snapshot{Project: p.ID, Target: r.Target, Path: name, Packages: int64(len(packages))})
		}
		if err != nil {
			return err
		}
		if r, err = tx.PinRepository(ctx, r.ID, known.ID, pinnedBy); err != nil {
			return err
		}
		if _, err := tx.AddLogEntry(ctx, store.LogEntry{Project: p.ID, Level: "warning", Message: text}); err != nil {
			return err
		}
		return note(tx)
	})
}
