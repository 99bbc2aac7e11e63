package service

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/store/storetest"
)

// What the servers of the test let in by. The characters are those that addresses and JSON escape.
const (
	gitSecret   = "glpat-Zk8/3+x=q&9<r7_Tq2vW"
	indexSecret = "idx pass/word+\"42\"&é-Kq8sL0"
)

// privateGit serves the bed's project by git http-backend to who brings the token.
func (b *bed) privateGit() string {
	b.t.Helper()
	execPath, err := exec.Command("git", "--exec-path").Output()
	must(b.t, err)
	backend := filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		b.t.Skip("git http-backend is not installed")
	}
	serve := &cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + b.dir, "GIT_HTTP_EXPORT_ALL=1"}, InheritEnv: []string{"PATH"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != gitSecret {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		serve.ServeHTTP(w, r)
	}))
	b.t.Cleanup(server.Close)
	return server.URL + "/project"
}

// A project on a private Git server with packages of a private index becomes a repository once it has its secrets; without
// them, or with another project's, nothing is had; and no file, row, log, answer or line on stderr has one of them.
func TestPrivateServers(t *testing.T) {
	needQuick(t)
	t.Run("sqlite", func(t *testing.T) {
		b := newQuickBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
		b.private(b.serve("--allow-source", "local,loopback,http"))
	})
	t.Run("postgres, a worker elsewhere", func(t *testing.T) {
		b := newQuickBed(t, storetest.Postgres(t))
		server := b.serve("--allow-source", "local,loopback,http", "--roles", "web,scheduler")
		must(t, os.MkdirAll(filepath.Join(b.dir, "one"), 0o755))
		key, err := os.ReadFile(filepath.Join(b.dir, "state", "secrets.key"))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(b.dir, "one", "secrets.key"), key, 0o600))
		b.private(server, b.worker("one", "--allow-source", "local,loopback,http"))
	})
}

func (b *bed) private(processes ...*process) {
	t := b.t
	b.makeToken()
	b.index.SetLogin("ci", indexSecret)
	url := b.privateGit()
	for _, name := range []string{"demo", "other"} {
		body := map[string]any{"name": name, "git_url": url, "targets": []string{"local"}, "no_run": true}
		if status, text := b.raw(http.MethodPost, "/api/v1/projects", body, nil); status != http.StatusCreated {
			t.Fatalf("%d %s", status, text)
		}
	}
	var said bytes.Buffer // every answer
	ask := func(method, path string, body any) (int, string) {
		t.Helper()
		status, text := b.raw(method, path, body, nil)
		fmt.Fprintf(&said, "%s\n", text)
		return status, string(text)
	}
	if status, text := ask(http.MethodGet, "/api/v1/projects/demo/discover", nil); status != http.StatusUnprocessableEntity {
		t.Fatalf("a private server without a secret: %d %s", status, text)
	}
	preview := map[string]any{"git_url": url, "ref": "HEAD", "value": gitSecret}
	if status, text := ask(http.MethodPost, "/api/v1/discover", preview); status != http.StatusOK || !strings.Contains(text, "requirements.txt") {
		t.Fatalf("a look before there is a project: %d %s", status, text)
	}
	// The command line reads secrets from standard input.
	set := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("/proc/self/exe", append([]string{"project", "secret"}, args[1:]...)...)
		cmd.Env = append(b.command().Env, "REQPM_SERVER="+b.url, "REQPM_TOKEN="+b.token)
		cmd.Stdin = strings.NewReader(args[0])
		out, err := cmd.CombinedOutput()
		said.Write(out)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args[1:], err, out)
		}
		return string(out)
	}
	set(gitSecret+"\n", "set", "demo", "git")
	set(indexSecret, "set", "demo", "index", "--kind", "index", "--origin", b.index.URL, "--username", "ci")
	if text := set("", "list", "demo"); !strings.Contains(text, "…q2vW") || !strings.Contains(text, "index") {
		t.Errorf("the list:\n%s", text)
	}
	if status, text := ask(http.MethodGet, "/api/v1/projects/demo/discover", nil); status != http.StatusOK {
		t.Fatalf("with the secret: %d %s", status, text)
	}
	if status, text := ask(http.MethodGet, "/api/v1/projects/other/discover", nil); status != http.StatusUnprocessableEntity {
		t.Errorf("another project, without one: %d %s", status, text)
	}
	var begun run
	_, text := ask(http.MethodPost, "/api/v1/projects/demo/runs", map[string]any{})
	must(t, json.Unmarshal([]byte(text), &begun))
	b.until("the run has ended", 3*time.Minute, func() bool { return b.unfinished([]int64{begun.ID}) == 0 })
	b.succeeded(begun.ID)

	// Another project has the same address, and a token that the server refuses: not even what is in the caches is its.
	set("not-the-right-token-at-all", "set", "other", "git")
	if status, text := ask(http.MethodGet, "/api/v1/projects/other/discover", nil); status != http.StatusUnprocessableEntity || strings.Contains(text, "not-the-right") {
		t.Errorf("with a wrong token: %d %s", status, text)
	}
	for _, path := range []string{"", "/log", "/secrets"} {
		ask(http.MethodGet, "/api/v1/projects/demo"+path, nil)
	}
	ask(http.MethodGet, fmt.Sprintf("/api/v1/runs/%d", begun.ID), nil)
	ask(http.MethodGet, "/api/v1/audit?limit=500", nil)
	for _, p := range processes {
		said.WriteString(p.stderr.String())
	}
	if text := set("", "remove", "demo", "git"); !strings.Contains(text, "removed git") {
		t.Errorf("removing: %s", text)
	}
	b.noSecretIn("what was answered and logged", said.Bytes())
	b.noSecrets()
}

// noSecretIn fails where a text has one of the secrets, in any form that it is sent or escaped in.
func (b *bed) noSecretIn(where string, text []byte) {
	for _, value := range []string{gitSecret, indexSecret, "not-the-right-token-at-all"} {
		quoted, _ := json.Marshal(value)
		for _, form := range []string{value, string(quoted[1 : len(quoted)-1]), base64.StdEncoding.EncodeToString([]byte(value))[:16],
			base64.StdEncoding.EncodeToString([]byte("x-access-token:" + value))[24:40], base64.StdEncoding.EncodeToString([]byte("ci:" + value))[4:20], strings.ReplaceAll(value, "/", "%2F")[:12]} {
			if bytes.Contains(text, []byte(form)) {
				b.t.Errorf("%s: %q is in it", where, form)
			}
		}
	}
}

// noSecrets looks at everything below the bed's folder, the SQLite file with its log of writes among it, and at a dump of the
// database where that is elsewhere.
func (b *bed) noSecrets() {
	b.t.Helper()
	files := 0
	look := func(dir string) {
		must(b.t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil // what goes away meanwhile
			}
			data, err := os.ReadFile(path)
			if err == nil {
				files++
				b.noSecretIn(path, data)
			}
			return nil
		}))
	}
	look(b.dir)
	if !strings.HasPrefix(b.database, "postgres") {
		look(filepath.Dir(b.database))
	} else {
		backup := filepath.Join(b.dir, "backup")
		out, err := b.command("backup", backup).CombinedOutput()
		if err != nil {
			b.t.Fatalf("backup: %v\n%s", err, out)
		}
		look(b.dir)
	}
	if files < 50 {
		b.t.Errorf("only %d files were looked at", files)
	}
}
