package pipeline

import (
	"path/filepath"
	"testing"
	"time"

	"reqpm/internal/index"
	"reqpm/internal/solve"
	"reqpm/internal/testindex"
)

// What was uploaded after the page was asked for is found before it is said that there is no solution; what really is
// not there costs one question for each page that an earlier run asked for, and no more.
func TestConflictAsksAgain(t *testing.T) {
	state := t.TempDir()
	first := newLine(t, state, newWorkshop(t, 1), nil, testindex.Package{Name: "app", Version: "1.0", Requires: []string{"lib"}}, testindex.Package{Name: "lib", Version: "1.0"})
	first.lock(t, "app")
	if _, err := first.resolve(t, "missing"); !as[*solve.Conflict](err) {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) //nolint:forbidigo // what a file system can tell apart
	if err := first.server.Add(testindex.Package{Name: "app", Version: "2.0", Requires: []string{"lib>=2"}}, testindex.Package{Name: "lib", Version: "2.0"}, testindex.Package{Name: "missing", Version: "1.0"}); err != nil {
		t.Fatal(err)
	}
	next := func() *line {
		client, err := index.New(index.Config{Indexes: []index.IndexConfig{{URL: first.server.URL}}, CacheDir: filepath.Join(state, "index"), Retries: -1, Getenv: func(string) string { return "" }})
		if err != nil {
			t.Fatal(err)
		}
		return newLine(t, state, newWorkshop(t, 1), func(c *Config) { c.Index = client })
	}
	if got := versionsOf(next().lock(t, "app")); got != "app 1.0, lib 1.0" {
		t.Fatalf("without a conflict the cache is believed: %s", got)
	}
	if got := versionsOf(next().lock(t, "app==2.0", "missing")); got != "app 2.0, lib 2.0, missing 1.0" {
		t.Errorf("got %s", got)
	}
	before := first.server.Requests()
	l := next()
	for range 2 {
		if _, err := l.resolve(t, "app==9"); !as[*solve.Conflict](err) {
			t.Errorf("%v", err)
		}
	}
	if asked := first.server.Requests() - before; asked < 1 || asked > 2 {
		t.Errorf("%d requests to say that there is no app 9", asked)
	}
}
