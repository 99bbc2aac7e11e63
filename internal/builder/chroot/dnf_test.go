package chroot

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/builder"
	"reqpm/internal/builder/conformance"
	"reqpm/internal/target"
)

// tinyDistro makes a repository with one RPM that holds shell, coreutils, rpm and
// Python of this machine: the smallest thing dnf can make a base root of.
func tinyDistro(t *testing.T) target.Target {
	t.Helper()
	base := open(t)
	if _, err := exec.LookPath("dpkg-query"); err != nil {
		t.Skip("needs dpkg-query to know which files make a small system")
	}
	pkgs := []string{"bash", "dash", "coreutils", "sed", "grep", "mawk", "tar", "gzip", "findutils", "diffutils", "file", "rpm", "rpm-common", "libc6", "libc-bin",
		"python3-minimal", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libmagic-mgc"}
	out, _ := exec.Command("dpkg-query", append([]string{"-L"}, pkgs...)...).Output() // those it has
	files := map[string]bool{}
	var bins []string
	for l := range strings.Lines(string(out)) {
		p := strings.TrimSpace(l)
		for _, d := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/"} {
			if strings.HasPrefix(p, d) {
				p = "/usr" + p
			}
		}
		st, err := os.Lstat(p)
		if err != nil || st.IsDir() || !strings.HasPrefix(p, "/usr/") || strings.Contains(p, "/share/doc/") || strings.Contains(p, "/share/man/") || strings.Contains(p, "/locale/") {
			continue
		}
		files[p] = true
		if st.Mode().IsRegular() && (st.Mode()&0o111 != 0 || strings.Contains(p, ".so")) {
			bins = append(bins, p)
		}
	}
	ldd, _ := exec.Command("ldd", bins...).Output() // scripts among them make it fail
	for l := range strings.Lines(string(ldd)) {
		for f := range strings.FieldsSeq(l) {
			if strings.HasPrefix(f, "/") && !strings.HasSuffix(f, ":") {
				if !strings.HasPrefix(f, "/usr") {
					f = "/usr" + f
				}
				files[f] = true
				if real, err := filepath.EvalSymlinks(f); err == nil {
					files[real] = true
				}
			}
		}
	}
	files["/usr/bin/awk"] = false
	var list []string
	for f, yes := range files {
		if yes && !strings.ContainsAny(f, " []*?") {
			list = append(list, f)
		}
	}
	slices.Sort(list)
	src := filepath.Join(t.TempDir(), "files.txt")
	if err := os.WriteFile(src, []byte(strings.Join(list, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	job := specJob(t, "everything", "AutoReqProv: no\nSource0: files.txt\nProvides: /bin/sh, config(x), python3.11dist(x)\n%global __os_install_post %{nil}\n%global _binaries_in_noarch_packages_terminate_build 0\n", "%build")
	text, err := os.ReadFile(job.Spec)
	if err != nil {
		t.Fatal(err)
	}
	spec := strings.Replace(string(text), "%install\n", `%install
mkdir -p %{buildroot}/etc %{buildroot}/tmp %{buildroot}/usr/bin %{buildroot}/usr/lib64
tar cf - -T %{SOURCE0} --ignore-failed-read 2>/dev/null | tar xf - -C %{buildroot}
ln -s mawk %{buildroot}/usr/bin/awk
for d in bin sbin lib lib64; do ln -s usr/$d %{buildroot}/$d; done
echo 'root:x:0:0:root:/root:/bin/sh' > %{buildroot}/etc/passwd
echo 'root:x:0:' > %{buildroot}/etc/group
`, 1)
	spec = strings.Replace(spec, "%files\n", "%files\n/bin\n/sbin\n/lib\n/lib64\n/usr\n/etc\n", 1)
	spec = strings.Replace(spec, "/usr/share/reqpm-test/everything\n%changelog", "%changelog", 1)
	if err := os.WriteFile(job.Spec, []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	job.Sources = []string{src}
	rpm := mustBuild(t, base, job).RPMs[0]
	dir := t.TempDir()
	conformance.Sh(t, nil, "cp", rpm, dir)
	conformance.Sh(t, nil, "createrepo_c", "--quiet", dir)
	tgt := base.Target()
	tgt.Name, tgt.Kind, tgt.ReleaseVer = "tiny", target.DNF, "9"
	tgt.Repos = []target.Repo{{ID: "tiny", BaseURL: []string{"file://" + dir}}}
	tgt.BasePackages = []string{"everything"}
	return tgt
}

func TestDNFBase(t *testing.T) {
	if testing.Short() {
		t.Skip("takes many seconds")
	}
	tgt := tinyDistro(t)
	b, err := New(Config{StateDir: t.TempDir(), Slots: 2, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	base, err := b.OpenBase(t.Context(), tgt, func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.OpenBase(t.Context(), tgt, func(s string) { t.Error("made again: ", s) })
	if err != nil || again.ID() != base.ID() {
		t.Errorf("the same base opened twice: %v, %s and %s", err, base.ID(), again.ID())
	}
	conformance.Test(t, conformance.Subject{Base: base, Sandbox: true, Leftovers: func() []string { return leftovers(b.state.Dir()) }})
	t.Run("nothing of the host shows", func(t *testing.T) {
		if err := base.Run(t.Context(), builder.Command{Args: []string{"/bin/sh", "-c", "! command -v gcc && ! command -v dnf"}}); err != nil {
			t.Error(err)
		}
	})
	t.Run("requirements", func(t *testing.T) {
		widget := mustBuild(t, base, specJob(t, "widget", "", "%build")).RPMs[0]
		job := specJob(t, "user", "BuildRequires: widget\n", "%build\ntest -f /usr/share/reqpm-test/widget")
		job.RPMs = []string{widget}
		if res := mustBuild(t, base, job); !slices.Equal(res.Manifest, []string{"widget-1.0-1.noarch"}) {
			t.Errorf("manifest %q; want widget alone", res.Manifest)
		}
	})
	t.Run("its repositories gone, the base still opens", func(t *testing.T) {
		conformance.Sh(t, nil, "rm", "-r", strings.TrimPrefix(tgt.Repos[0].BaseURL[0], "file://"))
		if _, err := b.OpenBase(t.Context(), tgt, nil); err != nil {
			t.Error(err)
		}
	})
}
