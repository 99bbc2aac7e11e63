package mock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
	"reqpm/internal/builder/scratch"
	"reqpm/internal/dnf"
	"reqpm/internal/proc"
)

// Verify installs from a published repository into a fresh copy of the base with mock --install,
// then runs the script there as Mock's account. Both signatures, of every RPM and of the metadata,
// are checked; a .repo file that does not ask for it is refused. A package that does not install,
// or a bad signature, is a *builder.BuildError; a script that fails is a *builder.ExitError.
func (r *Base) Verify(ctx context.Context, v builder.Verification) (builder.VerifyResult, error) {
	var res builder.VerifyResult
	urls, err := dnf.CheckRepoFile(v.RepoFile)
	if err != nil {
		return res, fmt.Errorf("verify: %w", err)
	}
	temp, err := r.b.state.NewTemp("verify")
	if err != nil {
		return res, fmt.Errorf("verify: %w", err)
	}
	res, err = r.verifyIn(ctx, temp, v, urls)
	if cleanErr := temp.Remove(); cleanErr != nil {
		r.b.logf("verify: %v", cleanErr)
	}
	var be *builder.BuildError
	var exit *builder.ExitError
	if err == nil || ctx.Err() != nil || errors.As(err, &be) || errors.As(err, &exit) {
		return res, err
	}
	return res, fmt.Errorf("verify: %w", err)
}

// listScript leaves the list of what is installed where we can read it.
const listScript = `rpm -qa --qf '%{NEVRA}\n' >` + insideBind + `/packages; `

func (r *Base) verifyIn(ctx context.Context, temp *scratch.Temp, v builder.Verification, urls []string) (res builder.VerifyResult, err error) {
	text := readSmall(v.RepoFile)
	s, err := r.session(temp, nil, nil, text, nil)
	if err != nil {
		return res, err
	}
	s.network = remote(r.info.Target) || anyRemote(urls)
	run := listScript + ": >" + insideBind + "/command"
	if len(v.Script) > 0 {
		run = listScript + command(v.Script)
	}
	s.args = append([]string{run, directory("")}, v.Install...)
	errs := &proc.Head{Max: maxTail} // the beginning of what Mock's console says, for the log
	s.stdin, s.stdout = v.Stdin, v.Stdout
	tail := &rpmlog.Tail{Max: 4 << 10}
	s.stderr = io.MultiWriter(tail, errs)
	err = r.mock.run(ctx, s.call)
	if logErr := writeLog(v.Log, s.result, errs.Bytes()); logErr != nil && err == nil {
		err = logErr
	}
	if ctx.Err() != nil {
		return res, context.Cause(ctx)
	}
	packages := nevras(strings.Split(readSmall(filepath.Join(s.startedDir, "packages")), "\n"))
	res.Installed = slices.DeleteFunc(packages, func(p string) bool { return slices.Contains(r.info.Packages, p) })
	var exit *builder.ExitError
	if !errors.As(err, &exit) {
		return res, err
	}
	if s.started() {
		exit.Stderr = tail.String()
		return res, exit
	}
	out := rootLog(s.result)
	err = rpmlog.SignatureError(rpmlog.DNFError(exit, out), out)
	if be := (*builder.BuildError)(nil); errors.As(err, &be) {
		be.Name, be.Log = "proof of installability", v.Log
	}
	return res, err
}

// writeLog makes the log of a proof of dnf's and the script's.
func writeLog(path, result string, console []byte) error {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append([]byte(rootLog(result)), console...), 0o644)
}
