package repo

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	repoID   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]*$`)
	oneLine  = regexp.MustCompile(`^[^\x00-\x1f\x7f]*$`)
	plainURL = regexp.MustCompile(`^(https?|file)://[^\x00-\x20\x7f,]+$`)
)

// checkRepoWords refuses what would change the meaning of a .repo file.
func checkRepoWords(id, name, baseURL string) error {
	switch {
	case !repoID.MatchString(id) || len(id) > 200:
		return fmt.Errorf("repository id %q: letters, digits and . _ : - only", id)
	case !oneLine.MatchString(name):
		return fmt.Errorf("repository name %q holds control characters", name)
	case baseURL != "" && !plainURL.MatchString(baseURL):
		return fmt.Errorf("base URL %q is not an http, https or file URL without spaces and commas", baseURL)
	}
	return nil
}

// writeRepoFile writes ROOT/ID.repo when it does not say so already.
func (p *publication) writeRepoFile() (string, error) {
	base := strings.TrimRight(p.req.BaseURL, "/")
	if base == "" {
		base = fileURL(filepath.Join(p.root, Current))
	}
	return p.writeRepoFileFor(p.req.ID+".repo", base)
}

// writeRepoFileFor writes a .repo file of what is at base into the root.
func (p *publication) writeRepoFileFor(file, base string) (string, error) {
	name := p.req.Name
	if name == "" {
		name = p.req.ID
	}
	want := []byte(RepoFile(p.req.ID, name, base))
	path := filepath.Join(p.root, file)
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, want) {
		return path, nil
	}
	if err := writeAtomic(path, want, 0o644); err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	return path, nil
}

// RepoFile is the text of a .repo file for a repository published here and reached at
// base, an escaped URL without a slash at its end. metadata_expire is short, in seconds,
// because a new snapshot may come at any time and old ones stay only for a while.
func RepoFile(id, name, base string) string {
	var b strings.Builder
	section := func(id, name, base, more string) {
		fmt.Fprintf(&b, "[%s]\nname=%s\nbaseurl=%s\n%sgpgcheck=1\nrepo_gpgcheck=1\n", id, name, escapeVars(base), more)
	}
	key := fmt.Sprintf("gpgkey=%s\nmetadata_expire=300\n", escapeVars(base+"/"+publicKey))
	section(id, name, base, "enabled=1\n")
	b.WriteString(key)
	b.WriteString("\n")
	section(id+"-source", name+" - sources", base+"/Source", "enabled=0\n")
	b.WriteString(key)
	return b.String()
}

// escapeVars keeps dnf from reading a variable where there is none.
func escapeVars(s string) string { return strings.ReplaceAll(s, "$", "%24") }

// fileURL escapes all but the unreserved characters of RFC 3986: dnf splits baseurl at
// spaces and commas and replaces $variables.
func fileURL(path string) string {
	var b strings.Builder
	b.WriteString("file://")
	for i := range len(path) {
		c := path[i]
		if c == '/' || c == '-' || c == '.' || c == '_' || c == '~' ||
			'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// Install is what a machine is to do to get packages of a repository.
type Install struct {
	RepoFile string   // a path, or an http(s) URL
	As       string   // what the file is called on the machine; "": as in RepoFile
	Names    []string // what is installed; none: the repository is added, no more
	Apt      []string // packages of Debian or Ubuntu that are needed first
	// Foreign is a machine whose own packages are not rpm's (Debian): dnf's folder is made first, and its plugin named local is left
	// out, which looks for a repository that nobody made there.
	Foreign bool
}

// Lines are the lines for a shell.
func (i Install) Lines() (lines []string) {
	if len(i.Apt) > 0 {
		lines = append(lines, "sudo apt-get install "+quotedAll(i.Apt))
	}
	const folder = "/etc/yum.repos.d/"
	to, add := folder+i.As, ""
	if strings.HasPrefix(i.RepoFile, "https://") || strings.HasPrefix(i.RepoFile, "http://") {
		if i.As == "" {
			to = folder + i.RepoFile[strings.LastIndexByte(i.RepoFile, '/')+1:]
		}
		add = "sudo curl -fsSo " + shellQuote(to) + " " + shellQuote(i.RepoFile)
	} else {
		add = "sudo cp " + shellQuote(i.RepoFile) + " " + shellQuote(to)
	}
	install := "sudo dnf install "
	if i.Foreign {
		add = "sudo mkdir -p /etc/yum.repos.d && " + add
		install += "--disableplugin=local "
	}
	lines = append(lines, add)
	if len(i.Names) > 0 {
		lines = append(lines, install+quotedAll(i.Names))
	}
	return lines
}

func quotedAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellQuote(w)
	}
	return strings.Join(quoted, " ")
}

var shellPlain = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+~-]+$`)

func shellQuote(s string) string {
	if shellPlain.MatchString(s) && !strings.HasPrefix(s, "~") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
