package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// each runs a test on both databases.
func each(t *testing.T, test func(t *testing.T, s *store.Store)) {
	storetest.Each(t, func(t *testing.T, url string) { test(t, storetest.Open(t, url)) })
}

func write(t testing.TB, s *store.Store, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := s.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func project(t testing.TB, s *store.Store, name string) store.Project {
	t.Helper()
	return must[store.Project](t)(s.CreateProject(t.Context(), store.Project{Name: name, GitURL: "https://example.org/" + name, Targets: []string{"el9"}}))
}

func run(t testing.TB, s *store.Store, project int64, steps ...store.NewStep) store.Run {
	t.Helper()
	var r store.Run
	write(t, s, func(tx *store.Tx) error {
		var err error
		if r, _, err = tx.CreateRun(t.Context(), store.Run{Project: project, Targets: []string{"el9"}}, false); err != nil {
			return err
		}
		return tx.AddSteps(t.Context(), r.ID, steps)
	})
	return r
}

func worker(t testing.TB, s *store.Store, name string) store.Worker {
	t.Helper()
	var w store.Worker
	write(t, s, func(tx *store.Tx) (err error) {
		w, err = tx.AddWorker(t.Context(), store.Worker{Name: name, Slots: 2, Labels: map[string]string{"arch": "x86_64"}, Lease: time.Minute})
		return err
	})
	return w
}

// claim is the next build for a worker; its key is "" when there is none.
func claim(t testing.TB, s *store.Store, w store.Worker) store.Step {
	t.Helper()
	var step store.Step
	err := s.Write(t.Context(), func(tx *store.Tx) (err error) {
		step, err = tx.ClaimStep(t.Context(), store.Claim{Worker: w.ID, WorkerName: w.Name, Labels: w.Labels, Kinds: []store.Kind{store.Build}})
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return step
}

func finish(t testing.TB, s *store.Store, step store.Step, state store.StepState) {
	t.Helper()
	write(t, s, func(tx *store.Tx) error {
		_, err := tx.FinishStep(t.Context(), store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: step.Worker, State: state, Cause: "said so"})
		return err
	})
}

func build(key string, seconds float64, needs ...string) store.NewStep {
	return store.NewStep{Key: key, Kind: store.Build, Target: "el9", Package: key + "==1.0", Expected: seconds, Needs: needs}
}

func states(t testing.TB, s *store.Store, run int64) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, step := range must[[]store.Step](t)(s.RunSteps(t.Context(), run)) {
		text := string(step.State)
		if step.Root != "" {
			text += " by " + step.Root
		}
		all[step.Key] = text
	}
	return all
}

func wantStates(t testing.TB, s *store.Store, run int64, want map[string]string) {
	t.Helper()
	got := states(t, s, run)
	for key, state := range want {
		if got[key] != state {
			t.Errorf("%s is %q, want %q", key, got[key], state)
		}
	}
}

func runState(t testing.TB, s *store.Store, id int64) store.RunState {
	t.Helper()
	return must[store.Run](t)(s.Run(t.Context(), id)).State
}

func TestProjects(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		made := must[store.Project](t)(s.CreateProject(ctx, store.Project{Name: "web", GitURL: "https://example.org/web", Ref: "main", RequirementFiles: []string{"a.txt", "b.txt"}, Settings: json.RawMessage(`{"extras":["x"]}`), Sync: true}))
		if _, err := s.CreateProject(ctx, store.Project{Name: "web"}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a name twice: %v", err)
		}
		got := must[store.Project](t)(s.ProjectNamed(ctx, "web"))
		if got.ID != made.ID || got.Ref != "main" || !slices.Equal(got.RequirementFiles, []string{"a.txt", "b.txt"}) || got.Targets == nil || string(got.Settings) != `{"extras":["x"]}` || !got.Sync || !got.Created.Equal(made.Created) {
			t.Errorf("%+v", got)
		}
		got.Ref, got.Targets = "v2", []string{"el9", "el10"}
		if err := s.UpdateProject(ctx, got); err != nil {
			t.Fatal(err)
		}
		if got = must[store.Project](t)(s.Project(ctx, made.ID)); got.Ref != "v2" || len(got.Targets) != 2 {
			t.Errorf("changed: %+v", got)
		}
		r := run(t, s, made.ID, build("a", 1))
		if err := s.DeleteProject(ctx, made.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Run(ctx, r.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the run of a deleted project: %v", err)
		}
		if err := s.DeleteProject(ctx, made.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		if _, err := s.PutArtifact(ctx, store.Artifact{Run: r.ID, Name: "x"}); !errors.Is(err, store.ErrReference) {
			t.Errorf("an artifact of no run: %v", err)
		}
	})
}

// Every page of a list has the right items, in either order, while others are added and removed.
func TestPages(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		var want []string
		for i := range 23 {
			name := fmt.Sprintf("p%02d", (i*7)%23)
			project(t, s, name)
			want = append(want, name)
		}
		read := func(sort string) []string {
			var names []string
			for p := (store.Page{Limit: 5, Sort: sort}); ; {
				part := must[store.Part[store.Project]](t)(s.Projects(t.Context(), store.ProjectFilter{}, p))
				for _, project := range part.Items {
					names = append(names, project.Name)
				}
				if p.Cursor = part.Next; p.Cursor == "" {
					return names
				}
			}
		}
		if got := read("id"); !slices.Equal(got, want) {
			t.Errorf("by id: %q", got)
		}
		slices.Reverse(want)
		if got := read(""); !slices.Equal(got, want) {
			t.Errorf("newest first: %q", got)
		}
		slices.Sort(want)
		if got := read("name"); !slices.Equal(got, want) {
			t.Errorf("by name: %q", got)
		}
		slices.Reverse(want)
		if got := read("-name"); !slices.Equal(got, want) {
			t.Errorf("by name downwards: %q", got)
		}
		first := must[store.Part[store.Project]](t)(s.Projects(t.Context(), store.ProjectFilter{}, store.Page{Limit: 1}))
		for _, p := range []store.Page{{Cursor: "garbage"}, {Cursor: "e30"}, {Cursor: first.Next, Sort: "name"}, {Cursor: "WzFd"}} {
			if _, err := s.Projects(t.Context(), store.ProjectFilter{}, p); !errors.Is(err, store.ErrCursor) {
				t.Errorf("cursor %q: %v", p.Cursor, err)
			}
		}
		if _, err := s.Projects(t.Context(), store.ProjectFilter{}, store.Page{Sort: "name; DROP TABLE projects"}); !errors.Is(err, store.ErrSort) {
			t.Errorf("sorted by nonsense: %v", err)
		}
	})
}

