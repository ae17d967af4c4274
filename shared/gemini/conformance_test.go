package gemini_test

import (
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/conformance"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/gemini"
)

func TestGeminiIsAnEmbedder(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]func(*gemini.Config){"developer API": func(*gemini.Config) {}, "vertex": onVertex} {
		t.Run(name, func(t *testing.T) {
			f := open(t, back)
			conformance.Embedder(t, func(*testing.T) embed.Embedder { return f.Embedder(tenantA) })
		})
	}
}
