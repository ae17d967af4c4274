package gemini

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/genai"

	"github.com/geminivideo/geminivideo/shared/embed"
)

const (
	// embedLimit is short: somebody waits for a search.
	embedLimit = 10 * time.Second
	embedTry   = 5 * time.Second
	// maxBatch is the most texts that the Developer API takes in a call; Vertex
	// takes one, so several calls are made at once.
	maxBatch = 100
	atOnce   = 4
	purpose  = "embedding"
)

// Models returns the embedders of client, or the local one where it is nil.
func Models(client *Client) embed.Models {
	if client == nil {
		return embed.Only(embed.Local{})
	}
	return client
}

// Configured names the model that new vectors are made with.
func (c *Client) Configured() string { return c.cfg.EmbeddingModel }

// Of returns tenant's embedder with the model of that name.
func (c *Client) Of(tenant, model string) (embed.Embedder, bool) {
	if model == embed.LocalModel {
		return embed.Local{}, true
	}
	return embedder{c, tenant, model}, true
}

// Embedder returns tenant's embedder with the configured model.
func (c *Client) Embedder(tenant string) embed.Embedder {
	return embedder{c, tenant, c.cfg.EmbeddingModel}
}

type embedder struct {
	c             *Client
	tenant, model string
}

// Model names the model.
func (e embedder) Model() string { return e.model }

// Documents embeds what is to be found.
func (e embedder) Documents(ctx context.Context, texts []string) ([]embed.Vector, error) {
	return e.embed(ctx, texts, "RETRIEVAL_DOCUMENT", "title: none | text: ")
}

// Query embeds what is looked for.
func (e embedder) Query(ctx context.Context, text string) (embed.Vector, error) {
	vectors, err := e.embed(ctx, []string{text}, "RETRIEVAL_QUERY", "task: search result | query: ")
	if err != nil {
		return nil, err
	}
	return vectors[0], nil
}

// byTask reports the models of the first generation, which take a text's
// role beside it; later ones take no notice of that and read it in the text.
func (e embedder) byTask() bool {
	return strings.HasSuffix(e.model, "embedding-001") || strings.HasPrefix(e.model, "text-embedding")
}

// limit is how many tokens the model reads of a text.
func (e embedder) limit() int64 {
	if strings.HasPrefix(e.model, "gemini-embedding-2") {
		return 8192
	}
	return 2048
}

// embed embeds texts in batches. Each is cut to what the model reads.
func (e embedder) embed(ctx context.Context, texts []string, task, prefix string) ([]embed.Vector, error) {
	dimensions := int32(embed.Dimensions)
	config := genai.EmbedContentConfig{OutputDimensionality: &dimensions}
	if e.byTask() {
		config.TaskType, prefix = task, ""
	}
	vectors := make([]embed.Vector, 0, len(texts))
	for len(texts) > 0 {
		n := min(len(texts), maxBatch)
		contents := make([]*genai.Content, n)
		var tokens int64
		for i, text := range texts[:n] {
			text = prefix + cut(strings.ToValidUTF8(text, "\uFFFD"), e.limit()-tokensOf(prefix))
			tokens += tokensOf(text)
			contents[i] = genai.NewContentFromText(text, genai.RoleUser)
		}
		batch, err := e.batch(ctx, contents, tokens, config)
		if err != nil {
			return nil, fmt.Errorf("embed %d texts: %w", n, err)
		}
		vectors, texts = append(vectors, batch...), texts[n:]
	}
	return vectors, nil
}

// batch embeds contents under one reservation.
func (e embedder) batch(ctx context.Context, contents []*genai.Content, estimate int64,
	config genai.EmbedContentConfig,
) ([]embed.Vector, error) {
	reserved, err := e.c.reserve(ctx, e.tenant, e.model, purpose, estimate, 0)
	if err != nil {
		return nil, err
	}
	vectors := make([]embed.Vector, len(contents))
	used, err := e.ask(ctx, contents, vectors, config)
	switch {
	case err != nil: // a call that fails halfway has used what it has used
		e.c.charge(ctx, reserved, min(used, estimate), 0, true)
		return nil, err
	case used == 0:
		used = estimate // the Developer API does not say
	}
	e.c.charge(ctx, reserved, used, 0, false)
	return vectors, nil
}

// ask fills vectors, and returns how many tokens the server counted.
func (e embedder) ask(ctx context.Context, contents []*genai.Content, vectors []embed.Vector,
	config genai.EmbedContentConfig,
) (int64, error) {
	if !e.c.vertex {
		return e.once(ctx, contents, vectors, config)
	}
	config.AutoTruncate = true
	used := make([]int64, len(contents))
	var err error
	// The first goes alone: a model that was away is asked once, not by several at
	// a time that keep each other from it.
	if used[0], err = e.once(ctx, contents[:1], vectors[:1], config); err != nil {
		return used[0], err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := 1; i < len(contents); i++ {
		group.Go(func() (err error) {
			used[i], err = e.once(ctx, contents[i:i+1], vectors[i:i+1], config)
			return err
		})
	}
	err = group.Wait()
	var sum int64
	for _, n := range used {
		sum += n
	}
	return sum, err
}

// once makes one call.
func (e embedder) once(ctx context.Context, contents []*genai.Content, vectors []embed.Vector,
	config genai.EmbedContentConfig,
) (tokens int64, err error) {
	var resp *genai.EmbedContentResponse
	limit := embedLimit
	if e.c.cfg.Timeout > 0 {
		limit = min(limit, e.c.cfg.Timeout)
	}
	unsure, err := e.c.call(ctx, e.model, limit, min(embedTry, limit), func(ctx context.Context) (err error) {
		resp, err = e.c.api.Models.EmbedContent(ctx, e.model, contents, &config)
		return err
	})
	if err != nil {
		if unsure > 0 {
			for _, content := range contents {
				tokens += unsure * tokensOf(content.Parts[0].Text)
			}
		}
		return tokens, err
	}
	if len(resp.Embeddings) != len(contents) {
		return 0, unusable(fmt.Errorf("%d vectors for %d texts", len(resp.Embeddings), len(contents)))
	}
	for i, one := range resp.Embeddings {
		var ok bool
		if one != nil {
			vectors[i], ok = embed.Normalised(one.Values)
		}
		if !ok {
			return tokens, unusable(fmt.Errorf("a vector that is not %d finite numbers", embed.Dimensions))
		}
		if one.Statistics != nil {
			tokens += int64(one.Statistics.TokenCount)
		}
	}
	return tokens, nil
}

func unusable(cause error) error {
	return fmt.Errorf("%w: %w", ErrNonsense, cause)
}