// The graph goes as its edges say: a before b and c, the longest chain first, the run ends with
// its last step.
func TestGraph(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		p := project(t, s, "web")
		r := run(t, s, p.ID, build("d", 1, "b", "c"), build("b", 10, "a"), build("a", 5), build("c", 1, "a"), build("lone", 14))
		w := worker(t, s, "w")
		var order []string
		for {
			step := claim(t, s, w)
			if step.Key == "" {
				break
			}
			if state := runState(t, s, r.ID); state != store.RunRunning {
				t.Errorf("the run is %s while %s runs", state, step.Key)
			}
			order = append(order, step.Key)
			finish(t, s, step, store.Succeeded)
		}
		if want := []string{"a", "lone", "b", "c", "d"}; !slices.Equal(order, want) {
			t.Errorf("order %q, want %q", order, want)
		}
		if state := runState(t, s, r.ID); state != store.RunSucceeded {
			t.Errorf("the run is %s", state)
		}
		learned := must[map[string]float64](t)(s.BuildTimes(t.Context(), "el9", []string{"a", "b", "unheard-of"}))
		if learned["a"] <= 0 || learned["b"] <= 0 || len(learned) != 2 {
			t.Errorf("learned about how long builds take: %v", learned)
		}
	})
}

// A failed step blocks what needs it, with its name, and nothing else; what only waits for an end goes on.
func TestBlocked(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		p := project(t, s, "web")
		r := run(t, s, p.ID, build("a", 5), build("b", 4, "a"), build("c", 3, "b"), build("d", 2),
			store.NewStep{Key: "report", Kind: store.Build, Target: "el9", Needs: []string{"d"}, After: []string{"c", "a"}})
		w := worker(t, s, "w")
		a := claim(t, s, w)
		finish(t, s, a, store.Failed)
		wantStates(t, s, r.ID, map[string]string{"a": "failed", "b": "blocked by a==1.0", "c": "blocked by a==1.0", "d": "ready", "report": "waiting"})
		// A step that comes later is blocked by the same root.
		write(t, s, func(tx *store.Tx) error {
			return tx.AddSteps(t.Context(), r.ID, []store.NewStep{build("f", 1, "e"), build("e", 1, "c"), build("a", 1)})
		})
		wantStates(t, s, r.ID, map[string]string{"e": "blocked by a==1.0", "f": "blocked by a==1.0", "a": "failed"})
		finish(t, s, claim(t, s, w), store.Succeeded)
		wantStates(t, s, r.ID, map[string]string{"report": "ready"})
		finish(t, s, claim(t, s, w), store.Succeeded)
		if state := runState(t, s, r.ID); state != store.RunFailed {
			t.Errorf("the run is %s", state)
		}
		for _, bad := range [][]store.NewStep{{build("x", 1, "y"), build("y", 1, "x")}, {build("x", 1, "nosuch")}, {build("x", 1), build("x", 2)}, {build("x", 1, "x")}, {build("x", 1, "d", "d")}} {
			if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.AddSteps(t.Context(), r.ID, bad) }); !errors.Is(err, store.ErrGraph) {
				t.Errorf("%v: %v", bad, err)
			}
		}
	})
}

