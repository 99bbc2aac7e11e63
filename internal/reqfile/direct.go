package reqfile

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"reqpm/internal/pep508"
)

// parseRequirement reads one requirement in any of pip's spellings. loc is the
// file it stands in. The caller fills in where it stands and what was written.
func (r *reader) parseRequirement(loc location, text string, editable bool) (q Requirement, warnings []string, err error) {
	body, marker := cutMarker(text)
	switch scheme := urlScheme(body); {
	case hasName(body):
		// pip takes the first semicolon here, though PEP 508 lets an address have one.
		body, marker, _ = strings.Cut(text, ";")
		q, warnings, err = r.parseNamed(loc, body)
		marker = strings.TrimFunc(marker, isSpace)
		if err == nil && editable && q.VCS == "" && q.Path == "" {
			err = errors.New("an editable requirement is a project folder or a repository (git+https://…)")
		}
	case scheme == "file":
		q, err = r.parseFileURL(loc, body)
	case isVCS(scheme), strings.HasPrefix(body, "git+"):
		q, warnings, err = parseVCS(body)
	case editable && vcsPrefix(scheme):
		q, warnings, err = parseVCS(scheme + "+" + body)
	case scheme == "http" || scheme == "https":
		q, warnings, err = parseArchiveURL(body)
		if err == nil && editable {
			err = errors.New("an editable requirement is a project folder or a repository (git+https://…), not an archive")
		}
	case strings.Contains(body, "://") && scheme != "":
		err = fmt.Errorf("addresses of the kind %s are not supported%s", quote(scheme), vcsHint(scheme))
	case editable || looksLikePath(body):
		q, err = r.parsePath(loc, body)
	default:
		if marker == "" {
			text = body // "name;" is not PEP 508, but pip takes it
		}
		if q.Requirement, err = pep508.Parse(text); err != nil {
			err = explain(text, err)
		}
		marker = ""
	}
	if err == nil && marker != "" {
		q.Marker, err = pep508.ParseMarker(marker)
	}
	return q, warnings, err
}

