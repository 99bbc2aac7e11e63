package repo

import (
	"slices"
	"strings"
	"testing"
)

func TestFileURLHoldsNothingDnfReads(t *testing.T) {
	got := fileURL("/srv/my repos/a,b/$x/100%/é/current")
	if want := "file:///srv/my%20repos/a%2Cb/%24x/100%25/%C3%A9/current"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRepoWordsAreChecked(t *testing.T) {
	for _, c := range []struct{ id, name, url string }{
		{"", "n", ""}, {"a b", "n", ""}, {"a]", "n", ""}, {"../x", "n", ""}, {"a", "n\ngpgcheck=0", ""},
		{"a", "n", "http://h/ http://evil/"}, {"a", "n", "http://h/,http://evil"}, {"a", "n", "ftp://h"},
	} {
		if checkRepoWords(c.id, c.name, c.url) == nil {
			t.Errorf("accepted %q", c)
		}
	}
	if err := checkRepoWords("reqpm-a_b.c:9", "My (nice) name", "https://example.org/repos/x/"); err != nil {
		t.Error(err)
	}
}

func TestRepoFileChecksSignatures(t *testing.T) {
	text := RepoFile("x", "X", "https://example.org/r")
	for _, want := range []string{"[x]\n", "baseurl=https://example.org/r\n", "gpgkey=https://example.org/r/RPM-GPG-KEY-reqpm\n", "[x-source]\n", "baseurl=https://example.org/r/Source\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Count(text, "\ngpgcheck=1\n") != 2 || strings.Count(text, "\nrepo_gpgcheck=1\n") != 2 {
		t.Errorf("signatures are not checked everywhere:\n%s", text)
	}
}

func TestInstallLinesOnDebian(t *testing.T) {
	want := []string{"sudo mkdir -p /etc/yum.repos.d && sudo cp /srv/r/x.repo /etc/yum.repos.d/", "sudo dnf install --disableplugin=local foo"}
	got := Install{RepoFile: "/srv/r/x.repo", Names: []string{"foo"}, Foreign: true}.Lines()
	if !slices.Equal(got, want) {
		t.Errorf("lines = %q, want %q", got, want)
	}
}

// A server's file is saved under its project's name: two projects on one machine do not write over each other's.
func TestInstallFromServer(t *testing.T) {
	const at = "https://example.org/repos/app/stable/el9.repo"
	want := []string{"sudo apt-get install libzmq5", "sudo curl -fsSo /etc/yum.repos.d/reqpm-app.repo " + at}
	if got := (Install{RepoFile: at, As: "reqpm-app.repo", Apt: []string{"libzmq5"}}).Lines(); !slices.Equal(got, want) {
		t.Errorf("lines = %q, want %q", got, want)
	}
}

func TestInstallLines(t *testing.T) {
	for _, c := range []struct {
		file  string
		names []string
		want  []string
	}{
		{"/srv/r/x.repo", []string{"python3-foo"}, []string{"sudo cp /srv/r/x.repo /etc/yum.repos.d/", "sudo dnf install python3-foo"}},
		{"/a b/it's.repo", []string{"python3.12dist(foo)"}, []string{`sudo cp '/a b/it'\''s.repo' /etc/yum.repos.d/`, "sudo dnf install 'python3.12dist(foo)'"}},
		{"https://example.org/repos/x.repo", []string{"a", "b"}, []string{"sudo curl -fsSo /etc/yum.repos.d/x.repo https://example.org/repos/x.repo", "sudo dnf install a b"}},
	} {
		if got := (Install{RepoFile: c.file, Names: c.names}).Lines(); !slices.Equal(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
