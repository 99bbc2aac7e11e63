package api_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/auth"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// builds adds builds to a run: one, two that needs it, and three.
func (b *bed) builds(run int64) map[string]int64 {
	b.t.Helper()
	var steps []store.NewStep
	for _, name := range []string{"one", "two", "three"} {
		s := store.NewStep{Key: "build/" + name, Kind: store.Build, Target: "local", Package: name + "==1", Expected: 1}
		if name == "two" {
			s.Needs = []string{"build/one"}
		}
		steps = append(steps, s)
	}
	ids := map[string]int64{}
	err := b.store.Write(b.t.Context(), func(tx *store.Tx) error { return tx.AddSteps(b.t.Context(), run, steps) })
	if err != nil {
		b.t.Fatal(err)
	}
	all, err := b.store.RunSteps(b.t.Context(), run)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range all {
		ids[strings.TrimSuffix(s.Package, "==1")] = s.ID
	}
	return ids
}

type bulkAnswer struct {
	DryRun bool `json:"dry_run"`
	Failed int
	Items  []struct {
		ID            int64
		Status, Steps int
		Detail        string
	}
}

func (b *bed) bulk(token, path, body string) (a bulkAnswer) {
	b.t.Helper()
	w := b.ask(token, "POST", "/api/v1"+path, body)
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 {
		b.t.Fatalf("%s %s: %d %s", path, body, w.Code, w.Body)
	}
	return a
}

// Many are cancelled and retried in one call, which says of each what became of it.
func TestBulk(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		b := newBed(t, address)
		project, run := b.create()
		ids := b.builds(run)
		builder := b.token(auth.Builder, 0)
		body := fmt.Sprintf(`{"action": "cancel", "ids": [%d, %d, 424242, %d]}`, ids["one"], ids["three"], ids["one"])
		dry := b.bulk(builder, "/builds/bulk?dry_run=true", body)
		if !dry.DryRun || len(dry.Items) != 3 || dry.Failed != 1 || dry.Items[2].Status != 404 {
			t.Fatalf("%+v", dry)
		}
		if s, err := b.store.Step(t.Context(), ids["one"]); err != nil || s.State != store.Ready {
			t.Fatal("a dry run changed something", s.State, err)
		}
		if did := b.bulk(builder, "/builds/bulk", body); did.Failed != 1 || did.Items[0].Steps != 1 {
			t.Fatalf("%+v", did)
		}
		for name, want := range map[string]store.StepState{"one": store.Cancelled, "two": store.Blocked, "three": store.Cancelled} {
			if s, err := b.store.Step(t.Context(), ids[name]); err != nil || s.State != want {
				t.Errorf("%s is %s %v", name, s.State, err)
			}
		}
		body = fmt.Sprintf(`{"action": "retry", "ids": [%d, %d]}`, ids["one"], ids["three"])
		if did := b.bulk(builder, "/builds/bulk?dry_run=true", body); did.Items[0].Steps != 3 || did.Failed != 0 {
			t.Errorf("%+v", did)
		}
		if did := b.bulk(builder, "/builds/bulk", body); did.Items[0].Steps != 3 {
			t.Errorf("%+v", did)
		}
		for name, want := range map[string]store.StepState{"one": store.Ready, "two": store.Waiting, "three": store.Ready} {
			if s, err := b.store.Step(t.Context(), ids[name]); err != nil || s.State != want {
				t.Errorf("%s is %s %v", name, s.State, err)
			}
		}

		b.want(b.ask(builder, "POST", "/api/v1/projects/app/runs", ""), 201, "")
		if did := b.bulk(builder, "/runs/bulk?dry_run=true", `{"action": "cancel", "project": "app"}`); len(did.Items) != 2 || did.Items[0].Steps == 0 {
			t.Errorf("%+v", did)
		}
		if did := b.bulk(builder, "/runs/bulk", `{"action": "cancel", "project": "app"}`); len(did.Items) != 2 || did.Failed != 0 {
			t.Errorf("%+v", did)
		}
		part, err := b.store.Runs(t.Context(), store.RunFilter{Project: project, States: []store.RunState{store.RunCancelled}}, store.Page{})
		if err != nil || len(part.Items) != 2 {
			t.Errorf("%d cancelled %v", len(part.Items), err)
		}
		if did := b.bulk(builder, "/runs/bulk", fmt.Sprintf(`{"action": "retry", "ids": [%d]}`, run)); did.Items[0].Steps == 0 {
			t.Errorf("%+v", did)
		}
		for _, bad := range []string{`{"action": "cancel"}`, `{"action": "cancel", "ids": [1], "project": "app"}`, `{"action": "retry", "project": "app"}`, `{"action": "delete", "ids": [1]}`, `{"action": "cancel", "ids": [0]}`, `{"action": "cancel", "ids": ["1"]}`} {
			b.want(b.ask(builder, "POST", "/api/v1/runs/bulk", bad), 422, "body.")
		}
	})
}

