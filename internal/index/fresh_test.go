package index

import (
	"errors"
	"testing"
	"time"
)

// A page from before the client's time is asked for once when it is doubted; what the client asked for itself is not
// asked for again; a project that was not there is found.
func TestFresh(t *testing.T) {
	f := newFakeIndex(t)
	f.add("foo", map[string][]byte{"foo-1.0.tar.gz": []byte("one")}, nil)
	cfg := f.config(t)
	before := newClient(t, cfg)
	if _, err := before.Project(t.Context(), "new"); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := before.Project(t.Context(), "foo"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) //nolint:forbidigo // what a file system can tell apart
	client := newClient(t, cfg)
	f.add("foo", map[string][]byte{"foo-1.0.tar.gz": []byte("one"), "foo-2.0.tar.gz": []byte("two")}, nil)
	f.add("new", map[string][]byte{"new-1.0.tar.gz": []byte("new")}, nil)
	old, err := client.Project(t.Context(), "foo")
	if err != nil || len(old.Releases()) != 1 || client.Stats().Requests != 0 {
		t.Fatalf("believed: %v, %+v", err, client.Stats())
	}
	for range 3 {
		now, err := client.Fresh(t.Context(), "Foo")
		if err != nil || len(now.Releases()) != 2 || now.Equal(old) || !now.Equal(now) {
			t.Fatalf("doubted: %v", err)
		}
	}
	if now, err := client.Project(t.Context(), "foo"); err != nil || len(now.Releases()) != 2 {
		t.Errorf("behind it: %v", err)
	}
	if now, err := client.Fresh(t.Context(), "new"); err != nil || len(now.Releases()) != 1 || now.Equal(nil) {
		t.Errorf("what was not there: %v", err)
	}
	if got := client.Stats().Requests; got != 2 {
		t.Errorf("%d requests for two pages", got)
	}
	cfg.Offline = true
	f.Close()
	if now, err := newClient(t, cfg).Fresh(t.Context(), "foo"); err != nil || len(now.Releases()) != 2 {
		t.Errorf("offline: %v", err)
	}
}
