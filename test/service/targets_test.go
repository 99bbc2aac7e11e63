package service

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/repo"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
	"reqpm/internal/testindex"
)

// A project that comes from a Git URL over HTTP becomes one published repository for each of two targets, this machine and
// a distribution with EL's layout, in one run and with no call but the one that makes it: on SQLite, and on PostgreSQL
// with two worker processes. What is published is installed by dnf, over HTTP and with signatures checked.
func TestTwoTargetsInOneRun(t *testing.T) {
	need(t)
	roots := t.TempDir() // the base of the EL-like target is made once
	t.Run("sqlite", func(t *testing.T) {
		b := newTwoTargetBed(t, filepath.Join(t.TempDir(), "reqpm.db"), roots)
		b.serve("--allow-source", "loopback,http")
		b.makeToken()
		b.publishesBoth("eld", "page>=1\n", "page", "words")
	})
	t.Run("postgres", func(t *testing.T) {
		b := newTwoTargetBed(t, storetest.Postgres(t), roots)
		b.serve("--allow-source", "loopback,http", "--roles", "web,scheduler")
		b.twoWorkers()
		b.makeToken()
		b.publishesBoth("eld", "page>=1\n", "page", "words")
	})
	t.Run("real index", func(t *testing.T) {
		if os.Getenv("REQPM_NETWORK") != "1" {
			t.Skip("asks the real index: set REQPM_NETWORK=1")
		}
		b := newTwoTargetBed(t, storetest.Postgres(t), roots)
		b.real = true
		for _, setting := range os.Environ() {
			if name, _, _ := strings.Cut(setting, "="); strings.HasPrefix(name, "PIP_") || strings.HasSuffix(strings.ToLower(name), "_proxy") {
				b.env = append(b.env, setting)
			}
		}
		b.serve("--allow-source", "loopback,http", "--roles", "web,scheduler")
		b.twoWorkers()
		b.makeToken()
		b.publishesBoth("eldistro", "itsdangerous==2.2.0\nmarkupsafe\n", "itsdangerous") // markupsafe is the distribution's own there
	})
}

// newTwoTargetBed is a bed whose processes know the EL-like distribution as target eldistro, and as eld with ReqPM's own
// PEP 517 driver, which wants no build tools that the test's index has not; roots is the folder of base roots.
func newTwoTargetBed(t *testing.T, database, roots string) *bed {
	t.Helper()
	distro := os.Getenv("REQPM_ELDISTRO")
	if distro == "" {
		t.Skip("REQPM_ELDISTRO does not name a directory made by test/eldistro/make.sh")
	}
	b := newBed(t, database)
	must(t, b.index.Add(
		testindex.Package{Name: "words", Version: "1.2", BuildRequires: []string{"tool-base"}},
		testindex.Package{Name: "page", Version: "1.0", BuildRequires: []string{"tool-base"}, Requires: []string{"words"}}))
	text, err := os.ReadFile(filepath.Join(distro, "target.toml"))
	must(t, err)
	configuration := filepath.Join(b.dir, "home", ".config", "reqpm")
	must(t, os.MkdirAll(configuration, 0o755))
	must(t, os.WriteFile(filepath.Join(configuration, "targets.toml"), append(text, "\n[targets.eld]\nbase = \"eldistro\"\nstyle = \"driver\"\n"...), 0o644))
	must(t, os.MkdirAll(filepath.Join(b.dir, "state"), 0o755))
	must(t, os.Symlink(roots, filepath.Join(b.dir, "state", "roots")))
	b.store = storetest.Open(t, database)
	return b
}

func (b *bed) twoWorkers() {
	b.t.Helper()
	for _, name := range []string{"one", "two"} {
		b.start(nil, "worker", "--name", name, "--slots", "1", "--lease", "3s", "--allow-source", "loopback,http", "--min-free", "0")
	}
}

