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
	"reqpm/internal/diagnose"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// A failed build's proposal is shown, said by the project when it is taken, and what failed is done again; a text of
// one's own goes the same way; what is no override changes nothing.
func TestFixes(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	projectID, _ := b.create()
	var run store.Run
	err := b.store.Write(t.Context(), func(tx *store.Tx) (err error) {
		if run, _, err = tx.CreateRun(t.Context(), store.Run{Project: projectID, Targets: []string{"el9"}}, false); err != nil {
			return err
		}
		if err = tx.AddSteps(t.Context(), run.ID, []store.NewStep{{Key: "build lxml", Kind: store.Build, Target: "el9", Package: "lxml==5.3.0"}, {Key: "build plain", Kind: store.Build, Target: "el9", Package: "plain==1"},
			{Key: "build app", Kind: store.Build, Target: "el9", Package: "app==1", Needs: []string{"build lxml"}}}); err != nil {
			return err
		}
		w, err := tx.AddWorker(t.Context(), store.Worker{Name: "one", Slots: 2})
		for range 2 {
			var step store.Step
			if err == nil {
				step, err = tx.ClaimStep(t.Context(), store.Claim{Worker: w.ID, WorkerName: w.Name, Kinds: []store.Kind{store.Build}})
			}
			if err != nil {
				return err
			}
			built := service.Built{State: "failed"}
			if step.Package == "lxml==5.3.0" {
				built.Findings = []diagnose.Finding{{Cause: diagnose.MissingHeader, Changes: []diagnose.Change{{Do: diagnose.AddNative, Value: "header:libxml/xmlversion.h"}}}}
			}
			result, _ := json.Marshal(built)
			_, err = tx.FinishStep(t.Context(), store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: w.ID, State: store.Failed, Result: result})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	maintainer, path := b.token(auth.Maintainer, 0), fmt.Sprintf("/api/v1/runs/%d/fixes", run.ID)
	var list struct{ Items []api.Fix }
	if w := b.ask(b.token(auth.Viewer, 0), "GET", path, ""); w.Code != http.StatusOK || json.Unmarshal(w.Body.Bytes(), &list) != nil || len(list.Items) != 2 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if f := list.Items[0]; f.Package != "lxml" || len(f.Proposed) == 0 || !strings.Contains(f.Text, "libxml") || f.Frees != 1 || len(f.Builds) != 1 {
		t.Errorf("%+v", f)
	}
	if f := list.Items[1]; f.Package != "plain" || len(f.Proposed) != 0 {
		t.Errorf("%+v", f)
	}
	apply := func(query, body string, status int) (got api.AppliedFix) {
		t.Helper()
		w := b.ask(maintainer, "POST", path+query, body)
		if w.Code != status {
			t.Fatalf("%s: %d %s", body, w.Code, w.Body)
		}
		if status == http.StatusOK {
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
		}
		return got
	}
	said := func(name string) string {
		t.Helper()
		p, err := b.store.Project(t.Context(), projectID)
		if err != nil {
			t.Fatal(err)
		}
		return service.OverrideOf(p, name)
	}
	for _, body := range []string{`{"package": "app"}`, `{"package": "plain"}`, `{"package": "lxml", "text": "build-require = 7"}`, `{"package": "lxml", "text": "spec = \"/etc/passwd\""}`} {
		apply("", body, http.StatusUnprocessableEntity)
	}
	if got := apply("?dry_run=true", `{"package": "lxml"}`, http.StatusOK); len(got.Steps) < 2 || got.Run != nil || said("lxml") != "" {
		t.Errorf("a dry run: %+v, the project says %q", got, said("lxml"))
	}
	if got := apply("", `{"package": "lxml"}`, http.StatusOK); got.Run == nil || got.Run.ID != run.ID || len(got.Steps) < 2 || !strings.Contains(said("lxml"), "libxml") {
		t.Errorf("%+v, the project says %q", got, said("lxml"))
	}
	if got := apply("", `{"package": "plain", "text": "[env]\nA = \"1\"\n", "new_run": true}`, http.StatusOK); got.Run == nil || got.Run.ID == run.ID || !strings.Contains(said("plain"), "A =") || !strings.Contains(said("lxml"), "libxml") {
		t.Errorf("%+v, the project says %q", got, said("plain"))
	}
}
