package reqfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func read(t *testing.T, fsys fs.FS, names ...string) (Set, error) {
	t.Helper()
	return Read(context.Background(), Request{FS: fsys, Files: names})
}

// list is "file:line text" of every requirement.
func list(reqs []Requirement) []string {
	var all []string
	for _, q := range reqs {
		all = append(all, q.Where()+" "+q.Text)
	}
	return all
}

func wantError(t *testing.T, err error, is error, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("%v is not %q", err, is)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q does not say %q", err, s)
		}
	}
}

func wantList(t *testing.T, gotList []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, gotList); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestIncludesAreRelativeToTheirFile(t *testing.T) {
	set, err := read(t, files(
		"requirements/prod.txt", "-r base.txt\n--constraint=../constraints.txt\ngunicorn==22.0\n",
		"requirements/base.txt", "-c pins/all.txt\n--requirement=more/deep.txt\ndjango\n",
		"requirements/more/deep.txt", "six\n",
		"requirements/pins/all.txt", "six==1.16\n",
		"constraints.txt", "django[argon2]<6\n",
	), "./requirements/prod.txt")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements),
		"requirements/more/deep.txt:1 six", "requirements/base.txt:3 django", "requirements/prod.txt:3 gunicorn==22.0")
	wantList(t, list(set.Constraints), "requirements/pins/all.txt:1 six==1.16", "constraints.txt:1 django[argon2]<6")
	if set.Constraints[1].Extras != nil {
		t.Error("a constraint kept its extras")
	}
	wantList(t, set.Files, "requirements/prod.txt", "requirements/base.txt", "requirements/pins/all.txt",
		"requirements/more/deep.txt", "constraints.txt")
	wantList(t, set.Warnings, "constraints.txt:1: a constraint only restricts versions; its extras [argon2] are left out")
}

func TestFileIncludedTwiceIsReadOnce(t *testing.T) {
	set, err := read(t, files("a.txt", "-r c.txt\n-r b.txt\n-c c.txt\n", "b.txt", "-r c.txt\n", "c.txt", "six\n"), "a.txt", "c.txt")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements), "c.txt:1 six")
	wantList(t, list(set.Constraints), "c.txt:1 six")
	wantList(t, set.Files, "a.txt", "c.txt", "b.txt")
}

func TestMoreFilesAndConstraintsOfTheRequest(t *testing.T) {
	set, err := Read(context.Background(), Request{
		FS:          files("a.txt", "six\n", "b.txt", "attrs\n", "c.txt", "six==1\n"),
		Files:       []string{"a.txt", "b.txt"},
		Constraints: []string{"c.txt"},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements), "a.txt:1 six", "b.txt:1 attrs")
	wantList(t, list(set.Constraints), "c.txt:1 six==1")
}

func TestIncludeErrors(t *testing.T) {
	for name, c := range map[string]struct {
		fsys fstest.MapFS
		is   error
		says []string
	}{
		"loop": {files("a.txt", "\n-r b.txt\n", "b.txt", "-c c.txt\n", "c.txt", "-r ./b.txt"), ErrLoop,
			[]string{"c.txt:1:", "b.txt:1 includes c.txt, c.txt:1 includes b.txt"}},
		"itself":              {files("a.txt", "-r a.txt"), ErrLoop, []string{"a.txt:1 includes a.txt"}},
		"outside":             {files("a.txt", "six\n-r ../b.txt\n"), ErrOutside, []string{"a.txt:2:", "../b.txt"}},
		"absolute":            {files("a.txt", "-r /etc/passwd\n"), ErrOutside, []string{"a.txt:1:"}},
		"file URL":            {files("a.txt", "-r file:///etc/passwd\n"), ErrOutside, []string{"a.txt:1:"}},
		"odd scheme":          {files("a.txt", "-r gopher://x/y\n"), nil, []string{"gopher"}},
		"missing":             {files("a.txt", "six\n-r requirments-dev.txt\n", "requirements-dev.txt", ""), fs.ErrNotExist, []string{"a.txt:2:", `did you mean "requirements-dev.txt"?`}},
		"other folder":        {files("a.txt", "-r base.txt\n", "requirements/base.txt", ""), fs.ErrNotExist, []string{`did you mean "requirements/base.txt"?`}},
		"folder":              {files("a.txt", "-r reqs\n", "reqs/x.txt", ""), nil, []string{"a.txt:1:", "folder"}},
		"binary":              {files("a.txt", "six\x00\x01"), ErrBinary, []string{"a.txt:"}},
		"picture":             {files("a.txt", "-r b.png", "b.png", "\x89PNG\r\n\x1a\n\x00\x00"), ErrBinary, []string{"b.png"}},
		"large":               {files("a.txt", strings.Repeat("# long\n", maxFileBytes/7+1)), ErrTooLarge, []string{"a.txt", "5 MB"}},
		"remote":              {files("a.txt", "-r https://example.org/r.txt\n"), ErrNoFetch, []string{"a.txt:1:"}},
		"lock as constraint":  {files("a.txt", "-c uv.lock\n", "uv.lock", "version = 1"), nil, []string{"uv.lock:", "cannot be a constraint file"}},
		"web page":            {files("a.txt", "\n<!DOCTYPE html><html>"), ErrBinary, []string{"web page"}},
		"editable constraint": {files("a.txt", "-c c.txt\n", "c.txt", "-e .\n", "setup.py", ""), nil, []string{"c.txt:1:", "editable"}},
		"unnamed constraint":  {files("a.txt", "-c c.txt\n", "c.txt", "./\n", "setup.py", ""), nil, []string{"c.txt:1:", "name"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(t, c.fsys, "a.txt")
			wantError(t, err, c.is, c.says...)
		})
	}
}

