package service

import "context"

// UseBuilds is what a step does before it takes results of builds.
func (s *Service) UseBuilds(ctx context.Context, keys ...string) error {
	_, err := s.useBuilds(ctx, keys...)
	return err
}
