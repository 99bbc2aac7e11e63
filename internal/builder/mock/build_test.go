package mock

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/builder"
	"reqpm/internal/builder/conformance"
)

func TestVerify(t *testing.T) { conformance.Verify(t, conformance.Subject{Base: open(t)}) }

// A build root has the packages planned for it, from our repository, and the manifest says so.
func TestOwnRepository(t *testing.T) {
	base := open(t)
	built := func(j builder.Job) builder.Result {
		t.Helper()
		res, err := base.Build(t.Context(), j)
		if err != nil {
			t.Fatalf("%v\n%s", err, logTail(j.ResultDir, "mock.log"))
		}
		return res
	}
	widget := built(job(t, "widget", "", "echo")).RPMs
	user := job(t, "user", "\nBuildRequires: widget", "test -f /usr/share/reqpm-test/widget.txt\ntest $(id -u) != 0")
	user.RPMs = widget
	if res := built(user); !slices.Equal(res.Manifest, []string{"widget-1.0-1.noarch"}) {
		t.Errorf("manifest %q; want widget alone", res.Manifest)
	}
}

// With repositories on the network, what a package runs still has none; what it asks for while it
// is built is installed between.
func TestRemoteRepository(t *testing.T) {
	if _, err := Find(); err != nil {
		t.Skip("Mock cannot be used here: ", err)
	}
	tgt, err := testTarget()
	if err != nil {
		t.Skip(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(os.Getenv("REQPM_ELDISTRO"))))
	defer server.Close()
	tgt.Repos = slices.Clone(tgt.Repos)
	tgt.Repos[0].BaseURL = []string{server.URL}
	tgt.Name = "remote"
	b, err := New(Config{StateDir: t.TempDir(), Slots: 1, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	base, err := b.Open(t.Context(), tgt, func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	j := job(t, "asking", "", "python3 -c 'import six'\ntest $(grep -c : /proc/net/dev) = 1")
	text, err := os.ReadFile(j.Spec)
	if err != nil {
		t.Fatal(err)
	}
	spec := strings.Replace(string(text), "%build", "%generate_buildrequires\ntest $(grep -c : /proc/net/dev) = 1\necho python3-six\n%build", 1)
	if err := os.WriteFile(j.Spec, []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	res, err := base.Build(t.Context(), j)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, logTail(j.ResultDir, "mock.log"), logTail(j.ResultDir, "build.log"))
	}
	if !slices.ContainsFunc(res.Manifest, func(p string) bool { return strings.HasPrefix(p, "python3-six-") }) {
		t.Errorf("manifest %q; want python3-six in it", res.Manifest)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(res.SRPM), "*nosrc*")); left != nil {
		t.Errorf("left in the result: %q", left)
	}
}

// A target made of a configuration file of Mock's is built with it, and a changed file is another base.
func TestOwnConfiguration(t *testing.T) {
	m, err := Find()
	if err != nil {
		t.Skip("Mock cannot be used here: ", err)
	}
	tgt, err := testTarget()
	if err != nil {
		t.Skip(err)
	}
	conf, err := configuration{at: "/mnt"}.text(tgt)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for p := dir; p != "/"; p = filepath.Dir(p) { // Mock's account reads it
		if st, err := os.Stat(p); err == nil && st.Mode().Perm()&0o005 == 0 {
			if err := os.Chmod(p, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	tgt.Mock = write(t, dir+"/corp.cfg", conf)
	tgt.Name, tgt.BasePackages, tgt.Repos = "corp", nil, nil
	first, err := baseID(t.Context(), m, tgt)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := baseID(t.Context(), m, tgt); err != nil || again != first {
		t.Errorf("%s, then %s, %v: the same configuration has two bases", first, again, err)
	}
	write(t, tgt.Mock, conf+"config_opts['chroot_setup_cmd'] += ' zstd'\n")
	if other, err := baseID(t.Context(), m, tgt); err != nil || other == first {
		t.Errorf("%s, %v: another configuration has the same base", other, err)
	}
	b, err := New(Config{StateDir: t.TempDir(), Slots: 1, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	base, err := b.Open(t.Context(), tgt, func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	j := job(t, "corp", "", "type python3")
	if _, err := base.Build(t.Context(), j); err != nil {
		t.Fatalf("%v\n%s", err, logTail(j.ResultDir, "mock.log"))
	}
}
