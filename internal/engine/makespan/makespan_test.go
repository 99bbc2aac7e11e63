package makespan_test

import (
	"errors"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"reqpm/internal/engine/makespan"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

func TestBound(t *testing.T) {
	steps := []store.NewStep{{Key: "a", Expected: 4}, {Key: "b", Expected: 2, Needs: []string{"a"}}, {Key: "c", Expected: 3}, {Key: "d", Expected: 3}}
	for slots, want := range map[int]float64{1: 12, 2: 6, 3: 6} {
		if got := makespan.Bound(steps, slots); math.Abs(got-want) > 1e-9 {
			t.Errorf("%d slots: %v, want %v", slots, got, want)
		}
	}
}

// Every graph is run with every number of slots, takes at least the bound, and leaves nothing.
func TestMeasure(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := storetest.Open(t, url)
		cfg := makespan.Config{Store: s, Graphs: 2, Packages: 15, Slots: []int{2, 4}, Second: time.Millisecond}
		runs, err := makespan.Measure(t.Context(), cfg)
		if err != nil || len(runs) != 4 {
			t.Fatal(runs, err)
		}
		for _, r := range runs {
			if r.Ratio() < 1 {
				t.Errorf("faster than can be: %+v", r)
			}
			if len(r.Waits) == 0 || slices.Min(r.Waits) < 0 {
				t.Errorf("builds began before what they need had ended: %v", r.Waits)
			}
		}
		if spread := makespan.Ratios(runs); spread.Median < 1 || spread.Max < spread.P95 || spread.P95 < spread.Median {
			t.Errorf("%+v", spread)
		}
		part, err := s.Projects(t.Context(), store.ProjectFilter{}, store.Page{})
		if err != nil || len(part.Items) > 0 {
			t.Errorf("left behind: %v %v", part.Items, err)
		}
		if _, err := s.CreateProject(t.Context(), store.Project{Name: "somebody's"}); err != nil {
			t.Fatal(err)
		}
		if _, err := makespan.Measure(t.Context(), cfg); !errors.Is(err, makespan.ErrNotEmpty) {
			t.Errorf("in somebody's database: %v", err)
		}
	})
}
