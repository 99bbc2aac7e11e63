package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"reqpm/internal/pipeline"
)

// targetErrors are how a command ended on each of several targets. The whole ends like the worst of them:
// what kept a target from being begun at all goes before what was tried and failed.
type targetErrors struct {
	ends []targetError
}

type targetError struct {
	target string
	err    error
	code   int
}

// worstFirst orders exit codes for several targets.
var worstFirst = []int{exitCancelled, exitMissing, exitNetwork, exitUsage, exitConflict, exitFailed}

// add notes how one target ended; nil is well.
func (e *targetErrors) add(ctx context.Context, target string, err error) {
	if err != nil {
		e.ends = append(e.ends, targetError{target, err, exitCode(ctx, err)})
	}
}

// verdict is nil when every target ended well.
func (e *targetErrors) verdict() error {
	if len(e.ends) == 0 {
		return nil
	}
	return e
}

// silently is verdict for those who have told everything already.
func (e *targetErrors) silently() error {
	if len(e.ends) == 0 {
		return nil
	}
	return silent{e}
}

// worst is the end that counts. Of equals it is one that no summary has told.
func (e *targetErrors) worst() targetError {
	return slices.MinFunc(e.ends, func(a, b targetError) int {
		told := func(t targetError) int {
			if errors.Is(t.err, errBuilds) {
				return 1
			}
			return 0
		}
		if a.code != b.code {
			return slices.Index(worstFirst, a.code) - slices.Index(worstFirst, b.code)
		}
		return told(a) - told(b)
	})
}

// Error names every target that did not end well, but for those whose summary said it.
func (e *targetErrors) Error() string {
	var lines []string
	for _, end := range e.ends {
		if !errors.Is(end.err, errBuilds) {
			lines = append(lines, end.target+": "+end.err.Error())
		}
	}
	return strings.Join(lines, "\n")
}

func (e *targetErrors) Unwrap() error { return e.worst().err }

// allTogether is the last line of a build of several targets: the lists of all, and each target's own summary.
type allTogether struct {
	Event   string              `json:"event"`
	Project string              `json:"project"`
	Commit  string              `json:"commit"`
	Built   []*pipeline.Outcome `json:"built"`
	Reused  []*pipeline.Outcome `json:"reused"`
	Distro  []*pipeline.Outcome `json:"distribution"`
	Failed  []*pipeline.Outcome `json:"failed"`
	Blocked []*pipeline.Outcome `json:"blocked"`
	Waiting []*pipeline.Outcome `json:"waiting,omitempty"`
	Seconds float64             `json:"seconds"`
	Exit    int                 `json:"exit"`
	Targets []ended             `json:"targets"`
}

// endAll tells how a build of several targets ended.
func (a *app) endAll(ctx context.Context, endings []pipeline.Ending) error {
	all := allTogether{Event: "summary", Built: []*pipeline.Outcome{}, Reused: []*pipeline.Outcome{}, Distro: []*pipeline.Outcome{}, Failed: []*pipeline.Outcome{}, Blocked: []*pipeline.Outcome{}}
	ends := targetErrors{}
	for _, e := range endings {
		s := e.Summary
		ends.add(ctx, s.Target, verdict(s, e.Err))
		all.Built, all.Reused, all.Distro = append(all.Built, s.Built...), append(all.Reused, s.Reused...), append(all.Distro, s.Distro...)
		all.Failed, all.Blocked, all.Waiting = append(all.Failed, s.Failed...), append(all.Blocked, s.Blocked...), append(all.Waiting, s.Waiting...)
		all.Seconds, all.Targets = max(all.Seconds, s.Seconds), append(all.Targets, summaryJSON(ctx, e))
		if s.Project != "" {
			all.Project, all.Commit = s.Project, s.Commit
		}
	}
	if all.Exit = exitCode(ctx, ends.verdict()); a.global.json {
		_ = a.printJSON(all) // the last line, whatever happened
		return ends.silently()
	}
	for _, e := range endings {
		if e.Summary.Logs == "" {
			continue // it ended before there was anything to sum up; the verdict says why
		}
		a.printSummary("\n"+e.Summary.Target+":", e.Summary)
	}
	return ends.verdict()
}
