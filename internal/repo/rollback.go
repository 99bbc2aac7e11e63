package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A repository can be rolled back: an earlier snapshot is made current again and pinned. While it is, publications make
// their snapshots as ever, and change nothing of what clients get. ROOT/pinned has the id of the snapshot.

const pinFile = "pinned"

// Errors of RollBack and Unpin.
var (
	ErrNoSnapshot = errors.New("there is no such snapshot")
	ErrNotPinned  = errors.New("the repository is not pinned")
	ErrDamaged    = errors.New("the snapshot is not as it was written")
)

// snapshotIDs are what snapshots are called.
var snapshotIDs = regexp.MustCompile(`^[0-9a-f]{20}$`)

// Kept is a snapshot that is there.
type Kept struct {
	ID        string
	Published time.Time // last
	Current   bool
	Pinned    bool
}

// Snapshots are those of a root that clients could get, the one that was published last first; what is in them is not read.
// None where nothing was.
func Snapshots(root string) ([]Kept, error) {
	dir, err := os.OpenRoot(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the snapshots of %s: %w", root, err)
	}
	defer dir.Close()
	entries, err := fs.ReadDir(dir.FS(), snapshotsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the snapshots of %s: %w", root, err)
	}
	current, pinned := currentID(root), pinnedID(root)
	var all []Kept
	for _, e := range entries {
		if !e.IsDir() || !snapshotIDs.MatchString(e.Name()) {
			continue
		}
		k := Kept{ID: e.Name(), Current: e.Name() == current, Pinned: e.Name() == pinned}
		info, err := e.Info()
		if err != nil {
			continue // a publication has just removed it
		}
		k.Published = info.ModTime()
		if _, err := dir.Stat(filepath.Join(snapshotsDir, k.ID, manifestFile)); err != nil {
			continue // it is damaged, and the next publication of the set makes it anew
		}
		all = append(all, k)
	}
	slices.SortFunc(all, func(x, y Kept) int { return y.Published.Compare(x.Published) })
	return all, nil
}

// currentID is the snapshot that clients get; "": none.
func currentID(root string) string {
	link, err := os.Readlink(filepath.Join(root, Current))
	if err != nil {
		return ""
	}
	return filepath.Base(link)
}

// pinnedID is the snapshot that clients are to get whatever is published; "": none. A pin counts while its snapshot is the
// current one: who switches the link by hand has unpinned it.
func pinnedID(root string) string {
	text, err := os.ReadFile(filepath.Join(root, pinFile))
	if id := strings.TrimSpace(string(text)); err == nil && id == currentID(root) {
		return id
	}
	return ""
}

// RollBack makes a snapshot current and pins it. It waits for a publication that is at work. ErrNoSnapshot: it is not there
// any more; ErrDamaged: its files are others than were written; any other error is about this machine. What was current stays so then.
func RollBack(ctx context.Context, root, id string) error {
	if !snapshotIDs.MatchString(id) {
		return fmt.Errorf("%w: %.40q", ErrNoSnapshot, id)
	}
	return switching(ctx, root, "roll back", func(p *publication) error {
		dir := filepath.Join(p.root, snapshotsDir, id)
		if _, err := os.Stat(filepath.Join(dir, manifestFile)); err != nil {
			return fmt.Errorf("%w: %s", ErrNoSnapshot, id)
		}
		if _, err := readSnapshot(ctx, dir); err != nil {
			return err
		}
		// The pin first: who is killed in between leaves one that does not count.
		if err := writeAtomic(filepath.Join(p.root, pinFile), []byte(id+"\n"), 0o644); err != nil {
			return err
		}
		return p.pointAt(id)
	})
}

// Unpin ends a pin, makes the snapshot current that was published last, and gives its id. ErrNotPinned.
func Unpin(ctx context.Context, root string) (id string, err error) {
	return id, switching(ctx, root, "unpin", func(p *publication) error {
		if pinnedID(p.root) == "" {
			return ErrNotPinned
		}
		all, err := Snapshots(p.root)
		if err != nil {
			return err
		}
		id = currentID(p.root)
		if len(all) > 0 {
			id = all[0].ID
		}
		if err := p.pointAt(id); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(p.root, pinFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return syncDir(p.root)
	})
}

// switching does something to the link of a root, which no publication works in meanwhile.
func switching(ctx context.Context, root, what string, do func(p *publication) error) error {
	fail := func(err error) error { return fmt.Errorf("%s the repository %s: %w", what, root, err) }
	root, err := filepath.Abs(root)
	if err != nil {
		return fail(err)
	}
	if _, err := os.Stat(filepath.Join(root, snapshotsDir)); err != nil {
		return fail(fmt.Errorf("%w: nothing is published there", ErrNoSnapshot))
	}
	unlock, err := lockRoot(ctx, root)
	if err != nil {
		return fail(err)
	}
	defer unlock()
	if err := do(&publication{root: root}); err != nil {
		return fail(err)
	}
	return nil
}

// published makes a snapshot that is there the one that was published last, and the current one unless another is pinned.
func (p *publication) published(snap *Snapshot) error {
	now := time.Now()
	if pinned := pinnedID(p.root); pinned != "" && pinned != snap.ID {
		// The time of the directory says when it was published last.
		if err := os.Chtimes(snap.Dir, now, now); err != nil {
			return err
		}
		snap.Pinned = pinned
		var err error
		snap.OwnFile, err = p.writeRepoFileFor(p.req.ID+".next.repo", fileURL(snap.Dir))
		return err
	}
	if currentID(p.root) == snap.ID {
		return nil
	}
	if err := os.Chtimes(snap.Dir, now, now); err != nil {
		return err
	}
	return p.pointAt(snap.ID)
}
