package solve

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"reqpm/internal/pep440"
	"reqpm/internal/pep508"
)

// synthetic is a universe as big applications have: n packages with up to 60
// versions, which need some later-numbered packages in ranges that move with the
// version. Like real ones it has a solution near the newest versions.
func synthetic(t testing.TB, n int) (*universe, Request) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	u := &universe{cands: map[string][]Candidate{}, reqs: map[string][]pep508.Requirement{}, fail: map[string]error{}}
	counts := make([]int, n)
	for i := range counts {
		counts[i] = 5 + rng.IntN(56)
	}
	var roots strings.Builder
	for i := range n {
		var needs []int
		for range rng.IntN(5) {
			if i+1 < n {
				needs = append(needs, i+1+rng.IntN(min(n-i-1, 60)))
			}
		}
		for k := range counts[i] {
			var reqs []string
			for _, j := range needs {
				low := k * counts[j] / counts[i] * 2 / 3
				spec := fmt.Sprintf("p%d>=1.%d", j, low)
				if k%7 == 0 { // some versions are strict about what comes later
					spec += fmt.Sprintf(",<1.%d", low+max(2, counts[j]/3))
				}
				reqs = append(reqs, spec)
			}
			u.add(t, fmt.Sprintf("p%d", i), Candidate{Version: version(t, fmt.Sprintf("1.%d", k))}, reqs...)
		}
		if i%8 == 0 {
			fmt.Fprintf(&roots, "p%d\n", i)
		}
	}
	return u, request(t, roots.String())
}

func BenchmarkSolve(b *testing.B) {
	for _, n := range []int{200, 1500} {
		b.Run(fmt.Sprintf("%d-packages", n), func(b *testing.B) {
			u, req := synthetic(b, n)
			sol, err := Solve(b.Context(), u, req)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(len(sol.Packages)), "chosen")
			for b.Loop() {
				if _, err := Solve(b.Context(), u, req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestLargeUniverse(t *testing.T) {
	u, req := synthetic(t, 600)
	sol, err := Solve(t.Context(), u, req)
	if err != nil {
		t.Fatal(err)
	}
	if len(sol.Packages) < 300 {
		t.Errorf("only %d packages", len(sol.Packages))
	}
	if err := Check(t.Context(), sol, req, u); err != nil {
		t.Error(err)
	}
}

// chain is boto3's case: each of n versions pins its own version of another
// package, which needs an urllib3 the user does not want before version old.
func chain(t testing.TB, n, old int) *universe {
	u := parseUniverse(t, "urllib3 1.24:\n urllib3 2.0:\n s3 1.0:\n s3 2.0:")
	for i := range n {
		v := Candidate{Version: version(t, fmt.Sprintf("1.%d", i))}
		u.add(t, "boto3", v, fmt.Sprintf("botocore>=1.%d,<1.%d", i, i+1), "s3")
		spec := "urllib3>=2"
		if i < old {
			spec = "urllib3<2"
		}
		u.add(t, "botocore", v, spec)
	}
	return u
}

func TestThousandsOfVersions(t *testing.T) {
	for _, tt := range []struct {
		name, roots string
		old         int
	}{
		{"a solution at the far end", "boto3\nurllib3<2", 3},
		{"none", "boto3\nurllib3<2", 0},
		{"none, found out late", "tool\nboto3", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := chain(t, 4000, tt.old)
			u.add(t, "tool", Candidate{Version: version(t, "1")}, "helper")
			u.add(t, "helper", Candidate{Version: version(t, "1")}, "urllib3<2")
			req := request(t, tt.roots)
			began := time.Now()
			sol, err := Solve(t.Context(), u, req)
			if took := time.Since(began); took > 30*time.Second { // 0.2 s on a quiet machine; this is for loaded ones, with -race
				t.Errorf("took %s", took)
			} else {
				t.Log(took)
			}
			if tt.old == 0 {
				if err == nil {
					t.Fatal("a solution where there is none: " + packages(sol))
				}
				if len(err.Error()) > 2000 {
					t.Errorf("an explanation of %d bytes", len(err.Error()))
				}
				t.Log(err)
			} else if got, want := packages(sol), "boto3=1.2 botocore=1.2 s3=2.0 urllib3=1.24"; got != want {
				t.Errorf("got %s, want %s, %v", got, want, err)
			}
		})
	}
}

// uneven answers in changing order: every call gives way to others at random.
type uneven struct {
	*universe
	rng func() int
}

func (u uneven) Candidates(ctx context.Context, name string) ([]Candidate, error) {
	for range u.rng() {
		runtime.Gosched()
	}
	return u.universe.Candidates(ctx, name)
}

func (u uneven) Requires(ctx context.Context, name string, v pep440.Version) ([]pep508.Requirement, error) {
	for range u.rng() {
		runtime.Gosched()
	}
	return u.universe.Requires(ctx, name, v)
}

func TestResultDoesNotDependOnTiming(t *testing.T) {
	defer goleak.VerifyNone(t)
	u, req := synthetic(t, 120)
	bad := req
	bad.Roots = append(rootsOf(t, "constraints.txt", "p119<1.1\np100==1.3\np60==1.50\np61==1.1"), req.Roots...)
	for _, r := range []Request{req, bad} {
		sol, err := Solve(t.Context(), u, r)
		for range 20 {
			again, errAgain := Solve(t.Context(), uneven{u, func() int { return rand.IntN(30) }}, r)
			if fmt.Sprint(sol, err) != fmt.Sprint(again, errAgain) {
				t.Fatalf("%v %v\n%v %v", sol, err, again, errAgain)
			}
		}
	}
}
