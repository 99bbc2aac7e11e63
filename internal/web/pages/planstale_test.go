package pages

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"reqpm/internal/auth"
)

// Once another target is ticked, the page's stream, which is the one of that choice then, says that the plan is of another. The Git server
// is not asked for it.
func TestPlanOfAnotherChoice(t *testing.T) {
	b := newBed(t)
	b.complete()
	f := b.forged(func(ctx context.Context, _ string) error { <-ctx.Done(); return context.Cause(ctx) })
	ada := b.logIn("ada", auth.Maintainer)
	a, code := ada.do("/projects/new/plan", newForm())
	if code != http.StatusOK {
		t.Fatalf("%d %+v", code, a)
	}
	first := func(at string) string {
		next, leave := ada.stream(at)
		defer leave()
		return next()
	}
	if text := first(a.At); strings.Contains(text, "chosen before") {
		t.Errorf("the plan of what is chosen is of another choice: %s", text)
	}
	at, err := url.Parse(a.At)
	if err != nil {
		t.Fatal(err)
	}
	query := at.Query()
	query.Add("target", "el8")
	asked := f.asked.Load()
	if text := first(at.Path + "?" + query.Encode()); !strings.Contains(text, "It is of what was chosen before") {
		t.Errorf("after another tick: %s", text)
	}
	if f.asked.Load() != asked {
		t.Error("the Git server was asked")
	}
}
