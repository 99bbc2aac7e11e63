package sdist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/pep508"
)

// Runner runs one command in a throw-away root without network; builder.Base is one.
// It is called from the goroutine of the question.
type Runner interface {
	Run(ctx context.Context, c builder.Command) error
}

// HookEnv is what a build backend sees.
type HookEnv struct {
	Python   string   // interpreter inside the root: "/usr/bin/python3.12"
	SitePath string   // host directory with the build requirements' wheels unpacked (UnpackWheel); "" for none
	Version  string   // the project's version, for tools that ask version control
	Env      []string // more environment, "NAME=value"
	Settings []string // PEP 517 config settings, "KEY=VALUE"
}

// Asker asks build backends their PEP 517 questions. It is safe for concurrent use
// when its Runner is.
type Asker struct {
	Runner  Runner
	Timeout time.Duration // for one question; 0 means 5 minutes
	TempDir string        // where scratch copies are made; "" means os.TempDir
	// Scratch: the source trees are scratch copies already, and may be written into.
	Scratch bool
}

// HookError is a backend that gave no usable answer.
type HookError struct {
	Question string // "get_requires_for_build_wheel", "prepare_metadata_for_build_wheel"
	Tree     string // base name of the source tree
	Stderr   string // its last 8 kB
	Err      error
}

func (e *HookError) Error() string {
	s := fmt.Sprintf("ask %s of %s: %v", e.Question, e.Tree, e.Err)
	// A *builder.ExitError shows the end of stderr itself.
	if _, shown := errors.AsType[*builder.ExitError](e.Err); !shown && e.Stderr != "" {
		s += "\n" + e.Stderr
	}
	return s
}

func (e *HookError) Unwrap() error { return e.Err }

// Places inside the root.
const (
	insideSrc    = "/src"
	insideEnv    = "/env"
	insideDriver = "/reqpm"
	insideOut    = "/out"
)

// Bytes of an answer at most.
const maxAnswer = 4 << 20

// Requires asks get_requires_for_build_wheel of the source tree srcDir. The answer's
// markers are left as given: evaluate them with an empty extra, some backends
// answer with requirements of extras. A backend that fails is a *HookError.
func (a *Asker) Requires(ctx context.Context, srcDir string, env HookEnv) ([]pep508.Requirement, error) {
	var requirements []pep508.Requirement
	err := a.ask(ctx, "get_requires_for_build_wheel", srcDir, env, []string{"requires"}, func(answer []byte, _ *os.Root) (err error) {
		requirements, err = readRequires(answer)
		return err
	})
	return requirements, err
}

