package pages

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// TestSecrets: a secret is set, known again, replaced and removed, and its value is in no page and no audit entry.
func TestSecrets(t *testing.T) {
	b := newBed(t)
	b.complete()
	p, _ := b.project("app")
	ada := b.logIn("ada", auth.Maintainer)
	at := secretsPath(p.Name)
	has(t, "without secrets", ada.get(at), "No secret yet", "New secret")
	const value = "glpat-0123456789abcdefWXYZ"
	form := url.Values{"name": {"git"}, "kind": {"git-token"}, "value": {value + "\r\n"}}
	a, code := ada.do(at, form)
	if code != http.StatusOK || !strings.Contains(a.Toast, "git is set") || !strings.Contains(a.Fragments["secrets"], "ends in WXYZ") || !strings.Contains(a.Fragments["secrets"], "https://git.example.org") || !strings.Contains(a.Fragments["secrets"], ">ada<") {
		t.Errorf("%d %+v", code, a)
	}
	for field, change := range map[string]url.Values{"name": {"name": {"No Name"}}, "value": {"value": {"short"}}, "origin": {"origin": {"ftp://x"}}, "kind": {"kind": {"cookie"}}, "known_hosts": {"known_hosts": {"x"}}} {
		bad := url.Values{"name": {"git2"}, "kind": {"git-token"}, "value": {value}}
		for k, v := range change {
			bad[k] = v
		}
		if a, code := ada.do(at, bad); code != http.StatusUnprocessableEntity || a.Field != field || strings.Contains(a.Error, value) {
			t.Errorf("a wrong %s: %d %+v", field, code, a)
		}
	}
	form.Set("name", "second")
	if a, code := ada.do(at, form); code != http.StatusConflict || !strings.Contains(a.Error, "already") {
		t.Errorf("a second for the same server: %d %+v", code, a)
	}
	has(t, "to replace it", ada.get(at+"?replace=git"), "Replace git", `value="git"`)
	form = url.Values{"name": {"git"}, "kind": {"git-token"}, "value": {"another-value-of-20-chars-ABCD"}}
	if a, _ := ada.do(at, form); !strings.Contains(a.Fragments["secrets"], "ends in ABCD") || strings.Contains(a.Fragments["secrets"], "WXYZ") {
		t.Errorf("replaced: %+v", a)
	}
	for _, path := range []string{at, at + "?replace=git", projectPath(p.Name)} {
		if page := ada.get(path); strings.Contains(page, "another-value") || strings.Contains(page, value) {
			t.Errorf("%s shows the value", path)
		}
	}
	if a, code := ada.do(at+"/delete", url.Values{"name": {"git"}}); code != http.StatusOK || !strings.Contains(a.Fragments["secrets"], "No secret yet") {
		t.Errorf("removed: %d %+v", code, a)
	}
	if _, code := ada.do(at+"/delete", url.Values{"name": {"git"}}); code != http.StatusNotFound {
		t.Errorf("removed twice: %d", code)
	}
	entries, err := b.store.Audit(t.Context(), store.AuditFilter{Project: p.ID}, store.Page{})
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	for _, e := range entries.Items {
		said += e.Who + " " + e.Action + " " + e.Object + string(e.Detail) + "\n"
	}
	if strings.Count(said, "ada secret.set git") != 2 || strings.Count(said, "ada secret.delete git") != 1 || strings.Contains(said, "glpat") || strings.Contains(said, "another-value") {
		t.Errorf("the audit log says:\n%s", said)
	}
}
