package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// An archive made of a commit has no .git, and a tool that takes the version from there finds none. Most
// are told by a variable (sdist.SCMEnv). Those here read it in files that an sdist would have, so the
// archive gets them.

// readPKGINFO are build requirements (PEP 503) that take the version from PKG-INFO where there is no
// repository, and from no variable.
var readPKGINFO = map[string]bool{"versioningit": true, "setuptools-git-versioning": true}

// versionFiles are the files that say the version to tools that know no variable for it, by path in
// the archive; nil for most projects. name is the project's as far as known.
func versionFiles(dir, name string, version pep440.Version) (map[string][]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var doc struct {
		BuildSystem struct {
			Requires []string `toml:"requires"`
		} `toml:"build-system"`
		Tool struct {
			Versioneer struct {
				Source string `toml:"versionfile_source"`
			} `toml:"versioneer"`
		} `toml:"tool"`
	}
	pyproject, err := root.ReadFile("pyproject.toml")
	if err == nil {
		err = toml.Unmarshal(pyproject, &doc)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the file's reader says better what is wrong with it
	}
	files := map[string][]byte{}
	for _, text := range doc.BuildSystem.Requires {
		if r, err := pep508.Parse(text); err == nil && readPKGINFO[r.Key()] {
			if _, err := root.Lstat("PKG-INFO"); errors.Is(err, fs.ErrNotExist) {
				files["PKG-INFO"] = fmt.Appendf(nil, "Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version)
			}
		}
	}
	place := doc.Tool.Versioneer.Source
	if place == "" {
		place = versioneerCfg(root)
	}
	if text, ok := versioneerFile(root, place, version); ok {
		files[path.Clean(place)] = text
	}
	if len(files) == 0 {
		return nil, nil
	}
	return files, nil
}

var (
	versioneerSection = regexp.MustCompile(`(?ms)^\[versioneer\][ \t]*\r?$(.*?)(?:^\[|\z)`)
	versioneerSource  = regexp.MustCompile(`(?m)^versionfile_source[ \t]*[=:][ \t]*(\S+)[ \t]*\r?$`)
)

// versioneerCfg is where setup.cfg tells versioneer to keep its file; "" when it does not.
func versioneerCfg(root *os.Root) string {
	text, err := root.ReadFile("setup.cfg")
	if err != nil {
		return ""
	}
	section := versioneerSection.FindSubmatch(text)
	if section == nil {
		return ""
	}
	if source := versioneerSource.FindSubmatch(section[1]); source != nil {
		return string(source[1])
	}
	return ""
}

// versioneerFile is the file as versioneer writes it into an sdist, when the one in the tree asks Git.
func versioneerFile(root *os.Root, place string, version pep440.Version) ([]byte, bool) {
	if place == "" || !filepath.IsLocal(filepath.FromSlash(place)) {
		return nil, false
	}
	info, err := root.Lstat(path.Clean(place))
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxEdited {
		return nil, false
	}
	text, err := root.ReadFile(path.Clean(place))
	if err != nil || !strings.Contains(string(text), "$Format:") {
		return nil, false
	}
	says, _ := json.MarshalIndent(map[string]any{"date": nil, "dirty": false, "error": nil, "full-revisionid": nil, "version": version.String()}, "", " ")
	return fmt.Appendf(nil, `# Written by ReqPM in place of the file that asks Git, as versioneer does for an sdist.
import json

version_json = '''
%s
'''  # END VERSION_JSON


def get_versions():
    return json.loads(version_json)
`, says), true
}
