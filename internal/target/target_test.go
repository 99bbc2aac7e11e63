package target

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestShippedTargets(t *testing.T) {
	var names []string
	for _, tt := range All() {
		names = append(names, tt.Name)
		if err := tt.check(); err != nil {
			t.Errorf("%s: %v", tt.Name, err)
		}
		for _, r := range tt.Repos {
			if !r.GPGCheck {
				t.Errorf("%s: repository %s is not checked", tt.Name, r.ID)
			}
		}
	}
	var want []string
	for _, n := range []string{"el10", "el10-py314", "el7", "el8", "el8-py311", "el8-py312", "el8-py36", "el8-py38", "el8-py39", "el9", "el9-py311", "el9-py312", "el9-py314", "el9-py39"} {
		want = append(want, n, n+"-aarch64")
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("targets %v, want %v", names, want)
	}
}

// A release is the same on both architectures, but for where its packages are.
func TestArchitecturesAreAlike(t *testing.T) {
	for _, tt := range All() {
		if tt.Arch != "x86_64" {
			continue
		}
		arm, err := Lookup(tt.Name + "-aarch64")
		if err != nil {
			t.Error(err)
			continue
		}
		if arm.Arch != "aarch64" || !strings.HasSuffix(arm.Mock, "-aarch64") || !strings.HasSuffix(tt.Mock, "-x86_64") {
			t.Errorf("%s is %s with mock's %s and %s", arm.Name, arm.Arch, arm.Mock, tt.Mock)
		}
		want := tt
		want.Name, want.Arch, want.Mock = arm.Name, arm.Arch, arm.Mock
		if tt.Dist == ".el7" { // in another place of the vault, signed with another key
			want.Repos, want.Distribution = arm.Repos, arm.Distribution
		}
		if d := cmp.Diff(want, arm); d != "" {
			t.Errorf("%s (-x86_64 +aarch64):\n%s", tt.Name, d)
		}
	}
}

