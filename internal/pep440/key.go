package pep440

import "strings"

// A version's key is a byte string whose byte order is PEP 440's order, so that
// comparing, the solver's hottest operation, is one memcmp:
//
//	epoch  component*  0x01  pre  post  dev  local*
//
// A number is a length byte and its digits; zero has none. Trailing zero components
// are left out (1.0 equals 1). The rest:
//
//	pre    0x02 only dev · 0x03 n alpha · 0x04 n beta · 0x05 n rc · 0x06 none
//	post   0x02 none · 0x03 n
//	dev    0x02 n · 0x03 none
//	local  0x02 letters 0x01 · 0x03 n       (letters sort before numbers)
//
// No byte that begins an element is below 0x01 or above 0xf0. So, for a prefix P of
// a key that ends between elements, P+"\xff" sorts after every key that begins with P and
// before every other greater one: "all local versions of V", "all post-releases of V"
// become bounds of an interval. P+"\x00" is the first string after P.
const (
	endRelease = 0x01
	endLetters = 0x01

	preDevOnly = 0x02
	preAlpha   = 0x03
	preBeta    = 0x04
	preRC      = 0x05
	preNone    = 0x06

	absent  = 0x02
	present = 0x03
	hasDev  = 0x02
	noDev   = 0x03

	localLetters = 0x02
	localNumber  = 0x03

	numberBase = 0x02 // length byte of a number without digits
	longNumber = 0xf0 // the length follows in two bytes

	afterAll  = "\xff"
	justAfter = "\x00"
)

func appendKey(b []byte, p *Parts) []byte {
	b = appendThroughPre(b, p)
	if p.HasPost {
		b = appendNumber(append(b, present), p.Post)
	} else {
		b = append(b, absent)
	}
	if p.HasDev {
		b = appendNumber(append(b, hasDev), p.Dev)
	} else {
		b = append(b, noDev)
	}
	return appendLocal(b, p.Local)
}

// appendThroughPre writes what a version shares with all its post-releases.
func appendThroughPre(b []byte, p *Parts) []byte {
	b = appendNumber(b, p.Epoch)
	release := p.Release
	for len(release) > 0 && release[len(release)-1] == "0" {
		release = release[:len(release)-1]
	}
	for _, r := range release {
		b = appendNumber(b, r)
	}
	b = append(b, endRelease)
	switch p.PreKind {
	case "a":
		return appendNumber(append(b, preAlpha), p.Pre)
	case "b":
		return appendNumber(append(b, preBeta), p.Pre)
	case "rc":
		return appendNumber(append(b, preRC), p.Pre)
	}
	if p.HasDev && !p.HasPost {
		return append(b, preDevOnly)
	}
	return append(b, preNone)
}

func appendNumber(b []byte, digits string) []byte {
	if digits == "0" {
		return append(b, numberBase)
	}
	if n := len(digits); n < longNumber-numberBase {
		b = append(b, byte(numberBase+n))
	} else { // maxVersion keeps n far below 1<<16
		b = append(b, longNumber, byte(n>>8), byte(n))
	}
	return append(b, digits...)
}

func appendLocal(b []byte, local string) []byte {
	for local != "" {
		var segment string
		segment, local, _ = strings.Cut(local, ".")
		if strings.Trim(segment, "0123456789") == "" {
			b = appendNumber(append(b, localNumber), segment)
		} else {
			b = append(append(append(b, localLetters), segment...), endLetters)
		}
	}
	return b
}
