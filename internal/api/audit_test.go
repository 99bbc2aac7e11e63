package api_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// Who changed what can be read with what it was and what it is; secrets cannot.
func TestAuditSaysWhatWasAndIs(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	project, _ := b.create()
	admin := b.token(auth.Admin, 0)
	if err := b.store.AddSchedule(t.Context(), store.Schedule{Name: service.ScheduleSync, Every: "6h", Enabled: true, Next: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	do := func(method, path, body string) {
		t.Helper()
		if w := b.ask(admin, method, "/api/v1"+path, body); w.Code >= 300 {
			t.Fatalf("%s %s %s: %d %s", method, path, body, w.Code, w.Body)
		}
	}
	do("POST", "/users", `{"name": "ada", "password": "correct horse battery", "role": "viewer"}`)
	at := fmt.Sprintf("/projects/%d", project)
	for _, c := range []struct {
		method, path, body, action string
		want                       map[string]any
	}{
		{"PATCH", fmt.Sprintf("/users/%d", b.userID("ada")), `{"role": "builder"}`, "user.change", map[string]any{"role": auth.FromTo("viewer", "builder")}},
		{"PUT", at + "/members/ada", `{"role": "maintainer"}`, "member.set", map[string]any{"role": auth.FromTo("none", "maintainer")}},
		{"DELETE", at + "/members/ada", ``, "member.set", map[string]any{"role": auth.FromTo("maintainer", "none")}},
		{"PATCH", "/schedules/sync", `{"every": "30m"}`, "schedule.change", map[string]any{"every": auth.FromTo("6h", "30m"), "enabled": auth.FromTo(true, true)}},
		{"PATCH", "/settings", `{"log_days": 7}`, "setting.set", map[string]any{"log_days": map[string]any{"from": 30.0, "to": 7.0, "source": "stored"}}},
		{"PUT", "/limits", `{"scope": "all", "name": "", "value": 4}`, "limit.set", map[string]any{"value": auth.FromTo(nil, 4.0)}},
		{"PUT", "/limits", `{"scope": "all", "name": "", "value": -1}`, "limit.set", map[string]any{"value": auth.FromTo(4.0, nil)}},
		{"PUT", "/notify/inside", `{"networks": ["10.1.2.0/24"]}`, "settings.change", map[string]any{"value": auth.FromTo("", "10.1.2.0/24")}},
		{"PATCH", at, `{"ref": "next", "settings": {"options": {"extra": ["postgres"]}}}`, "project.change", map[string]any{"ref": auth.FromTo("", "next"), "option extra": auth.FromTo(nil, []any{"postgres"})}},
		{"PATCH", at, fmt.Sprintf(`{"settings": {"overrides": {"numpy": %q}}}`, strings.Repeat("# long\n", 5000)), "project.change", map[string]any{
			"option extra": auth.FromTo([]any{"postgres"}, nil), "override numpy": auth.FromTo(nil, strings.Repeat("# long\n", 50)[:300]+"… (35000 bytes)")}},
		{"PUT", at + "/secrets/index", `{"kind": "index", "origin": "https://pypi.example.org", "value": "swordfish-1234"}`, "secret.set", nil},
	} {
		do(c.method, c.path, c.body)
		w := b.ask(admin, "GET", "/api/v1/audit?limit=1", "")
		var page struct {
			Items []struct {
				Action string
				Detail map[string]any
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Items) != 1 {
			t.Fatalf("%v: %s", err, w.Body)
		}
		if got := page.Items[0]; got.Action != c.action || !reflect.DeepEqual(got.Detail, c.want) {
			t.Errorf("%s %s %.100s: %s %v, not %s %v", c.method, c.path, c.body, got.Action, got.Detail, c.action, c.want)
		}
		if strings.Contains(w.Body.String(), "swordfish") {
			t.Errorf("a secret is in the audit log: %s", w.Body)
		}
	}
}
