package cli_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/testindex"
)

// repaired are the changes that built packages needed, as "NAME: DO VALUE".
func (c command) repaired(t *testing.T) string {
	t.Helper()
	var summary struct {
		Built []struct {
			Name    string `json:"name"`
			Repairs []struct {
				Changes []struct{ Do, Value string } `json:"changes"`
			} `json:"repairs"`
		} `json:"built"`
	}
	text := strings.TrimSpace(c.stdout)
	if err := json.Unmarshal([]byte(text[strings.LastIndexByte(text, '\n')+1:]), &summary); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, p := range summary.Built {
		for _, r := range p.Repairs {
			for _, change := range r.Changes {
				list = append(list, p.Name+": "+change.Do+" "+change.Value)
			}
		}
	}
	return strings.Join(list, ", ")
}

// retried tells whether the events say that a package is tried again.
func (c command) retried(name string) bool {
	for s := bufio.NewScanner(strings.NewReader(c.stdout)); s.Scan(); {
		var e struct{ Event, Name, State string }
		if json.Unmarshal(s.Bytes(), &e) == nil && e.State == "retrying" && e.Name == name {
			return true
		}
	}
	return false
}

// A real build that imports what nobody asked for fails, and is built with it; what was learned holds from then on.
func TestMissingModuleIsRepaired(t *testing.T) {
	if os.Getenv("REQPM_E2E") == "" {
		t.Skip("builds packages; set REQPM_E2E=1")
	}
	m := newMachine(t)
	index := serve(t, testindex.Package{Name: "hasty", Version: "1.0", Imports: []string{"numpy"}},
		testindex.Package{Name: "numpy", Version: "2.0", Files: "both", BuildRequires: []string{"num-tool"}}, testindex.Package{Name: "num-tool", Version: "1.0", Files: "both"})
	dir := folder(t, "hasty")
	c := m.run(t, 1, "build", dir, "-i", index, "--name", "hasty", "--json", "--no-proof", "--no-repair")
	equal(t, "failed with --no-repair", "hasty 1.0", names(c.summary.Failed))
	equal(t, "its cause", "missing-module", c.summary.Failed[0].Cause)

	c = m.run(t, 0, "build", dir, "-i", index, "--name", "hasty", "--json")
	equal(t, "built", "hasty 1.0, num-tool 1.0, numpy 2.0", names(c.summary.Built))
	equal(t, "repaired", "hasty: add-build-requirement numpy", c.repaired(t))
	c.proven(t, "hasty")
	if !c.retried("hasty") {
		t.Errorf("no event says that it is tried again:\n%s", c.stdout)
	}
	if slices.ContainsFunc(c.summary.Proof.Installed, func(nevra string) bool { return strings.Contains(nevra, "numpy") }) {
		t.Errorf("a build requirement was installed: %v", c.summary.Proof.Installed)
	}
	kept, err := os.ReadFile(filepath.Join(m.state, "learned", "overrides", "hasty.toml"))
	if err != nil || !strings.Contains(string(kept), `build-requires = ["numpy"]`) {
		t.Errorf("learned: %s, %v", kept, err)
	}
	c = m.run(t, 0, "build", dir, "-i", index, "--name", "hasty", "--json", "--refresh", "--no-proof")
	if c.retried("hasty") {
		t.Error("what was learned is forgotten")
	}
}

// A compiler that does not find a header fails the build; apt brings what has it, for this build alone.
func TestMissingHeaderIsRepaired(t *testing.T) {
	if os.Getenv("REQPM_E2E") == "" || os.Getenv("REQPM_NETWORK") == "" {
		t.Skip("builds a package with one of the distribution: set REQPM_E2E=1 and REQPM_NETWORK=1")
	}
	m := newMachine(t)
	if _, err := os.Stat("/usr/bin/apt-get"); err != nil {
		t.Skip("needs apt")
	}
	const header = "/usr/include/sodium.h"
	if _, err := os.Stat(header); err == nil {
		t.Skip("libsodium-dev is installed: nothing is missing")
	}
	c := m.run(t, 0, "build", folder(t, "salty"), "-i", serve(t, testindex.Extension("salty", "sodium.h", "sodium", "sodium_version_string()")), "--name", "salty", "--json", "--target", "local",
		"--proof-command", `python3 -c 'import salty, re, sys; sys.exit(not re.match("1[.]", salty.version()))'`)
	equal(t, "built", "salty 1.0", names(c.summary.Built))
	equal(t, "repaired", "salty: native-need header:sodium.h", c.repaired(t))
	c.proven(t, "salty")
	if _, err := os.Stat(header); err == nil {
		t.Error("the header is on the machine now")
	}
	kept, err := os.ReadFile(filepath.Join(m.state, "learned", "overrides", "salty.toml"))
	if err != nil || !strings.Contains(string(kept), `rpm:pkgconfig(libsodium)`) {
		t.Errorf("learned: %s, %v", kept, err)
	}
}
