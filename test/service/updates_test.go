package service

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"reqpm/internal/testindex"
)

// The update check, run now, finds what was uploaded a moment ago, and what it found is taken with one call: the run that
// begins with it publishes the newer version.
func TestUpdateCheck(t *testing.T) {
	needQuick(t)
	b := newQuickBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	b.serve()
	b.makeToken()
	first := b.project(0)
	b.succeeds(first)
	lib := own(0)[1]
	must(t, b.index.Add(testindex.Package{Name: lib, Version: "1.1", BuildRequires: []string{"tool-top>=2"}}))

	if status := b.ask(http.MethodPost, "/api/v1/schedules/update-check/run", nil, nil); status/100 != 2 {
		t.Fatalf("the update check is not run: status %d", status)
	}
	type newer struct{ Name, Version, Newest, Resolves string }
	var found struct {
		Items []struct {
			Outdated []newer
			Problem  string
		}
	}
	b.until("the update check has looked", time.Minute, func() bool {
		b.ask(http.MethodGet, "/api/v1/projects/p0/outdated", nil, &found)
		return len(found.Items) > 0
	})
	if got := found.Items[0]; got.Problem != "" || len(got.Outdated) != 1 || got.Outdated[0] != (newer{lib, "1.0", "1.1", "1.1"}) {
		t.Fatalf("it found %+v", found.Items)
	}

	var taken struct{ Run run }
	if status := b.ask(http.MethodPost, "/api/v1/projects/p0/outdated/take", map[string]any{"packages": []string{lib}}, &taken); status/100 != 2 || taken.Run.ID == first {
		t.Fatalf("it is not taken: status %d, %+v", status, taken)
	}
	b.succeeds(taken.Run.ID)
	var builds struct{ Items []build }
	b.ask(http.MethodGet, "/api/v1/builds?package="+lib+"&state=succeeded", nil, &builds)
	for _, x := range builds.Items {
		if x.Package == lib+"==1.1" {
			return
		}
	}
	t.Errorf("the run that took it built %+v", builds.Items)
}
