package versus

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// Outcomes of a resolver.
const (
	solved   = "solved"
	conflict = "no solution"
	unbuilt  = "a build fails" // no solution, because a package's build backend does not say what it requires
	stopped  = "stopped"       // anything else
)

// answer is what one resolver says of one set.
type answer struct {
	outcome  string
	packages map[string]string // PEP 503 name → normalised version
	message  string
	seconds  float64
}

// checkout lays the set's files out: those of the commit that a resolver could want to read.
func (v *versus) checkout(t *testing.T, s set) string {
	t.Helper()
	dir := t.TempDir()
	v.extract(t, s.Repository, s.Commit, dir, func(name string) bool {
		switch base := path.Base(name); path.Ext(name) {
		case ".txt", ".in", ".pip":
			return strings.Contains(name, "require") || strings.Contains(base, "constraint")
		default:
			return base == "pyproject.toml" || base == "setup.cfg" || base == "setup.py"
		}
	})
	root := filepath.Join(dir, s.Dir)
	for _, also := range s.Also {
		v.extract(t, also.Repository, also.Commit, root, func(name string) bool { return name == also.File })
	}
	for _, file := range slices.Concat(s.Files, s.Constraints) {
		drop(t, filepath.Join(root, file), s.Drop)
		if path.Base(file) == "pyproject.toml" {
			dropTables(t, filepath.Join(root, file), "tool.uv")
		}
	}
	return root
}

// extract writes the wanted files of a commit. It asks for them one by one: a copy of a repository
// may lack what is large in it.
func (v *versus) extract(t *testing.T, repository, commit, dir string, wanted func(string) bool) {
	t.Helper()
	git := func(args ...string) []byte {
		t.Helper()
		out, err := exec.Command("git", append([]string{"-C", v.repository(t, repository)}, args...)...).Output()
		if err != nil {
			t.Fatalf("%s at %s: git %s: %v", repository, commit, args[0], err)
		}
		return out
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(git("ls-tree", "-r", "-z", "--name-only", commit)), "\x00"), "\x00") {
		if !wanted(name) {
			continue
		}
		file := filepath.Join(dir, filepath.Clean("/"+name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, git("cat-file", "blob", commit+":"+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// drop takes lines out of a file.
func drop(t *testing.T, file string, prefixes []string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kept bytes.Buffer
	for line := range bytes.Lines(data) {
		if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(strings.TrimSpace(string(line)), p) }) {
			kept.Write(line)
		}
	}
	if err := os.WriteFile(file, kept.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// dropTables takes a tool's tables out of a TOML file: sources and indexes that cannot be reached
// where only the index can.
func dropTables(t *testing.T, file, table string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kept strings.Builder
	inside := false
	for line := range strings.Lines(string(data)) {
		if header := strings.TrimLeft(line, "["); header != line {
			inside = strings.HasPrefix(header, table+"]") || strings.HasPrefix(header, table+".")
		}
		if !inside {
			kept.WriteString(line)
		}
	}
	if err := os.WriteFile(file, []byte(kept.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs a resolver in dir. Both see the same index and none of the machine's own wheels.
func run(t *testing.T, dir string, env []string, program string, args ...string) (stdout, stderr string, seconds float64, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "PIP_FIND_LINKS=") }), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	err := cmd.Run()
	if _, exit := errors.AsType[*exec.ExitError](err); err != nil && !exit {
		t.Fatal(err)
	}
	return out.String(), errs.String(), time.Since(began).Seconds(), cmd.ProcessState.ExitCode()
}

func (v *versus) askReqpm(t *testing.T, s set, python, dir string) answer {
	t.Helper()
	args := []string{"resolve", dir, "--no-project", "--python", python, "--exclude-newer", v.date, "--json", "--state", v.state}
	for _, part := range []struct {
		flag   string
		values []string
	}{{"-r", s.Files}, {"-c", s.Constraints}, {"--extra", s.Extras}, {"--group", s.Groups}, {"--allow-compiled-wheel", s.AllowWheel}} {
		for _, value := range part.values {
			args = append(args, part.flag, value)
		}
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, errs, seconds, code := run(t, dir, []string{beReqpm + "=1"}, program, args...)
	a := answer{outcome: stopped, packages: map[string]string{}, message: errs + out, seconds: seconds}
	var doc struct {
		Targets []struct {
			Packages []struct{ Name, Version string }
			Conflict *struct{ Message string }
		}
	}
	if code != 0 && code != 3 {
		return a
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || len(doc.Targets) != 1 {
		return a
	}
	if c := doc.Targets[0].Conflict; c != nil {
		a.outcome, a.message = conflict, c.Message
		if strings.Contains(c.Message, "could not be found out") {
			a.outcome = unbuilt
		}
		return a
	}
	a.outcome = solved
	for _, p := range doc.Targets[0].Packages {
		a.packages[p.Name] = p.Version
	}
	return a
}

// askUV gives uv the same question: without configuration and sources of its own.
func (v *versus) askUV(t *testing.T, s set, python, dir string, more ...string) answer {
	t.Helper()
	args := []string{"pip", "compile", "--python-version", python, "--python-platform", "x86_64-manylinux_2_28", "--exclude-newer", v.date,
		"--no-header", "--no-annotate", "--no-config", "--no-sources", "--no-progress", "--no-python-downloads", "--color", "never"}
	for _, extra := range s.Extras {
		args = append(args, "--extra", extra)
	}
	for _, c := range s.Constraints {
		args = append(args, "-c", c)
	}
	for _, g := range s.Groups {
		args = append(args, "--group", "pyproject.toml:"+g)
	}
	files := s.Files
	if len(s.Groups) > 0 && len(s.Extras) == 0 {
		files = slices.DeleteFunc(slices.Clone(files), func(f string) bool { return f == "pyproject.toml" && !hasProject(t, dir) })
	}
	out, errs, seconds, code := run(t, dir, nil, v.uv, slices.Concat(args, more, files)...)
	a := answer{outcome: stopped, packages: map[string]string{}, message: errs, seconds: seconds}
	switch {
	case strings.Contains(errs, "No solution found when resolving dependencies"):
		a.outcome = conflict
	case strings.Contains(errs, "Failed to build"):
		a.outcome = unbuilt
	}
	if code != 0 {
		return a
	}
	a.outcome = solved
	for line := range strings.Lines(out) {
		name, version, ok := strings.Cut(strings.TrimSpace(line), "==")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, "[")
		parsed, err := pep440.Parse(version)
		if err != nil {
			t.Fatalf("uv says %q: %v", line, err)
		}
		a.packages[pep508.NormalizeName(name)] = parsed.String()
	}
	return a
}

// hasProject tells whether the folder's pyproject.toml describes a project, and not only groups.
func hasProject(t *testing.T, dir string) bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "pyproject.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(data, []byte("\n[project]")) || bytes.HasPrefix(data, []byte("[project]"))
}
