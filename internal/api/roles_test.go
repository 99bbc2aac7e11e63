package api_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// scope is where a route's role is needed.
type scope int

const (
	server  scope = iota // on the server as a whole
	project              // in the project that it is about
	many                 // anywhere: everybody sees the things of their own projects
	self                 // nowhere: it is about who has logged in, and no token does
)

type entry struct {
	role  auth.Role
	scope scope
}

// routes are all there are, and what they ask of who comes. A route that is not here fails the test: somebody
// has to say who may.
var routes = map[string]entry{
	"POST /login":                   {auth.None, server},
	"POST /logout":                  {auth.None, server},
	"GET /me":                       {auth.None, server},
	"PUT /me/password":              {auth.None, self},
	"GET /me/sessions":              {auth.None, self},
	"DELETE /me/sessions":           {auth.None, self},
	"DELETE /me/sessions/{session}": {auth.None, self},

	"GET /projects":                                           {auth.Viewer, many},
	"POST /projects":                                          {auth.Maintainer, server},
	"GET /projects/{id}":                                      {auth.Viewer, project},
	"PATCH /projects/{id}":                                    {auth.Maintainer, project},
	"DELETE /projects/{id}":                                   {auth.Maintainer, project},
	"POST /projects/{id}/runs":                                {auth.Builder, project},
	"GET /projects/{id}/log":                                  {auth.Viewer, project},
	"GET /projects/{id}/outdated":                             {auth.Viewer, project},
	"POST /projects/{id}/outdated/take":                       {auth.Maintainer, project},
	"GET /projects/{id}/repositories":                         {auth.Viewer, project},
	"GET /projects/{id}/repositories/{repository}/snapshots":  {auth.Viewer, project},
	"POST /projects/{id}/repositories/{repository}/rollback":  {auth.Maintainer, project},
	"POST /projects/{id}/repositories/{repository}/unpin":     {auth.Maintainer, project},
	"GET /projects/{id}/members":                              {auth.Maintainer, project},
	"PUT /projects/{id}/members/{user}":                       {auth.Maintainer, project},
	"DELETE /projects/{id}/members/{user}":                    {auth.Maintainer, project},
	"GET /discover":                                           {auth.Builder, server},
	"GET /projects/{id}/hook":                                 {auth.Maintainer, project},
	"PUT /projects/{id}/hook":                                 {auth.Maintainer, project},
	"DELETE /projects/{id}/hook":                              {auth.Maintainer, project},
	"POST /projects/{id}/hook/secret":                         {auth.Maintainer, project},
	"GET /projects/{id}/hook/deliveries":                      {auth.Maintainer, project},
	"GET /projects/{id}/secrets":                              {auth.Maintainer, project},
	"PUT /projects/{id}/secrets/{secret}":                     {auth.Maintainer, project},
	"DELETE /projects/{id}/secrets/{secret}":                  {auth.Maintainer, project},
	"GET /projects/{id}/specs":                                {auth.Viewer, project},
	"POST /projects/{id}/specs":                               {auth.Maintainer, project},
	"POST /projects/{id}/spec-checks":                         {auth.Maintainer, project},
	"GET /projects/{id}/spec-checks/{check}":                  {auth.Viewer, project},
	"POST /projects/{id}/spec-checks/{check}/cancel":          {auth.Maintainer, project},
	"POST /projects/{id}/specs/drop":                          {auth.Maintainer, project},
	"GET /projects/{id}/specs/{revision}":                     {auth.Viewer, project},
	"GET /projects/{id}/specs/{revision}/diff":                {auth.Viewer, project},
	"POST /projects/{id}/specs/{revision}/restore":            {auth.Maintainer, project},
	"GET /projects/{id}/discover":                             {auth.Builder, project},
	"POST /discover":                                          {auth.Builder, server},
	"GET /projects/{id}/overrides":                            {auth.Viewer, project},
	"GET /projects/{id}/overrides/{package}":                  {auth.Viewer, project},
	"PUT /projects/{id}/overrides/{package}":                  {auth.Maintainer, project},
	"DELETE /projects/{id}/overrides/{package}":               {auth.Maintainer, project},
	"POST /plan-previews":                                     {auth.Maintainer, server},
	"POST /projects/{id}/plan-previews":                       {auth.Maintainer, project},
	"GET /plan-previews/{preview}":                            {auth.Maintainer, many},
	"DELETE /plan-previews/{preview}":                         {auth.Maintainer, many},
	"GET /projects/{id}/channels":                             {auth.Maintainer, project},
	"GET /channels":                                           {auth.Admin, server},
	"POST /projects/{id}/channels":                            {auth.Maintainer, project},
	"POST /channels":                                          {auth.Admin, server},
	"PATCH /projects/{id}/channels/{channel}":                 {auth.Maintainer, project},
	"PATCH /channels/{channel}":                               {auth.Admin, server},
	"DELETE /projects/{id}/channels/{channel}":                {auth.Maintainer, project},
	"DELETE /channels/{channel}":                              {auth.Admin, server},
	"POST /projects/{id}/channels/{channel}/test":             {auth.Maintainer, project},
	"POST /channels/{channel}/test":                           {auth.Admin, server},
	"GET /projects/{id}/notifications":                        {auth.Maintainer, project},
	"GET /notifications":                                      {auth.Admin, server},
	"POST /projects/{id}/notifications/{notification}/replay": {auth.Maintainer, project},
	"POST /notifications/{notification}/replay":               {auth.Admin, server},
	"GET /notify/inside":                                      {auth.Admin, server},
	"PUT /notify/inside":                                      {auth.Admin, server},
	"POST /hooks/{project}":                                   {auth.None, server}, // the hook's secret says who it is

	"GET /runs":                {auth.Viewer, many},
	"GET /runs/{id}":           {auth.Viewer, project},
	"POST /runs/{id}/cancel":   {auth.Builder, project},
	"PUT /runs/{id}/pin":       {auth.Maintainer, project},
	"GET /runs/{id}/fixes":     {auth.Viewer, project},
	"POST /runs/{id}/fixes":    {auth.Maintainer, project},
	"POST /runs/{id}/retry":    {auth.Builder, project},
	"POST /runs/bulk":          {auth.Builder, many},
	"GET /runs/{id}/artifacts": {auth.Viewer, project},
	"GET /runs/{id}/rpms.tar":  {auth.Viewer, project},

	"GET /builds":                 {auth.Viewer, many},
	"GET /builds/{id}":            {auth.Viewer, project},
	"POST /builds/{id}/cancel":    {auth.Builder, project},
	"POST /builds/{id}/retry":     {auth.Builder, project},
	"POST /builds/bulk":           {auth.Builder, many},
	"PUT /builds/{id}/place":      {auth.Admin, project},
	"GET /builds/{id}/log/search": {auth.Viewer, project},
	"GET /steps/{id}/log/search":  {auth.Viewer, project},
	"GET /builds/{id}/log":        {auth.Viewer, project},
	"GET /steps/{id}/log":         {auth.Viewer, project},
	"GET /artifacts/{id}":         {auth.Viewer, project},
	"GET /events":                 {auth.Viewer, many},
	"GET /queue":                  {auth.Viewer, many},
	"GET /search":                 {auth.Viewer, many},

	"GET /targets":               {auth.Viewer, server},
	"GET /workers":               {auth.Viewer, server},
	"POST /workers/{id}/drain":   {auth.Admin, server},
	"GET /schedules":             {auth.Viewer, server},
	"PATCH /schedules/{name}":    {auth.Admin, server},
	"POST /schedules/{name}/run": {auth.Admin, server},
	"GET /settings":              {auth.Admin, server},
	"PATCH /settings":            {auth.Admin, server},
	"GET /limits":                {auth.Viewer, server},
	"PUT /limits":                {auth.Admin, server},

	"GET /tokens":                 {auth.Viewer, server},
	"POST /tokens":                {auth.Viewer, server},
	"DELETE /tokens/{id}":         {auth.Viewer, server},
	"GET /audit":                  {auth.Admin, server},
	"GET /users":                  {auth.Admin, server},
	"POST /users":                 {auth.Admin, server},
	"GET /users/{id}":             {auth.Admin, server},
	"PATCH /users/{id}":           {auth.Admin, server},
	"DELETE /users/{id}":          {auth.Admin, server},
	"PUT /users/{id}/password":    {auth.Admin, server},
	"GET /users/{id}/sessions":    {auth.Admin, server},
	"DELETE /users/{id}/sessions": {auth.Admin, server},
}

