package chroot

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"reqpm/internal/builder"
	"reqpm/internal/builder/scratch"
	"reqpm/internal/target"
)

// Tool is something the host must have.
type Tool struct {
	Name string // program or module
	Why  string
	Apt  string // package on Debian and Ubuntu
	Dnf  string // package on Fedora and EL
}

var packagingTool = Tool{"python3-packaging", "rpm's Python dependency generator imports it; without it RPMs provide nothing", "python3-packaging", "python3-packaging"}

var headersTool = Tool{"Python.h", "C extensions are compiled with Python's headers", "python3-dev", "python3-devel"}

var programs = []Tool{
	{"bwrap", "runs builds unprivileged and without network", "bubblewrap", "bubblewrap"},
	{"dnf", "installs build requirements", "dnf", "dnf"},
	{"rpm", "reads and installs packages", "rpm", "rpm"},
	{"createrepo_c", "makes the repository of earlier builds", "createrepo-c", "createrepo_c"},
}

var hostPrograms = []Tool{
	{"rpmbuild", "builds packages of target local", "rpm", "rpm-build"},
	{"gcc", "compiles C extensions for target local", "build-essential", "gcc"},
}

// Missing lists what the host lacks for targets of kind k, for `reqpm doctor`.
func Missing(k target.Kind) []Tool {
	var list []Tool
	want := programs
	if k == target.Host {
		want = append(append([]Tool{}, programs...), hostPrograms...)
	}
	for _, t := range want {
		if _, err := exec.LookPath(t.Name); err != nil {
			list = append(list, t)
		}
	}
	if len(builddepPlugin()) == 0 {
		list = append(list, Tool{"dnf builddep", "resolves build requirements", "dnf-plugins-core", "dnf-plugins-core"})
	}
	if k == target.Host && !scratch.Exists("/usr/lib/python3/dist-packages/packaging") {
		list = append(list, packagingTool)
	}
	if headers, _ := filepath.Glob("/usr/include/python3*/Python.h"); k == target.Host && len(headers) == 0 {
		list = append(list, headersTool)
	}
	return list
}

func builddepPlugin() []string {
	var found []string
	for _, p := range []string{"/usr/lib/python3*/dist-packages/dnf-plugins/builddep.py", "/usr/lib/python3*/site-packages/dnf-plugins/builddep.py"} {
		m, _ := filepath.Glob(p)
		found = append(found, m...)
	}
	return found
}

// usable says whether this builder can work here for kind k. The error wraps
// builder.ErrMissingTool and has the command that mends it.
func usable(k target.Kind) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: build roots are mounted, which needs root; run as root: sudo reqpm …", builder.ErrMissingTool)
	}
	if m := Missing(k); len(m) > 0 {
		return toolsError(m)
	}
	if text, err := os.ReadFile("/proc/filesystems"); err == nil && !strings.Contains(string(text), "\toverlay\n") {
		if exec.Command("modprobe", "overlay").Run() != nil {
			return fmt.Errorf("%w: this kernel has no overlayfs; run: modprobe overlay", builder.ErrMissingTool)
		}
	}
	return nil
}

// toolsError names what is missing and how this host gets it.
func toolsError(missing []Tool) error {
	var names, pkgs []string
	apt := scratch.Exists("/usr/bin/apt-get")
	for _, t := range missing {
		names = append(names, t.Name)
		if apt {
			pkgs = append(pkgs, t.Apt)
		} else {
			pkgs = append(pkgs, t.Dnf)
		}
	}
	install := "dnf install -y "
	if apt {
		install = "apt-get install -y "
	}
	return fmt.Errorf("%w: %s not found; run: %s%s", builder.ErrMissingTool, strings.Join(names, ", "), install, strings.Join(pkgs, " "))
}
