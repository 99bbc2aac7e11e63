package browser

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"reqpm/internal/testindex"
)

// storyPackages are those of the story's project: the tests that picky is to pass fail, for which a fix is proposed; broken does not build, for which
// nothing can be; core with what it needs is well.
var storyPackages = []testindex.Package{
	{Name: "tool-base", Version: "1.0"},
	{Name: "lib-a", Version: "1.4", BuildRequires: []string{"tool-base"}},
	{Name: "core", Version: "3.2", BuildRequires: []string{"tool-base"}, Requires: []string{"lib-a>=1"}, Seconds: 2},
	{Name: "picky", Version: "2.0"},
	{Name: "broken", Version: "0.9", Fault: testindex.BuildFails},
}

func needBuilds(t *testing.T) {
	t.Helper()
	if os.Getenv("REQPM_E2E") == "" {
		t.Skip("builds packages; set REQPM_E2E=1")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: build roots are mounted")
	}
	for _, tool := range []string{"git", "rpm", "rpmbuild", "rpmsign", "gpg", "dnf", "createrepo_c", "bwrap", "/usr/bin/python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
}

// commit makes the Git repository of the story's project, or a further commit in it.
func commit(t *testing.T, dir, requirements, message string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "requirements.txt"), []byte(requirements), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "requirements-dev.txt"), []byte("lib-a\n"), 0o644))
	must(t, os.MkdirAll(filepath.Join(dir, "overrides"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "overrides", "picky.toml"), []byte("[checks]\ncommands = [\"echo '===== 1 failed, 2 passed in 0.10s ====='; false\"]\n"), 0o644))
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-q", "-m", message}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}

// loadedWhole is true when a page has all that it asks for at first.
const loadedWhole = "document.readyState === 'complete'"

// longest is how long a step of the story may take on a machine that does other things too.
const longest = 4 * time.Minute

// TestStory is what a maintainer does on the first day: he sets the server up, makes a project of an address, watches it being
// built, finds out why two packages fail, mends one with a click and drops the other, compares, downloads and installs. Once with the
// mouse, once with the keyboard alone and once with a finger on a screen of 375 pixels: each in a project of its own. What the first has
// built is taken from the cache for the others.
func TestStory(t *testing.T) {
	needBuilds(t)
	index, err := testindex.Start(storyPackages...)
	must(t, err)
	t.Cleanup(index.Close)
	dir, err := os.MkdirTemp("", "reqpm-story-") // short: sockets and mount paths are below it
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{dir: dir, flags: []string{"--allow-source", "local", "--public-repositories"}, env: []string{"PIP_INDEX_URL=" + index.URL}}
	link, err := s.start()
	must(t, err)
	t.Cleanup(func() {
		s.stop(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("the server said:\n%s", s.stderr.String())
		}
	})
	ready := false // set up by the first hand, whichever of them -run names
	for _, by := range []hand{mouse, keyboard, finger} {
		t.Run(string(by), func(t *testing.T) {
			b := open(t, s)
			b.by, b.project = by, "shop-"+string(by)
			if by == finger {
				b.size(375, 812)
			}
			project := filepath.Join(dir, b.project)
			commit(t, project, "core>=3\npicky\nbroken\n", "The shop")
			if ready {
				b.visit("/login")
				b.login()
			} else {
				b.setUp(strings.TrimPrefix(link, s.url))
				ready = true
			}
			b.create("file://" + project)
			run := b.watchFailing()
			b.mend()
			commit(t, project, "core>=3\npicky\n", "Without what is broken")
			b.second(run)
			b.download()
			if by == mouse {
				b.install(s)
			}
		})
	}
}

func (b *tab) login() {
	b.t.Helper()
	b.fill("#f-name", adminName)
	b.fill("#f-password", adminPassword)
	b.click("button[type=submit]", "Log in")
	b.until("the dashboard", "location.pathname === '/'", longest)
}

func (b *tab) setUp(link string) {
	b.t.Helper()
	b.visit(link)
	b.fill("#f-name", adminName)
	b.fill("#f-password", adminPassword)
	b.click("button[type=submit]", "Create")
	b.until("the form has been taken", "!location.pathname.startsWith('/setup')", longest)
	b.click("details.me summary", "")
	b.click("details.me button", "Log out")
	b.until("the login", "location.pathname === '/login'", longest)
	b.fill("#f-name", adminName)
	b.expect("/login") // a wrong password is an answer that the browser notes
	b.fill("#f-password", "not it, surely")
	b.click("button[type=submit]", "Log in")
	b.sees("Name or password is wrong", longest)
	b.login()
}

