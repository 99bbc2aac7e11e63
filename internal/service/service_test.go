package service_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/blob"
	"reqpm/internal/dnf"
	"reqpm/internal/engine"
	"reqpm/internal/lockfile"
	"reqpm/internal/pipeline"
	"reqpm/internal/secret"
	"reqpm/internal/service"
	"reqpm/internal/source"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
	"reqpm/internal/target"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// bed is a service without builders.
type bed struct {
	t       *testing.T
	state   string
	store   *store.Store
	blobs   *blob.Dir
	logs    *blob.Logs
	service *service.Service
	now     time.Time // as the service sees it; zero: the clock
	targets []target.Target
	secrets []secret.Secret // of every project
}

// pipelines knows where sources come from, and opens nothing.
type pipelines struct{ state string }

func (p pipelines) Open(context.Context, service.Subject, *lockfile.File, func(pipeline.Event)) (*pipeline.Pipeline, pipeline.Request, error) {
	return nil, pipeline.Request{}, errors.New("there are no pipelines in this test")
}

func (p pipelines) Source(s service.Subject) (source.Request, error) {
	return source.Request{URL: s.GitURL, Ref: s.Ref, Dir: filepath.Join(p.state, "checkouts"), Allow: source.Policy{Local: true, Loopback: true, HTTP: true}, Credentials: source.Credentials{Secrets: s.Secrets}}, nil
}

func newBed(t *testing.T, url string) *bed {
	t.Helper()
	b := &bed{t: t, state: t.TempDir(), store: storetest.Open(t, url)}
	var err error
	if b.blobs, err = blob.OpenDir(filepath.Join(b.state, "blobs")); err != nil {
		t.Fatal(err)
	}
	if b.logs, err = blob.OpenLogs(filepath.Join(b.state, "logs")); err != nil {
		t.Fatal(err)
	}
	b.service = service.New(service.Config{Store: b.store, Pipelines: pipelines{b.state}, Blobs: b.blobs, Logs: b.logs, StateDir: b.state, Settings: service.NewSettingsBase(), Secrets: func(context.Context, int64) ([]secret.Secret, error) { return b.secrets, nil },
		Hide: func([]secret.Secret) func(string) string { return func(text string) string { return text } }, Targets: func(context.Context, string) ([]target.Target, error) { return b.targets, nil }, KeyFile: dnf.KeyFile, Now: func() time.Time {
			if b.now.IsZero() {
				return time.Now()
			}
			return b.now
		}})
	t.Cleanup(func() {
		if err := b.service.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// schedule does what a schedule does, as an engine would.
func (b *bed) schedule(name string) (string, error) {
	b.t.Helper()
	for _, s := range b.service.Schedules() {
		if s.Name == name {
			if _, err := engine.NextTime(s.Every, time.Now()); err != nil {
				b.t.Fatal(err)
			}
			return s.Do(b.t.Context())
		}
	}
	b.t.Fatalf("there is no schedule %s", name)
	return "", nil
}

// must is schedule, with a result that tells want.
func (b *bed) must(name, want string) {
	b.t.Helper()
	if got, err := b.schedule(name); err != nil || !strings.Contains(got, want) {
		b.t.Fatalf("%s: %q %v, want %q", name, got, err, want)
	}
}

func (b *bed) write(fn func(tx *store.Tx) error) {
	b.t.Helper()
	if err := b.store.Write(b.t.Context(), fn); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) project(p store.Project) store.Project {
	b.t.Helper()
	if len(p.Targets) == 0 {
		p.Targets = []string{"el9"}
	}
	got, err := b.store.CreateProject(b.t.Context(), p)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

func (b *bed) run(p store.Project) (r store.Run) {
	b.t.Helper()
	b.write(func(tx *store.Tx) (err error) {
		r, err = service.StartRun(b.t.Context(), tx, p, service.NewRun{})
		return err
	})
	return r
}

func (b *bed) runs(project int64) []store.Run {
	b.t.Helper()
	part, err := b.store.Runs(b.t.Context(), store.RunFilter{Project: project}, store.Page{})
	if err != nil {
		b.t.Fatal(err)
	}
	return part.Items
}

// said is a project's log, the newest first.
func (b *bed) said(project int64) string {
	b.t.Helper()
	part, err := b.store.LogEntries(b.t.Context(), store.LogFilter{Project: project}, store.Page{})
	if err != nil {
		b.t.Fatal(err)
	}
	var text strings.Builder
	for _, e := range part.Items {
		text.WriteString(e.Level + " " + e.Message + "\n")
	}
	return text.String()
}

// repository makes a Git repository, and returns its folder and a function that commits to it.
func repository(t *testing.T) (dir string, commit func() string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir = t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "trunk")
	return dir, func() string {
		t.Helper()
		git("commit", "-q", "--allow-empty", "-m", "change")
		return git("rev-parse", "HEAD")
	}
}
