package reqfile

import (
	"path"
	"slices"
	"strings"
)

// isRequirementFile goes by the names people give: requirements*.txt,
// dev-requirements.txt, requirements/*.txt, reqs.txt, *constraints*.txt.
func isRequirementFile(name string) bool {
	base := strings.ToLower(path.Base(name))
	ext := path.Ext(base)
	if ext != ".txt" && ext != ".in" && ext != ".pip" {
		return false
	}
	dir := strings.ToLower(path.Base(path.Dir(name)))
	switch dir {
	case "requirements", "requirement", "reqs", "requires", "constraints":
		return true
	}
	stem := strings.TrimSuffix(base, ext)
	return strings.Contains(stem, "requirement") || strings.Contains(stem, "constraints") ||
		stem == "reqs" || strings.HasPrefix(stem, "reqs-") || strings.HasPrefix(stem, "reqs_") ||
		strings.HasSuffix(stem, "-reqs") || strings.HasSuffix(stem, "_reqs")
}

// isConstraintFile is for files that only restrict.
func isConstraintFile(name string) bool {
	return strings.Contains(strings.ToLower(path.Base(name)), "constraint") ||
		strings.EqualFold(path.Base(path.Dir(name)), "constraints")
}

// purpose tells what else than running the project a file is for, by the words
// of its name; "" for none.
func purpose(name string) string {
	base := strings.ToLower(path.Base(name))
	base = strings.TrimSuffix(base, path.Ext(base))
	words := strings.FieldsFunc(base, func(r rune) bool { return !isAlnum(r) })
	for _, w := range words {
		switch w {
		case "dev", "devel", "develop", "development", "local", "debug":
			return "for development only"
		case "test", "tests", "testing", "tox", "nox", "pytest", "coverage", "e2e":
			return "for tests only"
		case "doc", "docs", "documentation", "sphinx", "mkdocs", "rtd", "readthedocs":
			return "for the documentation only"
		case "lint", "linting", "linters", "style", "format", "formatting", "typing", "mypy", "types", "quality", "qa", "check", "checks", "precommit":
			return "for checking the code only"
		case "ci", "bench", "benchmark", "benchmarks", "perf", "release", "deploytools", "tools", "tooling":
			return "for the project's own tooling only"
		case "example", "examples", "demo", "demos", "sample", "samples", "notebooks":
			return "for examples only"
		}
	}
	return ""
}

// isProduction is for requirements-prod.txt and its like.
func isProduction(name string) bool {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !isAlnum(r) })
	return slices.Contains(words, "prod") || slices.Contains(words, "production")
}

// sidePlace tells what a folder on the way to a file is for; "" for none.
func sidePlace(name string) string {
	for dir := range strings.SplitSeq(strings.ToLower(path.Dir(name)), "/") {
		switch dir {
		case "test", "tests", "testing", "test_data", "testdata", "fixtures", "e2e":
			return "tests"
		case "doc", "docs", "documentation":
			return "documentation"
		case "example", "examples", "sample", "samples", "demo", "demos", "tutorial", "tutorials", "benchmarks":
			return "examples"
		case "vendor", "_vendor", "third_party", "thirdparty":
			return "other people's code"
		}
	}
	return ""
}

// skippedDir is true for folders that hold no input of the project.
func skippedDir(base string) bool {
	switch base {
	case "node_modules", "venv", "env", "virtualenv", "site-packages", "__pycache__", "__pypackages__":
		return true
	}
	return strings.HasPrefix(base, ".") || strings.HasSuffix(base, ".egg-info")
}
