package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"reqpm/internal/api"
	"reqpm/internal/auth"
	"reqpm/internal/service"
	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

// preview knows of one schedule what it would do.
func preview(_ context.Context, schedule string) (service.Preview, error) {
	if schedule == service.ScheduleCheckouts {
		return service.Preview{Items: []service.Removal{{Kind: "checkout", Name: "a1", Bytes: 7, Why: "old"}}, Count: 1, Bytes: 7}, nil
	}
	return service.Preview{}, service.ErrNoPreview
}

// Schedules are shown with how they went, changed, switched off, and asked for; wrong wishes are refused with
// what is wrong about them.
func TestSchedules(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBed(t, url)
		admin := b.token(auth.Admin, 0)
		for _, s := range []store.Schedule{{Name: service.ScheduleCheckouts, Every: "02:00", Enabled: true, Next: time.Now().Add(time.Hour)}, {Name: service.ScheduleSync, Every: "6h", Enabled: true, Next: time.Now().Add(time.Hour)}} {
			if err := b.store.AddSchedule(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		ask := func(method, path, body string, status int, into any) string {
			t.Helper()
			w := b.ask(admin, method, "/api/v1/schedules"+path, body)
			if w.Code != status {
				t.Fatalf("%s %s %s: %d %s", method, path, body, w.Code, w.Body)
			}
			if into != nil {
				if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
					t.Fatal(err)
				}
			}
			return w.Body.String()
		}
		var s api.Schedule
		ask("PATCH", "/sync", `{"every": "10m"}`, http.StatusOK, &s)
		if s.Every != "10m" || s.Default != "6h" || !s.Enabled || s.Next == nil || time.Until(*s.Next) > 11*time.Minute || s.Title == "" {
			t.Errorf("%+v", s)
		}
		ask("PATCH", "/sync", `{"enabled": false}`, http.StatusOK, nil)
		var list struct{ Items []api.Schedule }
		ask("GET", "", "", http.StatusOK, &list)
		if got := list.Items; len(got) != 2 || !got[0].DryRun || got[1].Enabled || got[1].Next != nil || got[1].Every != "10m" {
			t.Errorf("%+v", list)
		}
		for body, field := range map[string]string{`{"every": "soon"}`: "body.every", `{"every": 7}`: "body.every", `{"when": "6h"}`: "body.when"} {
			if text := ask("PATCH", "/sync", body, http.StatusUnprocessableEntity, nil); !strings.Contains(text, field) {
				t.Errorf("%s: %s", body, text)
			}
		}
		ask("PATCH", "/nothing", `{"enabled": false}`, http.StatusNotFound, nil)
		ask("POST", "/nothing/run", "", http.StatusNotFound, nil)

		var run api.ScheduleRun
		ask("POST", "/clean-checkouts/run?dry_run=true", "", http.StatusOK, &run)
		if run.Would == nil || run.Would.Bytes != 7 || run.Schedule.Asked != "" {
			t.Errorf("a dry run: %+v", run)
		}
		if text := ask("POST", "/sync/run?dry_run=true", "", http.StatusUnprocessableEntity, nil); !strings.Contains(text, "query.dry_run") {
			t.Errorf("a dry run of what cannot say: %s", text)
		}
		run = api.ScheduleRun{}
		ask("POST", "/sync/run", "", http.StatusOK, &run)
		if run.Would != nil || run.Schedule.Asked == "" {
			t.Errorf("asked for: %+v", run)
		}
		if err := b.store.Write(t.Context(), func(tx *store.Tx) error {
			seen, err := tx.Schedule(t.Context(), "sync")
			if err == nil {
				_, err = tx.StartSchedule(t.Context(), seen, time.Now(), time.Minute)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		ask("POST", "/sync/run", "", http.StatusConflict, nil)
		if w := b.ask(admin, "GET", "/api/v1/audit", ""); !strings.Contains(w.Body.String(), "schedule.run") || !strings.Contains(w.Body.String(), "schedule.change") {
			t.Errorf("not in the audit log: %s", w.Body)
		}
	})
}
