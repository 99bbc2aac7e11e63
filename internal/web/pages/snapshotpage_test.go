package pages

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// TestRollBack: the page of a repository leads to what a roll back would do, does it once it is confirmed, says that and by whom, and
// ends it again; who only looks, is late, or asks for another project's repository changes nothing.
func TestRollBack(t *testing.T) {
	b, past := newPast(t)
	ada, vera := b.logIn("nora", auth.Maintainer), b.logIn("vera", auth.Viewer)
	const at = "/projects/billing-api/repository"
	all, err := b.store.Repositories(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var mine, other store.Repository
	for _, r := range all {
		p, err := b.store.Project(t.Context(), r.Project)
		switch {
		case err != nil:
			t.Fatal(err)
		case p.Name == "billing-api" && r.Target == "el10":
			mine = r
		case p.Name != "billing-api":
			other = r
		}
	}
	base := at + "/" + itoa(mine.ID)
	page := ada.get(at)
	has(t, "the repository", page, "sudo curl -fsSo /etc/yum.repos.d/reqpm-billing-api.repo \\\n  http://", "sudo dnf install billing-api-requirements", "Snapshots of el10", "Roll back to this", "Run 8", "Run 2", "Installs")
	link := regexp.MustCompile(`href="(` + regexp.QuoteMeta(base) + `/snapshot\?id=([0-9a-f]{20}))"[^>]*run 5"`).FindStringSubmatch(page)
	if link == nil {
		t.Fatal("no way back to run 5")
	}
	shown := ada.get(link[1])
	has(t, "what it does", shown, "Snapshot of run 5", "python3.12-flask", "3.1.1-1.el9", "3.1.0-1.el9", "goes away", "They do not get that of run 8 any more", "dnf distro-sync", "&lt;img")
	from := regexp.MustCompile(`name="from" value="([0-9a-f]{20})"`).FindStringSubmatch(shown)
	if from == nil || strings.Contains(shown, "<img") {
		t.Fatalf("from %v", from)
	}
	clients := func(want string) {
		t.Helper()
		link, err := os.Readlink(filepath.Join(past.Repos, "billing-api", "stable", "el10", "current"))
		if err != nil || filepath.Base(link) != want {
			t.Errorf("clients get %s, not %s: %v", link, want, err)
		}
	}
	form := url.Values{"snapshot": {link[2]}, "from": {from[1]}}
	if seen := vera.get(link[1]); strings.Contains(seen, "/rollback") || !strings.Contains(seen, "A maintainer of the project may do it") {
		t.Error("a viewer is offered the roll back, or not told who may")
	}
	for what, ask := range map[string]struct {
		who    loggedIn
		path   string
		form   url.Values
		status int
	}{
		"a viewer":               {vera, base, form, http.StatusForbidden},
		"who compared another":   {ada, base, url.Values{"snapshot": {link[2]}, "from": {link[2]}}, http.StatusConflict},
		"another's repository":   {ada, at + "/" + itoa(other.ID), form, http.StatusNotFound},
		"a snapshot that is not": {ada, base, url.Values{"snapshot": {strings.Repeat("0", 20)}, "from": {from[1]}}, http.StatusConflict},
		"a path":                 {ada, base, url.Values{"snapshot": {"../../x"}, "from": {from[1]}}, http.StatusConflict},
	} {
		if a, code := ask.who.do(ask.path+"/rollback", ask.form); code != ask.status {
			t.Errorf("%s: %d %+v", what, code, a)
		}
	}
	clients(from[1])
	if a, code := ada.do(base+"/unpin", nil); code != http.StatusConflict {
		t.Errorf("unpin what is not pinned: %d %+v", code, a)
	}
	if a, code := ada.do(base+"/rollback", form); code != http.StatusOK || a.To != at {
		t.Errorf("%d %+v", code, a)
	}
	clients(link[2])
	has(t, "rolled back", ada.get(at), "Rolled back to the snapshot of run 5 by nora", "Let new runs publish again", "in place of that of run 5")
	has(t, "of all projects", ada.get("/repositories"), "Rolled back by nora", at)
	if strings.Contains(vera.get(at), "/unpin") {
		t.Error("a viewer is offered to end it")
	}
	if a, code := ada.do(base+"/unpin", nil); code != http.StatusOK {
		t.Errorf("%d %+v", code, a)
	}
	clients(from[1])
	if strings.Contains(ada.get(at), "Rolled back") {
		t.Error("the page says that it is rolled back still")
	}
	entries, err := b.store.Audit(t.Context(), store.AuditFilter{Project: mine.Project}, store.Page{Limit: 2})
	if err != nil || len(entries.Items) != 2 || entries.Items[1].Action != "repository.roll-back" || entries.Items[0].Action != "repository.unpin" || entries.Items[1].Who != "nora" {
		t.Errorf("the audit log: %+v %v", entries.Items, err)
	}
}
