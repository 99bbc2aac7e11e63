package conformance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"reqpm/internal/builder"
)

// Sh runs a host command of a test.
func Sh(t testing.TB, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// published is a signed repository in a directory.
type published struct{ dir, file, home string }

// publish signs rpms, makes a repository of them and signs its metadata.
func publish(t *testing.T, rpms ...string) published {
	t.Helper()
	for _, tool := range []string{"gpg", "rpmsign", "createrepo_c"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs ", tool)
		}
	}
	// gpg-agent's socket path must stay short.
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	p := published{dir: filepath.Join(t.TempDir(), "repo"), home: home}
	env := []string{"GNUPGHOME=" + home}
	Sh(t, env, "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "Test <test@example.org>", "rsa3072", "sign", "never")
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, r := range rpms {
		Sh(t, nil, "cp", r, p.dir)
		Sh(t, env, "rpmsign", "--define", "_gpg_name Test", "--define", "__gpg /usr/bin/gpg", "--addsign", filepath.Join(p.dir, filepath.Base(r)))
	}
	key := filepath.Join(p.dir, "key.asc")
	Sh(t, env, "gpg", "--batch", "--armor", "--output", key, "--export", "Test")
	p.index(t)
	p.file = filepath.Join(t.TempDir(), "test.repo")
	text := fmt.Sprintf("[test]\nname=test\nbaseurl=file://%s\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://%s\n", p.dir, key)
	if err := os.WriteFile(p.file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// Publish makes a signed repository of rpms and returns its .repo file. It skips the test where a tool
// for that is missing.
func Publish(t *testing.T, rpms ...string) string {
	t.Helper()
	return publish(t, rpms...).file
}

// index makes the metadata and signs it.
func (p published) index(t *testing.T) {
	t.Helper()
	Sh(t, nil, "createrepo_c", "--quiet", p.dir)
	Sh(t, []string{"GNUPGHOME=" + p.home}, "gpg", "--batch", "--yes", "--armor", "--detach-sign", filepath.Join(p.dir, "repodata/repomd.xml"))
}

// built builds a package with head in its spec and returns its RPM.
func (s Subject) built(t *testing.T, name, head string) string {
	t.Helper()
	job := s.Job(t, name, Succeeds)
	text := strings.Replace(Spec(name, Succeeds), "\n%description", head+"\n%description", 1)
	if err := os.WriteFile(job.Spec, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	res, err := s.Base.Build(t.Context(), job)
	if err != nil {
		t.Fatalf("%v\n%s", err, logs(res))
	}
	return res.RPMs[0]
}

// Verify is the suite for the proof of installability: what installs, what does not, and every way
// to spoil a signature.
func Verify(t *testing.T, s Subject) {
	base := s.Base
	widget := s.built(t, "widget", "")
	gadget := s.built(t, "gadget", "Requires: widget\n")
	orphan := s.built(t, "orphan", "Requires: nobody-has-this\n")

	prove := func(p published, names ...string) (builder.VerifyResult, string, error) {
		var out strings.Builder
		res, err := base.Verify(t.Context(), builder.Verification{RepoFile: p.file, Install: names, Stdin: strings.NewReader("typed\n"), Stdout: &out,
			Script: []string{"/bin/sh", "-c", "cat /usr/share/reqpm-test/widget.txt -; id -u | grep -qx 0 || echo nobody special"}, Log: filepath.Join(t.TempDir(), "verify.log")})
		return res, out.String(), err
	}
	t.Run("installs and runs", func(t *testing.T) {
		res, out, err := prove(publish(t, widget, gadget), "gadget")
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"gadget-1.0-1.noarch", "widget-1.0-1.noarch"}; !slices.Equal(res.Installed, want) {
			t.Errorf("installed %q; want %q", res.Installed, want)
		}
		if out != "hello from widget\ntyped\nnobody special\n" {
			t.Errorf("script wrote %q", out)
		}
	})
	t.Run("a requirement nobody provides", func(t *testing.T) {
		_, _, err := prove(publish(t, widget, orphan), "orphan")
		var be *builder.BuildError
		if !errors.As(err, &be) || be.Cause != builder.CauseDeps || !slices.Contains(be.Missing, "nobody-has-this") {
			t.Fatalf("error %v; want it named", err)
		}
	})
	t.Run("a failing script", func(t *testing.T) {
		_, err := base.Verify(t.Context(), builder.Verification{RepoFile: publish(t, widget).file, Install: []string{"widget"}, Script: []string{"/bin/sh", "-c", "echo oh no >&2; exit 4"}})
		var exit *builder.ExitError
		if !errors.As(err, &exit) || exit.Code != 4 || !strings.Contains(exit.Stderr, "oh no") {
			t.Fatalf("error %v; want exit status 4 with its words", err)
		}
	})

	refused := func(name string, spoil func(t *testing.T, p published)) {
		t.Run(name, func(t *testing.T) {
			p := publish(t, widget)
			spoil(t, p)
			_, _, err := prove(p, "widget")
			var be *builder.BuildError
			if !errors.As(err, &be) || be.Cause != builder.CauseResult {
				t.Fatalf("error %v; want %s: a bad signature was not noticed as one", err, builder.CauseResult)
			}
		})
	}
	refused("an RPM changed after signing with fresh metadata", func(t *testing.T, p published) {
		path := filepath.Join(p.dir, filepath.Base(widget))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text[len(text)-20] ^= 0xff
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		p.index(t)
	})
	refused("an RPM without a signature", func(t *testing.T, p published) {
		Sh(t, nil, "cp", widget, p.dir)
		p.index(t)
	})
	refused("metadata changed after signing", func(t *testing.T, p published) {
		Sh(t, nil, "sed", "-i", "s/<revision>/<revision>1/", filepath.Join(p.dir, "repodata/repomd.xml"))
	})
	refused("metadata without a signature", func(t *testing.T, p published) {
		Sh(t, nil, "rm", filepath.Join(p.dir, "repodata/repomd.xml.asc"))
	})
	t.Run("a .repo file that asks for no signatures", func(t *testing.T) {
		p := publish(t, widget)
		Sh(t, nil, "sed", "-i", "s/^repo_gpgcheck=1/repo_gpgcheck=0/", p.file)
		if _, _, err := prove(p, "widget"); err == nil || !strings.Contains(err.Error(), "repo_gpgcheck") {
			t.Errorf("error %v; want repo_gpgcheck asked for", err)
		}
	})
}
