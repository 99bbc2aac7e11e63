package reqfile

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// location is a file to read: a path within the root, or a URL.
type location struct {
	path string   // clean slash path; "" for a remote file
	url  *url.URL // with its credentials; nil for a local file
}

// String is the name used in positions. Credentials stay out of it.
func (l location) String() string {
	if l.url == nil {
		return l.path
	}
	shown := *l.url
	shown.User = nil
	return shown.String()
}

// locate finds where a file named on the command line is.
func (c confined) locate(name string) (location, error) { return c.locateFrom(".", name) }

// include finds what -r or -c in the file l means: relative to that file.
func (c confined) include(l location, name string) (location, error) {
	if l.url == nil {
		return c.locateFrom(path.Dir(l.path), name)
	}
	ref, err := url.Parse(name)
	if err != nil {
		return location{}, fmt.Errorf("not a usable address: %w", withoutURL(err))
	}
	return remote(l.url.ResolveReference(ref))
}

func (c confined) locateFrom(dir, name string) (location, error) {
	switch scheme := urlScheme(name); scheme {
	case "http", "https":
		u, err := url.Parse(name)
		if err != nil {
			return location{}, fmt.Errorf("not a usable address: %w", withoutURL(err))
		}
		return remote(u)
	case "file":
		p, err := filePath(name)
		if err != nil {
			return location{}, err
		}
		name = p
	case "":
	default:
		if strings.Contains(name, "://") {
			return location{}, fmt.Errorf("files are not read by %s", quote(scheme))
		}
	}
	p, err := c.within(dir, name)
	return location{path: p}, err
}

func remote(u *url.URL) (location, error) {
	if u.Scheme != "http" && u.Scheme != "https" {
		return location{}, fmt.Errorf("a remote file may not include one by %s", quote(u.Scheme))
	}
	if u.Hostname() == "" {
		return location{}, errors.New("the address names no host")
	}
	return location{url: u}, nil
}

// within joins name to dir and stays within the root.
func (c confined) within(dir, name string) (string, error) {
	if inside, ok := c.cutRoot(name); ok {
		dir, name = ".", inside
	}
	if path.IsAbs(name) || strings.HasPrefix(name, "~") {
		return "", fmt.Errorf("%s is %w; write it relative to the project", quote(name), ErrOutside)
	}
	if strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("%s holds a zero byte", quote(name))
	}
	p := path.Join(dir, name)
	if p == ".." || strings.HasPrefix(p, "../") {
		return "", fmt.Errorf("%s is %w", quote(name), ErrOutside)
	}
	return p, nil
}

// cutRoot makes an absolute path inside the root relative to it.
func (c confined) cutRoot(name string) (string, bool) {
	if c.abs == "" || !path.IsAbs(name) {
		return "", false
	}
	name, abs := path.Clean(name), path.Clean(c.abs)
	if name == abs {
		return ".", true
	}
	return strings.CutPrefix(name, strings.TrimSuffix(abs, "/")+"/")
}

// urlScheme returns the lower-case scheme of "scheme:…", or "".
func urlScheme(text string) string {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == ':':
			return strings.ToLower(text[:i])
		case isAlnum(rune(c)) || i > 0 && (c == '+' || c == '-' || c == '.'):
		default:
			return ""
		}
	}
	return ""
}

// filePath returns the path of a file: URL without its fragment.
func filePath(text string) (string, error) {
	text, _, _ = strings.Cut(text, "#")
	p := text[len("file:"):]
	if rest, ok := strings.CutPrefix(p, "//"); ok {
		host, _, _ := strings.Cut(rest, "/")
		if host != "" && host != "localhost" {
			return "", fmt.Errorf("a file address of the host %s is %w; write file:./… relative to the project", quote(host), ErrOutside)
		}
		p = rest[len(host):]
	}
	p, err := url.PathUnescape(p)
	if err != nil {
		return "", fmt.Errorf("not a usable file address: %w", err)
	}
	if p == "" {
		return "", errors.New("the file address names no path")
	}
	return p, nil
}

// withoutURL drops the address from a url.Error: it may hold credentials.
func withoutURL(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}
