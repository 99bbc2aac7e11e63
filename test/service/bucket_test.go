package service

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reqpm/internal/blob/s3/s3test"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// A bucket answers errors, resets connections or says nothing in the middle of a run. Nothing new is begun meanwhile and the
// workers say why; builds that end are kept when it is back, and none is built twice; who asks for what is in it is told
// to come again. In CI the faults follow each other within one run; with REQPM_OUTAGE each has a run of its own, and is that long.
func TestBucketFails(t *testing.T) {
	needQuick(t)
	b, bucket := newBucketBed(t)
	faults := [][]s3test.Fault{{s3test.SlowDown, s3test.Internal, s3test.Reset, s3test.Hang}}
	if os.Getenv("REQPM_OUTAGE") != "" {
		faults = [][]s3test.Fault{{s3test.SlowDown}, {s3test.Internal}, {s3test.Reset}, {s3test.Hang}}
	}
	first := b.project(0)
	b.succeeds(first)
	must(t, os.WriteFile(filepath.Join(b.dir, slowFile), []byte("700ms"), 0o644))
	for i, each := range faults {
		run := b.project(1 + i)
		b.untilBuilding()
		built, begun := len(b.lines(builtFile)), time.Now()
		for _, fault := range each {
			bucket.Set(fault)
			b.until(fmt.Sprintf("%q is met", fault), 30*time.Second, func() bool { return bucket.Met(fault) > 0 })
			b.bucketAway(first)
			b.pause(outage(t, 0) - time.Since(begun))
		}
		r, err := b.store.Run(t.Context(), run)
		must(t, err)
		if r.State != store.RunRunning {
			t.Errorf("the run %s while the bucket is away: %s", r.State, r.Message)
		}
		bucket.Set(s3test.None)
		returned := time.Now()
		b.ready()
		b.succeeds(run)
		t.Logf("%q for %v, with %d builds ended meanwhile; the run ended %v later", each, returned.Sub(begun).Round(time.Second), len(b.lines(builtFile))-built, time.Since(returned).Round(100*time.Millisecond))
		b.checkBucket(run, 1+i)
	}
}

// A bucket has no room in the middle of a run: the same, but that what is in it can be read.
func TestBucketFull(t *testing.T) {
	needQuick(t)
	b, bucket := newBucketBed(t)
	must(t, os.WriteFile(filepath.Join(b.dir, slowFile), []byte("700ms"), 0o644))
	run := b.project(0)
	b.untilBuilding()
	bucket.Set(s3test.Full)
	begun := time.Now()
	b.until("a worker says why nothing is begun", time.Minute, func() bool { return b.saysWhy("has no room") })
	b.until("nothing is being built", time.Minute, func() bool { return len(b.lines(begunFile)) == len(b.lines(builtFile)) })
	n := len(b.lines(begunFile))
	b.pause(max(outage(t, 0)-time.Since(begun), 3*time.Second))
	if more := len(b.lines(begunFile)) - n; more > 0 {
		t.Errorf("%d builds were begun with the bucket full", more)
	}
	bucket.Set(s3test.None)
	b.succeeds(run)
	b.checkBucket(run, 0)
}

// newBucketBed is a server and two workers that share a database and a bucket, and no directory.
func newBucketBed(t *testing.T) (*bed, *s3test.Faulty) {
	t.Helper()
	bucket := s3test.Start(t)
	front := s3test.Before(t, bucket)
	b := newQuickBed(t, storetest.Postgres(t))
	b.env = append(bucket.Env, "REQPM_BLOBS="+front.Address("reqpm"))
	b.serve("--roles", "web,scheduler")
	b.makeToken()
	for _, name := range []string{"one", "two"} {
		b.start(nil, "worker", "--name", name, "--slots", "1", "--lease", "3s", "--allow-source", "local", "--min-free", "0", "--state", filepath.Join(b.dir, name))
	}
	return b, front
}

