package chroot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
	"reqpm/internal/builder/scratch"
	"reqpm/internal/target"
)

// hostPackage is the RPM that says, in RPM's words, what this machine has.
const hostPackage = "reqpm-host"

// pthName is the file that makes Python look into site-packages, where RPMs install.
const pthName = "reqpm.pth"

// pth makes RPMs' directories real site directories (with .pth files of their own)
// although Debian's Python only knows dist-packages.
func pth(t target.Target) string {
	var b strings.Builder
	for _, d := range slices.Compact([]string{t.Python.Sitearch, t.Python.Sitelib}) {
		fmt.Fprintf(&b, "import site; site.addsitedir(%q)\n", d)
	}
	return b.String()
}

// pythonMinor is "3.11".
func pythonMinor(t target.Target) string {
	parts := strings.SplitN(t.Python.Version, ".", 3)
	if len(parts) < 2 {
		return t.Python.Version
	}
	return parts[0] + "." + parts[1]
}

// makeOrder asks the child to finish a base root.
type makeOrder struct {
	Log string `json:"log"`
}

// make finishes a base root: host RPM and database, or dnf's installation.
func (w *worker) make() (outcome, error) {
	log, err := newLog(w.Make.Log)
	if err != nil {
		return outcome{}, err
	}
	defer log.Close()
	ctx, stop := watch(defaultTotal, defaultIdle, log)
	defer stop()
	if w.Target.Kind == target.DNF {
		return outcome{}, w.makeDNF(ctx, log)
	}
	return outcome{}, w.makeHost(ctx, log)
}

// makeHost builds reqpm-host in the skeleton and enters it into the skeleton's RPM database.
func (w *worker) makeHost(ctx context.Context, log *boundedLog) error {
	upper, err := makeLayer(filepath.Join(w.scratch, "up"))
	if err != nil {
		return err
	}
	if err := w.mount(upper, filepath.Join(w.scratch, "work")); err != nil {
		return err
	}
	name, err := w.buildHostRPM(ctx, log)
	if err == nil {
		err = scratch.CopyFile(w.under(buildHome, "RPMS/noarch", name), filepath.Join(w.Base, name), 0o644, -1, zeroTime)
	}
	var info baseInfo
	if err == nil {
		info, err = w.probe(ctx)
	}
	if err := errors.Join(err, w.unmount()); err != nil {
		return err
	}
	if err := w.enterHostRPM(ctx, name, log); err != nil {
		return err
	}
	info.HostRPM = name
	info.Packages = []string{strings.TrimSuffix(name, ".rpm")}
	return writeBase(w.Base, info)
}

func (w *worker) buildHostRPM(ctx context.Context, log *boundedLog) (string, error) {
	provides, err := w.hostProvides(ctx)
	if err != nil {
		return "", fmt.Errorf("look for what this machine provides: %w", err)
	}
	if err := os.WriteFile(filepath.Join(w.Base, "provides"), []byte(strings.Join(provides, "\n")), 0o644); err != nil {
		return "", err
	}
	release := w.BaseID[:12]
	var s strings.Builder
	fmt.Fprintf(&s, "Name: %s\nVersion: %s\nRelease: 1.%s\nSummary: What this machine has, in RPM's words\nLicense: MIT\nBuildArch: noarch\nAutoReqProv: no\n",
		hostPackage, w.Target.Python.Version, release)
	for _, p := range provides {
		fmt.Fprintf(&s, "Provides: %s\n", strings.ReplaceAll(p, "%", "%%"))
	}
	fmt.Fprintf(&s, "%%description\nGenerated from the packages of this machine, so that RPMs built for it can be installed\n"+
		"by dnf. It also makes Python look into site-packages, where RPMs install.\n"+
		"%%install\nmkdir -p %%{buildroot}/usr/lib/python3/dist-packages\ncp /usr/lib/python3/dist-packages/%[1]s %%{buildroot}/usr/lib/python3/dist-packages/\n"+
		"%%files\n/usr/lib/python3/dist-packages/%[1]s\n%%changelog\n* Mon Jan 01 2024 ReqPM <reqpm@example.org> - 1-1\n- generated\n", pthName)
	spec := w.under(buildHome, hostPackage+".spec")
	if err := write(spec, s.String()); err != nil {
		return "", err
	}
	err = builder.AsExit(w.bwrap(ctx, sandboxed{args: []string{"rpmbuild", "-bb", buildHome + "/" + hostPackage + ".spec"}, stdout: log, stderr: log}).Run(), "")
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", hostPackage, err, rpmlog.LastLines(log.tail(), 20))
	}
	return fmt.Sprintf("%s-%s-1.%s.noarch.rpm", hostPackage, w.Target.Python.Version, release), nil
}

