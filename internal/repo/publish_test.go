package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"reqpm/internal/builder"
)

// needTools skips a test where a program of another distribution is missing.
func needTools(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
}

var makeTestKey = sync.OnceValues(func() (*Key, error) {
	dir, err := os.MkdirTemp("", "reqpm-key")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return OpenKey(dir, "")
})

func testKey(t *testing.T) *Key {
	t.Helper()
	k, err := makeTestKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// buildRPM makes a tiny noarch package and its source RPM.
func buildRPM(t *testing.T, name, version string) (binary, source string) {
	t.Helper()
	needTools(t, "rpmbuild")
	top := t.TempDir()
	spec := filepath.Join(top, name+".spec")
	text := fmt.Sprintf(`Name: %s
Version: %s
Release: 1
Summary: A test package
License: MIT
BuildArch: noarch
BuildRequires: something-nobody-has
%%description
Nothing.
%%install
mkdir -p %%{buildroot}/usr/share/%s
echo %s > %%{buildroot}/usr/share/%s/data
%%files
/usr/share/%s
`, name, version, name, version, name, name)
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("rpmbuild", "-ba", "--nodeps", "--define", "_topdir "+top, "--define", "_rpmdir "+top, "--define", "_srcrpmdir "+top, "--define", "_dbpath "+top+"/db", spec)
	cmd.Env = append(os.Environ(), "HOME="+top)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("rpmbuild: %v\n%s", err, out)
	}
	return filepath.Join(top, "noarch", name+"-"+version+"-1.noarch.rpm"), filepath.Join(top, name+"-"+version+"-1.src.rpm")
}

func publishTools(t *testing.T) {
	needTools(t, "createrepo_c", "rpmsign", "gpg", "gpg-agent", "gpgconf", "rpmkeys")
}

func request(t *testing.T, root string, rpms ...string) PublishRequest {
	return PublishRequest{Root: root, RPMs: rpms, Key: testKey(t), Name: "Test", ID: "reqpm-test"}
}

func mustPublish(t *testing.T, req PublishRequest) Snapshot {
	t.Helper()
	snap, err := Publish(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	m, err := digestTree(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// rpmkeysCheck asks rpm itself, with a database that knows only our key.
func rpmkeysCheck(t *testing.T, k *Key, path string) (string, error) {
	t.Helper()
	db := t.TempDir()
	pub := filepath.Join(db, "key")
	if err := os.WriteFile(pub, k.Public(), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("rpmkeys", "--dbpath", db, "--import", pub).CombinedOutput(); err != nil {
		t.Fatalf("import: %v %s", err, out)
	}
	out, err := exec.Command("rpmkeys", "--dbpath", db, "--define", "_pkgverify_level all", "-Kv", path).CombinedOutput()
	return string(out), err
}

func TestPublishedPackagesAreSignedForRPM(t *testing.T) {
	publishTools(t)
	bin, src := buildRPM(t, "alpha", "1.0")
	req := request(t, filepath.Join(t.TempDir(), "root"), bin)
	req.SRPMs = []string{src}
	snap := mustPublish(t, req)
	signed := filepath.Join(snap.Current, "Packages", "alpha-1.0-1.noarch.rpm")
	for _, path := range []string{signed, filepath.Join(snap.Current, "Source", "alpha-1.0-1.src.rpm")} {
		out, err := rpmkeysCheck(t, req.Key, path)
		if err != nil || !strings.Contains(out, "RSA/SHA512 Signature, key ID "+strings.ToLower(req.Key.ID()[8:])+": OK") {
			t.Errorf("rpmkeys on %s: %v\n%s", path, err, out)
		}
	}

	data, err := os.ReadFile(signed)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-20] ^= 1
	bad := filepath.Join(t.TempDir(), "bad.rpm")
	if err := os.WriteFile(bad, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := rpmkeysCheck(t, req.Key, bad); err == nil {
		t.Errorf("rpmkeys accepts a package with a flipped byte:\n%s", out)
	}

	// The files given are not touched.
	if out, _ := exec.Command("rpm", "-qp", "--qf", "%{RSAHEADER:pgpsig}", bin).Output(); !strings.Contains(string(out), "(none)") {
		t.Errorf("the input was signed in place: %s", out)
	}
	if got := leftovers(t, snap); got != "" {
		t.Errorf("left behind: %s", got)
	}
	checkNoAgent(t, filepath.Dir(snap.Current))
}

func leftovers(t *testing.T, snap Snapshot) string {
	t.Helper()
	var names []string
	entries, err := os.ReadDir(filepath.Dir(snap.Current))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tmpPrefix) {
			names = append(names, e.Name())
		}
	}
	return strings.Join(names, " ")
}

// checkNoAgent looks for a process that has root in its command line.
func checkNoAgent(t *testing.T, root string) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		t.Fatal("cannot read /proc")
	}
	for _, path := range lines {
		data, _ := os.ReadFile(path)
		if bytes.Contains(data, []byte("gpg-agent")) && bytes.Contains(data, []byte(root)) {
			t.Errorf("an agent still runs: %q", data)
		}
	}
}

