package index

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
)

// BenchmarkWarmPage reads a page of 4,000 files, as popular projects have, from the cache.
func BenchmarkWarmPage(b *testing.B) {
	var entries []map[string]any
	for i := range 1000 {
		for _, ending := range []string{".tar.gz", "-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "-cp312-cp312-musllinux_1_1_aarch64.whl", "-cp313-cp313-win_amd64.whl"} {
			name := fmt.Sprintf("foo-%d.%d.%d%s", i/100, i/10%10, i%10, ending)
			entries = append(entries, map[string]any{
				"filename": name, "url": "https://files.example.org/packages/00/11/" + sum([]byte(name))[:56] + "/" + name, "size": 1000 + i,
				"hashes": map[string]string{"sha256": sum([]byte(name))}, "yanked": false, "requires-python": ">=3.8",
				"upload-time": "2020-05-01T10:00:00.123456Z", "core-metadata": map[string]string{"sha256": sum([]byte(name + "m"))},
			})
		}
	}
	page, _ := json.Marshal(map[string]any{"meta": map[string]string{"api-version": "1.1"}, "name": "foo", "files": entries})
	dir := b.TempDir()
	c, err := New(Config{Indexes: []IndexConfig{{URL: "https://index.example.org/simple"}}, CacheDir: dir, Offline: true, Getenv: noEnv})
	if err != nil {
		b.Fatal(err)
	}
	const address = "https://index.example.org/simple/foo/"
	if err := c.cache.put("pages", address, &entry{Type: typeJSON, Base: address}, page); err != nil {
		b.Fatal(err)
	}
	// Opened is what resolving needs of nearly all of a page; unpacked is every file of it.
	b.Run("opened", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.memo = memo{}
			p, err := c.Project(context.Background(), "foo")
			if err != nil || len(p.Releases()) != 1000 {
				b.Fatal(err)
			}
			for _, r := range p.Releases() {
				for range r.Briefs() {
				}
			}
		}
	})
	b.Run("unpacked", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.memo = memo{}
			files, err := c.Files(context.Background(), "foo")
			if err != nil || len(files) != 4000 {
				b.Fatal(len(files), err)
			}
		}
	})
}
