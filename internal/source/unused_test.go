package source

import (
	"os"
	"testing"
	"time"
)

// Head says what Fetch would get, without fetching.
func TestHead(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "one")
	r.git("tag", "v1")
	second := r.commit("a", "two")
	for ref, want := range map[string]Ref{"": {"trunk", "branch", second, false}, "trunk": {"trunk", "branch", second, false}, "v1": {"v1", "tag", first, false}, first: {first, "branch", first, false}} {
		if got, err := Head(t.Context(), r.request(t, ref)); err != nil || got != want {
			t.Errorf("%q: %v %v, want %v", ref, got, err, want)
		}
	}
	if got, err := Head(t.Context(), r.request(t, "gone")); !isKind(err) {
		t.Errorf("a branch that is not there: %v %v", got, err)
	}
}

// A checkout that was not used for long can go; using it keeps it, and one that went is fetched again.
func TestUnused(t *testing.T) {
	r := newRepo(t)
	commit := r.commit("a", "one")
	req := r.request(t, "")
	c := mustFetch(t, req)
	long := time.Now().Add(-48 * time.Hour)
	unused := func() []Kept {
		t.Helper()
		all, err := Unused(req.Dir, time.Now().Add(-24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := unused(); len(all) != 0 {
		t.Errorf("used just now: %v", all)
	}
	age := func() {
		t.Helper()
		if err := os.Chtimes(metaFile(c.Dir), long, long); err != nil {
			t.Fatal(err)
		}
	}
	age()
	if all := unused(); len(all) != 1 || all[0].Commit != commit || all[0].Dir != c.Dir {
		t.Errorf("unused for two days: %v", all)
	}
	mustFetch(t, req)
	if all := unused(); len(all) != 0 {
		t.Errorf("used again: %v", all)
	}
	age()
	if ok, err := unused()[0].Remove(); !ok || err != nil {
		t.Error(ok, err)
	}
	if _, err := os.Stat(c.Dir); err == nil {
		t.Error("it is still there")
	}
	if again := mustFetch(t, req); read(t, again, "a") != "one" {
		t.Error("not fetched again")
	}
	if all, err := Unused(req.Dir+"-nowhere", time.Now()); len(all) != 0 || err != nil {
		t.Error(all, err)
	}
}