func TestRepomdSignatureIsGoodForGPG(t *testing.T) {
	publishTools(t)
	bin, _ := buildRPM(t, "alpha", "1.0")
	snap := mustPublish(t, request(t, t.TempDir(), bin))
	home := t.TempDir()
	gpg := func(args ...string) (string, error) {
		out, err := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--no-autostart"}, args...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := gpg("--import", filepath.Join(snap.Current, publicKey)); err != nil {
		t.Fatalf("import: %v %s", err, out)
	}
	for _, half := range []string{"", "Source"} {
		repomd := filepath.Join(snap.Current, half, "repodata", "repomd.xml")
		if out, err := gpg("--verify", repomd+".asc", repomd); err != nil {
			t.Errorf("verify %s: %v %s", repomd, err, out)
		}
	}
}

func TestPublishingTheSameSetAgainDoesNothing(t *testing.T) {
	publishTools(t)
	a, _ := buildRPM(t, "alpha", "1.0")
	b, _ := buildRPM(t, "beta", "2.0")
	root := t.TempDir()
	first := mustPublish(t, request(t, root, a, b))
	before := files(t, first.Dir)
	second := mustPublish(t, request(t, root, b, a, a))
	if !first.New || second.New || first.ID != second.ID {
		t.Errorf("first new=%v id=%s, second new=%v id=%s", first.New, first.ID, second.New, second.ID)
	}
	if after := files(t, second.Dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("files changed:\n%v\n%v", before, after)
	}

	// An unchanged package keeps its bytes in the next set, though it is signed at another second.
	c, _ := buildRPM(t, "beta", "2.1")
	third := mustPublish(t, request(t, root, a, c))
	if third.ID == first.ID {
		t.Fatal("another set has the same id")
	}
	if first.Packages[0].SHA256 != third.Packages[0].SHA256 {
		t.Error("alpha was signed again")
	}
	if first.Packages[0].SHA256 == first.Packages[0].Input {
		t.Error("alpha is unsigned")
	}

	// Back to the first set: its old snapshot is current again, with its old bytes.
	fourth := mustPublish(t, request(t, root, a, b))
	if fourth.New || fourth.ID != first.ID {
		t.Errorf("going back made a new snapshot")
	}
	if link, _ := os.Readlink(fourth.Current); link != "snapshots/"+first.ID {
		t.Errorf("current points at %s", link)
	}
}

func TestDamagedSnapshotIsMadeAgain(t *testing.T) {
	publishTools(t)
	a, _ := buildRPM(t, "alpha", "1.0")
	root := t.TempDir()
	first := mustPublish(t, request(t, root, a))
	if err := os.Remove(filepath.Join(first.Dir, "repodata", "primary.xml.gz")); err != nil {
		t.Fatal(err)
	}
	second := mustPublish(t, request(t, root, a))
	if !second.New || second.ID != first.ID {
		t.Errorf("new=%v id=%s, want the same snapshot made again", second.New, second.ID)
	}
	if _, err := os.Stat(filepath.Join(second.Dir, "repodata", "primary.xml.gz")); err != nil {
		t.Error(err)
	}
}

