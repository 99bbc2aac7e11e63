package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"reqpm/internal/api"
	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// Settings of the server say where they come from, are changed while it runs, go back, and refuse what is none, by
// name; who has seen another state than there is changes nothing.
func TestSettings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		admin := b.token(auth.Admin, 0)
		ask := func(method, query, body string, status int, header ...string) (map[string]api.Setting, string) {
			t.Helper()
			w := b.ask(admin, method, "/api/v1/settings"+query, body, header...)
			if w.Code != status {
				t.Fatalf("%s %s: %d %s", method, body, w.Code, w.Body)
			}
			var list struct{ Items []api.Setting }
			if status == http.StatusOK {
				if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
					t.Fatal(err)
				}
			}
			named := map[string]api.Setting{}
			for _, s := range list.Items {
				named[s.Name] = s
			}
			return named, w.Header().Get("ETag")
		}
		was, tag := ask("GET", "", "", http.StatusOK)
		if s := was["retention_days"]; s.Value != 90.0 || s.Source != service.FromDefault || s.Title == "" {
			t.Errorf("%+v", s)
		}
		now, changed := ask("PATCH", "", `{"retention_days": 7, "default_targets": ["local"], "blocked": ["leftpad", "urllib3<1.26 # CVE"], "paused": true, "min_age": "7d"}`, http.StatusOK, "If-Match", tag)
		if s := now["retention_days"]; s.Value != 7.0 || s.Source != service.FromStored || s.Without != 90.0 || len(now["blocked"].Value.([]any)) != 2 || changed == tag {
			t.Errorf("%+v, ETag %s", now, changed)
		}
		if paused, err := b.store.Setting(t.Context(), store.SettingPaused); err != nil || paused != "true" {
			t.Errorf("the dispatcher reads %q, %v", paused, err)
		}
		if read, err := service.NewSettingsBase().Read(t.Context(), b.store.Queries); err != nil || read.RetentionDays != 7 || read.MinAge != "7d" || !read.Paused || read.LogDays != 30 {
			t.Errorf("another process reads %+v, %v", read, err)
		}
		ask("PATCH", "", `{"log_days": 1}`, http.StatusPreconditionFailed, "If-Match", tag)
		if now, _ = ask("PATCH", "?dry_run=true", `{"log_days": 1}`, http.StatusOK); now["log_days"].Value != 30.0 {
			t.Errorf("a dry run changed %+v", now["log_days"])
		}
		now, _ = ask("PATCH", "", `{"reset": ["retention_days", "paused"], "blocked": []}`, http.StatusOK, "If-Match", changed)
		if s := now["retention_days"]; s.Value != 90.0 || s.Source != service.FromDefault || now["paused"].Value != false || len(now["blocked"].Value.([]any)) != 0 || now["min_age"].Value != "7d" {
			t.Errorf("reset: %+v", now)
		}
		for body, field := range map[string]string{
			`{"retention_days": -1}`: "body.retention_days", `{"retention_days": "7"}`: "body.retention_days", `{"min_age": "soon"}`: "body.min_age",
			`{"default_targets": ["mars"]}`: "body.default_targets", `{"default_targets": []}`: "body.default_targets", `{"distribution": "always"}`: "body.distribution",
			`{"blocked": ["a; b"]}`: "body.blocked", `{"listen": ":80"}`: "body.listen", `{"reset": ["listen"]}`: "body.reset[0]", `{"log_days": 1, "reset": ["log_days"]}`: "body.reset",
		} {
			w := b.ask(admin, "PATCH", "/api/v1/settings", body)
			if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), field) {
				t.Errorf("%s: %d %s", body, w.Code, w.Body)
			}
		}
		if w := b.ask(admin, "GET", "/api/v1/audit", ""); strings.Count(w.Body.String(), "setting.set") != 2 {
			t.Errorf("in the audit log: %s", w.Body)
		}
		// A project that names no targets is of the default ones.
		w := b.ask(admin, "POST", "/api/v1/projects", `{"name": "plain", "git_url": "https://git.example.org/plain.git"}`)
		if w.Code != http.StatusCreated || !strings.Contains(w.Body.String(), `"targets":["local"]`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// What the configuration file and the command line say counts until something is stored, and is named.
func TestSettingsBase(t *testing.T) {
	base, err := service.NewSettingsBase().With("log_days", 5, service.FromFile)
	if err == nil {
		base, err = base.With("min_free", 1, service.FromFlag)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := storetest.Open(t, t.TempDir()+"/reqpm.db")
	read := func() (service.ServerSettings, map[string]string) {
		t.Helper()
		now, err := base.Read(t.Context(), s.Queries)
		all, err2 := base.List(t.Context(), s.Queries)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		from := map[string]string{}
		for _, x := range all {
			from[x.Name] = x.Source
		}
		return now, from
	}
	if now, from := read(); now.LogDays != 5 || now.MinFree != 1 || from["log_days"] != service.FromFile || from["min_free"] != service.FromFlag {
		t.Errorf("%+v %v", now, from)
	}
	err = s.Write(t.Context(), func(tx *store.Tx) error {
		if err := tx.SetSetting(t.Context(), "server.retention_days", `"damaged"`); err != nil {
			return err
		}
		return base.Change(t.Context(), tx, service.SettingsChange{"log_days": json.RawMessage("9")})
	})
	if now, from := read(); err != nil || now.LogDays != 9 || from["log_days"] != service.FromStored || now.RetentionDays != 90 || from["retention_days"] != service.FromDefault {
		t.Errorf("%+v %v %v", now, from, err)
	}
	for name, value := range map[string]any{"log_days": "many", "nothing": 1, "default_targets": []string{}} {
		if _, err := base.With(name, value, service.FromFile); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The targets that a project may have are listed, local and the server's own among them.
func TestTargets(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		var list struct {
			Items []struct{ Name, Python string }
		}
		w := b.ask(b.token(auth.Viewer, 0), http.MethodGet, "/api/v1/targets", "")
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		python := map[string]string{}
		for _, x := range list.Items {
			python[x.Name] = x.Python
		}
		if _, ok := python["local"]; !ok || python["el9"] == "" || python["house9"] != "3.9.18" {
			t.Errorf("targets: %v", python)
		}
	})
}
