package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"time"

	"reqpm/internal/store"
)

// healthEvery is how often this machine's health is asked for, and how often the dispatcher looks although
// nothing seems to have changed.
const healthEvery = 3 * time.Second

// dispatch starts steps until ctx ends, or the engine has drained.
func (e *Engine) dispatch(ctx, inner context.Context) {
	poll := time.NewTicker(e.cfg.Poll)
	defer poll.Stop()
	health := time.NewTicker(healthEvery)
	defer health.Stop()
	seen := int64(-1) // the last event when something was last looked for
	for force := true; ctx.Err() == nil; {
		// Taken before looking: what changes while we look wakes us again.
		changed := e.store.Changed()
		last, err := e.store.LastEvent(ctx)
		if err == nil && (force || last != seen) {
			err = e.pass(ctx, inner)
			seen = last
		}
		if err != nil && ctx.Err() == nil {
			e.log.Warn("looking for work failed; trying again", "error", err)
			seen = -1
		}
		if e.drained() {
			return
		}
		force = false
		select {
		case <-ctx.Done():
		case <-changed:
		case <-e.wake:
			force = true
		case <-poll.C:
			due, err := e.store.RetryDue(ctx)
			force = err == nil && due
		case <-health.C:
			e.look()
			force = true
		}
		if err != nil {
			<-poll.C // not faster than that against a database that is gone
		}
	}
}

func (e *Engine) drained() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.draining && len(e.running) == 0
}

// pass does everything that can be done now.
func (e *Engine) pass(ctx, inner context.Context) error {
	due, err := e.store.RetryDue(ctx)
	if err == nil && due {
		err = e.store.Write(ctx, func(tx *store.Tx) error { return tx.PromoteDue(ctx) })
	}
	if err == nil {
		err = e.checkHeld(ctx)
	}
	if err == nil {
		err = e.adopt(ctx, inner)
	}
	if err != nil {
		return err
	}
	limits, err := e.store.Limits(ctx)
	if err != nil {
		return err
	}
	slots := e.cfg.Slots
	for _, l := range limits {
		if l.Scope == store.LimitWorker && l.Name == e.cfg.Name {
			slots = int(l.Value)
		}
	}
	for {
		if kinds, _ := e.vacancies(slots); len(kinds) == 0 {
			return nil
		}
		s, err := e.claim(ctx, slots)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		e.start(inner, s)
	}
}

// adopt starts what this worker has claimed without hearing of it: a connection that is lost while a claim is committed
// leaves a step that nobody would do, as long as this worker lives. Only the dispatcher may call it, for what it is about to
// start it has not started yet.
func (e *Engine) adopt(ctx, inner context.Context) error {
	if !e.unheard {
		return nil
	}
	have := e.have()
	held, err := e.store.HeldSteps(ctx, e.Worker().ID)
	if err != nil {
		return err
	}
	for _, h := range held {
		if _, ok := have[h.Step]; ok {
			continue
		}
		s, err := e.store.Step(ctx, h.Step)
		if err != nil {
			return err
		}
		if s.State == store.Running && s.Attempt == h.Attempt && s.Worker == e.Worker().ID {
			e.log.Warn("a step was claimed, and the answer was lost: it starts now", "step", s.ID, "key", s.Key)
			e.start(inner, s)
		}
	}
	e.unheard = false
	return nil
}

func (e *Engine) claim(ctx context.Context, slots int) (s store.Step, err error) {
	defer func() { e.unheard = e.unheard || errors.Is(err, store.ErrUnavailable) }()
	err = e.store.Write(ctx, func(tx *store.Tx) (err error) {
		kinds, w := e.vacancies(slots)
		if len(kinds) == 0 {
			return store.ErrNotFound // draining since: steps that came later are not for us
		}
		s, err = tx.ClaimStep(ctx, store.Claim{Worker: w.ID, WorkerName: w.Name, Labels: e.cfg.Labels, Kinds: kinds})
		return err
	})
	return s, err
}

// vacancies are the kinds of steps that there is a slot for.
func (e *Engine) vacancies(slots int) ([]store.Kind, store.Worker) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining || e.problem != "" || e.worker.ID == 0 {
		return nil, e.worker
	}
	builds, others := 0, 0
	for _, r := range e.running {
		if r.step.Kind == store.Build {
			builds++
		} else {
			others++
		}
	}
	var kinds []store.Kind
	for kind := range e.cfg.Handlers {
		if kind == store.Build && builds < slots || kind != store.Build && others < e.cfg.Others {
			kinds = append(kinds, kind)
		}
	}
	return kinds, e.worker
}

// start runs a step's handler.
func (e *Engine) start(inner context.Context, s store.Step) {
	ctx, cancel := context.WithCancelCause(inner)
	e.mu.Lock()
	e.running[s.ID] = &running{step: s, cancel: cancel}
	e.mu.Unlock()
	e.steps.Go(func() {
		defer func() {
			cancel(nil)
			e.mu.Lock()
			delete(e.running, s.ID)
			e.mu.Unlock()
			e.poke()
		}()
		e.execute(ctx, inner, s)
	})
}

