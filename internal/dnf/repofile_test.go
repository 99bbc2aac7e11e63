package dnf

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRepoFileMustCheckSignatures(t *testing.T) {
	const good = "[a]\nname=a\nbaseurl=file:///x/$basearch,\n  http://127.0.0.1/y\ngpgcheck=1\nrepo_gpgcheck = 1\ngpgkey=file:///x/key\n"
	tests := []struct {
		name, text string
		ok         bool
	}{
		{"good", good, true},
		{"no metadata signature", "[a]\nbaseurl=file:///x\ngpgcheck=1\n", false},
		{"no package signature", "[a]\nbaseurl=file:///x\nrepo_gpgcheck=1\n", false},
		{"second section", good + "[b]\nbaseurl=file:///z\n", false},
		{"empty", "\n", false},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "a.repo")
		if err := os.WriteFile(path, []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		urls, err := CheckRepoFile(path)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.ok && len(urls) != 3 {
			t.Errorf("addresses %q; want three", urls)
		}
	}
}
