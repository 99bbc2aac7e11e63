package cli

import (
	"context"
	"fmt"
	"strings"

	"reqpm/internal/pipeline"
)

// session is a project resolved for one or more targets.
type session struct {
	pipelines []*pipeline.Pipeline
	answers   []pipeline.Answer
}

func (s *session) close() { closeAll(s.pipelines) }

// resolveAll resolves for every target of the options. An error that all targets share is returned; a
// target's own is in its answer. Close the session.
func (a *app) resolveAll(ctx context.Context, o *projectOptions, where string) (*session, error) {
	state, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	progress := a.newProgress(o)
	defer progress.Close()
	s := &session{}
	if s.pipelines, err = a.openPipelines(ctx, *o, progress.quiet(a.global.json)); err != nil {
		return nil, err
	}
	s.answers, err = pipeline.PrepareAll(ctx, s.pipelines, o.request(where, state))
	if err == nil {
		err = s.common()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// common is the error that keeps every target from having an answer at all.
func (s *session) common() error {
	for _, answer := range s.answers {
		if answer.Err == nil || pipeline.NoSolution(answer.Err) {
			return nil
		}
	}
	return s.answers[0].Err
}

// verdict is how the command ends: what kept a target from an answer goes before what has no solution.
func (s *session) verdict() error {
	var none error
	var names []string
	for _, answer := range s.answers {
		switch {
		case answer.Err == nil:
			continue
		case !pipeline.NoSolution(answer.Err):
			return answer.Err
		}
		none = answer.Err
		names = append(names, answer.Target.Name)
	}
	if none == nil || len(s.answers) == 1 {
		return none
	}
	return &noSolution{names, none}
}

// resolveOne is resolveAll for a command about one target; no solution is an error.
func (a *app) resolveOne(ctx context.Context, o *projectOptions, where string) (*session, error) {
	if err := o.oneTarget(); err != nil {
		return nil, err
	}
	s, err := a.resolveAll(ctx, o, where)
	if err != nil {
		return nil, err
	}
	if err := s.verdict(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// noSolution sums up what was told target by target.
type noSolution struct {
	targets []string
	cause   error
}

func (e *noSolution) Error() string {
	return "no solution for " + strings.Join(e.targets, ", ")
}

func (e *noSolution) Unwrap() error { return e.cause }

// printTargets is the table package × target, and below it what has no answer.
func (a *app) printTargets(ctx context.Context, s *session) error {
	differences, err := pipeline.Differences(ctx, s.pipelines, s.answers)
	if err != nil {
		return err
	}
	why := map[string]string{}
	for _, d := range differences {
		var parts []string
		for _, r := range d.Reasons {
			parts = append(parts, strings.Join(r.Targets, ", ")+": "+r.Text)
		}
		why[d.Name] = strings.Join(parts, "; ")
	}
	a.table(targetRows(s, why))
	for _, answer := range s.answers {
		name := fmt.Sprintf("%s, Python %s", answer.Target.Name, answer.Target.Python.Version)
		switch {
		case answer.Err == nil:
			a.say("%d packages for %s", len(answer.Prepared.Lock.Packages), name)
		case pipeline.NoSolution(answer.Err):
			a.say("no solution for %s: %v", name, answer.Err)
		default:
			a.say("no answer for %s: %v", name, answer.Err)
		}
	}
	if len(differences) > 0 {
		a.say("%d packages are not the same everywhere", len(differences))
	}
	return nil
}

// targetRows are the rows of the table: solved targets only, "-" where a target has not the package.
func targetRows(s *session, why map[string]string) [][]string {
	head := []string{"PACKAGE"}
	versions := map[string]map[string]string{}
	var solved []string
	for _, answer := range s.answers {
		if answer.Err != nil {
			continue
		}
		solved = append(solved, answer.Target.Name)
		for _, l := range answer.Prepared.Lock.Packages {
			if versions[l.Name] == nil {
				versions[l.Name] = map[string]string{}
			}
			versions[l.Name][answer.Target.Name] = l.Version
		}
	}
	if len(solved) == 0 {
		return nil
	}
	rows := [][]string{append(append(head, solved...), "WHY")}
	for _, name := range sortedKeys(versions) {
		row := []string{name}
		for _, t := range solved {
			v, ok := versions[name][t]
			if !ok {
				v = "-"
			}
			row = append(row, v)
		}
		rows = append(rows, append(row, why[name]))
	}
	return rows
}