func TestMissingFileOfTheRequest(t *testing.T) {
	_, err := read(t, files("requirements.txt", "six"), "requirement.txt")
	wantError(t, err, fs.ErrNotExist, "requirement.txt: ", `did you mean "requirements.txt"?`)
	if _, err := read(t, files("a", ""), "../a"); !errors.Is(err, ErrOutside) {
		t.Errorf("../a: %v", err)
	}
}

func TestIncludeBounds(t *testing.T) {
	deep, wide := fstest.MapFS{}, fstest.MapFS{}
	var all strings.Builder
	for i := range 120 {
		deep[fmt.Sprintf("%d.txt", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "-r %d.txt\n", i+1)}
		wide[fmt.Sprintf("%d.txt", i)] = &fstest.MapFile{Data: []byte("six\n")}
		fmt.Fprintf(&all, "-r %d.txt\n", i)
	}
	wide["all.txt"] = &fstest.MapFile{Data: []byte(all.String())}
	_, err := read(t, deep, "0.txt")
	wantError(t, err, ErrTooLarge, "deep")
	_, err = read(t, wide, "all.txt")
	wantError(t, err, ErrTooLarge, "100 files")
}

// A link is the way out of a checkout that a hostile repository would try.
func TestLinksStayInside(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "project")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(root, "sub"), 0o755))
	must(os.WriteFile(filepath.Join(dir, "secret.txt"), []byte("top secret"), 0o644))
	must(os.WriteFile(filepath.Join(root, "real.txt"), []byte("six\n"), 0o644))
	must(os.Symlink("../../secret.txt", filepath.Join(root, "sub", "relative.txt")))
	must(os.Symlink(filepath.Join(dir, "secret.txt"), filepath.Join(root, "absolute.txt")))
	must(os.Symlink("..", filepath.Join(root, "up")))
	must(os.Symlink("../real.txt", filepath.Join(root, "sub", "good.txt")))
	must(os.Symlink("round.txt", filepath.Join(root, "round.txt")))
	for _, name := range []string{"sub/relative.txt", "absolute.txt", "up/secret.txt", "round.txt"} {
		_, err := read(t, os.DirFS(root), name)
		if err == nil || strings.Contains(err.Error(), "top secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	set, err := read(t, os.DirFS(root), "sub/good.txt")
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, list(set.Requirements), "sub/good.txt:1 six")
}

func TestLocalPathBesideItsFile(t *testing.T) {
	set, err := read(t, files("backend/requirements.txt", "-e .\n./lib\n", "backend/setup.py", "", "backend/lib/setup.py", ""), "backend/requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := []string{set.Requirements[0].Path, set.Requirements[1].Path}; got[0] != "backend" || got[1] != "backend/lib" {
		t.Errorf("paths %v", got)
	}
}