// publishesBoth makes a project with these requirements for this machine and el, and looks at what comes of it for both.
func (b *bed) publishesBoth(el, requirements string, want ...string) {
	b.t.Helper()
	folder := filepath.Join(b.dir, "git", "app.git")
	makeRepository(b.t, folder, requirements)
	var created struct {
		LastRun run `json:"last_run"`
	}
	body := map[string]any{"name": "app", "git_url": gitServer(b.t, filepath.Dir(folder)) + "/app.git/.git", "targets": []string{"local", el}}
	if status, text := b.raw(http.MethodPost, "/api/v1/projects", body, nil); status != http.StatusCreated {
		b.t.Fatalf("creating the project: status %d\n%s", status, text)
	} else {
		b.read(text, &created)
	}
	b.follow(0, isRunEnd)
	b.succeeded(created.LastRun.ID)
	b.checkWhole("app", created.LastRun.ID, want)
	for _, target := range []string{"local", el} {
		b.installs("app", target, want[0])
	}
	if b.store.Local() {
		return
	}
	if who := b.builders(created.LastRun.ID); len(who) != 2 {
		b.t.Errorf("the builds were done by %v, not by two workers", who)
	}
}

// builders are the names of the workers that have built something of a run, with how much.
func (b *bed) builders(run int64) map[string]int {
	b.t.Helper()
	who := map[string]int{}
	steps, err := b.store.RunSteps(b.t.Context(), run)
	must(b.t, err)
	for _, s := range steps {
		if s.Kind != store.Build {
			continue
		}
		attempts, err := b.store.Attempts(b.t.Context(), s.ID)
		must(b.t, err)
		for _, a := range attempts {
			who[a.WorkerName]++
		}
	}
	return who
}

// gitServer serves the repositories below a folder as forges do, and gives its address.
func gitServer(t *testing.T, dir string) string {
	t.Helper()
	where, err := exec.Command("git", "--exec-path").Output()
	must(t, err)
	program := filepath.Join(strings.TrimSpace(string(where)), "git-http-backend")
	if _, err := os.Stat(program); err != nil {
		t.Skip("git http-backend is not installed")
	}
	server := httptest.NewServer(&cgi.Handler{Path: program, Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"}, InheritEnv: []string{"PATH"}})
	t.Cleanup(server.Close)
	return server.URL
}

// installs has dnf install a Python package of a published repository into a fresh root, by the file that the server has for
// /etc/yum.repos.d: with its signatures checked, and beside the distribution's own packages where there are such.
func (b *bed) installs(project, target, name string) {
	b.t.Helper()
	published, err := repo.Packages(filepath.Join(b.dir, "state", "repos", project, "stable", target, repo.Current))
	must(b.t, err)
	i := slices.IndexFunc(published, func(p repo.Package) bool { return !p.Source() && bare(p.Name) == name })
	if i < 0 {
		b.t.Errorf("%s for %s has no %s", project, target, name)
		return
	}
	rpm := published[i].Name
	dir := filepath.Join(b.dir, "install-"+target)
	repositories, root := filepath.Join(dir, "repos"), filepath.Join(dir, "root")
	must(b.t, os.MkdirAll(repositories, 0o755))
	must(b.t, os.MkdirAll(root, 0o755))
	status, text := b.raw(http.MethodGet, "/repos/"+project+"/stable/"+target+".repo", nil, nil)
	if status != http.StatusOK || !strings.Contains(string(text), "\ngpgcheck=1") {
		b.t.Fatalf("the file for %s, status %d:\n%s", target, status, text)
	}
	must(b.t, os.WriteFile(filepath.Join(repositories, project+".repo"), text, 0o644))
	if target != "local" {
		own := "[distribution]\nname=EL-like\nbaseurl=file://" + os.Getenv("REQPM_ELDISTRO") + "\ngpgcheck=0\n"
		must(b.t, os.WriteFile(filepath.Join(repositories, "distribution.repo"), []byte(own), 0o644))
	}
	out, err := exec.Command("dnf", "-y", "--disableplugin=local", "--installroot="+root, "--releasever=9", "--setopt=reposdir="+repositories, "--setopt=install_weak_deps=False",
		"--setopt=cachedir="+filepath.Join(dir, "cache"), "install", rpm).CombinedOutput()
	if err != nil {
		b.t.Errorf("dnf install of %s on %s: %v\n%s", rpm, target, err, out)
		return
	}
	found, err := exec.Command("rpm", "--root", root, "-q", "--qf", "%{NAME} %{SIGPGP:pgpsig}%{RSAHEADER:pgpsig}", rpm).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(found), rpm+" ") || !strings.Contains(string(found), "Key ID") {
		b.t.Errorf("%s on %s, as installed: %v\n%s", rpm, target, err, found)
	}
}
