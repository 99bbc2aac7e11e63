package mock

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"reqpm/internal/builder"
	"reqpm/internal/target"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAccount(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000:,,,:/home/ada:/bin/bash\nreqpm:x:998:135::/:/sbin/nologin\nbob:x:1001:1001::/home/bob:/bin/sh\n"
	tests := []struct {
		name, group, sudo, want, err string
	}{
		{"member", "mock:x:135:bob\n", "", "reqpm", ""}, // by its own group, before bob
		{"person behind sudo", "mock:x:135:ada,bob\n", "ada", "ada", ""},
		{"person behind sudo is no member", "mock:x:135:bob\n", "ada", "reqpm", ""},
		{"supplementary group alone", "mock:x:140:root,bob\n", "", "bob", ""},
		{"root alone", "mock:x:140:root\n", "", "", "nobody but root is in group mock"},
		{"no group", "wheel:x:10:ada\n", "", "", "useradd --system --gid mock"},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		var m Mock
		err := m.account(write(t, dir+"/group", "root:x:0:\n"+tt.group), write(t, dir+"/passwd", passwd), tt.sudo)
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: error %v; want %q", tt.name, err, tt.err)
		}
		if m.User != tt.want {
			t.Errorf("%s: %q; want %q", tt.name, m.User, tt.want)
		}
	}
}

func el9() target.Target {
	return target.Target{Name: "el9", Kind: target.DNF, Arch: "x86_64", Dist: ".el9", ReleaseVer: "9",
		Python: target.Python{Executable: "/usr/bin/python3.12"}, BasePackages: []string{"bash", "rpm-build"},
		Repos: []target.Repo{{ID: "baseos", BaseURL: []string{"https://mirror.example.org/$releasever/$basearch"}, GPGCheck: true,
			GPGKey: []string{"https://mirror.example.org/RPM-GPG-KEY-Example-9"}}}}
}

// The configuration is Python: Python itself says what it means.
func TestConfiguration(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("needs python3")
	}
	c := configuration{at: "/mnt", ownRepo: true, cpus: 3, env: map[string]string{"WHO": `it's "é" \ $HOME`},
		binds: []bind{{host: "/mnt/bind0", name: "/src"}}, limits: builder.Limits{MemoryBytes: 1 << 30}}
	text, err := c.text(el9())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "-c", `
import collections, sys
tree = lambda: collections.defaultdict(tree)
config_opts = tree()
config_opts['plugin_conf']['bind_mount_opts']['dirs'] = []
exec(open(sys.argv[1]).read())
c = config_opts
print(c['chroot_setup_cmd'], c['environment']['WHO'], c['macros']['%dist'], c['macros']['%_smp_build_ncpus'], c['rpmbuild_networking'],
      c['plugin_conf']['bind_mount_opts']['dirs'], c['rpmbuild_command'], sep='\n')
print(c['dnf.conf'])`, write(t, t.TempDir()+"/reqpm.cfg", text)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, out, text)
	}
	for _, want := range []string{
		"install /usr/bin/python3.12 bash rpm-build\n", `it's "é" \ $HOME` + "\n", ".el9\n3\nFalse\n", "[('/mnt/bind0', '/src')]\n", "ulimit -v 1048576;",
		"[baseos]\nname=baseos\nbaseurl=https://mirror.example.org/$releasever/$basearch\n", "gpgcheck=1\n",
		"[reqpm-own]\nname=reqpm-own\nbaseurl=file:///mnt/repo\n", "priority=1\nmodule_hotfixes=1\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if _, err := (configuration{at: "/mnt", env: map[string]string{"X": "{{ cookies }}"}}).text(el9()); err == nil {
		t.Error("a value that is a template of Mock's was taken")
	}
}

func TestRemote(t *testing.T) {
	local := el9()
	local.Repos = []target.Repo{{ID: "a", BaseURL: []string{"file:///srv/a"}, GPGKey: []string{"file:///srv/key"}}}
	if !remote(el9()) || remote(local) {
		t.Errorf("remote %v and %v; want true, false", remote(el9()), remote(local))
	}
	if at, err := mountPoint(localPaths(local)...); err != nil || at == "/srv" {
		t.Errorf("mount point %q, %v: it hides the repository", at, err)
	}
}

func TestBootstrap(t *testing.T) {
	tests := []struct {
		host string
		want bool
	}{
		{"ID=debian\nVERSION_ID=\"12\"\n", false},
		{"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.5\"\n", false},
		{"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"10.0\"\n", true},
		{"ID=fedora\nVERSION_ID=9\n", true},
		{"", false},
	}
	for _, tt := range tests {
		if got := needsBootstrap(el9(), write(t, t.TempDir()+"/os-release", tt.host)); got != tt.want {
			t.Errorf("on %q: %v; want %v", tt.host, got, tt.want)
		}
	}
}

