package corpus

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"reqpm/internal/index"
	"reqpm/internal/metadata"
	"reqpm/internal/pep440"
	"reqpm/internal/sdist"
	"reqpm/internal/spec"
)

var record = flag.String("record", "", "ask the index for the facts of \"all\" packages, or of those \"missing\" in what was recorded")

// recordTime bounds asking: what was read by then is written, and -record missing goes on.
const recordTime = 20 * time.Minute

// pythons are those that versions are recorded for: the newest that each admits.
var pythons = []string{"3.6.8", "3.9.21", "3.11.11", "3.12.9"}

// TestRecord writes testdata/facts.json.gz:
//
//	REQPM_NETWORK=1 go test ./test/corpus -run TestRecord -record all -timeout 60m
func TestRecord(t *testing.T) {
	if *record == "" || os.Getenv("REQPM_NETWORK") != "1" {
		t.Skip("asks a real index: set REQPM_NETWORK=1 and give -record")
	}
	cfg, _, err := index.Discover(t.Context(), index.DiscoverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.CacheDir = os.Getenv("REQPM_CORPUS_CACHE")
	if cfg.CacheDir == "" {
		cfg.CacheDir = t.TempDir()
	}
	c, err := index.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var mu sync.Mutex
	var group sync.WaitGroup
	byName := map[string][]fact{}
	if *record == "missing" {
		byName = readFacts(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), recordTime)
	defer cancel()
	slots := make(chan struct{}, 4)
	for _, name := range names(t) {
		if len(byName[name]) > 0 {
			continue
		}
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			got := recordOne(ctx, t, c, name)
			mu.Lock()
			defer mu.Unlock()
			byName[name] = got
			t.Logf("%s: %d versions", name, len(got))
		})
	}
	group.Wait()
	var all []fact
	for _, name := range names(t) {
		all = append(all, byName[name]...)
	}
	f, err := os.Create(factsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, _ := gzip.NewWriterLevel(f, gzip.BestCompression)
	e := json.NewEncoder(z)
	e.SetIndent("", " ")
	if err := e.Encode(all); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

// recordOne reads the newest version of name for each of pythons.
func recordOne(ctx context.Context, t *testing.T, c *index.Client, name string) []fact {
	files, err := c.Files(ctx, name)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return nil
	}
	var out []fact
	seen := map[string]bool{}
	for _, python := range pythons {
		best := newest(t, files, python)
		if best == nil {
			t.Logf("%s: no source distribution for Python %s", name, python)
			continue
		}
		if seen[best.Filename] {
			continue
		}
		seen[best.Filename] = true
		f, err := read(ctx, t, c, files, *best)
		if err != nil {
			t.Errorf("%s: %v", best.Filename, err)
			continue
		}
		out = append(out, f)
	}
	return out
}

func newest(t *testing.T, files []index.File, python string) *index.File {
	var best *index.File
	for i, f := range files {
		p := f.Version.Parts()
		if f.Kind != index.SDist || f.Yanked || p.PreKind != "" || p.HasDev || !(fact{RequiresPython: f.RequiresPython}).admits(t, python) {
			continue
		}
		if best == nil || f.Version.Compare(best.Version) > 0 {
			best = &files[i]
		}
	}
	return best
}

func read(ctx context.Context, t *testing.T, c *index.Client, files []index.File, f index.File) (fact, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	archive, err := c.Download(ctx, f)
	if err != nil {
		return fact{}, err
	}
	dir := t.TempDir()
	defer os.RemoveAll(dir)
	named := filepath.Join(dir, f.Filename) // the cache names files by their digest
	if err := os.Symlink(archive, named); err != nil {
		return fact{}, err
	}
	top, err := sdist.Unpack(ctx, named, filepath.Join(dir, "tree"), sdist.Limits{})
	if err != nil {
		return fact{}, err
	}
	tree := filepath.Join(dir, "tree", top)
	facts, err := sdist.Read(tree, f.Filename)
	if err != nil {
		return fact{}, err
	}
	meta := facts.PkgInfo
	for _, w := range files { // what a wheel says is what was built
		if w.Kind == index.Wheel && w.Version.Compare(f.Version) == 0 {
			if data, err := c.Metadata(ctx, w); err == nil {
				if m, err := metadata.Parse(data); err == nil {
					meta = m
				}
			}
			break
		}
	}
	if meta.Version.IsZero() {
		meta.Name, meta.Version = f.Name, f.Version
	}
	texts := map[string]string{}
	for _, name := range facts.LicenseFiles {
		if data, err := os.ReadFile(filepath.Join(tree, filepath.FromSlash(name))); err == nil {
			texts[name] = string(data)
		}
	}
	licence, _ := spec.License(meta, texts)
	out := fact{
		Name: meta.Name, Version: f.Version.String(), RequiresPython: f.RequiresPython, Archive: f.Filename, TopDir: top, SHA256: f.SHA256, Uploaded: f.UploadTime,
		Backend: facts.Backend, HasBuildSystem: facts.HasBuildSystem, HasSetupPy: facts.HasSetupPy, ProjectTable: facts.ProjectTable, SCM: facts.SCM,
		Native: facts.Native, LicenseFiles: facts.LicenseFiles, License: licence,
		Summary: meta.Summary, ProvidesExtra: meta.ProvidesExtra,
	}
	for _, r := range facts.Requires {
		out.Requires = append(out.Requires, r.String())
	}
	for _, r := range meta.RequiresDist {
		out.RequiresDist = append(out.RequiresDist, r.String())
	}
	if _, err := pep440.ParseSpecifiers(out.RequiresPython); out.RequiresPython != "" && err != nil {
		out.RequiresPython = ""
	}
	return out, nil
}
