package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/testindex"
)

// look checks a page that was brought about, at both widths, and takes its picture where pictures are taken; name is the picture's.
func (b *tab) look(name string) {
	b.t.Helper()
	axe := axeSource(b.t)
	for _, width := range []int64{1440, 375} {
		b.size(width, 900)
		problems := append(b.tooWide(), b.injected()...)
		if width == 375 {
			problems = append(problems, b.tooSmall()...)
		}
		if dir := os.Getenv("REQPM_SHOTS"); dir != "" {
			b.shot(filepath.Join(dir, fmt.Sprintf("%s-%d.png", name, width)))
		}
		if axe != "" {
			problems = append(problems, b.issues(axe, "wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")...)
			b.eval("document.documentElement.dataset.theme = 'light'", nil)
			problems = append(problems, b.issues(axe, "color-contrast")...)
			b.eval("document.documentElement.dataset.theme = 'dark'; document.adoptedStyleSheets = []", nil)
		}
		for _, p := range problems {
			b.t.Errorf("%s at %d px: %s", name, width, p)
		}
	}
	b.size(1440, 900)
}

// TestSpecCheckScene has a spec file looked at from the editor: the page is looked at while a worker is at it, and with what it found.
func TestSpecCheckScene(t *testing.T) {
	s := work.get(t)
	h := worker(t, s)
	b := open(t, s)
	b.visit("/projects/billing-api/packages/zeep/spec/edit?target=el9-py312")
	b.fill("#f-message", "Build against the newer client library")
	b.click("button", "Check in the build root")
	b.until("the check", "document.querySelector('#spec-check')", 20*time.Second)
	b.live()
	b.sees("waits for a worker", 20*time.Second)
	all, err := h.Store.Workers(t.Context())
	must(t, err)
	var step store.Step
	h.write(func(ctx context.Context, tx *store.Tx) (err error) {
		for _, w := range all {
			if step, err = tx.ClaimStep(ctx, store.Claim{Worker: w.ID, WorkerName: w.Name, Kinds: []store.Kind{store.Check}}); !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		return err
	})
	b.until("a worker is at it", "document.querySelector('#spec-check').innerText.toLowerCase().includes('at it')", 20*time.Second)
	b.look("spec-check-running")
	loads := b.loaded()
	result, err := json.Marshal(service.Checked{Findings: []service.SpecFinding{
		{What: "parse", State: "ok", Text: "python3.12-zeep-4.3.1-1.el9.src"},
		{What: "build-requires", State: "failed", Text: "nothing provides python3.12dist(isodate) >= 0.7 needed by python3.12-zeep-4.3.1-1.el9.src\nnothing provides /usr/bin/xml2-config needed by python3.12-zeep-4.3.1-1.el9.src"},
		{What: "rpmlint", State: "warning", Text: "python3.12-zeep.spec: W: no-%check-section\npython3.12-zeep.spec:14: W: mixed-use-of-spaces-and-tabs (spaces: line 14, tab: line 9)"},
		{What: "build", State: "skipped", Text: "not asked for"},
	}})
	must(t, err)
	h.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.FinishStep(ctx, store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: step.Worker, State: store.Succeeded, Result: result})
		return err
	})
	b.until("what it found", "document.querySelector('#spec-check').innerText.includes('isodate')", 20*time.Second)
	if b.loaded() != loads {
		t.Error("the page was loaded again")
	}
	b.look("spec-check")
}

// TestPlanScenes has plans made before anything is saved, of a new project and of an override, and looks at the pages with them.
func TestPlanScenes(t *testing.T) {
	needBuilds(t)
	index, err := testindex.Start(
		testindex.Package{Name: "tool-base", Version: "1.0"},
		testindex.Package{Name: "lib-a", Version: "1.4", BuildRequires: []string{"tool-base"}},
		testindex.Package{Name: "core", Version: "3.1", BuildRequires: []string{"tool-base"}},
		testindex.Package{Name: "core", Version: "3.2", BuildRequires: []string{"tool-base"}, Requires: []string{"lib-a>=1"}},
		testindex.Package{Name: "picky", Version: "2.0"})
	must(t, err)
	t.Cleanup(index.Close)
	dir, err := os.MkdirTemp("", "reqpm-scenes-") // short: mount paths are below it
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{dir: dir, flags: []string{"--roles", "web", "--allow-source", "local"}, env: []string{"PIP_INDEX_URL=" + index.URL}}
	link, err := s.start()
	must(t, err)
	t.Cleanup(func() { s.stop(syscall.SIGKILL) })
	must(t, s.login(link))
	repository := filepath.Join(dir, "shop")
	commit(t, repository, "core>=3\npicky\n", "The shop")

	b := open(t, s)
	b.project = "shop"
	b.visit("/projects")
	b.fillNew("file://" + repository)
	b.preview()
	b.eval("document.querySelectorAll('.plan-target').forEach(d => { d.open = true })", nil)
	b.look("new-plan")

	b.click("button", "Create and run")
	b.until("the project", "location.pathname === '/projects/shop'", time.Minute)
	b.visit("/projects/shop/packages/core/override")
	b.fill("#f-version", "<3.2")
	b.fill("#f-requires", "lib-a")
	b.look("override")
	b.click("#said-form button", "What would change")
	b.until("what would change", "document.querySelector('#said-plan').dataset.state === 'done'", time.Minute)
	b.until("the other version", "document.querySelector('#said-plan').innerText.includes('3.1')", time.Minute)
	b.look("override-plan")
	if out, err := exec.Command("git", "-C", repository, "status", "--porcelain").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("the plans left something in the repository: %s %v", out, err)
	}
}
