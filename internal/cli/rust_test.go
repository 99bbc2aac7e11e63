package cli_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A package with a Rust extension, from the index to an installed and imported RPM: its crates are fetched by the
// cargo of whoever runs the test, its compiler is the target's.
func TestRustFromTheIndex(t *testing.T) {
	if os.Getenv("REQPM_E2E_LONG") != "1" {
		t.Skip("builds a package for five minutes or more: set REQPM_E2E_LONG=1, REQPM_E2E=1 and REQPM_NETWORK=1")
	}
	m := onTheIndex(t)
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	// A cargo of rustup lies in the home folder.
	for name, dir := range map[string]string{"CARGO_HOME": ".cargo", "RUSTUP_HOME": ".rustup"} {
		if os.Getenv(name) == "" {
			m.env = append(m.env, name+"="+filepath.Join(home, dir))
		}
	}
	c := m.run(t, 0, "build", folder(t, "bcrypt==5.0.0"), "--target", "local", "--json", "--timeout", "1h")
	if c.summary.Proof == nil || !c.summary.Proof.OK || !slices.Contains(c.summary.Proof.Imported, "bcrypt") {
		t.Errorf("proof: %+v", c.summary.Proof)
	}
}
