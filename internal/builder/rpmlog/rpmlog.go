// Package rpmlog reads what dnf and rpmbuild write: phases, errors, what is missing. It only
// reads; nothing it finds is trusted to be more than text.
package rpmlog

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"reqpm/internal/builder"
)

var phaseOf = map[string]builder.Phase{
	"%prep": builder.PhasePrep, "%generate_buildrequires": builder.PhasePrep, "%build": builder.PhaseBuild,
	"%install": builder.PhaseInstall, "%check": builder.PhaseCheck,
}

// PhaseOf is the phase that a line of rpmbuild's output announces.
func PhaseOf(line string) (builder.Phase, bool) {
	if rest, ok := strings.CutPrefix(line, "Executing("); ok {
		name, _, _ := strings.Cut(rest, ")")
		p, ok := phaseOf[name]
		return p, ok
	}
	return builder.PhasePackage, strings.HasPrefix(line, "Processing files: ")
}

var (
	errorLine  = regexp.MustCompile(`(?m)^\s*(?:error|Error|ERROR): (.+)$`)
	failedDeps = regexp.MustCompile(`(?m)^\t(.+) is needed by `)
)

// FirstError is the first line of text that calls itself an error, or its last line.
func FirstError(text string) string {
	if m := errorLine.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return LastLines(text, 1)
}

// FailedDeps are the build requirements that rpmbuild finds missing.
func FailedDeps(text string) []string {
	var missing []string
	for _, m := range failedDeps.FindAllStringSubmatch(text, -1) {
		missing = append(missing, m[1])
	}
	return missing
}

var missingDeps = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^No matching package to install: '(.+)'$`),
	regexp.MustCompile(`(?m)^No match for argument: (.+)$`),
	regexp.MustCompile(`(?m)nothing provides (.+?) needed by `),
	regexp.MustCompile(`(?m)nothing provides requested (.+)$`), // rich dependencies, when dnf 4 sees that no package has a part
	regexp.MustCompile(`(?m)No matching package to install: "(.+)"$`),
}

// problem is how dnf begins what its solver says: one problem, or the first of several.
var problem = regexp.MustCompile(`(?m)^\s*Problem(?: \d+)?:`)

// DNFError tells a missing dependency from a dnf that broke: what it wrote is out, how it ended err.
func DNFError(err error, out string) error {
	be := &builder.BuildError{Phase: builder.PhaseRoot, Cause: builder.CauseInfra, Tail: LastLines(out, 30), Err: err}
	for _, re := range missingDeps {
		for _, m := range re.FindAllStringSubmatch(out, -1) {
			if !slices.Contains(be.Missing, m[1]) {
				be.Missing = append(be.Missing, m[1])
			}
		}
	}
	switch {
	case strings.Contains(out, "No space left on device") || strings.Contains(out, "needs at least"):
		be.Err = fmt.Errorf("disk full: %w", err)
	case len(be.Missing) > 0:
		be.Cause = builder.CauseDeps
		be.Err = fmt.Errorf("nothing provides %s", strings.Join(be.Missing, ", "))
	case strings.Contains(out, "conflicting requests") || problem.MatchString(out):
		be.Cause = builder.CauseDeps
		be.Err = errors.New("the build requirements cannot be installed together")
	}
	return be
}

// LastLines is the end of text, at most n lines.
func LastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}

// SignatureError tells a bad signature from other troubles of dnf.
func SignatureError(err error, text string) error {
	var be *builder.BuildError
	if !errors.As(err, &be) {
		return err
	}
	for _, s := range []string{"GPG check FAILED", "Bad GPG signature", "GPG signature verification error", "repomd.xml GPG", "Error: GPG", "GPG signature is not available", "is not signed", "does not match the installed key", "checksum doesn't match", "Checksum doesn't match"} {
		if strings.Contains(text, s) {
			be.Cause, be.Err, be.Missing = builder.CauseResult, fmt.Errorf("signature or checksum refused by dnf: %w", be.Err), nil
			return be
		}
	}
	return err
}

// Tail keeps the last Max bytes written to it.
type Tail struct {
	Max int
	buf []byte
}

func (t *Tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*t.Max {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-t.Max:]...)
	}
	return len(p), nil
}

func (t *Tail) String() string {
	if len(t.buf) > t.Max {
		return string(t.buf[len(t.buf)-t.Max:])
	}
	return string(t.buf)
}

// Forget empties t.
func (t *Tail) Forget() { t.buf = t.buf[:0] }
