package api_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// What schemathesis found, and must not find again.
func TestDocumentIsAsStrictAsTheCode(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	_, run := b.create()
	admin := b.token(auth.Admin, 0)
	if err := b.store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PutArtifact(t.Context(), store.Artifact{Run: run, Kind: "rpm", Name: "lost.rpm", Blob: "builds/lost/lost.rpm", Size: 1})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/builds/bulk", "", 405, "this address takes POST"}, // not the build named bulk
		{"OPTIONS", "/runs/bulk", "", 405, "this address takes POST"},
		{"GET", "/projects/app/specs/drop", "", 405, "this address takes POST"},
		{"DELETE", "/projects", "", 405, "this address takes GET, HEAD, POST"},
		{"GET", "/runs?before=", "", 422, "query.before"},
		{"GET", "/builds?limit=", "", 422, "query.limit"},
		{"GET", "/builds?sort=-finished", "", 422, "query.sort"}, // which the document says of run
		{"GET", "/builds/1/log?attempt=9007199254740992", "", 422, "attempt"},
		{"GET", "/builds/9007199254740992/log", "", 422, "path.id"},
		{"GET", "/runs/1/rpms.tar", "", 404, "lost.rpm"},                                                           // and not an archive that ends in the middle
		{"PUT", "/limits", `{"scope": "all", "name": "", "value": 56.0}`, 204, ""},                                 // a whole number to JSON schema
		{"PUT", "/limits", `{"scope": "all", "name": "", "value": 5.6e1}`, 204, ""},                                //
		{"PUT", "/limits", `{"scope": "all", "name": "", "value": 56.5}`, 422, "body.value"},                       //
		{"PATCH", "/schedules/sync", `{"every": "soon"}`, 422, "body.every"},                                       //
		{"POST", "/projects", `{"name": "x", "git_url": "no address", "targets": ["local"]}`, 422, "body.git_url"}, //
		{"POST", "/projects", `{"name": "x", "git_url": "https://git.example.org/x.git", "targets": [""]}`, 422, "body.targets[0]"},
		{"POST", "/projects", `{"name": "x", "git_url": "https://git.example.org/x.git", "requirement_files": ["/etc/passwd"]}`, 422, "body.requirement_files[0]"},
		{"PUT", "/notify/inside", `{"networks": ["everywhere"]}`, 422, "body.networks[0]"},
	} {
		w := b.ask(admin, c.method, "/api/v1"+c.path, c.body)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s %s: %d %s, not %d with %s", c.method, c.path, c.body, w.Code, w.Body, c.status, c.says)
		}
		if w.Code == http.StatusMethodNotAllowed && !strings.HasSuffix(c.says, w.Header().Get("Allow")) {
			t.Errorf("%s %s: Allow: %s", c.method, c.path, w.Header().Get("Allow"))
		}
	}
	// Numbers have the bounds that they are held to, those of streams too.
	text, err := b.api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name   string
				Schema schema
			}
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			for _, p := range op.Parameters {
				if p.Schema.Type == "integer" && p.Schema.Maximum == nil {
					t.Errorf("%s %s: %s may be of any size", method, path, p.Name)
				}
			}
		}
	}
}
