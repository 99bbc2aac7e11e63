package apt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// makeDeb makes a package with one file.
func makeDeb(t *testing.T, dir, name, version, depends string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), name)
	file := filepath.Join(root, "usr/share", name, "file")
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: test\n", name, version)
	if depends != "" {
		control += "Depends: " + depends + "\n"
	}
	for path, text := range map[string]string{file: name, filepath.Join(root, "DEBIAN/control"): control} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("dpkg-deb", "--build", root, filepath.Join(dir, name+"_"+version+"_all.deb")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// repository makes a repository of its own and a client that sees only that.
func repository(t *testing.T) (*Client, string) {
	t.Helper()
	if !Here() {
		t.Skip("this is no Debian: there is no apt")
	}
	scan, err := exec.LookPath("dpkg-scanpackages")
	if err != nil {
		t.Skip("dpkg-scanpackages (package dpkg-dev) is not here")
	}
	dir := t.TempDir()
	makeDeb(t, dir, "reqpm-test-dev", "1.0-1", "reqpm-test1 (= 1.0-1)")
	makeDeb(t, dir, "reqpm-test1", "1.0-1", "")
	makeDeb(t, dir, "reqpm-broken", "2:1.0", "reqpm-nowhere")
	cmd := exec.Command(scan, "--multiversion", ".")
	cmd.Dir = dir
	list, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Packages"), list, 0o644); err != nil {
		t.Fatal(err)
	}
	sources := filepath.Join(t.TempDir(), "sources.list")
	if err := os.WriteFile(sources, []byte("deb [trusted=yes] file://"+dir+" ./\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return New(Config{Dir: t.TempDir(), Options: []string{"-oDir::Etc::sourcelist=" + sources, "-oDir::Etc::sourceparts=/dev/null"}}), dir
}

func TestResolveAndFetch(t *testing.T) {
	c, dir := repository(t)
	ctx := context.Background()
	have, err := c.Candidates(ctx, []string{"reqpm-test-dev", "reqpm-nothing"})
	if err != nil || !maps.Equal(have, map[string]string{"reqpm-test-dev": "1.0-1"}) {
		t.Fatalf("candidates %v, %v", have, err)
	}
	list, err := c.Resolve(ctx, []string{"reqpm-test-dev"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range list {
		names = append(names, p.Name+" "+p.Version)
		if p.Size == 0 || p.Upgrades != "" {
			t.Errorf("%+v", p)
		}
	}
	if want := []string{"reqpm-test-dev 1.0-1", "reqpm-test1 1.0-1"}; !slices.Equal(names, want) {
		t.Errorf("resolved %q, want %q", names, want)
	}
	files, err := c.Fetch(ctx, list)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if sum, err := sumOf(f); err != nil || sum != list[i].SHA256 {
			t.Errorf("%s: %v %v", f, sum, err)
		}
	}
	// What is here is not downloaded again, even where it could not be.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if again, err := c.Fetch(ctx, list); err != nil || !slices.Equal(again, files) {
		t.Errorf("again: %v, %v", again, err)
	}
}

func TestResolveSaysWhatIsMissing(t *testing.T) {
	c, _ := repository(t)
	for name, want := range map[string]string{"reqpm-nothing": "reqpm-nothing", "reqpm-broken": "reqpm-broken"} {
		_, err := c.Resolve(context.Background(), []string{name})
		var none *NoCandidateError
		if !errors.As(err, &none) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Candidates(context.Background(), []string{"--option"}); err == nil {
		t.Error("an option was taken for a name")
	}
}

// A file that is not what the lists say must not come out.
func TestFetchChecksDigests(t *testing.T) {
	c, dir := repository(t)
	ctx := context.Background()
	list, err := c.Resolve(ctx, []string{"reqpm-test1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "reqpm-test1_1.0-1_all.deb"), []byte("something else"), 0o644); err != nil {
		t.Fatal(err)
	}
	if files, err := c.Fetch(ctx, list); err == nil {
		t.Errorf("a changed package was taken: %v", files)
	}
}

func TestOfflineDownloadsNothing(t *testing.T) {
	c, _ := repository(t)
	list, err := c.Resolve(context.Background(), []string{"reqpm-test1"})
	if err != nil {
		t.Fatal(err)
	}
	c.cfg.Offline = true
	if _, err := c.Fetch(context.Background(), list); !errors.Is(err, ErrOffline) {
		t.Errorf("offline: %v", err)
	}
}

func TestReadPolicy(t *testing.T) {
	got := readPolicy("a:\n  Installed: (none)\n  Candidate: 1:2.0-1\n  Version table:\n     1:2.0-1 500\nb:\n  Installed: (none)\n  Candidate: (none)\n")
	if want := map[string]string{"a": "1:2.0-1"}; !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
