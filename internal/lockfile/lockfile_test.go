package lockfile

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sum(c string) string { return strings.Repeat(c, 64) }

// example has one of everything.
func example() File {
	return File{
		Inputs: Inputs{
			Files:   []Input{{"requirements.txt", sum("b")}, {"pyproject.toml", sum("a")}},
			Project: &Project{Name: "hello-web", RequiresPython: ">=3.9", Requires: []string{"waitress", "flask<4,>=3.0"}},
		},
		Options: Options{"requirement": {"requirements.txt"}, "extra": {"fast"}, "constrain": {"jinja2<4", "werkzeug<4"}, "exclude-newer": {"2026-06-01T00:00:00Z"}},
		Targets: []Target{{
			Name: "el9", Python: "3.12.9", Arch: "x86_64",
			Packages: []Package{
				{Name: "waitress", Version: "3.0.2", Decision: NoSource, Index: "index", Artifact: Artifact{Filename: "waitress-3.0.2-py3-none-any.whl", Kind: "wheel", SHA256: sum("d")},
					RequiredBy: []Edge{{Kind: "install", From: "hello-web", Requirement: "waitress"}}},
				{Name: "flask", Version: "3.1.3", Extras: []string{"dotenv", "async"}, Decision: Build, Index: "index", Artifact: Artifact{Filename: "flask-3.1.3.tar.gz", Kind: "sdist", SHA256: sum("c")},
					RequiredBy: []Edge{
						{Kind: "install", From: "hello-web", Requirement: "flask<4,>=3.0"},
						{Kind: "toplevel", Requirement: `flask[async]; python_version > "3.8"`, File: "requirements.txt", Line: 2},
					}},
				{Name: "tool-of-ours", Version: "0.1.post3", Decision: Build, Artifact: Artifact{Filename: "tool_of_ours-0.1.post3.tar.gz", Kind: "sdist", SHA256: sum("e"), URL: "https://git.example.org/tool.git", Commit: strings.Repeat("1", 40), Subdirectory: "python"},
					RequiredBy: []Edge{{Kind: "toplevel", Requirement: "tool-of-ours @ git+https://git.example.org/tool.git", File: "requirements.txt", Line: 3}}},
			},
			Tools: []Package{{Name: "flit-core", Version: "3.12.0", Decision: Build, Index: "index", Artifact: Artifact{Filename: "flit_core-3.12.0.tar.gz", Kind: "sdist", SHA256: sum("f")},
				RequiredBy: []Edge{{Kind: "build-system", From: "flask 3.1.3", Requirement: "flit_core<4"}}}},
			BuildRoots: []BuildRoot{{Requires: []string{"flit_core<4"}, Packages: []string{"flit-core 3.12.0"}}},
		}, {
			Name: "el8-py36", Python: "3.6.8", Arch: "x86_64",
			Packages: []Package{{Name: "flask", Version: "2.0.3", Decision: Reuse, Artifact: Artifact{Filename: "python3-flask-2.0.3-1.el8.noarch", Kind: "rpm"},
				RequiredBy: []Edge{{Kind: "toplevel", Requirement: "flask", File: "requirements.txt", Line: 2}}}},
		}},
	}
}

