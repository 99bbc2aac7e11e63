package repo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A repository as it was published has no problem; whatever a client would stumble over is one.
func TestCheck(t *testing.T) {
	publishTools(t)
	binary, source := buildRPM(t, "checked", "1")
	for _, test := range []struct {
		what  string
		spoil func(t *testing.T, root, snapshot string)
		want  string // "": nothing is wrong
	}{
		{"as it was published", func(*testing.T, string, string) {}, ""},
		{"a package is gone", func(t *testing.T, _, s string) { remove(t, s, "Packages/checked-1-1.noarch.rpm") }, "Packages/checked-1-1.noarch.rpm: no such file"},
		{"a source is cut short", func(t *testing.T, _, s string) { overwrite(t, s, "Source/checked-1-1.src.rpm", "x") }, "checked-1-1.src.rpm has 1 bytes"},
		{"the metadata is gone", func(t *testing.T, _, s string) { remove(t, s, "repodata/repomd.xml") }, "repodata: repodata/repomd.xml: no such file"},
		{"the list is damaged", func(t *testing.T, _, s string) { overwrite(t, s, "repodata/primary.xml.gz", "x") }, "primary.xml.gz: it is not what repomd.xml says"},
		{"the metadata was changed", func(t *testing.T, _, s string) {
			text, err := os.ReadFile(filepath.Join(s, "repodata/repomd.xml"))
			if err != nil {
				t.Fatal(err)
			}
			overwrite(t, s, "repodata/repomd.xml", string(text)+"\n")
		}, "the signature does not verify"},
		{"the signature is gone", func(t *testing.T, _, s string) { remove(t, s, "Source/repodata/repomd.xml.asc") }, "repomd.xml.asc: no such file"},
		{"the key is gone", func(t *testing.T, _, s string) { remove(t, s, publicKey) }, "the public key: "},
		{"nothing is current", func(t *testing.T, root, _ string) { remove(t, root, Current) }, "no snapshot is current"},
		{"the folder is gone", func(t *testing.T, root, _ string) {
			if err := os.RemoveAll(root); err != nil {
				t.Fatal(err)
			}
		}, "not there"},
	} {
		t.Run(test.what, func(t *testing.T) {
			root := t.TempDir()
			req := request(t, filepath.Join(root, "repo"), binary)
			req.SRPMs = []string{source}
			snap := mustPublish(t, req)
			test.spoil(t, req.Root, snap.Dir)
			got, err := Check(t.Context(), req.Root, req.Key.Fingerprint())
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Join(got.Problems, "\n")
			if test.want == "" && (text != "" || got.Packages != 2 || got.Snapshot != snap.ID) || !strings.Contains(text, test.want) || strings.Contains(text, root) {
				t.Errorf("%d packages; %q, want %q", got.Packages, text, test.want)
			}
		})
	}
	root := t.TempDir()
	mustPublish(t, request(t, root, binary))
	if got, err := Check(t.Context(), root, strings.Repeat("A", 40)); err != nil || len(got.Problems) != 1 || !strings.Contains(got.Problems[0], "the server signs with AAAA") {
		t.Errorf("another key: %+v %v", got, err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, dir, name, text string) {
	t.Helper()
	remove(t, dir, name)
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
