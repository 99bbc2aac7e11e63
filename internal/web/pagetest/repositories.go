package pagetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"reqpm/internal/repo"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// keptSnapshots are on disk, as many as a publication keeps.
const keptSnapshots = 5

// publish notes what a run published, and writes a snapshot that holds no files, just the list of its packages: clients would find
// nothing, and people see which there are and go back to one.
func (s *seeder) publish(ctx context.Context, tx *store.Tx, step store.Step, p plan) (service.Published, error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", p.project, step.Target, step.Run))
	id := hex.EncodeToString(sum[:10])
	packages := s.publishedPackages(step)
	published := service.Published{Snapshot: filepath.Join(p.project, "stable", step.Target, "snapshots", id), SetName: p.project + "-requirements", Packages: len(packages)}
	noted, err := tx.AddSnapshot(ctx, store.Snapshot{Project: step.Project, Run: step.Run, Target: step.Target, Path: published.Snapshot, Packages: int64(published.Packages), Size: 31e6, Proof: "installed"})
	if err != nil {
		return published, err
	}
	if _, err := tx.PointRepository(ctx, step.Project, "stable", step.Target, noted.ID); err != nil {
		return published, err
	}
	at := time.Now().Add(-p.ago)
	manifest, err := json.Marshal(repo.Snapshot{ID: id, Packages: packages, Created: at, Files: map[string]string{}})
	if err != nil {
		return published, err
	}
	root := filepath.Join(s.Repos, p.project, "stable", step.Target)
	dir, link := filepath.Join(root, "snapshots", id), filepath.Join(root, repo.Current)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return published, err
	}
	if err := os.WriteFile(filepath.Join(dir, "reqpm-snapshot.json"), manifest, 0o644); err != nil {
		return published, err
	}
	if err := os.Chtimes(dir, at, at); err != nil {
		return published, err
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return published, err
	}
	if err := os.Symlink(filepath.Join("snapshots", id), link); err != nil {
		return published, err
	}
	all, err := repo.Snapshots(root)
	if err != nil {
		return published, err
	}
	for _, old := range all[min(len(all), keptSnapshots):] {
		if err := os.RemoveAll(filepath.Join(root, "snapshots", old.ID)); err != nil {
			return published, err
		}
	}
	return published, nil
}

// publishedPackages are those of a run: Flask is older in the first of them, and a hostile name is in each second one.
func (s *seeder) publishedPackages(step store.Step) []repo.Package {
	var all []repo.Package
	for _, k := range packages {
		version := k.version
		switch {
		case k.name == "flask" && step.Run%10 < 6:
			version = "3.1.0"
		case k.name == "werkzeug" && step.Run%10 < 7:
			version = "3.0.6"
		case k.name == "click" && step.Run%10 == 5, k.name == "zeep" && step.Run%10 == 7:
			continue
		}
		if slices.Contains([]string{"flit-core", "setuptools", "cython"}, k.name) {
			continue // tools are not published
		}
		all = append(all, repo.Package{Name: "python3.12-" + k.name, Version: version, Release: "1.el9", Arch: "noarch"})
	}
	if step.Run%2 == 0 {
		all = append(all, repo.Package{Name: "python3.12-" + Hidden + Markup, Version: "1.0" + Turned, Release: "1.el9", Arch: "noarch"})
	}
	return all
}