func TestDistributions(t *testing.T) {
	var file strings.Builder
	for _, d := range Distributions() {
		n := d[strings.LastIndex(d, "-")+1:]
		if n == "altarch" {
			n = "7"
		}
		file.WriteString("[targets.a-" + d + "]\nbase = \"el" + n + "\"\ndistribution = \"" + d + "\"\n")
		file.WriteString("[targets.b-" + d + "]\nbase = \"a-" + d + "\"\nepel = true\n")
	}
	own, err := Parse("all.toml", []byte(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	if len(own) < 20 {
		t.Errorf("%d targets", len(own))
	}
	for _, tt := range own {
		release := 0
		for _, p := range tt.BasePackages {
			if strings.HasSuffix(p, "-release") {
				release++
			}
		}
		if release != 1 {
			t.Errorf("%s: %d release packages in %v", tt.Name, release, tt.BasePackages)
		}
		if epel := slices.ContainsFunc(tt.Repos, func(r Repo) bool { return r.ID == "epel" }); epel != tt.EPEL || epel != strings.Contains(tt.Mock, "epel") {
			t.Errorf("%s: EPEL %v, repositories %v, mock %s", tt.Name, tt.EPEL, tt.Repos, tt.Mock)
		}
	}
	got, _ := Lookup("b-alma-9", own...)
	if got.Mock != "alma+epel-9-x86_64" || got.Repos[0].Mirrorlist != "https://mirrors.almalinux.org/mirrorlist/$releasever/baseos" || !slices.Contains(got.BasePackages, "almalinux-release") {
		t.Errorf("got %+v", got)
	}
	got, _ = Lookup("a-rhel-9", own...)
	if !strings.Contains(got.Repos[0].String(), "\nsslclientcert=/etc/pki/entitlement/*.pem\n") {
		t.Errorf("got %s", got.Repos[0])
	}
}

func TestOwnDistributionMockFileAndMacros(t *testing.T) {
	own, err := Parse("my.toml", []byte(`
[distributions.corp-9]
release_package = "corp-release"
mock = "corp-9"
repositories = [{ id = "corp", baseurl = ["https://mirror.example.org/$basearch/"], gpgcheck = false }]
[targets.corp]
base = "el9-py311"
distribution = "corp-9"
arch = "aarch64"
macros = { _smp_build_ncpus = "4", vendor = "Example, Inc." }
[targets.file]
dist = ".el9"
style = "pyproject"
python = { version = "3.12.9" }
rpm = { version = "4.16.1.3", generates_requires = true }
base_packages = ["bash"]
mock = "/etc/mock/corp-9-x86_64.cfg"
`))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := Lookup("corp", own...)
	if got.Mock != "corp-9-aarch64" || len(got.Repos) != 1 || got.Repos[0].ID != "corp" || !slices.Contains(got.BasePackages, "corp-release") || slices.Contains(got.BasePackages, "rocky-release") || got.Macros["_smp_build_ncpus"] != "4" || got.Python.Minor() != "3.11" {
		t.Errorf("got %+v", got)
	}
	if got, _ = Lookup("file", own...); got.Mock != "/etc/mock/corp-9-x86_64.cfg" || got.RepodataCompress != "gz" {
		t.Errorf("got %+v", got)
	}
}

func TestMacroPackages(t *testing.T) {
	for name, want := range map[string][]string{
		"el10": {"pyproject-rpm-macros"}, "el9-py39": {"pyproject-rpm-macros"}, "el8": {"python3.12-rpm-macros"},
		"el8-py39": {"python39-rpm-macros"}, "el8-py36": nil, "el7": nil,
	} {
		tt, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := tt.MacroPackages(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestFacts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		python Python
		rpm    RPM
	}{
		{"el7", Python{"3.6.8", "python3-", "/usr/bin/python3.6", "/usr/lib/python3.6/site-packages", "/usr/lib64/python3.6/site-packages", "3", true},
			RPM{Version: "4.11.3", Style: StyleSetupPy, ProvidesRaw: true}},
		{"el8", Python{"3.12.8", "python3.12-", "/usr/bin/python3.12", "/usr/lib/python3.12/site-packages", "/usr/lib64/python3.12/site-packages", "3.12", false},
			RPM{Version: "4.14.3", Caret: true, RichDeps: true, WeakDeps: true, Style: StyleDriver, ProvidesRaw: true}},
		{"el9", Python{"3.12.9", "python3.12-", "/usr/bin/python3.12", "/usr/lib/python3.12/site-packages", "/usr/lib64/python3.12/site-packages", "3.12", false},
			RPM{Version: "4.16.1.3", Caret: true, RichDeps: true, WeakDeps: true, DynamicBR: true, GeneratesRequires: true, Style: StylePyproject, PyprojectMacros: "1.16.2"}},
		{"el9-py39", Python{"3.9.21", "python3-", "/usr/bin/python3.9", "/usr/lib/python3.9/site-packages", "/usr/lib64/python3.9/site-packages", "3", true},
			RPM{Version: "4.16.1.3", Caret: true, RichDeps: true, WeakDeps: true, DynamicBR: true, GeneratesRequires: true, Style: StylePyproject, PyprojectMacros: "1.16.2"}},
		{"el10", Python{"3.12.9", "python3-", "/usr/bin/python3.12", "/usr/lib/python3.12/site-packages", "/usr/lib64/python3.12/site-packages", "3", true},
			RPM{Version: "4.19.1.1", Caret: true, RichDeps: true, WeakDeps: true, DynamicBR: true, GeneratesRequires: true, Style: StylePyproject, PyprojectMacros: "1.16.2"}},
	} {
		got, err := Lookup(tt.name)
		if err != nil {
			t.Error(err)
			continue
		}
		if d := cmp.Diff(tt.python, got.Python); d != "" {
			t.Errorf("%s python (-want +got):\n%s", tt.name, d)
		}
		if d := cmp.Diff(tt.rpm, got.RPM); d != "" {
			t.Errorf("%s rpm (-want +got):\n%s", tt.name, d)
		}
	}
}

func TestLookupUnknownNamesNearOnes(t *testing.T) {
	for name, near := range map[string]string{"rhel9": "el9", "el9-python311": "el9-py311", "el9-py3.11": "el9-py311", "EL8": "el8", "loca": "local"} {
		_, err := Lookup(name)
		var unknown *UnknownError
		if !errors.As(err, &unknown) {
			t.Errorf("%s: %v is no UnknownError", name, err)
			continue
		}
		if !slices.Contains(unknown.Near, near) || !strings.Contains(err.Error(), "known: el10, el10-py314, el7") {
			t.Errorf("%s: %v does not name %s and the known ones", name, err, near)
		}
	}
	if _, err := Lookup(strings.Repeat("x", 1<<20)); err == nil {
		t.Error("a name of 1 MB was found")
	}
}

func TestLookupGivesCopies(t *testing.T) {
	own := Target{Name: "mine", BasePackages: []string{"bash"}}
	got, err := Lookup("mine", own)
	if err != nil {
		t.Fatal(err)
	}
	got.BasePackages[0] = "changed"
	if own.BasePackages[0] != "bash" {
		t.Error("Lookup's result shares memory with what it was given")
	}
}

func TestLoadInherits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "my.toml")
	err := os.WriteFile(file, []byte(`
[targets.lab9]
base = "el9"
python = { version = "3.11.9", sitearch = "/usr/lib/python3.11/site-packages" }
repositories = [{ id = "lab", baseurl = ["file:///srv/lab/$basearch"], gpgcheck = false }]

[targets.lab9-arm]
base = "lab9"
arch = "aarch64"
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	own, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Lookup("lab9-arm", own...)
	if err != nil {
		t.Fatal(err)
	}
	el9, _ := Lookup("el9")
	want := el9
	want.Name, want.Arch, want.Distribution, want.Mock, want.Tools = "lab9-arm", "aarch64", "", "", nil
	want.Python = Python{"3.11.9", "python3.11-", "/usr/bin/python3.11", "/usr/lib/python3.11/site-packages", "/usr/lib/python3.11/site-packages", "3.11", false}
	want.Repos = []Repo{{ID: "lab", BaseURL: []string{"file:///srv/lab/$basearch"}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", "[targets.a]\nbase = \"el9\"\nbaseurl = \"x\"\n", "my.toml:3: unknown key targets.a.baseurl"},
		{"unknown table", "[target.a]\nbase = \"el9\"\n", "my.toml:1: unknown key target"},
		{"syntax", "[targets.a]\nbase = el9\n", "my.toml:2:"},
		{"type", "[targets.a]\nbase = 9\n", "my.toml:2:"},
		{"unknown base", "[targets.a]\nbase = \"el5\"\n", `targets.a: base "el5" is not known; known: el10, el10-aarch64, `},
		{"circle", "[targets.a]\nbase=\"b\"\n[targets.b]\nbase=\"a\"\n", "base goes in a circle: a → b → a"},
		{"empty", "[targets.a]\n", "targets.a: no rpm version"},
		{"python", "[targets.a]\nbase=\"el9\"\npython={version=\"2.7\"}\n", `python.version "2.7"`},
		{"path", "[targets.a]\nbase=\"el9\"\npython={version=\"3.11.2\",executable=\"/usr/../bin/sh\"}\n", "plain absolute path"},
		{"percent", "[targets.a]\nbase=\"el9\"\npython={version=\"3.11.2\",sitelib=\"/usr/%(id)\"}\n", "plain absolute path"},
		{"dist", "[targets.a]\nbase=\"el9\"\ndist=\".el9%{x}\"\n", "dist"},
		{"repo without place", "[targets.a]\nbase=\"el9\"\nrepositories=[{id=\"x\"}]\n", "exactly one of"},
		{"repo with newline", "[targets.a]\nbase=\"el9\"\nrepositories=[{id=\"x\",baseurl=[\"http://a\\nb\"],gpgcheck=false}]\n", "not an http"},
		{"repo unsigned", "[targets.a]\nbase=\"el9\"\nrepositories=[{id=\"x\",baseurl=[\"http://a\"]}]\n", "gpgcheck needs a gpgkey"},
		{"repo id", "[targets.a]\nbase=\"el9\"\nrepositories=[{id=\"x]\",baseurl=[\"http://a\"],gpgcheck=false}]\n", "id"},
		{"option as package", "[targets.a]\nbase=\"el9\"\nbase_packages=[\"--installroot=/\"]\n", "not a package name"},
		{"reserved", "[targets.local]\nbase=\"el9\"\n", "stands for the host"},
		{"name", "[targets.\"../x\"]\nbase=\"el9\"\n", "a name is lower case"},
		{"arch", "[targets.a]\nbase=\"el9\"\narch=\"mips\"\n", "arch"},
		{"distribution", "[targets.a]\nbase=\"el9\"\ndistribution=\"rocky-5\"\n", `distribution "rocky-5" is not known; known: alma-10`},
		{"macro", "[targets.a]\nbase=\"el9\"\nmacros={vendor=\"a\\n%files\"}\n", "not a macro's name and a value of one line"},
		{"macro name", "[targets.a]\nbase=\"el9\"\nmacros={\"a b\"=\"c\"}\n", "not a macro's name"},
		{"mock", "[targets.a]\nbase=\"el9\"\nmock=\"../x\"\n", "neither the name of a mock root"},
		{"compression", "[targets.a]\nbase=\"el9\"\nrepodata_compress=\"xz\"\n", "gz or zstd"},
		{"certificate", "[targets.a]\nbase=\"el9\"\nrepositories=[{id=\"x\",baseurl=[\"http://a\"],gpgcheck=false,sslclientkey=\"key.pem\"}]\n", "absolute path of a certificate"},
		{"style", "[targets.a]\nbase=\"el9\"\nstyle=\"x\"\n", "style"},
	} {
		_, err := Parse("my.toml", []byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}
	if _, err := Parse("big.toml", make([]byte, maxFile+1)); err == nil {
		t.Error("a file over the limit was read")
	}
}

// host answers like a machine; commands without an answer fail.
func host(files map[string]string, answers map[string]string) Probe {
	root := fstest.MapFS{}
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return Probe{Root: root, Output: func(_ context.Context, argv ...string) (string, error) {
		line := strings.Join(argv, " ")
		for prefix, out := range answers {
			if strings.HasPrefix(line, prefix) {
				return out, nil
			}
		}
		return "", errors.New("exit status 127")
	}}
}

const pythonVersion = "/usr/bin/python3 -I -c import platform"

func TestLocalDebian(t *testing.T) {
	p := host(map[string]string{"etc/os-release": "ID=debian\nVERSION_ID=\"12\"\n", "etc/yum.repos.d/x.repo": ""},
		map[string]string{pythonVersion: "3.11.2\n", "uname -m": "x86_64\n", "rpm --version": "RPM version 4.18.0\n"})
	got, err := LocalFrom(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	want := Target{
		Name: "local", Kind: Host, Arch: "x86_64", ReleaseVer: "12", RepodataCompress: "gz",
		Python: Python{"3.11.2", "python3.11-", "/usr/bin/python3.11", "/usr/lib/python3.11/site-packages", "/usr/lib/python3.11/site-packages", "3.11", false},
		RPM:    RPM{Version: "4.18.0", Caret: true, RichDeps: true, WeakDeps: true, DynamicBR: true, Style: StyleDriver},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestLocalWithoutRPMStillResolves(t *testing.T) {
	p := host(map[string]string{"usr/lib/os-release": "ID=ubuntu\nID_LIKE=debian\n"},
		map[string]string{"/usr/bin/python3 ": "3.12.3\n", "uname -m": "aarch64\n"})
	got, err := LocalFrom(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if got.RPM.Version != "" || !got.RPM.RichDeps || !got.RPM.GeneratesRequires || got.Arch != "aarch64" {
		t.Errorf("got %+v", got)
	}
}

func TestLocalRPMBased(t *testing.T) {
	p := host(map[string]string{
		"etc/os-release": "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n",
		"etc/yum.repos.d/rocky.repo": `# comment
[baseos]
name=Rocky $releasever
mirrorlist=https://mirrors.example.org/list?repo=BaseOS-$releasever
gpgcheck=1
gpgkey=file:///etc/pki/one
  file:///etc/pki/two
[off]
baseurl=http://example.org/off
enabled=0
[mine]
baseurl = http://example.org/a, http://example.org/b
`,
		"etc/yum.repos.d/readme.txt": "not a repository",
	}, map[string]string{pythonVersion: "3.9.18\n", "uname -m": "x86_64\n", "rpm --version": "RPM version 4.16.1.3\n", "rpm --eval": ".el9\n"})
	got, err := LocalFrom(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	wantRepos := []Repo{
		{ID: "baseos", Mirrorlist: "https://mirrors.example.org/list?repo=BaseOS-$releasever", GPGKey: []string{"file:///etc/pki/one", "file:///etc/pki/two"}, GPGCheck: true},
		{ID: "mine", BaseURL: []string{"http://example.org/a", "http://example.org/b"}},
	}
	if d := cmp.Diff(wantRepos, got.Repos); d != "" {
		t.Errorf("repositories (-want +got):\n%s", d)
	}
	if got.Kind != DNF || got.Dist != ".el9" || got.Python.Prefix != "python3-" || got.Python.Sitearch != "/usr/lib64/python3.9/site-packages" || got.RPM.Style != StylePyproject {
		t.Errorf("got %+v", got)
	}
}

func TestLocalWithoutPythonSaysWhatToDo(t *testing.T) {
	_, err := LocalFrom(t.Context(), host(map[string]string{"etc/os-release": "ID=debian\n"}, nil))
	var missing *MissingToolError
	if !errors.As(err, &missing) || missing.Fix != "apt-get install python3" {
		t.Errorf("error %v", err)
	}
}

func TestLocalBadRepoFileNamesLine(t *testing.T) {
	_, err := LocalFrom(t.Context(), host(map[string]string{"etc/os-release": "ID=fedora\n", "etc/yum.repos.d/a.repo": "[a]\nname=x\nnonsense\n"},
		map[string]string{"/usr/bin/python3 ": "3.13.1\n", "uname -m": "x86_64\n", "rpm --version": "RPM version 4.20.0\n"}))
	if err == nil || !strings.Contains(err.Error(), "/etc/yum.repos.d/a.repo: line 3") {
		t.Errorf("error %v", err)
	}
}

func TestLocalHere(t *testing.T) {
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Skip("no system Python: ", err)
	}
	got, err := Local(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Python.Minor() == "" || got.Arch == "" || got.Name != LocalName {
		t.Errorf("got %+v", got)
	}
}

func TestRepoString(t *testing.T) {
	r := Repo{ID: "x", BaseURL: []string{"file:///a", "file:///b"}, GPGKey: []string{"file:///k"}, GPGCheck: true}
	want := "[x]\nname=x\nbaseurl=file:///a file:///b\ngpgkey=file:///k\ngpgcheck=1\nenabled=1\n"
	if got := r.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	back, err := ReadRepos(strings.NewReader(r.String()))
	if err != nil || !cmp.Equal(back, []Repo{r}) {
		t.Errorf("read back %+v, %v", back, err)
	}
}
