package mock

import (
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"reqpm/internal/distkey"
)

// distributionKeys is where the package distribution-gpg-keys (which Mock requires on Fedora and
// EL) has the keys of every distribution, one folder each.
const distributionKeys = "/usr/share/distribution-gpg-keys"

// freshKeys replaces the addresses of distribution keys by the files of distribution-gpg-keys that
// have the same name: they came signed, are kept fresh by updates of that package, and need no
// network. What it does not have, or has more than once, or cannot be used any more, is left to
// dnf, which fetches the address.
func freshKeys(urls []string, dir string) []string {
	keys := make([]string, 0, len(urls))
	for _, u := range urls {
		if file, ok := distributionKey(u, dir); ok {
			u = "file://" + file
		}
		keys = append(keys, u)
	}
	return keys
}

func distributionKey(url, dir string) (string, bool) {
	name := path.Base(url)
	if !strings.HasPrefix(url, "https://") || !strings.HasPrefix(name, "RPM-GPG-KEY-") || strings.ContainsAny(name, `*?[\$`) {
		return "", false
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", name))
	if err != nil || len(files) != 1 {
		return "", false
	}
	return files[0], usableKey(readSmall(files[0]), time.Now())
}

// usableKey tells whether text holds OpenPGP keys, of which at least one is neither expired nor
// revoked.
func usableKey(text string, now time.Time) bool {
	keys, err := distkey.Read([]byte(text), now)
	return err == nil && slices.ContainsFunc(keys, func(k distkey.Key) bool { return k.Usable(now) })
}

// maxSmall bounds the files of this machine that are read whole.
const maxSmall = 1 << 20

// readSmall is the text of a file, or nothing.
func readSmall(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSmall))
	if err != nil {
		return ""
	}
	return string(text)
}
