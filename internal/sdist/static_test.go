package sdist

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What [project] states of dependencies binds the backend (PEP 621): nobody needs to be asked.
func TestStaticMetadata(t *testing.T) {
	const old = "Metadata-Version: 2.1\nName: foo\nVersion: 1.0\nSummary: Foo\n" // of old flit: it lists no requirements
	for _, test := range []struct {
		name, pkgInfo, project string
		static                 bool
		requires, extras       []string
		python                 string
	}{
		{"all stated", old, "name='foo'\nversion='1.0'\nrequires-python='>=3.8'\ndependencies=['a>=1', 'b; python_version<\"3.9\"']\noptional-dependencies={Fast_X=['c', 'd; os_name==\"posix\"']}\n",
			true, []string{"a>=1", `b; python_version < "3.9"`, `c; extra == "fast-x"`, `d; os_name == "posix" and extra == "fast-x"`}, []string{"fast-x"}, ">=3.8"},
		{"nothing needed", old, "name='foo'\ndynamic=['version']\n", true, nil, nil, ""},
		{"dynamic dependencies", old, "name='foo'\ndynamic=['dependencies']\n", false, nil, nil, ""},
		{"dynamic extras", old, "name='foo'\ndependencies=[]\ndynamic=['optional-dependencies']\n", false, nil, nil, ""},
		{"settings of tools only", old, "requires-python='>=3.8'\n", false, nil, nil, ""},
		{"no requirement", old, "name='foo'\ndependencies=['a b c']\n", false, nil, nil, ""},
		{"no list", old, "name='foo'\ndependencies='a'\n", false, nil, nil, ""},
		{"PKG-INFO that may be relied on", "Metadata-Version: 2.2\nName: foo\nVersion: 1.0\nRequires-Dist: z\n", "name='foo'\ndynamic=['dependencies']\n", true, []string{"z"}, nil, ""},
	} {
		src := writeTree(t, t.TempDir(), files{"PKG-INFO": test.pkgInfo, "pyproject.toml": "[project]\n" + test.project})
		facts, err := Read(src, "foo-1.0.tar.gz")
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		m, ok := facts.StaticMetadata()
		if ok != test.static {
			t.Errorf("%s: static is %v", test.name, ok)
			continue
		}
		if diff := cmp.Diff(test.requires, texts(m.RequiresDist)); diff != "" {
			t.Errorf("%s: requires (-want +got):\n%s", test.name, diff)
		}
		if diff := cmp.Diff(test.extras, m.ProvidesExtra); diff != "" || m.RequiresPython != test.python {
			t.Errorf("%s: extras, Python %q:\n%s", test.name, m.RequiresPython, diff)
		}
		if ok && (m.Name != "foo" || m.Version.String() != "1.0") {
			t.Errorf("%s: %s %s", test.name, m.Name, m.Version)
		}
	}
}