// enterHostRPM puts the RPM into the skeleton's database; its one file is there already.
func (w *worker) enterHostRPM(ctx context.Context, name string, log *boundedLog) error {
	cmd := w.toolSandbox(ctx, true, [][]string{{"--dev-bind", filepath.Join(w.Base, "root"), insideRoot}, {"--ro-bind", filepath.Join(w.Base, name), "/reqpm/" + name}},
		nil, "rpm", "--root", insideRoot, "--define", "_dbpath /var/lib/rpm", "--justdb", "--nodeps", "--ignoreos", "-i", "/reqpm/"+name)
	cmd.Stdout, cmd.Stderr = log, log
	if err := builder.AsExit(cmd.Run(), ""); err != nil {
		return fmt.Errorf("enter %s into the base's database: %w\n%s", name, err, rpmlog.LastLines(log.tail(), 10))
	}
	return nil
}

var provideName = regexp.MustCompile(`^[A-Za-z0-9/_][A-Za-z0-9._+/:()\[\]~^-]*( = [A-Za-z0-9._+:~^-]+)?$`)

// hostProvides lists what the mounted root provides, sorted.
func (w *worker) hostProvides(ctx context.Context) ([]string, error) {
	py := w.Target.Python
	list := []string{"rtld(GNU_HASH)", "python(abi) = " + pythonMinor(w.Target), "python3 = " + py.Version,
		"python" + pythonMinor(w.Target) + " = " + py.Version, "glibc", "glibc-common", "libgcc", "rpm-build", "/usr/bin/env"}
	libs, err := w.libraries()
	if err != nil {
		return nil, err
	}
	// It ends with 1 when one of many files is no ELF file: linker scripts are not.
	elf, err := w.output(ctx, sandboxed{args: []string{"/bin/sh", "-c", "/usr/lib/rpm/elfdeps --provides || [ $? = 1 ]"}, stdin: strings.NewReader(strings.Join(libs, "\n") + "\n")})
	if err != nil {
		return nil, err
	}
	list = append(list, strings.Split(elf, "\n")...)
	have := map[string]bool{}
	for _, dir := range []string{"/usr/bin", "/usr/sbin"} {
		entries, err := os.ReadDir(w.under(dir))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			have[e.Name()] = true
			list = append(list, dir+"/"+e.Name())
			if slices.Contains(oldPaths, e.Name()) {
				list = append(list, strings.TrimPrefix(dir, "/usr")+"/"+e.Name())
			}
		}
	}
	for prog, names := range programPackages {
		if have[prog] {
			list = append(list, names...)
		}
	}
	if scratch.Exists(w.under("/usr/include/python"+pythonMinor(w.Target), "Python.h")) {
		list = append(list, "python3-devel = "+py.Version, "python"+pythonMinor(w.Target)+"-devel = "+py.Version, "glibc-devel", "glibc-headers")
	}
	list = append(list, w.pkgConfig(have["pkg-config"] || have["pkgconf"])...)
	list = slices.DeleteFunc(list, func(p string) bool { return !provideName.MatchString(p) })
	slices.Sort(list)
	return slices.Compact(list), nil
}

// oldPaths are programs scripts still call in /bin and /sbin.
var oldPaths = []string{"sh", "bash", "dash", "cat", "cp", "mv", "rm", "ln", "ls", "mkdir", "sed", "grep", "egrep", "tar", "gzip", "true", "false",
	"uname", "echo", "chmod", "chown", "date", "kill", "ps", "perl", "python3", "zsh", "ldconfig", "env", "touch", "pwd", "sleep", "awk"}

