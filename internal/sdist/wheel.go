package sdist

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"reqpm/internal/metadata"
)

// WheelInfo is what a built wheel says (PEP 427).
type WheelInfo struct {
	Filename string
	DistInfo string // its .dist-info directory
	Metadata metadata.Metadata
	Pure     bool     // Root-Is-Purelib
	Tags     []string // "cp312-cp312-linux_x86_64", sorted
	TopLevel []string // import names at the top of site-packages, from the files; sorted
	Imports  []string // like TopLevel, but a namespace package is replaced by the packages in it
	Scripts  []string // commands: entry points and script files, sorted
	Native   bool     // an ELF file is in it
}

// ReadWheel reads the wheel at path without unpacking it to disk.
func ReadWheel(path string) (WheelInfo, error) {
	name := filepath.Base(path)
	w := wheelReader{info: WheelInfo{Filename: name}, texts: map[string][]byte{}}
	if err := walk(context.Background(), path, Limits{}, w.see); err != nil {
		return WheelInfo{}, fmt.Errorf("read wheel: %w", err)
	}
	if err := w.finish(); err != nil {
		return WheelInfo{}, fmt.Errorf("read wheel: %w", err)
	}
	return w.info, nil
}

type wheelReader struct {
	info  WheelInfo
	texts map[string][]byte // METADATA, WHEEL, entry_points.txt
	paths []string          // below site-packages
}

func (w *wheelReader) see(m Member, body io.Reader) error {
	if m.Mode.IsDir() {
		return nil
	}
	if body == nil {
		return &ArchiveError{Archive: w.info.Filename, Member: m.Name, Reason: "is a link, wheels hold files only"}
	}
	first, rest, _ := strings.Cut(m.Name, "/")
	if strings.HasSuffix(first, ".dist-info") {
		if w.info.DistInfo != "" && w.info.DistInfo != first {
			return &ArchiveError{Archive: w.info.Filename, Reason: fmt.Sprintf("has two .dist-info directories: %s and %s", w.info.DistInfo, first)}
		}
		w.info.DistInfo = first
		if rest == "METADATA" || rest == "WHEEL" || rest == "entry_points.txt" {
			data, err := io.ReadAll(io.LimitReader(body, maxFile+1))
			if err == nil && len(data) > maxFile {
				err = fmt.Errorf("larger than %d bytes", maxFile)
			}
			if err != nil {
				return &ArchiveError{Archive: w.info.Filename, Member: m.Name, Reason: "cannot be read", Err: err}
			}
			w.texts[rest] = data
		}
		return nil
	}
	scheme, file := splitScheme(m.Name)
	switch scheme {
	case "purelib", "platlib":
		w.paths = append(w.paths, file)
	case "scripts":
		w.info.Scripts = append(w.info.Scripts, file)
	}
	magic := make([]byte, 4)
	n, err := io.ReadFull(body, magic)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return &ArchiveError{Archive: w.info.Filename, Member: m.Name, Reason: "cannot be read", Err: err}
	}
	w.info.Native = w.info.Native || string(magic[:n]) == "\x7fELF"
	return nil
}

func (w *wheelReader) finish() (err error) {
	i := &w.info
	for _, name := range []string{"METADATA", "WHEEL"} {
		if w.texts[name] == nil {
			return &ArchiveError{Archive: i.Filename, Reason: "has no .dist-info/" + name}
		}
	}
	if i.Metadata, err = metadata.Parse(w.texts["METADATA"]); err != nil {
		return &ArchiveError{Archive: i.Filename, Member: i.DistInfo + "/METADATA", Reason: "cannot be read", Err: err}
	}
	for line := range bytes.Lines(w.texts["WHEEL"]) {
		key, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "root-is-purelib":
			i.Pure = strings.EqualFold(value, "true")
		case "tag":
			i.Tags = append(i.Tags, value)
		}
	}
	for _, e := range parseEntryPoints(w.texts["entry_points.txt"]) {
		i.Scripts = append(i.Scripts, e.name)
	}
	for _, list := range []*[]string{&i.Tags, &i.Scripts} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	i.TopLevel, i.Imports = topLevel(w.paths), importNames(w.paths)
	return nil
}

// splitScheme tells where a wheel's member goes: "purelib" for its root, else the
// scheme named below its .data directory, and the path inside that place.
func splitScheme(name string) (scheme, file string) {
	first, rest, _ := strings.Cut(name, "/")
	if !strings.HasSuffix(first, ".data") || rest == "" {
		return "purelib", name
	}
	scheme, file, _ = strings.Cut(rest, "/")
	return scheme, file
}

var (
	moduleEnding = regexp.MustCompile(`(\.(cpython|abi3|pypy)[^/]*)?\.(py|so)$`)
	identifier   = regexp.MustCompile(`^[\p{L}_][\p{L}\p{Nd}_]*$`)
	initModule   = regexp.MustCompile(`^__init__\.(.*\.)?(py|so)$`)
)

// importName is the import name of one path component, or "".
func importName(component string) string {
	name := moduleEnding.ReplaceAllString(component, "")
	if identifier.MatchString(name) {
		return name
	}
	return ""
}

func isModule(file string) bool {
	return strings.HasSuffix(file, ".py") || strings.HasSuffix(file, ".so")
}

// topLevel lists the import names at the top of site-packages.
func topLevel(paths []string) []string {
	var names []string
	for _, p := range paths {
		first, _, _ := strings.Cut(p, "/")
		if name := importName(first); isModule(p) && name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// importNames lists what can be imported and belongs to the wheel alone: a namespace
// package, which has no __init__, is replaced by the packages and modules in it.
func importNames(paths []string) []string {
	regular := map[string]bool{}
	for _, p := range paths {
		if initModule.MatchString(path.Base(p)) {
			regular[path.Dir(p)] = true
		}
	}
	var names []string
	for _, p := range paths {
		if !isModule(p) {
			continue
		}
		if name := importOf(strings.Split(p, "/"), regular); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func importOf(parts []string, regular map[string]bool) string {
	var names []string
	for depth := 1; depth <= len(parts); depth++ {
		name := importName(parts[depth-1])
		if name == "" || depth > 1 && name == "__main__" {
			return ""
		}
		names = append(names, name)
		if regular[strings.Join(parts[:depth], "/")] {
			break
		}
	}
	return strings.Join(names, ".")
}

// entryPoint is one console or GUI script.
type entryPoint struct{ name, module, attributes string }

var (
	entryTarget = regexp.MustCompile(`^\s*([\w.]+)\s*:\s*([\w.]+)\s*(\[.*\])?\s*$`)
	entryName   = regexp.MustCompile(`^\w[\w.+ -]*$`)
)

// parseEntryPoints reads the scripts of an entry_points.txt. Lines that are none are
// left out: a broken one only means a command less.
func parseEntryPoints(data []byte) []entryPoint {
	var list []entryPoint
	scripts := false
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		if strings.HasPrefix(text, "[") {
			scripts = text == "[console_scripts]" || text == "[gui_scripts]"
			continue
		}
		name, target, found := strings.Cut(text, "=")
		if !scripts || !found || strings.HasPrefix(text, "#") || strings.HasPrefix(text, ";") {
			continue
		}
		name = strings.TrimSpace(name)
		parts := entryTarget.FindStringSubmatch(target)
		if parts == nil || !entryName.MatchString(name) {
			continue
		}
		list = append(list, entryPoint{name, parts[1], parts[2]})
	}
	slices.SortFunc(list, func(a, b entryPoint) int { return cmp.Compare(a.name, b.name) })
	return list
}
