package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"reqpm/internal/engine"
	"reqpm/internal/store"
)

// Handlers are this service's for an engine: one for every kind of step.
func (s *Service) Handlers() map[store.Kind]engine.Handler {
	handlers := map[store.Kind]engine.Handler{}
	for _, kind := range []store.Kind{store.Checkout, store.Analyze, store.Resolve, store.Specs, store.Plan, store.Build, store.Publish, store.Verify, store.Check} {
		handlers[kind] = s.handle
	}
	return handlers
}

// handle does a step, with a log of its own.
func (s *Service) handle(ctx context.Context, step store.Step) (engine.Result, error) {
	log, err := s.cfg.Logs.Create(store.LogName(step.Run, step.ID, step.Attempt))
	if err != nil {
		return engine.Result{}, fmt.Errorf("%w: begin the log: %w", engine.ErrInfrastructure, err)
	}
	last := &lastLine{}
	result, add, err := s.Do(ctx, step, both{log, last})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		fmt.Fprintf(log, "ended: %v\n", context.Cause(ctx))
	default:
		fmt.Fprintf(log, "failed: %v\n", err)
	}
	if closeErr := log.Close(); closeErr != nil {
		s.cfg.Log.Warn("a log could not be closed", "step", step.ID, "error", closeErr)
	}
	s.note(ctx, step, last.text, err)
	if step.Kind == store.Verify && err == nil {
		s.Forget(step.Run)
	}
	data, jsonErr := json.Marshal(result)
	b, isBuild := result.(Built)
	return engine.Result{Data: data, Found: isBuild && b.State != "built", Add: add}, errors.Join(err, jsonErr)
}

// note writes to the project's log what people want to know: how stages went, and which builds failed.
func (s *Service) note(ctx context.Context, step store.Step, text string, err error) {
	level := "info"
	switch {
	case ctx.Err() != nil:
		return // the engine knows what becomes of it
	case step.Kind == store.Check:
		return // it is of whoever asked for it
	case err != nil:
		level, text = "error", firstLine(err.Error())
	case step.Kind == store.Build:
		return
	}
	entry := store.LogEntry{Project: step.Project, Run: step.Run, Step: step.ID, Level: level, Message: step.Key + ": " + text}
	err = s.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.AddLogEntry(ctx, entry)
		return err
	})
	if err != nil {
		s.cfg.Log.Warn("the project's log could not be written", "step", step.ID, "error", err)
	}
}

func firstLine(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return text
}

// lastLine remembers the last line written to it.
type lastLine struct{ text string }

func (l *lastLine) Write(p []byte) (int, error) {
	lines := strings.Split(strings.TrimRight(string(p), "\n"), "\n")
	l.text = lines[len(lines)-1]
	return len(p), nil
}

// both writes to a log, and remembers.
type both struct {
	log  interface{ Write(p []byte) (int, error) }
	last *lastLine
}

func (b both) Write(p []byte) (int, error) {
	_, _ = b.last.Write(p)
	return b.log.Write(p)
}
