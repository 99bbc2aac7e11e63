package service

import (
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Addresses, refs and paths that are meant to do harm are refused when the project is made: no run begins, no
// secret comes back, and nothing is the server's fault.
func TestHostileProjects(t *testing.T) {
	needQuick(t)
	b := newQuickBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	b.serve() // which allows local paths: they are to be repositories all the same
	b.makeToken()
	good := map[string]any{"name": "x", "git_url": "file://" + filepath.Join(b.dir, "project"), "targets": []string{"local"}}
	trap := filepath.Join(b.dir, "trap")
	for _, address := range []string{
		"--upload-pack=touch " + trap, "-oProxyCommand=touch " + trap, "ext::sh -c touch% " + trap, "fd::17/x", "ssh://-oProxyCommand=touch${IFS}" + trap + "/x",
		"git@git.example.org:../../x", "git@git.example.org:-x", "file:///etc/passwd", "file://etc", "http://git.example.org/x.git", "http://169.254.169.254/latest/meta-data", "https://127.0.0.1/x.git",
		"https://[::1]/x.git", "https://10.0.0.1/x.git", "https://me:hunter2@git.example.org/x.git", "https://git.example.org/x.git\n--upload-pack=x", "gopher://git.example.org/x", "git://git.example.org/x.git",
		"https://git.example.org/\x00.git", "https://",
	} {
		b.refuses(good, "git_url", address)
		status, text := b.raw(http.MethodGet, "/api/v1/discover?git_url="+url.QueryEscape(address), nil, nil)
		if status < 400 || status >= 500 || strings.Contains(string(text), "hunter2") {
			t.Errorf("discovering %q: status %d\n%.300s", address, status, text)
		}
	}
	for _, ref := range []string{"-x", "--upload-pack=x", "a..b", "../x", "refs/heads/a:refs/heads/b", "a b", "a\nb", "a\x00b", "^main", "main~1", "*", "@{-1}:x"} {
		b.refuses(good, "ref", ref)
	}
	for _, file := range []string{"../requirements.txt", "/etc/passwd", "a/../../b.txt", "a\nb", "a\x00b", ".."} {
		b.refuses(good, "requirement_files", []string{file})
	}
	if _, err := os.Stat(trap); err == nil {
		t.Error("a command of an address was run")
	}
	var list struct{ Items []struct{ Name string } }
	if b.ask(http.MethodGet, "/api/v1/projects", nil, &list); len(list.Items) > 0 {
		t.Errorf("there are projects: %+v", list.Items)
	}
	if status, text := b.raw(http.MethodPost, "/api/v1/projects", good, nil); status != http.StatusCreated {
		t.Errorf("the project without anything bad: status %d\n%s", status, text)
	}
	for _, field := range []string{"git_url", "ref"} {
		if status, _ := b.raw(http.MethodPatch, "/api/v1/projects/x", map[string]any{field: "--upload-pack=x"}, nil); status != http.StatusUnprocessableEntity {
			t.Errorf("changing %s to an option of git: status %d", field, status)
		}
	}
}

// refuses makes a project with one bad value: 422, whose text has no secret.
func (b *bed) refuses(good map[string]any, field string, value any) {
	b.t.Helper()
	body := maps.Clone(good)
	body[field] = value
	status, text := b.raw(http.MethodPost, "/api/v1/projects", body, nil)
	if status != http.StatusUnprocessableEntity || strings.Contains(string(text), "hunter2") {
		b.t.Errorf("%s %q: status %d\n%.300s", field, value, status, text)
	}
}
