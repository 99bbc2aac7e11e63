package mock

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
	"reqpm/internal/builder/scratch"
	"reqpm/internal/dnf"
	"reqpm/internal/filelock"
	"reqpm/internal/target"
)

// baseFormat changes when this package's idea of a base changes.
const baseFormat = 1

// open makes or finds the base of t. A base is for one state of the target's repositories: when
// they change there is another ID and so a root made afresh, never an old cache.
func (b *Builder) open(ctx context.Context, m Mock, t target.Target, report func(string)) (*Base, error) {
	id, err := baseID(ctx, m, t)
	if err != nil {
		return nil, &builder.BuildError{Name: "base root of " + t.Name, Phase: builder.PhaseRoot, Cause: builder.CauseInfra, Err: err}
	}
	dir := filepath.Join(b.state.Roots(), "mock-"+t.Name+"-"+id[:16])
	lock, err := filelock.Wait(ctx, dir+".lock")
	if err != nil {
		return nil, fmt.Errorf("base root of %s: %w", t.Name, err)
	}
	defer lock.Close()
	if base, err := b.hold(m, dir); err == nil {
		return base, nil
	}
	report(fmt.Sprintf("Mock makes the base root of %s", t.Name))
	start := time.Now()
	temp, err := b.state.NewTemp("base")
	if err != nil {
		return nil, err
	}
	made := filepath.Join(temp.Path, "made")
	err = b.warmUp(ctx, m, t, id, temp, made)
	if err == nil && scratch.Exists(dir) { // damaged, or hold would have taken it
		err = os.Rename(dir, filepath.Join(temp.Path, "damaged"))
	}
	if err == nil {
		err = os.Rename(made, dir)
	}
	if err := errors.Join(err, temp.Remove()); err != nil {
		return nil, fmt.Errorf("make base root of %s: %w", t.Name, err)
	}
	report(fmt.Sprintf("base root of %s made by Mock in %.1f s", t.Name, time.Since(start).Seconds()))
	return b.hold(m, dir)
}

// baseID digests what the base consists of: Mock, the target, and the state of its repositories.
func baseID(ctx context.Context, m Mock, t target.Target) (string, error) {
	repos, own := t.Repos, ""
	if path := ownConfig(t); path != "" {
		var err error
		if own, repos, err = m.expanded(ctx, path); err != nil {
			return "", err
		}
	} else if len(t.Repos) == 0 || len(t.BasePackages) == 0 {
		return "", fmt.Errorf("target %s has no repositories or no base packages", t.Name)
	}
	version, err := m.version(ctx)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "mock %d %s %d %s %s\n", baseFormat, version, m.UID, text, own)
	for _, repo := range repos {
		md, err := dnf.State(ctx, repo, t)
		if err != nil {
			return "", fmt.Errorf("repository %s: %w", repo.ID, err)
		}
		h.Write(md)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// expanded is what Mock makes of a configuration file, includes and templates resolved, and the
// repositories that are enabled in it. The file is Python of the administrator's: Mock reads it as
// its own account.
func (m Mock) expanded(ctx context.Context, path string) (string, []target.Repo, error) {
	out, err := m.ask(ctx, "-r", path, "--debug-config-expanded")
	if err != nil {
		return "", nil, err
	}
	var kept, conf strings.Builder
	inConf := false
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "config_opts['"); ok {
			inConf = strings.HasPrefix(rest, "dnf.conf'") || strings.HasPrefix(rest, "yum.conf'")
			if strings.HasPrefix(rest, "mock_run_uuid'") || strings.HasPrefix(rest, "config_paths'") {
				continue // another one, or another order, each time
			}
			_, line, _ = strings.Cut(line, "] = ")
			fmt.Fprintf(&kept, "%s", rest)
		} else {
			kept.WriteString(line)
		}
		if !inConf {
			continue
		}
		for _, m := range pythonText.FindAllStringSubmatch(line, -1) {
			conf.WriteString(pythonEscapes.Replace(m[1] + m[2]))
		}
	}
	repos, err := target.ReadRepos(strings.NewReader(conf.String()))
	if err == nil && len(repos) == 0 {
		err = errors.New("it has no enabled repository")
	}
	if err != nil {
		return "", nil, fmt.Errorf("mock configuration %s: %w", path, err)
	}
	return kept.String(), repos, nil
}

