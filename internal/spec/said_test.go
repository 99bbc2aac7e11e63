package spec

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/target"
)

// everything is one thing of each kind that people can say.
func everything() Said {
	return Said{
		Keys:              []string{"env", "patches"},
		Env:               map[string]string{"WITH_XMLSEC": "1", "CFLAGS": "-O1 -DNAME='100%'"},
		Requires:          []string{"redis >= 6"},
		DropBuildRequires: []string{"gcc-c++", "/usr/bin/g++"}, DropRequires: []string{"libfoo.so.1()(64bit)"},
		Strip:          map[string]int{"0001-pep639.patch": 0},
		ConfigSettings: map[string][]string{"setup-args": {"-Da=b", "-Dc=d"}},
		Bconds:         map[string]bool{"bootstrap": true, "docs": false},
		Commands:       []string{"$PYTHON -c 'import cext; print(\"100%d\" % 1)'"},
	}
}

func TestWhatPeopleSayIsWritten(t *testing.T) {
	const ours = "# Changed by overrides: env, patches\n%global _with_bootstrap --with-bootstrap\n%global _without_docs --without-docs\n%bcond_without check\n"
	const exports = "export CFLAGS='-O1 -DNAME='\\''100%%'\\'''\nexport WITH_XMLSEC='1'\n"
	const check = "\n%check\n%if %{with check}\nexport PYTHON=/usr/bin/python3.12\n" +
		"export PYTHONPATH=%{buildroot}/usr/lib64/python3.12/site-packages:%{buildroot}/usr/lib/python3.12/site-packages PYTHONDONTWRITEBYTECODE=1\n" +
		"$PYTHON -c 'import cext; print(\"100%%d\" %% 1)'\n%endif\n\n%files"
	el9, el10, el9py39 := shipped(t, "el9"), shipped(t, "el10"), shipped(t, "el9-py39")
	for name, c := range map[string]struct {
		target target.Target
		want   []string
		never  []string
	}{
		"driver": {shipped(t, "el8"), []string{ours, exports, check,
			"wheel .reqpm-dist --expect '%{pypi_name}' '%{pypi_version}' --config-setting='setup-args=-Da=b' --config-setting='setup-args=-Dc=d'\n",
			"%autosetup -p0 -n cext-3.0.2\n", "Requires:       redis >= 6\n",
			"|libfoo[.]so[.]1[(][)][(]64bit[)]( |$))\n"}, []string{"gcc-c++"}},
		"macros": {el9, []string{ours, exports, check, "%pyproject_buildrequires -R -C setup-args=-Da=b -C setup-args=-Dc=d\n",
			"%pyproject_wheel -C setup-args=-Da=b -C setup-args=-Dc=d\n", "Requires:       redis >= 6\n"}, []string{"gcc-c++"}},
		"newest macros":  {el10, []string{ours, exports, check}, nil},
		"pip is too old": {el9py39, []string{"--config-setting='setup-args=-Da=b'"}, []string{"%pyproject_wheel"}},
		"local":          {local(false), []string{ours, exports, "Requires:       redis >= 6\n"}, []string{"g++"}},
	} {
		in := samples(t)["native"]
		in.Target, in.Said = c.target, everything()
		out, err := Write(in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range c.want {
			if strings.HasPrefix(want, "|libfoo") { // the only one that is left out
				want = strings.Replace(want, "|", "^[(]*(", 1)
			}
			if !strings.Contains(out.Text, want) {
				t.Errorf("%s: no %q in\n%s", name, want, out.Text)
			}
		}
		for _, never := range c.never {
			if strings.Contains(out.Text, never) {
				t.Errorf("%s: %q in\n%s", name, never, out.Text)
			}
		}
	}
}

func TestSettingsThatMacrosCannotPass(t *testing.T) {
	in := samples(t)["native"]
	in.Target = shipped(t, "el9")
	in.Said.ConfigSettings = map[string][]string{"setup-args": {"-Dname=two words"}}
	out, err := Write(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := " --config-setting='setup-args=-Dname=two words'\n"; !strings.Contains(out.Text, want) {
		t.Errorf("no %q in\n%s", want, out.Text)
	}
}

func TestPatchesOfSeveralKinds(t *testing.T) {
	in := samples(t)["native"]
	in.Target = local(false)
	in.Patches = []string{"a.patch", "b.patch"}
	in.Said.Strip = map[string]int{"b.patch": 0}
	out, err := Write(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := "%autosetup -N -n cext-3.0.2\n%patch -P 0 -p1\n%patch -P 1 -p0\n"; !strings.Contains(out.Text, want) {
		t.Errorf("no %q in\n%s", want, out.Text)
	}
}

func TestWhatRpmMakesOfIt(t *testing.T) {
	if _, err := exec.LookPath("rpmspec"); err != nil {
		t.Skip("rpmspec is not installed")
	}
	in := samples(t)["flit"]
	in.Target, in.Said = local(false), everything()
	in.Said.DropRequires = nil
	out, err := Write(in)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := expand(t, out.Text)
	for _, want := range []string{"export CFLAGS='-O1 -DNAME='\\''100%'\\'''\n", `print("100%d" % 1)`} {
		if !strings.Contains(text, want) {
			t.Errorf("rpm made no %q of it:\n%s", want, text)
		}
	}
	in.Said.Bconds["check"] = false
	if out, err = Write(in); err != nil {
		t.Fatal(err)
	}
	if text, _ = expand(t, out.Text); strings.Contains(text, "100%d") {
		t.Errorf("the build condition check is off, and still:\n%s", text)
	}
}

func TestHostileThingsThatPeopleSay(t *testing.T) {
	for name, said := range map[string]Said{
		"env newline":       {Env: map[string]string{"A": "b\n%files"}},
		"env name":          {Env: map[string]string{"A;id": "b"}},
		"env escape":        {Env: map[string]string{"A": "\x1b[31m"}},
		"setting":           {ConfigSettings: map[string][]string{"a b": {"c"}}},
		"setting newline":   {ConfigSettings: map[string][]string{"a": {"c\nd"}}},
		"build condition":   {Bconds: map[string]bool{"x\n%(id)": true}},
		"command section":   {Commands: []string{"  %files"}},
		"command newline":   {Commands: []string{"true\n%post"}},
		"command continued": {Commands: []string{"true \\"}},
		"requires":          {Requires: []string{"a\nProvides: b"}},
		"requires macro":    {Requires: []string{"%(id)"}},
		"drop":              {DropRequires: []string{"a)|(.*"}},
		"drop build":        {DropBuildRequires: []string{"%{x}"}},
		"key":               {Keys: []string{"env\n%prep"}},
		"strip":             {Strip: map[string]int{"a.patch": -1}},
	} {
		in := samples(t)["flit"]
		in.Target, in.Said = local(false), said
		if out, err := Write(in); err == nil {
			t.Errorf("%s was written:\n%s", name, out.Text)
		}
	}
	for _, text := range []string{"%(touch pwned)", "'; touch pwned; '", "`touch pwned`$(touch pwned)", "%{lua:os.execute('touch pwned')}", "\\", "%%", "%{"} {
		in := samples(t)["flit"]
		in.Target = local(false)
		in.Said = Said{Env: map[string]string{"A": text}, ConfigSettings: map[string][]string{"k": {text}}, Commands: []string{"echo " + shellWord(text)}}
		out, err := Write(in)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if _, err := exec.LookPath("rpmspec"); err != nil {
			continue
		}
		expanded, dir := expand(t, out.Text)
		if want := "export A='" + strings.ReplaceAll(text, "'", `'\''`) + "'\n"; !strings.Contains(expanded, want) {
			t.Errorf("%q became something else than %s", text, want)
		}
		if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
			t.Errorf("%q was run while the spec was parsed", text)
		}
	}
}

func shellWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
