package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/api"
	"reqpm/internal/auth"
)

func TestChannels(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	project, _ := b.create()
	maintainer, admin := b.token(auth.Maintainer, project), b.token(auth.Admin, 0)
	do := func(token, method, path, body string, status int, into any) string {
		t.Helper()
		w := b.ask(token, method, "/api/v1"+path, body)
		if w.Code != status {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		if into != nil {
			if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
				t.Fatal(err)
			}
		}
		return w.Body.String()
	}
	var mine, all api.Channel
	do(maintainer, "POST", "/projects/app/channels", `{"name": "hook", "kind": "webhook", "events": ["failed", "fixed"], "settings": {"url": "https://127.0.0.1:1/sesame-open"}}`, 201, &mine)
	if !strings.HasPrefix(mine.Key, "whsec_") || mine.Settings.URL != "https://127.0.0.1:1/…" || mine.Project != project || !mine.Enabled {
		t.Errorf("%+v", mine)
	}
	do(admin, "POST", "/channels", `{"name": "room", "kind": "matrix", "events": ["always"], "settings": {"homeserver": "https://matrix.example.org", "room": "!r:example.org", "token": "sesame-open"}}`, 201, &all)
	do(maintainer, "POST", "/projects/app/channels", `{"name": "x", "kind": "webhook", "events": ["failed"], "settings": {"url": "file:///etc/passwd"}}`, 422, nil)
	do(maintainer, "POST", "/projects/app/channels", `{"name": "x", "kind": "webhook", "events": ["hourly"], "settings": {"url": "https://example.org/"}}`, 422, nil)
	if text := do(maintainer, "GET", "/projects/app/channels", "", 200, nil); strings.Contains(text, "sesame") || strings.Contains(text, "whsec_") || strings.Contains(text, "matrix") {
		t.Errorf("%s", text)
	}
	if text := do(admin, "GET", "/channels", "", 200, nil); strings.Contains(text, "sesame") || !strings.Contains(text, "!r:example.org") || strings.Contains(text, "127.0.0.1") {
		t.Errorf("%s", text)
	}
	// A channel of all projects is nobody's of one project.
	at := fmt.Sprintf("/projects/app/channels/%d", all.ID)
	do(maintainer, "PATCH", at, `{"enabled": false}`, 404, nil)
	do(maintainer, "POST", at+"/test", "", 404, nil)
	do(maintainer, "DELETE", at, "", 404, nil)
	do(maintainer, "GET", "/channels", "", 403, nil)
	at = fmt.Sprintf("/projects/app/channels/%d", mine.ID)
	var changed api.Channel
	if do(maintainer, "PATCH", at, `{"events": ["always"], "settings": {"url": "https://127.0.0.1:1/…"}}`, 200, &changed); changed.Events[0] != "always" || changed.Settings.URL != mine.Settings.URL || changed.Key != "" {
		t.Errorf("%+v", changed)
	}
	do(admin, "PATCH", fmt.Sprintf("/channels/%d", all.ID), `{"settings": {"homeserver": "https://evil.example.org", "room": "!r:example.org"}}`, 422, nil)
	var sent api.Notification
	if do(maintainer, "POST", at+"/test", "", 200, &sent); sent.State != "failed" || !strings.Contains(sent.Status, "private or local address") {
		t.Errorf("%+v", sent)
	}
	do(admin, "PUT", "/notify/inside", `{"networks": ["127.0.0.0/33"]}`, 422, nil)
	do(admin, "PUT", "/notify/inside", `{"networks": ["127.0.0.0/8"]}`, 200, nil)
	if do(maintainer, "POST", at+"/test", "", 200, &sent); sent.State != "failed" || !strings.Contains(sent.Status, "refused") {
		t.Errorf("%+v", sent)
	}
	if text := do(maintainer, "GET", "/projects/app/notifications?state=failed", "", 200, nil); strings.Count(text, `"event":"test"`) != 2 || strings.Contains(text, "sesame") {
		t.Errorf("%s", text)
	}
	if do(maintainer, "POST", fmt.Sprintf("/projects/app/notifications/%d/replay", sent.ID), "", 200, &sent); sent.State != "waiting" || sent.Replays != 1 {
		t.Errorf("%+v", sent)
	}
	do(maintainer, http.MethodDelete, at, "", 204, nil)
	if text := do(admin, "GET", "/audit", "", 200, nil); !strings.Contains(text, "channel.create") || !strings.Contains(text, "channel.delete") || strings.Contains(text, "sesame") {
		t.Errorf("%s", text)
	}
}
