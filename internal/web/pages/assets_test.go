package pages

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Of two functions of one name in the same scope, JavaScript takes the last, and says nothing.
func TestScriptsNameNothingTwice(t *testing.T) {
	files, err := filepath.Glob("assets/*.js")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	declared := regexp.MustCompile(`(?m)^( *)(?:async )?function (\w+)\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, f := range declared.FindAllStringSubmatch(string(text), -1) {
			if f[1] == "  " && seen[f[2]] {
				t.Errorf("%s has two functions %s", file, f[2])
			}
			seen[f[2]] = true
		}
	}
}
