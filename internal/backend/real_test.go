package backend

import (
	"archive/zip"
	"bufio"
	"fmt"
	"io"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// emptyGroup is a group of entry points without any, which older pdm-backend writes.
var emptyGroup = regexp.MustCompile(`\[[^\]]*\]\n+(\[)`)

// made is what of a wheel must be the same whoever built it.
type made struct {
	Name, Version, Python   string
	Requires, Extras, Files []string
	EntryPoints             string
}

// python runs an interpreter that sees what was installed into site, and nothing else.
func python(t *testing.T, program, dir, site string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PYTHONPATH="+site, "PYTHONNOUSERSITE=1", "PATH="+site+"/bin:"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// install puts packages into a folder of their own, once a test run.
func install(t *testing.T, program string, packages ...string) string {
	t.Helper()
	site := t.TempDir()
	if kept := os.Getenv("REQPM_BACKEND_SITES"); kept != "" { // a folder to keep them in between runs
		site = filepath.Join(kept, filepath.Base(filepath.Dir(filepath.Dir(program)))+"-"+strings.Join(packages, "-"))
		if _, err := os.Stat(site); err == nil {
			return site
		}
	}
	args := append([]string{"-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-warn-script-location", "--target", site}, packages...)
	if out, err := python(t, program, site, "", args...); err != nil {
		t.Fatalf("pip install %v: %v\n%s", packages, err, out)
	}
	return site
}

// wheel has a backend build the tree in dir.
func wheel(t *testing.T, program, site, module, dir string) (made, error) {
	t.Helper()
	out := t.TempDir()
	code := fmt.Sprintf("import sys; sys.argv = ['setup.py']; import %s as b; b.build_wheel(%q)", module, out)
	if log, err := python(t, program, dir, site, "-c", code); err != nil {
		return made{}, fmt.Errorf("%w\n%s", err, log)
	}
	found, _ := filepath.Glob(filepath.Join(out, "*.whl"))
	if len(found) != 1 {
		return made{}, fmt.Errorf("%d wheels", len(found))
	}
	z, err := zip.OpenReader(found[0])
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var m made
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		switch base := filepath.Base(f.Name); {
		case base == "METADATA":
			head, _ := textproto.NewReader(bufio.NewReader(strings.NewReader(string(data) + "\n\n"))).ReadMIMEHeader()
			m.Name, m.Version, m.Python = strings.ReplaceAll(head.Get("Name"), "-", "."), head.Get("Version"), head.Get("Requires-Python")
			for _, text := range head["Requires-Dist"] {
				// As told apart by those who read it: older versions write brackets.
				m.Requires = append(m.Requires, requirements(t, text)[0].String())
			}
			m.Extras = head["Provides-Extra"]
		case base == "entry_points.txt":
			text := emptyGroup.ReplaceAllString(strings.ReplaceAll(string(data), " ", ""), "$1")
			m.EntryPoints = strings.TrimSpace(strings.ReplaceAll(text, "\n\n", "\n"))
		case !strings.Contains(f.Name, ".dist-info/") && !strings.HasSuffix(f.Name, "/"):
			m.Files = append(m.Files, f.Name)
		}
	}
	slices.Sort(m.Requires)
	slices.Sort(m.Files)
	return m, nil
}

// What an old backend builds of a patched tree is what a new one builds of the tree as it is, and
// without the patch it is not built. REQPM_OLD_PYTHON is an interpreter that setuptools before 61 is
// tried with, beside python3.
func TestOldBackendsBuildTheSame(t *testing.T) {
	if os.Getenv("REQPM_NETWORK") == "" {
		t.Skip("REQPM_NETWORK is not set: build backends are downloaded")
	}
	peps := func(module string) map[string]string {
		files := richTree()
		text := strings.ReplaceAll(rich, "setuptools.build_meta", module)
		files["pyproject.toml"] = strings.Replace(text, "license = {text = \"MIT\"}", "license = 'MIT' # \"x\"\nlicense-files = [\n  \"LICENSE\"\n]", 1)
		if module != "setuptools.build_meta" {
			files["pyproject.toml"] = strings.ReplaceAll(files["pyproject.toml"], `"my.pkg"`, `"my_pkg"`)
		}
		return files
	}
	uv := peps("uv_build")
	uv["pyproject.toml"] = strings.ReplaceAll(uv["pyproject.toml"], "setuptools>=61", "uv_build>=0.9,<1")
	for _, c := range []struct {
		project, module string
		files           map[string]string
		old             []string
		extra           []string
		oldPython       bool
	}{
		{"setuptools", "setuptools.build_meta", richTree(), []string{"60.10.0"}, []string{"wheel<0.46"}, false},
		{"setuptools", "setuptools.build_meta", peps("setuptools.build_meta"), []string{"61.0.0", "65.5.1", "69.0.3", "76.1.0"}, []string{"wheel<0.46"}, false},
		{"setuptools", "setuptools.build_meta", peps("setuptools.build_meta"), []string{"39.2.0", "53.0.0", "59.6.0"}, []string{"wheel<0.38"}, true},
		{"flit-core", "flit_core.buildapi", peps("flit_core.buildapi"), []string{"3.2.0", "3.10.1"}, nil, false},
		{"hatchling", "hatchling.build", peps("hatchling.build"), []string{"1.21.1", "1.25.0"}, nil, false},
		{"pdm-backend", "pdm.backend", peps("pdm.backend"), []string{"2.3.3"}, nil, false},
		{"uv-build", "uv_build", uv, []string{"3.12.0"}, nil, false},
	} {
		program := "python3"
		if c.oldPython {
			if program = os.Getenv("REQPM_OLD_PYTHON"); program == "" {
				continue
			}
		}
		dir, tree := write(t, c.files)
		want, err := wheel(t, "python3", install(t, "python3", c.project), c.module, dir)
		if err != nil {
			t.Fatalf("newest %s: %v", c.project, err)
		}
		for _, v := range c.old {
			dir, _ := write(t, c.files)
			project, module := c.project, c.module
			var p *Patch
			if project == uvBuild {
				project, module = "flit-core", "flit_core.buildapi"
				p, err = SwitchToFlit(tree)
			} else {
				p, err = Fit(tree, project, version(t, v), nil)
			}
			if err != nil || p == nil {
				t.Errorf("%s %s: %+v, %v", project, v, p, err)
				continue
			}
			site := install(t, program, append([]string{project + "==" + v}, c.extra...)...)
			if raw, err := wheel(t, program, site, module, dir); err == nil && raw.Name == want.Name && c.project != uvBuild {
				t.Errorf("%s %s needs no patch", project, v)
			}
			dir, _ = write(t, c.files)
			applied(t, dir, p)
			got, err := wheel(t, program, site, module, dir)
			if err != nil {
				t.Errorf("%s %s, patched: %v", project, v, err)
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %s builds something else (-newest +old): %s", project, v, diff)
			}
		}
	}
}
