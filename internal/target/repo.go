package target

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Repo is one dnf repository. One of BaseURL, Mirrorlist and Metalink is set.
// Addresses may hold dnf's variables ($basearch, $releasever).
type Repo struct {
	ID         string   `json:"id"`
	BaseURL    []string `json:"baseurl"`
	Mirrorlist string   `json:"mirrorlist,omitempty"`
	Metalink   string   `json:"metalink,omitempty"`
	GPGKey     []string `json:"gpgkey,omitempty"`
	GPGCheck   bool     `json:"gpgcheck"`
	// Certificates for repositories that answer only to who has a subscription (RHEL's). The file name
	// may be a pattern: subscription-manager names its files by number. internal/dnf finds the file.
	SSLCACert     string `json:"sslcacert,omitempty"`
	SSLClientCert string `json:"sslclientcert,omitempty"`
	SSLClientKey  string `json:"sslclientkey,omitempty"`
}

// String is the repository's section of a .repo file, as dnf.conf(5) describes it.
func (r Repo) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]\nname=%s\n", r.ID, r.ID)
	if len(r.BaseURL) > 0 {
		fmt.Fprintf(&b, "baseurl=%s\n", strings.Join(r.BaseURL, " "))
	}
	if r.Mirrorlist != "" {
		fmt.Fprintf(&b, "mirrorlist=%s\n", r.Mirrorlist)
	}
	if r.Metalink != "" {
		fmt.Fprintf(&b, "metalink=%s\n", r.Metalink)
	}
	if len(r.GPGKey) > 0 {
		fmt.Fprintf(&b, "gpgkey=%s\n", strings.Join(r.GPGKey, " "))
	}
	for _, c := range []struct{ key, path string }{{"sslcacert", r.SSLCACert}, {"sslclientcert", r.SSLClientCert}, {"sslclientkey", r.SSLClientKey}} {
		if c.path != "" {
			fmt.Fprintf(&b, "%s=%s\n", c.key, c.path)
		}
	}
	check := 0
	if r.GPGCheck {
		check = 1
	}
	fmt.Fprintf(&b, "gpgcheck=%d\nenabled=1\n", check)
	return b.String()
}

// maxRepoFile bounds one .repo file read from the host.
const maxRepoFile = 1 << 20

// ReadRepos reads the enabled repositories of one .repo file. The format is the INI
// dialect of dnf.conf(5): an indented line continues the value above it.
func ReadRepos(r io.Reader) ([]Repo, error) {
	var repos []Repo
	var values map[string]string
	var id, key string
	flush := func() {
		if values == nil || id == "main" || isFalse(values["enabled"]) {
			return
		}
		repo := Repo{
			ID:         id,
			BaseURL:    fields(values["baseurl"]),
			Mirrorlist: values["mirrorlist"],
			Metalink:   values["metalink"],
			GPGKey:     fields(values["gpgkey"]),
			GPGCheck:   values["gpgcheck"] != "" && !isFalse(values["gpgcheck"]),

			SSLCACert: values["sslcacert"], SSLClientCert: values["sslclientcert"], SSLClientKey: values["sslclientkey"],
		}
		if len(repo.BaseURL) > 0 || repo.Mirrorlist != "" || repo.Metalink != "" {
			repos = append(repos, repo)
		}
	}
	lines := bufio.NewScanner(io.LimitReader(r, maxRepoFile))
	lines.Buffer(nil, maxRepoFile)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		text := strings.TrimSpace(line)
		switch {
		case text == "" || text[0] == '#' || text[0] == ';':
		case text[0] == '[':
			flush()
			if !strings.HasSuffix(text, "]") || len(text) < 3 {
				return nil, fmt.Errorf("line %d: bad section %q", n, text)
			}
			id, key, values = text[1:len(text)-1], "", map[string]string{}
		case line[0] == ' ' || line[0] == '\t':
			if key != "" {
				values[key] += " " + text
			}
		default:
			name, value, ok := strings.Cut(text, "=")
			if !ok || values == nil {
				return nil, fmt.Errorf("line %d: expected NAME=VALUE inside a section, got %q", n, text)
			}
			key = strings.ToLower(strings.TrimSpace(name))
			values[key] = strings.TrimSpace(value)
		}
	}
	flush()
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return repos, nil
}

// fields splits a list value: white space and commas part its elements.
func fields(s string) []string {
	list := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' })
	if len(list) == 0 {
		return nil
	}
	return list
}

func isFalse(s string) bool {
	switch strings.ToLower(s) {
	case "0", "no", "false", "off":
		return true
	}
	return false
}
