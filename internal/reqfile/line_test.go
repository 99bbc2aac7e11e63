package reqfile

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// files makes a project out of name, content pairs.
func files(pairs ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fsys[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fsys
}

// got is a requirement in words that are easy to compare.
type got struct {
	Name     string   `json:",omitempty"`
	Spec     string   `json:",omitempty"`
	Marker   string   `json:",omitempty"`
	Extras   []string `json:",omitempty"`
	Hashes   []string `json:",omitempty"`
	URL      string   `json:",omitempty"`
	VCS      string   `json:",omitempty"`
	Path     string   `json:",omitempty"`
	Sub      string   `json:",omitempty"`
	Editable bool     `json:",omitempty"`
	Text     string
	File     string
	Line     int
}

func show(q Requirement) got {
	g := got{
		Name: q.Name, Spec: q.Specifiers.String(), Extras: q.Extras, Hashes: q.Hashes,
		URL: q.URL, VCS: q.VCS, Path: q.Path, Sub: q.Subdirectory, Editable: q.Editable,
		Text: q.Text, File: q.File, Line: q.Line,
	}
	if q.Marker != nil {
		g.Marker = q.Marker.String()
	}
	return g
}

// projectTree has the local things that requirement lines may name.
func projectTree() fstest.MapFS {
	return files(
		"setup.py", "", "master/setup.py", "", "libs/core/pyproject.toml", "",
		"requirements/setup.py", "", "named/pyproject.toml", "[project]\nname = 'My.Own'\n",
		"plain/readme", "", "notes.txt", "x\n",
		"wheels/Some_Pkg-1.2-py3-none-any.whl", "", "wheels/thing-1.0.tar.gz", "", "bad-1.whl", "",
		"my dir/setup.py", "",
	)
}

func TestRequirementSpellings(t *testing.T) {
	const sha = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	const git = "git+https://git.example.org/group/tool.git@v1.2"
	for line, want := range map[string]got{
		// What the original lost.
		"requests == 2.31.0": {Name: "requests", Spec: "==2.31.0"},
		"django>=4.2, <5.0":  {Name: "django", Spec: "<5.0,>=4.2"},
		"six!=1.5":           {Name: "six", Spec: "!=1.5"},
		"attrs (>=1)":        {Name: "attrs", Spec: ">=1"},
		"flask; ":            {Name: "flask", Text: "flask;"},
		`tool @ https://example.org/t.zip; python_version > "3" --hash=sha256:ab`: {Name: "tool", URL: "https://example.org/t.zip", Marker: `python_version > "3"`, Hashes: []string{"sha256:ab"}, Text: `tool @ https://example.org/t.zip; python_version > "3"`},
		`-e . ; python_version > "3" --config-settings a=b`:                       {Path: ".", Marker: `python_version > "3"`, Editable: true, Text: `. ; python_version > "3"`},
		"Flask":                                    {Name: "Flask"},
		"numpy==1.26.*":                            {Name: "numpy", Spec: "==1.26.*"},
		"celery[SQS, redis]~=5.3 # queue":          {Name: "celery", Spec: "~=5.3", Extras: []string{"redis", "sqs"}, Text: "celery[SQS, redis]~=5.3"},
		`tomli>=2; python_version < "3.11"`:        {Name: "tomli", Spec: ">=2", Marker: `python_version < "3.11"`},
		"foo==1.0 --hash=" + sha:                   {Name: "foo", Spec: "==1.0", Hashes: []string{sha}, Text: "foo==1.0"},
		"foo==1.0 --hash " + strings.ToUpper(sha):  {Name: "foo", Spec: "==1.0", Hashes: []string{sha}, Text: "foo==1.0"},
		"foo==1.0\t--hash=sha512:ab --hash=" + sha: {Name: "foo", Spec: "==1.0", Hashes: []string{"sha512:ab", sha}, Text: "foo==1.0"},

		// Repositories, in all spellings.
		git + "#egg=tool": {Name: "tool", VCS: git, URL: git},
		git + "#egg=tool[Fast,s3]&subdirectory=py/tool": {Name: "tool", VCS: git, URL: git, Extras: []string{"fast", "s3"}, Sub: "py/tool"},
		git + "#subdirectory=py&egg=tool":               {Name: "tool", VCS: git, URL: git, Sub: "py"},
		git:                                             {VCS: git, URL: git},
		"tool @ " + git:                                 {Name: "tool", VCS: git, URL: git},
		"tool[x]@" + git:                                {Name: "tool", VCS: git, URL: git, Extras: []string{"x"}},
		"tool[x] @ " + git + "#egg=tool[y]":             {Name: "tool", VCS: git, URL: git, Extras: []string{"x", "y"}},
		"tool @ " + git + ` ; python_version > "3"`:     {Name: "tool", VCS: git, URL: git, Marker: `python_version > "3"`},
		git + `#egg=tool ; python_version > "3"`:        {Name: "tool", VCS: git, URL: git, Marker: `python_version > "3"`},
		"-e " + git + "#egg=tool":                       {Name: "tool", VCS: git, URL: git, Editable: true, Text: git + "#egg=tool"},
		"--editable=" + git + "#egg=tool[x]":            {Name: "tool", VCS: git, URL: git, Extras: []string{"x"}, Editable: true, Text: git + "#egg=tool[x]"},
		"-e tool@" + git:                                {Name: "tool", VCS: git, URL: git, Editable: true, Text: "tool@" + git},
		"git+ssh://git@git.example.org/g/t.git#egg=t":   {Name: "t", VCS: "git+ssh://git@git.example.org/g/t.git", URL: "git+ssh://git@git.example.org/g/t.git"},
		"-e git://git.example.org/t.git#egg=t":          {Name: "t", VCS: "git+git://git.example.org/t.git", URL: "git+git://git.example.org/t.git", Editable: true, Text: "git://git.example.org/t.git#egg=t"},
		"hg+https://hg.example.org/t@tip#egg=t":         {Name: "t", VCS: "hg+https://hg.example.org/t@tip", URL: "hg+https://hg.example.org/t@tip"},

		// Archives by URL; the # of a fragment is no comment.
		"https://example.org/a/foo-1.0.tar.gz":                                       {URL: "https://example.org/a/foo-1.0.tar.gz"},
		"https://example.org/foo-1.0.zip#egg=foo&subdirectory=py":                    {Name: "foo", URL: "https://example.org/foo-1.0.zip", Sub: "py"},
		"https://example.org/My_Pkg-1.0-py3-none-any.whl # a wheel":                  {Name: "My_Pkg", URL: "https://example.org/My_Pkg-1.0-py3-none-any.whl", Text: "https://example.org/My_Pkg-1.0-py3-none-any.whl"},
		"foo @ https://example.org/foo-1.0.zip#" + strings.Replace(sha, ":", "=", 1): {Name: "foo", URL: "https://example.org/foo-1.0.zip", Hashes: []string{sha}},
		`foo @ https://example.org/f.zip ; sys_platform == "linux"`:                  {Name: "foo", URL: "https://example.org/f.zip", Marker: `sys_platform == "linux"`},

		// Local paths.
		".":                             {Path: "."},
		"./libs/core":                   {Path: "libs/core"},
		"-e named[x]":                   {Name: "My.Own", Path: "named", Extras: []string{"x"}, Editable: true, Text: "named[x]"},
		"libs/core/":                    {Path: "libs/core"},
		"libs/core[db]":                 {Path: "libs/core", Extras: []string{"db"}},
		"-e .":                          {Path: ".", Editable: true, Text: "."},
		"-e .[test,tls]":                {Path: ".", Extras: []string{"test", "tls"}, Editable: true, Text: ".[test,tls]"},
		"-e master[test,tls]":           {Path: "master", Extras: []string{"test", "tls"}, Editable: true, Text: "master[test,tls]"},
		"-emaster":                      {Path: "master", Editable: true, Text: "master"},
		`-e "my dir"`:                   {Path: "my dir", Editable: true, Text: "my dir"},
		"-e . --config-settings a=b":    {Path: ".", Editable: true, Text: "."},
		`-e . ; python_version > "3"`:   {Path: ".", Marker: `python_version > "3"`, Editable: true, Text: `. ; python_version > "3"`},
		"file:libs/core#egg=core":       {Name: "core", Path: "libs/core"},
		"file:./libs#subdirectory=core": {Path: "libs/core"},
		"-e file:./libs/core[db]":       {Path: "libs/core", Extras: []string{"db"}, Editable: true, Text: "file:./libs/core[db]"},
		"file:///srv/project/libs/core": {Path: "libs/core"},
		"/srv/project/master":           {Path: "master"},
		"core @ file:./libs/core":       {Name: "core", Path: "libs/core"},
		"core[db] @ file:./libs/core":   {Name: "core", Path: "libs/core", Extras: []string{"db"}},
		"wheels/thing-1.0.tar.gz":       {Path: "wheels/thing-1.0.tar.gz"},
		`./master ; os_name == "posix"`: {Path: "master", Marker: `os_name == "posix"`},
		"./wheels/../master":            {Path: "master"},
		"wheels/Some_Pkg-1.2-py3-none-any.whl[extra]": {Name: "Some_Pkg", Path: "wheels/Some_Pkg-1.2-py3-none-any.whl", Extras: []string{"extra"}},
	} {
		t.Run(line, func(t *testing.T) {
			fsys := projectTree()
			fsys["requirements.txt"] = &fstest.MapFile{Data: []byte("# first\n\n" + line + "\n")}
			set, err := Read(context.Background(), Request{FS: fsys, Files: []string{"requirements.txt"}, Root: "/srv/project"})
			if err != nil {
				t.Fatal(err)
			}
			if len(set.Requirements) != 1 {
				t.Fatalf("got %d requirements, want 1", len(set.Requirements))
			}
			want.File, want.Line = "requirements.txt", 3
			if want.Text == "" {
				want.Text = line
			}
			if diff := cmp.Diff(want, show(set.Requirements[0])); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWrongLines(t *testing.T) {
	for line, want := range map[string]string{
		"foo=1.0":                             "did you mean ==?",
		"foo==":                               "",
		"foo>=1.0 <2":                         "",
		"foo; python_version":                 "",
		`./master ; nonsense == "1"`:          "",
		"foo[bar":                             "",
		"foo==1.0 \\ ":                        "white space behind the \\",
		"pip install foo":                     "not commands",
		"-e . - - -x":                         "unknown option",
		"--no-such-option":                    "unknown option",
		"--index_url https://example.org/":    `did you mean "--index-url"?`,
		"--no":                                "may be short for",
		"-r":                                  "needs a value",
		"--requirement=":                      "empty value",
		"--pre=yes":                           "takes no value",
		`-r "base.txt`:                        "never closed",
		`-r base.txt\`:                        "missing", // the backslash continues the line: then base.txt is missing
		"foo --hash=md5:abcd":                 "none of sha256, sha384, sha512",
		"foo --hash=abcd":                     "algorithm:digest",
		"foo --hash=sha256:xyz":               "no hexadecimal digest",
		"./nothing":                           "not exist",
		"./mastre":                            `did you mean "master"?`,
		"./plain":                             "neither pyproject.toml nor setup.py",
		"./notes.txt":                         "included by -r notes.txt",
		"../elsewhere":                        "outside the project's folder",
		"-e /opt/thing":                       "outside the project's folder",
		"-e ~/thing":                          "outside the project's folder",
		"file:///opt/thing":                   "outside the project's folder",
		"file://host/thing":                   "outside the project's folder",
		"-e nothing":                          "not exist",
		"bad-1.whl":                           "no wheel file name",
		"missing-1.0-py3-none-any.whl":        "not exist",
		"https://example.org/bad-1.whl":       "no wheel file name",
		"https:///foo.zip":                    "names no host",
		"ftp://example.org/foo.zip":           "not supported",
		"git://git.example.org/foo.git":       "git+git://",
		"git+git@git.example.org:foo/bar.git": "git+ssh://git@",
		"git+ssh://git@git.example.org:foo/bar.git":                  "git+ssh://git@",
		"git+https://git.example.org/a >=1":                          "white space",
		"https://example.org/a.zip >=1":                              "white space",
		"git+https://":                                               "names no host",
		"git+https://git.example.org/":                               "names no path",
		"git+https://git.example.org/a#egg=!":                        "no package name",
		"git+https://git.example.org/a#egg=a&subdirectory=../../etc": "outside",
		"-e https://example.org/foo.zip":                             "not an archive",
		"-e foo @ https://example.org/f.zip":                         "", // pip reads "foo" alone
		"foo @ ./libs":                                               "file:./",
		"<<<<<<< HEAD":                                               "unfinished merge",
		"foo\x00bar":                                                 "",
	} {
		t.Run(line, func(t *testing.T) {
			fsys := projectTree()
			fsys["requirements.txt"] = &fstest.MapFile{Data: []byte("\nok==1\n" + line + "\nlast==2\n")}
			_, err := Read(context.Background(), Request{FS: fsys, Files: []string{"requirements.txt"}})
			all := Errors(err)
			if len(all) == 0 {
				t.Fatal("accepted")
			}
			if strings.ContainsRune(line, 0) {
				return // the file as a whole is binary
			}
			if all[0].Line != 3 || all[0].File != "requirements.txt" {
				t.Errorf("at %s, want requirements.txt:3", all[0].Where())
			}
			if want != "missing" && !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		})
	}
}
