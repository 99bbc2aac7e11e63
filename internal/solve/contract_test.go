package solve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// watched counts the calls of a Source and may answer Requires with an error.
type watched struct {
	*universe
	mu       sync.Mutex
	calls    map[string]int
	requires func(ctx context.Context, name string) error
	cheap    func(name string) bool
}

func (w *watched) count(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls == nil {
		w.calls = map[string]int{}
	}
	w.calls[key]++
}

func (w *watched) Candidates(ctx context.Context, name string) ([]Candidate, error) {
	w.count(name)
	return w.universe.Candidates(ctx, name)
}

func (w *watched) Requires(ctx context.Context, name string, v pep440.Version) ([]pep508.Requirement, error) {
	w.count(name + " " + v.String())
	if w.requires != nil {
		if err := w.requires(ctx, name); err != nil {
			return nil, err
		}
	}
	return w.universe.Requires(ctx, name, v)
}

func (w *watched) Cheap(name string, _ pep440.Version) bool { return w.cheap == nil || w.cheap(name) }

func TestEveryAnswerIsAskedForOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	u, req := synthetic(t, 100)
	w := &watched{universe: u}
	if _, err := Solve(t.Context(), w, req); err != nil {
		t.Fatal(err)
	}
	for key, n := range w.calls {
		if n > 1 {
			t.Errorf("%s was asked for %d times", key, n)
		}
	}
}

func TestWhatIsDearIsNotFetchedAhead(t *testing.T) {
	// a 2.0 is likely for the first line alone, but a 1.0 is what is needed.
	u := parseUniverse(t, "a 1.0:\n a 2.0:\n b 1.0: a<2\n c 1.0:")
	w := &watched{universe: u, cheap: func(name string) bool { return name != "a" }}
	if _, err := Solve(t.Context(), w, request(t, "a\na<2\nb\nc")); err != nil {
		t.Fatal(err)
	}
	if w.calls["a 2.0"] > 0 || w.calls["a 1.0"] != 1 {
		t.Errorf("calls: %v", w.calls)
	}
}

// Two sources whose backends take their time are asked side by side: each waits here for the other.
func TestDearQuestionsAreAskedBesideEachOther(t *testing.T) {
	u := parseUniverse(t, "app 1.0: a | b\n a 1.0:\n b 1.0:")
	var both sync.WaitGroup
	both.Add(2)
	w := &watched{universe: u, cheap: func(name string) bool { return name == "app" }, requires: func(ctx context.Context, name string) error {
		if name == "app" {
			return nil
		}
		both.Done()
		met := make(chan struct{})
		go func() { both.Wait(); close(met) }()
		select {
		case <-met:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := Solve(ctx, w, request(t, "app")); err != nil {
		t.Fatal(err)
	}
	if w.calls["a 1.0"] != 1 || w.calls["b 1.0"] != 1 {
		t.Errorf("calls: %v", w.calls)
	}
}

func TestErrors(t *testing.T) {
	u := parseUniverse(t, "a 1.0:\n a 2.0: b\n b 1.0:")
	broken := errors.New("disk full")
	for _, tt := range []struct {
		name string
		err  error
		want error
	}{
		{"fatal", fmt.Errorf("%w: %w", ErrFatal, broken), broken},
		{"the source's own deadline", context.DeadlineExceeded, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			w := &watched{universe: u, requires: func(context.Context, string) error { return tt.err }}
			_, err := Solve(t.Context(), w, request(t, "a"))
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), "a") {
				t.Errorf("does not name the package: %v", err)
			}
		})
	}
	t.Run("index fails", func(t *testing.T) {
		_, err := Solve(t.Context(), failing{}, request(t, "a"))
		if err == nil || !strings.Contains(err.Error(), "versions of a: index is down") {
			t.Fatalf("got %v", err)
		}
	})
}

type failing struct{}

func (failing) Candidates(context.Context, string) ([]Candidate, error) {
	return nil, errors.New("index is down")
}

func (failing) Requires(context.Context, string, pep440.Version) ([]pep508.Requirement, error) {
	return nil, errors.New("index is down")
}

func TestCancelLeavesNothingRunning(t *testing.T) {
	defer goleak.VerifyNone(t)
	u := parseUniverse(t, "a 1.0: b\n b 1.0:\n c 1.0:")
	ctx, cancel := context.WithCancel(t.Context())
	w := &watched{universe: u, requires: func(ctx context.Context, _ string) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}}
	if _, err := Solve(ctx, w, request(t, "a\nc")); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestGivesUp(t *testing.T) {
	// Pigeons and holes: the classic that learning from conflicts cannot shorten.
	var b strings.Builder
	const holes = 8
	for p := range holes + 1 {
		for h := range holes {
			fmt.Fprintf(&b, "pigeon%d 1.%d: hole%d==1.%d\n", p, h, h, p)
		}
	}
	for h := range holes {
		for p := range holes + 1 {
			fmt.Fprintf(&b, "hole%d 1.%d:\n", h, p)
		}
	}
	var roots strings.Builder
	for p := range holes + 1 {
		fmt.Fprintf(&roots, "pigeon%d\n", p)
	}
	s := newSolver(t.Context(), parseUniverse(t, b.String()), request(t, roots.String()))
	defer s.f.freeze()
	s.limit = 100
	if _, err := s.solve(); !errors.Is(err, ErrTooHard) {
		t.Fatalf("got %v", err)
	}
}

