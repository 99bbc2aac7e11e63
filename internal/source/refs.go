package source

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"reqpm/internal/near"
)

// maxRefs bounds what a server may list.
const maxRefs = 1_000_000

var (
	objectID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	// abbreviated ids shorter than this are taken for names only.
	shortID = regexp.MustCompile(`^[0-9a-f]{6,63}$`)
)

// remote is what a server says it has.
type remote struct {
	head string // full name of the default branch; "" when HEAD is detached or absent
	at   string // commit of HEAD
	refs []Ref
}

// listRefs returns branches, then tags, each sorted by name.
func (g *git) listRefs(ctx context.Context) ([]Ref, error) {
	r, err := g.ask(ctx)
	return r.refs, err
}

func (g *git) ask(ctx context.Context) (remote, error) {
	out, err := g.runRemote(ctx, func(url string) []string {
		return []string{"ls-remote", "--symref", "--", url, "HEAD", "refs/heads/*", "refs/tags/*"}
	})
	if err != nil {
		return remote{}, err
	}
	return parseRefs(string(out))
}

// parseRefs reads "git ls-remote --symref".
func parseRefs(out string) (remote, error) {
	var r remote
	byName := map[string]int{}
	for line := range strings.Lines(out) {
		id, name, ok := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if !ok {
			continue
		}
		if target, sym := strings.CutPrefix(id, "ref: "); sym {
			if name == "HEAD" {
				r.head = target
			}
			continue
		}
		if !objectID.MatchString(id) {
			return remote{}, fmt.Errorf("the server lists %.80q, which is no object id", id)
		}
		if name == "HEAD" {
			r.at = id
			continue
		}
		ref := Ref{Kind: "branch", Commit: id}
		if ref.Name, ok = strings.CutPrefix(name, "refs/heads/"); !ok {
			if ref.Name, ok = strings.CutPrefix(name, "refs/tags/"); !ok {
				continue
			}
			ref.Kind = "tag"
			// "v1^{}" follows "v1" and is the commit an annotated tag points at.
			if plain, peeled := strings.CutSuffix(ref.Name, "^{}"); peeled {
				if i, seen := byName[plain]; seen {
					r.refs[i].Commit = id
				}
				continue
			}
			byName[ref.Name] = len(r.refs)
		}
		if checkRef(ref.Name) != nil {
			continue // git allows no such name; it must not reach a command line or a page
		}
		if len(r.refs) >= maxRefs {
			return remote{}, fmt.Errorf("the server lists more than %d refs", maxRefs)
		}
		ref.Default = r.head == "refs/heads/"+ref.Name && ref.Kind == "branch"
		r.refs = append(r.refs, ref)
	}
	slices.SortStableFunc(r.refs, func(a, b Ref) int {
		if a.Kind != b.Kind {
			return strings.Compare(a.Kind, b.Kind)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return r, nil
}

// wanted is what a ref means at the remote.
type wanted struct {
	ref     string // short name, or the commit id asked for
	full    string // refs/heads/…, refs/tags/…, HEAD; "" when only an id is known
	commit  string // "" when abbreviated and not the tip of anything
	warning string
}

// resolve finds what name means. A branch wins over a tag of the same name, as with
// git clone; a full commit id is never taken for a name.
func (r remote) resolve(name string) (wanted, error) {
	if name == "" || name == "HEAD" {
		if r.at == "" {
			if len(r.refs) == 0 {
				return wanted{}, fmt.Errorf("%w: the repository has no commits", ErrNotFound)
			}
			return wanted{}, fmt.Errorf("%w: the repository has no default branch; name one of %s", ErrNotFound, strings.Join(r.near(""), ", "))
		}
		short := strings.TrimPrefix(r.head, "refs/heads/")
		if short == "" {
			short = "HEAD"
		}
		return wanted{ref: short, full: "HEAD", commit: r.at}, nil
	}
	if objectID.MatchString(name) {
		return wanted{ref: name, commit: name}, nil
	}
	var found []Ref
	for _, ref := range r.refs {
		full := "refs/heads/" + ref.Name
		if ref.Kind == "tag" {
			full = "refs/tags/" + ref.Name
		}
		if name == ref.Name || name == full || "refs/"+name == full {
			found = append(found, ref)
		}
	}
	if len(found) > 0 {
		ref := found[0]
		w := wanted{ref: ref.Name, full: "refs/heads/" + ref.Name, commit: ref.Commit}
		if ref.Kind == "tag" {
			w.full = "refs/tags/" + ref.Name
		}
		if len(found) > 1 && found[1].Commit != ref.Commit {
			w.warning = fmt.Sprintf("%s is a branch and a tag; the branch was taken (refs/tags/%s names the tag)", name, found[1].Name)
		}
		return w, nil
	}
	if id := strings.ToLower(name); shortID.MatchString(id) {
		return wanted{ref: name}, nil
	}
	return wanted{}, r.unknown(name)
}

// unknown is the error for a ref that is not there, with names that come near.
func (r remote) unknown(name string) error {
	near := r.near(name)
	if len(near) == 0 {
		return fmt.Errorf("%w: no branch, tag or commit %s", ErrNotFound, name)
	}
	return fmt.Errorf("%w: no branch, tag or commit %s; did you mean %s?", ErrNotFound, name, strings.Join(near, ", "))
}

// near returns at most three names that somebody who wrote name may have meant.
func (r remote) near(name string) []string {
	type candidate struct {
		name  string
		score int
	}
	var all []candidate
	seen := map[string]bool{}
	want := strings.ToLower(name)
	for _, ref := range r.refs {
		low := strings.ToLower(ref.Name)
		if seen[ref.Name] || len(ref.Name) > 100 {
			continue
		}
		score := -1
		switch {
		case name == "":
			score = 0
		case low == want:
			score = 0
		case strings.TrimPrefix(low, "v") == strings.TrimPrefix(want, "v"):
			score = 1
		case strings.HasPrefix(low, want+"."), strings.HasSuffix(low, "/"+want), strings.HasSuffix(low, "-"+want):
			score = 2
		default:
			if d := near.Distance(low, want); d <= max(1, len(want)/3) {
				score = 2 + d
			}
		}
		if score >= 0 {
			seen[ref.Name] = true
			all = append(all, candidate{ref.Name, score})
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return a.score - b.score })
	var names []string
	for _, c := range all[:min(3, len(all))] {
		names = append(names, c.name)
	}
	return names
}

// exactTag is the tag that names this very commit; annotated and plain ones count alike,
// the last by name wins ("v1.0" over "latest" is a matter of taste nobody relies on).
func (r remote) exactTag(commit string) string {
	tag := ""
	for _, ref := range r.refs {
		if ref.Kind == "tag" && ref.Commit == commit {
			tag = ref.Name
		}
	}
	return tag
}

func (r remote) hasTags() bool {
	return slices.ContainsFunc(r.refs, func(ref Ref) bool { return ref.Kind == "tag" })
}

// isKind tells whether err is of one of the kinds callers know.
func isKind(err error) bool {
	return errors.Is(err, ErrNetwork) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrAuth)
}
