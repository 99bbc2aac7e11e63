package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"reqpm/internal/builder/chroot"
	"reqpm/internal/cli"
	"reqpm/internal/pipeline"
	"reqpm/internal/repo"
	"reqpm/internal/target"
	"reqpm/internal/testindex"
)

// The documentation is held against the program: every command that it shows is one that the
// program understands, and is run where the test has all it needs.

// fence is one ``` block of a page.
type fence struct{ page, language, text string }

var fenceRE = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// pages are the documents by their path from the top of the source tree.
func pages(t *testing.T) map[string]string {
	t.Helper()
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(top, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]string{}
	for _, path := range append(names, filepath.Join(top, "README.md"), filepath.Join(top, "CHANGELOG.md")) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(top, path)
		list[rel] = string(text)
	}
	if len(list) < 10 {
		t.Fatalf("only %d documents: the test looks in the wrong place", len(list))
	}
	return list
}

func fences(t *testing.T, language string) []fence {
	t.Helper()
	var list []fence
	all := pages(t)
	for page, text := range all {
		for _, m := range fenceRE.FindAllStringSubmatch(text, -1) {
			if m[1] == language {
				list = append(list, fence{page, language, m[2]})
			}
		}
	}
	if len(list) == 0 {
		t.Fatalf("no %s block in any document", language)
	}
	slices.SortFunc(list, func(a, b fence) int { return strings.Compare(a.page+a.text, b.page+b.text) })
	return list
}

// commands are the command lines of a sh block, without sudo and comments.
func (f fence) commands() []string {
	var list []string
	for line := range strings.Lines(f.text) {
		line, _, _ = strings.Cut(line, " # ")
		for part := range strings.SplitSeq(line, " && ") {
			if part = strings.TrimPrefix(strings.TrimSpace(part), "sudo "); part != "" {
				list = append(list, part)
			}
		}
	}
	return list
}

// words splits as a shell does; the documents use single quotes only.
func words(line string) []string {
	var list []string
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		list = append(list, m[1]+m[2])
	}
	return list
}

