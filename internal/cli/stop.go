package cli

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"reqpm/internal/engine"
)

// How a server or worker stops when it is told to.
const (
	stopHandBack = "hand-back" // what runs is stopped and queued again, for the next start or another worker
	stopWait     = "wait"      // nothing new is begun, and what runs goes on to its end
)

type stopOptions struct {
	how   string
	limit time.Duration
}

func (o *stopOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.how, "stop", stopHandBack, "what SIGTERM does: hand-back what runs, or wait for its end; a second SIGTERM hands back; SIGUSR1 waits")
	cmd.Flags().DurationVar(&o.limit, "stop-limit", 2*time.Hour, "how long to wait at most before what runs is handed back")
}

func (o stopOptions) check() error {
	if !slices.Contains([]string{stopHandBack, stopWait}, o.how) || o.limit <= 0 {
		return usagef("--stop is %s or %s, and --stop-limit more than 0", stopHandBack, stopWait)
	}
	return nil
}

// stopper turns being told to stop into the end of the work.
type stopper struct {
	stopping atomic.Bool
}

var errStopping = errors.New("the server is stopping")

// work is the context of all that a process does, which outlives ctx by what is waited for. Call done when
// the engine has ended.
func (s *stopper) work(ctx context.Context, o stopOptions, e *engine.Engine, log *slog.Logger) (work context.Context, done func()) {
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	wait := make(chan os.Signal, 1)
	signal.Notify(wait, syscall.SIGUSR1)
	go func() {
		defer end()
		defer signal.Stop(wait)
		waits := o.how == stopWait
		select {
		case <-work.Done():
			return
		case <-wait:
			waits = true
		case <-ctx.Done():
		}
		s.stopping.Store(true)
		notifySystemd("STOPPING=1")
		if !waits {
			return
		}
		log.Info("stopping: waiting for what runs", "limit", o.limit)
		e.Drain()
		// Only signals after the first: that one made ctx end, and is gone.
		again := make(chan os.Signal, 1)
		signal.Notify(again, syscall.SIGTERM, os.Interrupt)
		defer signal.Stop(again)
		limit := time.NewTimer(o.limit)
		defer limit.Stop()
		select {
		case <-work.Done():
		case <-again:
			log.Info("told again to stop: handing back what runs")
		case <-limit.C:
			log.Warn("the limit of waiting has come: handing back what runs", "limit", o.limit)
		}
	}()
	return work, end
}

// ready is an error for whoever wants to send this process work.
func (s *stopper) ready(ask func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if s.stopping.Load() {
			return errStopping
		}
		return ask(ctx)
	}
}

// notifySystemd tells the service manager, where there is one (sd_notify(3)). Nothing depends on its being heard.
func notifySystemd(state string) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return
	}
	_, _ = c.Write([]byte(state))
	_ = c.Close()
}
