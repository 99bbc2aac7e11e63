package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The units start the program with flags that it has, and are what systemd takes.
func TestUnits(t *testing.T) {
	dir := "../../packaging/systemd"
	copies := t.TempDir()
	for file, command := range map[string]string{"reqpm.service": "serve", "reqpm-worker@.service": "worker"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/reqpm (\S+) (.*)$`).FindStringSubmatch(string(text))
		if m == nil || m[1] != command {
			t.Fatalf("%s does not start 'reqpm %s'", file, command)
		}
		_, help, _ := execute(t, command, "--help")
		for _, flag := range regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(string(text), -1) {
			if !strings.Contains(help, flag+" ") {
				t.Errorf("%s: reqpm %s has no %s", file, command, flag)
			}
		}
		// The program is not installed here, and systemd looks whether it is.
		if err := os.WriteFile(filepath.Join(copies, file), []byte(strings.ReplaceAll(string(text), "/usr/bin/reqpm", "/bin/true")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze")
	}
	for _, file := range []string{"reqpm.service", "reqpm-worker@one.service"} {
		if file == "reqpm-worker@one.service" {
			if err := os.Rename(filepath.Join(copies, "reqpm-worker@.service"), filepath.Join(copies, file)); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.Command(verify, "verify", "--man=no", filepath.Join(copies, file)).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "reqpm") { // not the machine's own units
				t.Errorf("%s: %s", file, line)
			}
		}
		if err != nil && len(out) == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
}
