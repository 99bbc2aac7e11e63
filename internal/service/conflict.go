package service

import (
	"errors"
	"strings"

	"reqpm/internal/pipeline"
	"reqpm/internal/solve"
)

// Conflict says that there is no solution, and what would make one.
type Conflict struct {
	Message      string                `json:"message"`
	Requirements []ConflictRequirement `json:"requirements" nullable:"false" doc:"that cannot hold together, the project's own first"`
	Changes      []ConflictChange      `json:"changes" nullable:"false" doc:"each of them makes a solution, proven by solving again"`
}

// ConflictRequirement is one of the requirements that cannot hold together.
type ConflictRequirement struct {
	Text    string `json:"text"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Package string `json:"package,omitempty" doc:"who asks, when it is no line of the project's own"`
}

// ConflictChange is one change that was proven to help.
type ConflictChange struct {
	Kind    solve.ChangeKind `json:"kind"`
	Text    string           `json:"text" doc:"the line as it should be, or the option to give"`
	File    string           `json:"file"`
	Line    int              `json:"line"`
	Package string           `json:"package,omitempty" doc:"whose word gives way"`
	Takes   []ConflictTaken  `json:"takes" nullable:"false"`
	// Say is the change in one line, for people.
	Say string `json:"-"`
}

// ConflictTaken is a version that is then chosen.
type ConflictTaken struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// ConflictOf is the answer "no solution" that an error is; nil for all others.
func ConflictOf(err error) *Conflict {
	if c, ok := errors.AsType[*solve.Conflict](err); ok {
		out := &Conflict{Message: c.Error(), Requirements: []ConflictRequirement{}, Changes: []ConflictChange{}}
		for _, o := range c.Origins {
			out.Requirements = append(out.Requirements, ConflictRequirement{Text: o.Text, File: o.File, Line: o.Line, Package: asker(o)})
		}
		for _, change := range c.Changes {
			one := ConflictChange{Kind: change.Kind, Text: change.Text, File: change.Origin.File, Line: change.Origin.Line, Package: asker(change.Origin), Takes: []ConflictTaken{}, Say: change.String()}
			for _, p := range change.Takes {
				one.Takes = append(one.Takes, ConflictTaken{p.Name, p.Version.String()})
			}
			out.Changes = append(out.Changes, one)
		}
		return out
	}
	if c, ok := errors.AsType[*pipeline.PythonError](err); ok {
		text := c.Project + " requires Python " + c.Requires
		return &Conflict{c.Error(), []ConflictRequirement{{Text: text, File: c.At.File, Line: c.At.Line}}, []ConflictChange{}}
	}
	return nil
}

func asker(o solve.Origin) string { return strings.TrimSpace(o.Package + " " + o.Version) }
