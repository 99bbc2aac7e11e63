package solve

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"reqpm/internal/pep508"
)

// The cases here are the kinds that pip needs minutes for, or gives up on, in the
// shape the real packages have: many versions, each with a bound of its own.

func emptyUniverse() *universe {
	return &universe{cands: map[string][]Candidate{}, reqs: map[string][]pep508.Requirement{}, fail: map[string]error{}}
}

// release adds one version.
func (u *universe) release(t testing.TB, name, v string, reqs ...string) {
	t.Helper()
	u.add(t, name, Candidate{Version: version(t, v)}, reqs...)
}

// awsLike: boto3, s3transfer, aiobotocore and awscli each follow one botocore, with windows that
// hardly meet; botocore bounds urllib3, which the user holds back.
func awsLike(t testing.TB) (*universe, Request) {
	u := emptyUniverse()
	for i := range 1200 {
		v := fmt.Sprintf("1.%d.%d", i/40, i%40)
		next := fmt.Sprintf("1.%d.0", i/40+1)
		u.release(t, "botocore", v, "jmespath>=0.7.1,<2", fmt.Sprintf("urllib3>=1.%d,<%s", 20+i/240, map[bool]string{true: "1.27", false: "2.3"}[i < 900]))
		u.release(t, "boto3", v, fmt.Sprintf("botocore>=%s,<%s", v, next), fmt.Sprintf("s3transfer>=0.%d,<0.%d", i/120, i/120+1))
		u.release(t, "awscli", v, "botocore=="+v, "colorama<0.5", fmt.Sprintf("docutils>=0.10,<0.%d", 16+i/200), fmt.Sprintf("s3transfer>=0.%d,<0.%d", i/120, i/120+1))
		if i%12 == 0 {
			u.release(t, "aiobotocore", fmt.Sprintf("2.%d.%d", i/60, i/12%5), fmt.Sprintf("botocore>=%s,<1.%d.%d", v, i/40, i%40+2), fmt.Sprintf("aiohttp>=3.%d", i/300))
			u.release(t, "s3fs", fmt.Sprintf("2024.%d", i/12), fmt.Sprintf("aiobotocore>=2.%d.0,<3", i/60), fmt.Sprintf("fsspec==2024.%d", i/12))
			u.release(t, "fsspec", fmt.Sprintf("2024.%d", i/12))
		}
	}
	for i := range 10 {
		for k := range 12 {
			u.release(t, "s3transfer", fmt.Sprintf("0.%d.%d", i, k), fmt.Sprintf("botocore>=1.%d,<2", i*3))
		}
	}
	for i := range 30 {
		u.release(t, "urllib3", fmt.Sprintf("1.%d", i))
		u.release(t, "docutils", fmt.Sprintf("0.%d", i))
		u.release(t, "aiohttp", fmt.Sprintf("3.%d", i))
	}
	for _, v := range []string{"2.0", "2.1", "2.2"} {
		u.release(t, "urllib3", v)
	}
	u.release(t, "jmespath", "1.0")
	u.release(t, "colorama", "0.4")
	return u, request(t, "boto3\nawscli\ns3fs\naiobotocore\nurllib3<1.24\ndocutils<0.18")
}

