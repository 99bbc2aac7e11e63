package pages

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/store/storetest"
	"reqpm/internal/web/pagetest"
)

// BenchmarkPages is the time in which a server with 100,000 builds answers with each page; the first paint
// may be 200 ms after it was asked for.
func BenchmarkPages(b *testing.B) {
	for name, address := range map[string]func() string{
		"sqlite":   func() string { return filepath.Join(b.TempDir(), "reqpm.db") },
		"postgres": func() string { return storetest.Postgres(b) },
	} {
		b.Run(name, func(b *testing.B) {
			bed := &bed{t: b, store: storetest.Open(b, address())}
			var err error
			if bed.auth, err = auth.New(auth.Config{Store: bed.store}); err != nil {
				b.Fatal(err)
			}
			blobs, err := blob.OpenDir(filepath.Join(b.TempDir(), "blobs"))
			if err != nil {
				b.Fatal(err)
			}
			logs, err := blob.OpenLogs(filepath.Join(b.TempDir(), "logs"))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = logs.Close() }()
			bed.pages = New(Config{Store: bed.store, Auth: bed.auth, Version: "test", Events: bed.events, Blobs: blobs, Logs: logs})
			full, err := pagetest.Fill(b.Context(), bed.store)
			if err != nil {
				b.Fatal(err)
			}
			token := bed.token(auth.Admin, 0)
			for page, path := range map[string]string{
				"dashboard": "/", "projects": "/projects", "project": projectPath("project-0"), "runs": projectPath("project-0") + "/runs", "packages": projectPath("project-0") + "/packages",
				"run of 1000": runPath(full.Large.ID), "build": buildPath(full.Failed), "queue": "/queue", "workers": "/workers", "schedules": "/schedules", "users": "/users", "audit": "/audit",
				"compare": runPath(full.Large.ID) + "/compare",
			} {
				if page == "run of 1000" { // all its parts, as an open page gets them
					b.Run("parts of it", func(b *testing.B) {
						r := bed.request(token, http.MethodGet, path, nil)
						r.Header.Set("Accept", typeParts)
						for b.Loop() {
							w := httptest.NewRecorder()
							if bed.pages.ServeHTTP(w, r); w.Code != http.StatusOK {
								b.Fatalf("%s: %d", path, w.Code)
							}
						}
					})
				}
				b.Run(page, func(b *testing.B) {
					var times []time.Duration
					size := 0
					for b.Loop() {
						begin := time.Now()
						w := bed.ask(token, http.MethodGet, path, nil)
						times = append(times, time.Since(begin))
						if size = w.Body.Len(); w.Code != http.StatusOK {
							b.Fatalf("%s: %d", path, w.Code)
						}
					}
					slices.Sort(times)
					b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1000, "p95-ms")
					b.ReportMetric(float64(size)/1024, "KiB")
				})
			}
		})
	}
}
