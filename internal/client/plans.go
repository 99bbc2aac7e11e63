package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"reqpm/internal/api"
)

// PreviewPlan has the server make the plan of a project that there is not yet. Ask PlanPreview how far it is: the server stops when nobody
// does for a minute.
func (c *Client) PreviewPlan(ctx context.Context, want api.PlanFields) (p api.Plan, err error) {
	return p, c.call(ctx, http.MethodPost, "/plan-previews", want, &p)
}

// PreviewProjectPlan is PreviewPlan for a project as it is, but for these overrides, by package: in place of what its settings say of
// them, "" for nothing.
func (c *Client) PreviewProjectPlan(ctx context.Context, project string, overrides map[string]string) (p api.Plan, err error) {
	body := struct {
		Overrides map[string]string `json:"overrides,omitempty"`
	}{overrides}
	return p, c.call(ctx, http.MethodPost, "/projects/"+url.PathEscape(project)+"/plan-previews", body, &p)
}

// PlanPreview is how far a plan is; the server waits for its end as long as wait, at most 20 s.
func (c *Client) PlanPreview(ctx context.Context, id string, wait time.Duration) (p api.Plan, err error) {
	return p, c.call(ctx, http.MethodGet, fmt.Sprintf("/plan-previews/%s?wait=%d", url.PathEscape(id), int(wait.Seconds())), nil, &p)
}

// CancelPlanPreview has the server stop making a plan.
func (c *Client) CancelPlanPreview(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/plan-previews/"+url.PathEscape(id), nil, nil)
}

func overrides(project string) string { return "/projects/" + url.PathEscape(project) + "/overrides" }

// Overrides are what the settings of a project say of packages, by name.
func (c *Client) Overrides(ctx context.Context, project string) ([]api.Override, error) {
	return Collect(list[api.Override](ctx, c, overrides(project), nil), 0)
}

// Override is what they say of one, with its ETag. Where they say nothing, both are empty.
func (c *Client) Override(ctx context.Context, project, name string) (o api.Override, tag string, err error) {
	tag, err = c.callIf(ctx, http.MethodGet, overrides(project)+"/"+url.PathEscape(name), "", nil, &o)
	if IsStatus(err, http.StatusNotFound) {
		_, projectErr := c.Project(ctx, project) // or there is none, and that is what to say
		return api.Override{Package: name}, "", projectErr
	}
	return o, tag, err
}

// SetOverride makes a text what they say of a package; with dry it is only checked. tag is the ETag of what the caller knows that they
// say, "" where that does not matter: somebody else's change since is refused.
func (c *Client) SetOverride(ctx context.Context, project, name, text, tag string, dry bool) (s api.SaidOverride, err error) {
	_, err = c.callIf(ctx, http.MethodPut, dryRun(overrides(project)+"/"+url.PathEscape(name), dry), tag, map[string]string{"text": text}, &s)
	return s, err
}

// DeleteOverride has them say nothing of a package; tag as for SetOverride.
func (c *Client) DeleteOverride(ctx context.Context, project, name, tag string) error {
	_, err := c.callIf(ctx, http.MethodDelete, overrides(project)+"/"+url.PathEscape(name), tag, nil, nil)
	return err
}
