package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"reqpm/internal/lockfile"
	"reqpm/internal/pipeline"
	"reqpm/internal/plan"
	"reqpm/internal/secret"
	"reqpm/internal/store"
)

// session is what a process holds of one run on one target: the pipeline, and the plan.
type session struct {
	pipeline *pipeline.Pipeline
	request  pipeline.Request
	prepared *pipeline.Prepared
	work     *pipeline.Work // nil before the plan is made
	events   *events
	said     map[string]string // what the project said of packages when the session was begun
	own      []OwnSpec         // and the spec files of people
	secrets  []secret.Secret   // that it had then

	once sync.Once
	err  error

	mu     sync.Mutex
	users  int
	stale  bool // a repair changed the plan: whoever comes next plans again
	closed bool
	// other are keys that are not of the plan though it was made after they were built: the base has changed.
	// Planning again for their sake would change nothing.
	other map[string]bool
}

type sessionKey struct {
	run    int64
	target string
}

// sessions are those of the runs a process is busy with.
type sessions struct {
	mu   sync.Mutex
	open map[sessionKey]*session
}

// events passes on what a pipeline reports: to the step that works on the package, or the stage.
type events struct {
	mu sync.Mutex
	to map[string]func(pipeline.Event) // by package name
}

func (e *events) report(ev pipeline.Event) {
	e.mu.Lock()
	to := e.to[ev.Name]
	if to == nil {
		to = e.to[""]
	}
	e.mu.Unlock()
	if to != nil {
		to(ev)
	}
}

// listen sends what is said of a package to f until the returned function is called. What is said of no
// package, or of one that nobody listens for, goes to the listener of "".
func (e *events) listen(name string, f func(pipeline.Event)) (stop func()) {
	set := func(f func(pipeline.Event)) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.to == nil {
			e.to = map[string]func(pipeline.Event){}
		}
		e.to[name] = f
	}
	set(f)
	return func() { set(nil) }
}

// lockBlob names the lock of a run on a target.
func lockBlob(s Subject) string { return LockBlob(s.Run, s.Target) }

// LockBlob names the lock of a run on a target among the blobs.
func LockBlob(run int64, target string) string {
	return fmt.Sprintf("runs/%d/%s/reqpm.lock", run, target)
}

// planned gives the session of a subject with its plan made: the one that is open, or a new one that
// follows the lock of the run. Release it.
func (s *Service) planned(ctx context.Context, sub Subject) (*session, error) {
	for {
		x, fresh := s.sessions.get(sub)
		if fresh {
			s.sweep(ctx)
		}
		x.once.Do(func() { x.err = s.replan(ctx, sub, x) })
		if x.err == nil {
			return x, nil
		}
		s.sessions.drop(sub, x)
		s.sessions.release(x)
		if ctx.Err() != nil || !errors.Is(x.err, context.Canceled) {
			return nil, x.err
		}
		// Another step began to plan, and was cancelled: that says nothing about this one.
	}
}

// plannedAs is planned, anew where the plan that is open is not the one by which keys were built: a
// repair, maybe in another process, has changed it since.
func (s *Service) plannedAs(ctx context.Context, sub Subject, keys map[plan.ID]string) (*session, error) {
	x, err := s.planned(ctx, sub)
	if err != nil || x.current(keys) {
		return x, err
	}
	s.sessions.drop(sub, x)
	s.sessions.release(x)
	if x, err = s.planned(ctx, sub); err == nil {
		x.accept(keys)
	}
	return x, err
}

// replan opens the pipeline on the lock of the run and plans.
func (s *Service) replan(ctx context.Context, sub Subject, x *session) error {
	lock, err := s.readLock(ctx, lockBlob(sub))
	if err != nil {
		return err
	}
	if err := s.prepare(ctx, sub, lock, x); err != nil {
		return err
	}
	x.work, err = x.pipeline.Plan(ctx, x.prepared.Lock)
	return err
}

// prepare opens the pipeline of a session and reads and resolves the project.
func (s *Service) prepare(ctx context.Context, sub Subject, lock *lockfile.File, x *session) (err error) {
	if x.events == nil { // whoever listens already goes on
		x.events = &events{}
	}
	if x.pipeline, x.request, err = s.cfg.Pipelines.Open(ctx, sub, lock, x.events.report); err != nil {
		return err
	}
	x.request.Source.Ref, x.request.Source.Again = sub.Commit, true
	x.prepared, err = x.pipeline.Prepare(ctx, x.request)
	return err
}