// key makes an armored public key that expires after seconds (0: never).
func key(t *testing.T, seconds uint32) string {
	t.Helper()
	e, err := openpgp.NewEntity("Example", "", "example@example.org", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, KeyLifetimeSecs: seconds,
		Time: func() time.Time { return time.Now().Add(-time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Serialize(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFreshKeys(t *testing.T) {
	dir := t.TempDir()
	good := write(t, dir+"/rocky/RPM-GPG-KEY-Rocky-9", key(t, 0))
	write(t, dir+"/old/RPM-GPG-KEY-Old", key(t, 60))
	write(t, dir+"/bad/RPM-GPG-KEY-Bad", "no key\n")
	write(t, dir+"/a/RPM-GPG-KEY-Two", key(t, 0))
	write(t, dir+"/b/RPM-GPG-KEY-Two", key(t, 0))
	urls := []string{"https://x.example.org/pub/RPM-GPG-KEY-Rocky-9", "https://x.example.org/RPM-GPG-KEY-Old", "https://x.example.org/RPM-GPG-KEY-Bad",
		"https://x.example.org/RPM-GPG-KEY-Two", "https://x.example.org/RPM-GPG-KEY-*", "file:///etc/keys/RPM-GPG-KEY-Rocky-9"}
	want := append([]string{"file://" + good}, urls[1:]...) // expired, broken, ambiguous, unknown, somebody's own: left alone
	if got := freshKeys(urls, dir); !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

func TestForeign(t *testing.T) {
	own := headers{"python3-six": {{"python3-six-1.17.0-1.el9.noarch", 100}}, "python3-wheel": {{"python3-wheel-1:0.45-1.el9.noarch", 100}}}
	lines := []string{
		"bash-5.1-1.el9.x86_64 5 10 installed",
		"python3-six-1.17.0-1.el9.noarch 100 10 installed",
		"python3-wheel-1:0.45-1.el9.noarch 7 10 installed", // the same name and version, built by somebody else
		"", "gpg-pubkey-1-2 3",
	}
	if got := own.foreign(lines, nil); !slices.Equal(got, []string{"python3-wheel-1:0.45-1.el9.noarch"}) {
		t.Errorf("%q", got)
	}
	if got := own.foreign([]string{"python3-six-1.16.0-9.el9.noarch 1 1 installed"}, []string{"python3-six-1.16.0-9.el9.noarch"}); got != nil {
		t.Errorf("%q is in the base, which came before", got)
	}
}

// What Mock's logs say, as Mock 6 writes them.
func TestExplain(t *testing.T) {
	const before = "2026-01-01 00:00:00,000 - "
	tests := []struct {
		name               string
		root, build, state string
		phase              builder.Phase
		code               int
		cause              builder.Cause
		want, missing      string
	}{
		{"missing requirement", "DEBUG util.py:463:  No matching package to install: 'python3dist(x) >= 3'\nDEBUG util.py:463:  Not all dependencies satisfied\n", "",
			before + "Start: build phase for a-1-1.src.rpm\n" + before + "Start: build setup for a-1-1.src.rpm\n", builder.PhaseRoot, 30, builder.CauseDeps, "nothing provides", "python3dist(x) >= 3"},
		{"an earlier call found it missing", "DEBUG util.py:463:  No matching package to install: 'old'\n" + lastCall + "\nDEBUG util.py:463:  Error: Failed to download metadata for repo 'x'\n", "",
			before + "Start: build setup for a-1-1.src.rpm\n", builder.PhaseRoot, 30, builder.CauseInfra, "", ""},
		{"build", "", "+ exit 3\nerror: Bad exit status from /var/tmp/rpm-tmp.x (%build)\n", before + "Start: build setup for a\n" + before + "Start: rpmbuild a-1-1.src.rpm\n" + before + "Finish: rpmbuild a-1-1.src.rpm\n",
			builder.PhaseBuild, 1, builder.CauseBuild, "Bad exit status", ""},
		{"spec", "", "error: line 3: Unknown tag: Nonsense: x\n", before + "Start: chroot init\n" + before + "Start: buildsrpm\n" + before + "Start: rpmbuild -bs\n", builder.PhaseRoot, 1, builder.CauseSpec, "Unknown tag", ""},
		{"disk", "", "cp: error writing 'x': No space left on device\n", before + "Start: rpmbuild a.src.rpm\n", builder.PhaseInstall, 1, builder.CauseInfra, "disk full", ""},
		{"Mock itself", "", "", before + "Start: chroot init\n", builder.PhaseRoot, 70, builder.CauseInfra, "exit status 70", ""},
		{"Mock's own time-out", "", "", before + "Start: rpmbuild a.src.rpm\n", builder.PhaseBuild, 11, builder.CauseTimeout, "", ""},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		write(t, dir+"/root.log", tt.root)
		write(t, dir+"/build.log", tt.build)
		write(t, dir+"/state.log", tt.state)
		be := explain(dir, tt.phase, tt.code, "ERROR: Command failed\n")
		if be.Cause != tt.cause || !strings.Contains(be.Err.Error(), tt.want) || strings.Join(be.Missing, ",") != tt.missing {
			t.Errorf("%s: %s, %v, missing %q; want %s, %q, %q", tt.name, be.Cause, be.Err, be.Missing, tt.cause, tt.want, tt.missing)
		}
	}
}
