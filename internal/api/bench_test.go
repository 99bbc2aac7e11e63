package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// BenchmarkLogReaders is one line of a log on its way to 200 people who follow it over HTTP; the last
// of them may have it 500 ms after it was written.
func BenchmarkLogReaders(b *testing.B) {
	const readers = 200
	bed := newBed(b, filepath.Join(b.TempDir(), "reqpm.db"))
	_, run := bed.create()
	build := bed.builds(run)["one"]
	log, err := bed.logs.Create(store.LogName(run, build, 1))
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(bed.api)
	defer server.Close()
	token := bed.token(auth.Viewer, 0)
	came := make(chan time.Duration, readers)
	var all sync.WaitGroup
	ctx, stop := context.WithCancel(b.Context())
	for range readers {
		stream := follow(b, ctx, fmt.Sprintf("%s/api/v1/builds/%d/log?attempt=1&follow=1", server.URL, build), token)
		all.Go(func() {
			defer stream.Close()
			for lines := bufio.NewScanner(stream); lines.Scan(); {
				if _, text, ok := strings.Cut(lines.Text(), "at "); ok {
					at, err := time.Parse(time.RFC3339Nano, strings.SplitN(text, `\n`, 2)[0])
					if err != nil {
						b.Error(err)
					}
					came <- time.Since(at)
				}
			}
		})
	}
	var times []time.Duration
	for b.Loop() {
		fmt.Fprintf(log, "at %s\n", time.Now().Format(time.RFC3339Nano))
		for range readers {
			times = append(times, <-came)
		}
	}
	stop()
	all.Wait()
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1000, "p95-ms")
	b.ReportMetric(float64(times[len(times)-1].Microseconds())/1000, "max-ms")
}

// follow opens a stream.
func follow(b *testing.B, ctx context.Context, url, token string) io.ReadCloser {
	b.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	if w.StatusCode != http.StatusOK {
		b.Fatal(w.Status)
	}
	return w.Body
}
