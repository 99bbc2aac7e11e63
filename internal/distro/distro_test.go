package distro_test

import (
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reqpm/internal/distro"
	"reqpm/internal/distro/conformance"
	"reqpm/internal/distro/fake"
	"reqpm/internal/target"
)

func TestFake(t *testing.T) {
	conformance.Test(t, conformance.Subject{Of: func(_ *testing.T, tgt target.Target, rpms []distro.RPM) (distro.Provider, target.Target) {
		list := append([]distro.RPM(nil), rpms...)
		for i := range list {
			list[i].Repo = "test"
		}
		return &fake.Provider{RPMs: list}, tgt
	}})
}

func TestRepositories(t *testing.T) {
	needsDNF(t)
	conformance.Test(t, conformance.Subject{Of: func(t *testing.T, tgt target.Target, rpms []distro.RPM) (distro.Provider, target.Target) {
		repo := t.TempDir()
		writeRepo(t, repo, rpms)
		return distro.NewRepositories(distro.Config{Dir: t.TempDir()}), at(tgt, repo)
	}})
}

func needsDNF(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("dnf"); err != nil {
		t.Skip("dnf is not installed")
	}
}

// at is tgt with the one repository in dir.
func at(tgt target.Target, dir string) target.Target {
	tgt.Repos = []target.Repo{{ID: "test", BaseURL: []string{"file://" + dir}}}
	return tgt
}

func el9(t *testing.T) target.Target {
	t.Helper()
	tgt, err := target.Find(t.Context(), "el9-py312")
	if err != nil {
		t.Fatal(err)
	}
	return tgt
}

var six = distro.RPM{Name: "python3.12-six", Version: "1.16.0", Release: "1", Arch: "noarch", Provides: []string{"python3.12dist(six) = 1.16"}}

// What was asked once is remembered for as long as repomd.xml says the same; for dnf's second
// visit there is nothing to read here.
func TestAnswersAreRemembered(t *testing.T) {
	needsDNF(t)
	repo, cache := t.TempDir(), t.TempDir()
	writeRepo(t, repo, []distro.RPM{six})
	tgt := at(el9(t), repo)
	ask := func(offline bool) *distro.Set {
		t.Helper()
		set, err := distro.NewRepositories(distro.Config{Dir: cache, Offline: offline}).Provides(t.Context(), tgt)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	ask(false)
	primary := filepath.Join(repo, "repodata/primary.xml")
	if err := os.Remove(primary); err != nil {
		t.Fatal(err)
	}
	if set := ask(false); len(set.Packages) != 1 || set.Origin != distro.FromRepositories {
		t.Errorf("the same state again: %+v", set)
	}
	if set := ask(true); len(set.Packages) != 1 || set.Origin != distro.FromCache || !strings.Contains(set.Reason, "--offline") {
		t.Errorf("offline: %+v", set)
	}
	if err := os.Remove(filepath.Join(repo, "repodata/repomd.xml")); err != nil {
		t.Fatal(err)
	}
	if set := ask(false); len(set.Packages) != 1 || set.Origin != distro.FromCache || !strings.Contains(set.Reason, "repository test") {
		t.Errorf("repositories out of reach: %+v", set)
	}
	writeRepo(t, repo, []distro.RPM{six, {Name: "python3.12-new", Version: "1", Release: "1", Arch: "noarch", Provides: []string{"python3.12dist(new) = 1"}}})
	if set := ask(false); len(set.Packages) != 2 {
		t.Errorf("a new state: %+v", set)
	}
}

// odd has a package for those who build with it, and one with a program.
const odd = `Name: odd
Version: 1.5
Release: 1
Summary: for a test
License: MIT
BuildArch: noarch
%description
%package devel
Summary: for a test
Provides: pkgconfig(odd-1.0) = 1.5
%description devel
%package tools
Summary: for a test
%description tools
%install
for f in include/odd/odd.h lib64/libodd.so bin/oddgen; do install -D -m 644 /dev/null %{buildroot}/usr/$f; done
%files devel
/usr/include/odd
/usr/lib64/libodd.so
%files tools
/usr/bin/oddgen
`

// Any dependency can be asked for. Headers are in no RPM's own record, only in the lists of all files.
func TestKnows(t *testing.T) {
	needsDNF(t)
	repo, cache, spec := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "odd.spec")
	if err := os.WriteFile(spec, []byte(odd), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"rpmbuild", "-bb", "--define", "_topdir " + t.TempDir(), "--define", "_rpmdir " + repo, spec},
		{"createrepo_c", repo},
	} {
		if _, err := exec.LookPath(args[0]); err != nil {
			t.Skip(args[0] + " is not installed")
		}
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", args[0], err, out)
		}
	}
	tgt := at(el9(t), repo)
	want := map[string]distro.RPM{}
	var deps []string
	for dep, name := range map[string]string{"pkgconfig(odd-1.0)": "odd-devel", "odd-devel": "odd-devel", "/usr/include/odd/odd.h": "odd-devel",
		"/usr/lib64/libodd.so": "odd-devel", "/usr/bin/oddgen": "odd-tools", "/usr/include/even.h": "", "pkgconfig(even)": ""} {
		deps = append(deps, dep)
		if name != "" {
			want[dep] = distro.RPM{Name: name, Version: "1.5"}
		}
	}
	for _, offline := range []bool{false, true} { // the second time from what was kept
		got, err := distro.NewRepositories(distro.Config{Dir: cache, Offline: offline}).Knows(t.Context(), tgt, deps)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("offline %v: %v\n%s", offline, err, diff)
		}
	}
	if _, err := distro.NewRepositories(distro.Config{Dir: cache, Offline: true}).Knows(t.Context(), tgt, []string{"new"}); !errors.Is(err, distro.ErrUnknown) {
		t.Errorf("what was never asked, offline: %v", err)
	}
}

