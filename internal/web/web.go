// Package web puts together what the server answers: the API, published repositories, its health and metrics, and
// the pages (package pages).
package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"reqpm/internal/api"
	"reqpm/internal/auth"
	"reqpm/internal/repo"
	"reqpm/internal/store"
	"reqpm/internal/web/pages"
)

// Config is what the handler serves. All fields must be set.
type Config struct {
	API   http.Handler
	Pages http.Handler // everything else
	Store *store.Store
	Auth  *auth.Auth
	// Repos is the folder of published repositories, PROJECT/CHANNEL/TARGET.
	Repos string
	// PublicRepos lets everybody read them. Otherwise dnf brings a token, as the password of its repository.
	PublicRepos bool
	Version     string
	// Ready is an error while the server should be sent no work.
	Ready func(ctx context.Context) error
	// Metrics answers scrapes.
	Metrics http.Handler
}

type handler struct{ cfg Config }

// New makes the handler of everything.
func New(cfg Config) http.Handler {
	mux := http.NewServeMux()
	for pattern, answer := range (handler{cfg}).routes() {
		mux.Handle(pattern, answer)
	}
	return secured(mux)
}

// routes are who answers what.
func (h handler) routes() map[string]http.Handler {
	return map[string]http.Handler{
		api.Prefix + "/":   h.cfg.API,
		"GET /healthz":     http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") }),
		"GET /readyz":      http.HandlerFunc(h.ready),
		"GET /metrics":     http.HandlerFunc(h.metrics),
		"GET " + repoFiles: http.HandlerFunc(h.repository),
		"GET " + repoFile:  http.HandlerFunc(h.repoFile),
		"/":                h.cfg.Pages,
	}
}

// Where dnf finds repositories and their TARGET.repo.
const (
	repoFiles = "/repos/{project}/{channel}/{target}/{file...}"
	repoFile  = "/repos/{project}/{channel}/{file}"
)

// secured sets what every answer to a browser should have.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'") // pages say more
		next.ServeHTTP(w, r)
	})
}

func text(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, message)
}

// unavailable answers who could not be let in because the database is away, and was not refused.
func unavailable(w http.ResponseWriter, err error) bool {
	if !errors.Is(err, store.ErrUnavailable) {
		return false
	}
	w.Header().Set("Retry-After", "5")
	text(w, http.StatusServiceUnavailable, "the server cannot reach its database; try again")
	return true
}

func (h handler) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	if err := h.cfg.Ready(ctx); err != nil {
		w.Header().Set("Retry-After", "5")
		text(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	text(w, http.StatusOK, "ready")
}

// metrics are for who may see everything; on loopback that is whoever is on the machine.
func (h handler) metrics(w http.ResponseWriter, r *http.Request) {
	who, err := h.cfg.Auth.Authenticate(r)
	if err == nil && !h.cfg.Auth.Address(r).IsLoopback() {
		err = auth.Allowed(who, auth.Viewer, 0)
	}
	if unavailable(w, err) {
		return
	}
	if err != nil {
		text(w, http.StatusUnauthorized, err.Error())
		return
	}
	h.cfg.Metrics.ServeHTTP(w, r)
}

// name is a folder of a repository's path. Nothing else reaches the disk.
var name = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)

// may tells whether who asks may read a project's repositories; dnf can only bring a user name and a
// password, so a token may come as the password.
func (h handler) may(w http.ResponseWriter, r *http.Request) bool {
	for _, part := range []string{r.PathValue("project"), r.PathValue("channel")} {
		if !name.MatchString(part) {
			text(w, http.StatusNotFound, "there is no such repository")
			return false
		}
	}
	if h.cfg.PublicRepos {
		return true
	}
	if _, password, ok := r.BasicAuth(); ok {
		r.Header.Set("Authorization", "Bearer "+password)
	}
	who, err := h.cfg.Auth.Authenticate(r)
	if err == nil {
		var p store.Project
		if p, err = h.cfg.Store.ProjectNamed(r.Context(), r.PathValue("project")); err == nil {
			err = auth.Allowed(who, auth.Viewer, p.ID)
		}
	}
	if unavailable(w, err) {
		return false
	}
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="ReqPM repositories"`)
		text(w, http.StatusUnauthorized, "a token is needed: give it as the password of the repository")
		return false
	}
	return true
}

func (h handler) repository(w http.ResponseWriter, r *http.Request) {
	if !h.may(w, r) {
		return
	}
	if !name.MatchString(r.PathValue("target")) {
		text(w, http.StatusNotFound, "there is no such repository")
		return
	}
	root, err := os.OpenRoot(filepath.Join(h.cfg.Repos, r.PathValue("project"), r.PathValue("channel"), r.PathValue("target")))
	if err != nil {
		text(w, http.StatusNotFound, "nothing is published there")
		return
	}
	defer root.Close()
	file := filepath.Join(repo.Current, filepath.FromSlash(strings.TrimPrefix(r.PathValue("file"), "/")))
	f, err := root.Open(file)
	if err != nil {
		text(w, http.StatusNotFound, "there is no such file in the repository")
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		text(w, http.StatusNotFound, "this is a folder of a dnf repository; its metadata is in repodata/repomd.xml")
		return
	}
	if strings.HasPrefix(r.PathValue("file"), "repodata/repomd.xml") {
		w.Header().Set("Cache-Control", "no-cache")
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", info.ModTime(), f)
}

// repoFile is TARGET.repo: what goes to /etc/yum.repos.d.
func (h handler) repoFile(w http.ResponseWriter, r *http.Request) {
	target, ok := strings.CutSuffix(r.PathValue("file"), ".repo")
	if !ok || !name.MatchString(target) {
		text(w, http.StatusNotFound, "a repository's file is called TARGET.repo")
		return
	}
	if !h.may(w, r) {
		return
	}
	project, channel := r.PathValue("project"), r.PathValue("channel")
	if _, err := os.Stat(filepath.Join(h.cfg.Repos, project, channel, target)); err != nil {
		text(w, http.StatusNotFound, "nothing is published there")
		return
	}
	base := pages.Address(r) + "/repos/" + project + "/" + channel + "/" + target
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprint(w, repo.RepoFile("reqpm-"+project, "ReqPM "+project+" for "+target, base))
}
