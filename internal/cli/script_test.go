package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"reqpm/internal/builder/chroot"
	"reqpm/internal/cli"
	"reqpm/internal/testindex"
)

// theirProxy is what whoever runs the tests reaches the real index through.
var theirProxy = os.Getenv("https_proxy")

func TestMain(m *testing.M) {
	chroot.Init()
	if filepath.Base(os.Args[0]) != "reqpm" { // the command has the environment it was given
		os.Setenv("https_proxy", "http://127.0.0.1:9") // nobody: the repositories of releases are out of reach here
	}
	testscript.Main(m, map[string]func(){"reqpm": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		code := cli.Execute(ctx, "test", os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}})
}

// TestScripts runs what users type. Every script has a state directory of its own and no
// index but those it starts.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			for name, value := range map[string]string{
				"HOME": env.WorkDir + "/home", "REQPM_STATE": env.WorkDir + "/state", "PIP_CONFIG_FILE": os.DevNull,
				"GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "T", "GIT_AUTHOR_EMAIL": "t@example.org",
				"GIT_COMMITTER_NAME": "T", "GIT_COMMITTER_EMAIL": "t@example.org", "PIP_RETRIES": "0", "NO_PROXY": "127.0.0.1",
				"https_proxy": "http://127.0.0.1:9", // nobody: the repositories of releases are out of reach
			} {
				env.Setenv(name, value)
			}
			return os.Mkdir(env.WorkDir+"/home", 0o755)
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": cmdExits, "index": cmdIndex, "folder": cmdFolder, "json": cmdJSON, "same": cmdSame, "whole": cmdWhole, "nobody": cmdNobody, "binary": cmdBinary, "control": cmdControl,
		},
	})
}

// cmdExits runs a command and wants the exit code named: exits 2 reqpm resolve.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := exitCode(ts, ts.Exec(args[1], args[2:]...))
	ts.Logf("[stdout]\n%s[stderr]\n%s", ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	if got != want {
		ts.Fatalf("%s exits with %d, not with %d", strings.Join(args[1:], " "), got, want)
	}
	for _, line := range []string{"panic:", "goroutine ", ".go:"} {
		if strings.Contains(ts.ReadFile("stderr"), line) {
			ts.Fatalf("stderr shows our inside: %q", line)
		}
	}
}

func exitCode(ts *testscript.TestScript, err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	ts.Fatalf("%v", err)
	return -1
}

// cmdNobody is exits for reqpm run by an unprivileged user on a project folder, with a state
// directory of that user: nobody CODE COMMAND PROJECT [ARG…].
func cmdNobody(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: nobody CODE COMMAND PROJECT [ARG…]")
	}
	// The work directory of a script and the test program belong to root alone.
	dir, err := os.MkdirTemp("", "reqpm-nobody-")
	ts.Check(err)
	ts.Defer(func() { os.RemoveAll(dir) })
	ts.Check(os.Chmod(dir, 0o777))
	program, err := os.Executable()
	ts.Check(err)
	data, err := os.ReadFile(program)
	ts.Check(err)
	ts.Check(os.WriteFile(dir+"/reqpm", data, 0o755))
	ts.Check(os.CopyFS(dir+"/proj", os.DirFS(ts.MkAbs(args[2]))))
	ts.Setenv("REQPM_STATE", dir+"/state")
	ts.Setenv("HOME", dir)
	run := []string{args[0], "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", dir + "/reqpm", args[1], dir + "/proj"}
	cmdExits(ts, false, append(run, args[3:]...))
}

// cmdBinary writes a file that is no text.
func cmdBinary(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("\x7fELF\x00\x01\xff\xfe\x00lib\x00"), 0o644))
}

