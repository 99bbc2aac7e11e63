package pagetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"reqpm/internal/engine/makespan"
	"reqpm/internal/store"
)

// Full is a database of a service that has been at work for long, for measuring.
type Full struct {
	Large  store.Run // of 1,000 packages on one target: the first hundreds are done, some run
	Graph  store.Run // of 600 packages, none of them begun
	Failed int64     // a build of Large that failed
}

// Fill makes 98,500 builds of 20 projects in runs of 500, one run of 600 packages, and one of 1,000. It needs an empty
// database, and a minute.
func Fill(ctx context.Context, s *store.Store) (Full, error) {
	f := &filler{Store: s}
	for i := range 20 {
		err := s.Write(ctx, func(tx *store.Tx) error {
			p, err := tx.CreateProject(ctx, store.Project{Name: fmt.Sprintf("project-%d", i), GitURL: "https://git.example.org/app", Targets: []string{"el9"}})
			f.projects = append(f.projects, p)
			return err
		})
		if err != nil {
			return Full{}, err
		}
	}
	var full Full
	var err error
	for i := range 197 {
		if _, err = f.run(ctx, i%20, 500, uint64(i)); err != nil {
			return full, err
		}
	}
	if full.Graph, err = f.run(ctx, 1, 600, 600); err != nil {
		return full, err
	}
	if full.Large, err = f.run(ctx, 0, 1000, 1000); err != nil {
		return full, err
	}
	if err = f.raise(ctx, full.Large, 1); err != nil {
		return full, err
	}
	if full.Failed, err = f.work(ctx, 600); err != nil {
		return full, err
	}
	return full, errors.Join(f.raise(ctx, full.Large, 0), s.Tune(ctx))
}

type filler struct {
	*store.Store
	projects []store.Project
}

// run plans a run; a project has one at a time that runs, the later ones wait their turn.
func (f *filler) run(ctx context.Context, project, packages int, seed uint64) (r store.Run, err error) {
	steps := makespan.Graph(rand.New(rand.NewPCG(1, seed)), packages)
	for i := range steps {
		steps[i].Key, steps[i].Target, steps[i].Labels = "build/el9/"+steps[i].Key, "el9", ""
		for j, need := range steps[i].Needs {
			steps[i].Needs[j] = "build/el9/" + need
		}
	}
	p := f.projects[project]
	return r, f.Write(ctx, func(tx *store.Tx) (err error) {
		if r, _, err = tx.CreateRun(ctx, store.Run{Project: p.ID, Ref: "main", Targets: p.Targets, Reason: "pushed"}, false); err != nil {
			return err
		}
		return tx.AddSteps(ctx, r.ID, steps)
	})
}

// raise has a run's builds done before all others; 0: no more.
func (f *filler) raise(ctx context.Context, r store.Run, to int64) error {
	steps, err := f.RunSteps(ctx, r.ID)
	if err != nil {
		return err
	}
	return f.Write(ctx, func(tx *store.Tx) error {
		for _, s := range steps {
			if s.Finished.IsZero() && s.Started.IsZero() {
				if err := tx.RaiseStep(ctx, s.ID, to); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// work does so many builds as a worker would, but for the last four, which run, and says which of the largest run failed.
func (f *filler) work(ctx context.Context, builds int) (failed int64, err error) {
	var w store.Worker
	err = f.Write(ctx, func(tx *store.Tx) (err error) {
		w, err = tx.AddWorker(ctx, store.Worker{Name: "builder", Host: "builder.example.org", Slots: 8, Lease: 24 * time.Hour})
		return err
	})
	for i := 0; i < builds && err == nil; i++ {
		err = f.Write(ctx, func(tx *store.Tx) error {
			step, err := tx.ClaimStep(ctx, store.Claim{Worker: w.ID, WorkerName: w.Name, Kinds: []store.Kind{store.Build}})
			if err != nil || i >= builds-4 {
				return err
			}
			end := store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: w.ID, State: store.Succeeded}
			if i%50 == 7 {
				failed, end.State, end.Cause = step.ID, store.Failed, "error: no such header"
			}
			_, err = tx.FinishStep(ctx, end)
			return err
		})
	}
	return failed, err
}

// LongLog writes a log of so many lines, a hundred bytes each, as a build that failed leaves one: it unpacks, compiles, and in the middle of
// that there is an error. The line of the error is given.
func LongLog(to io.Writer, lines int) (failed int, err error) {
	w := bufio.NewWriterSize(to, 1<<20)
	failed = lines / 2
	for i := 1; i <= lines && err == nil; i++ {
		switch {
		case i == 1:
			_, err = w.WriteString("Executing(%prep): /bin/sh -e /var/tmp/rpm-tmp.prep\n")
		case i == 100:
			_, err = w.WriteString("Executing(%build): /bin/sh -e /var/tmp/rpm-tmp.build\n")
		case i == failed:
			_, err = w.WriteString(LongLogError + "\n")
		case i%10 == 0:
			_, err = fmt.Fprintf(w, "\x1b[32m  [%6d/%d]\x1b[0m \x1b[1mcompiling\x1b[0m src/module_%06d.c into a file of its own, of many\n", i, lines, i)
		default:
			_, err = fmt.Fprintf(w, "  gcc -O2 -g -fPIC -I/usr/include/python3.12 -c src/module_%06d.c -o build/module_%06d.o # line %d\n", i, i, i)
		}
	}
	return failed, errors.Join(err, w.Flush())
}

// LongLogError is the line at which the build of LongLog fails.
const LongLogError = "src/lxml/etree.c:99:10: fatal error: libxml/xmlversion.h: No such file or directory"
