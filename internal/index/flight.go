package index

import (
	"context"
	"sync"
)

// flights makes concurrent callers of the same key share one piece of work. Unlike
// x/sync/singleflight, the work is not bound to the first caller: it is cancelled when the
// last caller has gone, and a caller that leaves early does not take it from the others. The last
// one waits until the work has stopped: nothing goes on, and no file is left, behind whoever gave up.
type flights[T any] struct {
	mu   sync.Mutex
	byID map[string]*flight[T]
}

type flight[T any] struct {
	done    chan struct{}
	waiting int
	cancel  context.CancelFunc
	value   T
	err     error
}

func (g *flights[T]) do(ctx context.Context, key string, work func(context.Context) (T, error)) (T, error) {
	g.mu.Lock()
	f := g.byID[key]
	if f == nil {
		shared, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f = &flight[T]{done: make(chan struct{}), cancel: cancel}
		if g.byID == nil {
			g.byID = map[string]*flight[T]{}
		}
		g.byID[key] = f
		go func() {
			f.value, f.err = work(shared)
			g.forget(key, f)
			close(f.done)
			cancel()
		}()
	}
	f.waiting++
	g.mu.Unlock()

	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		g.mu.Lock()
		f.waiting--
		last := f.waiting == 0
		if last && g.byID[key] == f { // nobody may join a flight that is being called off
			delete(g.byID, key)
		}
		g.mu.Unlock()
		if last {
			f.cancel()
			<-f.done
		}
		var none T
		return none, context.Cause(ctx)
	}
}

func (g *flights[T]) forget(key string, f *flight[T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byID[key] == f {
		delete(g.byID, key)
	}
}
