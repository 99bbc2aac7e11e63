package sdist

import (
	"bytes"
	"io"
	"io/fs"
	"regexp"
)

// unclearShebang is the first line of a script for "python", whichever that is: releases since EL8 have
// none of that name, and redhat-rpm-config's brp-mangle-shebangs ends a build that installs one.
var unclearShebang = regexp.MustCompile(`^#![ \t]*(?:/usr/bin/env[ \t]+(?:-S[ \t]+)?|/usr/(?:local/)?bin/)python(?:[ \t\r\n]|$)`)

// Bounds of findShebangs.
const (
	maxShebangs = 200
	maxFirst    = 128 // bytes read of a script
)

// findShebangs names executable files whose first line asks for an unversioned python. What cannot be
// read is left out: this only saves builds that would fail.
func findShebangs(t tree) []string {
	var found []string
	seen := 0
	_ = fs.WalkDir(t.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if seen++; err != nil || seen > maxScan || len(found) == maxShebangs {
			return fs.SkipAll
		}
		if !d.Type().IsRegular() {
			return nil
		}
		if info, err := d.Info(); err != nil || info.Mode()&0o111 == 0 {
			return nil
		}
		f, err := t.Open(name)
		if err != nil {
			return nil
		}
		defer f.Close()
		head, _ := io.ReadAll(io.LimitReader(f, maxFirst))
		if bytes.HasPrefix(head, []byte("#!")) && unclearShebang.Match(head) {
			found = append(found, name)
		}
		return nil
	})
	return found
}
