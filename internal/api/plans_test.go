package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/auth"
	"reqpm/internal/lockfile"
	"reqpm/internal/pipeline"
	"reqpm/internal/service"
	"reqpm/internal/solve"
	"reqpm/internal/source"
)

// noPipelines has no solution for one branch, and goes on for ever for another.
type noPipelines struct{}

func (noPipelines) Open(ctx context.Context, sub service.Subject, _ *lockfile.File, _ func(pipeline.Event)) (*pipeline.Pipeline, pipeline.Request, error) {
	switch sub.Ref {
	case "conflict":
		return nil, pipeline.Request{}, &solve.Conflict{Message: "no solution", Origins: []solve.Origin{{File: "requirements.txt", Line: 2, Text: "b>=2"}}}
	case "forever":
		<-ctx.Done()
		return nil, pipeline.Request{}, context.Cause(ctx)
	}
	return nil, pipeline.Request{}, errors.New("there are no pipelines in this test")
}

func (noPipelines) Source(service.Subject) (source.Request, error) {
	return source.Request{}, errors.New("nobody asks")
}

// TestPlanPreviews: a plan is asked for, waited for and cancelled, by whoever asked, and leaves nothing behind.
func TestPlanPreviews(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	ada, bob := b.token(auth.Maintainer, 0), b.token(auth.Maintainer, 0)
	view := func(token, method, path, body string, want int) (v service.PlanView) {
		t.Helper()
		w := b.ask(token, method, "/api/v1"+path, body)
		if w.Code != want {
			t.Fatalf("%s %s answers %d: %s", method, path, w.Code, w.Body)
		}
		_ = json.Unmarshal(w.Body.Bytes(), &v)
		return v
	}
	v := view(ada, http.MethodPost, "/plan-previews", `{"git_url": "https://git.example.org/app.git", "targets": ["local"], "ref": "conflict"}`, http.StatusAccepted)
	if len(v.ID) < 20 || len(v.Targets) != 1 {
		t.Errorf("it begins as %+v", v)
	}
	v = view(ada, http.MethodGet, "/plan-previews/"+v.ID+"?wait=20", "", http.StatusOK)
	if v.State != "done" || v.Targets[0].State != "failed" || v.Targets[0].Conflict == nil || v.Targets[0].Conflict.Requirements[0].Line != 2 {
		t.Errorf("it ends as %+v", v)
	}
	view(bob, http.MethodGet, "/plan-previews/"+v.ID, "", http.StatusNotFound)
	view(bob, http.MethodDelete, "/plan-previews/"+v.ID, "", http.StatusNotFound)

	project, _ := b.create()
	mine := b.token(auth.Maintainer, project)
	v = view(mine, http.MethodPost, "/projects/app/plan-previews", `{"ref": "forever"}`, http.StatusAccepted)
	if v = view(mine, http.MethodGet, "/plan-previews/"+v.ID+"?wait=1", "", http.StatusOK); v.Finished != nil {
		t.Errorf("it has ended: %+v", v)
	}
	view(mine, http.MethodDelete, "/plan-previews/"+v.ID, "", http.StatusNoContent)
	if v = view(mine, http.MethodGet, "/plan-previews/"+v.ID+"?wait=20", "", http.StatusOK); v.State != "cancelled" {
		t.Errorf("after it was cancelled it is %+v", v)
	}
	view(mine, http.MethodPost, "/plan-previews", `{"git_url": "https://git.example.org/app.git", "targets": ["local"]}`, http.StatusForbidden)
	w := b.ask(ada, http.MethodPost, "/api/v1/plan-previews", `{"git_url": "https://git.example.org/app.git", "targets": ["`+strings.Repeat(`el9", "`, 12)+`el9"]}`)
	if w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a preview of 13 targets: %d %s", w.Code, w.Body)
	}
}
