package service

import (
	"context"
	"errors"
	"fmt"

	"reqpm/internal/store"
)

// ErrNoPreview: a schedule that cannot say what it would do.
var ErrNoPreview = errors.New("it cannot say what it would do before it has looked")

// Preview is what a schedule would remove.
type Preview struct {
	Items []Removal `json:"items" nullable:"false"`
	Count int       `json:"count" doc:"of all; items are the first of them"`
	Bytes int64     `json:"bytes" doc:"that all of them take"`
}

// Removal is one thing that goes.
type Removal struct {
	Kind  string `json:"kind" doc:"checkout, run, logs, result (of a build), cached build (of the scheduler's machine), spec, index cache"`
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Why   string `json:"why"`
}

// Preview says what a schedule would do now: ErrNoPreview, store.ErrNotFound.
func (s *Service) Preview(ctx context.Context, schedule string) (Preview, error) {
	switch schedule {
	case ScheduleCheckouts:
		return s.previewCheckouts(ctx)
	case ScheduleBuilds:
		return s.previewBuilds(ctx)
	}
	for _, info := range ScheduleInfos() {
		if info.Name == schedule {
			return Preview{}, fmt.Errorf("%s: %w", schedule, ErrNoPreview)
		}
	}
	return Preview{}, fmt.Errorf("the schedule %s: %w", schedule, store.ErrNotFound)
}
