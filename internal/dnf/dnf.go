// Package dnf holds what every call of dnf for a target has in common: the configuration dnf is
// given (dnf.conf(5)), and the state its repositories are in. The builder installs with it, and
// internal/distro asks with it, so that both see the same packages.
//
// It starts no program. All functions are safe for concurrent use.
package dnf

import (
	"fmt"
	"os"
	"path/filepath"

	"reqpm/internal/target"
)

// folders are what dnf keeps under one directory of ours.
var folders = []string{"repos", "cache", "log", "home", "vars", "modules"}

// Write makes dnf's directory dir: dnf.conf, and repos/NAME.repo with the text of each of
// repos. seen is the path under which dnf will see dir (another one inside a sandbox). Nothing
// of the host's own configuration takes part.
func Write(dir, seen string, repos map[string]string) error {
	for _, d := range folders {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{
		"dnf.conf": fmt.Sprintf("[main]\nreposdir=%[1]s/repos\ncachedir=%[1]s/cache\nlogdir=%[1]s/log\nvarsdir=%[1]s/vars\n"+
			"keepcache=0\ninstall_weak_deps=0\nbest=1\nstrict=1\nplugins=1\nassumeyes=1\ncolor=never\nhistory_record=0\nzchunk=0\n"+
			"installonly_limit=0\nclean_requirements_on_remove=0\nretries=3\ntimeout=30\nlocalpkg_gpgcheck=0\nskip_if_unavailable=0\n", seen),
		// The host's rpm may keep its database elsewhere (Debian: in the home directory).
		"home/.rpmmacros": "%_dbpath /var/lib/rpm\n",
	}
	for name, text := range repos {
		files["repos/"+name+".repo"] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Repos are the texts of a target's repositories, by ID, as Write takes them. Where the certificate of
// a subscription is missing, dnf will say so of the pattern that stays.
func Repos(repos []target.Repo) map[string]string {
	texts := make(map[string]string, len(repos))
	for _, r := range repos {
		if found, err := withCertificates(r); err == nil {
			r = found
		}
		texts[r.ID] = r.String()
	}
	return texts
}

// Options are the arguments that go before dnf's command; seen is as in Write.
func Options(seen, installRoot string, t target.Target) []string {
	release := t.ReleaseVer
	if release == "" {
		release = "0" // dnf wants one, whether an address uses it or not
	}
	return []string{"-y", "--config=" + seen + "/dnf.conf", "--installroot=" + installRoot, "--releasever=" + release}
}
