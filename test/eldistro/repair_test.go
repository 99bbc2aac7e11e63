package eldistro

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/testindex"
)

// A build that misses a compiler, and then a header, is repaired with what the distribution's repository has: gcc, which
// no table is needed for, and libyaml.
func TestNativeNeedsAreRepaired(t *testing.T) {
	dir := distro(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root: build roots are mounted")
	}
	server, err := testindex.Start(testindex.Extension("yamlish", "yaml.h", "yaml", "yaml_get_version_string()"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("PIP_CONFIG_FILE", os.DevNull)
	targets, err := os.ReadFile(filepath.Join(dir, "target.toml"))
	if err != nil {
		t.Fatal(err)
	}
	// The macros of the other style want a packaging of the index's.
	file, project := filepath.Join(home, "own.toml"), filepath.Join(home, "site")
	if err := os.Mkdir(project, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{file: string(targets) + "\n[targets.eld]\nbase = \"eldistro\"\nstyle = \"driver\"\n",
		filepath.Join(project, "requirements.txt"): "yamlish\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := reqpm(t, 0, "build", project, "--json", "--target", "eld", "--targets-file", file, "-i", server.URL, "--state", filepath.Join(home, "state"),
		"--proof-command", "python3 -c 'import yamlish; assert yamlish.version()[0] == \"0\"'")
	var s struct {
		Built []struct {
			Name    string `json:"name"`
			Repairs []struct {
				Changes []struct{ Value string } `json:"changes"`
			} `json:"repairs"`
		} `json:"built"`
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
		t.Fatal(err)
	}
	var made []string
	for _, p := range s.Built {
		for _, r := range p.Repairs {
			made = append(made, p.Name+" "+r.Changes[0].Value)
		}
	}
	if got, want := strings.Join(made, ", "), "yamlish program:gcc, yamlish header:yaml.h"; got != want {
		t.Errorf("repairs: %q, not %q\n%s", got, want, out)
	}
	learned, err := os.ReadFile(filepath.Join(home, "state", "learned", "overrides", "yamlish.toml"))
	if err != nil || !strings.Contains(string(learned), "rpm:/usr/bin/gcc") || !strings.Contains(string(learned), "rpm:pkgconfig(yaml-0.1)") {
		t.Errorf("learned: %s, %v", learned, err)
	}
}
