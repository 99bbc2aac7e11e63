package solve

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// universe is a Source written down as lines
//
//	name version [!yanked] [!wheel] [py>=3.12]: requirement | requirement …
type universe struct {
	cands map[string][]Candidate
	reqs  map[string][]pep508.Requirement
	fail  map[string]error // by "name version"
}

func parseUniverse(t testing.TB, text string) *universe {
	t.Helper()
	u := &universe{cands: map[string][]Candidate{}, reqs: map[string][]pep508.Requirement{}, fail: map[string]error{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		head, tail, _ := strings.Cut(line, ":")
		words := strings.Fields(head)
		var reqs []string
		for r := range strings.SplitSeq(tail, "|") {
			if r = strings.TrimSpace(r); r != "" {
				reqs = append(reqs, r)
			}
		}
		c := Candidate{Version: version(t, words[1])}
		for _, w := range words[2:] {
			switch w {
			case "!yanked":
				c.Yanked = true
			case "!wheel":
				c.NoSource = true
			default:
				c.RequiresPython = strings.TrimPrefix(w, "py")
			}
		}
		u.add(t, words[0], c, reqs...)
	}
	return u
}

func (u *universe) add(t testing.TB, name string, c Candidate, reqs ...string) {
	name = pep508.NormalizeName(name)
	u.cands[name] = append(u.cands[name], c)
	for _, r := range reqs {
		k := name + " " + c.Version.String()
		u.reqs[k] = append(u.reqs[k], requirement(t, r))
	}
}

func (u *universe) Candidates(_ context.Context, name string) ([]Candidate, error) {
	c, ok := u.cands[name]
	if !ok {
		return nil, fmt.Errorf("index: %w", ErrNotFound)
	}
	return c, nil
}

func (u *universe) Requires(_ context.Context, name string, v pep440.Version) ([]pep508.Requirement, error) {
	k := name + " " + v.String()
	return u.reqs[k], u.fail[k]
}

func version(t testing.TB, s string) pep440.Version {
	t.Helper()
	v, err := pep440.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func requirement(t testing.TB, s string) pep508.Requirement {
	t.Helper()
	r, err := pep508.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// request reads requirements, one a line; "-c" before one makes it a constraint, "-o" an
// override.
func request(t testing.TB, text string) Request {
	t.Helper()
	req := Request{Env: pep508.Linux("3.11.2", "x86_64")}
	for _, r := range rootsOf(t, "requirements.txt", text) {
		if r.Origin.File == "--override" {
			r.Origin.Line = 0
			req.Overrides = append(req.Overrides, r)
		} else {
			req.Roots = append(req.Roots, r)
		}
	}
	return req
}

func rootsOf(t testing.TB, file, text string) []Root {
	t.Helper()
	var roots []Root
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" {
			n--
			continue
		}
		rest, constraint := strings.CutPrefix(line, "-c ")
		f := file
		if constraint {
			f = "constraints.txt"
		}
		if o, ok := strings.CutPrefix(rest, "-o "); ok {
			rest, f = o, "--override"
		}
		roots = append(roots, Root{
			Req: requirement(t, rest), Constraint: constraint,
			Origin: Origin{File: f, Line: n, Text: rest},
		})
	}
	return roots
}

func packages(sol Solution) string {
	var words []string
	for _, p := range sol.Packages {
		w := p.Name
		if len(p.Extras) > 0 {
			w += "[" + strings.Join(p.Extras, ",") + "]"
		}
		words = append(words, w+"="+p.Version.String())
	}
	return strings.Join(words, " ")
}