// cutMarker splits the marker off text. Addresses may hold semicolons, so there
// it must have white space at its side.
func cutMarker(text string) (body, marker string) {
	i := strings.IndexByte(text, ';')
	if strings.Contains(text, "://") || urlScheme(text) == "file" {
		i = -1
		for j := 0; j < len(text); j++ {
			if text[j] == ';' && (j+1 == len(text) || isBlank(text[j+1]) || j > 0 && isBlank(text[j-1])) {
				i = j
				break
			}
		}
	}
	if i < 0 {
		return strings.TrimFunc(text, isSpace), ""
	}
	return strings.TrimFunc(text[:i], isSpace), strings.TrimFunc(text[i+1:], isSpace)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// hasName recognises "name @ address" and "name[extras] @ address".
func hasName(text string) bool {
	name, after, found := strings.Cut(text, "@")
	if !found || after == "" {
		return false
	}
	name = strings.TrimFunc(name, isSpace)
	if before, extras, ok := strings.Cut(name, "["); ok {
		if !strings.HasSuffix(extras, "]") {
			return false
		}
		name = strings.TrimFunc(before, isSpace)
	}
	return isName(name)
}

// isName is the identifier rule of PEP 508 as the reference implementation reads
// it, which lets a name end in an underscore.
func isName(s string) bool {
	for i, c := range s {
		inner := c == '_' || (c == '-' || c == '.') && i < len(s)-1
		if !isAlnum(c) && !(inner && i > 0) {
			return false
		}
	}
	return s != ""
}

// looksLikePath is pip's rule: a slash, a leading dot, or the name of an archive.
func looksLikePath(text string) bool {
	name, _ := cutExtras(text)
	return strings.Contains(name, "/") || strings.HasPrefix(name, ".") || isArchive(name)
}

// cutExtras splits "[a,b]" off the end.
func cutExtras(text string) (rest, extras string) {
	if i := strings.LastIndexByte(text, '['); i > 0 && strings.HasSuffix(text, "]") {
		return strings.TrimFunc(text[:i], isSpace), text[i:]
	}
	return text, ""
}

// isArchive goes by pip's list of archive file names.
func isArchive(name string) bool {
	name = strings.ToLower(name)
	for _, ext := range []string{".whl", ".zip", ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tlz", ".tar.lz", ".tar.lzma"} {
		if strings.HasSuffix(name, ext) && len(name) > len(ext) {
			return true
		}
	}
	return false
}

// parseNamed reads "name[extras] @ address ; marker".
func (r *reader) parseNamed(loc location, text string) (Requirement, []string, error) {
	named, err := pep508.Parse(text)
	if err != nil {
		return Requirement{}, nil, err
	}
	var q Requirement
	var warnings []string
	switch scheme := urlScheme(named.URL); {
	case isVCS(scheme):
		q, warnings, err = parseVCS(named.URL)
	case scheme == "http" || scheme == "https":
		q, warnings, err = parseArchiveURL(named.URL)
	case scheme == "file":
		q, err = r.parseFileURL(loc, named.URL)
	case scheme == "":
		err = fmt.Errorf("%s is no address; a path is written %s @ file:./…", quote(named.URL), named.Name)
	default:
		err = fmt.Errorf("addresses of the kind %s are not supported%s", quote(scheme), vcsHint(scheme))
	}
	if err != nil {
		return Requirement{}, nil, err
	}
	if q.Name != "" && q.Key() != named.Key() {
		warnings = append(warnings, fmt.Sprintf("the address calls the package %s; it is taken for %s", q.Name, named.Name))
	}
	merged, err := withExtras(named.Name, append(named.Extras, q.Extras...))
	if err != nil {
		return Requirement{}, nil, err
	}
	q.Name, q.Extras, q.Marker = merged.Name, merged.Extras, named.Marker
	return q, warnings, nil
}

// withExtras brings name and extras into PEP 508's form. An empty name stays so.
func withExtras(name string, extras []string) (pep508.Requirement, error) {
	if name == "" && len(extras) == 0 {
		return pep508.Requirement{}, nil
	}
	shown := name
	if shown == "" {
		shown = "unnamed"
	}
	req, err := pep508.Parse(shown + "[" + strings.Join(extras, ",") + "]")
	req.Name = name
	return req, err
}

// splitList reads "[a, b]".
func splitList(extras string) []string {
	var list []string
	for e := range strings.SplitSeq(strings.Trim(extras, "[]"), ",") {
		if e = strings.TrimFunc(e, isSpace); e != "" {
			list = append(list, e)
		}
	}
	return list
}

// isVCS knows the schemes of pip's version control systems: system+transport.
func isVCS(scheme string) bool {
	system, transport, found := strings.Cut(scheme, "+")
	return found && transport != "" && vcsPrefix(system)
}

func vcsPrefix(system string) bool {
	return system == "git" || system == "hg" || system == "svn" || system == "bzr"
}

func vcsHint(scheme string) string {
	if scheme == "git" || scheme == "ssh" {
		return "; a Git repository is written git+" + scheme + "://…"
	}
	return ""
}

// parseVCS reads "git+https://host/path@ref#egg=name[extras]&subdirectory=dir".
func parseVCS(text string) (q Requirement, warnings []string, err error) {
	address, fragment, _ := strings.Cut(text, "#")
	address, extras := cutExtras(address)
	if strings.ContainsAny(text, " \t") {
		return q, nil, errors.New("the address holds white space; a marker is written behind \" ; \"")
	}
	u, err := url.Parse(address)
	if err != nil {
		return q, nil, fmt.Errorf("not a usable repository address: %w%s", withoutURL(err), scpHint(address))
	}
	if u.Opaque != "" || u.Host == "" && !strings.HasSuffix(u.Scheme, "+file") {
		return q, nil, fmt.Errorf("the repository address names no host%s", scpHint(address))
	}
	if strings.Trim(u.Path, "/") == "" {
		return q, nil, errors.New("the repository address names no path")
	}
	q.VCS, q.URL = address, address
	warnings, err = q.fragment(fragment, splitList(extras))
	return q, warnings, err
}

// scpHint answers git+git@host:path and git+ssh://git@host:group/path, the two
// spellings that work with git alone.
func scpHint(address string) string {
	if strings.Contains(address, "@") && strings.Count(address, ":") > strings.Count(address, "://") {
		return "; write git+ssh://git@host/group/project.git, with a slash behind the host"
	}
	return ""
}

// parseArchiveURL reads "https://host/name-1.0.tar.gz#sha256=…".
func parseArchiveURL(text string) (q Requirement, warnings []string, err error) {
	address, fragment, _ := strings.Cut(text, "#")
	address, extras := cutExtras(address)
	if strings.ContainsAny(text, " \t") {
		return q, nil, errors.New("the address holds white space; a marker is written behind \" ; \"")
	}
	u, err := url.Parse(address)
	if err != nil {
		return q, nil, fmt.Errorf("not a usable address: %w", withoutURL(err))
	}
	if u.Hostname() == "" {
		return q, nil, errors.New("the address names no host")
	}
	q.URL = address
	if q.Name, err = wheelName(path.Base(u.Path)); err != nil {
		return q, nil, err
	}
	warnings, err = q.fragment(fragment, splitList(extras))
	return q, warnings, err
}

// fragment reads the part of an address behind #. Unknown keys are left alone,
// as pip leaves them.
func (q *Requirement) fragment(text string, extras []string) (warnings []string, err error) {
	text, more := cutExtrasOutsideEgg(text)
	extras = append(extras, more...)
	for part := range strings.SplitSeq(text, "&") {
		key, value, _ := strings.Cut(part, "=")
		if value, err = url.PathUnescape(value); err != nil {
			return nil, fmt.Errorf("not a usable fragment %s: %w", quote(part), err)
		}
		switch key = strings.ToLower(key); key {
		case "egg":
			egg, err := pep508.Parse(value)
			if err != nil {
				return nil, fmt.Errorf("#egg=%s is no package name: %w", value, err)
			}
			if !egg.Specifiers.IsEmpty() || egg.Marker != nil || egg.URL != "" {
				warnings = append(warnings, fmt.Sprintf("#egg=%s: only the name and extras are used", value))
			}
			q.Name = egg.Name
			extras = append(extras, egg.Extras...)
		case "subdirectory":
			dir := path.Clean(value)
			if !fs.ValidPath(dir) {
				return nil, fmt.Errorf("#subdirectory=%s leads %w", value, ErrOutside)
			}
			if dir != "." {
				q.Subdirectory = dir
			}
		case "sha256", "sha384", "sha512":
			h, err := checkHash(key + ":" + value)
			if err != nil {
				return nil, err
			}
			q.Hashes = append(q.Hashes, h)
		case "md5", "sha1", "sha224":
			warnings = append(warnings, fmt.Sprintf("the %s digest in the address is too weak to be used", key))
		}
	}
	named, err := withExtras(q.Name, extras)
	q.Extras = named.Extras
	return warnings, err
}

// cutExtrasOutsideEgg finds extras written behind the whole fragment, as in
// "#subdirectory=x[extra]"; those of egg=name[extra] stay where they are.
func cutExtrasOutsideEgg(fragment string) (rest string, extras []string) {
	last := fragment[strings.LastIndexByte(fragment, '&')+1:]
	if strings.HasPrefix(last, "egg=") {
		return fragment, nil
	}
	rest, list := cutExtras(fragment)
	return rest, splitList(list)
}

// wheelName returns the name a wheel's file name gives (PEP 427), "" for other
// files: what a source archive holds only its metadata can tell.
func wheelName(file string) (string, error) {
	stem, ok := strings.CutSuffix(file, ".whl")
	if !ok {
		return "", nil
	}
	parts := strings.Split(stem, "-")
	if len(parts) != 5 && len(parts) != 6 || !isName(parts[0]) {
		return "", fmt.Errorf("%s is no wheel file name (name-version-python-abi-platform.whl)", quote(file))
	}
	return parts[0], nil
}
