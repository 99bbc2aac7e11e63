package diagnose

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// example is one log of testdata: lines "#: WORD VALUE" first, then the log.
type example struct {
	facts   Facts
	cause   string
	changes []string // of the first finding, all of them
	safe    bool
	shows   []string // texts that the evidence holds
	log     string
}

func readExample(t *testing.T, path string) example {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var e example
	e.facts.Tools = map[string]string{}
	rest := string(text)
	for strings.HasPrefix(rest, "#: ") {
		line, after, _ := strings.Cut(rest, "\n")
		rest = after
		word, value, _ := strings.Cut(strings.TrimPrefix(line, "#: "), " ")
		switch word {
		case "package":
			e.facts.Name, e.facts.Version, _ = strings.Cut(value, " ")
		case "python":
			e.facts.Python = value
		case "phase":
			e.facts.Phase = value
		case "kind":
			e.facts.Kind = value
		case "tool":
			name, version, _ := strings.Cut(value, " ")
			e.facts.Tools[name] = version
		case "said":
			e.facts.Said = value
		case "known":
			e.facts.Known = append(e.facts.Known, value)
		case "cause":
			e.cause = value
		case "change":
			e.changes = append(e.changes, value)
		case "safe":
			e.safe = true
		case "shows":
			e.shows = append(e.shows, value)
		default:
			t.Fatalf("%s: unknown word %q", path, word)
		}
	}
	e.log = rest
	return e
}