func TestRemoteFiles(t *testing.T) {
	asked := map[string]string{
		"https://user:secret@example.org/r/base.txt?x=1": "-c ../pins.txt\nsix\nfoo=1\n",
		"https://user:secret@example.org/pins.txt":       "six==1.16\n",
	}
	set, err := Read(context.Background(), Request{
		FS:     files("a.txt", "-r https://${USER}:${PASS}@example.org/r/base.txt?x=1\n-r https://example.org/none.txt\n"),
		Files:  []string{"a.txt"},
		Getenv: func(n string) (string, bool) { return map[string]string{"USER": "user", "PASS": "secret"}[n], true },
		Fetch: func(_ context.Context, url string) ([]byte, error) {
			if text, ok := asked[url]; ok {
				return []byte(text), nil
			}
			return nil, fmt.Errorf("404 for %s", url)
		},
	})
	wantError(t, err, nil, "a.txt:2:", "404", "https://example.org/r/base.txt?x=1:3:")
	if strings.Contains(err.Error(), "secret") || strings.Contains(strings.Join(set.Files, " "), "secret") {
		t.Errorf("credentials shown: %v %v", err, set.Files)
	}
	wantList(t, list(set.Requirements), "https://example.org/r/base.txt?x=1:2 six")
	wantList(t, list(set.Constraints), "https://example.org/pins.txt:1 six==1.16")
}

func TestAllErrorsAtOnce(t *testing.T) {
	set, err := read(t, files("a.txt", "one=1\nsix\ntwo=2\n-r b.txt\nthree=3\n"), "a.txt")
	var at []string
	for _, e := range Errors(err) {
		at = append(at, e.Where()+" "+e.Text)
	}
	wantList(t, at, "a.txt:1 one=1", "a.txt:3 two=2", "a.txt:4 -r b.txt", "a.txt:5 three=3")
	if len(set.Requirements) != 1 {
		t.Error("the good line is lost")
	}
	_, err = read(t, files("a.txt", strings.Repeat("bad=1\n", 500)), "a.txt")
	if n := len(Errors(err)); n != maxErrors+1 {
		t.Errorf("%d errors", n)
	}
	wantError(t, err, nil, "stopped after 20 errors")
}

func TestEmptyFiles(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# nothing\n   # more\n", "\ufeff"} {
		set, err := read(t, files("a.txt", text), "a.txt")
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		wantList(t, set.Warnings, "a.txt:1: nothing is asked for in this file")
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Read(ctx, Request{FS: files("a.txt", "six"), Files: []string{"a.txt"}})
	wantError(t, err, context.Canceled)
}