// Describe is Requires and Metadata in one run, where everything that the backend asks for is in env
// already. Otherwise, and when the second answer cannot be had, metadata is nil: ask Metadata.
func (a *Asker) Describe(ctx context.Context, srcDir string, env HookEnv) (requirements []pep508.Requirement, metadata []byte, err error) {
	err = a.ask(ctx, "get_requires_for_build_wheel", srcDir, env, []string{"describe", insideOut}, func(answer []byte, out *os.Root) (err error) {
		if requirements, err = readRequires(answer); err != nil {
			return err
		}
		if metadata, err = readLimited(out, "METADATA"); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return requirements, metadata, err
}

// readRequires reads the driver's answer.
func readRequires(answer []byte) ([]pep508.Requirement, error) {
	var got struct{ Hook []string }
	if err := json.Unmarshal(answer, &got); err != nil {
		return nil, fmt.Errorf("the driver's answer: %w", err)
	}
	var requirements []pep508.Requirement
	for _, text := range got.Hook {
		r, err := pep508.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("the backend asks for %q: %w", text, err)
		}
		requirements = append(requirements, r)
	}
	return requirements, nil
}

// Metadata asks prepare_metadata_for_build_wheel of the source tree srcDir, or has the
// wheel built where the backend has no such hook, and returns its METADATA file.
func (a *Asker) Metadata(ctx context.Context, srcDir string, env HookEnv) ([]byte, error) {
	var data []byte
	err := a.ask(ctx, "prepare_metadata_for_build_wheel", srcDir, env, []string{"metadata", insideOut}, func(_ []byte, out *os.Root) (err error) {
		data, err = readLimited(out, "METADATA")
		return err
	})
	return data, err
}

// ask runs the driver on a scratch copy of srcDir and gives its answer to read.
func (a *Asker) ask(ctx context.Context, question, srcDir string, env HookEnv, args []string, read func([]byte, *os.Root) error) (err error) {
	var stderr tail
	defer func() {
		if err != nil {
			err = &HookError{Question: question, Tree: filepath.Base(srcDir), Stderr: stderr.String(), Err: err}
		}
	}()
	timeout := a.Timeout
	if timeout <= 0 {
		timeout = 5 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	scratch, err := a.newScratch(srcDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch.dir)) }()

	for _, setting := range env.Settings {
		args = append(slices.Clip(args), "--config-setting="+setting)
	}
	stdout := &bounded{limit: maxAnswer}
	err = a.Runner.Run(ctx, builder.Command{
		Args:   append([]string{env.Python, "-s", insideDriver + "/" + DriverName}, args...),
		Dir:    insideSrc,
		Env:    hookEnviron(env),
		Binds:  scratch.binds(env.SitePath),
		Stdout: stdout, Stderr: &stderr, Timeout: timeout,
	})
	if err != nil {
		return err
	}
	out, err := os.OpenRoot(filepath.Join(scratch.dir, "out"))
	if err != nil {
		return err
	}
	defer out.Close()
	return read(stdout.data, out)
}

func hookEnviron(env HookEnv) []string {
	list := []string{
		"PATH=" + insideEnv + "/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONPATH=" + insideEnv,
		"PYTHONDONTWRITEBYTECODE=1", "HOME=/tmp", "TMPDIR=/tmp", "LC_ALL=C.UTF-8",
	}
	list = append(list, SCMEnv(env.Version)...)
	return append(list, env.Env...)
}

// scratch is the host side of one question: a private directory with src, reqpm and out.
type scratch struct{ dir, src string }

// newScratch copies srcDir, unless it is a scratch copy itself, so that a backend may write into its
// tree. The root's user is another than ours, so the copy is writable by all; the directory
// around it is not.
func (a *Asker) newScratch(srcDir string) (s scratch, err error) {
	s.dir, err = os.MkdirTemp(a.TempDir, "reqpm-hook-")
	if err != nil {
		return s, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(s.dir))
		}
	}()
	for _, name := range []string{"out", "reqpm", "env"} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o755); err != nil {
			return s, err
		}
	}
	if err := os.Chmod(filepath.Join(s.dir, "out"), 0o777); err != nil {
		return s, err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "reqpm", DriverName), Driver(), 0o644); err != nil {
		return s, err
	}
	if s.src = srcDir; !a.Scratch {
		s.src = filepath.Join(s.dir, "src")
		if err := os.CopyFS(s.src, os.DirFS(srcDir)); err != nil {
			return s, fmt.Errorf("copy the source tree: %w", err)
		}
	}
	return s, openToAll(s.src)
}

// openToAll lets every user write below dir. Symbolic links are not followed.
func openToAll(dir string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o666
		if d.IsDir() {
			mode = 0o777
		}
		return os.Chmod(name, mode)
	})
}

func (s scratch) binds(sitePath string) []builder.Bind {
	if sitePath == "" {
		sitePath = filepath.Join(s.dir, "env")
	}
	return []builder.Bind{
		{Host: s.src, Inside: insideSrc, Write: true},
		{Host: filepath.Join(s.dir, "out"), Inside: insideOut, Write: true},
		{Host: filepath.Join(s.dir, "reqpm"), Inside: insideDriver},
		{Host: sitePath, Inside: insideEnv},
	}
}

// bounded is a buffer that refuses to grow beyond limit.
type bounded struct {
	data  []byte
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.data)+len(p) > b.limit {
		return 0, fmt.Errorf("an answer of more than %d bytes", b.limit)
	}
	b.data = append(b.data, p...)
	return len(p), nil
}