func TestDamagedAnswerIsAskedForAgain(t *testing.T) {
	needsDNF(t)
	repo, cache := t.TempDir(), t.TempDir()
	writeRepo(t, repo, []distro.RPM{six})
	tgt := at(el9(t), repo)
	for range 2 {
		set, err := distro.NewRepositories(distro.Config{Dir: cache}).Provides(t.Context(), tgt)
		if err != nil || len(set.Packages) != 1 {
			t.Fatalf("%v, %v", set, err)
		}
		files, _ := filepath.Glob(filepath.Join(cache, "*.json"))
		if len(files) != 1 {
			t.Fatalf("kept: %v", files)
		}
		if err := os.Truncate(files[0], 20); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnknown(t *testing.T) {
	tgt := at(el9(t), filepath.Join(t.TempDir(), "nowhere"))
	for name, cfg := range map[string]distro.Config{"out of reach": {Dir: t.TempDir()}, "offline": {Dir: t.TempDir(), Offline: true}} {
		if _, err := distro.NewRepositories(cfg).Provides(t.Context(), tgt); !errors.Is(err, distro.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	host := tgt
	host.Kind = target.Host
	if _, err := distro.NewRepositories(distro.Config{Dir: t.TempDir()}).Provides(t.Context(), host); !errors.Is(err, distro.ErrUnknown) {
		t.Errorf("a machine without rpm's packages: %v", err)
	}
	if _, err := (distro.Table{}).Provides(t.Context(), host); !errors.Is(err, distro.ErrUnknown) {
		t.Errorf("a machine without rpm's packages, of the table: %v", err)
	}
}

func TestBrokenRepositoryIsAQueryError(t *testing.T) {
	needsDNF(t)
	repo := t.TempDir()
	writeRepo(t, repo, []distro.RPM{six})
	if err := os.WriteFile(filepath.Join(repo, "repodata/primary.xml"), []byte("<metadata"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := distro.NewRepositories(distro.Config{Dir: t.TempDir()}).Provides(t.Context(), at(el9(t), repo))
	if query, ok := errors.AsType[*distro.QueryError](err); !ok || query.Tail == "" {
		t.Errorf("%v", err)
	}
}

func TestFirstOf(t *testing.T) {
	tgt := el9(t)
	down := &fake.Provider{Err: fmt.Errorf("%w: down", distro.ErrUnknown)}
	up := &fake.Provider{RPMs: []distro.RPM{six}, Origin: distro.FromTable}
	set, err := distro.FirstOf{down, up}.Provides(t.Context(), tgt)
	if err != nil || set.Origin != distro.FromTable || !strings.Contains(set.Reason, "down") {
		t.Errorf("%+v, %v", set, err)
	}
	if _, err := (distro.FirstOf{down}).Provides(t.Context(), tgt); !errors.Is(err, distro.ErrUnknown) {
		t.Error(err)
	}
	if _, err := (distro.FirstOf{up, down}).Provides(t.Context(), tgt); err != nil || down.Asked() != 2 {
		t.Errorf("%v; the second was asked though the first knew", err)
	}
}

// writeRepo writes the metadata of a repository with these packages; there are no RPM files.
func writeRepo(t *testing.T, dir string, rpms []distro.RPM) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?><metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="%d">`, len(rpms))
	for _, r := range rpms {
		epoch := r.Epoch
		if epoch == "" {
			epoch = "0"
		}
		fmt.Fprintf(&b, `<package type="rpm"><name>%s</name><arch>%s</arch><version epoch="%s" ver="%s" rel="%s"/>`, r.Name, r.Arch, epoch, r.Version, r.Release)
		fmt.Fprintf(&b, `<checksum type="sha256" pkgid="YES">%x</checksum><summary/><description/><location href="%s.rpm"/><format><rpm:license>%s</rpm:license>`, sha256.Sum256([]byte(r.NEVRA())), r.NEVRA(), r.License)
		fmt.Fprintf(&b, `<rpm:provides>%s</rpm:provides><rpm:requires>%s</rpm:requires></format></package>`, entries(r.Provides), entries(r.Requires))
	}
	b.WriteString("</metadata>")
	primary := b.String()
	repomd := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>%d</revision><data type="primary"><checksum type="sha256">%x</checksum><location href="repodata/primary.xml"/><size>%d</size></data></repomd>`,
		len(rpms), sha256.Sum256([]byte(primary)), len(primary))
	for name, text := range map[string]string{"primary.xml": primary, "repomd.xml": repomd} {
		path := filepath.Join(dir, "repodata", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var flags = map[string]string{"=": "EQ", ">=": "GE", "<=": "LE", ">": "GT", "<": "LT"}

// entries writes dependencies as rpm-metadata has them: name, flags, epoch, version, release.
func entries(deps []string) string {
	var b strings.Builder
	for _, d := range deps {
		f := strings.Fields(d)
		if strings.HasPrefix(d, "(") || len(f) != 3 {
			b.WriteString(`<rpm:entry name="` + escape(d) + `"/>`)
			continue
		}
		version, release, _ := strings.Cut(f[2], "-")
		fmt.Fprintf(&b, `<rpm:entry name="%s" flags="%s" epoch="0" ver="%s"`, escape(f[0]), flags[f[1]], version)
		if release != "" {
			fmt.Fprintf(&b, ` rel="%s"`, release)
		}
		b.WriteString("/>")
	}
	return b.String()
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
