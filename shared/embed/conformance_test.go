package embed_test

import (
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/conformance"
	"github.com/geminivideo/geminivideo/shared/embed"
)

func TestTheLocalEmbedderIsAnEmbedder(t *testing.T) {
	t.Parallel()
	conformance.Embedder(t, func(*testing.T) embed.Embedder { return embed.Local{} })
}
