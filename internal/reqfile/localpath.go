package reqfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// parsePath reads a project folder or an archive of the project, with extras.
func (r *reader) parsePath(loc location, text string) (Requirement, error) {
	name, extras := cutExtras(text)
	q, err := r.localFile(loc, name)
	if err != nil && extras != "" { // a folder may be called so
		if whole, err := r.localFile(loc, text); err == nil {
			return whole, nil
		}
	}
	if err != nil {
		return Requirement{}, err
	}
	req, err := withExtras(q.Name, splitList(extras))
	q.Extras = req.Extras
	return q, err
}

// parseFileURL reads "file:./folder[extras]#egg=name&subdirectory=dir".
func (r *reader) parseFileURL(loc location, text string) (Requirement, error) {
	address, fragment, _ := strings.Cut(text, "#")
	address, extras := cutExtras(address)
	name, err := filePath(address)
	if err != nil {
		return Requirement{}, err
	}
	var parts Requirement
	if _, err = parts.fragment(fragment, splitList(extras)); err != nil {
		return Requirement{}, err
	}
	if parts.Subdirectory != "" && !isArchive(name) {
		name, parts.Subdirectory = path.Join(name, parts.Subdirectory), ""
		if !strings.HasPrefix(name, "/") {
			name = "./" + name
		}
	}
	q, err := r.localFile(loc, name)
	if err != nil {
		return Requirement{}, err
	}
	if parts.Name != "" {
		q.Name = parts.Name
	}
	q.Extras, q.Subdirectory, q.Hashes = parts.Extras, parts.Subdirectory, parts.Hashes
	return q, nil
}

// localFile finds what a path means. pip takes it from the folder it is started
// in, which is the root as a rule; where only the folder of the requirement file
// has it, that is meant (parts of a repository with files of their own).
func (r *reader) localFile(loc location, name string) (Requirement, error) {
	dirs := []string{"."}
	if loc.url == nil && path.Dir(loc.path) != "." {
		dirs = append(dirs, path.Dir(loc.path))
	}
	var first error
	for _, dir := range dirs {
		p, err := r.root.within(dir, name)
		if err == nil {
			var q Requirement
			if q, err = r.localAt(p); err == nil {
				return q, nil
			}
		}
		if first == nil || errors.Is(first, fs.ErrNotExist) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrOutside) {
			first = err
		}
	}
	return Requirement{}, first
}

// localAt describes the folder or archive at p.
func (r *reader) localAt(p string) (Requirement, error) {
	info, err := r.root.stat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Requirement{}, fmt.Errorf("local path %s: %w%s", quote(p), fs.ErrNotExist, didYouMean(nearFiles(r.root, p, !isArchive(p))))
	case err != nil:
		return Requirement{}, err
	case info.IsDir():
		if !r.root.isProject(p) {
			return Requirement{}, fmt.Errorf("folder %s is no Python project: it has neither pyproject.toml nor setup.py", quote(p))
		}
		q := Requirement{Path: p}
		q.Name = r.folderName(p)
		return q, nil
	case !info.Mode().IsRegular():
		return Requirement{}, fmt.Errorf("%s is no regular file", quote(p))
	case isArchive(p):
		name, err := wheelName(path.Base(p))
		q := Requirement{Path: p}
		q.Name = name
		return q, err
	}
	hint := ""
	if ext := path.Ext(p); ext == ".txt" || ext == ".in" {
		hint = "; a requirement file is included by -r " + p
	}
	return Requirement{}, fmt.Errorf("%s is neither a project folder nor a wheel or source archive%s", quote(p), hint)
}

// folderName is the name a project folder gives itself in pyproject.toml, where
// PEP 621 does not let it be dynamic; "" when it stands elsewhere. What is wrong
// with that file is for whoever builds the folder to say.
func (r *reader) folderName(dir string) string {
	doc := r.peek(path.Join(dir, "pyproject.toml"))
	for _, n := range []*node{doc.Get("project", "name"), doc.Get("tool", "poetry", "name")} {
		if n.IsString() && isName(n.Text) {
			return n.Text
		}
	}
	return ""
}

// explain adds to a parse error what people often get wrong.
func explain(text string, err error) error {
	switch {
	case strings.HasSuffix(text, `\`):
		return fmt.Errorf("%w; white space behind the \\ keeps the line from being continued", err)
	case strings.HasPrefix(text, "pip ") || strings.HasPrefix(text, "pip3 ") || strings.HasPrefix(text, "python "):
		return fmt.Errorf("%w; a requirement file holds requirements, not commands", err)
	case strings.Contains(text, "=") && !strings.ContainsAny(text, "<>!~") && !strings.Contains(text, "=="):
		return fmt.Errorf("%w; a single = is no operator, did you mean ==?", err)
	case strings.Contains(text, "<<<<<<<") || strings.Contains(text, ">>>>>>>") || strings.HasPrefix(text, "======="):
		return fmt.Errorf("%w; it looks like an unfinished merge", err)
	case strings.Contains(text, "git@"):
		return fmt.Errorf("%w; a repository is written git+ssh://git@host/group/project.git", err)
	}
	return err
}
