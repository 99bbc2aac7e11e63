package pep440

import (
	"errors"
	"fmt"
	"strings"
)

// maxVersion bounds the length of a version in bytes. Real ones stay far below it;
// the reference sets no bound, but one hostile file name must not cost megabytes.
const maxVersion = 4096

// ErrVersion is wrapped by every error of Parse.
var ErrVersion = errors.New("not a PEP 440 version")

// Version is one parsed PEP 440 version. The zero value is not a version; it sorts
// before all versions and matches no clause.
//
// Two versions are the same when Compare is 0; == compares identities and is
// never what you want. As a map key use String, or Key where 1.0 and 1.0.0 must meet.
type Version struct{ p *parsed }

type parsed struct {
	raw   string // as given to Parse: what === compares
	norm  string // normal form
	key   string // byte order is version order, see key.go
	parts Parts
}

// Parts of the version, for writers of other version systems (rpm).
// Numbers are decimal digit strings without leading zeros, since versions wider
// than 64 bits occur.
type Parts struct {
	Epoch   string   // "0" when absent
	Release []string // at least one
	PreKind string   // "", "a", "b", "rc"
	Pre     string
	HasPost bool
	Post    string
	HasDev  bool
	Dev     string
	Local   string // normalised, "" when absent
}

// Parse reads s (surrounding white space and a leading v are allowed, as PEP 440 says).
// Errors wrap ErrVersion.
func Parse(s string) (Version, error) {
	if len(s) > maxVersion {
		return Version{}, fmt.Errorf("%w: %q is longer than %d bytes", ErrVersion, clip(s), maxVersion)
	}
	parts, ok := scan(lowerASCII(trimSpace(s)))
	if !ok {
		return Version{}, fmt.Errorf("%w: %q", ErrVersion, clip(s))
	}
	return newVersion(s, parts), nil
}

func newVersion(raw string, parts Parts) Version {
	var buf [128]byte
	p := &parsed{raw: raw, parts: parts, norm: raw}
	if norm := appendNormal(buf[:0], &parts); string(norm) != raw {
		p.norm = string(norm)
	}
	p.key = string(appendKey(buf[:0], &parts))
	return Version{p}
}

// Compare returns -1, 0 or +1 in PEP 440 order; local versions take part.
func (v Version) Compare(o Version) int {
	if v.p == o.p {
		return 0
	}
	return strings.Compare(v.Key(), o.Key())
}

// Equal tells whether v and o are the same version: 1.0, 1.0.0 and v1.0 are.
func (v Version) Equal(o Version) bool { return v.Compare(o) == 0 }

// Key is a string of bytes (not text) that orders and compares as the versions do:
// v.Compare(o) is strings.Compare(v.Key(), o.Key()). It serves as a map key. It may
// change between releases of ReqPM, so do not store it.
func (v Version) Key() string {
	if v.p == nil {
		return ""
	}
	return v.p.key
}

// String is the normal form: "1.0rc1", "1!2.0.post3+local.1".
func (v Version) String() string {
	if v.p == nil {
		return ""
	}
	return v.p.norm
}

// Raw is the text v was parsed from, which === compares.
func (v Version) Raw() string {
	if v.p == nil {
		return ""
	}
	return v.p.raw
}

// IsZero tells whether v is the zero value.
func (v Version) IsZero() bool { return v.p == nil }

// IsPrerelease is true for a, b, rc and dev versions.
func (v Version) IsPrerelease() bool {
	return v.p != nil && v.p.parts.isPrerelease()
}

func (p *Parts) isPrerelease() bool { return p.PreKind != "" || p.HasDev }

// Parts splits v. The result is the caller's to change.
func (v Version) Parts() Parts {
	if v.p == nil {
		return Parts{}
	}
	p := v.p.parts
	p.Release = append([]string(nil), p.Release...)
	return p
}

// MarshalText writes the normal form; the zero value is empty text.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText is Parse; empty text gives the zero value.
func (v *Version) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*v = Version{}
		return nil
	}
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*v = parsed
	return nil
}

func appendNormal(b []byte, p *Parts) []byte {
	if p.Epoch != "0" {
		b = append(append(b, p.Epoch...), '!')
	}
	for i, r := range p.Release {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, r...)
	}
	if p.PreKind != "" {
		b = append(append(b, p.PreKind...), p.Pre...)
	}
	if p.HasPost {
		b = append(append(b, ".post"...), p.Post...)
	}
	if p.HasDev {
		b = append(append(b, ".dev"...), p.Dev...)
	}
	if p.Local != "" {
		b = append(append(b, '+'), p.Local...)
	}
	return b
}
