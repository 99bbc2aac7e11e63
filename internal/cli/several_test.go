package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/testindex"
)

// testSeveral: two targets in one build. The one whose repositories cannot be reached ends the command with
// its own exit code; the other is built, published and proven all the same.
func testSeveral(t *testing.T, m machine) {
	index := serve(t, testindex.Package{Name: "se-tool", Version: "1.0"},
		testindex.Package{Name: "se-app", Version: "1.0", BuildRequires: []string{"se-tool"}, Imports: []string{"se_tool"}})
	targets := filepath.Join(t.TempDir(), "targets.toml")
	text := "[targets.broken]\nbase = \"el9\"\nrepositories = [{ id = \"nowhere\", baseurl = [\"file:///nonexistent/reqpm\"], gpgcheck = false }]\n"
	if err := os.WriteFile(targets, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"build", folder(t, "se-app"), "-i", index, "--targets-file", targets, "-t", "broken,local", "--name", "several"}
	c := m.run(t, 1, append(args, "--json")...)
	equal(t, "built", "se-app 1.0, se-tool 1.0", names(c.summary.Built))
	ends := endsByTarget(t, c)
	if e := ends["broken"]; e.Exit != 1 || !strings.Contains(e.Error, "base root of broken") || e.Repository != "" {
		t.Errorf("the broken target: %+v", e)
	}
	local := ends["local"]
	if local.Exit != 0 || local.Proof == nil || !local.Proof.OK || len(local.Built) != 2 {
		t.Errorf("the good target: %+v", local)
	}
	if !strings.HasSuffix(local.RepoFile, "/several/stable/local/reqpm-several.repo") {
		t.Errorf("its .repo file is %s", local.RepoFile)
	}

	again := m.run(t, 1, args...)
	for _, want := range []string{"[2/2] reused   se-app 1.0 on local", "==> local: sign and publish", "\nlocal:\n", "0 built, 2 reused, 0 failed, 0 blocked", "reqpm: broken: "} {
		if !strings.Contains(again.stderr, want) {
			t.Errorf("stderr does not have %q:\n%s", want, again.stderr)
		}
	}
}

// endOf is a summary of one of several targets.
type endOf struct {
	summary
	Target string `json:"target"`
	Error  string `json:"error"`
}

func endsByTarget(t *testing.T, c command) map[string]endOf {
	t.Helper()
	var doc struct{ Targets []endOf }
	lines := strings.Split(strings.TrimSpace(c.stdout), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &doc); err != nil {
		t.Fatal(err)
	}
	ends := map[string]endOf{}
	for _, e := range doc.Targets {
		ends[e.Target] = e
	}
	return ends
}