// Of what is not theirs, who asks learns nothing, and changes nothing.
func TestBulkOfOthers(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	_, run := b.create()
	ids := b.builds(run)
	b.want(b.ask(b.token(auth.Admin, 0), "POST", "/api/v1/projects", strings.Replace(newProject, "app", "other", 1)), 201, "")
	other, err := b.store.ProjectNamed(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	stranger := b.token(auth.Builder, other.ID)
	for path, id := range map[string]int64{"/runs/bulk": run, "/builds/bulk": ids["one"]} {
		for _, action := range []string{"cancel", "retry"} {
			if did := b.bulk(stranger, path, fmt.Sprintf(`{"action": %q, "ids": [%d]}`, action, id)); did.Failed != 1 || did.Items[0].Status != 404 {
				t.Errorf("%s %s: %+v", path, action, did)
			}
		}
	}
	b.want(b.ask(stranger, "POST", "/api/v1/runs/bulk", `{"action": "cancel", "project": "app"}`), 404, "")
	b.want(b.ask(b.token(auth.Viewer, 0), "POST", "/api/v1/runs/bulk", `{"action": "cancel", "project": "app"}`), 403, "")
}

// A log is searched on the server, in parts, while it grows and afterwards.
func TestLogSearch(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	_, run := b.create()
	build := b.builds(run)["one"]
	log, err := b.logs.Create(store.LogName(run, build, 1))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(log, "start\nerror: one\nfine\nError: two\nfine\nerror: three\nnot yet an err")
	viewer := b.token(auth.Viewer, 0)
	type result struct {
		Items []struct {
			Line, Offset  int64
			Text          string
			Before, After []string
		}
		Next    string
		Size    int64
		Seen    int64
		Running bool
	}
	search := func(query string) (r result) {
		t.Helper()
		w := b.ask(viewer, "GET", fmt.Sprintf("/api/v1/builds/%d/log/search?attempt=1&%s", build, query), "")
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d %s", query, w.Code, w.Body)
		}
		return r
	}
	r := search("q=error&limit=1&context=1")
	if len(r.Items) != 1 || r.Items[0].Line != 2 || r.Items[0].Offset != 6 || r.Items[0].Text != "error: one" || r.Items[0].Before[0] != "start" || r.Items[0].After[0] != "fine" || !r.Running || r.Next == "" {
		t.Fatalf("%+v", r)
	}
	if r = search("q=error&cursor=" + r.Next); len(r.Items) != 1 || r.Items[0].Text != "error: three" || r.Next == "" {
		t.Fatalf("%+v", r)
	}
	fmt.Fprint(log, "or\n")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if r = search("q=error&cursor=" + r.Next); len(r.Items) != 1 || r.Items[0].Text != "not yet an error" || r.Next != "" || r.Running || r.Seen != r.Size {
		t.Fatalf("%+v", r)
	}
	if r = search("q=" + url.QueryEscape(`^error: \w+$`) + "&regex=true&ignore_case=true"); len(r.Items) != 3 || r.Items[1].Text != "Error: two" {
		t.Fatalf("%+v", r)
	}
	for query, says := range map[string]string{
		"": "query.q", "q=": "query.q", "q=(&regex=true": "missing closing", "q=x&limit=501": "query.limit", "q=x&context=11": "query.context", "q=x&cursor=AAAA": "cursor",
		"q=x&cursor=eyJhIjoxLCJvIjoyLCJsIjowfQ": "cursor", // the middle of a line
		"q=x&cursor=eyJhIjoyLCJvIjowLCJsIjowfQ": "cursor", // another attempt
		"q=" + strings.Repeat("x", 501):         "query.q", "q=" + url.QueryEscape("(a{30}){30}(b{30}){30}(c{30}){30}") + "&regex=true": "too large",
	} {
		b.want(b.ask(viewer, "GET", fmt.Sprintf("/api/v1/builds/%d/log/search?attempt=1&%s", build, query), ""), 422, says)
	}
	b.want(b.ask(viewer, "GET", fmt.Sprintf("/api/v1/builds/%d/log/search?q=x&attempt=2", build), ""), 404, "no log")
}