// outcome is what a handler returned.
type outcome struct {
	result Result
	err    error
}

// execute runs the handler and writes down how it ended.
func (e *Engine) execute(ctx, inner context.Context, s store.Step) {
	log := e.log.With("run", s.Run, "step", s.ID, "key", s.Key, "attempt", s.Attempt)
	log.Debug("the step starts")
	done := make(chan outcome, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				log.Error("the handler panicked", "panic", r, "stack", string(debug.Stack()))
				done <- outcome{err: fmt.Errorf("internal error: %v", r)}
			}
		}()
		result, err := e.cfg.Handlers[s.Kind](ctx, s)
		done <- outcome{result, err}
	}()
	select {
	case o := <-done:
		e.write(ctx, inner, s, o)
		return
	case <-ctx.Done():
	}
	grace := time.NewTimer(e.cfg.Grace)
	defer grace.Stop()
	select {
	case o := <-done:
		e.write(ctx, inner, s, o)
	case <-grace.C:
		// The step goes on without its handler, whose result will be a zombie's. Its slot stays taken.
		e.write(ctx, inner, s, outcome{err: fmt.Errorf("%w, and did not stop within %v", context.Cause(ctx), e.cfg.Grace)})
		if !errors.Is(context.Cause(ctx), ErrStopping) {
			select {
			case <-done:
			case <-inner.Done():
			}
		}
	}
}

// write writes down how a step ended, however long the database is away.
func (e *Engine) write(ctx, inner context.Context, s store.Step, o outcome) {
	cause := context.Cause(ctx)
	if errors.Is(cause, ErrLostLease) {
		return
	}
	f := store.Finish{Step: s.ID, Attempt: s.Attempt, Worker: s.Worker, State: store.Succeeded, Result: o.result.Data, Found: o.result.Found, Add: o.result.Add}
	retry, after, avoid := false, time.Duration(0), ""
	if o.err != nil {
		f = store.Finish{Step: s.ID, Attempt: s.Attempt, Worker: s.Worker, State: store.Failed, Cause: shorten(o.err.Error()), Infrastructure: errors.Is(o.err, ErrInfrastructure), Result: o.result.Data}
		switch {
		case errors.Is(cause, ErrCancelled):
			f.State, f.Infrastructure, f.Cause = store.Cancelled, false, "cancelled"
		case errors.Is(cause, ErrStopping):
			retry, f.State, f.Infrastructure, f.Cause = true, store.Cancelled, false, "handed back: the worker stopped"
		case f.Infrastructure && s.InfraFailures < int64(len(e.cfg.BackOff)):
			retry, after, avoid = true, e.cfg.BackOff[s.InfraFailures], e.cfg.Name
		}
	}
	err := e.untilDone(inner, "write down how a step ended", func(ctx context.Context) error {
		return e.store.Write(ctx, func(tx *store.Tx) (err error) {
			if retry {
				_, err = tx.RetryStep(ctx, f, after, avoid)
			} else {
				_, err = tx.FinishStep(ctx, f)
			}
			return err
		})
	})
	log := e.log.With("run", s.Run, "step", s.ID, "key", s.Key, "attempt", s.Attempt)
	switch {
	case errors.Is(err, store.ErrGraph):
		// The handler's fault, not the database's.
		e.write(ctx, inner, s, outcome{err: err})
	case errors.Is(err, store.ErrLost), errors.Is(err, store.ErrNotFound):
		log.Warn("the step was given to another one, or deleted: its result is dropped")
	case err != nil:
		log.Error("how the step ended could not be written down", "error", err)
	default:
		log.Info("the step ended", "state", f.State, "again", retry, "cause", f.Cause)
	}
}

// shorten keeps what people read of a cause: all of it is in the log.
func shorten(text string) string {
	const most = 4000
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// have is what runs here.
func (e *Engine) have() map[int64]*running {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.running)
}

// checkHeld tells steps that they are to be cancelled, or not this worker's any more.
func (e *Engine) checkHeld(ctx context.Context) error {
	have := e.have()
	if len(have) == 0 {
		return nil
	}
	held, err := e.store.HeldSteps(ctx, e.Worker().ID)
	if err != nil {
		return err
	}
	mine := map[int64]store.Held{}
	for _, h := range held {
		mine[h.Step] = h
	}
	for id, r := range have {
		h, ok := mine[id]
		switch {
		case !ok || h.Attempt != r.step.Attempt:
			// Not lost but just written down, when its goroutine is about to end: no harm.
			r.cancel(ErrLostLease)
		case h.CancelWanted:
			r.cancel(ErrCancelled)
		}
	}
	return nil
}