func execute(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	code = cli.Execute(ctx, "test", args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestDocumentedCommands(t *testing.T) {
	shown := fences(t, "sh")
	world(t)
	seen := map[string]bool{}
	for _, f := range shown {
		for _, line := range f.commands() {
			if seen[line] {
				continue
			}
			seen[line] = true
			t.Run(filepath.Base(f.page)+": "+line, func(t *testing.T) {
				argv := words(line)
				switch argv[0] {
				case "reqpm":
					documentedReqpm(t, argv[1:])
				case "./reqpm.sh":
					documentedSetup(t, argv[1])
				case "git", "cd", "cp", "mkdir", "dnf":
				case "test/eldistro/make.sh":
					if _, err := os.Stat(filepath.Join(os.Getenv("REQPM_TEST_TOP"), argv[0])); err != nil {
						t.Error(err)
					}
				default:
					t.Errorf("nobody knows whether this works: %s", line)
				}
			})
		}
	}
}

// documentedReqpm asks the command itself whether it takes these flags, then runs it.
func documentedReqpm(t *testing.T, args []string) {
	code, help, stderr := execute(t, append(slices.Clone(args), "--help")...)
	if code != 0 || !strings.Contains(help, "Usage:\n  reqpm "+args[0]) {
		t.Fatalf("the program does not know this command: status %d\n%s%s", code, stderr, help)
	}
	whole := strings.Join(args, " ")
	switch {
	case strings.Contains(whole, "git.example.org"), strings.Contains(whole, "eldistro"), !slices.Contains([]string{"resolve", "lock"}, args[0]) && strings.Contains(whole, "--target el"):
		t.Skip("understood; not run: what it names is not on this machine")
	case slices.Contains([]string{"plan", "build", "doctor"}, args[0]):
		if os.Geteuid() != 0 || len(chroot.Missing(target.Host)) > 0 || testing.Short() {
			t.Skip("understood; not run: needs root, the tools of builds, and time")
		}
	}
	if code, stdout, stderr := execute(t, args...); code != 0 {
		t.Errorf("ends with status %d\n%s%s", code, stdout, stderr)
	}
}

func documentedSetup(t *testing.T, verb string) {
	text, err := os.ReadFile(filepath.Join(os.Getenv("REQPM_TEST_TOP"), "reqpm.sh"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\n  "+verb+") shift;") {
		t.Errorf("reqpm.sh has no %q", verb)
	}
}

// world makes what the documented commands name: ./checkout, ./clone, ./archives, signing.asc, the
// configuration files, and an index where pip's environment says it is.
func world(t *testing.T) {
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range fences(t, "toml") {
		name, _, _ := strings.Cut(strings.TrimPrefix(f.text, "# "), "\n")
		put(t, filepath.Join(dir, name), f.text)
	}
	// The project has no build system: nothing of it must be run to resolve it.
	put(t, filepath.Join(dir, "checkout/requirements.txt"), "app-core>=1\nflask>=3.0,<4\n")
	put(t, filepath.Join(dir, "checkout/requirements/base.txt"), "app-core\n")
	put(t, filepath.Join(dir, "checkout/requirements/prod.txt"), "flask\n")
	put(t, filepath.Join(dir, "checkout/constraints.txt"), "flask<4\n")
	put(t, filepath.Join(dir, "clone/requirements.txt"), "app-core\n")
	old := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	packages := []testindex.Package{
		{Name: "app-core", Version: "1.0", Uploaded: old}, {Name: "app-core", Version: "1.1", Requires: []string{"base"}, Uploaded: old},
		{Name: "base", Version: "1.0", Uploaded: old}, {Name: "flask", Version: "3.0", Uploaded: old},
	}
	server, err := testindex.Start(packages...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	archives := filepath.Join(dir, "archives")
	if err := os.Mkdir(archives, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := testindex.WriteFolder(archives, packages...); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.OpenKey(filepath.Join(dir, "key"), ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "key", "signing-key.asc"), filepath.Join(dir, "signing.asc")); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"REQPM_TEST_TOP": top, "REQPM_STATE": filepath.Join(dir, "state"), "HOME": filepath.Join(dir, "home"),
		"XDG_CONFIG_HOME": filepath.Join(dir, "home", "config"), "PIP_CONFIG_FILE": os.DevNull, "PIP_INDEX_URL": server.URL,
		"PIP_EXTRA_INDEX_URL": "", "PIP_RETRIES": "0", "NO_PROXY": "127.0.0.1", "NO_COLOR": "1",
	} {
		t.Setenv(name, value)
	}
	t.Chdir(filepath.Join(dir, "clone"))
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qm", "first"}} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
	t.Chdir(dir)
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The configuration shown is one the program takes: offline, the only thing wrong with it is that
// its index was never asked.
func TestDocumentedConfiguration(t *testing.T) {
	world(t)
	t.Setenv("PIP_INDEX_URL", "")
	code, _, stderr := execute(t, "resolve", "./checkout", "--config", "reqpm.toml", "--offline")
	if code != 5 || !strings.Contains(stderr, "offline") {
		t.Errorf("status %d, want 5 for an index that was never asked:\n%s", code, stderr)
	}
}

var flagRE = regexp.MustCompile(`--[a-z][a-z-]+`)

// cli.md names every command and flag, and no flag that is not there.
// commands are all commands that do something; those below others by their whole name.
func commands(t *testing.T, above ...string) []string {
	_, help, _ := execute(t, append(above, "--help")...)
	_, list, _ := strings.Cut(help, "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	var names []string
	for line := range strings.Lines(list) {
		name := strings.Fields(line)[0]
		if name == "help" {
			continue
		}
		path := append(above[:len(above):len(above)], name)
		if below := commands(t, path...); len(below) > 0 && name != "completion" {
			names = append(names, below...)
		} else {
			names = append(names, strings.Join(path, " "))
		}
	}
	return names
}

func TestEveryFlagIsDocumented(t *testing.T) {
	page := pages(t)["docs/cli.md"]
	real := map[string]bool{"--help": true}
	for _, command := range commands(t) {
		if !strings.Contains(page, "\n## "+command+"\n") {
			t.Errorf("docs/cli.md has no section on %q", command)
		}
		_, help, _ := execute(t, append(strings.Fields(command), "--help")...)
		_, flags, _ := strings.Cut(help, "\nFlags:\n")
		for line := range strings.Lines(flags) {
			flag := flagRE.FindString(line)
			if flag == "" {
				continue
			}
			if real[flag] = true; !regexp.MustCompile("`[^`]*" + flag + "\\b").MatchString(page) {
				t.Errorf("docs/cli.md does not tell of %s %s", command, flag)
			}
		}
	}
	for _, flag := range flagRE.FindAllString(page, -1) {
		if !real[flag] {
			t.Errorf("docs/cli.md tells of %s, which no command has", flag)
		}
	}
}

func TestExitStatusIsDocumented(t *testing.T) {
	page := pages(t)["docs/cli.md"]
	_, help, _ := execute(t, "--help")
	rows := regexp.MustCompile(`(?m)^  (\d+) +([^(\n]+)`).FindAllStringSubmatch(help, -1)
	if len(rows) != 7 {
		t.Fatalf("the help tells of %d exit statuses, want 7:\n%s", len(rows), help)
	}
	for _, row := range rows {
		if want := fmt.Sprintf("\n| %s | %s", row[1], strings.TrimSpace(row[2])); !strings.Contains(page, want) {
			t.Errorf("docs/cli.md has no line %q", want)
		}
	}
}

// The JSON shown has the program's own fields: none that it does not write.
func TestDocumentedJSON(t *testing.T) {
	for _, f := range fences(t, "json") {
		for line := range strings.Lines(f.text) {
			var shape struct {
				Event string `json:"event"`
			}
			if err := json.Unmarshal([]byte(line), &shape); err != nil {
				t.Errorf("%s: %v: %s", f.page, err, line)
				continue
			}
			var into any = new(any)
			switch shape.Event {
			case "":
			case "error":
				into = &struct {
					Event, Message string
					Exit           int
				}{}
			case "summary":
				into = &struct {
					pipeline.Summary
					Exit  int
					Error string
				}{}
			default:
				into = new(pipeline.Event)
			}
			decode := json.NewDecoder(strings.NewReader(line))
			decode.DisallowUnknownFields()
			if err := decode.Decode(into); err != nil {
				t.Errorf("%s: %v: %s", f.page, err, line)
			}
		}
	}
}

var (
	linkRE    = regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]+))?\)|src="([^"]+)"`)
	headingRE = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// anchors are the places of a page that links can name, as forges make them of headings.
func anchors(text string) []string {
	var list []string
	for _, m := range headingRE.FindAllStringSubmatch(fenceRE.ReplaceAllString(text, ""), -1) {
		slug := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		list = append(list, strings.ReplaceAll(slug, " ", "-"))
	}
	return list
}

func TestLinksOfDocuments(t *testing.T) {
	all := pages(t)
	for page, text := range all {
		for _, m := range linkRE.FindAllStringSubmatch(text, -1) {
			to := m[1] + m[3]
			if strings.Contains(to, "://") {
				continue
			}
			path := page
			if to != "" {
				path = filepath.Join(filepath.Dir(page), to)
			}
			if _, err := os.Stat(filepath.Join("../..", path)); err != nil {
				t.Errorf("%s: link to %s: %v", page, to, err)
			} else if m[2] != "" && !slices.Contains(anchors(all[path]), m[2]) {
				t.Errorf("%s: %s has no heading #%s", page, path, m[2])
			}
		}
	}
}
