package service

import (
	"context"

	"reqpm/internal/index"
	"reqpm/internal/plan"
	"reqpm/internal/secret"
)

// UseBuilds is what a step does before it takes results of builds.
func (s *Service) UseBuilds(ctx context.Context, keys ...string) error {
	_, err := s.useBuilds(ctx, keys...)
	return err
}

// Expected are the seconds that a plan's builds should take.
func (s *Service) Expected(ctx context.Context, target string, p *plan.Plan) (map[plan.ID]float64, error) {
	return s.expected(ctx, target, p)
}

// Infrastructure tells whether a step that fails with an error is tried again.
func Infrastructure(err error) bool { return infrastructure(err) }

// PrivateName is the folder of the index cache that a secret opens.
func PrivateName(s secret.Secret) string { return index.PrivateName(s.ID) }
