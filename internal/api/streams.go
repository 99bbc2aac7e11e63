package api

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"reqpm/internal/auth"
	"reqpm/internal/blob"
	"reqpm/internal/store"
)

// Bytes and streams: logs by byte range or as they grow, artifacts, archives and the events of everything.
// They are plain handlers beside the operations, in the document and under the same rule of who may.

func logPath(step, attempt int64) string {
	return fmt.Sprintf("%s/builds/%d/log?attempt=%d", Prefix, step, attempt)
}

func artifactView(x store.Artifact) Artifact {
	return Artifact{ID: x.ID, Build: x.Step, Kind: x.Kind, Name: x.Name, Size: x.Size, SHA256: x.SHA256, Path: fmt.Sprintf("%s/artifacts/%d", Prefix, x.ID)}
}

// stream is an operation that writes its answer itself. about finds the project that a request is about.
type stream struct {
	path, id, summary, tag, media string
	about                         about // nil: of many, each sees his own
	query                         []*huma.Param
	also                          []string // other media
	ranges, events                bool     // it takes Range and conditions; it can be server-sent events too
	errors                        []int    // beside those of every stream
	serve                         func(w http.ResponseWriter, r *http.Request, id int64) error
}

func (a *API) streams() {
	number := func(name, what string) *huma.Param {
		zero, most := 0.0, float64(mostNumber)
		return &huma.Param{Name: name, In: "query", Description: what, Schema: &huma.Schema{Type: "integer", Minimum: &zero, Maximum: &most}}
	}
	flag := func(name, what string) *huma.Param {
		return &huma.Param{Name: name, In: "query", Description: what, Schema: &huma.Schema{Type: "string", Enum: []any{"0", "1"}}}
	}
	for _, s := range []stream{
		{path: "/builds/{id}/log", id: "build-log", summary: "The log of an attempt, by byte range, or with follow as it grows (SSE)", tag: "builds", media: "text/plain", about: aboutStep, ranges: true, events: true, errors: []int{http.StatusGone},
			query: []*huma.Param{number("attempt", "absent: the last"), flag("follow", "1: server-sent events until the log ends; Last-Event-ID is a byte offset"), number("offset", "with follow: where to begin")}, serve: a.serveLog},
		{path: "/steps/{id}/log", id: "step-log", summary: "As build-log, for any step", tag: "runs", media: "text/plain", about: aboutStep, ranges: true, events: true, errors: []int{http.StatusGone},
			query: []*huma.Param{number("attempt", "absent: the last"), flag("follow", "as build-log"), number("offset", "with follow: where to begin")}, serve: a.serveLog},
		{path: "/artifacts/{id}", id: "get-artifact", summary: "The bytes of an artifact; ranges are supported", tag: "artifacts", media: "application/octet-stream", also: []string{"application/x-rpm", "text/plain"}, about: aboutArtifact, ranges: true, serve: a.serveArtifact},
		{path: "/runs/{id}/rpms.tar", id: "run-rpms", summary: "All RPMs of a run as one archive", tag: "artifacts", media: "application/x-tar", about: aboutRun, serve: a.serveRPMs},
		{path: "/events", id: "events", summary: "What happens, as server-sent events; resumes behind Last-Event-ID", tag: "events", media: "text/event-stream",
			query: []*huma.Param{number("after", "id of the last event known; absent: from now on"), number("project", "of this project alone"), number("run", "of this run alone")}, serve: a.serveEvents},
	} {
		a.addStream(s)
	}
}

