package reliability

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// contents is what a repository holds, as rpm itself reads it: by NEVRA the lines of
// rpm -qp --dump without the times.
type contents map[string][]string

// published reads the repository a state directory has made of the project.
func published(t *testing.T, state string) contents {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(state, "repos", "*", "stable", "local", "current"))
	if len(found) != 1 {
		t.Fatalf("repositories in %s: %q", state, found)
	}
	c := contents{}
	for _, half := range []string{"Packages", "Source"} {
		files, _ := filepath.Glob(filepath.Join(found[0], half, "*.rpm"))
		if len(files) == 0 {
			t.Fatalf("%s has no %s", found[0], half)
		}
		for _, file := range files {
			if strings.HasPrefix(filepath.Base(file), "reqpm-host-") {
				continue // says what this machine has installed, which may change while we test
			}
			nevra, lines := readRPM(t, file)
			if c[nevra] != nil {
				t.Errorf("%s is there twice", nevra)
			}
			c[nevra] = lines
		}
	}
	for _, repodata := range []string{"repodata/repomd.xml", "repodata/repomd.xml.asc", "Source/repodata/repomd.xml"} {
		if _, err := os.Stat(filepath.Join(found[0], repodata)); err != nil {
			t.Error(err)
		}
	}
	return c
}

func readRPM(t *testing.T, file string) (nevra string, lines []string) {
	t.Helper()
	out := rpmQuery(t, file, "--qf", "%{NEVRA} %|SOURCERPM?{}:{src}|")
	nevra = strings.TrimSpace(out)
	for line := range strings.Lines(rpmQuery(t, file, "--dump")) {
		// path size mtime digest mode owner group isconfig isdoc rdev link
		f := strings.Fields(line)
		if len(f) == 11 {
			f = slices.Delete(f, 2, 3)
		}
		lines = append(lines, strings.Join(f, " "))
	}
	// What it wants and gives counts as much as what it holds.
	for _, q := range []string{"--requires", "--provides", "--scripts"} {
		lines = append(lines, q+" "+strings.ReplaceAll(rpmQuery(t, file, q), "\n", "; "))
	}
	return nevra, lines
}

func rpmQuery(t *testing.T, file string, args ...string) string {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd := exec.Command("rpm", append([]string{"-qp", "--nosignature"}, append(args, file)...)...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("rpm -qp %v %s: %v\n%s", args, file, err, stderr.String())
	}
	return out.String()
}

// sameRepository compares with the repository of the undisturbed build.
func sameRepository(t *testing.T, want contents, state string) {
	t.Helper()
	if diff := cmp.Diff(want, published(t, state)); diff != "" {
		t.Errorf("the repository is not the one of an undisturbed build (-want +got):\n%s", diff)
	}
}

var lastPart = regexp.MustCompile(`-[^-]*$`)

// unsigned are the digests of the RPMs in the cache of builds, by package and file name.
func unsigned(t *testing.T, state string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	files, _ := filepath.Glob(filepath.Join(state, "builds", "*", "*.rpm"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		must(t, err)
		sum := sha256.Sum256(data)
		key := lastPart.ReplaceAllString(filepath.Base(filepath.Dir(file)), "")
		sums[key+"/"+filepath.Base(file)] = hex.EncodeToString(sum[:])
	}
	return sums
}
