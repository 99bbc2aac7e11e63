package reqfile

import (
	"context"
	"testing"
	"testing/fstest"

	"reqpm/internal/pep440"
)

// checkLocks holds what must be true of every lock read.
func checkLocks(t *testing.T, set Set) {
	t.Helper()
	for _, l := range set.Locks {
		if l.RequiresPython != "" {
			if _, err := pep440.ParseSpecifiers(l.RequiresPython); err != nil {
				t.Errorf("requires-python: %v", err)
			}
		}
		for _, p := range l.Pins {
			if p.Line < 1 || p.File != l.File {
				t.Errorf("%s stands nowhere: %s", p.Name, p.Where())
			}
			if !isName(p.Name) || p.Version == "" && p.Direct == nil {
				t.Errorf("pin %+v", p)
			}
			if p.Version != "" {
				if _, err := pep440.Parse(p.Version); err != nil {
					t.Error(err)
				}
			}
			for _, h := range p.Hashes {
				if _, err := checkHash(h); err != nil {
					t.Error(err)
				}
			}
			if p.Direct != nil {
				checkSet(t, Set{Requirements: []Requirement{*p.Direct}}, nil)
			}
		}
	}
	checkSet(t, Set{Requirements: set.Overrides, Constraints: set.BuildConstraints}, nil)
}

// fuzzFormat reads the bytes as one file of a format, alone and with everything
// wanted.
func fuzzFormat(f *testing.F, name string, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys := fstest.MapFS{"sub/" + name: {Data: data}, "sub/lib/setup.py": {}, "sub/requirements.txt": {Data: []byte("six\n")}}
		set, err := Read(context.Background(), Request{
			FS: fsys, Files: []string{"sub/" + name}, Extras: []string{"fast", "a"}, Groups: []string{"dev"},
		})
		checkSet(t, set, err)
		checkLocks(t, set)
		if _, err := Discover(fsys); err != nil {
			t.Error(err)
		}
	})
}

func FuzzUVLock(f *testing.F) {
	fuzzFormat(f, "uv.lock", uvLockText, "version = 1", "version=1\n[[package]]\nname='a'\nsource={git='x'}", "version=1\npackage=[1]\n[manifest]\nmembers=[2]")
}

func FuzzPoetryLock(f *testing.F) {
	fuzzFormat(f, "poetry.lock", poetryLockText, "[metadata]\nlock-version='1.1'\n[metadata.files]\na=[{hash=1}]\n[[package]]\nname='a'\nversion='1'\nmarkers={}")
}

func FuzzPDMLock(f *testing.F) {
	fuzzFormat(f, "pdm.lock", "[metadata]\nlock_version='4.5'\n[[package]]\nname='a'\nversion='1'\nextras=['b']\ngit='https://x/y'\nrevision='z'")
}

func FuzzPylock(f *testing.F) {
	fuzzFormat(f, "pylock.toml", pylockText, "lock-version='1.0'\n[[packages]]\nname='a'\nvcs={type='git',url='x'}")
}

func FuzzPipfileLock(f *testing.F) {
	fuzzFormat(f, "Pipfile.lock", `{"_meta":{"pipfile-spec":6,"requires":{"python_version":"3"},"sources":[{}]},"default":{"a":{"version":"==1","markers":"x","hashes":[1]},"b":{"path":"lib"},"c":[]}}`, "[[", `{"a":"\u0000`)
}

func FuzzPipfile(f *testing.F) {
	fuzzFormat(f, "Pipfile", "[[source]]\nurl='https://${A}@x'\nname='a'\n[packages]\na='*'\nb={version='1',os_name=\"== 'nt'\"}\nc={path='lib',editable=true}\nd={file='https://x/y.zip'}\n[dev-packages]\ne={git='x'}")
}

func FuzzPoetry(f *testing.F) {
	fuzzFormat(f, "pyproject.toml", poetryText, uvText, "[tool.poetry]\n[tool.poetry.dependencies]\na='^1||2'\nb=[{},1]\nc={python='~2.7||^3'}\n[tool.poetry.group.dev]\ninclude-groups=['dev']",
		"[tool.uv.workspace]\nmembers=['**/*','lib']\n[tool.uv.sources]\na=[{workspace=true}]", "[project]\nname='a'\ndependencies=['b']\n[tool.uv.sources]\nb=[{index='c',marker='os_name==\"nt\"'}]")
}

func FuzzSetupCfg(f *testing.F) {
	fuzzFormat(f, "setup.cfg", setupCfgText, "[options]\ninstall_requires=file:requirements.txt\n", "[options]\n a\n=b\n[options.extras_require]\na=x[a]\n", "[a\n]=]")
}

func FuzzSetupPy(f *testing.F) {
	fuzzFormat(f, "setup.py", "A=['a']\nB=A+A\nsetup(name='x',install_requires=B,extras_require={'a':['x[a]'],':os_name==\"nt\"':'b'},**dict(c=1))",
		"x='''\n\\\n'''\nsetup(**{'install_requires':('a')})", "setup(", "setup(install_requires=[*A,\\\n'b'", "A=B=[[[(", "setup(extras_require={'a'})")
}

func FuzzConda(f *testing.F) {
	fuzzFormat(f, "environment.yml", "dependencies:\n  - python\n  - pip:\n    - six\n    - -r requirements.txt\n", "dependencies:\n- 'pip':\n  - \"a\" #b\n-\n", "dependencies:\n  - pip:\n  - a")
}

func FuzzTox(f *testing.F) {
	for _, seed := range []string{toxText, "[testenv:a]\ndeps={[testenv:a]deps}\n !b-{c,d}: e\n", "[tox]\nenvlist={{{a,b},c}}\n[testenv]\ndeps=-r{toxinidir}/x\n", "[tox]\nenvlist=" + "{a,b}{c,d}{e,f}{g,h}{a,b}{c,d}{e,f}{g,h}{a,b}{c,d}{e,f}{g,h}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Read(context.Background(), Request{FS: fstest.MapFS{"tox.ini": {Data: data}}, Envs: []string{"tox:a", "tox:py311-django50"}})
		checkSet(t, set, err)
	})
}

func FuzzHatch(f *testing.F) {
	f.Add([]byte("[envs.a]\ntemplate='b'\ndependencies=['six']\n[envs.b]\ntemplate='a'\nfeatures=['x']\n[envs.default]\ndetached=1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Read(context.Background(), Request{FS: fstest.MapFS{"hatch.toml": {Data: data}}, Envs: []string{"hatch:a", "hatch:b.c"}})
		checkSet(t, set, err)
	})
}
