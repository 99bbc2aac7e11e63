package index

import (
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// Distribution is what a file name says.
type Distribution struct {
	Version pep440.Version
	Kind    Kind
	Build   string    // build tag of a wheel, "" for none
	Wheel   WheelTags // for wheels
}

// sdistEndings in the order of how often they occur; ".tgz" and ".tar.bz2" predate
// PEP 527 and are still served for old versions.
var sdistEndings = []string{".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz"}

// maxTags bounds each compressed tag set of a wheel's name; real ones have up to a dozen.
const maxTags = 64

// ParseFilename reads the name of an sdist or wheel of the given project (any spelling).
// It answers false for files of another project, for versions that are not PEP 440, and for
// everything that is no sdist or wheel. The project is needed because old sdist
// names may have dashes in the project part: only "foo-bar" tells that
// foo-bar-1.0.tar.gz is version 1.0.
func ParseFilename(filename, project string) (Distribution, bool) {
	return parseFilename(filename, pep508.NormalizeName(project))
}

func parseFilename(filename, key string) (Distribution, bool) {
	if !safeFilename(filename) || key == "" {
		return Distribution{}, false
	}
	if stem, ok := strings.CutSuffix(filename, ".whl"); ok {
		return parseWheelName(stem, key)
	}
	if stem, ok := sdistStem(filename); ok {
		return parseSdistName(stem, key)
	}
	return Distribution{}, false
}

// safeFilename refuses what could leave a folder or garble a terminal.
func safeFilename(s string) bool {
	if s == "" || len(s) > 255 || s[0] == '.' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f || s[i] == '/' || s[i] == '\\' {
			return false
		}
	}
	return true
}

func sdistStem(filename string) (string, bool) {
	for _, ending := range sdistEndings {
		if n := len(filename) - len(ending); n > 0 && strings.EqualFold(filename[n:], ending) {
			return filename[:n], true
		}
	}
	return "", false
}

// isDistribution tells whether the name ends like a file an index lists, of any project.
func isDistribution(filename string) bool {
	if _, ok := sdistStem(filename); ok {
		return true
	}
	for _, ending := range []string{".whl", ".egg", ".exe", ".msi", ".rpm", ".deb", ".dmg"} {
		if strings.HasSuffix(filename, ending) {
			return true
		}
	}
	return false
}

func parseSdistName(stem, key string) (Distribution, bool) {
	for i := 0; i < len(stem); i++ {
		if stem[i] != '-' || pep508.NormalizeName(stem[:i]) != key {
			continue
		}
		v, err := pep440.Parse(stem[i+1:])
		if err == nil {
			return Distribution{Version: v, Kind: SDist}, true
		}
	}
	return Distribution{}, false
}

func parseWheelName(stem, key string) (Distribution, bool) {
	parts := strings.Split(stem, "-")
	if len(parts) != 5 && len(parts) != 6 {
		return Distribution{}, false
	}
	// "__" in the name part is the one thing the format forbids outright.
	if strings.Contains(parts[0], "__") || pep508.NormalizeName(parts[0]) != key {
		return Distribution{}, false
	}
	v, err := pep440.Parse(parts[1])
	if err != nil {
		return Distribution{}, false
	}
	d := Distribution{Version: v, Kind: Wheel}
	if len(parts) == 6 {
		if d.Build = parts[2]; d.Build == "" || d.Build[0] < '0' || d.Build[0] > '9' {
			return Distribution{}, false
		}
	}
	tags := parts[len(parts)-3:]
	sets := [3][]string{}
	for i, tag := range tags {
		sets[i] = strings.Split(strings.ToLower(tag), ".")
		if len(sets[i]) > maxTags {
			return Distribution{}, false
		}
		for _, t := range sets[i] {
			if t == "" {
				return Distribution{}, false
			}
		}
	}
	d.Wheel = WheelTags{Python: sets[0], ABI: sets[1], Platform: sets[2]}
	return d, true
}
