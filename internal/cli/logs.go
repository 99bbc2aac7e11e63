package cli

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reqpm/internal/client"
	"reqpm/internal/store"
)

type logsOptions struct {
	follow, raw bool
	attempt     int64
	target      string
}

func (a *app) newLogsCommand() *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use: "logs BUILD", Short: "Print the log of a build or stage, or follow it as it grows", Args: cobra.ExactArgs(1),
		Long: "Print a log of a server. " + stepHelp + "\n" + runHelp + `

With -f it is printed as it grows, until the build has ended for good: the logs of later attempts follow. Control characters are shown
as question marks, for a log may hold what a terminal takes for a command; --raw prints the bytes.

` + exitCodesHelp,
		Example:           "  reqpm logs -f app/flask\n  reqpm logs app/12/flask==3.0.3 --target el9\n  reqpm logs 4711 --attempt 1 --raw > build.log\n  reqpm logs app/resolve --target el9",
		ValidArgsFunction: a.completing(completeStep),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.runLogs(ctx, c, args[0], o)
		}),
	}
	f := cmd.Flags()
	f.BoolVarP(&o.follow, "follow", "f", false, "print what comes until the build has ended")
	f.BoolVar(&o.raw, "raw", false, "print the bytes as they are")
	f.Int64Var(&o.attempt, "attempt", 0, "which attempt; default: the last")
	f.StringVarP(&o.target, "target", "t", "", "of this target, where a run has several")
	return cmd
}

// completeStep knows runs, and behind a slash the packages of one.
func completeStep(ctx context.Context, c *client.Client, begun string) []string {
	cut := strings.LastIndexByte(begun, '/')
	if cut < 0 {
		return completeRun(ctx, c, begun)
	}
	r, err := findRun(ctx, c, begun[:cut])
	if err != nil {
		return nil
	}
	var list []string
	builds, _ := client.Collect(c.Builds(ctx, client.BuildFilter{Run: r.ID}), 500)
	for _, b := range builds {
		list = append(list, begun[:cut+1]+b.Package)
	}
	return list
}

func (a *app) runLogs(ctx context.Context, c *client.Client, text string, o logsOptions) error {
	if o.attempt < 0 {
		return usagef("--attempt counts from 1")
	}
	s, err := findStep(ctx, c, text, o.target)
	if err != nil {
		return err
	}
	var out io.Writer = a.stdout
	var clean *cleanWriter
	if !o.raw {
		clean = &cleanWriter{w: a.stdout}
		out = clean
	}
	if a.global.json {
		out = jsonLines{a, s}
		clean = nil
	}
	if o.follow {
		err = a.followLogs(ctx, c, s, o, out)
	} else {
		err = c.Log(ctx, s.id, o.attempt, out)
		if client.IsStatus(err, http.StatusNotFound) && s.attempt == 0 {
			err = usagef("%s has no log yet: it is %s. With -f its log is waited for", s.name, s.state)
		}
	}
	if clean != nil {
		err = errors.Join(err, clean.flush())
	}
	return err
}

// followLogs follows attempt after attempt, until the step has ended.
func (a *app) followLogs(ctx context.Context, c *client.Client, s stepRef, o logsOptions, out io.Writer) error {
	attempt, said := o.attempt, false
	if attempt == 0 {
		attempt = max(s.attempt, 1)
	}
	for {
		b, err := c.Build(ctx, s.id)
		if err != nil {
			return err
		}
		begun := b.Attempt >= attempt
		if begun {
			begun, err = a.followLog(ctx, c, s.id, attempt, out)
			if err != nil {
				return err
			}
		}
		if !begun && b.State.Ended() {
			a.say("%s is %s: there is no log of attempt %d", s.name, b.State, attempt)
			return nil
		}
		if !begun {
			if !said {
				a.say("%s is %s; its log is waited for", s.name, b.State)
				said = true
			}
			if err := pause(ctx, time.Second); err != nil {
				return err
			}
			continue
		}
		if o.attempt > 0 {
			return nil
		}
		if over, err := untilOver(ctx, c, s.id, attempt); err != nil || over {
			return err
		}
		attempt, said = attempt+1, false
		a.say("==> attempt %d", attempt)
	}
}

// followLog prints one log to its end. begun is false where there is none yet.
func (a *app) followLog(ctx context.Context, c *client.Client, step, attempt int64, out io.Writer) (begun bool, err error) {
	for text, err := range c.FollowLog(ctx, step, attempt, 0) {
		if client.IsStatus(err, http.StatusNotFound) {
			return false, nil
		}
		if err == nil {
			_, err = io.WriteString(out, text)
		}
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// untilOver waits until an attempt whose log has ended is over for the server too, and says whether the step is.
func untilOver(ctx context.Context, c *client.Client, step, attempt int64) (over bool, err error) {
	for {
		b, err := c.Build(ctx, step)
		if err != nil || b.Attempt != attempt || b.State != store.Running {
			return b.Attempt == attempt && b.State.Ended(), err
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return false, err
		}
	}
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// cleanWriter makes text from outside safe for a terminal, in whole lines.
type cleanWriter struct {
	w    io.Writer
	rest []byte
}

func (c *cleanWriter) Write(p []byte) (int, error) {
	c.rest = append(c.rest, p...)
	cut := strings.LastIndexByte(string(c.rest), '\n') + 1
	if cut == 0 && len(c.rest) < 1<<20 {
		return len(p), nil
	}
	if cut == 0 {
		cut = len(c.rest) // a line without an end
	}
	_, err := io.WriteString(c.w, cleanLines(string(c.rest[:cut])))
	c.rest = append(c.rest[:0], c.rest[cut:]...)
	return len(p), err
}

func (c *cleanWriter) flush() error {
	_, err := io.WriteString(c.w, cleanLines(string(c.rest)))
	c.rest = nil
	return err
}

// cleanLines is plainText of a log, whose carriage returns are only ends of lines.
func cleanLines(text string) string {
	return plainText(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"))
}

// jsonLines writes parts of a log as JSON, one a line.
type jsonLines struct {
	a *app
	s stepRef
}

func (j jsonLines) Write(p []byte) (int, error) {
	err := j.a.printJSON(map[string]any{"event": "log", "build": j.s.id, "text": string(p)})
	return len(p), err
}