func TestEdgesAndWarnings(t *testing.T) {
	u := parseUniverse(t, `app 1.0: lib[fast,odd]>=1; python_version>'3' | win; sys_platform=='win32'
		lib 1.5: speed; extra == 'Fast' | app
		speed 2.0:`)
	sol, err := Solve(t.Context(), u, request(t, "App\nlib\n-c lib<2\nlib<9; python_version<'3'"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range sol.Edges {
		got = append(got, fmt.Sprintf("%s -> %s (%s)", e.From, e.To, e.Req))
	}
	want := []string{
		"requirements.txt:1 -> app (App)",
		"requirements.txt:2 -> lib (lib)",
		`app 1.0 -> lib (lib[fast,odd]>=1; python_version > "3")`,
		"lib 1.5 -> app (app)",
		`lib 1.5 -> speed (speed; extra == "fast")`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if want := []string{"lib 1.5 has no extra named odd (asked for by app 1.0)"}; !slices.Equal(sol.Warnings, want) {
		t.Errorf("warnings %q", sol.Warnings)
	}
}

func TestCheckFindsFaults(t *testing.T) {
	u := parseUniverse(t, "a 1.0: b>=2\n a 2.0 py>=3.12:\n b 1.0:\n b 2.0: c; extra=='x'\n c 1.0:")
	req := request(t, "a\n-c b<3")
	good, err := Solve(t.Context(), u, req)
	if err != nil {
		t.Fatal(err)
	}
	pick := func(words ...string) Solution {
		s := Solution{Edges: good.Edges}
		for _, w := range words {
			name, v, _ := strings.Cut(w, "=")
			s.Packages = append(s.Packages, Chosen{Name: name, Version: version(t, v)})
		}
		return s
	}
	for _, tt := range []struct {
		sol  Solution
		want string
	}{
		{pick("a=1.0"), "not in the solution"},
		{pick("a=1.0", "b=1.0"), "not met"},
		{pick("a=2.0", "b=2.0"), "no candidate"},
		{pick("a=1.0", "b=2.0", "c=1.0"), "nobody asks"},
		{pick("a=1.0", "b=2.0", "b=2.0"), "twice"},
	} {
		if err := Check(t.Context(), tt.sol, req, u); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", packages(tt.sol), err, tt.want)
		}
	}
}

// What matching finds by halving is what looking at every version finds.
func TestMatchingIsExact(t *testing.T) {
	texts := []string{
		"0.9", "1.0.dev0", "1.0.dev3", "1.0a1.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1", "1.0.0", "1.0+local", "1.0+local.2",
		"1.0.post0.dev1", "1.0.post1", "1.0.post1+x", "1.0.post2", "1.0.1", "1.1.dev1", "1.1rc1", "1.1", "1.4.5", "1.4.5.post1", "1.5.dev0", "1.10", "2.0", "2.0.1b1", "1!0.5", "1!1.0",
	}
	ops := []string{">=", "<=", ">", "<", "==", "!=", "~=", "==="}
	rapid.Check(t, func(t *rapid.T) {
		var cands []Candidate
		for _, s := range rapid.SliceOfNDistinct(rapid.SampledFrom(texts), 0, len(texts), rapid.ID[string]).Draw(t, "versions") {
			v, err := pep440.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			cands = append(cands, Candidate{Version: v})
		}
		vs, err := newVersions("a", true, cands)
		if err != nil {
			t.Fatal(err)
		}
		var spec pep440.Specifiers
		for range rapid.IntRange(1, 3).Draw(t, "clauses") {
			text := rapid.SampledFrom(ops).Draw(t, "op") + rapid.SampledFrom(texts).Draw(t, "version")
			if one, err := pep440.ParseSpecifiers(text + rapid.SampledFrom([]string{"", ".*"}).Draw(t, "star")); err == nil {
				spec = spec.And(one)
			}
		}
		got := vs.matching(spec)
		for i, c := range vs.cands {
			if got.has(i+1) != spec.Contains(c.Version) {
				t.Fatalf("%s and %s: got %v", spec, c.Version, got.has(i+1))
			}
		}
		if got.has(none) {
			t.Fatal("holds what is no version")
		}
	})
}
