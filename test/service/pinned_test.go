package service

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"reqpm/internal/repo"
	"reqpm/internal/testindex"
)

// A repository that was rolled back stays at its snapshot while a run publishes another: that run succeeds and proves what it has
// published, and says that clients get something else. Unpinned, they get it.
func TestPinnedRepository(t *testing.T) {
	needQuick(t)
	b := newQuickBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	lib := own(0)[1]
	for _, version := range []string{"1.1", "1.2"} {
		must(t, b.index.Add(testindex.Package{Name: lib, Version: version, BuildRequires: []string{"tool-top>=2"}}))
	}
	b.serve()
	b.makeToken()
	runs := []int64{b.project(0)}
	b.succeeds(runs[0])
	// publish has a run take another version of a package.
	publish := func(version string) {
		t.Helper()
		if status := b.ask(http.MethodPut, "/api/v1/projects/p0/overrides/"+lib, map[string]string{"text": fmt.Sprintf("version = %q\n", version)}, nil); status != http.StatusOK {
			t.Fatalf("the version is not said: status %d", status)
		}
		var r run
		if status := b.ask(http.MethodPost, "/api/v1/projects/p0/runs", map[string]any{}, &r); status != http.StatusCreated {
			t.Fatalf("starting a run: status %d", status)
		}
		runs = append(runs, r.ID)
		b.succeeds(r.ID)
	}
	// gets looks which version clients get, and by which metadata.
	gets := func(want string) (repomd string) {
		t.Helper()
		current, err := filepath.EvalSymlinks(filepath.Join(b.dir, "state", "repos", "p0", "stable", "local", repo.Current))
		must(t, err)
		packages, err := repo.Packages(current)
		must(t, err)
		for _, p := range packages {
			if !p.Source() && bare(p.Name) == lib && p.Version != want {
				t.Errorf("clients get %s %s, not %s", lib, p.Version, want)
			}
		}
		status, text := b.raw(http.MethodGet, "/repos/p0/stable/local/repodata/repomd.xml", nil, nil)
		if status != http.StatusOK {
			t.Fatalf("the metadata of the repository: status %d", status)
		}
		return string(text)
	}
	first := gets("1.2")
	publish("==1.1")
	gets("1.1")

	var found struct {
		Items []struct {
			ID       int64
			PinnedBy string `json:"pinned_by"`
		}
	}
	b.ask(http.MethodGet, "/api/v1/projects/p0/repositories", nil, &found)
	at := fmt.Sprintf("/api/v1/projects/p0/repositories/%d", found.Items[0].ID)
	if status := b.ask(http.MethodPost, at+"/rollback", map[string]any{}, nil); status != http.StatusOK {
		t.Fatalf("rolling back: status %d", status)
	}
	if gets("1.2") != first {
		t.Error("clients get other metadata than before the roll back")
	}
	publish("==1.0")
	if gets("1.2") != first {
		t.Error("a run has changed what clients of a pinned repository get")
	}
	b.checkStageLog(runs[2], "publish local", "the repository is pinned")
	var there struct {
		Items []struct {
			ID              string
			Run             int64
			Current, Pinned bool
		}
	}
	b.ask(http.MethodGet, at+"/snapshots", nil, &there)
	if s := there.Items; len(s) != 3 || s[0].Run != runs[2] || s[0].Current || s[2].Run != runs[0] || !s[2].Current || !s[2].Pinned {
		t.Errorf("its snapshots are %+v, of the runs %v", s, runs)
	}
	p, err := b.store.ProjectNamed(t.Context(), "p0")
	must(t, err)
	kept, err := b.store.SnapshotAt(t.Context(), p.ID, "local", "p0/stable/local/snapshots/"+there.Items[0].ID)
	must(t, err)
	if kept.Proof == "" || kept.Run != runs[2] {
		t.Errorf("what was published while it was pinned is not proven: %+v", kept)
	}
	if status := b.ask(http.MethodPost, at+"/unpin", nil, nil); status != http.StatusOK {
		t.Fatalf("unpinning: status %d", status)
	}
	gets("1.0")
}