// create makes the project: its address brings branches and files, and there is a plan before anything is saved.
func (b *tab) create(address string) {
	b.t.Helper()
	b.fillNew(address)
	b.preview()
	b.click("button", "Create and run")
	b.until("the project's page", "location.pathname === '/projects/"+b.project+"'", longest)
}

// fillNew fills the form of a new project.
func (b *tab) fillNew(address string) {
	b.t.Helper()
	b.click("a", "New project")
	b.fill("#f-git_url", address)
	b.keys(tabKey) // whoever pastes need not
	b.until("the files of the repository", "document.querySelector('input[name=file][value=\"requirements.txt\"]')", longest)
	b.until("its branches", "[...document.querySelectorAll('datalist option')].some(o => o.value === 'main')", longest)
	b.fill("#f-ref", "main")
	b.keys(tabKey)
	b.until("no more questions", "!document.querySelector('form[aria-busy]')", longest)
	for _, choice := range []struct {
		box string
		on  bool
	}{{"input[name=file][value=\"requirements.txt\"]", true}, {"input[name=file][value=\"requirements-dev.txt\"]", false}, {"input[name=target][value=local]", true}} {
		var is bool
		b.eval("document.querySelector("+quoted(choice.box)+").checked", &is)
		if is != choice.on {
			b.click(choice.box, "")
		}
	}
}

// watchFailing follows the first run from its first log line to its failures, on pages that are never loaded again.
func (b *tab) watchFailing() (run string) {
	b.t.Helper()
	loads := b.loaded()
	b.until("the project's log grows while somebody looks", "document.querySelectorAll('#log > div[id]').length > 2", longest)
	if b.loaded() != loads {
		b.t.Error("the project's page was loaded again to show its log")
	}
	b.click("a", "Open run")
	b.until("the run's page", "location.pathname.startsWith('/runs/') && "+loadedWhole, longest)
	b.eval("window.kept = 1; window.states = new Set(); setInterval(() => document.querySelectorAll('.cell[data-state]').forEach(c => states.add(c.dataset.state)), 100)", nil)
	loads = b.loaded()
	b.until("the run has failed", "document.querySelector('#run-head').dataset.state === 'failed'", longest)
	var states []string
	b.eval("window.kept === 1 ? [...states] : []", &states)
	// What the first hand had built is reused by the others, whose run may be over before its page is there.
	if b.loaded() != loads || b.by == mouse && len(states) < 3 {
		b.t.Errorf("cells were seen as %v, and %d pages loaded: they are to change on the open page", states, b.loaded()-loads)
	}
	b.eval("location.pathname", &run)
	// Both causes, each with what may be done.
	b.sees("picky", longest)
	b.until("picky has a fix, which is proposed", one(".cause", "picky")+".querySelector('.hint code')", longest)
	b.until("broken has its cause, and no fix", "(c => c && !c.querySelector('.hint') && c.innerText.includes('Say what to change'))("+one(".cause", "broken")+")", longest)
	b.until("the title and the icon of the tab say it", "document.title.includes('2 causes') && document.querySelector('link[rel=icon]').href.includes('failed')", longest)
	b.click(".cause a", "broken")
	b.sees("this build fails on purpose", longest)
	b.until("the log is open at its first error", "document.querySelector('.ll.first')", longest)
	b.visit(run)
	b.until("the page is loaded", loadedWhole, longest)
	return run
}

// mend applies the proposed fix with one click, and has what has none built again, which does not help.
func (b *tab) mend() {
	b.t.Helper()
	b.eval("window.kept = 2", nil)
	apply := one(".cause", "picky") + "?.querySelector('button.primary')"
	b.until("the button", apply, longest)
	b.press(apply)
	b.until("picky is built, or taken from the cache", "['succeeded', 'reused'].includes("+one("tr", "picky")+"?.querySelector('.cell[data-state]')?.dataset.state)", longest)
	b.until("the run ends again, with one cause", "document.querySelector('#run-head').dataset.state === 'failed' && document.querySelectorAll('.cause').length === 1", longest)
	b.click("#run-head button", "Retry failed")
	b.until("it is tried again", "document.querySelector('#run-head').dataset.state !== 'failed'", longest)
	b.until("and fails again", "document.querySelector('#run-head').dataset.state === 'failed'", longest)
	var kept int
	b.eval("window.kept", &kept)
	if kept != 2 {
		b.t.Error("the page was loaded again")
	}
}

// second starts a run of the new commit, which turns green, and compares it with the first.
func (b *tab) second(first string) {
	b.t.Helper()
	b.visit("/projects/" + b.project)
	b.click("#project-head button", "New run")
	b.until("the page of the second run", "location.pathname.startsWith('/runs/') && location.pathname !== "+quoted(first)+" && "+loadedWhole, longest)
	b.until("it is green", "document.querySelector('#run-head').dataset.state === 'succeeded'", longest)
	b.click("#run-head a", "Compare")
	b.until("the comparison", "location.pathname.endsWith('/compare')", longest)
	b.sees("Removed", longest)
	b.until("what was dropped is named", "document.querySelector('main').innerText.includes('broken')", longest)
	b.run(chromedp.NavigateBack())
}

