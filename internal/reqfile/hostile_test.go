package reqfile

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHostileFilesEndSoon reads files made to cost far more than their size: values that
// double, sections that take each other's, brackets and keys without end.
func TestHostileFilesEndSoon(t *testing.T) {
	repeat := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(format, "#", fmt.Sprint(i)))
		}
		return b.String()
	}
	doubling := "x0 = ['six']\n"
	for i := range 200 {
		doubling += fmt.Sprintf("x%d = x%d + x%d\n", i+1, i, i)
	}
	levels := "[testenv]\n"
	for i := range 20 {
		levels += fmt.Sprintf("[l%d]\ndeps=\n%s", i, strings.Repeat(fmt.Sprintf("  {[l%d]deps}\n", i+1), 10))
	}
	pins := "lock-version='1.0'\n[[packages]]\nname='a'\nversion='1'\nwheels=[\n" + repeat("{hashes={sha256='a#0'}},\n", 100_000) + "]\n"
	for name, c := range map[string]struct{ file, text string }{
		"brackets":   {"setup.py", strings.Repeat("a[", 300_000)},
		"arguments":  {"setup.py", "setup(" + strings.Repeat("a=b(c),", 100_000) + ")"},
		"doubling":   {"setup.py", doubling + "setup(install_requires=x200)"},
		"nesting":    {"setup.py", "setup(install_requires=" + strings.Repeat("[(", 500_000)},
		"sections":   {"setup.cfg", "[options]\n" + repeat("[s#]\n", 200_000)},
		"levels":     {"tox.ini", levels + "[testenv:a]\ndeps={[l0]deps}\n"},
		"braces":     {"tox.ini", "[testenv:a]\ndeps=\n  " + strings.Repeat("{a,b}", 100_000) + ": six\n"},
		"members":    {"uv.lock", "version=1\n[manifest]\nmembers=[" + repeat("'m#',", 50_000) + "]\n" + repeat("[[package]]\nname='p#'\nversion='1'\n", 50_000)},
		"hashes":     {"pylock.toml", pins},
		"extras":     {"pyproject.toml", "[tool.poetry]\nname='x'\n[tool.poetry.dependencies]\n" + repeat("a#='*'\n", 4_000) + "[tool.poetry.extras]\nfast=[" + repeat("'a#',", 4_000) + "]\n"},
		"one table":  {"pyproject.toml", "[tool.poetry.dependencies]\n" + repeat("a#='*'\n", 300_000)},
		"tables":     {"pyproject.toml", repeat("[[a]]\n", 300_000)},
		"constraint": {"pyproject.toml", "[tool.poetry.dependencies]\na='" + strings.Repeat("1||", 500_000) + "1'\n"},
		"keys":       {"uv.lock", strings.Repeat("a.", 1_000_000) + "a=1\n"},
		"values":     {"Pipfile.lock", "{\"a\":[" + strings.Repeat("[],", 2_000_000) + "1]}"},
		"workspace":  {"pyproject.toml", "[tool.uv.workspace]\nmembers=['" + strings.Repeat("**/", 1000) + "x']\nexclude=['" + strings.Repeat("**/", 1000) + "']\n"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			req := Request{FS: files(c.file, c.text, "a/b/c/d/e/pyproject.toml", "[project]\nname='e'\n"), Files: []string{c.file}, Extras: []string{"fast"}}
			if c.file == "tox.ini" {
				req.Files, req.Envs = nil, []string{"tox:a"}
			}
			set, err := Read(context.Background(), req)
			checkSet(t, Set{Requirements: set.Requirements[:min(1000, len(set.Requirements))]}, err)
			const limit = 3 * time.Minute // seconds are usual; machines are slow and busy, and -race costs ten times as much
			if took := time.Since(start); took > limit {
				t.Errorf("took %v", took)
			}
		})
	}
}
