package index

import (
	"encoding/hex"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"reqpm/internal/pep508"
)

// link is one file as a page names it, before its name is understood.
type link struct {
	filename       string
	url            string // absolute, without credentials and fragment
	hashes         map[string]string
	requiresPython string
	yanked         bool
	yankedReason   string
	size           int64
	uploaded       time.Time
	hasMetadata    bool
	metadataSHA256 string
}

// digestLength of the hash names Python's indexes use, in hex digits.
var digestLength = map[string]int{"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}

// addHash keeps a hash in normal form. A known algorithm with a value that cannot be one is
// dropped; unknown algorithms are kept for whoever can check them.
func (l *link) addHash(name, value string) {
	name, value = strings.ToLower(name), strings.ToLower(value)
	if len(name) > 20 || len(l.hashes) >= 16 {
		return
	}
	if _, err := hex.DecodeString(value); err != nil || value == "" || len(value) > 256 {
		return
	}
	if n, known := digestLength[name]; known && len(value) != n {
		return
	}
	if l.hashes == nil {
		l.hashes = map[string]string{}
	}
	l.hashes[name] = value
}

func validSHA256(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 64
}

// resolveLink makes href absolute. Pages from the network may only lead to the network:
// a file address on one would read this machine's files.
func resolveLink(base *url.URL, href string) (*url.URL, bool) {
	ref, err := url.Parse(strings.TrimSpace(href))
	if err != nil {
		return nil, false
	}
	u := base.ResolveReference(ref)
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
		return u, u.Host != ""
	case "file":
		return u, base.Scheme == "file" && (u.Host == "" || u.Host == "localhost")
	}
	return nil, false
}

// plainURL tells whether href is what taking it apart and putting it together again would make of it:
// an absolute https address of nothing but characters that mean themselves, as nearly all links of an
// index are. It is no more than a short cut.
func plainURL(href string) bool {
	rest, ok := strings.CutPrefix(href, "https://")
	slash := strings.IndexByte(rest, '/')
	if !ok || slash <= 0 {
		return false
	}
	for i := range len(rest) {
		switch b := rest[i]; {
		case b >= 'a' && b <= 'z', b >= '0' && b <= '9', b == '.', b == '-':
		case i > slash && (b >= 'A' && b <= 'Z' || b == '_' || b == '/' && rest[i-1] != '/' || b == '~' || b == '+'):
		case i == slash:
		default:
			return false
		}
	}
	return !strings.Contains(rest, "/.")
}

func urlFilename(u *url.URL) string { return path.Base(u.Path) }

// maxText bounds the free text of one file: its requires-python and why it was yanked.
const maxText = 4 << 10

func clip(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.ToValidUTF8(s, "")
}

// toFiles keeps the links that are files of the project, oldest version first, each
// file name once: the first link of a name counts.
func toFiles(links []link, name, index string) []File {
	key := pep508.NormalizeName(name)
	files := make([]File, 0, len(links))
	seen := make(map[string]bool, len(links))
	for i := range links {
		l := &links[i]
		d, ok := parseFilename(l.filename, key)
		if !ok || seen[l.filename] {
			continue
		}
		seen[l.filename] = true
		files = append(files, File{
			Name: key, Filename: l.filename, Version: d.Version, Kind: d.Kind, Wheel: d.Wheel,
			URL: l.url, SHA256: l.hashes["sha256"], Hashes: l.hashes, Size: l.size,
			RequiresPython: l.requiresPython, Yanked: l.yanked, YankedReason: l.yankedReason,
			UploadTime: l.uploaded, HasMetadata: l.hasMetadata, MetadataSHA256: l.metadataSHA256,
			Index: index,
		})
	}
	sortFiles(files)
	return files
}

// sortFiles orders by version, then sdists before wheels, then by name.
func sortFiles(files []File) {
	slices.SortStableFunc(files, func(a, b File) int {
		if c := a.Version.Compare(b.Version); c != 0 {
			return c
		}
		if a.Kind != b.Kind {
			return strings.Compare(string(a.Kind), string(b.Kind))
		}
		return strings.Compare(a.Filename, b.Filename)
	})
}
