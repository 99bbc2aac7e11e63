package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/lockfile"
	"reqpm/internal/pipeline"
)

type lockOptions struct {
	projectOptions
	out                   string
	check, upgrade, tools bool
}

// errStale: the lock is not what locking would write now. What differs was told.
var errStale = errors.New("the lock is not up to date; 'reqpm lock' makes it so")

func (a *app) newLockCommand() *cobra.Command {
	var o lockOptions
	cmd := &cobra.Command{
		Use:   "lock [URL|DIR]",
		Short: "Write down exactly what is resolved, for every target, in reqpm.lock",
		Long: `Resolve a project for one or more targets and write the result into a lock: name, version, file
and hash of every package, and who requires it. 'reqpm build --locked' builds exactly that, and refuses when
it does not fit any more. Versions of a lock that is already there are kept where they still fit;
its targets and options are used again when none are given.

` + exitCodesHelp,
		Example: `  reqpm lock ./checkout --target el8,el9
  reqpm lock ./checkout --check
  reqpm lock ./checkout --upgrade-package flask
  reqpm lock https://git.example.org/team/app.git --target el9 -o app.lock`,
		Args: maxOneArg,
		RunE: func(cmd *cobra.Command, args []string) error { return a.runLock(cmd.Context(), &o, firstArg(args)) },
	}
	o.register(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.out, "output", "o", "", "lock to write (default: reqpm.lock in the project's folder)")
	f.BoolVar(&o.check, "check", false, "write nothing; status 1, and what differs, when the lock is not up to date")
	f.BoolVar(&o.upgrade, "upgrade", false, "take the newest versions, whatever the lock has")
	f.StringArrayVar(&o.projectOptions.upgrade, "upgrade-package", nil, "take the newest version of NAME that fits; repeatable")
	f.BoolVar(&o.tools, "tools", false, "lock the build tools too; this makes a plan, and needs what 'reqpm plan' needs")
	return cmd
}

func (a *app) runLock(ctx context.Context, o *lockOptions, where string) error {
	path, err := o.path(where)
	if err != nil {
		return err
	}
	old, oldText, err := readLock(path)
	if err != nil {
		return err
	}
	if old != nil {
		if err := o.again(old); err != nil {
			return err
		}
		if !o.upgrade {
			o.keep = old
		}
	}
	session, err := a.resolveAll(ctx, &o.projectOptions, where)
	if err != nil {
		return err
	}
	defer session.close()
	if err := session.verdict(); err != nil {
		a.sayConflicts(session)
		return err
	}
	made, err := a.makeLock(ctx, o, session, old)
	if err != nil {
		return err
	}
	text := lockfile.Marshal(made)
	report := lockReport{Lock: path, Changed: !bytes.Equal(text, oldText), Differences: []string{}, Targets: []lockedTarget{}}
	for _, t := range made.Targets {
		report.Targets = append(report.Targets, lockedTarget{t.Name, t.Python, len(t.Packages), len(t.Tools)})
	}
	if old != nil {
		report.Differences = append(report.Differences, lockfile.Diff(*old, made)...)
	}
	if report.Changed && !o.check {
		if err := replaceFile(path, text); err != nil {
			return fmt.Errorf("write the lock: %w", err)
		}
	}
	return a.reportLock(report, o.check, old == nil)
}

// path is where the lock is.
func (o *lockOptions) path(where string) (string, error) {
	switch {
	case o.out != "":
		return o.out, nil
	case strings.Contains(where, "://"):
		return "", usagef("name the lock's file with -o: %s is no folder to put it in", where)
	}
	return filepath.Join(where, lockfile.Name), nil
}

// again takes targets and options of the lock that is there, where the command line gives none.
func (o *lockOptions) again(old *lockfile.File) error {
	if !o.flags.Changed("target") && len(old.Targets) > 0 {
		o.targets = targetNames(old)
	}
	if o.decided() {
		return nil
	}
	return o.adopt(old.Options)
}

// readLock is nil when there is no such file.
func readLock(path string) (*lockfile.File, []byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, usagef("read the lock: %w", err)
	}
	lock, err := parseLock(path, text)
	return lock, text, err
}

func parseLock(path string, text []byte) (*lockfile.File, error) {
	lock, err := lockfile.Parse(text)
	if at, ok := errors.AsType[*lockfile.Error](err); ok && at.Line > 0 {
		return nil, usagef("%s:%d: %w", path, at.Line, at.Err)
	}
	if err != nil {
		return nil, usagef("%s: %w", path, err)
	}
	return &lock, nil
}

// makeLock is what the session comes to. Without a new plan the tools of the old lock stay where the set is
// the same as before.
func (a *app) makeLock(ctx context.Context, o *lockOptions, s *session, old *lockfile.File) (lockfile.File, error) {
	made := lockfile.File{Options: o.recorded()}
	var err error
	if made.Inputs, err = s.answers[0].Prepared.Inputs(); err != nil {
		return made, err
	}
	for i, answer := range s.answers {
		p := s.pipelines[i]
		t, err := p.LockTarget(ctx, answer.Prepared.Lock)
		if err != nil {
			return made, err
		}
		before := (*lockfile.Target)(nil)
		if old != nil {
			before = old.Target(t.Name)
		}
		switch {
		case o.tools:
			work, err := p.Plan(ctx, answer.Prepared.Lock)
			if err == nil {
				err = p.LockTools(ctx, &t, work)
			}
			if err != nil {
				return made, err
			}
		case before == nil || len(before.Tools)+len(before.BuildRoots) == 0:
		case len(lockfile.DiffPackages(*before, t)) > 0:
			a.say("warning: %s: the build tools of the lock were for another set and are not in it any more; --tools locks them again", t.Name)
		default:
			t.Tools, t.BuildRoots = before.Tools, before.BuildRoots
		}
		made.Targets = append(made.Targets, t)
	}
	return made, nil
}

// lockReport is the answer of lock --json.
type lockReport struct {
	Lock        string         `json:"lock"`
	Changed     bool           `json:"changed"` // written, or with --check: to be written
	Differences []string       `json:"differences"`
	Targets     []lockedTarget `json:"targets"`
}

type lockedTarget struct {
	Target   string `json:"target"`
	Python   string `json:"python"`
	Packages int    `json:"packages"`
	Tools    int    `json:"tools"`
}

func (a *app) reportLock(r lockReport, check, none bool) error {
	stale := check && r.Changed
	if a.global.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
		if stale {
			return silent{errStale}
		}
		return nil
	}
	for _, line := range r.Differences {
		fmt.Fprintln(a.stdout, plainText(line))
	}
	switch {
	case stale && none:
		return fmt.Errorf("there is no %s: %w", r.Lock, errStale)
	case stale && len(r.Differences) == 0:
		return fmt.Errorf("%s means the same, but is not as it would be written: %w", r.Lock, errStale)
	case stale:
		return errStale
	case check || !r.Changed:
		a.say("%s is up to date", r.Lock)
	default:
		a.say("wrote %s", r.Lock)
	}
	for _, t := range r.Targets {
		a.say("%d packages for %s, Python %s", t.Packages, t.Target, t.Python)
	}
	return nil
}

// sayConflicts tells which targets have no solution, and why, when there are several.
func (a *app) sayConflicts(s *session) {
	if len(s.answers) < 2 {
		return // the command's own error is that
	}
	for _, answer := range s.answers {
		if answer.Err != nil && pipeline.NoSolution(answer.Err) {
			a.say("no solution for %s, Python %s: %v", answer.Target.Name, answer.Target.Python.Version, answer.Err)
		}
	}
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".reqpm-lock-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