func (a *API) addStream(s stream) {
	op := &huma.Operation{OperationID: s.id, Summary: s.summary, Tags: []string{s.tag}, Method: http.MethodGet, Path: Prefix + s.path, Parameters: s.query,
		Security: []map[string][]string{{"token": {}}, {"session": {}}}, Description: "Role: viewer.",
		Responses: map[string]*huma.Response{
			"200": {Description: "OK", Content: map[string]*huma.MediaType{s.media: {Schema: &huma.Schema{Type: "string"}}}},
		}}
	if s.about != nil {
		one, most := 1.0, float64(mostNumber)
		op.Parameters = append([]*huma.Param{{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: "integer", Format: "int64", Minimum: &one, Maximum: &most}}}, op.Parameters...)
	}
	for _, media := range s.also {
		op.Responses["200"].Content[media] = &huma.MediaType{Schema: &huma.Schema{Type: "string"}}
	}
	if s.events {
		op.Responses["200"].Content["text/event-stream"] = &huma.MediaType{} // what events are like, OpenAPI 3.1 cannot say
	}
	if s.ranges {
		op.Responses["206"] = &huma.Response{Description: "a part", Content: op.Responses["200"].Content}
		op.Responses["304"] = &huma.Response{Description: "Not Modified"}
		op.Responses["416"] = &huma.Response{Description: "no such part", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: "string"}}}}
		s.errors = append(s.errors, http.StatusPreconditionFailed)
	}
	problem := map[string]*huma.MediaType{"application/problem+json": {Schema: a.api.OpenAPI().Components.Schemas.Schema(errorModel, true, "")}}
	for _, status := range append(s.errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusInternalServerError, http.StatusServiceUnavailable) {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status), Content: problem}
	}
	a.roles["GET "+op.Path] = auth.Viewer
	a.api.OpenAPI().AddOperation(op)
	a.mux.HandleFunc("GET "+Prefix+s.path, func(w http.ResponseWriter, r *http.Request) {
		err := a.stream(w, r, s)
		if err == nil || r.Context().Err() != nil {
			return
		}
		writeProblem(w, a.problem(r.Context(), err))
	})
}

func (a *API) stream(w http.ResponseWriter, r *http.Request, s stream) error {
	who, err := a.cfg.Auth.Authenticate(r)
	if err != nil {
		return err
	}
	r = r.WithContext(auth.NewContext(r.Context(), who))
	if err := a.allow(r.Context(), auth.Viewer, s.about, s.about == nil, r.PathValue("id")); err != nil {
		return err
	}
	if err := checkQuery(r, s.query); err != nil {
		return err
	}
	if s.about == nil {
		return s.serve(w, r, 0)
	}
	id, err := number(r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.serve(w, r, id)
}

// checkQuery refuses parameters that the document does not have.
func checkQuery(r *http.Request, known []*huma.Param) error {
	query := r.URL.Query()
next:
	for name, values := range query {
		for _, p := range known {
			if p.Name != name {
				continue
			}
			value := values[0]
			if n, err := strconv.ParseInt(value, 10, 64); p.Schema.Type == "integer" && (err != nil || n < 0 || n > mostNumber) || p.Schema.Type == "string" && value != "0" && value != "1" || len(values) > 1 {
				return huma.Error422UnprocessableEntity(fmt.Sprintf("%s: %q is not what the document says", name, value))
			}
			continue next
		}
		return huma.Error422UnprocessableEntity("there is no parameter " + strconv.Quote(name))
	}
	return nil
}

func queryNumber(r *http.Request, name string) int64 {
	n, _ := strconv.ParseInt(r.URL.Query().Get(name), 10, 64) // checkQuery has seen it
	return n
}

func (a *API) serveLog(w http.ResponseWriter, r *http.Request, id int64) error {
	step, err := a.cfg.Store.Step(r.Context(), id)
	if err != nil {
		return err
	}
	attempt := queryNumber(r, "attempt")
	if attempt == 0 {
		attempt = step.Attempt
	}
	log, err := a.openLog(r.Context(), step, attempt)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	if r.URL.Query().Get("follow") == "1" {
		return a.followLog(w, r, log, step.Project)
	}
	size, err := log.Size()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, &sized{log, size})
	return nil
}