// pythonText is a literal as Python's pprint writes long texts: parts in quotes, one a line.
var (
	pythonText    = regexp.MustCompile(`'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"`)
	pythonEscapes = strings.NewReplacer(`\n`, "\n", `\'`, "'", `\\`, `\`, `\t`, "\t")
)

// version is what Mock calls itself.
func (m Mock) version(ctx context.Context) (string, error) {
	out, err := m.ask(ctx, "--version")
	return strings.TrimSpace(out), err
}

// ask calls Mock for an answer on its standard output.
func (m Mock) ask(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, m.Program, args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("SUDO_UID=%d", m.UID), fmt.Sprintf("SUDO_GID=%d", m.GID))
	errs := &rpmlog.Tail{Max: 4 << 10}
	cmd.Stderr = errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", m.Program, strings.Join(args, " "), builder.AsExit(err, errs.String()))
	}
	return string(out), nil
}

// probe says inside the base what there is: rpm's version, Python's, then the packages.
const probe = `rpm --version; %s -c 'import platform; print(platform.python_version())'; rpm -qa --qf '%%{NEVRA}\n'`

// warmUp makes the base in made.
func (b *Builder) warmUp(ctx context.Context, m Mock, t target.Target, id string, temp *scratch.Temp, made string) error {
	at, err := mountPoint(append(localPaths(t), temp.Path)...)
	if err != nil {
		return err
	}
	dirs, err := directories(temp, "made", "call")
	if err != nil {
		return err
	}
	base := filepath.Join(made, "base")
	for _, d := range []string{base, filepath.Join(base, "lib"), filepath.Join(base, "cache")} {
		if err := errors.Join(os.Mkdir(d, 0o755), os.Chown(d, m.UID, m.GID)); err != nil {
			return err
		}
	}
	text, err := configuration{at: at}.text(t)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dirs["call"], "reqpm.cfg"), []byte(text), 0o644); err != nil {
		return err
	}
	result := filepath.Join(temp.Path, "result")
	var out bytes.Buffer
	c := call{
		temp: temp, at: at, upper: base, result: result, network: remote(t), binds: []bind{{host: dirs["call"], name: "call"}}, stdout: &out,
		script: "mock --init >&2 || exit\n" + `offline -q --shell --unpriv "$1"`, args: []string{fmt.Sprintf(probe, t.Python.Executable)},
	}
	if err := m.run(ctx, c); err != nil {
		var exit *builder.ExitError
		if !errors.As(err, &exit) {
			return err
		}
		return rpmlog.DNFError(fmt.Errorf("mock --init: %w", exit), rootLog(result))
	}
	info := baseInfo{ID: id, Target: t}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) < 3 {
		return fmt.Errorf("the base root answers %q when it is asked for its packages", out.String())
	}
	if f := strings.Fields(lines[0]); len(f) > 0 {
		info.Target.RPM.Version = f[len(f)-1]
	}
	info.Target.Python.Version = strings.TrimSpace(lines[1])
	info.Packages = nevras(lines[2:])
	if err := copyLogs(result, made); err != nil {
		return err
	}
	js, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(made, infoFile), js, 0o644)
}

// nevras are the packages that lines begin with, sorted, keys left out.
func nevras(lines []string) []string {
	var list []string
	for _, l := range lines {
		if f := strings.Fields(l); len(f) > 0 && !strings.HasPrefix(f[0], "gpg-pubkey-") {
			list = append(list, f[0])
		}
	}
	slices.Sort(list)
	return list
}

// copyLogs keeps the logs of making a base beside it.
func copyLogs(from, to string) error {
	for _, l := range []string{"root.log", "state.log"} {
		err := scratch.CopyFile(filepath.Join(from, l), filepath.Join(to, l), 0o644, -1, time.Time{})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
