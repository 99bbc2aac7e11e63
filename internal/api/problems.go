package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"reqpm/internal/source"
)

// errorModel is the schema of every problem.
var errorModel = reflect.TypeFor[huma.ErrorModel]()

func marshalProblem(err huma.StatusError) ([]byte, error) { return json.Marshal(err) }

// noEcho takes out of problems what was sent in a body: it may be a secret, and problems end up in logs.
func noEcho(_ huma.Context, _ string, v any) (any, error) {
	if m, ok := v.(*huma.ErrorModel); ok {
		for _, d := range m.Errors {
			if strings.HasPrefix(d.Location, "body") {
				d.Value = nil
			}
		}
	}
	return v, nil
}

// conflict is 409: not while things are as they are.
func conflict(format string, args ...any) error {
	return huma.Error409Conflict(fmt.Sprintf(format, args...))
}

// notReached is the answer about a Git address that did not answer as hoped.
func notReached(err error) error {
	switch {
	case errors.Is(err, source.ErrNotFound), as[*source.URLError](err), errors.Is(err, source.ErrAuth):
		return huma.Error422UnprocessableEntity(err.Error())
	case errors.Is(err, source.ErrNetwork):
		return huma.NewError(http.StatusBadGateway, err.Error())
	}
	return err
}
