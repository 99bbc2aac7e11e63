package target

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

//go:embed targets.toml
var shipped []byte

// maxFile bounds a targets file; maxTargets the targets in it.
const (
	maxFile    = 1 << 20
	maxTargets = 200
)

var (
	nameRE        = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	versionRE     = regexp.MustCompile(`^3\.[0-9]{1,3}(\.[0-9]{1,3})?$`)
	distRE        = regexp.MustCompile(`^(\.[A-Za-z0-9_]+)*$`)
	prefixRE      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*-$`)
	pathRE        = regexp.MustCompile(`^(/[A-Za-z0-9._+-]+)+$`)
	pkgRE         = regexp.MustCompile(`^@?[A-Za-z0-9][A-Za-z0-9._+-]*$`)
	repoIDRE      = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)
	certificateRE = regexp.MustCompile(`^(/[A-Za-z0-9._+-]+)+/[A-Za-z0-9._+*-]+$`)
	toolRE        = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	macroRE       = regexp.MustCompile(`^_?[A-Za-z][A-Za-z0-9_]{2,}$`)
	mockRE        = regexp.MustCompile(`^(/?[A-Za-z0-9][A-Za-z0-9._+-]*)(/[A-Za-z0-9][A-Za-z0-9._+-]*)*$`)
	stackRE       = regexp.MustCompile(`^3([0-9]{1,3}|\.[0-9]{1,3})?$`)
	addressRE     = regexp.MustCompile(`^(https?|file|ftp)://[!-~]+$`)
	rpmRE         = regexp.MustCompile(`^[0-9]+(\.[0-9]+)+$`)
)

// The file's form. Pointers tell "not written" from "written empty".
type (
	fileDoc struct {
		Distributions map[string]*fileDistribution `toml:"distributions"`
		Targets       map[string]*fileTarget       `toml:"targets"`
	}
	fileTarget struct {
		Base             string            `toml:"base"`
		Arch             string            `toml:"arch"`
		Dist             *string           `toml:"dist"`
		ReleaseVer       string            `toml:"releasever"`
		Distribution     string            `toml:"distribution"`
		EPEL             *bool             `toml:"epel"`
		Style            Style             `toml:"style"`
		BasePackages     []string          `toml:"base_packages"`
		Python           *filePython       `toml:"python"`
		RPM              *fileRPM          `toml:"rpm"`
		Tools            map[string]string `toml:"tools"`
		Macros           map[string]string `toml:"macros"`
		Mock             string            `toml:"mock"`
		RepodataCompress string            `toml:"repodata_compress"`
		Note             *string           `toml:"note"`
		Uncommon         *bool             `toml:"uncommon"`
		Repositories     []fileRepo        `toml:"repositories"`
	}
	filePython struct {
		Version    string `toml:"version"`
		Default    bool   `toml:"default"`
		Prefix     string `toml:"prefix"`
		Executable string `toml:"executable"`
		Sitelib    string `toml:"sitelib"`
		Sitearch   string `toml:"sitearch"`
		PkgVersion string `toml:"pkgversion"`
	}
	fileRPM struct {
		Version           string `toml:"version"`
		GeneratesRequires bool   `toml:"generates_requires"`
		ProvidesRaw       bool   `toml:"provides_raw"`
		PyprojectMacros   string `toml:"pyproject_macros"`
	}
	fileRepo struct {
		ID         string   `toml:"id"`
		BaseURL    []string `toml:"baseurl"`
		Mirrorlist string   `toml:"mirrorlist"`
		Metalink   string   `toml:"metalink"`
		GPGKey     []string `toml:"gpgkey"`
		GPGCheck   *bool    `toml:"gpgcheck"`

		SSLCACert     string `toml:"sslcacert"`
		SSLClientCert string `toml:"sslclientcert"`
		SSLClientKey  string `toml:"sslclientkey"`
	}
)

// Load reads targets of the user's own from a TOML file (targets.toml tells its form).
// A base may be a shipped target or another one of the file. Unknown keys and values that
// could not be used are errors with file, line or target.
func Load(path string) ([]Target, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read targets: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read targets %s: %w", path, err)
	}
	return Parse(path, data)
}

