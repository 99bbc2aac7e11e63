package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// probeName is what a Watch puts.
	probeName = "probe"
	// probeEvery is how often a store that works is asked, and probeAgain one that does not.
	probeEvery, probeAgain = 10 * time.Second, 2 * time.Second
	// probeLimit is how long an answer to that may take.
	probeLimit = 5 * time.Second
	// openLimit is how long opening or looking for a blob may take: who asks for one is waiting.
	openLimit = 15 * time.Second
	// maxProbe bounds what is put to see whether there is room again, bytes.
	maxProbe = 8 << 20
)

// Watch knows whether a store that is elsewhere works. It asks now and then, and at once when something has failed; while the
// store does not work, whoever uses it through Guard is told so without waiting. All methods may be called from any goroutine.
type Watch struct {
	store   Store
	log     *slog.Logger
	suspect chan struct{}
	ctx     context.Context
	cancel  context.CancelFunc
	ended   chan struct{}
	wanted  atomic.Int64 // bytes that could not be put
	mu      sync.Mutex
	problem error
}

// NewWatch begins to watch, until Close. The blob "probe" of the store is the watch's own.
func NewWatch(store Store, log *slog.Logger) *Watch {
	w := &Watch{store: store, log: log, suspect: make(chan struct{}, 1), ended: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	go w.run()
	return w
}

// Close ends the watch.
func (w *Watch) Close() {
	w.cancel()
	<-w.ended
}

// Problem is why the store does not work, ErrUnavailable; nil while it does, as far as is known.
func (w *Watch) Problem() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.problem
}

func (w *Watch) run() {
	defer close(w.ended)
	for {
		wait := probeEvery
		if w.Problem() != nil {
			wait = probeAgain
		}
		timer := time.NewTimer(wait)
		select {
		case <-w.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-w.suspect:
			timer.Stop()
		}
		w.set(w.probe())
	}
}

// set notes what a probe found.
func (w *Watch) set(err error) {
	if w.ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	before := w.problem
	w.problem = err
	w.mu.Unlock()
	switch {
	case err != nil && before == nil:
		w.log.Warn("the store of artifacts and logs does not answer as it should", "error", err)
	case err == nil && before != nil:
		w.log.Info("the store of artifacts and logs answers again")
	}
}

// probe asks for a blob and, where something could not be put, puts as many bytes: a store may be full for a package and
// not for a word. After an error other than of putting it puts a few.
func (w *Watch) probe() error {
	ctx, cancel := context.WithTimeout(w.ctx, probeLimit)
	defer cancel()
	size := w.wanted.Load()
	if w.Problem() != nil {
		size = max(size, 1)
	}
	_, err := w.store.Stat(ctx, probeName)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	if err == nil && size > 0 {
		if _, err = w.store.Put(ctx, probeName, bytes.NewReader(make([]byte, size))); err == nil {
			w.wanted.CompareAndSwap(size, 0)
			_, _ = w.store.Put(ctx, probeName, strings.NewReader("")) // it need not stay so large
		}
	}
	switch {
	case err == nil || errors.Is(err, ErrUnavailable):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%w: no answer within %v", ErrUnavailable, probeLimit)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// failed has the store looked at when an error says that it may not work.
func (w *Watch) failed(err error, size int64) error {
	if errors.Is(err, ErrUnavailable) {
		if size > 0 {
			w.wanted.Store(min(size, maxProbe))
		}
		select {
		case w.suspect <- struct{}{}:
		default: // it is going to be
		}
	}
	return err
}

// Guard is a part of the watched store, which says ErrUnavailable at once while that does not work.
func (w *Watch) Guard(part Store) Store { return guarded{w, part} }

type guarded struct {
	watch *Watch
	store Store
}

// wait bounds how long something may take before it has its answer: answered must be called then, and end when
// all is read. The error of what was given up is ErrUnavailable.
func (g guarded) wait(ctx context.Context) (bounded context.Context, answered func(error) error, end func()) {
	bounded, cancel := context.WithCancel(ctx)
	late := atomic.Bool{}
	timer := time.AfterFunc(openLimit, func() {
		late.Store(true)
		cancel()
	})
	return bounded, func(err error) error {
		timer.Stop()
		if err != nil && late.Load() && ctx.Err() == nil {
			err = fmt.Errorf("%w: no answer within %v", ErrUnavailable, openLimit)
		}
		return g.watch.failed(err, 0)
	}, cancel
}

func (g guarded) Put(ctx context.Context, name string, r io.Reader) (Info, error) {
	if err := g.watch.Problem(); err != nil {
		return Info{}, err
	}
	counted := &countingReader{r: r}
	info, err := g.store.Put(ctx, name, counted)
	return info, g.watch.failed(err, max(counted.n, 1))
}

func (g guarded) Open(ctx context.Context, name string) (Object, error) {
	if err := g.watch.Problem(); err != nil {
		return nil, err
	}
	bounded, answered, end := g.wait(ctx)
	o, err := g.store.Open(bounded, name)
	if err = answered(err); err != nil {
		end()
		return nil, err
	}
	return guardedObject{o, end}, nil
}

func (g guarded) Stat(ctx context.Context, name string) (Info, error) {
	if err := g.watch.Problem(); err != nil {
		return Info{}, err
	}
	bounded, answered, end := g.wait(ctx)
	defer end()
	info, err := g.store.Stat(bounded, name)
	return info, answered(err)
}

func (g guarded) Delete(ctx context.Context, name string) error {
	if err := g.watch.Problem(); err != nil {
		return err
	}
	return g.watch.failed(g.store.Delete(ctx, name), 0)
}

func (g guarded) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := g.watch.Problem(); err != nil {
			yield(Info{}, err)
			return
		}
		for info, err := range g.store.List(ctx, prefix) {
			if !yield(info, g.watch.failed(err, 0)) {
				return
			}
		}
	}
}

// guardedObject gives its context back.
type guardedObject struct {
	Object
	end func()
}

func (o guardedObject) Close() error {
	defer o.end()
	return o.Object.Close()
}

// countingReader counts what was read.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