// download saves one RPM and the archive of all, as the browser does it, and looks into them.
func (b *tab) download() {
	b.t.Helper()
	dir := b.t.TempDir()
	_, err := chromedp.CallBrowser(b.ctx, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID})
	must(b.t, err)
	b.until("the run's page", "document.querySelector('#run-head')", longest)
	b.click("#run-head a", "RPMs")
	archive := b.saved(dir, "*.tar")
	b.click("button", "finished on every target")
	b.click("#grid-over a.cell", "")
	b.until("a build's page", "location.pathname.startsWith('/builds/')", longest)
	b.click("nav a", "RPMs")
	b.click("main a[download]", "Download")
	single := b.saved(dir, "*.rpm")
	b.checkRPM(single)
	file, err := os.Open(archive)
	must(b.t, err)
	defer file.Close()
	rpms := 0
	for r := tar.NewReader(file); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(b.t, err)
		if !strings.HasSuffix(h.Name, ".rpm") {
			continue
		}
		path := filepath.Join(dir, "out-"+filepath.Base(h.Name))
		out, err := os.Create(path)
		must(b.t, err)
		_, err = io.Copy(out, r)
		must(b.t, errors.Join(err, out.Close()))
		b.checkRPM(path)
		rpms++
	}
	if rpms < 4 {
		b.t.Errorf("%d RPMs are in the archive", rpms)
	}
}

// saved waits until a download is whole.
func (b *tab) saved(dir, pattern string) string {
	b.t.Helper()
	end := time.After(longest)
	for {
		parts, _ := filepath.Glob(filepath.Join(dir, "*.crdownload"))
		whole, _ := filepath.Glob(filepath.Join(dir, pattern))
		if len(whole) > 0 && len(parts) == 0 {
			return whole[0]
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-end:
			b.t.Fatalf("no %s was downloaded", pattern)
		}
	}
}

func (b *tab) checkRPM(path string) {
	b.t.Helper()
	if out, err := exec.Command("rpm", "-qp", "--nosignature", "--qf", "%{NAME}", path).CombinedOutput(); err != nil || len(out) == 0 {
		b.t.Errorf("rpm -qp %s: %v\n%s", filepath.Base(path), err, out)
	}
}

// install runs the lines that the project's page shows, in a root of its own.
func (b *tab) install(s *server) {
	b.t.Helper()
	b.visit("/projects/" + b.project)
	lines := b.text("#install .snippet pre")
	if !strings.Contains(lines, "dnf install ") {
		b.t.Fatalf("the page says: %q", lines)
	}
	root := b.t.TempDir()
	must(b.t, os.MkdirAll(filepath.Join(root, "etc/yum.repos.d"), 0o755))
	// What RPM has to know of this machine, which is the root's base: it has no RPM database.
	var hosts []string
	_ = filepath.WalkDir(filepath.Join(s.dir, "state"), func(path string, _ os.DirEntry, _ error) error {
		if strings.HasPrefix(filepath.Base(path), "reqpm-host") && strings.HasSuffix(path, ".rpm") {
			hosts = append(hosts, path)
		}
		return nil
	})
	if len(hosts) > 0 {
		if out, err := exec.Command("rpm", "--root", root, "-i", "--justdb", "--nodeps", "--nosignature", hosts[0]).CombinedOutput(); err != nil {
			b.t.Fatalf("%v\n%s", err, out)
		}
	}
	bin := b.t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nexec /usr/bin/dnf -y --installroot=%s --releasever=1 --disableplugin=local --setopt=cachedir=%[1]s/cache --setopt=reposdir=%[1]s/etc/yum.repos.d \"$@\"\n", root)
	must(b.t, os.WriteFile(filepath.Join(bin, "dnf"), []byte(script), 0o755))
	must(b.t, os.WriteFile(filepath.Join(bin, "sudo"), []byte("#!/bin/sh\nexec \"$@\"\n"), 0o755))
	cmd := exec.Command("sh", "-e", "-c", strings.ReplaceAll(lines, "/etc/yum.repos.d", filepath.Join(root, "etc/yum.repos.d")))
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + root, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"}
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("%s\n%v\n%s", lines, err, out)
	}
	if out, err := exec.Command("find", root, "-path", "*-packages/core/__init__.py").CombinedOutput(); err != nil || len(out) == 0 {
		b.t.Errorf("core is not installed: %v, %s", err, out)
	}
}