// webLike: every fastapi names its own window of starlette; gradio, prometheus tools and the user's
// own pin want others.
func webLike(t testing.TB) (*universe, Request) {
	u := emptyUniverse()
	for i := range 250 {
		u.release(t, "fastapi", fmt.Sprintf("0.%d.%d", i/4, i%4), fmt.Sprintf("starlette>=0.%d.0,<0.%d.0", 10+i/8, 11+i/8), fmt.Sprintf("pydantic>=1.%d,<%d", i/30, 2+i/160))
		u.release(t, "starlette", fmt.Sprintf("0.%d.%d", 10+i/8, i%8), fmt.Sprintf("anyio>=%d,<%d", 3+i/120, 5+i/120))
		u.release(t, "gradio", fmt.Sprintf("%d.%d", 3+i/100, i%100), fmt.Sprintf("fastapi>=0.%d", i/5), fmt.Sprintf("starlette>=0.%d,<1", i/9), fmt.Sprintf("httpx>=0.%d", i/10), fmt.Sprintf("pydantic>=%d", 1+i/200))
		u.release(t, "prometheus-instrumentator", fmt.Sprintf("%d.%d", i/50, i%50), fmt.Sprintf("starlette>=0.30.0,<0.%d.0", 31+i/90), "fastapi>=0.38")
		u.release(t, "httpx", fmt.Sprintf("0.%d.%d", i/10, i%10), fmt.Sprintf("anyio<%d", 4+i/140))
	}
	for i := range 30 {
		u.release(t, "pydantic", fmt.Sprintf("1.%d", i))
		u.release(t, "pydantic", fmt.Sprintf("2.%d", i))
		u.release(t, "anyio", fmt.Sprintf("%d.%d", 3+i/10, i%10))
	}
	return u, request(t, "gradio\nfastapi\nprometheus-instrumentator\nhttpx\npydantic<2\nanyio<4")
}

// bioLike: a wide old application whose one pin of numpy all of forty scientific packages have to
// step back for, each through a long history of bounds.
func bioLike(t testing.TB) (*universe, Request) {
	u := emptyUniverse()
	var needs []string
	for p := range 40 {
		name := fmt.Sprintf("sci%d", p)
		for i := range 80 {
			reqs := []string{fmt.Sprintf("numpy>=1.%d,<1.%d", i/4, i/4+8)}
			for k := 1; k <= 3; k++ {
				if q := p + k*3; q < 40 {
					reqs = append(reqs, fmt.Sprintf("sci%d>=1.%d,<1.%d", q, max(0, i-6), i+4))
				}
			}
			u.release(t, name, fmt.Sprintf("1.%d", i), reqs...)
		}
		needs = append(needs, name)
	}
	for i := range 40 {
		u.release(t, "numpy", fmt.Sprintf("1.%d", i))
	}
	for i := range 60 {
		u.release(t, "bio", fmt.Sprintf("0.%d", i), append(slices.Clone(needs), fmt.Sprintf("numpy>=1.%d", i/3))...)
	}
	return u, request(t, "bio\nnumpy<1.9\nsci7>=1.20")
}

// tangle has no solution, and no short reason: two long chains of windows that never meet.
func tangle(t testing.TB) (*universe, Request) {
	u := emptyUniverse()
	const depth, n = 12, 60
	for d := range depth {
		for i := range n {
			u.release(t, fmt.Sprintf("left%d", d), fmt.Sprintf("1.%d", i), fmt.Sprintf("left%d>=1.%d,<1.%d", d+1, max(0, i-3), i+1))
			u.release(t, fmt.Sprintf("right%d", d), fmt.Sprintf("1.%d", i), fmt.Sprintf("right%d>=1.%d,<1.%d", d+1, i, i+3))
		}
	}
	for i := range n {
		u.release(t, fmt.Sprintf("left%d", depth), fmt.Sprintf("1.%d", i), fmt.Sprintf("shared==1.%d", 2*i))
		u.release(t, fmt.Sprintf("right%d", depth), fmt.Sprintf("1.%d", i), fmt.Sprintf("shared==1.%d", 2*i+1))
		u.release(t, "shared", fmt.Sprintf("1.%d", 2*i))
		u.release(t, "shared", fmt.Sprintf("1.%d", 2*i+1))
	}
	return u, request(t, "left0\nright0")
}

var pathological = []struct {
	name string
	make func(testing.TB) (*universe, Request)
}{{"aws", awsLike}, {"web", webLike}, {"bio", bioLike}, {"tangle", tangle}}

