package repo

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A repository that was rolled back stays there, whatever is published, until it is unpinned; a snapshot that is not as it
// was written, or not there, is none to go back to.
func TestRollBack(t *testing.T) {
	publishTools(t)
	root := filepath.Join(t.TempDir(), "root")
	var snaps []Snapshot
	for _, version := range []string{"1.0", "2.0", "3.0"} {
		bin, _ := buildRPM(t, "alpha", version)
		snaps = append(snaps, mustPublish(t, request(t, root, bin)))
	}
	served := func() string {
		t.Helper()
		all, err := os.ReadDir(filepath.Join(root, Current, "Packages"))
		if err != nil || len(all) != 1 {
			t.Fatalf("%v %v", all, err)
		}
		return all[0].Name()
	}
	listed := func(want string) {
		t.Helper()
		all, err := Snapshots(root)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, k := range all {
			for i, s := range snaps {
				if k.ID == s.ID {
					text += string(rune('1' + i))
				}
			}
			if k.Current {
				text += "c"
			}
			if k.Pinned {
				text += "p"
			}
			if k.Published.IsZero() {
				t.Errorf("%+v", k)
			}
		}
		if text != want {
			t.Errorf("snapshots %s, not %s", text, want)
		}
	}
	listed("3c21")
	changes, err := Changes(root, snaps[0].ID)
	if want := []Change{{Name: "alpha", From: snaps[2].Packages[0].EVR(), To: snaps[0].Packages[0].EVR()}}; err != nil || !slices.Equal(changes, want) || !strings.HasPrefix(want[0].To, "1.0-") {
		t.Errorf("%v %v, not %v", changes, err, want)
	}
	if changes, err := Changes(root, snaps[2].ID); err != nil || len(changes) != 0 {
		t.Errorf("from the current one to itself: %v %v", changes, err)
	}
	if _, err := Changes(root, strings.Repeat("0", 20)); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("changes to what is not there: %v", err)
	}
	if _, err := Unpin(t.Context(), root); !errors.Is(err, ErrNotPinned) {
		t.Errorf("unpin what is not pinned: %v", err)
	}
	for _, id := range []string{"", "../../etc", strings.Repeat("0", 20)} {
		if err := RollBack(t.Context(), root, id); !errors.Is(err, ErrNoSnapshot) {
			t.Errorf("roll back to %q: %v", id, err)
		}
	}
	if err := RollBack(t.Context(), root, snaps[0].ID); err != nil {
		t.Fatal(err)
	}
	listed("321cp")
	if got := served(); got != "alpha-1.0-1.noarch.rpm" {
		t.Errorf("clients get %s", got)
	}

	// What is published meanwhile is made and kept, can be installed from its own file, and is not what clients get.
	bin, _ := buildRPM(t, "alpha", "4.0")
	for range 2 {
		snap := mustPublish(t, request(t, root, bin))
		text, err := os.ReadFile(snap.OwnFile)
		if err != nil || snap.Pinned != snaps[0].ID || !strings.Contains(string(text), "snapshots/"+snap.ID+"\n") || served() != "alpha-1.0-1.noarch.rpm" {
			t.Errorf("published while pinned: %+v; clients get %s; %s %v", snap, served(), text, err)
		}
		if text, err := os.ReadFile(snap.RepoFile); err != nil || strings.Contains(string(text), "snapshots/") {
			t.Errorf("what people are given: %s %v", text, err)
		}
		if len(snaps) == 3 {
			snaps = append(snaps, snap)
		}
	}
	listed("4321cp")

	// The set that is pinned, published again, is what clients get.
	old, _ := buildRPM(t, "alpha", "1.0")
	if snap := mustPublish(t, request(t, root, old)); snap.ID == snaps[0].ID && snap.Pinned != "" {
		t.Errorf("%+v", snap)
	}

	data := filepath.Join(snaps[1].Dir, "Packages", "alpha-2.0-1.noarch.rpm")
	if err := os.WriteFile(data, []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := RollBack(t.Context(), root, snaps[1].ID); err == nil || !strings.Contains(err.Error(), "was changed") {
		t.Errorf("roll back to a damaged snapshot: %v", err)
	}
	if got := served(); got != "alpha-1.0-1.noarch.rpm" {
		t.Errorf("after that clients get %s", got)
	}
	newest, err := Snapshots(root)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := Unpin(t.Context(), root); err != nil || id != newest[0].ID {
		t.Errorf("unpinned to %s, not %s: %v", id, newest[0].ID, err)
	}
	if snap := mustPublish(t, request(t, root, bin)); snap.Pinned != "" || served() != "alpha-4.0-1.noarch.rpm" {
		t.Errorf("after that %+v; clients get %s", snap, served())
	}
}