// Parse is Load for a file that is already in memory; name is used in errors only.
func Parse(name string, data []byte) ([]Target, error) {
	ours, err := readDoc("targets.toml", shipped)
	if err != nil {
		return nil, err
	}
	known, err := parse("targets.toml", ours, nil)
	if err != nil {
		return nil, err
	}
	doc, err := readDoc(name, data)
	if err != nil {
		return nil, err
	}
	for n, d := range ours.Distributions {
		if doc.Distributions[n] == nil {
			doc.Distributions[n] = d
		}
	}
	return parse(name, doc, known)
}

func readDoc(name string, data []byte) (fileDoc, error) {
	if len(data) > maxFile {
		return fileDoc{}, fmt.Errorf("%s: more than %d bytes", name, maxFile)
	}
	doc := fileDoc{Distributions: map[string]*fileDistribution{}}
	if err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&doc); err != nil {
		return fileDoc{}, tomlError(name, err)
	}
	if n := len(doc.Targets) + len(doc.Distributions); n > maxTargets {
		return fileDoc{}, fmt.Errorf("%s: %d targets and distributions, %d are allowed", name, n, maxTargets)
	}
	if doc.Distributions == nil {
		doc.Distributions = map[string]*fileDistribution{}
	}
	return doc, nil
}

func parse(name string, doc fileDoc, known []Target) ([]Target, error) {
	names := make([]string, 0, len(doc.Targets))
	for n := range doc.Targets {
		names = append(names, n)
	}
	slices.Sort(names)
	b := resolver{doc: doc, known: known, done: map[string]Target{}}
	out := make([]Target, 0, len(names))
	for _, n := range names {
		t, err := b.resolve(n, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, t.clone())
	}
	return out, nil
}

// tomlError gives go-toml's errors the file:line form used everywhere.
func tomlError(name string, err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		row, _ := strict.Errors[0].Position()
		return fmt.Errorf("%s:%d: unknown key %s", name, row, strings.Join(strict.Errors[0].Key(), "."))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		row, col := bad.Position()
		return fmt.Errorf("%s:%d:%d: %s", name, row, col, strings.TrimPrefix(bad.Error(), "toml: "))
	}
	return fmt.Errorf("%s: %w", name, err)
}

// resolver turns the tables of one file into targets, bases first.
type resolver struct {
	doc   fileDoc
	known []Target
	done  map[string]Target
}

func (b *resolver) resolve(name string, chain []string) (Target, error) {
	if t, ok := b.done[name]; ok {
		return t, nil
	}
	if slices.Contains(chain, name) {
		return Target{}, fmt.Errorf("targets.%s: base goes in a circle: %s", name, strings.Join(append(chain, name), " → "))
	}
	ft := b.doc.Targets[name]
	if ft == nil {
		ft = &fileTarget{}
	}
	if !nameRE.MatchString(name) {
		return Target{}, fmt.Errorf("targets.%s: a name is lower case letters, digits, dots and dashes", name)
	}
	if name == LocalName {
		return Target{}, fmt.Errorf("targets.%s: this name stands for the host", name)
	}
	base := Target{Kind: DNF, Arch: "x86_64"}
	if ft.Base != "" {
		var err error
		if base, err = b.base(name, ft.Base, append(chain, name)); err != nil {
			return Target{}, err
		}
	}
	t, err := ft.apply(base, name, b.doc.Distributions)
	if err != nil {
		return Target{}, fmt.Errorf("targets.%s: %w", name, err)
	}
	b.done[name] = t
	return t, nil
}

func (b *resolver) base(name, base string, chain []string) (Target, error) {
	// A target may carry a shipped one's name and start from it.
	if _, ok := b.doc.Targets[base]; ok && base != name {
		return b.resolve(base, chain)
	}
	for _, t := range b.known {
		if t.Name == base {
			return t, nil
		}
	}
	return Target{}, fmt.Errorf("targets.%s: base %q is not known; known: %s", name, base, strings.Join(targetNames(b.known), ", "))
}

