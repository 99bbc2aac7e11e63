package cli_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// onTheIndex is a machine whose builds take packages from the index that pip's own configuration names.
func onTheIndex(t *testing.T) machine {
	t.Helper()
	if os.Getenv("REQPM_E2E") != "1" || os.Getenv("REQPM_NETWORK") != "1" {
		t.Skip("builds a package from the real index: set REQPM_E2E=1 and REQPM_NETWORK=1")
	}
	m := newMachine(t)
	m.env = slices.DeleteFunc(m.env, func(s string) bool {
		return strings.HasPrefix(s, "PIP_CONFIG_FILE=") || strings.HasPrefix(s, "https_proxy=")
	})
	if theirProxy != "" {
		m.env = append(m.env, "https_proxy="+theirProxy)
	}
	return m
}

// A package whose library this machine has neither to build with nor to run, from the index to an installed and
// imported RPM, and the machine's own packages are as before. pylibmc needs setuptools alone, so that little more than the
// library costs time.
func TestNativeLibraryFromTheIndex(t *testing.T) {
	m := onTheIndex(t)
	for _, tool := range []string{"apt-get", "dpkg-query", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs ", tool)
		}
	}
	before := installed(t)
	if strings.Contains(before, "libmemcached") {
		t.Skip("libmemcached is installed on this machine: nothing would be fetched")
	}
	dir := folder(t, "pylibmc")
	// Even importing its extension fails without the library, and this looks for what it was linked with.
	c := m.run(t, 0, "build", dir, "--target", "local", "--json", "--timeout", "15m",
		"--proof-command", `python3 -c 'import _pylibmc; print("libmemcached", _pylibmc.libmemcached_version)'`)

	proof := c.summary.Proof
	if proof == nil || !proof.OK || !slices.Contains(proof.Imported, "pylibmc") {
		t.Fatalf("proof: %+v", proof)
	}
	if proof.Command == nil || proof.Command.Status != 0 || !strings.Contains(proof.Command.Output, "libmemcached 1.") {
		t.Errorf("the command of the proof: %+v", proof.Command)
	}
	// The name of the package with the library differs between releases: libmemcached11, libmemcached11t64.
	if len(c.summary.Apt) != 1 || !strings.HasPrefix(c.summary.Apt[0], "libmemcached11") {
		t.Errorf("packages that must be installed first: %q", c.summary.Apt)
	}
	published := slices.Collect(maps.Keys(rpmsOf(t, c.summary.Repository)))
	for _, want := range []string{"-pylibmc-", "reqpm-deb-libmemcached11"} {
		has := func(s string) bool { return strings.Contains(filepath.Base(s), want) }
		if !slices.ContainsFunc(published, has) || !slices.ContainsFunc(proof.Installed, has) {
			t.Errorf("no %s among what was published, %q, and installed, %q", want, published, proof.Installed)
		}
	}
	if after := installed(t); after != before {
		t.Errorf("the machine's packages have changed; before:\n%s\nafter:\n%s", before, after)
	}
}

// installed are the packages of this machine's distribution with their versions and states.
func installed(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("dpkg-query", "--show", "--showformat", "${Package}:${Architecture} ${Version} ${db:Status-Abbrev}\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
