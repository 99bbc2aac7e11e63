package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// Settings are set, shown and reset from a command line.
func TestRemoteSettings(t *testing.T) {
	b := newRemoteBed(t)
	t.Setenv("REQPM_TOKEN", b.token("admin"))
	if out := b.must("settings", "get", "min_free", "--json"); !strings.Contains(out, `"command line"`) || !strings.Contains(out, `"value": 0`) && !strings.Contains(out, `"value":0`) {
		t.Errorf("started with --min-free 0: %s", out)
	}
	b.must("settings", "set", "min_free=1125899906842624", "blocked=leftpad, urllib3<1.26")
	if out := b.must("settings", "get"); !strings.Contains(out, "leftpad,urllib3<1.26") || !strings.Contains(out, "stored") {
		t.Errorf("%s", out)
	}
	b.must("settings", "reset", "min_free")
	b.exits(exitUsage, "retention_days", "settings", "reset", "listen") // with the names that there are
	b.must("settings", "set", "default_targets=local")
	b.exits(exitUsage, "no target \"el1\"", "settings", "set", "default_targets=el1")
	b.exits(exitUsage, "there is no setting", "settings", "set", "listen=:80")
	b.exits(exitUsage, "expected integer", "settings", "set", "log_days=many")
	b.exits(exitUsage, "min_age", "settings", "set", "min_age=soon")
}

// What must be free is asked for each time: a change counts without a restart.
func TestMinFreeWhileRunning(t *testing.T) {
	p := &parts{state: t.TempDir(), store: storetest.Open(t, filepath.Join(t.TempDir(), "reqpm.db"))}
	base, err := service.NewSettingsBase().With("min_free", 0, service.FromFlag)
	if err != nil {
		t.Fatal(err)
	}
	p.base = base
	health := p.health()
	if free, problem := health(); free <= 0 || problem != "" {
		t.Fatalf("%d bytes free: %s", free, problem)
	}
	for value, wants := range map[string]string{"1125899906842624": "min_free", "": ""} {
		change := service.SettingsChange{"min_free": nil}
		if value != "" {
			change["min_free"] = json.RawMessage(value)
		}
		if err := p.store.Write(t.Context(), func(tx *store.Tx) error { return p.base.Change(t.Context(), tx, change) }); err != nil {
			t.Fatal(err)
		}
		if _, problem := health(); (problem == "") != (wants == "") || !strings.Contains(problem, wants) {
			t.Errorf("min_free %q: %s", value, problem)
		}
	}
}
