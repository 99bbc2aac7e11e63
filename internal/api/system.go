package api

import (
	"context"
	"net/http"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
	"reqpm/internal/target"
)

// Worker is a process that builds.
type Worker struct {
	ID       int64             `json:"id"`
	Name     string            `json:"name"`
	Host     string            `json:"host"`
	PID      int64             `json:"pid"`
	Slots    int64             `json:"slots"`
	Labels   map[string]string `json:"labels"`
	Versions map[string]string `json:"versions"`
	DiskFree int64             `json:"disk_free" doc:"bytes; -1: unknown"`
	DiskSize int64             `json:"disk_size" doc:"bytes of that disk; 0: unknown"`
	State    store.WorkerState `json:"state" enum:"active,draining,gone"`
	Message  string            `json:"message,omitempty" doc:"why it takes nothing"`
	Beat     time.Time         `json:"beat"`
	Started  time.Time         `json:"started"`
}

func workerView(w store.Worker) Worker {
	return Worker{ID: w.ID, Name: w.Name, Host: w.Host, PID: w.PID, Slots: w.Slots, Labels: w.Labels, Versions: w.Versions, DiskFree: w.DiskFree, DiskSize: w.DiskSize, State: w.State, Message: w.Message, Beat: w.Beat, Started: w.Started}
}

// Limit is how much may run at once.
type Limit struct {
	Scope string `json:"scope" maxLength:"20" enum:"all,worker,target,project"`
	Name  string `json:"name" maxLength:"100" doc:"of the worker or target, id of the project"`
	Value int64  `json:"value" minimum:"-1" maximum:"10000" doc:"builds at once; -1 removes the limit"`
}

// Target is a release that a project may be built for.
type Target struct {
	Name   string `json:"name"`
	Arch   string `json:"arch" doc:"x86_64, aarch64; empty: the server's own"`
	Python string `json:"python" doc:"version; empty: that of the machine that builds"`
	RPM    string `json:"rpm" doc:"version; empty: that of the machine that builds"`
	Note   string `json:"note,omitempty" doc:"to be known before it is chosen"`
}

func (a *API) listTargets(context.Context, *nothing) (*listOf[Target], error) {
	all := append([]target.Target{{Name: target.LocalName, Note: "the distribution of the machine that builds"}}, a.cfg.Targets...)
	return newList(store.Part[target.Target]{Items: all}, func(t target.Target) Target {
		return Target{t.Name, t.Arch, t.Python.Version, t.RPM.Version, t.Note}
	}), nil
}

func (a *API) systemOperations() {
	register(a, operation{method: http.MethodGet, path: "/targets", id: "list-targets", summary: "Targets that a project may have: those of ReqPM and the server's own", role: auth.Viewer, tag: "projects"}, a.listTargets)
	register(a, operation{method: http.MethodGet, path: "/workers", id: "list-workers", summary: "Workers", role: auth.Viewer, tag: "operation"}, a.listWorkers)
	register(a, operation{method: http.MethodPost, path: "/workers/{id}/drain", id: "drain-worker", summary: "Have a worker take nothing new, or take work again", role: auth.Admin, status: http.StatusNoContent, tag: "operation"}, a.drainWorker)
	register(a, operation{method: http.MethodGet, path: "/limits", id: "list-limits", summary: "Limits", role: auth.Viewer, tag: "operation"}, a.listLimits)
	register(a, operation{method: http.MethodPut, path: "/limits", id: "set-limit", summary: "Change a limit while everything runs", role: auth.Admin, status: http.StatusNoContent, tag: "operation"}, a.setLimit)
	register(a, operation{method: http.MethodGet, many: true, path: "/queue", id: "queue", summary: "Builds that wait or run, the most urgent first", role: auth.Viewer, tag: "operation", sorts: []string{"package"}}, a.queue)
	register(a, operation{method: http.MethodPut, about: aboutStep, path: "/builds/{id}/place", id: "move-build", summary: "Put a build that waits before all others, with what it waits for, or behind them", role: auth.Admin, status: http.StatusNoContent, tag: "operation"}, a.moveBuild)
}

type nothing struct{}

func (a *API) listWorkers(ctx context.Context, _ *nothing) (*listOf[Worker], error) {
	all, err := a.cfg.Store.Workers(ctx)
	return newList(store.Part[store.Worker]{Items: all}, workerView), err
}

type drainInput struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Drain bool `json:"drain" doc:"false: take work again"`
	}
}

func (a *API) drainWorker(ctx context.Context, in *drainInput) (*struct{}, error) {
	who := auth.FromContext(ctx)
	return nil, a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.DrainWorker(ctx, in.ID, in.Body.Drain); err != nil {
			return err
		}
		return who.Audit(ctx, tx, auth.Change{Action: "worker.drain", Detail: map[string]any{"worker": in.ID, "drain": in.Body.Drain}})
	})
}

func (a *API) listLimits(ctx context.Context, _ *nothing) (*listOf[Limit], error) {
	all, err := a.cfg.Store.Limits(ctx)
	return newList(store.Part[store.Limit]{Items: all}, func(l store.Limit) Limit { return Limit{l.Scope, l.Name, l.Value} }), err
}

type limitInput struct{ Body Limit }

func (a *API) setLimit(ctx context.Context, in *limitInput) (*struct{}, error) {
	who := auth.FromContext(ctx)
	return nil, a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		was, err := tx.Limits(ctx)
		if err != nil {
			return err
		}
		if err := tx.SetLimit(ctx, store.Limit{Scope: in.Body.Scope, Name: in.Body.Name, Value: in.Body.Value}); err != nil {
			return err
		}
		return who.Audit(ctx, tx, auth.Change{Action: "limit.set", Object: in.Body.Scope + " " + in.Body.Name, Detail: map[string]any{"value": auth.FromTo(limitIn(was, in.Body), limitIn([]store.Limit{{Scope: in.Body.Scope, Name: in.Body.Name, Value: in.Body.Value}}, in.Body))}})
	})
}

// limitIn is the value of a limit among all, nil where there is none.
func limitIn(all []store.Limit, of Limit) any {
	for _, l := range all {
		if l.Scope == of.Scope && l.Name == of.Name && l.Value >= 0 {
			return l.Value
		}
	}
	return nil
}

type queueInput struct{ Page }

func (a *API) queue(ctx context.Context, in *queueInput) (*listOf[Build], error) {
	part, err := a.cfg.Store.Steps(ctx, store.StepFilter{Projects: a.visible(ctx, 0), States: []store.StepState{store.Running, store.Ready}}, in.store())
	if err != nil {
		return nil, err
	}
	return newList(part, buildView), nil
}

type moveInput struct {
	StepPath
	Body struct {
		Place string `json:"place" enum:"first,usual,last" doc:"first and last are of the queue of all projects; usual: longest path first"`
	}
}

func (a *API) moveBuild(ctx context.Context, in *moveInput) (*struct{}, error) {
	who, to := auth.FromContext(ctx), map[string]int64{"first": 1, "last": -1}[in.Body.Place]
	return nil, a.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		s, err := tx.Step(ctx, in.ID)
		if err != nil {
			return err
		}
		if err := tx.RaiseStep(ctx, in.ID, to); err != nil {
			return err
		}
		return who.Audit(ctx, tx, auth.Change{Action: "build.move", Object: s.Name(), Project: s.Project, Detail: map[string]any{"build": s.ID, "place": in.Body.Place}})
	})
}
