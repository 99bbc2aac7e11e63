package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"reqpm/internal/api"
)

// Repositories are rolled back, one of them at a time, listed with what clients get, and unpinned.
func TestRepoRollback(t *testing.T) {
	b := newRemoteBed(t)
	b.must(create("--no-run", "--target", "local,el9")...)
	b.exits(exitUsage, "has published nothing yet", "repo", "snapshots", "app")
	b.must("run", "start", "app", "--wait")
	b.exits(exitUsage, "no earlier snapshot", "repo", "rollback", "app", "--target", "local")
	b.must("run", "start", "app", "--wait")

	// snapshots are those of a target, the newest first.
	snapshots := func(target string) []api.Snapshot {
		t.Helper()
		var list struct {
			Repositories []struct {
				Target    string
				Snapshots []api.Snapshot
			}
		}
		if err := json.Unmarshal([]byte(b.must("repo", "snapshots", "app", "--target", target, "--json")), &list); err != nil || len(list.Repositories) != 1 || list.Repositories[0].Target != target {
			t.Fatalf("%+v, %v", list, err)
		}
		return list.Repositories[0].Snapshots
	}
	there := snapshots("local")
	if len(there) != 2 || !there[0].Current || there[1].Pinned {
		t.Fatalf("%+v", there)
	}
	b.exits(exitUsage, "say which with --target", "repo", "rollback", "app")
	b.exits(exitUsage, "it has stable/el9, stable/local", "repo", "rollback", "app", "--target", "el8")
	b.exits(exitUsage, "no such repository", "repo", "snapshots", "app", "--channel", "testing")
	b.exits(exitUsage, "is not pinned", "repo", "unpin", "app", "--target", "local")
	b.exits(exitUsage, "any more", "repo", "rollback", "app", strings.Repeat("d", 20), "--target", "local")

	b.exits(exitOK, "clients of stable/local would get the snapshot "+there[1].ID, "repo", "rollback", "app", "--target", "local", "--dry-run")
	if now := snapshots("local"); !now[0].Current {
		t.Errorf("a dry run has changed something: %+v", now)
	}
	b.exits(exitOK, "clients of stable/local get the snapshot "+there[1].ID, "repo", "rollback", "app", "--target", "local")
	if now := snapshots("local"); !now[1].Current || !now[1].Pinned {
		t.Errorf("rolled back: %+v", now)
	}
	if now := snapshots("el9"); !now[0].Current || now[0].Pinned || now[1].Pinned {
		t.Errorf("the other repository was rolled back, too: %+v", now)
	}
	b.exits(exitOK, "current, pinned by token command line", "repo", "snapshots", "app")
	b.exits(exitOK, "get the snapshot "+there[0].ID, "repo", "rollback", "app", there[0].ID, "--target", "local")
	var unpinned api.SwitchedRepository
	if err := json.Unmarshal([]byte(b.must("repo", "unpin", "app", "--target", "local", "--json")), &unpinned); err != nil || unpinned.Repository.Pinned != nil || unpinned.Snapshot.ID != there[0].ID {
		t.Errorf("%+v, %v", unpinned, err)
	}
	t.Setenv("REQPM_TOKEN", b.token("builder"))
	b.exits(exitMissing, "role", "repo", "rollback", "app", "--target", "local")
}
