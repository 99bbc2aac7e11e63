// Package fake is a distro.Provider for tests: it says what it was told to.
package fake

import (
	"context"
	"sync"

	"reqpm/internal/distro"
	"reqpm/internal/target"
)

// Provider answers with RPMs, or with Err. Change it only while nobody asks.
type Provider struct {
	RPMs   []distro.RPM
	Origin distro.Origin // "": FromRepositories
	Reason string
	Err    error

	mu    sync.Mutex
	asked int
}

// Provides implements distro.Provider.
func (p *Provider) Provides(ctx context.Context, t target.Target) (*distro.Set, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if p.Err != nil {
		return nil, p.Err
	}
	origin := p.Origin
	if origin == "" {
		origin = distro.FromRepositories
	}
	s := distro.NewSet(t, origin, "1", p.RPMs)
	s.Reason = p.Reason
	return s, nil
}

// Asked is how often Provides was called.
func (p *Provider) Asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}