// Every route with every role: who has less than it needs is refused, whoever has it is not; nobody learns of a
// project that is not his.
func TestRolesOfEveryOperation(t *testing.T) {
	b := newBed(t, filepath.Join(t.TempDir(), "reqpm.db"))
	mine, run := b.create()
	roles := []auth.Role{auth.None, auth.Viewer, auth.Builder, auth.Maintainer, auth.Admin}
	tokens := map[auth.Role]string{}
	for _, r := range roles[1:] {
		tokens[r] = b.token(r, 0)
	}
	var other store.Project
	if err := b.store.Write(t.Context(), func(tx *store.Tx) (err error) {
		other, err = tx.CreateProject(t.Context(), store.Project{Name: "other", GitURL: "https://git.example.org/other.git", Targets: []string{"local"}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	stranger := b.token(auth.Maintainer, other.ID)
	needs, left := b.api.Roles(), len(routes)
	for key := range operations(t, b) {
		method, path := key[0], key[1]
		want, ok := routes[method+" "+strings.TrimPrefix(path, "/api/v1")]
		if need, registered := needs[method+" "+path]; !ok || !registered || need != want.role {
			t.Errorf("%s %s asks for %s: the table of routes says otherwise, or nothing", method, path, need)
			continue
		}
		left--
		at := strings.NewReplacer("{id}", fmt.Sprint(run), "{preview}", "NONE", "{user}", "nobody", "{secret}", "git", "{session}", "0", "{channel}", "9", "{notification}", "9", "{revision}", "9", "{check}", "9", "{repository}", "9", "{package}", "lxml").Replace(path)
		if strings.HasPrefix(path, "/api/v1/projects/{id}") {
			at = strings.NewReplacer("{id}", fmt.Sprint(mine), "{preview}", "NONE", "{user}", "nobody", "{secret}", "git", "{channel}", "9", "{notification}", "9", "{revision}", "9", "{check}", "9", "{repository}", "9", "{package}", "lxml").Replace(path)
		}
		if path == "/api/v1/search" {
			at += "?q=app" // which there is, for some
		}
		if method == http.MethodDelete {
			at = strings.NewReplacer("{id}", "99999", "{preview}", "NONE", "{user}", "nobody", "{secret}", "git", "{session}", "0", "{channel}", "9", "{notification}", "9", "{revision}", "9", "{check}", "9", "{repository}", "9", "{package}", "lxml").Replace(path) // of nothing: roles are looked at all the same where there is no project
		}
		for _, r := range roles {
			w := b.quick(tokens[r], method, at)
			refused := w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden
			if w.Code >= 500 {
				t.Errorf("%s %s as %s: %d %s", method, at, r, w.Code, w.Body)
			}
			missing := w.Code == http.StatusNotFound && method == http.MethodDelete
			if want.scope == self {
				// Of these, no token may do anything; what a body lacks may be said before.
				if !refused && w.Code != http.StatusUnprocessableEntity && w.Code != http.StatusBadRequest {
					t.Errorf("%s %s as %s: %d %s", method, at, r, w.Code, w.Body)
				}
			} else if r < want.role && !refused && !missing || r >= want.role && refused {
				t.Errorf("%s %s needs %s; %s got %d %s", method, at, want.role, r, w.Code, w.Body)
			}
		}
		switch w := b.quick(stranger, method, at); {
		case want.scope == project && w.Code != http.StatusNotFound, want.scope == server && want.role > auth.None && w.Code != http.StatusForbidden:
			t.Errorf("%s %s by somebody of another project: %d %s", method, at, w.Code, w.Body)
		case want.scope == many && (w.Code != http.StatusOK && method == http.MethodGet && !strings.HasSuffix(path, "/{preview}") || strings.Contains(w.Body.String(), `"name":"app"`) || strings.Contains(w.Body.String(), fmt.Sprintf(`"project":%d,`, mine))):
			t.Errorf("%s %s shows somebody of another project: %d %s", method, at, w.Code, w.Body)
		}
	}
	if left != 0 {
		t.Errorf("%d entries of the table are of no route", left)
	}
}