// A published file and the signed copy kept for later snapshots are one file: what damages
// one damages both, and neither is taken again.
func TestDamagedSignedCopyIsSignedAgain(t *testing.T) {
	publishTools(t)
	bin, _ := buildRPM(t, "alpha", "1.0")
	req := request(t, filepath.Join(t.TempDir(), "root"), bin)
	path := filepath.Join(mustPublish(t, req).Dir, "Packages", "alpha-1.0-1.noarch.rpm")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-30); err != nil { // in the payload, behind all that is signed
		t.Fatal(err)
	}
	mustPublish(t, req)
	if out, err := rpmkeysCheck(t, req.Key, path); err != nil {
		t.Errorf("rpmkeys: %v\n%s", err, out)
	}
}

// Below a path that is too long for the agent's sockets, or that rpm cannot be given, the
// private key still lies below the root alone, where it is swept after a kill.
func TestLongPathKeepsThePrivateKeyBelowTheRoot(t *testing.T) {
	publishTools(t)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	long := strings.Repeat("long path ", 10)
	bin, _ := buildRPM(t, "alpha", "1.0")
	req := request(t, filepath.Join(t.TempDir(), long), bin)
	if err := os.Mkdir(req.Root, 0o755); err != nil {
		t.Fatal(err)
	}
	home, remove, err := gnupgHome(req.Root)
	if err != nil {
		t.Fatal(err)
	}
	if real, err := filepath.EvalSymlinks(home); err != nil || filepath.Dir(real) != req.Root || len(home) > maxSocketDir {
		t.Errorf("the private directory is %s, in truth %s: %v", home, real, err)
	}
	remove()
	mustPublish(t, req)
	entries, err := os.ReadDir(tmp)
	if err != nil || len(entries) > 0 {
		t.Errorf("left in TMPDIR: %v, %v", entries, err)
	}
}

func TestTwoVersionsOfOneNameAreRefused(t *testing.T) {
	publishTools(t)
	a, _ := buildRPM(t, "alpha", "1.0")
	b, _ := buildRPM(t, "alpha", "1.1")
	root := t.TempDir()
	good := mustPublish(t, request(t, root, a))
	_, err := Publish(t.Context(), request(t, root, a, b))
	var dup *DuplicateError
	if !errors.As(err, &dup) || dup.First != "alpha-1.0-1.noarch" || dup.Other != "alpha-1.1-1.noarch" {
		t.Errorf("got %v", err)
	}
	if link, _ := os.Readlink(good.Current); link != "snapshots/"+good.ID {
		t.Errorf("current moved to %s", link)
	}
}

func TestOldSnapshotsGoAndNewestStay(t *testing.T) {
	publishTools(t)
	root := t.TempDir()
	var ids []string
	for i := range 4 {
		a, _ := buildRPM(t, "alpha", fmt.Sprintf("1.%d", i))
		req := request(t, root, a)
		req.Keep = 2
		ids = append(ids, mustPublish(t, req).ID)
	}
	entries, err := os.ReadDir(filepath.Join(root, snapshotsDir))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, e := range entries {
		have[e.Name()] = true
	}
	if len(have) != 2 || !have[ids[2]] || !have[ids[3]] {
		t.Errorf("kept %v of %v", have, ids)
	}
}

