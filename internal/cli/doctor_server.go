package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"reqpm/internal/client"
	"reqpm/internal/store"
)

// errServer: the server is there, and something about it is not as it should be.
var errServer = fmt.Errorf("%w as it should", client.ErrUnreachable)

// doctorOfServer looks at a server as somebody sees it who wants to use it.
func (a *app) doctorOfServer(ctx context.Context, c *client.Client, _ []string) error {
	var checks []check
	add := func(name, detail, fix string, err error) {
		if err != nil {
			detail = err.Error()
		}
		checks = append(checks, check{Name: name, OK: err == nil, Detail: detail, Fix: fix})
	}
	_, err := c.Text(ctx, "/healthz")
	add("answers", c.Server(), "reqpm serve", err)
	if err != nil {
		return a.endChecks(checks, errServer)
	}
	ready, err := c.Text(ctx, "/readyz")
	add("ready", ready, "", err)
	_, err = client.Collect(c.Projects(ctx, ""), 1)
	if client.IsStatus(err, http.StatusUnauthorized) && c.Anonymous() {
		add("token", "none is given: projects, workers and queue are not looked at", "", nil)
		return a.endChecks(checks, errServer)
	}
	add("token", "it may see projects", "reqpm login "+c.Server(), err)
	if err != nil {
		return a.endChecks(checks, errServer)
	}
	version, err := c.Version(ctx)
	add("version", version, "", err)
	workers, err := c.Workers(ctx)
	if client.IsStatus(err, http.StatusForbidden) || client.IsStatus(err, http.StatusNotFound) {
		add("workers", "the token may not see them", "", nil)
		return a.endChecks(checks, errServer)
	}
	active, slots := 0, int64(0)
	for _, w := range workers {
		if w.State == store.WorkerActive {
			active, slots = active+1, slots+w.Slots
		}
		if w.State != store.WorkerGone && w.Message != "" {
			add("worker "+w.Name, "", "", errors.New(w.Message))
		}
	}
	if err == nil && active == 0 {
		err = errors.New("none takes work: runs wait")
	}
	add("workers", fmt.Sprintf("%d take work, %d slots", active, slots), "reqpm worker, or reqpm workers resume NAME", err)
	steps, err := client.Collect(c.Queue(ctx), 0)
	running := 0
	for _, s := range steps {
		if s.State == store.Running {
			running++
		}
	}
	add("queue", fmt.Sprintf("%d steps run, %d wait for a slot", running, len(steps)-running), "", err)
	return a.endChecks(checks, errServer)
}