func TestPathologicalCasesEndSoon(t *testing.T) {
	for _, tt := range pathological {
		t.Run(tt.name, func(t *testing.T) {
			u, req := tt.make(t)
			began := time.Now()
			sol, err := Solve(t.Context(), u, req)
			took := time.Since(began)
			if took > 30*time.Second { // seconds on a quiet machine; this is for loaded ones, with -race
				t.Errorf("took %s", took)
			}
			t.Logf("%s: %d packages, %v", took, len(sol.Packages), err)
			if err == nil {
				if err := Check(t.Context(), sol, req, u); err != nil {
					t.Error(err)
				}
				return
			}
			c, ok := errors.AsType[*Conflict](err)
			if !ok {
				t.Fatal(err)
			}
			began = time.Now()
			changes, err := Mend(t.Context(), u, req, c, MendOptions{})
			t.Logf("mended in %s: %v, %v", time.Since(began), changes, err)
		})
	}
}

func BenchmarkPathological(b *testing.B) {
	for _, bb := range pathological {
		b.Run(bb.name, func(b *testing.B) {
			u, req := bb.make(b)
			for b.Loop() {
				if _, err := Solve(b.Context(), u, req); err != nil {
					if _, ok := errors.AsType[*Conflict](err); !ok {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkPins(b *testing.B) {
	u, req := application(b, 2200, false)
	for b.Loop() {
		if _, err := Solve(b.Context(), u, req); err != nil {
			b.Fatal(err)
		}
	}
}

// application is a home-automation-size file: n pinned requirements, all of one set, with the
// dependencies among them; wrong spoils one pin.
func application(t testing.TB, n int, wrong bool) (*universe, Request) {
	u, req := synthetic(t, n)
	sol, err := Solve(t.Context(), u, req)
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for i, p := range sol.Packages {
		v := p.Version.String()
		if wrong && i == len(sol.Packages)/2 {
			v = "1.0"
		}
		fmt.Fprintf(&lines, "%s==%s\n", p.Name, v)
	}
	return u, request(t, lines.String())
}

func TestApplicationsWithThousandsOfPins(t *testing.T) {
	for _, wrong := range []bool{false, true} {
		u, req := application(t, 2200, wrong)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		sol, err := Solve(t.Context(), u, req)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		t.Logf("%d requirements in %s, %d MB allocated, %d packages, %v", len(req.Roots), took, (after.TotalAlloc-before.TotalAlloc)>>20, len(sol.Packages), err)
		if took > 60*time.Second { // a second or two on a quiet machine; this is for loaded ones, with -race
			t.Errorf("took %s", took)
		}
		if after.TotalAlloc-before.TotalAlloc > 500<<20 {
			t.Error("allocates more than 500 MB")
		}
		if (err != nil) != wrong {
			t.Fatal(err)
		}
		if c, ok := errors.AsType[*Conflict](err); ok {
			began = time.Now()
			changes, err := Mend(t.Context(), u, req, c, MendOptions{})
			t.Logf("mended in %s: %v, %v", time.Since(began), changes, err)
			if len(changes) == 0 {
				t.Error("one pin is wrong, and no change of it was found")
			}
		}
	}
}

func TestIndexThatListsThousandsOfVersions(t *testing.T) {
	u := emptyUniverse()
	for i := range 5000 {
		u.release(t, "nightly", fmt.Sprintf("1.%d.%d", i/100, i%100))
	}
	var roots strings.Builder
	for i := range 400 {
		u.release(t, fmt.Sprintf("user%d", i), "1.0", fmt.Sprintf("nightly>=1.%d.%d,!=1.49.%d,<2", i/10, i%100, i%100))
		fmt.Fprintf(&roots, "user%d\n", i)
	}
	began := time.Now()
	sol := solved(t, u, request(t, roots.String()))
	if v, _ := sol.version("nightly"); v.String() != "1.48.99" {
		t.Errorf("nightly %s", v)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %s", took)
	} else {
		t.Log(took)
	}
}