func (s *Service) readLock(ctx context.Context, name string) (*lockfile.File, error) {
	object, err := s.cfg.Blobs.Open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("the lock of the run: %w", err)
	}
	defer object.Close()
	text, err := io.ReadAll(object)
	if err != nil {
		return nil, fmt.Errorf("the lock of the run: %w", err)
	}
	lock, err := lockfile.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the lock of the run, %s: %w", name, err)
	}
	return &lock, nil
}

// sweep closes what is held for runs that have ended. It is done whenever something more is to be held.
func (s *Service) sweep(ctx context.Context) {
	for _, run := range s.sessions.idle() {
		if r, err := s.cfg.Store.Run(ctx, run); errors.Is(err, store.ErrNotFound) || err == nil && r.State.Ended() {
			s.sessions.forget(run)
		}
	}
}

// idle are the runs whose sessions nobody uses now.
func (all *sessions) idle() []int64 {
	all.mu.Lock()
	defer all.mu.Unlock()
	var runs []int64
	for key, x := range all.open {
		x.mu.Lock()
		if x.users == 0 {
			runs = append(runs, key.run)
		}
		x.mu.Unlock()
	}
	return runs
}

// get gives the session of a subject; fresh: it was made for this call.
func (all *sessions) get(sub Subject) (x *session, fresh bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	key := sessionKey{sub.Run, sub.Target}
	x = all.open[key]
	if x != nil && !(maps.Equal(x.said, sub.Settings.Overrides) && slices.Equal(x.own, sub.Own) && sameSecrets(x.secrets, sub.Secrets)) {
		x.outdate() // somebody has said something of a package since, or set a secret
		x = nil
	}
	if fresh = x == nil; fresh {
		x = &session{said: sub.Settings.Overrides, own: sub.Own, secrets: sub.Secrets}
		if all.open == nil {
			all.open = map[sessionKey]*session{}
		}
		all.open[key] = x
	}
	x.mu.Lock()
	x.users++
	x.mu.Unlock()
	return x, fresh
}

// put makes a session that is planned already the one of its subject.
func (all *sessions) put(sub Subject, x *session) {
	x.once.Do(func() {})
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.open == nil {
		all.open = map[sessionKey]*session{}
	}
	key := sessionKey{sub.Run, sub.Target}
	x.said, x.own, x.secrets = sub.Settings.Overrides, sub.Own, sub.Secrets
	if old := all.open[key]; old != nil {
		old.outdate()
	}
	all.open[key] = x
}

// drop takes a session out, so that the next who asks makes a new one. It is closed once nobody uses it.
func (all *sessions) drop(sub Subject, x *session) {
	all.mu.Lock()
	defer all.mu.Unlock()
	key := sessionKey{sub.Run, sub.Target}
	if all.open[key] == x {
		delete(all.open, key)
	}
	x.outdate()
}

func (x *session) outdate() {
	x.mu.Lock()
	x.stale = true
	idle := x.users == 0 && !x.closed
	x.closed = x.closed || idle
	x.mu.Unlock()
	if idle {
		_ = x.close() // scratch that stays is swept at the next start
	}
}

func (all *sessions) release(x *session) {
	x.mu.Lock()
	x.users--
	idle := x.users == 0 && x.stale && !x.closed
	x.closed = x.closed || idle
	x.mu.Unlock()
	if idle {
		_ = x.close() // scratch that stays is swept at the next start
	}
}

func (x *session) close() error {
	if x.pipeline == nil {
		return nil
	}
	return x.pipeline.Close()
}

// forget ends the sessions of a run.
func (all *sessions) forget(run int64) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for key, x := range all.open {
		if key.run == run {
			delete(all.open, key)
			x.outdate()
		}
	}
}

func (all *sessions) closeAll() error {
	all.mu.Lock()
	defer all.mu.Unlock()
	var err error
	for _, x := range all.open {
		x.mu.Lock()
		open := !x.closed
		x.closed = true
		x.mu.Unlock()
		if open {
			err = errors.Join(err, x.close())
		}
	}
	all.open = nil
	return err
}

// current tells whether the plan still is what was built: keys are those of the finished builds.
func (x *session) current(keys map[plan.ID]string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, key := range keys {
		if key != "" && x.work.Key(id) != key && !x.other[key] {
			return false
		}
	}
	return true
}

// accept notes which keys a plan that was made after them does not have.
func (x *session) accept(keys map[plan.ID]string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, key := range keys {
		if key == "" || x.work.Key(id) == key {
			continue
		}
		if x.other == nil {
			x.other = map[string]bool{}
		}
		x.other[key] = true
	}
}
