package reqfile

import (
	"context"
	"fmt"
	"strings"
)

// format is a kind of file that goes by its name.
type format struct {
	name string // for people
	lock bool   // it holds versions that were chosen
	any  bool   // known by its ending only: read when somebody names it
	read func(r *reader, ctx context.Context, loc location, data []byte, as role)
}

// formatOf finds the format of a file by its base name; none for files in pip's
// own format.
func formatOf(base string) (format, bool) {
	switch lower := strings.ToLower(base); lower {
	case "pyproject.toml":
		return format{name: "a pyproject.toml", read: (*reader).parsePyproject}, true
	case "setup.py":
		return format{name: "setuptools' setup.py", read: (*reader).parseSetupPy}, true
	case "setup.cfg":
		return format{name: "setuptools' setup.cfg", read: (*reader).parseSetupCfg}, true
	case "pipfile":
		return format{name: "Pipenv's Pipfile", read: (*reader).parsePipfile}, true
	case "pipfile.lock":
		return format{name: "Pipenv's lock file", lock: true, read: (*reader).parsePipfileLock}, true
	case "poetry.lock":
		return format{name: "Poetry's lock file", lock: true, read: (*reader).parsePoetryLock}, true
	case "uv.lock":
		return format{name: "uv's lock file", lock: true, read: (*reader).parseUVLock}, true
	case "pdm.lock":
		return format{name: "PDM's lock file", lock: true, read: (*reader).parsePDMLock}, true
	case "environment.yml", "environment.yaml":
		return format{name: "a Conda environment", read: (*reader).parseConda}, true
	default:
		if isPylock(lower) {
			return format{name: "a PEP 751 lock file", lock: true, read: (*reader).parsePylock}, true
		}
		if strings.HasSuffix(lower, ".py.lock") {
			return format{name: "uv's lock file of a script", lock: true, any: true, read: (*reader).parseUVLock}, true
		}
		if strings.HasSuffix(lower, ".lock") {
			return format{name: "a lock file", lock: true, any: true, read: (*reader).refuseLock}, true
		}
		if strings.HasSuffix(lower, ".toml") {
			return format{name: "a TOML file", any: true, read: (*reader).parsePyproject}, true
		}
		if strings.HasSuffix(lower, ".yml") || strings.HasSuffix(lower, ".yaml") {
			return format{name: "a Conda environment", any: true, read: (*reader).parseConda}, true
		}
	}
	return format{}, false
}

// isPylock is PEP 751's rule: pylock.toml, or pylock.NAME.toml with a NAME
// without dots.
func isPylock(base string) bool {
	if base == "pylock.toml" {
		return true
	}
	name, ok := strings.CutPrefix(base, "pylock.")
	name, toml := strings.CutSuffix(name, ".toml")
	return ok && toml && name != "" && !strings.Contains(name, ".")
}

// refuseLock is for locks of tools that are not known.
func (r *reader) refuseLock(_ context.Context, loc location, _ []byte, _ role) {
	r.fail(Position{File: loc.String()}, "", fmt.Errorf("%w: known locks are uv.lock, poetry.lock, pdm.lock, Pipfile.lock, pylock.toml and pylock.NAME.toml", ErrFormat))
}
