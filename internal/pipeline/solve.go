package pipeline

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"reqpm/internal/index"
	"reqpm/internal/solve"
)

// solve is solve.Solve, but says that there is no solution only of what the index has now: pages are believed for some
// minutes, and what was uploaded a moment ago is not on them. So the index is asked about every page that was
// looked at and that it was not asked about in this run; where one has changed, it is solved anew.
func (p *Pipeline) solve(ctx context.Context, from solve.Source, req solve.Request) (solve.Solution, error) {
	for range maxRenewals {
		solution, err := solve.Solve(ctx, from, req)
		if !as[*solve.Conflict](err) || !p.from.renew(ctx) {
			return solution, err
		}
	}
	return solve.Solve(ctx, from, req)
}

// maxRenewals bounds how often it is solved anew: a version that is new may need others that are. Each page is asked for once.
const maxRenewals = 20

// askAtOnce is how many pages are asked for at the same time.
const askAtOnce = 16

// renew asks about all pages that were looked at, and forgets those that have changed: true when there are any.
func (c *candidates) renew(ctx context.Context) bool {
	c.mu.Lock()
	pages := map[string]*projectPage{}
	for name, page := range c.project {
		pages[name] = page
	}
	c.mu.Unlock()
	var mu sync.Mutex
	changed := false
	g, asking := errgroup.WithContext(ctx)
	g.SetLimit(askAtOnce)
	for name, page := range pages {
		g.Go(func() error {
			page.mu.Lock()
			known, direct := page.project, page.direct
			page.mu.Unlock()
			if direct != nil {
				return nil
			}
			now, err := index.Fresh(asking, c.p.cfg.Index, name)
			if err != nil && !errors.Is(err, index.ErrNotFound) {
				return err
			}
			if now.Equal(known) {
				return nil
			}
			mu.Lock()
			changed = true
			mu.Unlock()
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.project[name] == page {
				delete(c.project, name)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil && ctx.Err() == nil && !errors.Is(err, errors.ErrUnsupported) {
		c.p.warn("resolve", "the index could not be asked whether it has something new: "+err.Error())
	}
	return changed
}
