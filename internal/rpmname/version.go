package rpmname

import (
	"strings"

	"reqpm/internal/pep440"
	"reqpm/internal/target"
)

// Version is what the Epoch and Version tags of the package say; epoch is "" when there
// is none. Their order is PEP 440's, with one exception: rpm takes 1.0 and 1.0.0 for
// two versions. Trailing zeros are kept (1.0 stays 1.0), the local part is dropped.
//
//	1.0rc1 → 1.0~rc1   1.0.post1 → 1.0^post1 (1.0.post1 where rpm has no caret)
//	1.0.dev2 → 1.0~~dev2   1.0rc1.dev2 → 1.0~rc1~dev2
func Version(t target.Target, v pep440.Version) (epoch, version string) {
	p := v.Parts()
	if p.Epoch != "0" {
		epoch = p.Epoch
	}
	var b strings.Builder
	b.WriteString(strings.Join(p.Release, "."))
	if p.PreKind != "" {
		b.WriteString("~" + p.PreKind + p.Pre)
	}
	if p.HasPost {
		b.WriteString(postMark(t) + p.Post)
	}
	switch {
	case p.HasDev && (p.PreKind != "" || p.HasPost):
		b.WriteString("~dev" + p.Dev)
	case p.HasDev:
		b.WriteString("~~dev" + p.Dev)
	}
	return epoch, b.String()
}

// EVR joins what Version returns and a release: [E:]V[-R].
func EVR(epoch, version, release string) string {
	if epoch != "" {
		version = epoch + ":" + version
	}
	if release != "" {
		version += "-" + release
	}
	return version
}

func postMark(t target.Target) string {
	if t.RPM.Caret {
		return "^post"
	}
	return ".post"
}

// Provided is the version of the pythonX.Ydist() Provides of a package: raw where the
// target's generator writes it raw, else what pythondistdeps.py makes of it.
func Provided(t target.Target, v pep440.Version) string {
	if t.RPM.ProvidesRaw {
		return strings.ReplaceAll(v.String(), "!", ":")
	}
	return normal(t, v.Parts())
}

// normal is RpmVersion of pythondistdeps.py: trailing zeros go, and of pre, dev and post
// only the first present is written. Its order is wrong for combined suffixes, but
// Provides are made by it, so the right hand side of Requires has to be, too.
func normal(t target.Target, p pep440.Parts) string {
	s := stripped(p)
	switch {
	case p.PreKind != "":
		return s + "~" + p.PreKind + p.Pre
	case p.HasDev:
		return s + "~~dev" + p.Dev
	case p.HasPost:
		return s + postMark(t) + p.Post
	}
	return s
}

// stripped is epoch and release without trailing zero components.
func stripped(p pep440.Parts) string { return epochOf(p) + strings.Join(strip(p.Release), ".") }

func strip(release []string) []string {
	for len(release) > 1 && release[len(release)-1] == "0" {
		release = release[:len(release)-1]
	}
	return release
}

func epochOf(p pep440.Parts) string {
	if p.Epoch == "0" || p.Epoch == "" {
		return ""
	}
	return p.Epoch + ":"
}

// increment is the release whose last number is one higher: 1.9 → 1.10. Numbers are
// decimal strings of any length.
func increment(release []string) []string {
	out := append([]string(nil), release...)
	digits := []byte(out[len(out)-1])
	for i := len(digits) - 1; ; i-- {
		if i < 0 {
			digits = append([]byte{'1'}, digits...)
			break
		}
		if digits[i] != '9' {
			digits[i]++
			break
		}
		digits[i] = '0'
	}
	out[len(out)-1] = string(digits)
	return out
}

func isFinal(p pep440.Parts) bool { return p.PreKind == "" && !p.HasDev && !p.HasPost }
