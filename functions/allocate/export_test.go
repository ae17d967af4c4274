package allocate

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// Edge decodes and checks a request of select and encodes the given answer, and
// does nothing else.
func Edge(access serve.Access, sent []byte) http.Handler {
	var a answer
	if err := json.Unmarshal(sent, &a); err != nil {
		panic(err)
	}
	api := serve.NewAPI(access)
	serve.Post(api, selectPath, auth.Editor, func(context.Context, *selectInput) (*struct{ Body answer }, error) {
		return &struct{ Body answer }{a}, nil
	}, serve.MaxBody(maxBody))
	return api
}