func TestLeftoversOfAKilledPublicationGo(t *testing.T) {
	publishTools(t)
	a, _ := buildRPM(t, "alpha", "1.0")
	root := t.TempDir()
	for _, dir := range []string{tmpPrefix + "s1/Packages", tmpPrefix + "g1", tmpPrefix + "w1"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("snapshots/nothing", filepath.Join(root, tmpPrefix+"link")); err != nil {
		t.Fatal(err)
	}
	snap := mustPublish(t, request(t, root, a))
	if got := leftovers(t, snap); got != "" {
		t.Errorf("still there: %s", got)
	}
}

func TestCancelLeavesTheOldSetCurrent(t *testing.T) {
	publishTools(t)
	a, _ := buildRPM(t, "alpha", "1.0")
	b, _ := buildRPM(t, "beta", "1.0")
	root := t.TempDir()
	old := mustPublish(t, request(t, root, a))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-ctx.Done()
	if _, err := Publish(ctx, request(t, root, a, b)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if link, _ := os.Readlink(old.Current); link != "snapshots/"+old.ID {
		t.Errorf("current moved to %s", link)
	}
	if got := leftovers(t, old); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

func TestRacingPublications(t *testing.T) {
	publishTools(t)
	a, _ := buildRPM(t, "alpha", "1.0")
	root := t.TempDir()
	var wg sync.WaitGroup
	ids := make([]string, 4)
	for i := range ids {
		wg.Go(func() {
			snap, err := Publish(t.Context(), request(t, root, a))
			if err != nil {
				t.Error(err)
			}
			ids[i] = snap.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || id == "" {
			t.Errorf("ids differ: %v", ids)
		}
	}
}

func TestMissingToolSaysWhatToInstall(t *testing.T) {
	publishTools(t)
	a, _ := buildRPM(t, "alpha", "1.0")
	key := testKey(t)
	t.Setenv("PATH", t.TempDir())
	_, err := Publish(t.Context(), PublishRequest{Root: t.TempDir(), RPMs: []string{a}, Key: key, ID: "x"})
	if !errors.Is(err, builder.ErrMissingTool) || !strings.Contains(err.Error(), "install") {
		t.Errorf("got %v", err)
	}
}

// TestDnfInstalls is the whole proof: dnf, with both signature checks on, from a path
// that needs escaping.
func TestDnfInstalls(t *testing.T) {
	publishTools(t)
	needTools(t, "dnf")
	a, src := buildRPM(t, "alpha", "1.0")
	root := filepath.Join(t.TempDir(), "a b,c $releasever %41 é")
	req := request(t, root, a)
	req.SRPMs = []string{src}
	snap := mustPublish(t, req)
	install := t.TempDir()
	// The first of InstallLines: reposdir itself cannot hold spaces or commas.
	repos := t.TempDir()
	text, err := os.ReadFile(snap.RepoFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repos, filepath.Base(snap.RepoFile)), text, 0o644); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(install, "dnf.conf")
	if err := os.WriteFile(conf, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	dnf := func(args ...string) (string, error) {
		base := []string{"-y", "--installroot", install, "--setopt=reposdir=" + repos, "--setopt=cachedir=" + install + "/cache",
			"--config=" + conf, "--releasever=9", "--setopt=module_platform_id=platform:el9", "--setopt=plugins=0"}
		out, err := exec.Command("dnf", append(base, args...)...).CombinedOutput()
		return string(out), err
	}
	out, err := dnf("repoquery", "--all")
	if err != nil || !strings.Contains(out, "alpha-0:1.0-1.noarch") || strings.Contains(out, ".src") {
		t.Fatalf("dnf repoquery: %v\n%s", err, out)
	}
	if os.Geteuid() == 0 {
		if out, err := dnf("install", "alpha"); err != nil {
			t.Fatalf("dnf install: %v\n%s", err, out)
		}
		if _, err := os.Stat(filepath.Join(install, "usr/share/alpha/data")); err != nil {
			t.Error(err)
		}
	}
	// A repomd that was changed after signing is refused.
	repomd := filepath.Join(snap.Dir, "repodata", "repomd.xml")
	data, err := os.ReadFile(repomd)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(repomd, append(data, ' '), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := dnf("--refresh", "repoquery", "--all"); err == nil && strings.Contains(out, "alpha") {
		t.Errorf("dnf takes a changed repomd.xml:\n%s", out)
	}
}