// bucketAway looks at what users see while the bucket does not work; first is a run that ended before.
func (b *bed) bucketAway(first int64) {
	b.t.Helper()
	b.until("readyz says that the bucket is away", 30*time.Second, func() bool {
		status, header, text := b.answer(http.MethodGet, "/readyz", nil, nil)
		return status == http.StatusServiceUnavailable && header.Get("Retry-After") != "" && strings.Contains(string(text), "bucket")
	})
	files, err := b.store.Artifacts(b.t.Context(), store.ArtifactFilter{Run: first}, store.Page{Limit: 1})
	must(b.t, err)
	steps, err := b.store.RunSteps(b.t.Context(), first)
	must(b.t, err)
	for _, path := range []string{fmt.Sprintf("/api/v1/artifacts/%d", files.Items[0].ID), b.logOf(steps, store.Build)} {
		begun := time.Now()
		status, header, text := b.answer(http.MethodGet, path, nil, nil)
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || time.Since(begun) > 20*time.Second {
			b.t.Errorf("%s without bucket: status %d, Retry-After %q after %v\n%.300s", path, status, header.Get("Retry-After"), time.Since(begun), text)
		}
	}
	// What needs no bucket is there.
	for _, path := range []string{"/healthz", "/api/v1/runs", "/repos/p0/stable/local/repodata/repomd.xml"} {
		if status, text := b.raw(http.MethodGet, path, nil, nil); status != http.StatusOK {
			b.t.Errorf("%s without bucket: status %d\n%.300s", path, status, text)
		}
	}
	b.until("a worker says why nothing is begun", 30*time.Second, func() bool { return b.saysWhy("bucket") })
}

// logOf is where the log of the first step of a kind is.
func (b *bed) logOf(steps []store.Step, kind store.Kind) string {
	b.t.Helper()
	for _, s := range steps {
		if s.Kind == kind {
			return fmt.Sprintf("/api/v1/builds/%d/log", s.ID)
		}
	}
	b.t.Fatalf("there is no step %s", kind)
	return ""
}

// saysWhy tells whether a worker says that nothing is begun, for a reason with these words.
func (b *bed) saysWhy(words string) bool {
	b.t.Helper()
	living, err := b.store.LivingWorkers(b.t.Context())
	must(b.t, err)
	for _, w := range living {
		if strings.Contains(w.Message, words) {
			return true
		}
	}
	return false
}

// ready waits until the server says so.
func (b *bed) ready() {
	b.t.Helper()
	b.until("readyz says ready", 30*time.Second, func() bool {
		status, _ := b.raw(http.MethodGet, "/readyz", nil, nil)
		return status == http.StatusOK
	})
}

// checkBucket looks that a run of project number n is whole, with its files and its logs, and was built once.
func (b *bed) checkBucket(run int64, n int) {
	b.t.Helper()
	b.checkWhole(fmt.Sprintf("p%d", n), run, own(n))
	b.checkBuiltOnce()
	b.checkArtifacts(run)
	steps, err := b.store.RunSteps(b.t.Context(), run)
	must(b.t, err)
	// What another run has built is taken over, and its log has nothing to say.
	mine := func(s store.Step) bool { return slices.Contains(own(n), strings.TrimSuffix(s.Package, "==1.0")) }
	for _, s := range steps {
		if s.Kind != store.Build {
			continue
		}
		var status int
		var text []byte
		for begin := time.Now(); time.Since(begin) < 30*time.Second; b.pause(200 * time.Millisecond) {
			status, text = b.raw(http.MethodGet, fmt.Sprintf("/api/v1/builds/%d/log", s.ID), nil, nil)
			if status == http.StatusOK && (len(text) > 0 || !mine(s)) {
				break
			}
		}
		if status != http.StatusOK || len(text) == 0 && mine(s) {
			b.t.Errorf("the log of %s: status %d\n%.300s", s.Key, status, text)
		}
	}
}
