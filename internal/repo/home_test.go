package repo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The folder that held the private key goes, also where its path is too long for the agent's
// sockets and a link stands for it.
func TestKeyFolderGoes(t *testing.T) {
	for _, name := range []string{"short", strings.Repeat("long", 30)} {
		tmp := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(tmp, 0o755); err != nil {
			t.Fatal(err)
		}
		home, remove, err := gnupgHome(tmp)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, "key.asc"), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if len(home) > maxSocketDir {
			t.Errorf("%s is longer than a socket's name may be", home)
		}
		remove()
		if left, _ := os.ReadDir(tmp); len(left) > 0 {
			t.Errorf("%s still holds %v", tmp, left)
		}
		if _, err := os.Lstat(home); err == nil {
			t.Errorf("%s is still there", home)
		}
	}
}