// python fills what follows from the version: the names RHEL gives its stacks.
func (fp filePython) python() (Python, error) {
	if !versionRE.MatchString(fp.Version) {
		return Python{}, fmt.Errorf("python.version %q is not a version like 3.12.9", fp.Version)
	}
	p := stack(fp.Version, fp.Default, "lib64")
	for _, o := range []struct {
		to    *string
		value string
	}{
		{&p.Prefix, fp.Prefix}, {&p.Executable, fp.Executable}, {&p.Sitelib, fp.Sitelib},
		{&p.Sitearch, fp.Sitearch}, {&p.PkgVersion, fp.PkgVersion},
	} {
		if o.value != "" {
			*o.to = o.value
		}
	}
	return p, nil
}

// stack is the Python stack RHEL would name this way; lib is the directory of sitearch.
func stack(version string, isDefault bool, lib string) Python {
	p := Python{Version: version, Default: isDefault}
	minor := p.Minor()
	p.PkgVersion = minor
	if isDefault {
		p.PkgVersion = "3"
	}
	p.Prefix = "python" + p.PkgVersion + "-"
	p.Executable = "/usr/bin/python" + minor
	p.Sitelib = "/usr/lib/python" + minor + "/site-packages"
	p.Sitearch = "/usr/" + lib + "/python" + minor + "/site-packages"
	return p
}

func (fr fileRepo) repo() (Repo, error) {
	r := Repo{
		ID: fr.ID, BaseURL: fr.BaseURL, Mirrorlist: fr.Mirrorlist, Metalink: fr.Metalink, GPGKey: fr.GPGKey, GPGCheck: true,
		SSLCACert: fr.SSLCACert, SSLClientCert: fr.SSLClientCert, SSLClientKey: fr.SSLClientKey,
	}
	if fr.GPGCheck != nil {
		r.GPGCheck = *fr.GPGCheck
	}
	if !repoIDRE.MatchString(r.ID) {
		return Repo{}, fmt.Errorf("id %q: letters, digits and ._:- only", r.ID)
	}
	places := 0
	for _, set := range []bool{len(r.BaseURL) > 0, r.Mirrorlist != "", r.Metalink != ""} {
		if set {
			places++
		}
	}
	if places != 1 {
		return Repo{}, fmt.Errorf("%s needs exactly one of baseurl, mirrorlist, metalink", r.ID)
	}
	for _, a := range slices.Concat(r.BaseURL, r.GPGKey, []string{r.Mirrorlist, r.Metalink}) {
		if a != "" && !addressRE.MatchString(a) {
			return Repo{}, fmt.Errorf("%s: %q is not an http, https, ftp or file address", r.ID, a)
		}
	}
	for _, p := range []string{r.SSLCACert, r.SSLClientCert, r.SSLClientKey} {
		if p != "" && !certificateRE.MatchString(p) {
			return Repo{}, fmt.Errorf("%s: %q is not the absolute path of a certificate (its file name may hold *)", r.ID, p)
		}
	}
	if r.GPGCheck && len(r.GPGKey) == 0 {
		return Repo{}, fmt.Errorf("%s: gpgcheck needs a gpgkey (or gpgcheck = false)", r.ID)
	}
	return r, nil
}

// rpmOf tells what an rpm version can do: ~ and ^ (4.15, and RHEL 8's patched 4.14.3),
// rich dependencies (4.13), weak ones (4.12), %generate_buildrequires (4.15).
func rpmOf(version string) RPM {
	var n [3]int
	for i, s := range strings.SplitN(version, ".", 4) {
		if i < len(n) {
			n[i], _ = strconv.Atoi(s)
		}
	}
	least := func(minor, patch int) bool {
		if n[0] != 4 {
			return n[0] > 4
		}
		return n[1] > minor || n[1] == minor && n[2] >= patch
	}
	return RPM{Version: version, Caret: least(14, 3), RichDeps: least(13, 0), WeakDeps: least(12, 0), DynamicBR: least(15, 0)}
}
