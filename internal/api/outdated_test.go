package api_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/api"
	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// Newer versions are taken as the page takes them: a dry run says what the project would say, and changes nothing.
func TestTakeNewer(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	project, first := b.create()
	maintainer, path := b.token(auth.Maintainer, project), "/api/v1/projects/app/outdated"
	take := func(query, body string, want int, text string) (v api.TakenNewer) {
		t.Helper()
		w := b.ask(maintainer, http.MethodPost, path+"/take"+query, body)
		if w.Code != want || !strings.Contains(w.Body.String(), text) {
			t.Errorf("%s%s answers %d, not %d with %q: %s", query, body, w.Code, want, text, w.Body)
		}
		_ = json.Unmarshal(w.Body.Bytes(), &v)
		return v
	}
	said := func() string {
		p, err := b.store.Project(t.Context(), project)
		if err != nil {
			t.Fatal(err)
		}
		return service.OverrideOf(p, "numpy")
	}
	take("", `{"all": true}`, http.StatusUnprocessableEntity, "nothing newer")
	for target, found := range map[string]string{
		"el8": `[{"name": "numpy", "version": "1.0", "newest": "2.1", "resolves": "1.0", "held_by": [{"reason": "it needs Python 3.9"}]}]`,
		"el9": `[{"name": "numpy", "version": "2.0", "newest": "2.1", "resolves": "2.1"}, {"name": "six", "version": "1", "newest": "2", "resolves": "2"}]`} {
		if err := b.store.PutOutdated(t.Context(), store.Outdated{Project: project, Target: target, Run: first, Packages: 9, Found: json.RawMessage(found), Checked: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	var list struct{ Items []api.Outdated }
	if w := b.ask(maintainer, http.MethodGet, path, ""); json.Unmarshal(w.Body.Bytes(), &list) != nil || len(list.Items) != 2 || len(list.Items[0].Outdated) != 1 || list.Items[0].Outdated[0].HeldBy[0] != "it needs Python 3.9" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	take("", `{}`, http.StatusUnprocessableEntity, "either packages or all")
	take("", `{"all": true, "packages": ["six"]}`, http.StatusUnprocessableEntity, "either packages or all")
	take("", `{"packages": ["six", "flask"]}`, http.StatusUnprocessableEntity, "body.packages[1]")
	take("", `{"packages": ["No Name"]}`, http.StatusUnprocessableEntity, "body.packages[0]")
	dry := take("?dry_run=true", `{"packages": ["numpy"]}`, http.StatusOK, `"dry_run":true`)
	if dry.Run != nil || len(dry.Versions) != 1 || dry.Versions[0] != (service.Newer{Package: "numpy", Target: "el9", Version: "2.1"}) || len(dry.Overrides) != 1 || !strings.Contains(dry.Overrides[0].Text, "[target.el9]") || said() != "" {
		t.Errorf("a dry run answers %+v, and the project says %q", dry, said())
	}
	real := take("", `{"packages": ["numpy"]}`, http.StatusOK, `"run":`)
	if real.Run == nil || real.Run.ID == first || said() != dry.Overrides[0].Text {
		t.Errorf("it answers %+v, and the project says %q", real, said())
	}
	if all := take("?dry_run=true", `{"all": true}`, http.StatusOK, ""); len(all.Overrides) != 2 || all.Overrides[0].Was != said() {
		t.Errorf("of all: %+v", all)
	}
	entries, err := b.store.Audit(t.Context(), store.AuditFilter{}, store.Page{Limit: 50})
	if err != nil || !strings.Contains(string(entries.Items[0].Detail), `"numpy"`) || entries.Items[0].Action != "outdated.take" {
		t.Errorf("the audit log says %+v, %v", entries.Items, err)
	}
}
