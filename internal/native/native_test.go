package native

import (
	"slices"
	"strings"
	"testing"

	"reqpm/internal/sdist"
	"reqpm/internal/target"
)

func names(needs []Need) (required, optional []string) {
	for _, n := range needs {
		if n.Required {
			required = append(required, n.Name)
		} else {
			optional = append(optional, n.Name)
		}
	}
	slices.Sort(required)
	slices.Sort(optional)
	return required, optional
}

func TestNeeds(t *testing.T) {
	c := sdist.Native{C: true}
	for name, tc := range map[string]struct {
		pkg                string
		facts              sdist.Facts
		required, optional string
	}{
		"pure":           {"lxml", sdist.Facts{}, "", ""},
		"known":          {"lxml", sdist.Facts{Native: c}, "libxml2 libxslt zlib", "pkg-config"},
		"known optional": {"pyyaml", sdist.Facts{Native: c}, "", "libyaml pkg-config"},
		"brings its own": {"uvloop", sdist.Facts{Native: c, External: sdist.External{Headers: []string{"openssl/ssl.h"}}}, "", ""},
		"cmake":          {"x", sdist.Facts{Native: sdist.Native{CMake: true}}, "cmake", "ninja"},
		"fortran, rust":  {"x", sdist.Facts{Native: sdist.Native{Fortran: true, Rust: true}}, "gfortran rust", ""},
		"swig word only": {"x", sdist.Facts{Native: c, External: sdist.External{Programs: []string{"swig"}}}, "", ""},
		"swig":           {"x", sdist.Facts{Native: c, External: sdist.External{Programs: []string{"swig"}, SWIG: true}}, "swig", ""},
		"discovered": {"x", sdist.Facts{Native: c, External: sdist.External{Headers: []string{"ldap.h", "windows.h", "stdio.h"},
			PkgConfigs: []string{"libzmq", "nobody-knows"}, Libraries: []string{"sodium", "m"}, CMake: []string{"HDF5"}, Programs: []string{"pg_config"}}},
			"", "hdf5 ldap libpq libsodium pkg-config zeromq"},
	} {
		required, optional := names(Needs(tc.pkg, tc.facts))
		if strings.Join(required, " ") != tc.required || strings.Join(optional, " ") != tc.optional {
			t.Errorf("%s: required %q, optional %q", name, required, optional)
		}
	}
	if got := Unknown(sdist.Facts{Native: c, External: sdist.External{PkgConfigs: []string{"libzmq", "nobody-knows"}}}); !slices.Equal(got, []string{"nobody-knows"}) {
		t.Errorf("unknown modules: %q", got)
	}
}

// A word of the table of packages that no item has would silently be no need.
func TestPackagesNameItems(t *testing.T) {
	for pkg, words := range packages {
		for word := range strings.FieldsSeq(words) {
			if _, ok := find(strings.TrimPrefix(word, "?")); !ok {
				t.Errorf("%s needs %q, which no item is", pkg, word)
			}
		}
	}
	seen := map[string]bool{}
	for _, it := range items {
		if seen[it.name] {
			t.Errorf("two items are named %s", it.name)
		}
		seen[it.name] = true
		if len(it.debian) == 0 || it.rpm == "" && it.pkgConfig == "" {
			t.Errorf("%s has no name somewhere: %+v", it.name, it)
		}
	}
}

func TestBuildRequiresByRelease(t *testing.T) {
	find := func(name string) Need { it, _ := find(name); return Need{Name: name, item: it} }
	el := func(dist string) target.Target { return target.Target{Kind: target.DNF, Dist: dist} }
	for _, c := range []struct {
		need string
		t    target.Target
		want string
	}{
		{"libxml2", el(".el7"), "pkgconfig(libxml-2.0)"},
		{"libpq", el(".el7"), "postgresql-devel"},
		{"libpq", el(".el9"), "libpq-devel"},
		{"cmake", el(".el7"), "cmake3"},
		{"cmake", el(".el10"), "cmake"},
		{"ninja", el(".el8"), "ninja-build"},
		{"mariadb", el(".el8"), "mariadb-connector-c-devel"},
		{"rust", el(".el9"), "cargo rust"},
		{"xmlsec1", el(".el9"), "pkgconfig(xmlsec1) pkgconfig(xmlsec1-openssl) libtool-ltdl-devel"},
		{"zeromq", target.Target{Kind: target.Host}, "pkgconfig(libzmq)"},
		{"libpq", target.Target{Kind: target.Host}, "/usr/bin/pg_config"},
		{"ldap", target.Target{Kind: target.Host}, ""},
		{"rust", target.Target{Kind: target.Host}, "/usr/bin/cargo /usr/bin/rustc"},
	} {
		if got := strings.Join(find(c.need).BuildRequires(c.t), " "); got != c.want {
			t.Errorf("%s on %s%s: %q, want %q", c.need, c.t.Kind, c.t.Dist, got, c.want)
		}
	}
}

// What a log misses is named as a compiler sees it; what an override asks for, as some EL release does.
func TestNamedAndMeant(t *testing.T) {
	for want, e := range map[string]sdist.External{
		"zeromq":   {Headers: []string{"zmq.h"}},
		"ldap":     {Libraries: []string{"lber"}},
		"libpq":    {Programs: []string{"pg_config"}},
		"rust":     {Programs: []string{"rustc"}},
		"openblas": {PkgConfigs: []string{"openblas"}},
		"hdf5":     {CMake: []string{"HDF5"}},
		"":         {Headers: []string{"odd.h"}, Programs: []string{"odd"}},
	} {
		required, _ := names(Named(e))
		if strings.Join(required, " ") != want {
			t.Errorf("%+v means %q, not %q", e, required, want)
		}
	}
	for dep, want := range map[string]string{
		"pkgconfig(libzmq)": "zeromq", "libpq-devel": "libpq", "postgresql-devel": "libpq", "/usr/bin/pg_config": "libpq", "cargo": "rust", "cmake3": "cmake",
		"gcc-gfortran": "gfortran", "openssl-devel": "openssl", "pkgconfig(libcrypto)": "openssl", "odd-devel": "", "pkgconfig()": "", "-": "", "zlib": "",
	} {
		if n, ok := Meant(dep); n.Name != want || ok != (want != "") {
			t.Errorf("%s means %q, not %q", dep, n.Name, want)
		}
	}
	for _, it := range items { // an override that a repair writes is understood again
		n := Need{Name: it.name, item: it}
		for _, dep := range n.Words() {
			if back, ok := Meant(dep); !ok || back.Name != it.name {
				t.Errorf("%s is asked for by %s, which means %q", it.name, dep, back.Name)
			}
		}
		if len(n.Words()) == 0 {
			t.Errorf("%s has no words", it.name)
		}
	}
}
