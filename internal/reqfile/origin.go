package reqfile

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"reqpm/internal/pep440"
)

// become makes q come from where from says; name, extras, marker, text and
// position stay. The versions it asked for are dropped, as PEP 508 has an address or
// versions.
func (q *Requirement) become(from Requirement) {
	q.VCS, q.URL, q.Path = from.VCS, from.URL, from.Path
	q.Subdirectory, q.Editable = from.Subdirectory, from.Editable
	q.Hashes = append(q.Hashes, from.Hashes...)
	q.Specifiers = pep440.Specifiers{}
}

// gitRequirement is a repository at a ref, as tools' tables name it: with or
// without git+, or as host:path for ssh.
func gitRequirement(address, ref string) (Requirement, error) {
	address = strings.TrimPrefix(strings.TrimSpace(address), "git+")
	if host, rest, ok := strings.Cut(address, ":"); ok && !strings.HasPrefix(rest, "//") && !strings.Contains(host, "/") && urlScheme(address) != "file" {
		address = "ssh://" + host + "/" + strings.TrimPrefix(rest, "/")
	}
	switch scheme := urlScheme(address); scheme {
	case "https", "http", "ssh", "git", "file":
	default:
		return Requirement{}, fmt.Errorf("%s is no repository address (https://…, ssh://…)", quote(address))
	}
	if strings.ContainsAny(ref, "#@ \t\n") || strings.HasPrefix(ref, "-") {
		return Requirement{}, fmt.Errorf("%s is no usable name of a commit, branch or tag", quote(ref))
	}
	if ref != "" {
		address += "@" + ref
	}
	q, _, err := parseVCS("git+" + address)
	return q, err
}

// origin reads where a table of a tool says that a package comes from: git, url,
// file, path. found is false when it says none of these.
func (r *reader) origin(loc location, t table) (q Requirement, found bool, err error) {
	sub, err := cleanSubdirectory(t.str("subdirectory"))
	if err != nil {
		return q, true, err
	}
	switch {
	case t.str("git") != "":
		ref := ""
		for _, key := range []string{"rev", "tag", "branch", "ref"} {
			if ref == "" {
				ref = t.str(key)
			}
		}
		q, err = gitRequirement(t.str("git"), ref)
		q.Subdirectory = sub
	case t.str("url") != "":
		q, _, err = parseArchiveURL(t.str("url"))
		if sub != "" {
			q.Subdirectory = sub
		}
	case t.str("path") != "":
		q, err = r.originPath(loc, t.str("path"), sub)
	case t.str("file") != "" && strings.Contains(t.str("file"), "://"):
		q, _, err = parseArchiveURL(t.str("file"))
		q.Subdirectory = sub
	case t.str("file") != "":
		q, err = r.originPath(loc, t.str("file"), sub)
	default:
		for _, system := range []string{"hg", "svn", "bzr"} {
			if t.str(system) != "" {
				return q, true, fmt.Errorf("repositories of %s are not supported", system)
			}
		}
		return q, false, nil
	}
	return q, true, err
}

// originPath is a folder or archive, relative to the file that names it.
func (r *reader) originPath(loc location, name, sub string) (Requirement, error) {
	if loc.url != nil {
		return Requirement{}, errors.New("a remote file may not name a local path")
	}
	p, err := r.root.within(path.Dir(loc.path), name)
	if err != nil {
		return Requirement{}, err
	}
	if sub != "" && !isArchive(p) {
		p, sub = path.Join(p, sub), ""
	}
	q, err := r.localAt(p)
	q.Subdirectory = sub
	return q, err
}
