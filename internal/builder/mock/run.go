package mock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
	"reqpm/internal/builder/scratch"
)

// insideBind is a directory of the root by which a command says that it was started: Mock's
// exit code is the command's, but also that of a Mock which never came so far.
const insideBind = "/reqpm-started"

// shellScript installs $2… where there are any, then runs $1 in the root as Mock's account.
const shellScript = `
own_repository
run=$1
cwd=$2
shift 2
if [ $# -gt 0 ]; then
	mock --install "$@" </dev/null >&2 || exit
fi
offline -q --shell --unpriv --cwd "$cwd" "$run"
`

// Run runs one command as Mock's account in a throw-away copy of the base, with no network.
// Directories bound for writing are given to that account. A command that exits non-zero is a
// *builder.ExitError.
func (r *Base) Run(ctx context.Context, c builder.Command) error {
	if len(c.Args) == 0 {
		return errors.New("run in build root: no command")
	}
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("run %s: not done after %s: %w", c.Args[0], c.Timeout, context.DeadlineExceeded))
		defer cancel()
	}
	temp, err := r.b.state.NewTemp("run")
	if err != nil {
		return fmt.Errorf("run %s: %w", c.Args[0], err)
	}
	err = r.runIn(ctx, temp, c)
	if cleanErr := temp.Remove(); cleanErr != nil {
		r.b.logf("run %s: %v", c.Args[0], cleanErr)
	}
	var exit *builder.ExitError
	if err == nil || ctx.Err() != nil || errors.As(err, &exit) {
		return err
	}
	return fmt.Errorf("run %s: %w", c.Args[0], err)
}

func (r *Base) runIn(ctx context.Context, temp *scratch.Temp, c builder.Command) error {
	s, err := r.session(temp, c.Binds, c.Env, "", c.RPMs)
	if err != nil {
		return err
	}
	errs := &rpmlog.Tail{Max: 4 << 10}
	s.stdout, s.stderr = c.Stdout, errs
	if c.Stderr != nil {
		s.stderr = io.MultiWriter(errs, c.Stderr)
	}
	s.network = len(c.Install) > 0 && remote(r.info.Target)
	s.args = append([]string{command(c.Args), directory(c.Dir)}, c.Install...)
	err = r.mock.run(ctx, s.call)
	var exit *builder.ExitError
	if errors.As(err, &exit) && !s.started() {
		return fmt.Errorf("mock --shell did not start it: %w", exit)
	}
	return err
}

// session is a call of mock --shell.
type session struct {
	call
	startedDir string
}

// session stages a call of shellScript. repos are sections of dnf.conf beyond the target's.
func (r *Base) session(temp *scratch.Temp, binds []builder.Bind, env []string, repos string, rpms []string) (*session, error) {
	used := []string{}
	for _, b := range binds {
		host, err := filepath.Abs(b.Host)
		if err != nil {
			return nil, err
		}
		used = append(used, host)
	}
	at, err := r.at(temp, used...)
	if err != nil {
		return nil, err
	}
	dirs, err := directories(temp, "call", "started")
	if err != nil {
		return nil, err
	}
	if err := os.Chown(dirs["started"], r.mock.UID, r.mock.GID); err != nil {
		return nil, err
	}
	s := &session{startedDir: dirs["started"], call: call{
		temp: temp, at: at, lower: filepath.Join(r.dir, "base"), upper: filepath.Join(temp.Path, "upper"), result: filepath.Join(temp.Path, "result"),
		script: shellScript, binds: []bind{{host: dirs["call"], name: "call"}, {dirs["started"], "started", true}},
	}}
	conf := configuration{at: at, env: map[string]string{}, repos: repos, ownRepo: len(rpms) > 0, binds: []bind{{host: at + "/started", name: insideBind}}}
	for i, b := range binds {
		if b.Write {
			if err := os.Chown(used[i], r.mock.UID, r.mock.GID); err != nil {
				return nil, err
			}
		}
		name := "bind" + strconv.Itoa(i)
		s.binds = append(s.binds, bind{used[i], name, b.Write})
		conf.binds = append(conf.binds, bind{host: at + "/" + name, name: b.Inside})
	}
	if len(rpms) > 0 {
		repo, err := stageRepo(temp, r.mock, rpms)
		if err != nil {
			return nil, err
		}
		s.binds = append(s.binds, bind{repo, "repo", true})
	}
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		conf.env[k] = v
	}
	text, err := conf.text(r.info.Target)
	if err != nil {
		return nil, err
	}
	return s, os.WriteFile(filepath.Join(dirs["call"], "reqpm.cfg"), []byte(text), 0o644)
}

// started tells whether the command itself ran.
func (s *session) started() bool { return scratch.Exists(filepath.Join(s.startedDir, "command")) }

// command is one line of shell that marks its start and becomes args: Mock joins the words it is
// given with blanks and hands them to a shell.
func command(args []string) string {
	words := make([]string, 0, len(args))
	for _, a := range args {
		words = append(words, quote(a))
	}
	return ": >" + insideBind + "/command; exec " + strings.Join(words, " ")
}

// directory is where a command starts: Mock's home when it does not say.
func directory(dir string) string {
	if dir == "" {
		return "/builddir"
	}
	return dir
}
