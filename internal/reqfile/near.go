package reqfile

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strings"

	"reqpm/internal/near"
)

// nearest returns up to limit of known that somebody may have meant by want,
// best first.
func nearest(want string, known []string, limit int) []string {
	const longest = 200
	if len(want) > longest {
		return nil
	}
	type guess struct {
		name     string
		distance int
	}
	var guesses []guess
	for _, name := range known {
		if len(name) > longest {
			continue
		}
		d := near.Distance(strings.ToLower(want), strings.ToLower(name))
		if d <= max(2, len(want)/4) {
			guesses = append(guesses, guess{name, d})
		}
	}
	slices.SortStableFunc(guesses, func(a, b guess) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, g := range guesses {
		if len(names) < limit && !slices.Contains(names, g.name) {
			names = append(names, g.name)
		}
	}
	return names
}

// nearFiles proposes existing files for one that is missing: like-named ones of
// the same folder, and the same name in the folders people keep such files in.
func nearFiles(root confined, missing string, folders bool) []string {
	dirs := []string{path.Dir(missing), ".", "requirements", path.Dir(path.Dir(missing))}
	base := path.Base(missing)
	var same, like []string
	for i, dir := range dirs {
		if slices.Contains(dirs[:i], dir) || !fs.ValidPath(dir) {
			continue
		}
		for _, name := range root.names(dir, folders) {
			full := path.Join(dir, name)
			switch {
			case name == base:
				same = append(same, full)
			case dir == path.Dir(missing):
				like = append(like, full)
			}
		}
	}
	all := append(same, nearest(missing, like, 3)...)
	return all[:min(3, len(all))]
}