// Only the holder of the current attempt can finish a step.
func TestFencing(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		p := project(t, s, "web")
		r := run(t, s, p.ID, build("a", 5), build("b", 4, "a"))
		first, second := worker(t, s, "first"), worker(t, s, "second")
		old := claim(t, s, first)
		if err := s.Beat(t.Context(), first.ID, 1, ""); err != nil {
			t.Fatal(err)
		}
		lose := func(w store.Worker, beats int64) (lost []store.Step) {
			write(t, s, func(tx *store.Tx) (err error) {
				lost, err = tx.LoseWorker(t.Context(), w.ID, beats, 3)
				return err
			})
			return lost
		}
		if lost := lose(first, 0); lost != nil {
			t.Errorf("a worker was given up that had given a sign of life: %v", lost)
		}
		if lost := lose(first, 1); len(lost) != 1 {
			t.Errorf("lost: %v", lost)
		}
		if err := s.Beat(t.Context(), first.ID, 1, ""); !errors.Is(err, store.ErrLost) {
			t.Errorf("a worker that was given up goes on: %v", err)
		}
		again := claim(t, s, second)
		if again.ID != old.ID || again.Attempt != old.Attempt+1 {
			t.Fatalf("again: %+v", again)
		}
		for _, zombie := range []store.Finish{{Step: old.ID, Attempt: old.Attempt, Worker: first.ID, State: store.Succeeded}, {Step: old.ID, Attempt: again.Attempt, Worker: first.ID, State: store.Failed}} {
			err := s.Write(t.Context(), func(tx *store.Tx) error {
				_, err := tx.FinishStep(t.Context(), zombie)
				return err
			})
			if !errors.Is(err, store.ErrLost) {
				t.Errorf("a zombie's result: %v", err)
			}
		}
		wantStates(t, s, r.ID, map[string]string{"a": "running", "b": "waiting"})
		finish(t, s, again, store.Succeeded)
		if err := s.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.FinishStep(t.Context(), store.Finish{Step: again.ID, Attempt: again.Attempt, Worker: second.ID, State: store.Succeeded})
			return err
		}); !errors.Is(err, store.ErrLost) {
			t.Errorf("finished twice: %v", err)
		}
		wantStates(t, s, r.ID, map[string]string{"a": "succeeded", "b": "ready"})
		attempts := must[[]store.Attempt](t)(s.Attempts(t.Context(), old.ID))
		if len(attempts) != 2 || attempts[0].Cause != "the worker first was lost" || !attempts[0].Infrastructure || attempts[1].State != store.Succeeded || attempts[0].Log == attempts[1].Log {
			t.Errorf("attempts: %+v", attempts)
		}
	})
}

// A newer schema is refused; two servers on one SQLite file are too.
func TestOpen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := storetest.Open(t, url)
		project(t, s, "web")
		again := storetest.Open(t, url)
		if _, err := again.ProjectNamed(t.Context(), "web"); err != nil {
			t.Errorf("opened again: %v", err)
		}
		if err := s.ForceVersion(t.Context(), 1000); err != nil {
			t.Fatal(err)
		}
		if newer, err := store.Open(t.Context(), store.Config{URL: url, Server: true}); !errors.Is(err, store.ErrNewer) {
			t.Errorf("a newer schema: %v %v", newer, err)
		}
	})
	path := filepath.Join(t.TempDir(), "a b?c%20#.db")
	first, err := store.Open(t.Context(), store.Config{URL: path, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file is not where it should be: %v", err)
	}
	if second, err := store.Open(t.Context(), store.Config{URL: path, Server: true}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a second server: %v %v", second, err)
	}
	beside := storetest.Open(t, path)
	project(t, beside, "web")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	third, err := store.Open(t.Context(), store.Config{URL: path, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	third.Close()
}