func TestContinuationCommentsAndLineNumbers(t *testing.T) {
	text := strings.Join([]string{
		`foo==1.0 \`, // 1
		`    --hash=sha256:aa \`,
		`    --hash=sha256:bb`,
		`    # via something`,
		`bar \`, // 5
		`# a comment ends the continuation`,
		`baz # c1 # c2`,
		`tool @ https://example.org/t.zip#egg=tool`,
		`qux ; \`, // 9
		`  python_version \`,
		`  > "3"`,
		"form\ffeed",
		`last\`, // 13
	}, "\n")
	for name, newline := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
		t.Run(name, func(t *testing.T) {
			set, err := read(t, files("a.txt", strings.ReplaceAll(text, "\n", newline)), "a.txt")
			if err != nil {
				t.Fatal(err)
			}
			wantList(t, list(set.Requirements), "a.txt:1 foo==1.0", "a.txt:5 bar", "a.txt:7 baz",
				"a.txt:8 tool @ https://example.org/t.zip#egg=tool", `a.txt:9 qux ;   python_version   > "3"`,
				"a.txt:12 form", "a.txt:12 feed", "a.txt:13 last")
			wantList(t, set.Requirements[0].Hashes, "sha256:aa", "sha256:bb")
		})
	}
}

func TestEncodings(t *testing.T) {
	const text = "# café\r\nsix==1.16\n"
	utf16 := func(order func(uint16) []byte) []byte {
		var b bytes.Buffer
		for _, r := range text {
			b.Write(order(uint16(r)))
		}
		return b.Bytes()
	}
	le := utf16(func(u uint16) []byte { return []byte{byte(u), byte(u >> 8)} })
	be := utf16(func(u uint16) []byte { return []byte{byte(u >> 8), byte(u)} })
	le32 := utf16(func(u uint16) []byte { return []byte{byte(u), byte(u >> 8), 0, 0} })
	be32 := utf16(func(u uint16) []byte { return []byte{0, 0, byte(u >> 8), byte(u)} })
	for name, c := range map[string]struct {
		data    []byte
		warning bool
	}{
		"UTF-8":        {[]byte(text), false},
		"UTF-8 BOM":    {[]byte("\ufeff" + text), false},
		"UTF-16 LE":    {append([]byte{0xFF, 0xFE}, le...), false},
		"UTF-16 BE":    {append([]byte{0xFE, 0xFF}, be...), false},
		"UTF-32 LE":    {append([]byte{0xFF, 0xFE, 0, 0}, le32...), false},
		"UTF-32 BE":    {append([]byte{0, 0, 0xFE, 0xFF}, be32...), false},
		"coding line":  {[]byte("# -*- coding: latin-1 -*-\nsix==1.16 # caf\xe9\n"), false},
		"vim line":     {[]byte("#!x\n# vim: set fileencoding=cp1252 :\nsix==1.16 # \x80\n"), false},
		"shift_jis":    {[]byte("# coding: shift_jis\n# \x83\x65\nsix==1.16\n"), false},
		"Latin-1":      {[]byte("# caf\xe9\nsix==1.16\n"), true},
		"Ctrl-Z ended": {[]byte("six==1.16\r\n\x1a"), false},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := read(t, fstest.MapFS{"a.txt": {Data: c.data}}, "a.txt")
			if err != nil {
				t.Fatal(err)
			}
			if len(set.Requirements) != 1 || set.Requirements[0].Text != "six==1.16" {
				t.Errorf("got %v", list(set.Requirements))
			}
			if (len(set.Warnings) > 0) != c.warning {
				t.Errorf("warnings %v", set.Warnings)
			}
		})
	}
	for name, data := range map[string]string{
		"UTF-16 without mark": string(le),
		"odd UTF-16":          "\xff\xfea",
		"odd UTF-32":          "\xff\xfe\x00\x00a",
		"bad UTF-32":          "\xff\xfe\x00\x00\xff\xff\xff\xff",
		"mark without UTF-8":  "\ufeffa\xff",
		"lying coding line":   "# coding: utf-8\n# \xff\nsix\n",
		"gzip":                "\x1f\x8b\x08\x00",
	} {
		if _, err := read(t, files("a.txt", data), "a.txt"); !errors.Is(err, ErrBinary) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := read(t, files("a.txt", "# coding: klingon\nsix\n"), "a.txt")
	wantError(t, err, nil, "unknown encoding", "klingon")
}

func TestVariables(t *testing.T) {
	getenv := func(n string) (string, bool) {
		v, ok := map[string]string{"TOKEN": "s3cret", "VER": "2.0", "EMPTY": "", "OPT": "--pre"}[n]
		return v, ok
	}
	set, err := Read(context.Background(), Request{
		FS: files("a.txt", strings.Join([]string{
			"--index-url https://me:${TOKEN}@example.org/simple",
			"foo==${VER}",
			"bar @ https://example.org/${EMPTY}/$TOKEN/${lower}/${UNSET}.zip",
			"${OPT}",
			"baz ${TOKEN",
			"qux=${TOKEN}",
		}, "\n")),
		Files: []string{"a.txt"}, Getenv: getenv,
	})
	if set.Options.IndexURL != "https://me:s3cret@example.org/simple" || !set.Options.Pre {
		t.Errorf("options %+v", set.Options)
	}
	wantList(t, list(set.Requirements), "a.txt:2 foo==${VER}", "a.txt:3 bar @ https://example.org/${EMPTY}/$TOKEN/${lower}/${UNSET}.zip")
	if got := set.Requirements[0].Specifiers.String(); got != "==2.0" {
		t.Errorf("foo%s", got)
	}
	if got := set.Requirements[1].URL; got != "https://example.org/${EMPTY}/$TOKEN/${lower}/${UNSET}.zip" {
		t.Errorf("bar @ %s", got)
	}
	wantList(t, set.Warnings,
		"a.txt:3: the environment variable EMPTY is not set; ${EMPTY} stays as it is",
		"a.txt:3: the environment variable UNSET is not set; ${UNSET} stays as it is")
	wantError(t, err, nil, "a.txt:5:", "a.txt:6:")
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the value of a variable is shown: %v", err)
	}
}

func TestOptions(t *testing.T) {
	for text, want := range map[string]Options{
		"-i https://a.example.org/\n--index-url=https://b.example.org/":                     {IndexURL: "https://b.example.org/"},
		"-ihttps://a.example.org/":                                                          {IndexURL: "https://a.example.org/"},
		"--pypi-url 'https://a.example.org/'":                                               {IndexURL: "https://a.example.org/"},
		"--extra-index-url https://a.example.org/ --extra-index-url=https://b.example.org/": {ExtraIndexURLs: []string{"https://a.example.org/", "https://b.example.org/"}},
		"--no-index -f wheels\n--find-links https://a.example.org/f":                        {NoIndex: true, FindLinks: []string{"sub/wheels", "https://a.example.org/f"}},
		"--find-l=rootwheels\n-f file:wheels":                                               {FindLinks: []string{"rootwheels", "sub/wheels"}},
		"--no-binary Foo_Bar,baz\n--only-binary :all:\n--no-binary=qux":                     {OnlyBinary: []string{":all:"}, NoBinary: []string{"qux"}},
		"--no-binary a,b\n--only-binary b\n--no-binary :none:":                              {OnlyBinary: []string{"b"}},
		"--pre\n--require-hashes --prefer-binary --trusted-host h.example.org:8080":         {Pre: true, RequireHashes: true, PreferBinary: true, TrustedHosts: []string{"h.example.org:8080"}},
	} {
		t.Run(text, func(t *testing.T) {
			set, err := read(t, files("sub/a.txt", text, "sub/wheels/x.whl", "", "rootwheels/x.whl", ""), "sub/a.txt")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, set.Options); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if set.Warnings != nil {
				t.Errorf("warnings %v", set.Warnings)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"--use-feature=fast-deps":       "a.txt:1: option --use-feature is ignored",
		"six --global-option=x":         "a.txt:1: option --global-option is not used",
		"six --config-settings=\"a=b\"": "a.txt:1: option --config-settings is not used",
		"-C a=b":                        "a.txt:1: option --config-settings is ignored",
		"six --pre":                     "a.txt:1: option --pre has no meaning behind a requirement",
		"--hash=sha256:ab":              "a.txt:1: --hash without a requirement",
		"-f nowhere":                    "a.txt:1: --find-links \"nowhere\" is left out",
		"-f ../../etc":                  "a.txt:1: --find-links",
		"--pre - yes -":                 "a.txt:1: \"- yes -\" is ignored",
		"--pre yes":                     "a.txt:1: \"yes\" is ignored",
		"--process-dependency-links":    "a.txt:1: option --process-dependency-links is ignored",
		"a @ git+https://git.example.org/x#egg=b":  "a.txt:1: the address calls the package b; it is taken for a",
		"https://example.org/a.zip#egg=a==1.0":     "a.txt:1: #egg=a==1.0: only the name and extras",
		"https://example.org/a.zip#md5=0123&egg=a": "a.txt:1: the md5 digest",
	} {
		set, err := read(t, files("a.txt", text), "a.txt")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if len(set.Warnings) != 1 || !strings.HasPrefix(set.Warnings[0], want) {
			t.Errorf("%s: warnings %q, want one that starts %q", text, set.Warnings, want)
		}
	}
}

// Every bound has an input that would hurt without it.
func TestHostileSizes(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		is   error
	}{
		"variables that never end": {strings.Repeat("${", 2<<20), nil},
		"one endless requirement":  {"a" + strings.Repeat(",", 100<<10), ErrTooLarge},
		"too many hashes":          {"six " + strings.Repeat("--hash=sha256:ab ", maxHashes+1), ErrTooLarge},
		"too many requirements":    {strings.Repeat("six\n", maxRequirements+1), ErrTooLarge},
		"many stray words":         {strings.Repeat("--pre x ", 100<<10) + "-x", nil},
		"many comment signs":       {"six" + strings.Repeat("#", 4<<20), ErrTooLarge},
		"a path without end":       {strings.Repeat("a/", 30<<10), nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(t, files("a.txt", c.text), "a.txt")
			wantError(t, err, c.is)
			if n := len(err.Error()); n > 200<<10 {
				t.Errorf("a message of %d bytes", n)
			}
		})
	}
}

func TestControlCharactersDoNotReachMessages(t *testing.T) {
	set, err := read(t, files("a.txt", "-r 'b\tc.txt'\nfoo\u009b31m=1\n", "b\tc.txt", ""), "a.txt")
	for _, text := range append(set.Warnings, err.Error()) {
		if strings.ContainsAny(strings.ReplaceAll(text, "\n", ""), "\t\u009b\x1b") {
			t.Errorf("%q", text)
		}
	}
	wantList(t, set.Warnings, "b?c.txt:1: nothing is asked for in this file")
}