// openLog opens the log of an attempt: store.ErrNotFound; 410 where retention has removed it.
func (a *API) openLog(ctx context.Context, step store.Step, attempt int64) (*blob.LogReader, error) {
	log, err := a.cfg.Logs.Open(store.LogName(step.Run, step.ID, attempt))
	if errors.Is(err, blob.ErrNotFound) {
		if gone, err := a.cfg.Store.LogGone(ctx, step.ID, attempt); err != nil {
			return nil, err
		} else if gone {
			return nil, huma.Error410Gone(fmt.Sprintf("the log of attempt %d of %s was removed, as the settings of the server say of logs that old", attempt, step.Name()))
		}
		return nil, fmt.Errorf("attempt %d of %s has no log: %w", attempt, step.Name(), store.ErrNotFound)
	}
	return log, err
}

// sized is a growing log as it was when it was asked for.
type sized struct {
	log  *blob.LogReader
	size int64
}

func (s *sized) Read(p []byte) (int, error) {
	at, err := s.log.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if at >= s.size {
		return 0, io.EOF
	}
	return s.log.Read(p[:min(int64(len(p)), s.size-at)])
}

func (s *sized) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekEnd {
		return s.log.Seek(s.size+offset, io.SeekStart)
	}
	return s.log.Seek(offset, whence)
}

// followLog sends the log as it grows: each event is what came, in whole characters, and its id the offset behind it.
func (a *API) followLog(w http.ResponseWriter, r *http.Request, log *blob.LogReader, project int64) error {
	offset := queryNumber(r, "offset")
	if n, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64); err == nil && n > 0 {
		offset = n
	}
	if _, err := log.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	send, err := startEvents(w)
	if err != nil {
		return err
	}
	say := func(text []byte) error {
		offset += int64(len(text))
		data, _ := json.Marshal(map[string]string{"text": string(text)})
		return send(strconv.FormatInt(offset, 10), "", string(data))
	}
	buf := make([]byte, 32<<10)
	held := 0 // bytes of a character whose rest has not come
	for {
		n, err := log.Read(buf[held:])
		if n > 0 {
			whole := wholeRunes(buf[:held+n])
			if whole > 0 && say(buf[:whole]) != nil {
				return nil
			}
			held = copy(buf, buf[whole:held+n])
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil
		}
		wait, cancel := context.WithTimeoutCause(r.Context(), keepAlive, errQuiet)
		err = log.Wait(wait)
		cancel()
		switch {
		case err == nil:
		case errors.Is(err, errQuiet):
			if _, err := io.WriteString(w, ": \n\n"); err != nil || http.NewResponseController(w).Flush() != nil {
				return nil
			}
			if who, err := a.cfg.Auth.Refresh(r.Context(), auth.FromContext(r.Context())); err != nil || who.In(project) < auth.Viewer {
				return nil // logged out, or the token was revoked
			}
		case errors.Is(err, io.EOF):
			if held == 0 || say(buf[:held]) == nil {
				_ = send(strconv.FormatInt(offset, 10), "end", "{}")
			}
			return nil
		default:
			return nil
		}
	}
}

// errQuiet: a log has not grown for as long as proxies bear.
var errQuiet = errors.New("nothing new")

// wholeRunes is how many bytes of text end with a character: the rest is the beginning of one.
func wholeRunes(text []byte) int {
	for i := len(text) - 1; i >= 0 && i > len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return i
			}
			break
		}
	}
	return len(text)
}

// startEvents begins a stream of server-sent events.
func startEvents(w http.ResponseWriter) (send func(id, event, data string) error, err error) {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if err := control.Flush(); err != nil {
		return nil, err
	}
	return func(id, event, data string) error {
		var b strings.Builder
		if event != "" {
			fmt.Fprintf(&b, "event: %s\n", event)
		}
		if id != "" {
			fmt.Fprintf(&b, "id: %s\n", id)
		}
		fmt.Fprintf(&b, "data: %s\n\n", data)
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
		return control.Flush()
	}, nil
}

