package sdist

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// entry is one member of a test archive; typ 0 is a file, or a directory when the
// name ends in a slash.
type entry struct {
	name, body string
	typ        byte
	link       string
	mode       int64
}

func tarBytes(t testing.TB, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.typ, Linkname: e.link, Mode: e.mode, Size: int64(len(e.body)), ModTime: time.Unix(1700000000, 0)}
		if e.typ == 0 {
			h.Typeflag = tar.TypeReg
			if strings.HasSuffix(e.name, "/") {
				h.Typeflag = tar.TypeDir
			}
		}
		if e.typ == tar.TypeXGlobalHeader {
			h = &tar.Header{Typeflag: e.typ, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "c"}}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gz(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipBytes(t testing.TB, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: time.Unix(1700000000, 0)}
		mode := fs.FileMode(e.mode)
		if mode == 0 {
			mode = 0o644
		}
		body := e.body
		if e.typ == tar.TypeSymlink {
			mode, body = mode|fs.ModeSymlink, e.link
		}
		h.SetMode(mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeArchive(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// compress pipes data through a program, skipping the test where there is none.
func compress(t *testing.T, program string, data []byte) []byte {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("no %s here", program)
	}
	cmd := exec.Command(program, "-c")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var goodEntries = []entry{
	{name: "foo-1.0/"},
	{name: "foo-1.0/setup.py", body: "print()\n", mode: 0o600},
	{name: "foo-1.0/run.sh", body: "#!/bin/sh\n", mode: 0o4777},
	{name: "foo-1.0/src/foo/__init__.py", body: "x = 1\n", mode: 0o644},
}

func TestUnpackReadsEveryFormat(t *testing.T) {
	plain := tarBytes(t, append([]entry{{typ: tar.TypeXGlobalHeader}}, goodEntries...))
	dotted := tarBytes(t, []entry{{name: "./"}, {name: "./foo-1.0/setup.py", body: "print()\n"}, {name: "./._foo-1.0", body: "junk"},
		{name: "foo-1.0/run.sh", body: "#!/bin/sh\n", mode: 0o755}, {name: "foo-1.0/src/foo/__init__.py", body: "x = 1\n"}})
	for _, c := range []struct {
		name string
		data func(t *testing.T) []byte
	}{
		{"foo-1.0.tar.gz", func(t *testing.T) []byte { return gz(t, plain) }},
		{"foo-1.0.tgz", func(t *testing.T) []byte { return gz(t, dotted) }},
		{"foo-1.0.tar", func(t *testing.T) []byte { return plain }},
		{"foo-1.0.zip", func(t *testing.T) []byte { return zipBytes(t, goodEntries) }},
		{"foo-1.0.tar.bz2", func(t *testing.T) []byte { return compress(t, "bzip2", plain) }},
		{"foo-1.0.tar.xz", func(t *testing.T) []byte { return compress(t, "xz", plain) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, dst := writeArchive(t, c.name, c.data(t)), t.TempDir()
			top, err := Unpack(t.Context(), path, dst, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if top != "foo-1.0" {
				t.Errorf("top directory %q", top)
			}
			if only, err := TopDir(t.Context(), path, Limits{}); err != nil || only != top {
				t.Errorf("TopDir = %q, %v", only, err)
			}
			for name, want := range map[string]fs.FileMode{"setup.py": 0o644, "run.sh": 0o755, "src/foo/__init__.py": 0o644} {
				info, err := os.Stat(filepath.Join(dst, top, name))
				if err != nil {
					t.Fatal(err)
				}
				if info.Mode() != want {
					t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
				}
				if info.ModTime().Unix() != 1700000000 {
					t.Errorf("%s lost its time: %v", name, info.ModTime())
				}
			}
			members, err := List(t.Context(), path, Limits{})
			if err != nil || len(members) < 3 {
				t.Errorf("List = %v, %v", members, err)
			}
		})
	}
}

func TestUnpackKeepsLinksInsideTheTree(t *testing.T) {
	path := writeArchive(t, "foo-1.0.tar.gz", gz(t, tarBytes(t, []entry{
		{name: "foo-1.0/a/real.txt", body: "hello"},
		{name: "foo-1.0/b/soft.txt", typ: tar.TypeSymlink, link: "../a/real.txt"},
		{name: "foo-1.0/b/hard.txt", typ: tar.TypeLink, link: "foo-1.0/a/real.txt"},
	})))
	dst := t.TempDir()
	if _, err := Unpack(t.Context(), path, dst, Limits{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"soft.txt", "hard.txt"} {
		if data, err := os.ReadFile(filepath.Join(dst, "foo-1.0/b", name)); err != nil || string(data) != "hello" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	ok := entry{name: "foo-1.0/setup.py", body: "x"}
	for _, c := range []struct {
		name    string
		entries []entry
		limits  Limits
		want    string
	}{
		{"parent", []entry{ok, {name: "foo-1.0/../../evil", body: "x"}}, Limits{}, "leaves the tree"},
		{"absolute", []entry{ok, {name: "/etc/evil", body: "x"}}, Limits{}, "absolute"},
		{"symlink out", []entry{ok, {name: "foo-1.0/l", typ: tar.TypeSymlink, link: "../evil"}}, Limits{}, "symbolic link that leaves"},
		{"absolute symlink", []entry{ok, {name: "foo-1.0/l", typ: tar.TypeSymlink, link: "/etc"}}, Limits{}, "symbolic link that leaves"},
		{"symlink by way of a link", []entry{ok, {name: "foo-1.0/d/l", typ: tar.TypeSymlink, link: "k/../../x"}}, Limits{}, "symbolic link that leaves"},
		{"through a symlink", []entry{ok, {name: "foo-1.0/l", typ: tar.TypeSymlink, link: "d"}, {name: "foo-1.0/l/x", body: "x"}}, Limits{}, "through the symbolic link"},
		{"hard link out", []entry{ok, {name: "foo-1.0/h", typ: tar.TypeLink, link: "../../etc/passwd"}}, Limits{}, "leaves the tree"},
		{"hard link to nothing", []entry{ok, {name: "foo-1.0/h", typ: tar.TypeLink, link: "foo-1.0/none"}}, Limits{}, "no earlier file"},
		{"device", []entry{ok, {name: "foo-1.0/null", typ: tar.TypeChar}}, Limits{}, "device"},
		{"pipe", []entry{ok, {name: "foo-1.0/p", typ: tar.TypeFifo}}, Limits{}, "device, pipe"},
		{"control character", []entry{{name: "foo-1.0/a\nb", body: "x"}}, Limits{}, "control character"},
		{"two tops", []entry{ok, {name: "bar/x", body: "x"}}, Limits{}, `"foo-1.0" and "bar"`},
		{"file beside top", []entry{ok, {name: "README", body: "x"}}, Limits{}, "beside the top-level"},
		{"empty", nil, Limits{}, "no top-level"},
		{"entries", []entry{ok, ok, ok}, Limits{Entries: 2}, "more than 2 entries"},
		{"bytes", []entry{{name: "foo-1.0/big", body: strings.Repeat("x", 5000)}}, Limits{Bytes: 4000}, "more than 4000 bytes"},
		{"depth", []entry{{name: "foo-1.0/" + strings.Repeat("d/", 70) + "x", body: "x"}}, Limits{}, "deeper than 64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, dst := writeArchive(t, "foo-1.0.tar.gz", gz(t, tarBytes(t, c.entries))), t.TempDir()
			_, err := Unpack(t.Context(), path, dst, c.limits)
			bad, ok := errors.AsType[*ArchiveError](err)
			if !ok || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want an *ArchiveError with %q", err, c.want)
			}
			if bad.Archive != "foo-1.0.tar.gz" {
				t.Errorf("the error names %q", bad.Archive)
			}
			if left, _ := os.ReadDir(dst); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if _, err := os.Lstat(filepath.Join(filepath.Dir(dst), "evil")); err == nil {
				t.Error("wrote outside of its directory")
			}
		})
	}
}

func TestUnpackRefusesZip(t *testing.T) {
	for name, c := range map[string]struct {
		entry
		want string
	}{
		"parent":    {entry{name: "foo-1.0/../../x", body: "x"}, "leaves the tree"},
		"backslash": {entry{name: `foo-1.0\..\..\x`, body: "x"}, "leaves the tree"},
		"symlink":   {entry{name: "foo-1.0/l", typ: tar.TypeSymlink, link: "/etc"}, "symbolic link"},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeArchive(t, "foo-1.0.zip", zipBytes(t, []entry{c.entry}))
			if _, err := Unpack(t.Context(), path, t.TempDir(), Limits{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestUnpackRefusesBombByRatio(t *testing.T) {
	path := writeArchive(t, "foo-1.0.tar.gz", gz(t, tarBytes(t, []entry{{name: "foo-1.0/zero", body: string(make([]byte, 66<<20))}})))
	_, err := Unpack(t.Context(), path, t.TempDir(), Limits{})
	if err == nil || !strings.Contains(err.Error(), "times its size") {
		t.Errorf("error %v", err)
	}
}

func TestUnpackNamesBrokenArchives(t *testing.T) {
	whole := gz(t, tarBytes(t, goodEntries))
	for name, data := range map[string][]byte{"cut": whole[:len(whole)/2], "text": []byte("<html>not found</html>"), "nothing": nil} {
		path := writeArchive(t, name+".tar.gz", data)
		_, err := Unpack(t.Context(), path, t.TempDir(), Limits{})
		if bad, ok := errors.AsType[*ArchiveError](err); !ok || bad.Archive != name+".tar.gz" {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestUnpackStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path, dst := writeArchive(t, "foo-1.0.tar.gz", gz(t, tarBytes(t, goodEntries))), t.TempDir()
	if _, err := Unpack(ctx, path, dst, Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// FuzzUnpack: whatever the bytes, nothing is made outside of the destination and no
// link in it leads out.
func FuzzUnpack(f *testing.F) {
	f.Add(tarBytes(f, goodEntries))
	f.Add(gz(f, tarBytes(f, goodEntries)))
	f.Add(zipBytes(f, goodEntries))
	f.Add(tarBytes(f, []entry{{name: "a/l", typ: tar.TypeSymlink, link: "../x"}, {name: "a/l/y", body: "y"}}))
	f.Add(zipBytes(f, []entry{{name: "a/l", typ: tar.TypeSymlink, link: "b/../.."}, {name: "a/h", body: "y"}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		outer := t.TempDir()
		path := filepath.Join(outer, "in")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		dst := filepath.Join(outer, "dst")
		top, err := Unpack(t.Context(), path, dst, Limits{Bytes: 1 << 20, Entries: 100})
		entries, _ := os.ReadDir(outer)
		if len(entries) > 2 {
			t.Fatalf("made something beside its directory: %v", entries)
		}
		if err != nil {
			if left, _ := os.ReadDir(dst); len(left) > 0 {
				t.Fatalf("left %v behind after %v", left, err)
			}
			return
		}
		real, err := filepath.EvalSymlinks(filepath.Join(dst, top))
		if err != nil {
			t.Fatal(err)
		}
		err = filepath.WalkDir(real, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Type()&fs.ModeSymlink != 0 {
				if to, err := filepath.EvalSymlinks(name); err == nil && to != real && !strings.HasPrefix(to, real+"/") {
					t.Errorf("%s leads to %s", name, to)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
