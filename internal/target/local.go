package target

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"time"
)

// MissingToolError is a program that Local needs and the host has not got.
type MissingToolError struct {
	Tool string
	Fix  string // the command that mends it
	Err  error
}

func (e *MissingToolError) Error() string {
	return fmt.Sprintf("%s does not run on this host: %v; try: %s", e.Tool, e.Err, e.Fix)
}
func (e *MissingToolError) Unwrap() error { return e.Err }

// Probe is a look at a host; Local uses this machine.
type Probe struct {
	Root fs.FS // its root directory, for etc/os-release and etc/yum.repos.d
	// Output runs a program and returns what it wrote to stdout.
	Output func(ctx context.Context, argv ...string) (string, error)
}

// Local describes the machine it runs on as a target named "local". It runs the system
// Python, rpm and uname, each for at most a minute: a machine that builds is a busy one. A missing Python is a
// *MissingToolError; a missing rpm is not an error (RPM.Version is then empty), since
// resolving needs none.
func Local(ctx context.Context) (Target, error) {
	return LocalFrom(ctx, Probe{Root: os.DirFS("/"), Output: run})
}

func run(ctx context.Context, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/nonexistent"}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return string(out), err
}

var rpmVersionRE = regexp.MustCompile(`([0-9]+(?:\.[0-9]+)+)`)

// assumedRPM is what a host without rpm gets told it could do: the oldest
// rpm of a supported Debian.
const assumedRPM = "4.18.0"

// LocalFrom is Local for any host.
func LocalFrom(ctx context.Context, p Probe) (Target, error) {
	release, err := osRelease(p.Root)
	if err != nil {
		return Target{}, fmt.Errorf("look at this host: %w", err)
	}
	rpmBased := isRPMBased(release)
	t := Target{Name: LocalName, Kind: Host, ReleaseVer: release["VERSION_ID"], RepodataCompress: "gz"}

	version, err := p.Output(ctx, "/usr/bin/python3", "-I", "-c", "import platform; print(platform.python_version())")
	if err != nil {
		return Target{}, &MissingToolError{Tool: "/usr/bin/python3", Fix: installCommand(rpmBased, "python3"), Err: err}
	}
	version = strings.TrimRight(strings.TrimSpace(version), "+")
	if !versionRE.MatchString(version) {
		return Target{}, fmt.Errorf("look at this host: /usr/bin/python3 says its version is %.40q", version)
	}
	arch, err := p.Output(ctx, "uname", "-m")
	if err != nil {
		return Target{}, fmt.Errorf("look at this host: uname -m: %w", err)
	}
	t.Arch = strings.TrimSpace(arch)

	t.RPM = localRPM(ctx, p)
	if rpmBased {
		return localDNF(ctx, p, t, version)
	}
	// Debian: rpm's generators look only below .../site-packages, and the posix_prefix
	// scheme that packages are installed with has no lib64.
	t.Python = stack(version, false, "lib")
	t.RPM.Style = StyleDriver
	// Without the module (or with one that hides what the generator reads), pythondistdeps.py prints a traceback, rpm builds green and
	// the package provides nothing; the spec then writes its dependencies itself.
	_, err = p.Output(ctx, "/usr/bin/python3", "-I", "-c", "import packaging.requirements; from packaging.version import parse; parse('1')._version.release")
	if exit, ok := errors.AsType[*exec.ExitError](err); errors.Is(err, context.DeadlineExceeded) || ok && exit.ExitCode() < 0 {
		return Target{}, fmt.Errorf("look at this host: ask Python for packaging: %w", err) // no answer is not the answer no: specs would change
	}
	t.RPM.GeneratesRequires = err == nil
	return t, ctx.Err()
}

func localRPM(ctx context.Context, p Probe) RPM {
	out, err := p.Output(ctx, "rpm", "--version")
	version := rpmVersionRE.FindString(out)
	if err != nil || version == "" {
		r := rpmOf(assumedRPM)
		r.Version = ""
		return r
	}
	return rpmOf(version)
}

// localDNF fills in a host that has dnf repositories of its own.
func localDNF(ctx context.Context, p Probe, t Target, version string) (Target, error) {
	t.Kind = DNF
	t.Python = stack(version, true, "lib64")
	t.RPM.Style, t.RPM.GeneratesRequires = StylePyproject, t.RPM.DynamicBR
	if !t.RPM.DynamicBR {
		t.RPM.Style, t.RPM.ProvidesRaw = StyleDriver, true
	}
	dist, err := p.Output(ctx, "rpm", "--eval", "%{?dist}")
	if dist = strings.TrimSpace(dist); err == nil && distRE.MatchString(dist) {
		t.Dist = dist
	}
	if t.Repos, err = hostRepos(p.Root); err != nil {
		return Target{}, fmt.Errorf("look at this host's repositories: %w", err)
	}
	if len(t.Repos) == 0 {
		return Target{}, errors.New("look at this host: no repository is enabled in /etc/yum.repos.d")
	}
	// The release package of the host pulls its own keys and macros.
	t.BasePackages = []string{
		"bash", "bzip2", "coreutils", "cpio", "diffutils", "findutils", "gawk", "grep", "gzip", "info", "patch",
		"redhat-rpm-config", "rpm-build", "sed", "tar", "unzip", "util-linux", "which", "xz",
	}
	return t, ctx.Err()
}

func hostRepos(root fs.FS) ([]Repo, error) {
	entries, err := fs.ReadDir(root, "etc/yum.repos.d")
	if err != nil {
		return nil, err
	}
	var repos []Repo
	for _, e := range entries {
		if e.IsDir() || path.Ext(e.Name()) != ".repo" {
			continue
		}
		name := path.Join("etc/yum.repos.d", e.Name())
		f, err := root.Open(name)
		if err != nil {
			return nil, err
		}
		found, err := ReadRepos(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("/%s: %w", name, err)
		}
		repos = append(repos, found...)
	}
	return repos, nil
}

// osRelease reads os-release(5).
func osRelease(root fs.FS) (map[string]string, error) {
	data, err := fs.ReadFile(root, "etc/os-release")
	if err != nil {
		data, err = fs.ReadFile(root, "usr/lib/os-release")
	}
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			out[k] = strings.Trim(v, `"'`)
		}
	}
	return out, nil
}

// isRPMBased asks os-release and not the file system: Debian's dnf package brings an
// /etc/yum.repos.d as well.
func isRPMBased(release map[string]string) bool {
	for _, id := range append(strings.Fields(release["ID_LIKE"]), release["ID"]) {
		switch id {
		case "rhel", "fedora", "centos", "rocky", "almalinux":
			return true
		}
	}
	return false
}

func installCommand(rpmBased bool, name string) string {
	if rpmBased {
		return "dnf install " + name
	}
	return "apt-get install " + name
}
