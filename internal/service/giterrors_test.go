package service_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/engine"
	"reqpm/internal/secret"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// A Git server that says "no" is told at once, with what to do; one that does not answer is tried again.
func TestRefusedCheckoutIsNoInfrastructure(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	forge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/private"):
			w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
			http.Error(w, "no", http.StatusUnauthorized)
		case strings.HasPrefix(r.URL.Path, "/forbidden"):
			http.Error(w, "no", http.StatusForbidden)
		case strings.HasPrefix(r.URL.Path, "/broken"):
			http.Error(w, "later", http.StatusBadGateway)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(forge.Close)
	token, err := secret.New("deploy", secret.GitToken, forge.URL, "", "wrong-token", "")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path    string
		secrets []secret.Secret
		again   bool
		says    []string
	}{
		"no token":      {"/private.git", nil, false, []string{"is private, or there is none", "reqpm project secret set app git"}},
		"a wrong token": {"/private.git", []secret.Secret{token}, false, []string{"the project's secret deploy was refused", "reqpm project secret set app deploy"}},
		"forbidden":     {"/forbidden.git", nil, false, []string{"reqpm project secret set app git"}},
		"not there":     {"/nothing.git", nil, false, []string{"mend the project's address or ref"}},
		"out of order":  {"/broken.git", nil, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			sub := service.Subject{Project: "app", GitURL: forge.URL + c.path, Secrets: c.secrets}
			_, err := b.service.Checkout(t.Context(), sub, func(string) {})
			if err == nil || service.Infrastructure(err) != c.again {
				t.Fatalf("tried again: %v; %v", !c.again, err)
			}
			for _, text := range c.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q is not in %v", text, err)
				}
			}
		})
	}
	p := b.project(store.Project{Name: "app", GitURL: forge.URL + "/nothing.git"})
	r := b.run(p)
	steps, err := b.store.RunSteps(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	if _, _, err := b.service.Do(t.Context(), steps[0], &log); err == nil || errors.Is(err, engine.ErrInfrastructure) {
		t.Errorf("a checkout of what is not there: %v", err)
	}
}
