package service

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reqpm/internal/blob/s3/s3test"
	"reqpm/internal/store/storetest"
)

// A server and a worker that share no directory, but a database and a bucket, make a published repository; a
// running log is followed through the server, and files come from the bucket.
func TestNoSharedDirectory(t *testing.T) {
	need(t)
	bucket := s3test.Start(t)
	b := newBed(t, storetest.Postgres(t))
	b.env = append(bucket.Env, "REQPM_BLOBS="+bucket.Address("reqpm"))
	b.serve("--roles", "web,scheduler", "--state", filepath.Join(b.dir, "server"))
	b.makeToken()
	b.start(nil, "worker", "--name", "far", "--slots", "1", "--lease", "3s", "--allow-source", "local", "--min-free", "0", "--state", filepath.Join(b.dir, "worker"))
	_, first := b.create()
	seen := b.follow(0, isStep("running"))
	text := b.followBuildLog(first)
	if !strings.Contains(text, "Executing(%build)") {
		t.Errorf("what was followed of a log: %q", text)
	}
	b.follow(seen, isRunEnd)
	b.succeeded(first)
	b.checkBuilds(first, "built")
	b.checkFiles(first)
	b.checkStageLog(first, "resolve local", "resolve for local with Python")
	b.checkRepository()
	for _, dir := range []string{"server/blobs", "worker/blobs", "worker/repos", "worker/logs/[^.]*"} {
		if found, _ := filepath.Glob(filepath.Join(b.dir, dir)); len(found) > 0 {
			t.Errorf("%s is there: %q", dir, found)
		}
	}
}

// followBuildLog follows the log of a running build to its end.
func (b *bed) followBuildLog(run int64) string {
	b.t.Helper()
	var list struct{ Items []build }
	b.ask(http.MethodGet, fmt.Sprintf("/api/v1/builds?run=%d&state=running", run), nil, &list)
	if len(list.Items) == 0 {
		b.t.Skip("the build was over before it could be looked at")
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/api/v1/builds/%d/log?follow=1", b.url, list.Items[0].ID), nil)
	must(b.t, err)
	r.Header.Set("Authorization", "Bearer "+b.token)
	answer, err := http.DefaultClient.Do(r)
	must(b.t, err)
	defer answer.Body.Close()
	var text strings.Builder
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text.WriteString(lines.Text() + "\n")
	}
	if !strings.Contains(text.String(), "event: end") {
		b.t.Errorf("the log did not end: %.2000s", text.String())
	}
	return text.String()
}
