package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/testindex"
)

// testBenchPackages: each package of a list on its own, what failed with its cause and its root; a second run
// goes on where the first ended, and --retry tries again what failed.
func testBenchPackages(t *testing.T, m machine) {
	packages := []testindex.Package{
		{Name: "be-tool", Version: "1.0"},
		{Name: "be-app", Version: "2.0", BuildRequires: []string{"be-tool"}, Imports: []string{"be_tool"}},
		{Name: "be-broken", Version: "1.0", Fault: testindex.BuildFails},
		{Name: "be-behind", Version: "1.0", Requires: []string{"be-broken"}},
		{Name: "be-wheel", Version: "1.0", Files: "wheel"},
	}
	list := filepath.Join(t.TempDir(), "list.txt")
	if err := os.WriteFile(list, []byte("be-app # with a tool\nbe-tool\nbe-behind\n\nbe-wheel\nbe-nowhere\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"bench", "packages", "--list", list, "--jobs", "1", "-i", serve(t, packages...)}
	first := benched(t, m, args...)
	for name, want := range map[string]benchedPackage{
		"be-app":     {Version: "2.0", State: "built", Builds: 2},
		"be-tool":    {Version: "1.0", State: "reused", Reused: 1},
		"be-behind":  {Version: "1.0", State: "failed", Cause: "build-failed", Root: "be-broken 1.0", Builds: 1},
		"be-wheel":   {Version: "1.0", State: "failed", Cause: "no-source"},
		"be-nowhere": {State: "failed", Cause: "no-solution"},
	} {
		got := first[name]
		if got.Message == "" && got.State == "failed" || got.State == "failed" && got.Cause == "build-failed" && got.Log == "" {
			t.Errorf("%s failed, and nobody says how: %+v", name, got)
		}
		got.Message, got.Log, got.Name, got.Seconds = "", "", "", 0
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}

	packages[2].Fault, packages[2].Body = "", "mended = True\n"
	args[len(args)-1] = serve(t, packages...)
	again := m.run(t, 1, args...)
	if !strings.Contains(again.stdout, "be-behind") || strings.Contains(again.stderr, "[") {
		t.Errorf("the second run tries again what has a result:\n%s%s", again.stdout, again.stderr)
	}
	m.run(t, 1, append(args, "--limit", "3")...)
	retried := m.run(t, 0, append(args, "--limit", "3", "--retry")...)
	if !strings.Contains(retried.stderr, "3 packages: 2 built, 1 reused, 0 failed; ") {
		t.Errorf("--retry:\n%s%s", retried.stdout, retried.stderr)
	}
}

type benchedPackage struct {
	Name, Version, State, Cause, Root, Message, Log string
	Builds                                          int
	Reused                                          int `json:"builds_reused"`
	Seconds                                         float64
}

// benched runs bench packages --json, of which something fails, and checks the totals.
func benched(t *testing.T, m machine, args ...string) map[string]benchedPackage {
	t.Helper()
	cmd, stdout, stderr := m.start(t, append(args, "--json")...)
	var doc struct {
		Packages []benchedPackage
		Totals   struct {
			Packages, Built, Reused, Failed, Builds int
			Causes                                  map[string]int
		}
	}
	err := json.NewDecoder(stdout).Decode(&doc)
	_ = cmd.Wait()
	if err != nil || cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("exit %d, %v\n%s", cmd.ProcessState.ExitCode(), err, stderr)
	}
	failed := 0
	for _, n := range doc.Totals.Causes {
		failed += n
	}
	if s := doc.Totals; s.Packages != len(doc.Packages) || s.Built+s.Reused+s.Failed != s.Packages || failed != s.Failed {
		t.Errorf("the totals do not add up: %+v", s)
	}
	byName := map[string]benchedPackage{}
	for _, p := range doc.Packages {
		byName[p.Name] = p
	}
	return byName
}
