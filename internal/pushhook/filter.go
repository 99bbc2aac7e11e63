package pushhook

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Filter is which pushes a project wants runs of. Patterns: * is anything within a folder's name, ** anything, ? one
// character; one with ! in front takes out what those before it let in.
type Filter struct {
	Branches []string // none: the project's own branch
	Tags     []string // none: no tags
	Paths    []string // of changed files; none: all
}

// Bounds of a Filter.
const (
	maxPatterns = 50
	maxPattern  = 200
)

// Check refuses patterns that no name can be like.
func (f Filter) Check() error {
	for what, patterns := range map[string][]string{"branches": f.Branches, "tags": f.Tags, "paths": f.Paths} {
		if len(patterns) > maxPatterns {
			return fmt.Errorf("%s: at most %d patterns", what, maxPatterns)
		}
		for _, p := range patterns {
			if bare := strings.TrimPrefix(p, "!"); bare == "" || len(p) > maxPattern || !utf8.ValidString(p) || strings.ContainsAny(bare, "\n\r\x00") || strings.HasPrefix(bare, "/") {
				return fmt.Errorf("%s: %.60q is not a pattern: 1 to %d bytes in one line, not from the root", what, p, maxPattern)
			}
		}
	}
	return nil
}

// Decision is what becomes of a push.
type Decision struct {
	Run bool
	Ref string // the branch or tag; "": the project's own
	Why string // for people
}

// Decide tells whether a project that follows own ("": the default branch) wants a run of a push.
func (f Filter) Decide(p Push, own string) Decision {
	if p.Deleted {
		return Decision{Why: "it was deleted"}
	}
	d := Decision{Ref: p.Branch + p.Tag}
	switch isOwn := p.own(own); {
	case p.Tag != "" && !isOwn && !compile(f.Tags).let(p.Tag):
		return Decision{Why: fmt.Sprintf("the tag %s is not among those of the hook", p.Tag)}
	case p.Branch != "" && len(f.Branches) == 0 && !isOwn:
		return Decision{Why: fmt.Sprintf("the branch %s is not the project's", p.Branch)}
	case p.Branch != "" && len(f.Branches) > 0 && !compile(f.Branches).let(p.Branch):
		return Decision{Why: fmt.Sprintf("the branch %s is not among those of the hook", p.Branch)}
	case isOwn:
		d.Ref = own
	}
	d.Run, d.Why = true, "pushed to "+p.Branch+p.Tag
	switch {
	case len(f.Paths) == 0:
		return d
	case !p.Whole:
		d.Why += "; which files changed is not known"
		return d
	}
	paths := compile(f.Paths)
	for _, file := range p.Files {
		if paths.let(file) {
			d.Why += "; " + shortened(file) + " changed"
			return d
		}
	}
	return Decision{Why: fmt.Sprintf("none of the %d changed files is among those of the hook", len(p.Files))}
}

// own tells whether a push is to what the project follows.
func (p Push) own(ref string) bool {
	if ref == "" {
		return p.Branch != "" && (p.Branch == p.Default || p.Default == "" && (p.Branch == "main" || p.Branch == "master"))
	}
	return p.Branch+p.Tag == ref
}

// Refs are the names under which a run of this push may be known: a run of the default branch says so, or names it.
func (p Push) Refs(d Decision) []string {
	refs := []string{d.Ref}
	if name := p.Branch + p.Tag; name != d.Ref {
		refs = append(refs, name)
	}
	return refs
}

func shortened(text string) string {
	if runes := []rune(text); len(runes) > 80 {
		return "…" + string(runes[len(runes)-80:])
	}
	return text
}

// rule is a pattern made ready.
type rule struct {
	like *regexp.Regexp
	out  bool
}

type rules []rule

func compile(patterns []string) rules {
	var all rules
	for _, p := range patterns {
		bare, out := strings.CutPrefix(p, "!")
		all = append(all, rule{like(bare), out})
	}
	return all
}

// let tells whether the last pattern that a name is like lets it in. Where the first one takes out, it is from everything.
func (all rules) let(name string) bool {
	in := len(all) > 0 && all[0].out
	for _, r := range all {
		if r.like.MatchString(name) {
			in = !r.out
		}
	}
	return in
}

// like makes an expression of a pattern, which takes linear time whatever the name.
func like(pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`\A(?s:`)
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case strings.HasPrefix(pattern[i:], "**/"): // also no folder at all
			b.WriteString(`(?:.*/)?`)
			i += 2
		case strings.HasPrefix(pattern[i:], "**"):
			b.WriteString(`.*`)
			i++
		case c == '*':
			b.WriteString(`[^/]*`)
		case c == '?':
			b.WriteString(`[^/]`)
		default:
			end := i + 1
			for end < len(pattern) && pattern[end] != '*' && pattern[end] != '?' {
				end++
			}
			b.WriteString(regexp.QuoteMeta(pattern[i:end]))
			i = end - 1
		}
	}
	b.WriteString(`)\z`)
	return regexp.MustCompile(strings.ToValidUTF8(b.String(), "\uFFFD")) // of quoted texts and the above alone
}
