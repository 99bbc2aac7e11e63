package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"reqpm/internal/store"
)

// What people type is found in whatever has it, the closest first, and only in what they may see.
func TestSearch(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		shop, lab := project(t, s, "shop"), project(t, s, "lab_100%")
		name := func(key, pkg string) store.NewStep {
			b := build(key, 1)
			b.Package, b.Target = pkg, "el9"
			return b
		}
		first := run(t, s, shop.ID, name("a", "flask==2.9"), name("b", "flask-login==0.6.3"), name("c", "types-flask==1.0"), name("d", "ruamel-yaml==0.18"))
		run(t, s, shop.ID, name("a", "flask==3.0.1"))
		run(t, s, lab.ID, name("a", "flask==3.0.1"), name("b", "secret==1"))
		if err := s.SetRunSource(ctx, first.ID, "abcdef0123456789abcdef0123456789abcdef01", "main"); err != nil {
			t.Fatal(err)
		}
		newest := must[[]store.Step](t)(s.RunSteps(ctx, first.ID+1))[0]
		must[store.Artifact](t)(s.PutArtifact(ctx, store.Artifact{Run: newest.Run, Step: newest.ID, Kind: "rpm", Name: "python3.11-flask-3.0.1-1.el9.noarch.rpm", Blob: "x"}))
		snapshot := must[store.Snapshot](t)(s.AddSnapshot(ctx, store.Snapshot{Project: shop.ID, Run: first.ID, Target: "el9", Path: "x"}))
		write(t, s, func(tx *store.Tx) error {
			_, err := tx.AddWorker(ctx, store.Worker{Name: "builder-7", Host: "seven.example.org", Slots: 1, Lease: time.Minute})
			_, user := tx.CreateUser(ctx, store.User{Name: "Flora", Role: "viewer"})
			_, repository := tx.PointRepository(ctx, shop.ID, "stable", "el9", snapshot.ID)
			return errors.Join(err, user, repository)
		})
		find := func(text string, f store.SearchFilter) string {
			f.Text = text
			var found []string
			for _, h := range must[[]store.Hit](t)(s.Search(ctx, f)) {
				found = append(found, strings.Join(slices.DeleteFunc([]string{string(h.Kind), h.ProjectName, h.Name, fmt.Sprint("#", h.Number)}, func(s string) bool { return s == "" || s == "#0" }), " "))
			}
			return strings.Join(found, ", ")
		}
		all, own := store.SearchFilter{Workers: true, Users: true}, store.SearchFilter{Projects: []int64{shop.ID}}
		for _, c := range []struct {
			text string
			f    store.SearchFilter
			want string
		}{
			{"flask", all, "package shop flask, package lab_100% flask, package shop flask-login, package shop types-flask, " +
				"build shop flask==2.9, build shop flask==3.0.1, build lab_100% flask==3.0.1, build shop flask-login==0.6.3, build shop types-flask==1.0"},
			{"Flask 3.0", own, "package shop flask, build shop flask==3.0.1"},
			{"flask==3", own, "package shop flask, build shop flask==3.0.1"},
			{"ruamel.YAML", own, "package shop ruamel-yaml, build shop ruamel-yaml==0.18"},
			{"secret", own, ""},
			{"secret", all, "package lab_100% secret, build lab_100% secret==1"},
			{"shop", own, "project shop shop, repository shop stable"},
			{"shop 2", own, "run shop #2"},
			{"abcdef01", own, "run shop #1"},
			{"abcdef01", store.SearchFilter{Projects: []int64{lab.ID}}, ""},
			{"python3.11-flask-3", all, "rpm shop python3.11-flask-3.0.1-1.el9.noarch.rpm"},
			{"python3.11-flask-3", store.SearchFilter{Projects: []int64{lab.ID}}, ""},
			{"stable/el9", own, "repository shop stable"},
			{"seven", all, "worker builder-7"},
			{"seven", own, ""},
			{"flo", all, "user Flora"},
			{"flo", own, ""},
			{"_100%", all, "project lab_100% lab_100%"},
			{"%", own, ""}, {"_", own, ""}, {`\`, all, ""}, {"-", own, ""}, {"  ", all, ""}, {"a\x00\xff' OR 1=1", all, ""},
			{"flask", store.SearchFilter{Projects: []int64{}}, ""},
		} {
			if got := find(c.text, c.f); got != c.want {
				t.Errorf("%q: %s\nwant: %s", c.text, got, c.want)
			}
		}
		if got := find(fmt.Sprint(newest.ID), own); !strings.Contains(got, "build shop flask==3.0.1") {
			t.Errorf("a build by its number: %s", got)
		}
	})
}