// cmdControl copies a project folder to control-FOLDER, with a second requirement file whose name
// clears a terminal: control FOLDER FILE.
func cmdControl(ts *testscript.TestScript, _ bool, args []string) {
	to := ts.MkAbs("control-" + args[0])
	ts.Check(os.MkdirAll(to, 0o755))
	text := []byte(ts.ReadFile(filepath.Join(args[0], args[1])))
	for _, name := range []string{args[1], "requirements-\x1b[2J.txt"} {
		ts.Check(os.WriteFile(filepath.Join(to, name), text, 0o644))
	}
}

// cmdIndex starts an index of the packages in a TOML file and names it in $INDEX:
// index FILE [TROUBLE].
func cmdIndex(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: index FILE [TROUBLE]")
	}
	server, err := testindex.Start(packages(ts, args[0])...)
	ts.Check(err)
	if len(args) == 2 && args[1] == "down" {
		server.Close()
	} else {
		ts.Defer(server.Close)
		if len(args) == 2 {
			server.SetTrouble(testindex.Trouble(args[1]))
		}
	}
	ts.Setenv("INDEX", server.URL)
	// An index somewhere else than before must not find pages kept of that one's address.
}

// cmdFolder writes the files of the packages in a TOML file into a folder: folder FILE DIR.
func cmdFolder(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: folder FILE DIR")
	}
	dir := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(testindex.WriteFolder(dir, packages(ts, args[0])...))
}

func packages(ts *testscript.TestScript, file string) []testindex.Package {
	list, err := testindex.Read([]byte(ts.ReadFile(file)))
	ts.Check(err)
	return list
}

// cmdJSON compares a JSON document (of a stream of lines: the last) with a golden one, in
// which the text "*" stands for anything: json stdout FILE.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: json stdout|FILE GOLDEN")
	}
	lines := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")
	var got, want any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
		ts.Fatalf("%s is no JSON: %v", args[0], err)
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &want))
	if diff := cmp.Diff(want, blank(want, got)); diff != "" {
		ts.Fatalf("%s differs from %s (-want +got):\n%s", args[0], args[1], diff)
	}
}

// blank replaces in got what want leaves open.
func blank(want, got any) any {
	switch want := want.(type) {
	case string:
		if want == "*" && got != nil && got != "" {
			return "*"
		}
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			for key, value := range got {
				got[key] = blank(want[key], value)
			}
		}
	case []any:
		if got, ok := got.([]any); ok {
			for i := range min(len(got), len(want)) {
				got[i] = blank(want[i], got[i])
			}
		}
	}
	return got
}

// cmdSame wants two files to have the same bytes.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if (ts.ReadFile(args[0]) == ts.ReadFile(args[1])) == neg {
		ts.Fatalf("%s and %s: same is %v", args[0], args[1], !neg)
	}
}

// cmdWhole wants the state directory without anything half-written: no scratch folder, no
// unfinished file, and no repository unless one is named: whole [repository].
func cmdWhole(ts *testscript.TestScript, _ bool, args []string) {
	state := ts.Getenv("REQPM_STATE")
	for _, left := range leftovers(state) {
		ts.Fatalf("left behind: %s", left)
	}
	if entries, _ := os.ReadDir(filepath.Join(state, "repos")); len(entries) > 0 && len(args) == 0 {
		ts.Fatalf("there is a repository: %s", entries[0].Name())
	}
}

// leftovers lists what a finished process may not leave in a state directory.
func leftovers(state string) []string {
	var list []string
	_ = filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == state {
			return nil
		}
		rel, _ := filepath.Rel(state, path)
		name := d.Name()
		scratch := strings.HasPrefix(rel, "tmp/")
		unfinished := strings.HasPrefix(name, ".new-") || strings.HasPrefix(name, ".tmp") || strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, ".part") || strings.HasSuffix(name, ".partial")
		if scratch || unfinished {
			list = append(list, rel)
			if d.IsDir() {
				return fs.SkipDir
			}
		}
		if d.IsDir() && strings.HasPrefix(rel, "roots/") {
			return fs.SkipDir // what a root holds is no file of ours
		}
		return nil
	})
	return list
}
