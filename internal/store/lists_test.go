package store_test

import (
	"slices"
	"testing"
	"time"

	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// Tuning may come at any time, beside a writer and readers, and a list says the same before and after.
func TestTune(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := storetest.Open(t, url)
		fill(t, s, 2000)
		read := func() (ids []int64) {
			part, err := s.Steps(t.Context(), store.StepFilter{Run: 3, Kinds: []store.Kind{store.Build}}, store.Page{Limit: 100, Sort: "package"})
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range part.Items {
				ids = append(ids, step.ID)
			}
			return ids
		}
		before := read()
		tuned := make(chan error, 1)
		write(t, s, func(tx *store.Tx) error {
			go func() { tuned <- s.Tune(t.Context()) }()
			_, err := tx.Prune(t.Context(), time.Now().Add(-time.Hour))
			return err
		})
		if err := <-tuned; err != nil {
			t.Fatal(err)
		}
		if after := read(); len(before) == 0 || !slices.Equal(after, before) {
			t.Errorf("the list is %v, was %v", after, before)
		}
	})
}