func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/*.log")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d logs: %v", len(files), err)
	}
	seen := map[Cause]bool{}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".log"), func(t *testing.T) {
			e := readExample(t, path)
			found := ReadText(e.log, e.facts)
			x := found[0]
			seen[x.Cause] = true
			var changes []string
			for _, c := range x.Changes {
				changes = append(changes, strings.TrimSpace(string(c.Do)+" "+c.Value))
			}
			got := fmt.Sprintf("%s, safe %v, %q", x.Cause, x.Safe, changes)
			if want := fmt.Sprintf("%s, safe %v, %q", e.cause, e.safe, e.changes); got != want {
				t.Errorf("got  %s (%s)\nwant %s", got, x.Title, want)
				for _, other := range found[1:] {
					t.Logf("also %d %s: %s %v", other.sure, other.Cause, other.Title, other.Evidence)
				}
			}
			if len(x.Evidence) == 0 && e.log != "" && e.facts.Kind == "" { // what the builder says has no line
				t.Errorf("no evidence")
			}
			for _, text := range e.shows {
				if !strings.Contains(fmt.Sprint(x.Evidence), text) {
					t.Errorf("the evidence does not show %q: %v", text, x.Evidence)
				}
			}
			lines := strings.Split(e.log, "\n")
			for _, l := range x.Evidence {
				if l.Number < 1 || l.Number > len(lines) || !strings.HasPrefix(clean(lines[l.Number-1]), strings.TrimSuffix(l.Text, "…")) {
					t.Errorf("line %d is not %q", l.Number, l.Text)
				}
			}
		})
	}
	// Each cause has a log, so that a word that nothing finds any more is noticed.
	for _, c := range causes(t) {
		if !seen[c] {
			t.Errorf("no log is diagnosed as %s", c)
		}
	}
}

// causes are the words of diagnose.go.
func causes(t *testing.T) []Cause {
	t.Helper()
	f, err := os.Open("diagnose.go")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []Cause
	for s := bufio.NewScanner(f); s.Scan(); {
		if _, rest, ok := strings.Cut(s.Text(), " Cause = \""); ok {
			word, _, _ := strings.Cut(rest, "\"")
			list = append(list, Cause(word))
		}
	}
	return list
}

// What a log says may reach a spec only as a plain name.
func TestNothingHarmfulIsProposed(t *testing.T) {
	for _, log := range []string{
		"fatal error: ../../../etc/passwd.h: No such file or directory",
		"fatal error: x%(rm -rf /).h: No such file or directory",
		"/usr/bin/ld: cannot find -l$(id)",
		"ModuleNotFoundError: No module named 'a;b'",
		"No package '%{lua:os.execute()}' found",
		"Package 'x`id`', required by 'virtual:world', not found",
		"ERROR: Dependency \"a b\\nBuildRequires: evil\" not found, tried pkgconfig",
		"Could not find suitable distribution for Requirement.parse('evil @ https://example.org/evil.tar.gz')",
		"hatchling.plugin.exceptions.UnknownPluginError: Unknown build hook: -rf",
		"FileNotFoundError: [Errno 2] No such file or directory: '%{evil}'",
	} {
		for _, x := range ReadText(log+"\n", Facts{Name: "lib", Version: "1"}) {
			for _, c := range x.Changes {
				if strings.ContainsAny(c.Value, "%$`;\n(){}") || strings.Contains(c.Value, "..") || strings.Contains(c.Value, "evil") {
					t.Errorf("%q proposes %v", log, c)
				}
			}
		}
	}
}

// A module's name is no proof of whose project has it: only known ones are added unasked.
func TestUnknownModulesAreNotAddedUnasked(t *testing.T) {
	log := "ModuleNotFoundError: No module named 'reqeusts'\n"
	if x := ReadText(log, Facts{Name: "lib"})[0]; x.Safe {
		t.Errorf("added unasked: %+v", x)
	}
	if x := ReadText(log, Facts{Name: "lib", Known: []string{"Reqeusts"}})[0]; !x.Safe || x.Changes[0].Value != "reqeusts" {
		t.Errorf("the package's own requirement is not taken: %+v", x)
	}
}

func TestUnknownShowsTheFirstError(t *testing.T) {
	log := strings.Repeat("copying src/a.py -> build/lib\n", 500) +
		"ERROR: the flux capacitor is not aligned\n  hint: align it\n" + strings.Repeat("cleaning up\n", 30) +
		"error: Bad exit status from /var/tmp/rpm-tmp.abc (%build)\n"
	x := ReadText(log, Facts{})[0]
	if x.Cause != Unknown || !strings.Contains(fmt.Sprint(x.Evidence), "501 ERROR: the flux capacitor") || !strings.Contains(fmt.Sprint(x.Evidence), "align it") {
		t.Errorf("%+v", x)
	}
	if len(x.Evidence) > excerptSize {
		t.Errorf("%d lines", len(x.Evidence))
	}
}

func TestNewestToolIsNotAskedToBeOlderTwice(t *testing.T) {
	x := ReadText("ModuleNotFoundError: No module named 'pkg_resources'\n", Facts{Tools: map[string]string{"setuptools": "80.1"}})[0]
	if x.Safe || len(x.Changes) > 0 {
		t.Errorf("setuptools 80 has pkg_resources: %+v", x)
	}
}

func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.log")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("\x1b[31mfatal error: \x1b[0mx.h: No such file or directory\x00\xff")
	f.Fuzz(func(t *testing.T, log string) {
		found := ReadText(log, Facts{Name: "lib", Version: "1.0", Python: "3.12", Missing: []string{log}})
		if len(found) == 0 || len(found) > maxFindings {
			t.Fatalf("%d findings", len(found))
		}
		for _, x := range found {
			if x.Title == "" || strings.ContainsAny(x.Title, "\n\x1b\x00") || len(x.Title) > 1000 {
				t.Errorf("title %q", x.Title)
			}
			for _, l := range x.Evidence {
				if strings.ContainsAny(l.Text, "\n\r\x1b\x00") || len(l.Text) > maxText+10 {
					t.Errorf("evidence %q", l.Text)
				}
			}
			for _, c := range x.Changes {
				if !c.Valid() || strings.ContainsAny(c.Value, "%$`\\\n\"'(){}") {
					t.Errorf("change %q", c)
				}
			}
			for _, a := range x.Advice {
				if strings.ContainsAny(a, "\n\x1b") {
					t.Errorf("advice %q", a)
				}
			}
		}
	})
}

// Rounds of %generate_buildrequires call missing what is then installed; what comes after them is the cause.
func TestRoundsOfBuildRequirementsAreNoFailure(t *testing.T) {
	rounds := "error: Failed build dependencies:\n\tpython3dist(expandvars) is needed by python3-frozenlist-1.8.0-1.eld.noarch\n" +
		"Wrote: /build/SRPMS/python3-frozenlist-1.8.0-1.eld.buildreqs.nosrc.rpm\n"
	found := ReadText(rounds+"  error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-g++'\n", Facts{Name: "frozenlist", Version: "1.8.0"})
	if len(found) != 1 || len(found[0].Changes) != 1 || found[0].Changes[0].Do != AddNative {
		t.Errorf("%+v", found)
	}
	found = ReadText(rounds+"error: Failed build dependencies:\n\tpython3dist(nobody) is needed by python3-frozenlist-1.8.0-1.eld.noarch\n", Facts{Name: "frozenlist", Version: "1.8.0"})
	if found[0].Cause != MissingRequirement || !strings.Contains(found[0].Title, "nobody") {
		t.Errorf("%+v", found)
	}
}
