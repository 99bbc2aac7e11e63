package spec

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reqpm/internal/metadata"
	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
	"reqpm/internal/sdist"
	"reqpm/internal/target"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// local is what target.Local finds on Debian 12, with or without the generator's module.
func local(generates bool) target.Target {
	return target.Target{
		Name: "local", Kind: target.Host, Arch: "x86_64",
		Python: target.Python{
			Version: "3.11.2", Prefix: "python3.11-", Executable: "/usr/bin/python3.11", PkgVersion: "3.11",
			Sitelib: "/usr/lib/python3.11/site-packages", Sitearch: "/usr/lib/python3.11/site-packages",
		},
		RPM: target.RPM{Version: "4.18.0", Caret: true, RichDeps: true, DynamicBR: true, GeneratesRequires: generates, Style: target.StyleDriver},
	}
}

func shipped(t testing.TB, name string) target.Target {
	t.Helper()
	got, err := target.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func reqs(t testing.TB, texts ...string) []pep508.Requirement {
	t.Helper()
	var out []pep508.Requirement
	for _, s := range texts {
		r, err := pep508.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func pyVersion(t testing.TB, s string) pep440.Version {
	t.Helper()
	v, err := pep440.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var uploaded = time.Date(2026, 1, 23, 18, 30, 0, 0, time.FixedZone("", -8*3600))

// samples are the packages of the golden files.
func samples(t testing.TB) map[string]Input {
	flit := Input{
		Facts:         sdist.Facts{Archive: "foo_bar-1.2.0.tar.gz", TopDir: "foo_bar-1.2.0", Backend: "flit_core.buildapi"},
		SHA256:        strings.Repeat("ab", 32),
		BuildRequires: reqs(t, "flit_core>=3.2,<4"),
		License:       "MIT",
		Metadata: metadata.Metadata{
			Name: "Foo.Bar", Version: pyVersion(t, "1.2.0"), Summary: "A tool that is 100% pure, with a summary which goes on and on and on for far too long.",
			HomePage: "https://example.org/foo?a=1%20b", RequiresDist: reqs(t, "requests>=2,<3", "tomli; python_version < '3.11'", "zope.interface!=5.2.*"),
		},
		UploadTime: uploaded,
		Env:        sdist.SCMEnv("1.2.0"),
	}
	native := Input{
		Facts:         sdist.Facts{Archive: "cext-3.0.2.tar.gz", TopDir: "cext-3.0.2", Native: sdist.Native{C: true, CXX: true, Sources: 2}},
		BuildRequires: reqs(t, "setuptools>=77", "wheel"),
		Metadata: metadata.Metadata{
			Name: "cext", Version: pyVersion(t, "3.0.2"), Summary: "Speed", Classifiers: []string{"License :: OSI Approved :: ISC License (ISCL)"},
			ProjectURLs: []string{"Docs, https://example.org/docs", "Source Code, https://example.org/code"},
		},
		ExtraBuildRequires: []string{"pkgconfig(libxml-2.0) >= 2.9"},
		Patches:            []string{"0001-pep639.patch"},
		UploadTime:         uploaded,
	}
	extras := Input{
		Facts:         sdist.Facts{Archive: "web-2.0.zip", TopDir: "web-2.0"},
		BuildRequires: reqs(t, "hatchling"),
		License:       "Apache-2.0 OR MIT",
		Metadata: metadata.Metadata{
			Name: "web", Version: pyVersion(t, "2.0"), Summary: "web",
			RequiresDist:  reqs(t, "idna", "pysocks!=1.5.7,>=1.5.6; extra == 'socks'", "h2!=4.0.*; extra == 'http-2'"),
			ProvidesExtra: []string{"http-2", "socks"},
		},
		Extras: []Extra{
			{Name: "socks", Requires: reqs(t, "pysocks!=1.5.7,>=1.5.6")},
			{Name: "http-2", Requires: reqs(t, "h2!=4.0.*")},
		},
		UploadTime: uploaded,
	}
	versions := func(v, archive string) Input {
		return Input{
			Facts: sdist.Facts{Archive: archive + ".tar.gz", TopDir: archive}, License: "BSD-3-Clause", UploadTime: uploaded, Release: 3,
			Metadata: metadata.Metadata{Name: "python-odd", Version: pyVersion(t, v), Summary: ""},
		}
	}
	legacy := Input{ // setup.py and nothing else, of long ago
		Facts: sdist.Facts{
			Archive: "Old_Tool-0.9.1.tar.gz", TopDir: "Old_Tool-0.9.1", Backend: "setuptools.build_meta:__legacy__", HasSetupPy: true,
			LicenseFiles: []string{"COPYING", "docs/LICENSE.txt"},
		},
		BuildRequires: reqs(t, "setuptools>=40.8.0", "wheel"),
		Metadata: metadata.Metadata{
			Name: "Old_Tool", Version: pyVersion(t, "0.9.1"), Summary: "Tool from before pyproject.toml", License: "GPLv2+",
			HomePage: "https://example.org/old", RequiresDist: reqs(t, "six!=1.5,!=1.6.*", "docopt~=0.6.2", "enum34; python_version < '3.4'"),
		},
		UploadTime: uploaded,
	}
	scm := Input{ // its version comes from setuptools-scm, and it brings commands
		Facts: sdist.Facts{
			Archive: "tagged-4.5.tar.gz", TopDir: "tagged-4.5", Backend: "setuptools.build_meta", HasBuildSystem: true, HasSetupPy: true, HasPyproject: true, SCM: true,
			LicenseFiles: []string{"LICENSE"},
		},
		BuildRequires: reqs(t, "setuptools>=61", "setuptools_scm[toml]>=6.2"),
		Metadata: metadata.Metadata{
			Name: "tagged", Version: pyVersion(t, "4.5"), Summary: "Versions from tags",
			Classifiers: []string{"License :: OSI Approved :: MIT License"}, RequiresDist: reqs(t, "packaging==24.*", "click<9,>=8.1"),
		},
		UploadTime: uploaded,
		Env:        sdist.SCMEnv("4.5"),
	}
	return map[string]Input{
		"flit": flit, "native": native, "extras": extras, "legacy": legacy, "scm": scm,
		"epoch": versions("1!2.0", "python_odd-1!2.0"),
		"post":  versions("2.0.post3", "python-odd-2.0.post3"),
		"rc":    versions("2.0rc1", "python_odd-2.0rc1"),
	}
}

func TestGolden(t *testing.T) {
	targets := map[string]target.Target{"local": local(false), "local-generator": local(true)}
	for _, name := range []string{"el7", "el8", "el9", "el10"} {
		targets[name] = shipped(t, name)
	}
	for name, in := range samples(t) {
		for tname, tt := range targets {
			if tname == "local-generator" && name != "flit" && name != "extras" {
				continue
			}
			in.Target = tt
			out, err := Write(in)
			if err != nil {
				t.Errorf("%s %s: %v", name, tname, err)
				continue
			}
			golden(t, name+"-"+tname+".spec", out.Text)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
	parses(t, got)
}

// stubMacros stands in for pyproject-rpm-macros, which Debian has not got.
const stubMacros = `%pyproject_buildrequires(R) echo buildrequires %*
%pyproject_wheel() echo wheel
%pyproject_install() echo install
%pyproject_save_files() echo save
%pyproject_files files.list
%_topdir /nonexistent/reqpm
%_dbpath /nonexistent/reqpm
`

// expand runs rpmspec in an empty directory and returns what rpm made of the spec.
func expand(t testing.TB, text string) (string, string) {
	t.Helper()
	rpmspec, err := exec.LookPath("rpmspec")
	if err != nil {
		t.Skip("rpmspec is not installed")
	}
	dir := t.TempDir()
	for name, data := range map[string]string{"x.spec": text, "macros": stubMacros} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// --load adds the stubs behind rpm's own macros.
	cmd := exec.Command(rpmspec, "--load", filepath.Join(dir, "macros"), "-P", filepath.Join(dir, "x.spec"))
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "LC_ALL=C.UTF-8"}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("rpmspec -P: %v\n%s\n%s", err, stderr.String(), text)
	}
	if s := stderr.String(); s != "" {
		t.Errorf("rpmspec warns: %s\n%s", s, text)
	}
	return string(out), dir
}

func parses(t *testing.T, text string) {
	t.Helper()
	if _, err := exec.LookPath("rpmspec"); err == nil {
		expand(t, text)
	}
}

func TestOutputDescribesTheSpec(t *testing.T) {
	in := samples(t)["native"]
	in.Target = shipped(t, "el9")
	in.Style = target.StyleDriver
	out, err := Write(in)
	if err != nil {
		t.Fatal(err)
	}
	if out.Name != "python3.12-cext" || out.FileName != "python3.12-cext.spec" || out.EVR() != "3.0.2-1.el9" || out.Noarch {
		t.Errorf("got %+v", out)
	}
	if want := []string{"cext-3.0.2.tar.gz", sdist.DriverName, "0001-pep639.patch"}; !slices.Equal(out.Sources, want) {
		t.Errorf("sources %q, want %q", out.Sources, want)
	}
	in = samples(t)["epoch"]
	in.Target = local(false)
	if out, err = Write(in); err != nil || out.EVR() != "1:2.0-3" || out.Name != "python3.11-odd" || !out.Noarch {
		t.Errorf("got %+v, %v", out, err)
	}
	in = samples(t)["extras"]
	in.Target = local(false)
	out, err = Write(in)
	if want := []string{"python3.11-web", "python3.11-web+socks", "python3.11-web+http-2"}; err != nil || !slices.Equal(out.Packages, want) {
		t.Errorf("packages %q, %v, want %q", out.Packages, err, want)
	}
}

func TestNoarchCanBeOverruled(t *testing.T) {
	yes, no := true, false
	for _, tt := range []struct {
		native   bool
		override *bool
		noarch   bool
		debug    bool // debuginfo is switched off on EL9
	}{
		{false, nil, true, false}, {true, nil, false, false}, {true, &yes, true, false}, {false, &no, false, true}, {true, &no, false, false},
	} {
		in := samples(t)["flit"]
		in.Target, in.Facts.Native.C, in.Noarch = shipped(t, "el9"), tt.native, tt.override
		out, err := Write(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.Text, "\nBuildArch:"); got != tt.noarch || out.Noarch != tt.noarch {
			t.Errorf("%+v: noarch %v", tt, got)
		}
		if got := strings.Contains(out.Text, "debug_package"); got != tt.debug {
			t.Errorf("%+v: debug package off: %v", tt, got)
		}
		if got := strings.Contains(out.Text, "BuildRequires:  gcc"); got == tt.noarch {
			t.Errorf("%+v: gcc: %v", tt, got)
		}
	}
}

func TestOverriddenRequirementsTakeTheGeneratorsPlace(t *testing.T) {
	in := samples(t)["flit"]
	in.Target = shipped(t, "el9")
	in.Metadata.RequiresDist = reqs(t, "requests==3.0", "tomli")
	in.Overridden = []string{"requests", "zope-interface"} // the one in another version, the other not at all
	out, err := Write(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := "%global __requires_exclude ^[(]*(python3[.]12dist[(]requests[)]|python3[.]12dist[(]zope-interface[)])\n"; !strings.Contains(out.Text, want) {
		t.Errorf("no %q in\n%s", want, out.Text)
	}
	if n := strings.Count(out.Text, "\nRequires:"); n != 1 || !strings.Contains(out.Text, "\nRequires:       python3.12dist(requests) = 3\n") {
		t.Errorf("%d requirements written\n%s", n, out.Text)
	}
}

func TestRefusedInput(t *testing.T) {
	base := samples(t)["flit"]
	base.Target = local(false)
	for name, change := range map[string]func(*Input){
		"name":            func(in *Input) { in.Metadata.Name = "$(touch x)" },
		"name with macro": func(in *Input) { in.Metadata.Name = "%{lua:x}" },
		"empty name":      func(in *Input) { in.Metadata.Name = "" },
		"long name":       func(in *Input) { in.Metadata.Name = strings.Repeat("a", 300) },
		"no version":      func(in *Input) { in.Metadata.Version = pep440.Version{} },
		"archive":         func(in *Input) { in.Facts.Archive = "a b.tar.gz" },
		"archive path":    func(in *Input) { in.Facts.Archive = "../a.tar.gz" },
		"top directory":   func(in *Input) { in.Facts.TopDir = "a;id" },
		"top option":      func(in *Input) { in.Facts.TopDir = "-n" },
		"patch":           func(in *Input) { in.Patches = []string{"`id`.patch"} },
		"patch twice":     func(in *Input) { in.Patches = []string{"a.patch", "a.patch"} },
		"env quote":       func(in *Input) { in.Env = []string{"A='; id; '"} },
		"env newline":     func(in *Input) { in.Env = []string{"A=b\n%files"} },
		"env macro":       func(in *Input) { in.Env = []string{"A=%(id)"} },
		"env name":        func(in *Input) { in.Env = []string{"A;id=b"} },
		"extra":           func(in *Input) { in.Extras = []Extra{{Name: "x\n%files"}} },
		"extra requirement": func(in *Input) {
			in.Extras = []Extra{{Name: "x", Requires: []pep508.Requirement{{Name: "a b"}}}}
		},
		"build requirement":    func(in *Input) { in.BuildRequires = []pep508.Requirement{{Name: "%(id)"}} },
		"rpm build dependency": func(in *Input) { in.ExtraBuildRequires = []string{"gcc, evil"} },
		"run requirement":      func(in *Input) { in.Metadata.RequiresDist = []pep508.Requirement{{Name: "a\nb"}} },
		"hash":                 func(in *Input) { in.SHA256 = "%(id)" },
		"no target":            func(in *Input) { in.Target = target.Target{} },
	} {
		in := base
		change(&in)
		if out, err := Write(in); err == nil {
			t.Errorf("%s: written:\n%s", name, out.Text)
		} else if !strings.HasPrefix(err.Error(), "spec of ") {
			t.Errorf("%s: error %v does not say what was being done", name, err)
		}
	}
}

func TestChangelogWeekdayAndBounds(t *testing.T) {
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{uploaded, "* Sat Jan 24 2026 "}, // UTC
		{time.Time{}, "* Sat Jan 01 2000 "},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "* Thu Dec 31 2099 "},
	} {
		if got := changelogEntry(changelogTime(tt.at), "", "1-1")[0]; !strings.HasPrefix(got, tt.want) {
			t.Errorf("%v: %q, want %q", tt.at, got, tt.want)
		}
	}
}

func TestExtraRequires(t *testing.T) {
	all := reqs(t, "a", "b; extra == 'x'", "c; extra == 'x' and python_version < '3'", "d; extra == 'y'", "e; python_version > '3'")
	got := ExtraRequires(all, local(false).Env(), "x")
	if len(got) != 1 || got[0].Name != "b" {
		t.Errorf("got %v", got)
	}
}

func TestSet(t *testing.T) {
	out, err := WriteSet(SetInput{
		Target: local(false), Project: "My Project", Version: "20260124.gabc1234", UploadTime: uploaded,
		Packages: []SetPackage{
			{Name: "python3.11-web", Version: "2.0", Release: "1"},
			{Name: "python3.11-odd", Epoch: "1", Version: "2.0"},
			{Name: "python3.11dist(six)", Version: "1.16"},
			{Name: "python3.11-web", Version: "2.0", Release: "1"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "set.spec", out.Text)
	want := "python3.11-odd = 1:2.0\npython3.11-web = 2.0-1\npython3.11dist(six) = 1.16\n"
	if string(out.List) != want || out.Name != "my-project-requirements" || !slices.Equal(out.Sources, []string{out.ListName}) {
		t.Errorf("list %q of %+v", out.List, out.Output)
	}
}

func TestSetRefuses(t *testing.T) {
	good := SetPackage{Name: "a", Version: "1"}
	for name, in := range map[string]SetInput{
		"empty":       {Project: "p", Version: "1"},
		"two":         {Project: "p", Version: "1", Packages: []SetPackage{good, {Name: "a", Version: "2"}}},
		"bad name":    {Project: "p", Version: "1", Packages: []SetPackage{{Name: "a b", Version: "1"}}},
		"bad version": {Project: "p", Version: "1", Packages: []SetPackage{{Name: "a", Version: "%(id)"}}},
		"own version": {Project: "p", Version: "%(id)", Packages: []SetPackage{good}},
		"no project":  {Project: "///", Version: "1", Packages: []SetPackage{good}},
	} {
		if out, err := WriteSet(in); err == nil {
			t.Errorf("%s: written:\n%s", name, out.Text)
		}
	}
}