// programPackages are the names EL gives to packages with these programs.
var programPackages = map[string][]string{
	"gcc": {"gcc"}, "g++": {"gcc-c++", "libstdc++", "libstdc++-devel"}, "gfortran": {"gcc-gfortran"}, "make": {"make"}, "cmake": {"cmake"},
	"ninja": {"ninja-build"}, "pkg-config": {"pkgconfig", "pkgconf", "pkgconf-pkg-config"}, "git": {"git", "git-core"}, "patch": {"patch"},
	"tar": {"tar"}, "gzip": {"gzip"}, "bzip2": {"bzip2"}, "xz": {"xz"}, "zstd": {"zstd"}, "unzip": {"unzip"}, "zip": {"zip"}, "cpio": {"cpio"},
	"which": {"which"}, "find": {"findutils"}, "ls": {"coreutils"}, "sed": {"sed"}, "awk": {"gawk"}, "grep": {"grep"}, "diff": {"diffutils"},
	"bash": {"bash"}, "perl": {"perl", "perl-interpreter"}, "file": {"file"}, "ld": {"binutils"}, "autoconf": {"autoconf"}, "automake": {"automake"},
	"libtoolize": {"libtool"}, "m4": {"m4"}, "cargo": {"cargo"}, "rustc": {"rust"}, "swig": {"swig"}, "bison": {"bison"}, "flex": {"flex"},
	"patchelf": {"patchelf"}, "pg_config": {"libpq-devel"}, "clang": {"clang"}, "go": {"golang"}, "ps": {"procps-ng"}, "openssl": {"openssl"},
}

// pcPackages are the names EL gives to packages with these pkg-config modules.
var pcPackages = map[string]string{
	"libffi": "libffi-devel", "openssl": "openssl-devel", "libxml-2.0": "libxml2-devel", "libxslt": "libxslt-devel", "yaml-0.1": "libyaml-devel",
	"zlib": "zlib-devel", "libpq": "libpq-devel", "libjpeg": "libjpeg-turbo-devel", "freetype2": "freetype-devel", "libpng": "libpng-devel",
	"sqlite3": "sqlite-devel", "libzmq": "zeromq-devel", "liblzma": "xz-devel", "bzip2": "bzip2-devel", "expat": "expat-devel",
	"libcurl": "libcurl-devel", "openblas": "openblas-devel", "libzstd": "libzstd-devel", "libsodium": "libsodium-devel", "mariadb": "mariadb-connector-c-devel",
	"lcms2": "lcms2-devel", "libtiff-4": "libtiff-devel", "libwebp": "libwebp-devel", "libopenjp2": "openjpeg2-devel", "xcb": "libxcb-devel",
}

// libraryDirs are the directories the loader searches, below /usr.
func (w *worker) libraryDirs() ([]string, error) {
	dirs := []string{"/usr/lib", "/usr/lib64"}
	confs, _ := filepath.Glob(w.under("etc/ld.so.conf.d/*.conf"))
	for _, c := range confs {
		text, err := os.ReadFile(c)
		if err != nil {
			return nil, err
		}
		for l := range strings.Lines(string(text)) {
			if l = strings.TrimSpace(l); strings.HasPrefix(l, "/usr/lib") || strings.HasPrefix(l, "/lib") {
				dirs = append(dirs, l)
			}
		}
	}
	for i, d := range dirs {
		if strings.HasPrefix(d, "/lib") {
			dirs[i] = "/usr" + d
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs), nil
}

// libraries lists the shared libraries in the directories the loader searches.
func (w *worker) libraries() ([]string, error) {
	dirs, err := w.libraryDirs()
	if err != nil {
		return nil, err
	}
	var libs []string
	for _, d := range dirs {
		entries, err := os.ReadDir(w.under(d))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if strings.Contains(e.Name(), ".so") && !e.IsDir() {
				libs = append(libs, d+"/"+e.Name())
			}
		}
	}
	return libs, nil
}

// pkgConfig lists pkgconfig() provides and the -devel names that go with them.
func (w *worker) pkgConfig(have bool) []string {
	if !have {
		return nil
	}
	var files []string
	for _, pattern := range []string{"usr/lib/*/pkgconfig/*.pc", "usr/lib/pkgconfig/*.pc", "usr/share/pkgconfig/*.pc", "usr/lib64/pkgconfig/*.pc"} {
		found, _ := filepath.Glob(w.under(pattern))
		files = append(files, found...)
	}
	return pkgConfigProvides(files)
}

// pkgConfigProvides are the provides of .pc files.
func pkgConfigProvides(files []string) []string {
	var list []string
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".pc")
		p := "pkgconfig(" + name + ")"
		if v := pcVersion(f); v != "" {
			list = append(list, p+" = "+v)
		} else {
			list = append(list, p)
		}
		if devel := pcPackages[name]; devel != "" {
			list = append(list, devel)
		}
	}
	return list
}

// pcVersion reads the Version field of a .pc file; "" when it is computed.
func pcVersion(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for l := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(l, "Version:"); ok {
			v = strings.TrimSpace(v)
			if strings.ContainsAny(v, "${ -") {
				return ""
			}
			return v
		}
	}
	return ""
}