// The golden file is what people review: a change of it is a change of the format.
func TestMarshalGolden(t *testing.T) {
	got := Marshal(example())
	if os.Getenv("REQPM_UPDATE") != "" {
		if err := os.WriteFile("testdata/reqpm.lock", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/reqpm.lock")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseGivesBackWhatWasWritten(t *testing.T) {
	want := example().sorted()
	got, err := Parse(Marshal(example()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d := Diff(want, got); len(d) > 0 {
		t.Errorf("Diff finds a difference: %q", d)
	}
}

// The order in which a run found things leaves no trace.
func TestMarshalOrder(t *testing.T) {
	want := string(Marshal(example()))
	f := example()
	f.Targets[0], f.Targets[1] = f.Targets[1], f.Targets[0]
	p := f.Targets[1].Packages
	p[0], p[1] = p[1], p[0]
	p[0].RequiredBy[0], p[0].RequiredBy[1] = p[0].RequiredBy[1], p[0].RequiredBy[0]
	p[0].Extras[0], p[0].Extras[1] = p[0].Extras[1], p[0].Extras[0]
	if got := string(Marshal(f)); got != want {
		t.Errorf("(-want +got):\n%s", cmp.Diff(want, got))
	}
}

func TestHostileTexts(t *testing.T) {
	for _, text := range []string{"a\"b", `a\b`, "a\nb", "a\x1b[2Jb", "a\u202eb", "a\x7fb", "ü✓", "a'''b"} {
		f := example()
		f.Targets[0].Packages[0].RequiredBy[0].Requirement = text
		written := Marshal(f)
		got, err := Parse(written)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := got.Target("el9").Package("waitress").RequiredBy[0].Requirement; got != text {
			t.Errorf("%q came back as %q", text, got)
		}
		if strings.ContainsAny(string(written), "\x1b\x7f\u202e") {
			t.Errorf("%q: the lock holds characters that a terminal obeys", text)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := string(Marshal(example()))
	line := func(text string) int { return strings.Count(good[:strings.Index(good, text)], "\n") + 1 }
	for _, c := range []struct {
		name, old, new, want string
		line                 int
	}{
		{"another format", "format = 1", "format = 2", "make the lock again", line("format = 1")},
		{"an unknown key", `index = "index"`, `index = "index"` + "\nsurprise = 1", "unknown key", line(`index = "index"`) + 1},
		{"a short hash", sum("c"), "cccc", "64 lower-case", line(sum("c"))},
		{"a hash in capitals", sum("c"), strings.Repeat("C", 64), "64 lower-case", line(sum("c"))},
		{"a name not normalised", `name = "flask"`, `name = "Flask"`, "normalised project name", line(`name = "flask"`)},
		{"a version not normalised", `version = "3.1.3"`, `version = "3.1.3-1"`, "normalised version", line(`version = "3.1.3"`)},
		{"a path for a file name", "flask-3.1.3.tar.gz", "../flask-3.1.3.tar.gz", "no file name", line("flask-3.1.3.tar.gz")},
		{"a decision of tomorrow", `decision = "no-source"`, `decision = "guess"`, "none of", line(`decision = "no-source"`)},
		{"a kind of tomorrow", `kind = "sdist"`, `kind = "egg"`, "none of", line(`kind = "sdist"`)},
		{"a package twice", `name = "waitress"`, `name = "flask"`, "there twice", line(`name = "waitress"`)},
		{"a target twice", `name = "el8-py36"`, `name = "el9"`, "there twice", line(`name = "el9"`)},
		{"an edge of tomorrow", `edge = "build-system"`, `edge = "wish"`, "none of", line(`edge = "build-system"`) - 1},
		{"a tool that is not there", `"flit-core 3.12.0",`, `"flit-core 4",`, "no package and no tool", line(`"flit-core 3.12.0",`) - 1},
		{"a number for a text", `arch = "x86_64"`, `arch = 7`, "invalid TOML", line(`arch = "x86_64"`)},
		{"a merge gone wrong", "[[target]]", "<<<<<<< ours\n[[target]]", "invalid TOML", line("[[target]]")},
		{"nothing required", "", "", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.new, 1)
			if c.old == "" {
				text, c.want, c.line = "", "format 0", 0
			}
			_, err := Parse([]byte(text))
			at, ok := errors.AsType[*Error](err)
			if !ok || !strings.Contains(err.Error(), c.want) || at.Line != c.line {
				t.Errorf("got %v (%T), want %q on line %d", err, err, c.want, c.line)
			}
		})
	}
}

func TestDiffIsForPeople(t *testing.T) {
	a, b := example(), example()
	b.Inputs.Files[0].SHA256 = sum("0")
	b.Inputs.Project.Requires = []string{"flask<4,>=3.0", "pytz"}
	delete(b.Options, "extra")
	b.Targets = b.Targets[:1]
	p := b.Targets[0].Packages
	p[0].Version, p[1].Artifact.SHA256 = "3.0.3", sum("9")
	b.Targets[0].Packages = append(p[:2:2], Package{Name: "new-one", Version: "1.0"})
	want := []string{
		"input requirements.txt has changed",
		"the project requires pytz",
		"the project does not require waitress any more",
		"option --extra is not given, was fast",
		"target el8-py36 is gone",
		"el9: flask 3.1.3 comes from another file: flask-3.1.3.tar.gz sha256 999999999999…, was flask-3.1.3.tar.gz sha256 cccccccccccc…",
		"el9: new-one 1.0 is new",
		"el9: tool-of-ours 0.1.post3 is gone",
		"el9: waitress 3.0.2 → 3.0.3",
	}
	if diff := cmp.Diff(want, Diff(a, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whatever is read without an error is written and read again as the same.
func FuzzParse(f *testing.F) {
	f.Add(Marshal(example()))
	f.Add([]byte("format = 1\n"))
	f.Add([]byte("format = 1\n[[target]]\nname = \"x\"\npython = \"3\"\n[[target.package]]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lock, err := Parse(data)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("an error of another kind: %T %v", err, err)
			}
			return
		}
		written := Marshal(lock)
		again, err := Parse(written)
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, written)
		}
		if d := Diff(lock, again); len(d) > 0 {
			t.Fatalf("differs: %q", d)
		}
		if string(Marshal(again)) != string(written) {
			t.Fatal("writing it again gives other bytes")
		}
	})
}
