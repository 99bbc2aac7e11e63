package dnf

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxRepoFile bounds a .repo file, which somebody else may have written.
const maxRepoFile = 1 << 20

// CheckRepoFile makes sure both kinds of signatures will be checked and returns every
// address the file names.
func CheckRepoFile(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRepoFile))
	if err != nil {
		return nil, err
	}
	var urls []string
	section, checks := "", map[string]string{}
	finish := func() error {
		if section == "" || section == "main" {
			return nil
		}
		for _, k := range []string{"gpgcheck", "repo_gpgcheck"} {
			if v := strings.ToLower(checks[k]); v != "1" && v != "true" && v != "yes" {
				return fmt.Errorf("%s: repository %s does not set %s=1; unsigned packages prove nothing", path, section, k)
			}
		}
		return nil
	}
	for line := range strings.Lines(string(text)) {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "[") {
			if err := finish(); err != nil {
				return nil, err
			}
			section, checks = strings.Trim(trimmed, "[]"), map[string]string{}
			continue
		}
		if k, v, ok := strings.Cut(trimmed, "="); ok && line[0] != ' ' && line[0] != '\t' {
			checks[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
		if i := strings.Index(trimmed, "="); i >= 0 {
			trimmed = trimmed[i+1:]
		}
		for _, u := range strings.Fields(strings.ReplaceAll(trimmed, ",", " ")) {
			if strings.Contains(u, "://") {
				urls = append(urls, u)
			}
		}
	}
	if section == "" {
		return nil, fmt.Errorf("%s: no repository in it", path)
	}
	return urls, finish()
}