func (a *API) serveArtifact(w http.ResponseWriter, r *http.Request, id int64) error {
	x, err := a.cfg.Store.Artifact(r.Context(), id)
	if err != nil {
		return err
	}
	object, err := a.cfg.Blobs.Open(r.Context(), x.Blob)
	if err != nil {
		return err
	}
	defer object.Close()
	kind := "application/octet-stream"
	switch x.Kind {
	case "rpm", "srpm":
		kind = "application/x-rpm"
	case "spec", "log":
		kind = "text/plain; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", filepath.Base(x.Name)))
	if x.SHA256 != "" {
		w.Header().Set("ETag", `"`+x.SHA256+`"`)
	}
	http.ServeContent(w, r, "", object.Info().Modified, object)
	return nil
}

// serveRPMs sends every RPM of a run. An error in the middle ends the connection, so that nobody takes
// half an archive for a whole one.
func (a *API) serveRPMs(w http.ResponseWriter, r *http.Request, id int64) error {
	filter, next := store.ArtifactFilter{Run: id, Kinds: []string{"rpm", "srpm"}}, store.Page{Limit: 500, Sort: "name"}
	part, err := a.cfg.Store.Artifacts(r.Context(), filter, next)
	if err == nil && len(part.Items) > 0 { // while an error can still be told as one
		_, err = a.cfg.Blobs.Stat(r.Context(), part.Items[0].Blob)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=run-%d-rpms.tar", id))
	archive := tar.NewWriter(w)
	sent := map[string]bool{}
	for {
		for _, x := range part.Items {
			if sent[x.Blob] {
				continue
			}
			sent[x.Blob] = true
			if err := a.addRPM(r.Context(), archive, x); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		if part.Next == "" {
			return archive.Close()
		}
		next.Cursor = part.Next
		if part, err = a.cfg.Store.Artifacts(r.Context(), filter, next); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

func (a *API) addRPM(ctx context.Context, archive *tar.Writer, x store.Artifact) error {
	object, err := a.cfg.Blobs.Open(ctx, x.Blob)
	if err != nil {
		return err
	}
	defer object.Close()
	if err := archive.WriteHeader(&tar.Header{Name: filepath.Base(x.Name), Mode: 0o644, Size: object.Info().Size, ModTime: object.Info().Modified}); err != nil {
		return err
	}
	_, err = io.Copy(archive, object)
	return err
}

// Event is what happened.
type Event struct {
	ID      int64           `json:"id"`
	Kind    string          `json:"kind"`
	Project int64           `json:"project,omitempty"`
	Run     int64           `json:"run,omitempty"`
	Step    int64           `json:"step,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	At      time.Time       `json:"at"`
}

const keepAlive = 15 * time.Second // proxies close what is silent

func (a *API) serveEvents(w http.ResponseWriter, r *http.Request, _ int64) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	who := auth.FromContext(ctx)
	after := queryNumber(r, "after")
	if n, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64); err == nil && n > 0 {
		after = n
	}
	if after == 0 {
		var err error
		if after, err = a.cfg.Store.LastEvent(ctx); err != nil {
			return err
		}
	}
	send, err := startEvents(w)
	if err != nil {
		return err
	}
	events := make(chan store.Event)
	go func() {
		defer close(events)
		for e, err := range a.cfg.Events(ctx, after, store.EventFilter{Project: queryNumber(r, "project"), Run: queryNumber(r, "run")}) {
			if err != nil {
				return // the client comes again
			}
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for {
		select {
		case e, more := <-events:
			if !more {
				return nil
			}
			if who.In(e.Project) < auth.Viewer {
				continue
			}
			text, _ := json.Marshal(Event{e.ID, e.Kind, e.Project, e.Run, e.Step, e.Data, e.At})
			if send(strconv.FormatInt(e.ID, 10), "", string(text)) != nil {
				return nil
			}
		case <-alive.C:
			if _, err := io.WriteString(w, ": \n\n"); err != nil || http.NewResponseController(w).Flush() != nil {
				return nil
			}
			if who, err = a.cfg.Auth.Refresh(ctx, who); err != nil {
				return nil // logged out, or the token was revoked
			}
		}
	}
}
