package service

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/rpmname"
	"reqpm/internal/target"
	"reqpm/internal/testindex"
)

// quickDir names, for a process that is to have the quick builder, the folder with what was built once.
const quickDir = "REQPM_SERVICE_QUICK"

// quick is a builder whose builds take some hundred milliseconds, and yet bring RPMs that createrepo_c, rpmsign and
// dnf take: each is made by rpmbuild once, without a build root, and copied from then on. Everything
// around it is the program's own: store, blobs, logs, engine, plans, keys, publishing and signing.
type quick struct {
	made string // folder of what was built, by digest
	dir  string // of the bed; see baseFile, slowFile and builtFile
}

// Files in the folder of a bed.
const (
	baseFile  = "base"  // its content is the state of the base root; none is the first
	slowFile  = "slow"  // how long each build takes
	begunFile = "begun" // a line for each build that was begun
	builtFile = "built" // a line for each build that came to its end
)

func newQuick(state string, _ int) (builder.Builder, error) {
	return quick{os.Getenv(quickDir), filepath.Dir(state)}, nil
}

// duration is how long a build takes.
func (q quick) duration() time.Duration {
	text, err := os.ReadFile(filepath.Join(q.dir, slowFile))
	if err == nil {
		if d, err := time.ParseDuration(string(text)); err == nil {
			return d
		}
	}
	return 50*time.Millisecond + rand.N(250*time.Millisecond)
}

// note writes down in a file that a build was begun, or came to its end.
func (q quick) note(file string, job builder.Job) error {
	f, err := os.OpenFile(filepath.Join(q.dir, file), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, job.Name)
	return errors.Join(err, f.Close())
}

func (q quick) Open(_ context.Context, t target.Target, _ func(string)) (builder.Base, error) {
	text, err := os.ReadFile(filepath.Join(q.dir, baseFile))
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return quickBase{q, t, digest("base", t.Name, string(text))}, nil
}

func digest(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return hex.EncodeToString(sum[:])
}

type quickBase struct {
	quick
	t  target.Target
	id string
}

func (b quickBase) ID() string            { return b.id }
func (b quickBase) Target() target.Target { return b.t }
func (b quickBase) Close() error          { return nil }

// Run answers for the build backend of a source tree.
func (b quickBase) Run(ctx context.Context, c builder.Command) error {
	for _, bind := range c.Binds {
		if bind.Inside != "/src" {
			continue
		}
		hooks, err := testindex.ReadHooks(bind.Host)
		if err != nil {
			return err
		}
		return json.NewEncoder(c.Stdout).Encode(map[string][]string{"hook": hooks.Requires})
	}
	return ctx.Err()
}

// Verify believes that the set installs: the test asks dnf.
func (b quickBase) Verify(ctx context.Context, v builder.Verification) (builder.VerifyResult, error) {
	if _, err := io.WriteString(v.Stdout, `{"imported": [], "failed": {}, "versions": {}}`); err != nil {
		return builder.VerifyResult{}, err
	}
	return builder.VerifyResult{Installed: v.Install}, ctx.Err()
}

var specName = regexp.MustCompile(`(?m)^Name:\s*(\S+)`)

// Build brings the RPM of a job, after a while.
func (b quickBase) Build(ctx context.Context, job builder.Job) (builder.Result, error) {
	partial := builder.Partial(job.ResultDir)
	if err := os.MkdirAll(partial, 0o755); err != nil {
		return builder.Result{}, err
	}
	if err := b.note(begunFile, job); err != nil {
		return builder.Result{}, err
	}
	log := filepath.Join(partial, "build.log")
	if err := os.WriteFile(log, []byte("Processing files: "+job.Name+"\n"), 0o644); err != nil {
		return builder.Result{}, err
	}
	select {
	case <-ctx.Done():
		return builder.Result{}, context.Cause(ctx)
	case <-time.After(b.duration()):
	}
	text, err := os.ReadFile(job.Spec)
	if err != nil {
		return builder.Result{}, err
	}
	found := specName.FindSubmatch(text)
	if found == nil {
		return builder.Result{}, fmt.Errorf("the spec of %s has no name", job.Name)
	}
	made, err := b.make(ctx, string(found[1]), job.Name)
	if err != nil {
		return builder.Result{}, err
	}
	result := builder.Result{Logs: map[string]string{"build.log": filepath.Join(job.ResultDir, "build.log")}, Seconds: map[builder.Phase]float64{builder.PhaseBuild: 0.1}}
	files, err := filepath.Glob(filepath.Join(made, "*.rpm"))
	if err != nil {
		return result, err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return result, err
		}
		if err := os.WriteFile(filepath.Join(partial, filepath.Base(file)), data, 0o644); err != nil {
			return result, err
		}
		final := filepath.Join(job.ResultDir, filepath.Base(file))
		if strings.HasSuffix(file, ".src.rpm") {
			result.SRPM = final
		} else {
			result.RPMs = append(result.RPMs, final)
		}
	}
	return result, errors.Join(os.Rename(partial, job.ResultDir), b.note(builtFile, job))
}

const quickSpec = `Name: %s
Version: %s
Release: 1
Summary: Made for a test
License: MIT
BuildArch: noarch
Provides: %s
%%description
%%install
mkdir -p %%{buildroot}%s/%s
echo x >%%{buildroot}%[4]s/%[5]s/__init__.py
%%files
%[4]s/%[5]s
`

// make has the folder with a package's RPMs, made where there is none.
func (b quickBase) make(ctx context.Context, rpm, job string) (string, error) {
	name, version, _ := strings.Cut(job, " ")
	provides := rpmname.Dist(b.t, name) + " = " + version
	spec := fmt.Sprintf(quickSpec, rpm, version, provides, cmp.Or(b.t.Python.Sitelib, "/usr/lib/python3/site-packages"), strings.ReplaceAll(name, "-", "_"))
	final := filepath.Join(b.made, digest(spec))
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	tmp, err := os.MkdirTemp(b.made, "tmp-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	file, out := filepath.Join(tmp, "x.spec"), filepath.Join(tmp, "out")
	if err := os.WriteFile(file, []byte(spec), 0o644); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "rpmbuild", "-ba", "--define", "_topdir "+tmp, "--define", "_rpmdir "+out, "--define", "_srcrpmdir "+out,
		"--define", "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "--define", "__os_install_post %{nil}", file)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("rpmbuild of %s: %w\n%s", job, err, text)
	}
	if err := os.Rename(out, final); err != nil && !os.IsExist(err) {
		if _, there := os.Stat(final); there != nil { // another process was quicker
			return "", err
		}
	}
	return final, nil
}
