package pages

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"reqpm/internal/service"
	"reqpm/internal/store"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func pathPart(s string) string { return url.PathEscape(s) }

// anchor makes an element's id of texts that may be anything.
func anchor(parts ...string) string {
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte('-')
		}
		for _, r := range part {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
				b.WriteRune(r)
			} else {
				fmt.Fprintf(&b, "_%x_", r)
			}
		}
	}
	return b.String()
}

// number writes a number with its thousands apart.
func number(n int64) string {
	text := itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// comma is what stands between the i-th of n and the next.
func comma(i, n int) string {
	if i < n-1 {
		return ", "
	}
	return ""
}

// plural is "1 run", "2 runs".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(int64(n)) + " " + one + "s"
}

// clock is a duration as people read it off: 0:07, 6:42, 1:02:03.
func clock(d time.Duration) string {
	s := int64(math.Round(d.Seconds()))
	if s < 0 {
		s = 0
	}
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// took is how long something took, or takes until now; "" when it has not begun.
func took(started, finished, now time.Time) string {
	if started.IsZero() {
		return ""
	}
	if finished.IsZero() || finished.Before(started) {
		finished = now
	}
	return clock(finished.Sub(started))
}

// agoText is how long ago something was. The page's script counts on by the same rule.
func agoText(t, now time.Time) string {
	switch s := now.Sub(t).Seconds(); {
	case t.IsZero():
		return "never"
	case s < 45:
		return "now"
	case s < 90*60:
		return fmt.Sprintf("%.0f min ago", math.Max(1, s/60))
	case s < 36*3600:
		return fmt.Sprintf("%.0f h ago", s/3600)
	case s < 60*86400:
		return fmt.Sprintf("%.0f d ago", s/86400)
	}
	return t.Format("2 Jan 2006")
}

// exact is a moment in full, for those who ask.
func exact(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// bytesText is a size: 412 MB.
func bytesText(n int64) string {
	f, unit := float64(n), 0
	for units := len(byteUnits) - 1; f >= 999.5 && unit < units; unit++ {
		f /= 1000
	}
	if f < 10 && unit > 0 {
		return fmt.Sprintf("%.1f %s", f, byteUnits[unit])
	}
	return fmt.Sprintf("%.0f %s", f, byteUnits[unit])
}

var byteUnits = []string{"B", "kB", "MB", "GB", "TB"}

// short is a commit as people name it.
func short(commit string) string {
	if len(commit) > 7 {
		return commit[:7]
	}
	return commit
}

// splitPackage takes NAME==VERSION apart.
func splitPackage(pkg string) (name, version string) {
	name, version, _ = strings.Cut(pkg, "==")
	return name, version
}

// ansi are the sequences that move or colour a terminal.
var ansi = regexp.MustCompile("\x1b(\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)?|.)?")

// plain is a text of somebody else's with nothing in it that would change how the rest is shown: no sequences for
// terminals, no control characters, and marks that turn the direction of writing in words.
func plain(text string) string {
	if !strings.ContainsFunc(text, hides) {
		return text
	}
	var b strings.Builder
	for _, r := range ansi.ReplaceAllString(text, "") {
		switch {
		case !hides(r):
			b.WriteRune(r)
		case r > ' ' && r != 0x7f:
			fmt.Fprintf(&b, "[U+%04X]", r)
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// hides says whether a character is not seen itself, or changes how others are shown: one of control or format (Unicode's categories
// Cc, Cf, Zl and Zp), of private use, or a letter that has no picture.
func hides(r rune) bool {
	switch {
	case r < 0xad: // nearly all
		return r < ' ' || r >= 0x7f && r < 0xa0
	case r == 0x34f, r == 0x115f, r == 0x1160, r == 0x2800, r == 0x3164, r == 0xffa0:
		return true
	}
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}

// firstLine is the beginning of a longer text, at most n runes.
func firstLine(text string, n int) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = plain(text)
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}

// The states of the pages, in the order in which they are told: what needs somebody comes first. They are words of
// style sheet and sprite too.
var states = []string{"failed", "blocked", "running", "queued", "waiting", "succeeded", "reused", "cancelled"}

var stateWords = map[string]string{
	"failed": "Failed", "blocked": "Blocked", "running": "Running", "queued": "Queued", "waiting": "Waiting",
	"succeeded": "Succeeded", "reused": "Reused", "cancelled": "Cancelled", "skipped": "Skipped", "none": "Not there",
}

// stateOf is a step's state as pages have it: what was taken from the cache or the distribution was built by nobody.
func stateOf(s store.Step) string {
	switch s.State {
	case store.Ready:
		return "queued"
	case store.Succeeded:
		if s.Kind == store.Build && builtOf(s).State != "built" && builtOf(s).State != "" {
			return "reused"
		}
	}
	return string(s.State)
}

// builtOf is the result of a build step.
func builtOf(s store.Step) service.Built {
	var b service.Built
	_ = json.Unmarshal(s.Result, &b) // none before its end
	return b
}

// farIf marks a table or a picture of so many rows that most of it is below the window: it is laid out when somebody comes near it.
func farIf(rows int) string {
	if rows > 100 {
		return "far"
	}
	return ""
}

// firstOf is how many of all a list shows that is to have about so many: a single one that is left is shown, not counted.
func firstOf(all, most int) int {
	if all <= most+1 {
		return all
	}
	return most
}
