package serve

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/shared/auth"
)

type book struct {
	Body struct {
		Books []string `json:"books" nullable:"false"`
	}
}

func TestTheDocumentNamesEveryProblemThatAnOperationAnswers(t *testing.T) {
	t.Parallel()
	api := NewAPI(Access{})
	Put(api, "/books/{id}", auth.Editor, func(context.Context, *struct {
		ID string `path:"id"`
	},
	) (*book, error) {
		return nil, nil
	})
	Raw(api, "GET /poster", auth.Public, func(http.ResponseWriter, *http.Request) error { return nil },
		Answers[book]("The poster."))
	item := api.OpenAPI().Paths["/books/{id}"].Put
	for _, status := range strings.Fields("200 400 401 403 404 409 413 415 422 503 default") {
		if item.Responses[status] == nil {
			t.Errorf("PUT documents no %s", status)
		}
	}
	if len(item.Parameters) != 2 || item.Parameters[0].Name != "Idempotency-Key" {
		t.Errorf("PUT has the parameters %+v", item.Parameters)
	}
	poster := api.OpenAPI().Paths["/poster"].Get
	if poster.Responses["401"] != nil || poster.Responses["404"] != nil || len(poster.Security) > 0 {
		t.Errorf("a public page asks for a token: %+v", poster)
	}
	if r := poster.Responses["200"]; r == nil || r.Description != "The poster." || r.Content["application/json"].Schema.Ref == "" {
		t.Errorf("a raw operation's answer is %+v", r)
	}
	for name := range api.OpenAPI().Components.Responses {
		if strings.ContainsAny(name, " -") {
			t.Errorf("component %q is no word", name)
		}
	}
}

type page struct {
	After string `query:"after"`
}

func TestAnEmbeddedTypeThatNobodyWouldReadIsRefused(t *testing.T) {
	t.Parallel()
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "serve.page: export it") {
			t.Errorf("panic %q", text)
		}
	}()
	Get(NewAPI(Access{}), "/books", auth.Viewer, func(context.Context, *struct{ page }) (*book, error) { return nil, nil })
	t.Error("it was taken")
}
