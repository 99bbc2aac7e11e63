package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Packages with a Rust extension, from the index to an installed and imported RPM: their crates are fetched by the
// cargo of whoever runs the test, their compiler is the target's. bcrypt is built by setuptools-rust; rpds-py by
// maturin, a program of two hundred crates that is built from source first.
func TestRustFromTheIndex(t *testing.T) {
	if os.Getenv("REQPM_E2E_LONG") != "1" {
		t.Skip("builds packages for a quarter of an hour or more: set REQPM_E2E_LONG=1, REQPM_E2E=1 and REQPM_NETWORK=1")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct{ name, version, tool, proof string }{
		{"bcrypt", "5.0.0", "setuptools-rust", `import bcrypt; assert bcrypt.checkpw(b"x", bcrypt.hashpw(b"x", bcrypt.gensalt(4)))`},
		{"rpds-py", "2026.9.1", "maturin", `import rpds; assert rpds.HashTrieMap({"a": 1}).insert("b", 2)["b"] == 2`},
	} {
		t.Run(p.tool, func(t *testing.T) {
			m := onTheIndex(t)
			// A cargo of rustup lies in the home folder.
			for name, dir := range map[string]string{"CARGO_HOME": ".cargo", "RUSTUP_HOME": ".rustup"} {
				if os.Getenv(name) == "" {
					m.env = append(m.env, name+"="+filepath.Join(home, dir))
				}
			}
			c := m.run(t, 0, "build", folder(t, p.name+"=="+p.version), "--target", "local", "--json", "--timeout", "2h", "--proof-command", "python3 -c '"+p.proof+"'")
			c.proven(t, p.name)
			if built := names(c.summary.Built); !strings.Contains(built, p.name+" "+p.version) || !strings.Contains(built, p.tool+" ") {
				t.Errorf("built: %s", built)
			}
			if c := c.summary.Proof.Command; c == nil || c.Status != 0 {
				t.Errorf("the command of the proof: %+v", c)
			}
		})
	}
}
