package diagnose

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// WithoutHook is the patch (for patch -p1) that takes a build hook of hatchling out of a pyproject.toml: for all
// builds, or for one kind. Only whole lines go. That the text then says what it said, but for the hook, is
// proven by a TOML parser; where it cannot be, or there is no such hook, that is the error.
func WithoutHook(pyproject, hook string) (string, error) {
	if strings.Contains(pyproject, "\r") || !strings.HasSuffix(pyproject, "\n") {
		return "", errors.New("pyproject.toml has line ends that ReqPM does not patch")
	}
	lines := strings.SplitAfter(strings.TrimSuffix(pyproject, "\n"), "\n")
	lines[len(lines)-1] += "\n"
	drop := make([]bool, len(lines))
	var table []string
	found := false
	for i, line := range lines {
		text := strings.TrimSpace(line)
		if header, ok := strings.CutPrefix(text, "["); ok && strings.HasPrefix(line, "[") {
			name, _, _ := strings.Cut(strings.TrimPrefix(header, "["), "]")
			table = keyParts(name)
			drop[i] = ofHook(table, hook)
		} else if ofHook(table, hook) {
			drop[i] = true
		} else if key, _, ok := strings.Cut(text, "="); ok && !strings.HasPrefix(text, "#") {
			drop[i] = ofHook(append(slices.Clone(table), keyParts(key)...), hook)
		}
		found = found || drop[i]
	}
	if !found {
		return "", fmt.Errorf("pyproject.toml sets up no build hook %s", hook)
	}
	var rest strings.Builder
	for i, line := range lines {
		if !drop[i] {
			rest.WriteString(line)
		}
	}
	var before, after map[string]any
	if err := errors.Join(toml.Unmarshal([]byte(pyproject), &before), toml.Unmarshal([]byte(rest.String()), &after)); err != nil {
		return "", fmt.Errorf("pyproject.toml without its build hook %s: %w", hook, err)
	}
	if !reflect.DeepEqual(withoutHooks(before, nil, hook), withoutHooks(after, nil, "")) {
		return "", fmt.Errorf("build hook %s is written in a way that ReqPM does not patch", hook)
	}
	return deletions("pyproject.toml", lines, drop), nil
}

// keyParts takes a dotted key apart.
func keyParts(key string) []string {
	parts := strings.Split(key, ".")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"'`)
	}
	return parts
}

// ofHook tells whether a path lies at or below the table of a hook.
func ofHook(path []string, hook string) bool {
	if len(path) < 5 || !slices.Equal(path[:3], []string{"tool", "hatch", "build"}) {
		return false
	}
	if path[3] == "targets" && len(path) >= 7 {
		path = path[2:]
	}
	return path[3] == "hooks" && path[4] == hook
}

// withoutHooks is a document without a hook's table, and without tables that hold nothing.
func withoutHooks(doc map[string]any, at []string, hook string) map[string]any {
	out := map[string]any{}
	for key, value := range doc {
		path := append(slices.Clone(at), key)
		if ofHook(path, hook) {
			continue
		}
		if t, ok := value.(map[string]any); ok {
			if t = withoutHooks(t, path, hook); len(t) == 0 {
				continue
			}
			value = t
		}
		out[key] = value
	}
	return out
}

// deletions is the unified diff that takes lines out of a file, with three lines of context.
func deletions(name string, lines []string, drop []bool) string {
	const context = 3
	var out strings.Builder
	fmt.Fprintf(&out, "--- a/%s\n+++ b/%s\n", name, name)
	gone := 0
	for i := 0; i < len(lines); i++ {
		if !drop[i] {
			continue
		}
		from, to := max(0, i-context), i
		for last := i; to < len(lines) && to <= last+context; to++ { // hunks that would touch are one
			if to < len(lines) && drop[to] {
				last = to
			}
		}
		count := 0
		var body strings.Builder
		for j := from; j < to; j++ {
			sign := " "
			if drop[j] {
				sign = "-"
				count++
			}
			body.WriteString(sign + lines[j])
		}
		fmt.Fprintf(&out, "@@ -%d,%d +%d,%d @@\n%s", from+1, to-from, from+1-gone, to-from-count, body.String())
		gone += count
		i = to - 1
	}
	return out.String()
}
