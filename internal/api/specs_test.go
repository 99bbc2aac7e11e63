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
	"reqpm/internal/store"
)

// Spec files through the API: what was written is listed and read, one's own is saved on top of what one has seen, compared, dropped
// and restored; another project's revisions are none of this one's.
func TestSpecs(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	project, _ := b.create()
	var other store.Project
	if err := b.store.Write(t.Context(), func(tx *store.Tx) (err error) {
		other, err = tx.CreateProject(t.Context(), store.Project{Name: "other", GitURL: "https://git.example.org/other.git", Targets: []string{"local"}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	written := func(p int64, text string) int64 {
		t.Helper()
		name := fmt.Sprintf("specs/%d/%d/python-lxml.spec", p, len(text))
		if _, err := b.blobs.Put(t.Context(), name, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		r, err := b.store.AddSpecRevision(t.Context(), store.SpecRevision{Project: p, Target: "local", Package: "lxml==5.4.0", Blob: name, SHA256: fmt.Sprint(len(text)), Message: "written for run 1", Author: "reqpm"})
		if err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	const text = "Name: python-lxml\nVersion: 5.4.0\nRelease: 1\n"
	first, foreign := written(project, text), written(other.ID, text)
	maintainer, path := b.token(auth.Maintainer, project), fmt.Sprintf("/api/v1/projects/%d/specs", project)
	ask := func(method, at, body string, status int, into any) string {
		t.Helper()
		w := b.ask(maintainer, method, path+at, body)
		if w.Code != status {
			t.Fatalf("%s %s %.200s: %d, not %d: %s", method, at, body, w.Code, status, w.Body)
		}
		if into != nil {
			if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
				t.Fatal(err)
			}
		}
		return w.Body.String()
	}
	save := func(text string, more string) string {
		quoted, _ := json.Marshal(text)
		return fmt.Sprintf(`{"target": "local", "package": "lxml==5.4.0", "text": %s%s}`, quoted, more)
	}
	var dry api.SavedSpec
	ask("POST", "?dry_run=true", save(text+"# mine\n", ""), http.StatusOK, &dry)
	if !dry.DryRun || dry.Revision != nil || dry.Changes.Added != 1 || dry.Changes.Diff != "@@ -1,3 +1,4 @@\n Name: python-lxml\n Version: 5.4.0\n Release: 1\n+# mine\n" {
		t.Errorf("%+v", dry)
	}
	ask("POST", "", save(text+"# mine\n", ""), http.StatusUnprocessableEntity, nil) // no message
	var saved api.SavedSpec
	ask("POST", "", save(text+"# mine\n", fmt.Sprintf(`, "message": "Mine", "base": %d`, first)), http.StatusCreated, &saved)
	if saved.Revision == nil || !saved.Revision.InUse || saved.Revision.Kind != "own" || saved.Changes.Old == nil || saved.Changes.Old.ID != first {
		t.Fatalf("%+v", saved)
	}
	if said := ask("POST", "", save(text+"# theirs\n", fmt.Sprintf(`, "message": "Theirs", "base": %d`, first)), http.StatusConflict, nil); !strings.Contains(said, "saved another revision") {
		t.Errorf("who has not seen it is told %s", said)
	}
	ask("POST", "", save(text+"# mine\n", `, "message": "Mine again"`), http.StatusConflict, nil)

	second := written(project, text+"# of the next run\n")
	var list struct{ Items []api.SpecRevision }
	ask("GET", "?target=local&package=lxml", "", http.StatusOK, &list)
	if len(list.Items) != 3 || list.Items[0].ID != second || list.Items[0].InUse || !list.Items[1].InUse || list.Items[2].InUse {
		t.Errorf("%+v", list)
	}
	var read api.SpecText
	ask("GET", fmt.Sprintf("/%d", saved.Revision.ID), "", http.StatusOK, &read)
	if !read.Older || read.Text != text+"# mine\n" {
		t.Errorf("%+v", read)
	}
	var diff api.SpecDiff
	ask("GET", fmt.Sprintf("/%d/diff", saved.Revision.ID), "", http.StatusOK, &diff)
	if diff.Old == nil || diff.Old.ID != second || diff.Added != 1 || diff.Removed != 1 || !strings.Contains(diff.Diff, "-# of the next run\n+# mine\n") {
		t.Errorf("%+v", diff)
	}
	ask("GET", fmt.Sprintf("/%d/diff?with=%d", second, first), "", http.StatusOK, &diff)

	for _, at := range []string{fmt.Sprintf("/%d", foreign), fmt.Sprintf("/%d/diff", foreign), fmt.Sprintf("/%d/diff?with=%d", first, foreign)} {
		ask("GET", at, "", http.StatusNotFound, nil)
	}
	ask("POST", fmt.Sprintf("/%d/restore", foreign), "", http.StatusNotFound, nil)
	ask("POST", "/drop", `{"target": "el9", "package": "lxml==5.4.0"}`, http.StatusUnprocessableEntity, nil)
	var back, again api.SpecRevision
	ask("POST", "/drop", `{"target": "local", "package": "lxml==5.4.0"}`, http.StatusCreated, &back)
	ask("POST", "/drop", `{"target": "local", "package": "lxml==5.4.0"}`, http.StatusConflict, nil)
	ask("POST", fmt.Sprintf("/%d/restore", back.ID), "", http.StatusUnprocessableEntity, nil) // it has no text
	ask("POST", fmt.Sprintf("/%d/restore", saved.Revision.ID), "", http.StatusCreated, &again)
	if again.Message != "Restored: Mine" || !again.InUse {
		t.Errorf("%+v", again)
	}
	if err := b.blobs.Delete(t.Context(), "specs/"+fmt.Sprint(project)+"/"+fmt.Sprint(len(text))+"/python-lxml.spec"); err != nil {
		t.Fatal(err)
	}
	ask("GET", fmt.Sprintf("/%d", first), "", http.StatusGone, nil)
	if said := b.ask(b.token(auth.Admin, 0), "GET", "/api/v1/audit", "").Body.String(); strings.Count(said, `"spec.save"`) != 1 || !strings.Contains(said, `"spec.back"`) || !strings.Contains(said, `"spec.restore"`) {
		t.Errorf("the audit has %s", said)
	}
}

// What is no spec file is refused, whatever it would do in a shell; a text of macros is kept as it is and carried out by nobody here.
func TestHostileSpecs(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	project, _ := b.create()
	mark := filepath.Join(t.TempDir(), "carried-out")
	if _, err := b.store.AddSpecRevision(t.Context(), store.SpecRevision{Project: project, Target: "local", Package: "lxml==5.4.0", Blob: "specs/x/python-lxml.spec", SHA256: "1", Message: "written", Author: "reqpm"}); err != nil {
		t.Fatal(err)
	}
	maintainer, path := b.token(auth.Maintainer, 0), fmt.Sprintf("/api/v1/projects/%d/specs", project)
	const good = "Name: python-lxml\nVersion: 5.4.0\nRelease: 1\n"
	for what, fields := range map[string]map[string]any{
		"a NUL":             {"text": good + "\x00"},
		"nothing":           {"text": " \n"},
		"no tags":           {"text": "%prep\n"},
		"too much":          {"text": good + strings.Repeat("é", 140_000)}, // fewer characters than the schema has, more bytes
		"a path":            {"text": good, "package": "../../etc/passwd==1"},
		"a version of dots": {"text": good, "package": "lxml==../../x"},
		"another package":   {"text": good, "package": "lxml==9"},
		"another target":    {"text": good, "target": "../local"},
		"a long message":    {"text": good, "message": strings.Repeat("é", 400)},
	} {
		body := map[string]any{"target": "local", "package": "lxml==5.4.0", "message": "why"}
		for k, v := range fields {
			body[k] = v
		}
		raw, _ := json.Marshal(body)
		if w := b.ask(maintainer, "POST", path, string(raw)); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
	}
	wicked := good + "%global x %(touch " + mark + ")\r\n%{lua: os.execute('touch " + mark + "')}\r\n%include /etc/passwd\r\n<script>alert(1)</script> \x1b[2J \u202e\r\n"
	raw, _ := json.Marshal(map[string]any{"target": "local", "package": "lxml==5.4.0", "message": "why\n<b>", "text": wicked})
	w := b.ask(maintainer, "POST", path, string(raw))
	var saved api.SavedSpec
	if err := json.Unmarshal(w.Body.Bytes(), &saved); w.Code != http.StatusCreated || err != nil {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var read api.SpecText
	w = b.ask(maintainer, "GET", fmt.Sprintf("%s/%d", path, saved.Revision.ID), "")
	if err := json.Unmarshal(w.Body.Bytes(), &read); err != nil || read.Text != strings.ReplaceAll(wicked, "\r\n", "\n") {
		t.Errorf("it comes back as %q, %v", read.Text, err)
	}
	if found, _ := filepath.Glob(mark); found != nil {
		t.Error("the server has carried out a macro")
	}
}
