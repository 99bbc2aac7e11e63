package mock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"reqpm/internal/builder"
)

// Mock is Mock on this machine: the program and the account that builds run under.
type Mock struct {
	Program string
	User    string
	UID     int
	GID     int // of group mock
}

// programVariable names the program in place of the one on PATH.
const programVariable = "REQPM_MOCK"

// libexec is Mock itself where the mock on PATH is a link to usermode's consolehelper, which asks
// PAM; root calls Mock directly and says by SUDO_UID whom it may become (mock(1), "sudo").
const libexec = "/usr/libexec/mock/mock"

// Find says with which program and as whom Mock runs here. The error says why it cannot, wraps
// builder.ErrMissingTool and has the command that mends it.
func Find() (Mock, error) {
	m := Mock{Program: os.Getenv(programVariable)}
	if m.Program == "" {
		path, err := exec.LookPath("mock")
		if err != nil {
			return m, fmt.Errorf("%w: Mock is not installed; on Fedora and EL (with EPEL) run: sudo dnf install -y mock", builder.ErrMissingTool)
		}
		if m.Program, err = filepath.EvalSymlinks(path); err != nil {
			return m, fmt.Errorf("find Mock: %w", err)
		}
	}
	if name := filepath.Base(m.Program); name == "consolehelper" || name == "userhelper" {
		m.Program = libexec
	}
	if _, err := exec.LookPath(m.Program); err != nil {
		return m, fmt.Errorf("%w: %w; run: sudo dnf install -y mock", builder.ErrMissingTool, err)
	}
	if os.Geteuid() != 0 {
		return m, fmt.Errorf("%w: Mock's roots are mounted in namespaces of our own, which needs root; run as root: sudo reqpm …", builder.ErrMissingTool)
	}
	for _, p := range []struct{ name, pkg string }{{"createrepo_c", "createrepo_c"}, {"setpriv", "util-linux"}, {"unshare", "util-linux"}} {
		if _, err := exec.LookPath(p.name); err != nil {
			return m, fmt.Errorf("%w: %s not found; run: sudo dnf install -y %s", builder.ErrMissingTool, p.name, p.pkg)
		}
	}
	return m, m.account("/etc/group", "/etc/passwd", os.Getenv("SUDO_USER"))
}

// newUser is the command that makes an account for builds.
const newUser = "sudo useradd --system --gid mock --no-create-home --home-dir / --shell /sbin/nologin reqpm"

// account chooses whom builds run under: the person behind sudo, the account reqpm, or any other
// in group mock, as these files have them.
func (m *Mock) account(groupFile, passwdFile, sudoUser string) error {
	groups, err := table(groupFile)
	if err != nil {
		return fmt.Errorf("find Mock's account: %w", err)
	}
	i := slices.IndexFunc(groups, func(f []string) bool { return f[0] == "mock" && len(f) >= 4 })
	if i < 0 {
		return fmt.Errorf("%w: there is no group mock, which installing Mock makes; run: sudo groupadd --system mock && %s", builder.ErrMissingTool, newUser)
	}
	gid, members := groups[i][2], strings.Split(groups[i][3], ",")
	if m.GID, err = strconv.Atoi(gid); err != nil {
		return fmt.Errorf("find Mock's account: group mock has the number %q", gid)
	}
	people, err := table(passwdFile)
	if err != nil {
		return fmt.Errorf("find Mock's account: %w", err)
	}
	rank := func(name string) int { return slices.Index([]string{"", "reqpm", sudoUser}, name) }
	for _, f := range people {
		if len(f) < 7 || f[2] == "0" || f[3] != gid && !slices.Contains(members, f[0]) {
			continue
		}
		uid, err := strconv.Atoi(f[2])
		if err == nil && (m.User == "" || rank(f[0]) > rank(m.User)) {
			m.User, m.UID = f[0], uid
		}
	}
	if m.User == "" {
		return fmt.Errorf("%w: nobody but root is in group mock, and Mock builds as somebody else; run: %s", builder.ErrMissingTool, newUser)
	}
	return nil
}

// maxTable bounds /etc/passwd and /etc/group.
const maxTable = 16 << 20

// table reads a file of lines with fields between colons (passwd(5), group(5)).
func table(path string) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTable+1))
	if err == nil && len(text) > maxTable {
		err = errors.New("too large")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		rows = append(rows, strings.Split(strings.TrimSpace(line), ":"))
	}
	return rows, nil
}
